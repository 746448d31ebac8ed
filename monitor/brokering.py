"""
A policy's word about files: the tables of a policy decide, and the broker acts.

What it is not: either of them.  It belongs to the roof, where ``policy`` and ``handlers`` meet: a
``Decider`` made of the tables of a policy, and the ``Judge`` of a run with such tables.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import date
from typing import Final

from monitor.abi.arch import Arch
from monitor.broker.broker import FAMILIES, FileBroker
from monitor.enforce import PolicyJudge
from monitor.errors import PolicyError
from monitor.handlers.fastpath import FastPath
from monitor.handlers.paths import OTHERS, PROTECTED, PathJudge, Ruling, emulation, refusal
from monitor.notify.account import Outcome, Would
from monitor.notify.decode import Call
from monitor.notify.handler import Routes
from monitor.notify.target import glimpsed
from monitor.notify.verdict import Allow
from monitor.origin import Origin
from monitor.policy import action as actions
from monitor.policy import tables
from monitor.policy.access import CHANGE
from monitor.policy.beneath import is_brokered, keeps_faults, keeps_rights
from monitor.policy.deciders import Deciders, PathDecision, deciders
from monitor.policy.files import Hide, strength
from monitor.policy.model import Policy
from monitor.policy.paths import PathPattern
from monitor.sources.launch import Started

KEPT: Final = 4096
"""How many answers are kept; programs ask about the same names again and again."""


class TableDecider:
    """
    What the tables of one policy say about names.

    Answers are kept by class, name and kind, for as long as the policy is: only another one changes
    them.  The heads of patterns were resolved when it was made.
    """

    def __init__(self, policy: Policy, resolve: Callable[[bytes], bytes]) -> None:
        """Make *policy*'s tables ready; *resolve* says where links lead in the view of the targets."""
        self._deciders: Deciders = deciders(policy, resolve)
        self._policy = policy
        self._kept: dict[tuple[str, bytes, bool], Ruling] = {}
        self._protected = frozenset(_files_of(policy))
        self._objects = frozenset(_object(name) for name in self._protected)

    def __call__(self, access: str, name: bytes, *, directory: bool) -> Ruling:
        """Return what is said about *access* to *name*."""
        key = access, name, directory
        found = self._kept.get(key)
        if found is None:
            if len(self._kept) >= KEPT:
                self._kept.clear()
            found = self._kept[key] = self._decided(access, name, directory=directory)
        return found

    def _decided(self, access: str, name: bytes, *, directory: bool) -> Ruling:
        if name in self._protected and access in CHANGE:
            return PROTECTED._replace(strength=strength(Hide()), access=access, name=name)
        decided = self._deciders.path(access, name, directory=directory)
        if decided is None:
            return Ruling(0, Origin(self._policy.name), explicit=False, access=access, name=name)
        return _ruling(decided, access, name)

    def protects(self, access: str, device: int, inode: int) -> bool:
        """Whether it is a file of the policy, by whatever other link or mount, and *access* changes it."""
        return (device, inode) in self._objects and access in CHANGE

    def answer(self, call: Call, ruling: Ruling) -> Ruling:
        """Return what a grant says to what *ruling* asks; *ruling* itself: none does."""
        for layer in self._policy.layers():
            for grant in tables.grants(layer):
                if _fits(grant, call, ruling):
                    errno = 0 if grant.verdict == "allow" else grant.errno or ruling.errno
                    return ruling._replace(errno=errno, origin=grant.origin, asked=False)
        return ruling


def _ruling(decided: PathDecision, access: str, name: bytes) -> Ruling:
    decision = decided.decision
    origin = decision.origin if decision.rule is not None else decided.by.origin
    errno = 0
    match decision.action:
        case Hide() as hide:
            errno = hide.errno_for(access)
        case actions.Deny(number) | actions.Ask(number):
            errno = number
        case actions.Handle():  # which is refused when a policy is read
            errno = actions.Deny().errno
        case actions.Allow():
            pass
    return Ruling(
        errno,
        origin,
        explicit=decision.rule is not None,
        strength=strength(decision.action),
        asked=isinstance(decision.action, actions.Ask),
        hidden=isinstance(decision.action, Hide),
        access=access,
        name=name,
    )


def _fits(grant: tables.Grant, call: Call, ruling: Ruling) -> bool:
    """Whether *grant* is an answer to what *ruling* asks about *call*."""
    if grant.call != call.name or ruling.name is None or _is_over(grant.expires):
        return False
    if not any(_covers(one, ruling.name) for one in grant.paths):
        return False
    return grant.program is None or _covers(grant.program, glimpsed(call.target).link("exe"))


def _covers(written: tables.Written, name: bytes) -> bool:
    return name.startswith(b"/") and PathPattern(written.expanded or written.text).covers(name)


def _is_over(expires: date | None) -> bool:
    return expires is not None and tables.is_over(expires)


def _files_of(policy: Policy) -> Iterator[bytes]:
    """Yield the names of the files that *policy* was read from."""
    for layer in policy.layers():
        extending: Policy | None = layer
        while extending is not None:
            if os.path.exists(extending.origin.file):  # noqa: PTH110  # presets have words in its place
                yield os.fsencode(os.path.realpath(extending.origin.file))
            extending = extending.extends


