"""
The policies of a run: read before it starts, and read again when they change.

What it is not: what a policy says (``policy``), or whether a running program can be given another
one (``monitor.Run.replace_policy``).
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from errno import ENOSYS
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs
import click
import trio

from monitor.abi.arch import Arch
from monitor.cli.policies import Given, Surroundings, load_layers, surroundings_of
from monitor.cli.remembering import Remembered, could_be_its_own, kept_text
from monitor.cli.reporting import tell
from monitor.errors import PolicyError
from monitor.events.hub import Wish
from monitor.events.record import CallAnswered
from monitor.notify.verdict import Deny, Kill
from monitor.origin import Origin
from monitor.policy.action import KillThread, Trap
from monitor.policy.beneath import unserved
from monitor.policy.model import Policy
from monitor.run import ProcessRun

if TYPE_CHECKING:
    from monitor.events.record import Event

_LOOK_SECONDS: Final = 1.0
"""How often the files are looked at: what a stat(2) a second costs is nothing, and no watch can be lost."""

_SETTLE_SECONDS: Final = 0.2
"""How long a file has to stay as it is before it is read, and the time between two readings that are asked for."""

_UNSETTLED_LOOKS: Final = 10
"""After so many looks a file that never stays as it is, is read all the same."""

_READ_SECONDS: Final = 10.0

_READERS: Final = 4
"""Threads that may be stuck in files that turned out to block; then nothing is read any more."""

_LATELY_NANOSECONDS: Final = 60 * 10**9
"""Between the reading before the start and the first look."""

_SHOWN: Final = 8


def surroundings_here(definitions: Sequence[str], caps: str | None, kernel: str | None) -> Surroundings:
    """Return what the options say; the kernel is by default the one that runs here."""
    given = surroundings_of(definitions, caps, kernel)
    if kernel is None:
        major, minor = os.uname().release.split(".")[:2]
        given = attrs.evolve(given, kernel=(int(major), int("".join(digit for digit in minor if digit.isdecimal()))))
    return given


def load_for_run(
    words: Sequence[str], surroundings: Surroundings, *, quiet: bool, grants: Remembered | None = None
) -> Policy:
    """
    Return the policy that *words* name, with *grants* behind its own, and tell what was noticed about it.

    Raises:
        PolicyError: one of them cannot be read.
    """
    given = load_layers(words, surroundings)
    if not quiet:
        _tell_findings(given)
        _tell_strange(given.policy)
    return given.policy if grants is None else grants.added_to(given.policy)


def _tell_strange(policy: Policy) -> None:
    """Tell of layers that are for other ABIs of this machine alone, which is right for their programs only."""
    for layer in policy.layers():
        if layer.arches and Arch.native() not in layer.arches and layer.arches & Arch.native().family():
            meant = ", ".join(sorted(arch.table for arch in layer.arches))
            answered = "kills the process" if layer.other_arch == "kill" else "fails with ENOSYS"
            tell(f"{layer.origin}: its rules are for {meant}; every call of {Arch.native().table} {answered}")


def _tell_findings(given: Given) -> None:
    for finding in given.findings:
        if finding.lost:
            click.echo(f"seccomp-monitor: {finding}", err=True)


def tell_unserved(policy: Policy) -> None:
    """Tell what a program cannot do under *policy* because files are opened for it, and by nobody else's word."""
    for what in unserved(policy):
        tell(f"refused under [files]: {what}")


def tell_uncounted(policy: Policy) -> None:
    """Tell of what *policy* refuses without us, so that ``--fail-on-denial`` does not know of it."""
    found: dict[str, None] = {}
    for layer in policy.layers():
        said = [(rule.action, rule.origin) for rule in layer.all_rules()]
        for action, origin in (*said, (layer.default, Origin(layer.name, key="default"))):
            if isinstance(action, Trap | KillThread):
                found[f"{'trap' if isinstance(action, Trap) else 'kill-thread'} ({origin})"] = None
    if found:
        shown = ", ".join(list(found)[:_SHOWN]) + (", ..." if len(found) > _SHOWN else "")
        tell(f"--fail-on-denial does not count what only the kernel can do: {shown}")


class Refusals:
    """
    A sink that counts refused calls, and writes nothing.

    ENOSYS of a policy is none: the program is told that this kernel has no such call, libc tries such calls
    at every start, and what a filter says with ENOSYS does not get here either.
    """

    wish = Wish(refusals_only=True, comm=False)

    def __init__(self) -> None:
        """Start with none."""
        self.count = 0

    def __call__(self, event: Event) -> None:
        """Count *event*, if it is a refusal that somebody got."""
        if not isinstance(event, CallAnswered) or not event.delivered:
            return
        is_missing = event.by == "policy" and event.verdict == Deny(ENOSYS)
        if isinstance(event.verdict, Deny | Kill) and not is_missing:
            self.count += 1


async def reload_when_changed(
    run: ProcessRun,
    asked: trio.MemoryReceiveChannel[None],
    *,
    words: Sequence[str],
    surroundings: Surroundings,
    grants: Remembered | None = None,
    seen: Stamps | None = None,
    observe: bool = False,
    reload: bool = False,
) -> None:
    """
    Read the policies again when one of their files has changed, or *grants*, or when *asked*; until it is cancelled.

    What cannot be read, or cannot be put in force, is told, and what was in force stays.  So does it where the
    program could have written what would be read, unless *reload*; *observe*: nothing kept it from that.
    *seen* is how the files were before the program started, which may have changed one by now.
    """
    reader = _Reader(run, words, surroundings, grants, seen=seen, observe=observe, reload=reload)
    while True:
        is_asked = False
        with trio.move_on_after(reader.look_again_seconds):
            await asked.receive()
            is_asked = True
        await reader.look(is_asked=is_asked)
        if is_asked:  # again and again, perhaps
            await trio.sleep(_SETTLE_SECONDS)


