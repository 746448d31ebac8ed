"""
What ``notify`` asks of whoever does a call for the target: the joint to the broker.

What it is not: how it is done (``broker``), or whether it may be (a ``Judge``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from monitor._native import RawNotification
    from monitor.notify.decode import Call


class MayBlockError(Exception):
    """What was asked for may have to sleep, and was not done: it belongs on a worker."""


class ChangedError(Exception):
    """What was looked up is not there any more, or is now: nothing was done, and the call is to be looked up again."""


class Emulated(NamedTuple):
    """
    What came of a call that was done for the target.

    Attributes:
        value: what the target sees: a value, or a negative errno.
        answered: whether the response was sent with it, as an fd that was injected is.
        continued: whether the kernel runs the call after all, and checks its result at use.
    """

    value: int
    answered: bool = False
    continued: bool = False


class TargetPath(Protocol):
    """One path argument of a call, looked up once: what it leads to, and what that is called."""

    @property
    def path(self) -> bytes:
        """The bytes that the target passed."""
        ...

    @property
    def canonical(self) -> bytes | None:
        """The absolute name as the target sees it, links followed; None: no name that can be believed."""
        ...

    @property
    def name(self) -> bytes:
        """The last component of it; empty for / and where there is no name."""
        ...

    @property
    def exists(self) -> bool:
        """Whether anything is there."""
        ...

    @property
    def is_directory(self) -> bool:
        """Whether a directory is there."""
        ...

    def close(self) -> None:
        """Give the fd back; dispatch does so when the call is answered."""
        ...


class FastPath(Protocol):
    """Decides about some calls and does them, all in one step.  Borrowed by dispatch."""

    answered: int
    """How many calls the last ``answer`` has answered; of the last of them ``sent`` says what became of it."""

    owed: RawNotification | None
    """What was received and not answered when it raised."""

    @property
    def sent(self) -> int:
        """What became of the last answer: 0 or a negative errno."""
        ...

    def answer(self, raw: RawNotification, most: int, linger: int) -> RawNotification | int:
        """
        Answer *raw* and what comes behind it, *most* calls at the most, as long as they are its own.

        It may block so many milliseconds for each of them, and a few times that for all.
        Returns what was received and not answered, *raw* itself where that is none of them; or why there is nothing.
        """
        ...


class Broker(Protocol):
    """Looks paths up for calls, and does calls for their targets.  Borrowed by dispatch."""

    def can(self, call: Call) -> bool:
        """Whether *call* can be done for its target.  Raises TargetGone, OSError (of ours)."""
        ...

    def prepare(self, call: Call) -> None:
        """
        Look up the paths of *call* where a look by who decides about it could have to sleep.

        Raises MayBlockError: this one could; then ``look_up`` is awaited.
        """
        ...

    def path(self, call: Call, index: int) -> TargetPath:
        """
        Return what the path in register *index* leads to.

        Raises TargetGone, TargetMemoryError, OSError (of ours), TypeError (it is no path), and
        MayBlockError.
        """
        ...

    async def look_up(self, call: Call) -> None:
        """Look up every path of *call* where it may sleep.  Raises as ``path``, but MayBlockError."""
        ...

    def emulate(self, call: Call) -> Emulated:
        """
        Do *call* for its target; what the kernel refuses is a value.

        Raises TargetGone, TargetMemoryError, and before anything was done MayBlockError and ChangedError.
        """
        ...

    async def emulate_later(self, call: Call) -> Emulated:
        """
        Do *call* where it may sleep.  Raises TargetGone, TargetMemoryError, ChangedError.

        Cancelled, it is left to itself: nothing of it reaches the target.
        """
        ...
