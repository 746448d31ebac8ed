"""
``seccomp-monitor agent profile POLICY``: the seccomp profile of a container that an agent supervises.

What it is not: the agent's decision; that is the policy itself, which the profile's ``listenerMetadata`` names.

The exit status is 0, or 1 when there is something to know about the profile, which is told on standard error; 2
when nothing was written.
"""

from __future__ import annotations

from pathlib import Path, PurePath

import attrs
import click

from monitor.abi.arch import Arch
from monitor.agent.configuration import NAME, SOCKET
from monitor.cli import USAGE
from monitor.cli.policies import ARCH_NAMES, Surroundings, answering, arches_named, load
from monitor.policy.formats import Listener, oci
from monitor.policy.formats.notified import notified
from monitor.policy.layout import shown
from monitor.policy.variables import Variables


@click.command("profile")
@click.argument("policy")
@click.option("--base", metavar="FILE", help="What another OCI profile refuses stays refused.")
@click.option("--listener", default=SOCKET, show_default=True, metavar="SOCK", help="Where the agent listens.")
@click.option("--metadata", metavar="TEXT", help="What the agent chooses by; default: policy=NAME, after the file.")
@click.option("--machine", type=ARCH_NAMES, help="The containers' machine; default: this one.")
@click.option("--flag", "flags", multiple=True, metavar="FLAG", help="With which the runtime installs the filter.")
@click.option("--notify-refusals", is_flag=True, help="Have the agent refuse, so that it is told; not the kernel.")
@click.option("-D", "definitions", multiple=True, metavar="NAME=VALUE", help="Set a variable of the policy.")
@click.option("-o", "--output", metavar="FILE", help="Write there; default: standard output.")
@answering
def profile_command(  # noqa: PLR0913  # one for each option
    *,
    policy: str,
    base: str | None,
    listener: str,
    metadata: str | None,
    machine: str | None,
    flags: tuple[str, ...],
    notify_refusals: bool,
    definitions: tuple[str, ...],
    output: str | None,
) -> int:
    """
    Write the OCI seccomp profile for containers under POLICY, a file of the agent's directory or a preset.

    What the policy asks, logs, returns or gives to handlers is notified, and execve always.  What it refuses by
    registers alone the kernel refuses, unless --notify-refusals.  For Podman and Docker it is the file of
    --security-opt seccomp=FILE, for runc and crun what stands under linux.seccomp.
    """
    if not PurePath(listener).is_absolute():
        click.echo(f"seccomp-monitor: --listener {shown(listener)}: crun wants an absolute path", err=True)
        return USAGE
    found = load(policy, Surroundings(variables=Variables.of(definitions)))
    beneath = () if base is None else (oci.load(Path(base)),)
    whole = attrs.evolve(found.policy, includes=[*found.policy.includes, *(one.policy for one in beneath)])
    made = notified(whole, refusals=notify_refusals)
    name = PurePath(policy).stem
    if metadata is None and NAME.fullmatch(name):
        metadata = f"policy={name}"
    arch = Arch.native() if machine is None else arches_named([machine])[0]
    dumped = oci.dump(made.policy, machine=arch, listener=Listener(listener, metadata or ""), flags=flags)
    findings = (
        *found.findings,
        *(one for given in beneath for one in given.findings),
        *made.findings,
        *dumped.findings,
    )
    for finding in findings:
        click.echo(f"seccomp-monitor: {finding}", err=True)
    if output is None:
        click.echo(dumped.text, nl=False)
    else:
        Path(output).write_text(dumped.text)
    return 1 if findings else 0
