"""
The events of a supervision: one frozen record for each thing that happened.

What it is not: text.  A record holds numbers and names of our own and no way back into the
target, so it can be kept for as long as anybody likes.  Two records are never equal: each is one
happening.

*container* is the id of the container that it happened in, where somebody supervises several.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from attrs import field, frozen

from monitor.abi import syscalls
from monitor.abi.arch import Arch
from monitor.notify.account import By, Would
from monitor.notify.decode import Arguments
from monitor.notify.verdict import Verdict
from monitor.origin import Origin

if TYPE_CHECKING:
    from monitor.notify.render import Rendered


def _now() -> float:
    return time.time()


@frozen(kw_only=True, eq=False)
class CallAnswered:
    """
    A call was answered.

    *observed* says that memory was read for the decision; what *rendered* shows was read for
    people.  *delivered* is False when nobody waited for the answer any more.  *args* are the six
    registers as unsigned 64-bit words.  *time* is seconds since 1970.
    """

    name: str
    nr: int
    arch: Arch | None
    tid: int
    comm: str
    """The thread's command name (proc_pid_comm(5)) while it waited; the target chose it."""
    pid: int = 0
    """The number of its process, where a sink wished to know it; otherwise 0."""
    exe: bytes = b""
    """What the process executed, likewise."""
    rendered: Rendered | None = None
    """The call in words as it was while the thread waited: of what was refused, and where a sink wished for it."""
    args: tuple[int, ...]
    verdict: Verdict
    by: By
    handler: str | None
    rule: Origin | None = None
    """The rule of a policy that decided; None: none did, or a policy's default."""
    told: bool = False
    """Whether it was told although nobody wished for every answer: a refusal, or what a rule logs or would refuse."""
    would: Would | None = None
    """What the policy says, where it is only observed: the call ran."""
    result: int | None = None
    """What the target saw of a call that was done for it: a value, or a negative errno; None: the kernel ran it."""
    access: str = ""
    """The class of access that a policy decided about by a name."""
    scope: str = ""
    """For what else the answer of somebody who was asked holds: once, process, program, run or always."""
    path: bytes | None = None
    """That name: absolute, links followed, as the target sees it."""
    hidden: bool = False
    """Whether a policy has the target believe that there is nothing of that name: nobody tells it otherwise."""
    observed: bool
    delivered: bool
    latency_seconds: float
    time: float = field(factory=_now)
    container: str | None = None

    @property
    def named(self) -> Mapping[str, int]:
        """The arguments by name, of the declared width and sign; empty where the signature is not known."""
        signature = None if self.arch is None else syscalls.signature_of(self.arch, self.name)
        return Arguments(self.name, signature, self.args).as_mapping()


@frozen(kw_only=True, eq=False)
class TargetStarted:
    """The launched program runs.  Its own execve(2) was not notified: it is the launcher's."""

    pid: int
    path: bytes
    """What was executed."""
    argv: tuple[bytes, ...]
    variables: int
    """The size of its environment."""
    time: float = field(factory=_now)
    container: str | None = None


@frozen(kw_only=True, eq=False)
class ContainerStarted:
    """The first listener of a container was handed over; *why* says who chose its policy."""

    pid: int
    """Its first process, as its runtime says; 0: it does not."""
    bundle: str
    policy: str
    why: str
    time: float = field(factory=_now)
    container: str | None = None


@frozen(kw_only=True, eq=False)
class ContainerEnded:
    """No task is left behind any listener of a container; so many calls were *received* and *denied* in all."""

    received: int
    denied: int
    time: float = field(factory=_now)
    container: str | None = None


@frozen(kw_only=True, eq=False)
class PolicyReplaced:
    """``Run.replace_policy`` has put another policy in force."""

    name: str
    calls: tuple[str, ...]
    """The calls that it decides differently."""
    time: float = field(factory=_now)
    container: str | None = None


@frozen(kw_only=True, eq=False)
class TargetExited:
    """The first process ended.  *status* is the shell's: 128 + signal when it was killed."""

    pid: int
    status: int
    killed_by: int
    """The signal that ended it, or 0."""
    time: float = field(factory=_now)
    container: str | None = None


@frozen(kw_only=True, eq=False)
class HandlerFailed:
    """A handler raised or gave no verdict; its call was denied.  *traceback* is text."""

    name: str
    tid: int
    handler: str
    error: BaseException
    traceback: str
    time: float = field(factory=_now)
    container: str | None = None


@frozen(kw_only=True, eq=False)
class RacyAllow:
    """An ``Allow`` after a look at the target's memory was refused; the call was denied."""

    name: str
    tid: int
    handler: str | None
    time: float = field(factory=_now)
    container: str | None = None


@frozen(kw_only=True, eq=False)
class SlowHandler:
    """An inline handler took over 10 ms, in which nothing else was answered; told once a second at most."""

    name: str
    handler: str
    seconds: float
    suppressed: int
    """How many more there were since the last one told."""
    time: float = field(factory=_now)
    container: str | None = None


@frozen(kw_only=True, eq=False)
class OutOfFds:
    """The supervisor had no fd left and used its reserve; *times* in all.  Told once a second at most."""

    times: int
    time: float = field(factory=_now)
    container: str | None = None


@frozen(kw_only=True, eq=False)
class GrantWritten:
    """A remembered answer was written to *file*, and is in force.  *difference* is what changed, as diff -u has it."""

    file: str
    difference: str
    time: float = field(factory=_now)
    container: str | None = None


@frozen(kw_only=True, eq=False)
class GrantFailed:
    """A remembered answer could not be written to *file*, or not be put in force; what was answered holds."""

    file: str
    error: Exception
    time: float = field(factory=_now)
    container: str | None = None


@frozen(kw_only=True, eq=False)
class SupervisionFailed:
    """The supervisor itself failed while the body raised something of its own."""

    error: BaseException
    time: float = field(factory=_now)
    container: str | None = None


@frozen(kw_only=True, eq=False)
class Dropped:
    """*count* events are missing here: the subscriber did not keep up."""

    count: int
    time: float = field(factory=_now)
    container: str | None = None


Event: TypeAlias = (
    CallAnswered
    | TargetStarted
    | TargetExited
    | ContainerStarted
    | ContainerEnded
    | PolicyReplaced
    | HandlerFailed
    | RacyAllow
    | SlowHandler
    | OutOfFds
    | GrantWritten
    | GrantFailed
    | SupervisionFailed
    | Dropped
)
"""Everything that a subscriber or a sink can be given."""
