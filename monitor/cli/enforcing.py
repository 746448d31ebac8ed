"""
The policies of a run: read before it starts, and read again when they change.

What it is not: what a policy says (``policy``), or whether a running program can be given another
one (``monitor.Run.replace_policy``).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import attrs
import click
import trio

from monitor.cli.policies import Given, Surroundings, load_layers, surroundings_of
from monitor.cli.reporting import tell
from monitor.errors import PolicyError, PolicyNotLoosenable
from monitor.policy.model import Policy
from monitor.run import ProcessRun

_LOOK_SECONDS: Final = 1.0
"""How often the files are looked at: what a stat(2) a second costs is nothing, and no watch can be lost."""


def surroundings_here(definitions: Sequence[str], caps: str | None, kernel: str | None) -> Surroundings:
    """Return what the options say; the kernel is by default the one that runs here."""
    given = surroundings_of(definitions, caps, kernel)
    if kernel is None:
        major, minor = os.uname().release.split(".")[:2]
        given = attrs.evolve(given, kernel=(int(major), int("".join(digit for digit in minor if digit.isdecimal()))))
    return given


def load_for_run(words: Sequence[str], surroundings: Surroundings, *, quiet: bool) -> Policy:
    """
    Return the policy that *words* name, and tell what was noticed about it.

    Raises:
        PolicyError: one of them cannot be read.
    """
    given = load_layers(words, surroundings)
    if not quiet:
        _tell_findings(given)
    return given.policy


def _tell_findings(given: Given) -> None:
    for finding in given.findings:
        if finding.lost:
            click.echo(f"seccomp-monitor: {finding}", err=True)


async def reload_when_changed(
    run: ProcessRun, words: Sequence[str], surroundings: Surroundings, asked: trio.MemoryReceiveChannel[None]
) -> None:
    """
    Read the policies again when one of their files has changed, or when *asked*; runs until it is cancelled.

    What cannot be read, or cannot be put in force, is told, and what was in force stays.
    """
    seen = _stamps(run.policy)
    while True:
        with trio.move_on_after(_LOOK_SECONDS):
            await asked.receive()
            seen = {}
        now = _stamps(run.policy)
        if now != seen:
            _reload(run, words, surroundings)
            seen = _stamps(run.policy)


def _reload(run: ProcessRun, words: Sequence[str], surroundings: Surroundings) -> None:
    try:
        changed = run.replace_policy(load_layers(words, surroundings).policy)
    except PolicyNotLoosenable as error:
        tell(f"the policy was not replaced: {error}")
    except PolicyError as error:
        tell(f"the policy was not read again: {error}; what was in force stays")
    else:
        tell(f"the policy was read again; {len(changed)} calls are decided differently")


def _stamps(policy: Policy | None) -> Mapping[str, tuple[int, int, int]]:
    """Return the files that *policy* was read from, with what changes when they do."""
    stamps: dict[str, tuple[int, int, int]] = {}
    for name in _files(policy):
        try:
            found = Path(name).stat()
        except OSError:
            stamps[name] = (0, 0, 0)
        else:
            stamps[name] = (found.st_ino, found.st_size, found.st_mtime_ns)
    return stamps


def _files(policy: Policy | None) -> Iterator[str]:
    if policy is None:
        return
    for layer in policy.layers():
        extended: Policy | None = layer
        while extended is not None:
            if "/" in extended.origin.file or "." in extended.origin.file:
                yield extended.origin.file
            extended = extended.extends
