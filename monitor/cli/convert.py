"""
``seccomp-monitor convert``: a policy in another format.

What it is not: silent.  What the other format cannot say is named on standard error, or in the JSON object,
and the result is the stricter of the two then.

The exit status is 0 when the result means the same, 1 when something was lost, 2 when nothing was written.
"""

from __future__ import annotations

import json
import sys
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any, Final

import click

from monitor.abi.arch import Arch
from monitor.cli.policies import (
    ARCH_NAMES,
    PROGRAM_SUFFIX,
    Given,
    Surroundings,
    about_policies,
    answering,
    arches_named,
    load,
)
from monitor.errors import PolicyError
from monitor.origin import Origin
from monitor.policy.formats import Dumped, FormatFinding, oci, program, spo, unit
from monitor.policy.writing import dumps

FORMATS: Final = ("toml", "oci", "spo", "systemd", "bpf")

_OF_SUFFIX: Final = {
    ".toml": "toml",
    ".json": "oci",
    ".yaml": "spo",
    ".yml": "spo",
    ".conf": "systemd",
    ".service": "systemd",
    PROGRAM_SUFFIX: "bpf",
}


@click.command("convert")
@click.argument("policy")
@click.option("--to", "target", type=click.Choice(FORMATS), help="The format; default: that of FILE's suffix.")
@click.option("-o", "--output", metavar="FILE", help="Write there; default: standard output.")
@click.option(
    "--machine",
    type=ARCH_NAMES,
    help="For this machine and the ABIs it can run; default: for all, and for this one with --to bpf.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with the result and what was lost.")
@answering
@about_policies
def command(
    *,
    policy: str,
    target: str | None,
    output: str | None,
    machine: str | None,
    as_json: bool,
    surroundings: Surroundings,
) -> int:
    """Write POLICY in another format, and name on standard error what that cannot say."""
    wanted = target or _OF_SUFFIX.get(PurePath(output or "").suffix)
    if wanted is None:
        message = f"name the format: --to {', '.join(FORMATS)}"
        raise click.UsageError(message)
    if wanted == "bpf" and output is None and not as_json and sys.stdout.isatty():
        message = "a program is bytes, which a terminal cannot show: name a file with -o, or print it with disasm"
        raise click.UsageError(message)
    given = load(policy, surroundings)
    dumped = _dumped(given, wanted, arches_named([machine])[0] if machine is not None else None, policy)
    result = dumped.text if isinstance(dumped, Dumped) else dumped.data
    findings = [*given.findings, *dumped.findings]
    if output is not None:
        _write(output, result)
    if as_json:
        click.echo(json.dumps(_as_json(wanted, result, findings), indent=1))
    else:
        if output is None:
            click.echo(result, nl=False)
        _tell(findings)
    return 1 if any(finding.lost for finding in findings) else 0


def _dumped(given: Given, target: str, machine: Arch | None, word: str) -> Dumped | program.DumpedProgram:
    match target:
        case "oci":
            return oci.dump(given.policy, machine=machine, listener=given.listener, flags=given.flags)
        case "spo":
            return spo.dump(given.policy, machine=machine, listener=given.listener, flags=given.flags)
        case "systemd":
            return unit.dump(given.policy, machine=machine)
        case "bpf":
            return program.dump(given.policy, machine=machine or Arch.native())
        case _:
            if not given.foreign:
                message = "is TOML already; show prints it with all that it includes"
                raise PolicyError(message, Origin(word))
            return Dumped(dumps(given.policy))


def _tell(findings: Sequence[FormatFinding]) -> None:
    for finding in findings:
        click.echo(f"seccomp-monitor: {'lost' if finding.lost else 'note'}: {finding}", err=True)


def _as_json(target: str, result: str | bytes, findings: Sequence[FormatFinding]) -> dict[str, Any]:
    return {
        "schema": 1,
        "format": target,
        **({"text": result} if isinstance(result, str) else {"base64": b64encode(result).decode()}),
        "findings": [
            {
                "kind": finding.kind.value,
                "lost": finding.lost,
                "message": finding.message,
                "file": finding.origin.file,
                "line": finding.origin.line,
                "key": finding.origin.key,
            }
            for finding in findings
        ],
    }


def _write(path: str, result: str | bytes) -> None:
    try:
        Path(path).write_bytes(result.encode() if isinstance(result, str) else result)
    except OSError as error:
        message = f"cannot be written: {error.strerror}"
        raise PolicyError(message, Origin(path)) from None
