"""
A policy's word about paths: the judge of the calls that the broker does, before and behind the handlers.

What it is not: the policy (a ``Decider`` has it), the look-up or the call itself (the broker).

It decides about the object that was looked up, by the name it has, and what is then done is done with
that object.  What has no name that could be believed is refused, but what never had one, as a pipe.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from errno import EACCES, ENFILE, ENOENT
from typing import Final, NamedTuple, Protocol

from monitor.abi.arch import Arch
from monitor.broker.families import FAMILIES, HELD, LISTINGS
from monitor.broker.held import gives_access
from monitor.broker.plan import PathPlan, paths_of
from monitor.broker.resolved import Resolved
from monitor.errors import TargetGone
from monitor.handlers.access import EXCHANGED, LOOKS, accesses, in_order
from monitor.handlers.moving import Mover, Refused, check
from monitor.notify.account import FAILURE, By, Outcome
from monitor.notify.decode import Call
from monitor.notify.verdict import Deny, Emulate
from monitor.origin import NOWHERE, Origin


class Ruling(NamedTuple):
    """
    What a policy says about one access to one name.

    *access* and *name* are what was decided about.

    Attributes:
        errno: with which it is refused; 0: it is allowed.
        origin: the rule, or the table whose ``otherwise`` it is.
        explicit: whether a rule says so, and not ``otherwise``.
        strength: how restrictive it is, next to others.
        hidden: whether there shall be nothing of that name.
        asked: whether somebody is to be asked; *errno* is what is answered where nobody is there.
        granted: whether that is the answer that somebody gave before.
        asks: what somebody is to be asked about, each class and name as a ruling of its own.
    """

    errno: int
    origin: Origin
    explicit: bool
    strength: int = 0
    asked: bool = False
    hidden: bool = False
    access: str = ""
    name: bytes | None = None
    granted: bool = False
    asks: tuple[Ruling, ...] = ()


class Decider(Mover, Protocol):
    """What a policy says about names."""

    def __call__(self, access: str, name: bytes, *, directory: bool) -> Ruling:
        """Return what it says about *access* to the canonical *name*; *directory*: there is one of that name."""
        ...

    @property
    def hides(self) -> bool:
        """Whether it hides anything."""
        ...

    def protects(self, access: str, device: int, inode: int) -> bool:
        """Whether *access* to this object is refused, whatever its name."""
        ...

    def answer(self, call: Call, ruling: Ruling) -> Ruling:
        """Return the answer that was given before to what *ruling* asks about *call*; *ruling* itself: none was."""
        ...


NAMELESS: Final = Ruling(EACCES, Origin("no name that can be believed"), explicit=True)
NOBODYS: Final = Ruling(ENOENT, Origin("a process that is not supervised"), explicit=True)
_PROC: Final = b"/proc/"
PROTECTED: Final = Ruling(EACCES, Origin("the supervisor reads it again"), explicit=True)
"""About files of the policy itself, which cannot be changed, whatever it says of them."""
OTHERS: Final = Ruling(EACCES, Origin("a thread with other rights or another view than it began with"), explicit=True)
UNDECIDED: Final = Ruling(0, NOWHERE, explicit=True)
"""About what never had a name, and what the kernel refuses before it looks anything up."""


class PathJudge:
    """Judges the calls of one ABI that have a path, or an fd of something that has one."""

    def __init__(self, decider: Decider, arch: Arch) -> None:
        """Ask *decider* about names."""
        self._decider = decider
        self._plans: dict[str, Mapping[int, PathPlan]] = {
            name: paths_of(arch, name) for name in FAMILIES if name not in HELD and name not in LISTINGS
        }
        (held,) = paths_of(arch, "newfstatat").values()  # which takes the fd in the same place
        for name, access in HELD.items():
            self._plans[name] = {0: held._replace(facts=held.facts._replace(access=frozenset({access})))}
        self._arch = arch

    def ask(self, decider: Decider) -> None:
        """Ask *decider* from now on."""
        self._decider = decider

    def rules(self, call: Call) -> bool:
        """Whether it has anything to say about *call*."""
        return call.arch is self._arch and call.name in FAMILIES

    def ruling(self, call: Call) -> Ruling | Outcome:
        """
        Return what the policy says about *call*, or how it ends before anything can be decided.

        Raises MayBlockError: the path cannot be looked up at once.
        """
        try:
            if call.broker is None or not call.broker.can(call):
                return OTHERS
            if call.name in LISTINGS:
                return self._listed(call)
            return self._of_all(call)
        except TargetGone:
            return Outcome(FAILURE, "error")
        except OSError:  # we have no fd left
            return Outcome(Deny(ENFILE), "error")

    def _of_all(self, call: Call) -> Ruling:
        """
        Return what is said about *call*: the first refusal of a path of it, or what is said about the first.

        What is asked about any of them is a refusal too, of which somebody may lift all that it ``asks``;
        a refusal that nobody lifts comes first.
        """
        found: list[Resolved] = []
        said: Ruling | None = None
        asks: list[Ruling] = []
        for register in FAMILIES[call.name].registers:
            resolved = call.looked_up(register)
            assert isinstance(resolved, Resolved)
            if resolved.wrong:
                break  # the kernel looks at nothing behind it
            ruling = self._of(call, self._plans[call.name][register], resolved)
            if ruling.asked:
                ruling, unanswered = answered(self._decider, call, ruling)
                asks += unanswered
            if ruling.errno and not ruling.asked:
                return ruling
            found.append(resolved)
            said = ruling if said is None or (ruling.granted and not said.granted) else said
        else:
            try:
                check(self._decider, call, found)
            except Refused as refused:
                return Ruling(refused.errno, refused.origin, explicit=True, access="rename-target", name=refused.name)
        return asks[0]._replace(asks=tuple(asks)) if asks else said or UNDECIDED

    def _listed(self, call: Call) -> Ruling:
        """Leave with *call* which entries of the directory are hidden; that it is open was decided before."""
        resolved = call.looked_up(FAMILIES[call.name].register)
        assert isinstance(resolved, Resolved)
        if resolved.names:
            above = [b"" if name == b"/" else name for name in resolved.names]

            def hides(entry: bytes) -> bool:
                return any(self._decider("stat", name + b"/" + entry, directory=False).hidden for name in above)

            call.hides = hides
        elif self._decider.hides and not resolved.anonymous:
            return NAMELESS  # and so nobody knows what is hidden in it
        return UNDECIDED

    def _of(self, call: Call, plan: PathPlan, resolved: Resolved) -> Ruling:
        if resolved.wrong or (resolved.opening is not None and resolved.opening.error):
            return UNDECIDED
        if resolved.anonymous:
            return NOBODYS if resolved.foreign else UNDECIDED
        wanted = accesses(call, plan, resolved)
        looks = wanted <= LOOKS
        if not resolved.names:
            return UNDECIDED if looks and _has(call, plan, resolved) else NAMELESS
        ruling = self._strongest(wanted, resolved)
        if ruling.hidden:
            ruling = ruling._replace(errno=_errno_of_hidden(ruling.errno, wanted, resolved))
        if looks and ruling.errno and (not ruling.explicit or ruling.asked) and _has(call, plan, resolved):
            return UNDECIDED  # the target has it open: only a rule against looking is meant for this
        if resolved.foreign and not (ruling.explicit and resolved.names[0].startswith(_PROC)):
            return NOBODYS  # a link there tells of its process, wherever it leads
        return ruling

    def _strongest(self, wanted: frozenset[str], resolved: Resolved) -> Ruling:
        """Return the most restrictive of what is said of any of *wanted* under any of *names*."""
        found: Ruling | None = None
        asks: dict[tuple[str, bytes], Ruling] = {}
        held, directory = _object_of(resolved), resolved.is_directory
        for name in resolved.names:
            for access in in_order(wanted):
                ruling = self._decider(access, name, directory=directory)
                if held is not None and not ruling.hidden and self._decider.protects(access, *held):
                    return PROTECTED._replace(access=access, name=name)
                if ruling.asked:
                    asks[access, name] = ruling
                if found is None or ruling.strength > found.strength:
                    found = ruling
        if found is not None and found.asked:
            return found._replace(asks=tuple(asks[key] for key in sorted(asks)))
        return found or UNDECIDED


def answered(decider: Decider, call: Call, ruling: Ruling) -> tuple[Ruling, list[Ruling]]:
    """Return what was answered before to all that *ruling* asks about *call*, and what nobody has answered."""
    answers = [decider.answer(call, one) for one in ruling.asks]
    refused = next((one for one in answers if one.errno and not one.asked), None)
    unanswered = [one for one in answers if one.asked]
    return refused or (unanswered or answers)[0], [] if refused else unanswered


def _object_of(resolved: Resolved) -> tuple[int, int] | None:
    """Return device (major << 32 | minor) and inode of what is there; None: nothing is."""
    if resolved.entry is not None:
        seen = resolved.seen
        return None if seen is None else (seen.device, seen.inode)
    held = resolved.object
    return None if held is None or not resolved.exists else (held.device, held.inode)


def _errno_of_hidden(errno: int, wanted: Collection[str], resolved: Resolved) -> int:
    """Return the errno about a hidden name: one for all that is wanted of it, whether it is there or not."""
    opening = resolved.opening
    if opening is not None:
        return EACCES if opening.creates else ENOENT
    return ENOENT if wanted == EXCHANGED else errno  # what is not there cannot be exchanged


def _has(call: Call, plan: PathPlan, resolved: Resolved) -> bool:
    """Whether the target holds the object already, and not only by where it is."""
    if not resolved.by_fd or plan.directory is None:
        return False
    return gives_access(call.tid, call.registers[plan.directory], resolved)


def refusal(ruling: Ruling) -> Outcome:
    """Return the outcome of a call that *ruling* refuses."""
    return _marked(Outcome(Deny(ruling.errno), _by(ruling)), ruling)


def emulation(ruling: Ruling) -> Outcome:
    """Return the outcome of a call that *ruling* lets the broker do."""
    return _marked(Outcome(Emulate(), _by(ruling)), ruling)


def _by(ruling: Ruling) -> By:
    return "grant" if ruling.granted else "policy"


def _marked(outcome: Outcome, ruling: Ruling) -> Outcome:
    outcome.rule = None if ruling.origin == NOWHERE else ruling.origin
    outcome.access = ruling.access
    outcome.path = ruling.name
    outcome.hidden = ruling.hidden
    return outcome
