"""
``seccomp-monitor convert``: a policy in another format.

What it is not: silent.  What the other format cannot say is named on standard error, and the result is
the stricter of the two then.

The exit status is 0 when the result means the same, 1 when something was lost, 2 when nothing was written.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Final

import click

from monitor.abi.arch import Arch
from monitor.cli.policies import ARCH_NAMES, Given, Surroundings, about_policies, answering, arches_named, load
from monitor.errors import PolicyError
from monitor.origin import Origin
from monitor.policy.formats import Dumped, FormatFinding, oci, spo, unit
from monitor.policy.writing import dumps

FORMATS: Final = ("toml", "oci", "spo", "systemd")

_OF_SUFFIX: Final = {
    ".toml": "toml",
    ".json": "oci",
    ".yaml": "spo",
    ".yml": "spo",
    ".conf": "systemd",
    ".service": "systemd",
}


@click.command("convert")
@click.argument("policy")
@click.option("--to", "target", type=click.Choice(FORMATS), help="The format; default: that of FILE's suffix.")
@click.option("-o", "--output", metavar="FILE", help="Write there; default: standard output.")
@click.option("--machine", type=ARCH_NAMES, help="For this machine and the ABIs it can run; default: for all.")
@answering
@about_policies
def command(
    *, policy: str, target: str | None, output: str | None, machine: str | None, surroundings: Surroundings
) -> int:
    """Write POLICY in another format, and name on standard error what that cannot say."""
    wanted = target or _OF_SUFFIX.get(PurePath(output or "").suffix)
    if wanted is None:
        message = f"name the format: --to {', '.join(FORMATS)}"
        raise click.UsageError(message)
    given = load(policy, surroundings)
    dumped = _dumped(given, wanted, arches_named([machine])[0] if machine is not None else None, policy)
    findings = [*given.findings, *dumped.findings]
    if output is None:
        click.echo(dumped.text, nl=False)
    else:
        _write(output, dumped.text)
    _tell(findings)
    return 1 if any(finding.lost for finding in findings) else 0


def _dumped(given: Given, target: str, machine: Arch | None, word: str) -> Dumped:
    match target:
        case "oci":
            return oci.dump(given.policy, machine=machine, listener=given.listener, flags=given.flags)
        case "spo":
            return spo.dump(given.policy, machine=machine, listener=given.listener, flags=given.flags)
        case "systemd":
            return unit.dump(given.policy, machine=machine)
        case _:
            if not given.foreign:
                message = "is TOML already; show prints it with all that it includes"
                raise PolicyError(message, Origin(word))
            return Dumped(dumps(given.policy))


def _tell(findings: Sequence[FormatFinding]) -> None:
    for finding in findings:
        click.echo(f"seccomp-monitor: {'lost' if finding.lost else 'note'}: {finding}", err=True)


def _write(path: str, text: str) -> None:
    try:
        Path(path).write_text(text, "utf-8")
    except OSError as error:
        message = f"cannot be written: {error.strerror}"
        raise PolicyError(message, Origin(path)) from None
