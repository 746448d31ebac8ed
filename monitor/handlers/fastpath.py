"""
The fast path of a policy's tables: the plainest calls, allowed by the name of what they lead to, are answered at once.

What it is not: another meaning.  It opens for reading, and looks at, what has one name that can be believed and is
allowed by it.  Whatever else there may be is left to the long way (``paths``, and the broker), untouched, and that
begins anew.  So what is left costs time only; what is answered has to be what the long way answers.

What was said about a name once is said again by C alone (native/fastrun.c), until the policy or the mounts are others.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from time import monotonic
from typing import Final

from monitor.broker.broker import FileBroker
from monitor.broker.plain import (
    ALLOWED,
    ASKS,
    ELSEWHERE,
    MISSING,
    NOTHING,
    RECEIVED,
    STALE,
    UNSAID,
    FastCall,
    Plain,
    PlainCall,
    only_straight,
)
from monitor.handlers.lanes import Answer, Lanes
from monitor.handlers.paths import Decider
from monitor.notify.listener import RawNotification

LINGERINGS: Final = 4
"""For how many times the length of one it may block for further calls, before others on the loop have their turn."""

_OPENED: Final = ""
"""The access of an open, which depends on what is found."""


class FastPath:
    """Answers plain calls of the targets of one broker, which it borrows."""

    def __init__(self, broker: FileBroker, decider: Decider, allowed: Collection[tuple[int, int]]) -> None:
        """
        Ask *decider* about names; *allowed*: the calls (ABI, number) that nobody else decides about.

        Raises OSError.
        """
        actor, self._run, self._receiver, self._mounts, self._calls = broker.plain()
        self._actor = actor
        self._changing = Lanes(actor, self._mounts, *broker.changing())
        self._accesses = tuple({call.access: None for call in self._calls.values()})
        self.answered = 0
        """How many calls the last ``answer`` has answered."""
        self.sent = 0
        """What became of the last of these answers: 0 or a negative errno."""
        self.owed: RawNotification | None = None
        """What it had received when it raised."""
        self._left = 0
        self._ended = False
        self.use(decider, allowed)

    def use(self, decider: Decider, allowed: Collection[tuple[int, int]]) -> None:
        """Ask *decider* from now on, about *allowed* and no other calls."""
        self._decider = decider
        self._allowed: Collection[tuple[int, int]] = () if self._ended else allowed
        self._changers: Mapping[tuple[int, int], Answer] = self._changing.use(decider, self._allowed)
        self._forget()

    def end(self) -> None:
        """Answer nothing any more: it is not known of each thread that it has our rights and our view."""
        self._ended = True
        self.use(self._decider, ())

    def _forget(self) -> None:
        """Ask again about everything: the decider, or the mounts, are others."""
        self._among = self._mounts.plain
        calls = only_straight(self._calls) if self._decider.hides else self._calls
        plain = {key: self._plain(call) for key, call in calls.items() if key in self._allowed}
        self._run.use(plain, self._mounts.further)

    def _plain(self, call: PlainCall) -> FastCall:
        return FastCall(
            call.path,
            call.directory,
            -1 if call.flags is None else call.flags,
            -1 if call.buffer is None else call.buffer,
            call.act,
            call.argument,
            self._accesses.index(call.access),
            call.looks,
        )

    def answer(self, raw: RawNotification, most: int, linger: int) -> RawNotification | int:
        """
        Answer *raw* and what comes behind it, while it is plain: *most* calls at the most.

        It blocks for the next one *linger* milliseconds at the most, and ``LINGERINGS`` times that in all.
        Returns what was received and not answered, which is *raw* itself where that is not plain; or why there is
        nothing.
        """
        self.answered = self.sent = 0
        if raw[0] == self._left or not self._receiver.is_open:
            return raw
        self.owed = raw
        if self._mounts.plain is not self._among:
            self._forget()
        self._run.hold(raw)
        self._actor.be_patient(linger, monotonic() + LINGERINGS * linger / 1000)
        return self._answer_all(most)

    def _answer_all(self, most: int) -> RawNotification | int:
        run, said = self._run, UNSAID
        while True:
            why = run.go(said, most - self.answered)
            self.answered += run.answered
            if why == NOTHING:
                self.sent = run.sent
                return run.received
            self.owed = raw = run.notification()
            if why == RECEIVED:
                self.sent = run.sent
                return raw
            if why == ASKS:
                said = self._ask(raw, run.found())
                continue
            if why == STALE:
                self._mounts.read()
                break
            following = self._answer_changing(raw)
            if following is None:
                break
            self.answered += 1
            if not isinstance(following, tuple) or self.answered == most or self.sent:
                return following
            self.owed, said = following, UNSAID
        self._left = raw[0]  # it is not looked at here again
        return raw

    def _answer_changing(self, raw: RawNotification) -> RawNotification | int | None:
        changing = self._changers.get((raw[4], raw[3]))
        if changing is None:
            return None
        self._actor.sent = 0
        following = changing(raw)
        self.sent = 0 if following is None else self._actor.sent
        return following

    def _ask(self, raw: RawNotification, plain: Plain) -> int:
        """Return what is said of what was found for *raw*; whatever goes wrong, nothing is left open."""
        try:
            return self._said(self._calls[raw[4], raw[3]].access, plain)
        except BaseException:
            self._actor.drop()
            raise

    def _said(self, access: str, plain: Plain) -> int:
        if plain.mount not in self._among:
            return ELSEWHERE
        directory = plain.kind == "directory"
        if access == _OPENED:
            if plain.kind == "other":
                return ELSEWHERE
            access = "list" if directory else "read"
        if self._decider(access, plain.name, directory=directory).errno:
            return ELSEWHERE
        return MISSING if plain.kind == "missing" else ALLOWED
