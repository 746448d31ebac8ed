"""
``seccomp-monitor disasm``: the program of a policy, or of a file of raw instructions, with names.

What it is not: the text of instructions; that is ``policy.listing``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path, PurePath
from typing import Any, Final, cast

import click

from monitor.abi.arch import Arch
from monitor.abi.seccomp import MAX_INSTRUCTIONS
from monitor.cli.policies import (
    ARCH_NAMES,
    PROGRAM_SUFFIX,
    Surroundings,
    about_policies,
    answering,
    arches_named,
    is_preset,
    load,
)
from monitor.errors import PolicyError
from monitor.origin import Origin
from monitor.policy.blob import INSTRUCTION_SIZE, ByteOrder, read_blob, write_blob
from monitor.policy.bpf import Program
from monitor.policy.compile import compile_policy
from monitor.policy.listing import Line, lines, lines_of, listing

_TOO_LONG: Final = (MAX_INSTRUCTIONS + 1) * INSTRUCTION_SIZE


@click.command("disasm")
@click.argument("policy")
@click.option(
    "--arch", "names", type=ARCH_NAMES, multiple=True, help="Compile for these ABIs; default: all of this machine."
)
@click.option("--byte-order", type=click.Choice(["little", "big"]), help="Of a raw program; default: this machine's.")
@click.option("-o", "--output", metavar="FILE", help="Write the program itself, as seccomp(2) takes it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@answering
@about_policies
def command(
    *,
    policy: str,
    names: tuple[str, ...],
    byte_order: str | None,
    output: str | None,
    as_json: bool,
    surroundings: Surroundings,
) -> int:
    """Print the instructions of POLICY, a policy or a .bpf file of raw ones, with the names of what they compare."""
    order = cast("ByteOrder", byte_order or sys.byteorder)
    if not is_preset(policy) and PurePath(policy).suffix == PROGRAM_SUFFIX:
        program = read_blob(_bytes_of(policy), order, name=policy)
        given = arches_named(names)
        if len(given) > 1:
            message = "a raw program is for one ABI, or asks for it; name one --arch at most"
            raise PolicyError(message, Origin(policy))
        listed = lines(program, arch=given[0] if given else None)
    else:
        machine = arches_named(names) or sorted(Arch.native().family(), key=list(Arch).index)
        compiled = compile_policy(load(policy, surroundings).policy, machine)
        program, listed = compiled.program, lines_of(compiled)
    if output is not None:
        _write(output, write_blob(program, order))
    elif as_json:
        click.echo(json.dumps(_as_json(program, listed), indent=1))
    else:
        click.echo(listing(listed), nl=False)
    return 0


def _bytes_of(path: str) -> bytes:
    """Return what is in the file, one instruction more at most than any program has."""
    try:
        with Path(path).open("rb") as file:
            return file.read(_TOO_LONG)
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise PolicyError(message, Origin(path)) from None


def _write(path: str, data: bytes) -> None:
    try:
        Path(path).write_bytes(data)
    except OSError as error:
        message = f"cannot be written: {error.strerror}"
        raise PolicyError(message, Origin(path)) from None


def _as_json(program: Program, listed: list[Line]) -> dict[str, Any]:
    return {
        "schema": 1,
        "instructions": [
            {
                "index": line.index,
                "code": each.code,
                "jt": each.jt,
                "jf": each.jf,
                "k": each.k,
                "labels": list(line.labels),
                "text": line.text,
                "note": line.note,
            }
            for line, each in zip(listed, program.instructions, strict=True)
        ],
    }
