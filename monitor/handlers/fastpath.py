"""
The fast path of a policy's tables: the plainest calls, allowed by the name of what they lead to, are answered at once.

What it is not: another meaning.  It opens for reading, and looks at, what has one name that can be believed and is
allowed by it.  Whatever else there may be is left to the long way (``paths``, and the broker), untouched, and that
begins anew.  So what is left costs time only; what is answered has to be what the long way answers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from errno import ENOENT, ESTALE
from typing import Final, NamedTuple

from monitor.broker.broker import FileBroker
from monitor.broker.plain import Plain, PlainCall, only_straight
from monitor.handlers.lanes import Answer, Lanes
from monitor.handlers.paths import Decider
from monitor.notify.listener import RawNotification

_REGISTERS: Final = 6
"""Where the registers begin in a ``RawNotification``."""

KEPT: Final = 4096
"""How many answers of the decider are kept for each call,"""

KEPT_BYTES: Final = 512
"""and of what length: names are the target's to choose, our memory is not."""

ALLOWED: Final = 1
MISSING: Final = 2
"""What is kept: that it is allowed, and there; or that it may be known that it is not."""

ELSEWHERE: Final = 0
"""Or that the long way has to decide."""


class Lane(NamedTuple):
    """
    A plain call, as the loop wants it.

    Attributes:
        path, directory: as ``PlainCall`` has them.
        flags, buffer: where they stand in a ``RawNotification``; 0: nowhere.
        looks: as ``PlainCall`` has them.
        kept: what was said of what was found.
        access, act, argument: as ``PlainCall`` has them.
        changing: who answers it with other flags; None: nobody.
    """

    path: int
    directory: int
    flags: int
    buffer: int
    looks: Mapping[int, int]
    kept: dict[bytes, int]
    access: str
    act: int
    argument: int
    changing: Answer | None


class FastPath:
    """Answers plain calls of the targets of one broker, which it borrows."""

    def __init__(self, broker: FileBroker, decider: Decider, allowed: Collection[tuple[int, int]]) -> None:
        """Ask *decider* about names; *allowed*: the calls (ABI, number) that nobody else decides about."""
        self._looker, self._receiver, self._mounts, self._calls = broker.plain()
        self._changing = Lanes(self._looker, self._mounts, *broker.changing())
        self.answered = 0
        """How many calls the last ``answer`` has answered."""
        self.owed: RawNotification | None = None
        """What it had received when it raised."""
        self._left = 0
        self._ended = False
        self.use(decider, allowed)

    def use(self, decider: Decider, allowed: Collection[tuple[int, int]]) -> None:
        """Ask *decider* from now on, about *allowed* and no other calls."""
        self._decider = decider
        self._allowed: Collection[tuple[int, int]] = () if self._ended else allowed
        self._others = self._changing.use(decider, self._allowed)
        self._forget()

    def end(self) -> None:
        """Answer nothing any more: it is not known of each thread that it has our rights and our view."""
        self._ended = True
        self.use(self._decider, ())

    def _forget(self) -> None:
        """Ask again about everything: the decider, or the mounts, are others."""
        self._among = self._mounts.plain
        others = self._others
        calls = only_straight(self._calls) if self._decider.hides else self._calls
        self._lanes = {key: _lane(call, others.get(key)) for key, call in calls.items() if key in self._allowed}
        self._lanes.update({key: _ONLY_CHANGING._replace(changing=others[key]) for key in others.keys() - self._lanes})

    @property
    def sent(self) -> int:
        """What became of the last answer: 0 or a negative errno."""
        return self._looker.sent

    def answer(self, raw: RawNotification, most: int) -> RawNotification | int:
        """
        Answer *raw* and what comes behind it, as long as it is plain: *most* calls at the most.

        Returns what was received and not answered, which is *raw* itself where that is not plain; or why there is
        nothing.
        """
        self.answered = 0
        self._looker.sent = 0
        if raw[0] == self._left or not self._receiver.is_open:
            return raw
        self.owed = raw
        return self._answer_all(raw, most)

    def _answer_all(self, raw: RawNotification, most: int) -> RawNotification | int:
        """Do so, in one loop: each function less is a tenth of a microsecond, and three with cold caches."""
        mounts, lanes, looker = self._mounts, self._lanes, self._looker
        look, answer_open = looker.look, looker.answer_open
        while True:
            lane = lanes.get((raw[4], raw[3]))
            if lane is None:
                break
            path, directory, flags, buffer, looks, kept, access, act, argument, changing = lane
            given = raw[flags] & 0xFFFFFFFF if flags else 0
            how = looks.get(given)
            if how is None:
                following = None if changing is None else changing(raw)
            else:
                found = look(path, directory, how | mounts.further)
                if not isinstance(found, bytes):
                    if found == -ESTALE:
                        mounts.read()
                    break
                said = kept.get(found) if mounts.plain is self._among else None
                if said is None:
                    said = self._ask(access, kept, found)
                    lanes = self._lanes
                if said == ALLOWED and not access:
                    following = answer_open(given)
                else:
                    following = self._answer_look(raw, said, buffer, act, argument)
            if following is None:
                break
            self.answered += 1
            if not isinstance(following, tuple) or self.answered == most or looker.sent:
                return following
            self.owed = raw = following
        self._left = raw[0]  # it is not looked at here again
        return raw

    def _answer_look(
        self, raw: RawNotification, said: int, buffer: int, act: int, argument: int
    ) -> RawNotification | int | None:
        """Answer *raw*, where it may be known whether anything is there, or where that is what was *said* of it."""
        looker = self._looker
        if said == ELSEWHERE:
            looker.drop()
            return None
        if act:
            return looker.answer_act(act, argument)
        if said == ALLOWED:
            return looker.answer_status(raw[buffer])
        return looker.answer_error(raw[0], -ENOENT) if buffer else looker.answer_missing()

    def _ask(self, access: str, kept: dict[bytes, int], found: bytes) -> int:
        """Return what is said of what was *found*, and keep it; whatever goes wrong, nothing is left open."""
        if self._mounts.plain is not self._among:
            self._forget()
        elif len(kept) >= KEPT:
            kept.clear()
        try:
            said = self._said(access, Plain.of(found))
        except BaseException:
            self._looker.drop()
            raise
        if len(found) <= KEPT_BYTES:
            kept[found] = said
        return said

    def _said(self, access: str, plain: Plain) -> int:
        if plain.mount not in self._among:
            return ELSEWHERE
        directory = plain.kind == "directory"
        if not access:  # an open
            if plain.kind == "other":
                return ELSEWHERE
            access = "list" if directory else "read"
        if self._decider(access, plain.name, directory=directory).errno:
            return ELSEWHERE
        return MISSING if plain.kind == "missing" else ALLOWED


def _lane(call: PlainCall, changing: Answer | None) -> Lane:
    flags = 0 if call.flags is None else _REGISTERS + call.flags
    buffer = 0 if call.buffer is None else _REGISTERS + call.buffer
    return Lane(
        call.path, call.directory, flags, buffer, call.looks, {}, call.access, call.act, call.argument, changing
    )


_ONLY_CHANGING: Final = Lane(0, -1, 0, 0, {}, {}, "", 0, 0, None)
"""Of a call that changes something whatever its flags are."""
