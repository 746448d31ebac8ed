"""
What is kept and told of an answered call: who decided, the counters, and whom to tell.

What it is not: the answer (``respond``) or the record of it (``events``).
"""

from __future__ import annotations

from errno import EPERM
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol

from attrs import define

from monitor._native import RawNotification
from monitor.abi.arch import Arch
from monitor.notify.decode import Call
from monitor.notify.verdict import Deny, Kill, Verdict
from monitor.origin import Origin

if TYPE_CHECKING:
    from monitor.notify.approval import Asks
    from monitor.notify.emulation import Emulated
    from monitor.notify.render import Rendered

FAILURE: Final = Deny(EPERM)
"""The answer when there is no verdict."""

By = Literal["handler", "policy", "default", "grant", "user", "error", "timeout", "closing", "runtime"]
"""
Who decided: a handler, a policy, ``otherwise``, a remembered answer, somebody who was asked, a failure, a
deadline, the end of supervision; ``runtime`` is nobody: the call is a container runtime's own.
"""


class Seen(NamedTuple):
    """
    What an observer noted of a thread while it waited; nothing of it was used for the decision.

    Attributes:
        comm: the thread's command name (proc_pid_comm(5)), which the target chose.
        pid: the number of its process in our pid namespace, or 0.
        exe: what its process executes, as ``/proc/PID/exe`` says it.
        rendered: the call in words.
    """

    comm: str = ""
    pid: int = 0
    exe: bytes = b""
    rendered: Rendered | None = None


NOTHING: Final = Seen()
"""Nobody wanted to know."""


_REFUSALS: Final = frozenset({Deny, Kill})


class Would(NamedTuple):
    """
    What a policy that is only observed does to a call when it is enforced.

    Attributes:
        action: as a policy file spells it; ``inject`` where a handler hands over a descriptor.
        errno: with which the call fails; of ``ask`` where nobody answers, of ``trace`` without a tracer.
        value: what it returns.
    """

    action: Literal["deny", "return", "inject", "ask", "kill", "kill-thread", "trap", "trace"]
    errno: int | None = None
    value: int | None = None


class Outcome:
    """A verdict, and who gave it.  A plain class, because one is made for every call."""

    __slots__ = (
        *("access", "asks", "by", "done", "handler", "hidden", "path"),
        *("rule", "scope", "seen", "told", "verdict", "would"),
    )

    def __init__(self, verdict: Verdict, by: By = "default", handler: str | None = None) -> None:
        """Take the default answer's place for whoever is not named."""
        self.verdict = verdict
        self.by: By = by
        self.handler = handler
        self.seen = NOTHING
        self.rule: Origin | None = None
        """The rule of the policy that decided."""
        self.would: Would | None = None
        """What the policy says, where it is only observed."""
        self.done: Emulated | None = None
        """What came of an ``Emulate``."""
        self.access = ""
        """The class of access that was decided about, where a policy did so by a name."""
        self.path: bytes | None = None
        """The name that it was decided by."""
        self.asks: Asks | None = None
        """What somebody is to be asked before; then the verdict is what holds where nobody answers."""
        self.scope = ""
        """For what else the answer of somebody who was asked holds."""
        self.hidden = False
        """Whether the target is to believe that there is nothing of that name."""
        self.told = verdict.__class__ in _REFUSALS
        """Whether it is told of even if nobody wants to know of every answer."""


@define
class Stats:
    """Counters of one listener.  ``received`` is the sum of all answers, ``gone`` and what still waits."""

    received: int = 0
    allowed: int = 0
    denied: int = 0
    returned: int = 0
    injected: int = 0
    killed: int = 0
    emulated: int = 0
    """Done on the target's behalf, whatever came of it."""
    gone: int = 0
    """Answered when nobody waited any more: killed, or taken away by a signal."""
    evaporated: int = 0
    """Announced by the kernel and away before they could be received."""
    failures: int = 0
    """Handlers that raised, or gave no verdict."""
    timeouts: int = 0
    asked: int = 0
    """Answered by somebody who was asked, now or before."""
    racy: int = 0
    """``Allow`` after a look at memory, refused."""
    slow: int = 0
    """Inline handlers over 10 ms."""