def _object(name: bytes) -> tuple[int, int]:
    """Return device and inode of a file, as ``Object`` has them."""
    status = os.stat(name)  # noqa: PTH116  # bytes
    return os.major(status.st_dev) << 32 | os.minor(status.st_dev), status.st_ino


class BrokeringJudge:
    """The ``Judge`` of a run in which files are opened for the targets."""

    def __init__(self, calls: PolicyJudge, policy: Policy, *, observe: bool) -> None:
        """Ask *calls* about registers, and the tables of *policy* about names; with *observe*, refuse nothing."""
        self._calls = calls
        self._decider = TableDecider(policy, real_head)
        self._paths = PathJudge(self._decider, Arch.native())
        self._observe = observe
        self._fast: FastPath | None = None
        self.keeps_rights = not observe and keeps_rights(policy)
        """Whether nothing lets the targets come to other rights than ours, or another view."""
        self.keeps_faults = not observe and keeps_faults(policy)
        """Whether nothing lets them handle the faults of their pages."""

    def fast_path(self, broker: FileBroker, routes: Routes) -> FastPath | None:
        """Return who answers for *broker* what is allowed anyway, and no handler of *routes* sees; None: nobody."""
        if self.keeps_rights:
            self._fast = FastPath(broker, self._decider, self._unseen(routes))
        return self._fast

    def _unseen(self, routes: Routes) -> frozenset[tuple[int, int]]:
        """Return the calls that only tables decide about."""
        return frozenset(key for key in self._calls.routes.always_allowed() if not routes.of(*key).handlers)

    def refuses(self, call: Call) -> Outcome | None:
        """Return the refusal of *call*, which no handler lifts.  Raises MayBlockError."""
        refused = self._calls.refuses(call)
        if refused is not None or not self._paths.rules(call):
            return refused
        ruling = call.ruling = self._paths.ruling(call)  # anew: the policy may be another one
        if isinstance(ruling, Outcome):
            return ruling
        return None if self._observe or not ruling.errno else refusal(ruling)

    def answers(self, call: Call) -> Outcome | None:
        """Return what is answered when every handler has passed."""
        said = self._calls.answers(call)
        if said is None or not self._paths.rules(call) or not isinstance(said.verdict, Allow):
            return said
        ruling = self._ruling(call)
        if isinstance(ruling, Outcome):
            return ruling
        # For a thread with other rights nobody acts; observed, it does for itself what it would have done.
        outcome = (
            Outcome(Allow(racy="the policy is only observed"), "policy") if ruling is OTHERS else emulation(ruling)
        )
        outcome.told = said.told
        outcome.would = said.would
        if ruling.errno:
            outcome.would, outcome.told = Would("deny", ruling.errno), True
        return outcome

    def _ruling(self, call: Call) -> Ruling | Outcome:
        """Return what is said about the names of *call*, once."""
        if call.ruling is None:
            call.ruling = self._paths.ruling(call)
        assert isinstance(call.ruling, Ruling | Outcome)
        return call.ruling

    def gives_elsewhere(self, call: Call) -> bool:
        """Return whether the last replacement gives *call*, which waits, to a handler, or takes it from one."""
        return self._calls.gives_elsewhere(call)

    def refuse_lifting(self, policy: Policy) -> None:
        """
        Do nothing, if the targets can come to nothing more under *policy* in place of the first one.

        Raises PolicyError: it lifts what was relied on, which only a new run can do without.
        """
        for kept, keeps in ((self.keeps_rights, keeps_rights), (self.keeps_faults, keeps_faults)):
            if kept and not (is_brokered(policy) and keeps(policy)):  # without a table nothing is refused beneath
                message = "a rule lifts what is refused beneath [files] about rights or memory: start anew for that"
                raise PolicyError(message)

    def use(self, policy: Policy, routes: Routes) -> None:
        """Have the tables of *policy* decide from now on, and the handlers of *routes*."""
        self._decider = TableDecider(policy, real_head)
        self._paths.ask(self._decider)
        if self._fast is not None:
            self._fast.use(self._decider, self._unseen(routes))


def judge_of_files(policy: Policy, calls: PolicyJudge, *, observe: bool) -> BrokeringJudge | None:
    """Return the judge of a run under *policy*, if that says anything about files; *calls* judges registers."""
    if not is_brokered(policy):
        return None
    return BrokeringJudge(calls, policy, observe=observe)


def broker_of(started: Started, routes: Routes, judge: BrokeringJudge | None) -> FileBroker | None:
    """Return who acts for the targets, if *judge* or a handler of *routes* may want that; its owner closes it."""
    named = any(route.handlers and route.name in FAMILIES for route in routes.known.values())
    if judge is None and not named:
        return None
    has = started.process.has
    if judge is None:
        return FileBroker(started.listener, is_supervised=has)
    return FileBroker(started.listener, is_supervised=has, walled=judge.keeps_rights, faultless=judge.keeps_faults)


def real_head(head: bytes) -> bytes:
    """Return where links lead the literal beginning of a pattern in our own view; what is not there stays as it is."""
    return os.path.realpath(head)