Stamps: TypeAlias = Mapping[str, tuple[int, ...]]
"""Files, each with what changes when it does."""


class _Reader:
    """
    Reads the policies of one run again.

    A file that is being written may be half of a policy that says less than the whole: it is read when it
    has stayed as it is for a moment.  It is read in a thread, since it may have become something that
    blocks, while the program waits for answers.
    """

    def __init__(
        self,
        run: ProcessRun,
        words: Sequence[str],
        surroundings: Surroundings,
        grants: Remembered | None = None,
        *,
        seen: Stamps | None = None,
        observe: bool = False,
        reload: bool = False,
    ) -> None:
        self._run = run
        self._grants = grants
        self._observe = observe
        self._reload = reload
        self._words = words
        self._surroundings = surroundings
        self._limiter = trio.CapacityLimiter(_READERS)
        self._last_read = run.policy
        """The policy whose files are looked at: in force, or refused for what is installed."""
        self._seen = stamps_of(run.policy) if seen is None else seen
        """Its files when they were read."""
        self._failed = _changed_lately(self._seen)
        """Whether they are to be read again in any case: it failed, or they may have changed since the start."""
        self._changing: Stamps | None = None
        self._looks = 0
        self._told = ""
        self._warned = False
        """Whether it was told that the grants are not read again."""

    @property
    def look_again_seconds(self) -> float:
        """How long to wait until the next look."""
        return _LOOK_SECONDS if self._changing is None else _SETTLE_SECONDS

    async def look(self, *, is_asked: bool) -> None:
        """Look at the files, and read them if they have changed, if that is due, or when *is_asked*."""
        now = stamps_of(self._last_read)
        self._looks = 0 if self._changing is None else self._looks + 1
        is_settled = now == self._changing or self._looks >= _UNSETTLED_LOOKS
        if not is_asked and now != self._seen and not is_settled:
            self._changing = now
            return
        if is_asked or now != self._seen or self._failed:
            self._changing = None
            await self._read(now, is_asked=is_asked)

    def _is_own(self, now: Stamps) -> bool:
        """Whether the program may have written what would be read."""
        files = [name for name in now if self._grants is None or name != self._grants.file]
        return not self._reload and could_be_its_own(files, self._run.policy, observe=self._observe)

    async def _read(self, now: Stamps, *, is_asked: bool) -> None:
        if self._is_own(now):
            changed = [name for name in now if now[name] != self._seen.get(name)] or [*now][:is_asked]
            if changed:
                self._tell(f"{kept_text(changed[0])} (--reload reads it all the same)", is_asked=is_asked)
            self._failed, self._seen = False, now
            return
        try:
            with trio.fail_after(_READ_SECONDS):
                policy, warning = await trio.to_thread.run_sync(
                    self._load, now, abandon_on_cancel=True, limiter=self._limiter
                )
        except Exception as error:  # noqa: BLE001  # no file, and no want of threads, is a reason to end a program
            self._failed = True  # what it is waiting for may be a file that is not looked at
            why = f"it takes more than {_READ_SECONDS:g} seconds" if isinstance(error, trio.TooSlowError) else error
            self._tell(f"the policy was not read again: {why}; what was in force stays", is_asked=is_asked)
            return
        self._failed, self._seen, self._last_read = False, now, policy
        if warning and not self._warned:
            self._warned = True
            tell(warning)
        if policy != self._run.policy or is_asked:
            self._replace(policy, is_asked=is_asked)

    def _load(self, now: Stamps) -> tuple[Policy, str]:
        """Return the policy, if its files are files, and what is to be told of it; in a thread."""
        for name, (mode, *_) in now.items():
            if mode and not stat.S_ISREG(mode):
                message = "is no regular file any more"
                raise PolicyError(message, Origin(name))
        policy = load_layers(self._words, self._surroundings).policy
        return (policy, "") if self._grants is None else self._grants.added_again(policy, self._run.policy)

    def _replace(self, policy: Policy, *, is_asked: bool) -> None:
        try:
            changed = self._run.replace_policy(policy)
        except PolicyError as error:
            self._tell(f"the policy was not replaced: {error}; what was in force stays", is_asked=is_asked)
        else:
            self._told = ""
            tell(f"the policy was read again; {len(changed)} calls are decided differently")

    def _tell(self, message: str, *, is_asked: bool) -> None:
        """Tell *message*, but not again and again."""
        if message != self._told or is_asked:
            self._told = message
            tell(message)


def stamps_of(policy: Policy | None) -> Stamps:
    """Return the files that *policy* was read from; of one that is not there all is 0."""
    stamps: dict[str, tuple[int, ...]] = {}
    for name in _files(policy):
        try:
            found = Path(name).stat()
        except (OSError, ValueError):
            stamps[name] = (0, 0, 0, 0, 0)
        else:
            stamps[name] = (found.st_mode, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    return stamps


def _changed_lately(stamps: Stamps) -> bool:
    """Whether any of the files has changed so lately that it may not be what was read."""
    now = time.time_ns()
    return any(abs(now - changed) < _LATELY_NANOSECONDS for *_, changed in stamps.values())


def _files(policy: Policy | None) -> Iterator[str]:
    if policy is None:
        return
    for layer in policy.layers():
        extended: Policy | None = layer
        while extended is not None:
            if "/" in extended.origin.file or "." in extended.origin.file:
                yield extended.origin.file
            extended = extended.extends