class Decision(NamedTuple):
    """One answered call, as observers see it."""

    call: Call
    verdict: Verdict
    by: By
    handler: str | None
    seconds: float
    delivered: bool
    """False: nobody waited for it any more."""
    seen: Seen
    """What an observer noted while it waited."""
    rule: Origin | None = None
    """The rule of the policy that decided."""
    would: Would | None = None
    """What the policy says, where it is only observed."""
    told: bool = False
    """Whether it is told of even if nobody wants to know of every answer."""
    result: int | None = None
    """What the target saw of an ``Emulate``: a value, or a negative errno; None: the kernel ran the call."""
    access: str = ""
    """The class of access that a policy decided about by a name."""
    path: bytes | None = None
    """That name."""
    scope: str = ""
    """For what else the answer of somebody who was asked holds."""
    hidden: bool = False
    """Whether the target is to believe that there is nothing of that name."""


class Judge(Protocol):
    """
    What a policy says about notified calls.

    Its refusals come before the handlers, none of which can lift them; the rest of what it says
    comes after them.
    """

    def refuses(self, call: Call) -> Outcome | None:
        """Return the refusal of *call*, or None."""
        ...

    def gives_elsewhere(self, call: Call) -> bool:
        """Return whether the last replacement gives *call*, which waits, to a handler, or takes it from one."""
        ...

    def answers(self, call: Call) -> Outcome | None:
        """Return what is answered when every handler has passed; None: ``otherwise``."""
        ...

    def asks_before(self, call: Call) -> Outcome | None:
        """Return what has to be asked before *call* is done for its target, as a handler says; None: nothing."""
        ...


class Prelude(Protocol):
    """Calls that come before those of the program that is supervised, and that nobody decides about."""

    def __call__(self, call: Call) -> Outcome | None:
        """Return what becomes of *call* if it is one of them; None: it is not."""
        ...


class Watcher(Protocol):
    """Who alone is told of calls that nobody decides about and that are notified only to be seen."""

    def look(self, raw: RawNotification, name: str, arch: Arch | None) -> object:
        """Note what can be seen only while the thread waits.  What it raises denies the call, and ends the run."""
        ...

    def tell(
        self,
        raw: RawNotification,
        name: str,
        arch: Arch | None,
        noted: object,
        received: float,
        seconds: float,
        delivered: bool,  # noqa: FBT001  # by position, as everything here: it is called for each call
    ) -> None:
        """
        Tell of one such call, after its answer; it runs on in the kernel.

        *noted* is what ``look`` returned: maybe of another thread, where the answer was not
        *delivered*.  *received* is seconds since 1970, *seconds* what passed until the answer.
        """
        ...


class Scribe(Protocol):
    """Who alone writes down calls that run on and are not told to everybody, and of those no record is made."""

    def look(self, call: Call) -> object:
        """Note what can be seen only while the thread waits.  Raises ClosedResourceError alone."""
        ...

    def tell(self, call: Call, outcome: Outcome, noted: object, seconds: float, *, delivered: bool) -> None:
        """Write such a call down, after its answer; *noted* is what ``look`` returned, or None."""
        ...


class Observer(Protocol):
    """Who is told what happened.  Called after the answer; what it raises ends the supervision."""

    @property
    def watcher(self) -> Watcher | None:
        """Who alone is told of calls that nobody decides about, if somebody is."""
        ...

    @property
    def scribe(self) -> Scribe | None:
        """Who alone writes down calls that run on, if somebody does."""
        ...

    @property
    def active(self) -> bool:
        """Whether every answer is to be told, or only refusals and failures."""
        ...

    def look(self, call: Call, *, told: bool) -> Seen:
        """
        Note what can be seen only now, while the thread still waits, and is wanted.

        Called before the answer of whatever is told afterwards; raises ClosedResourceError alone.
        """
        ...

    def answered(self, decision: Decision) -> None:
        """Tell of one answered call."""
        ...

    def handler_failed(self, call: Call, handler: str, error: BaseException) -> None:
        """Tell that a handler raised, or gave no verdict; its call was denied."""
        ...

    def racy_allow(self, call: Call, handler: str | None) -> None:
        """Tell that an ``Allow`` after a look at memory was refused."""
        ...

    def slow_handler(self, call: Call, handler: str, seconds: float) -> None:
        """Tell that an inline handler held everything up."""
        ...

    def out_of_fds(self, times: int) -> None:
        """Tell that the reserve fd had to be given up, *times* in all."""
        ...
