"""
The fast path of a policy's tables: the plainest calls, allowed by the name of what they lead to, are answered at once.

What it is not: another meaning.  It opens for reading, and looks at, what has one name that can be believed and is
allowed by it.  Whatever else there may be is left to the long way (``paths``, and the broker), untouched, and that
begins anew.  So each None here costs time only; what is answered here has to be what the long way answers.
"""

from __future__ import annotations

from collections.abc import Collection
from errno import ENOENT, ESTALE
from typing import Final

from monitor.broker.broker import FileBroker
from monitor.broker.plain import Plain, PlainCall
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


class FastPath:
    """Answers plain calls of the targets of one broker, which it borrows."""

    def __init__(self, broker: FileBroker, decider: Decider, allowed: Collection[tuple[int, int]]) -> None:
        """Ask *decider* about names; *allowed*: the calls (ABI, number) of which registers decide nothing."""
        self._looker, self._receiver, self._mounts, self._calls = broker.plain()
        self.use(decider, allowed)

    def use(self, decider: Decider, allowed: Collection[tuple[int, int]]) -> None:
        """Ask *decider* from now on, about *allowed* and no other calls."""
        self._decider = decider
        self._allowed = allowed
        self._forget()

    def _forget(self) -> None:
        """Ask again about everything: the decider, or the mounts, are others."""
        self._among = self._mounts.plain
        self._plain: dict[tuple[int, int], tuple[PlainCall, dict[bytes, int]]] = {
            key: (call, {}) for key, call in self._calls.items() if key in self._allowed
        }

    @property
    def sent(self) -> int:
        """What became of the last answer: 0 or a negative errno."""
        return self._looker.sent

    def answer(self, raw: RawNotification) -> RawNotification | int | None:
        """Answer *raw* and receive the next, or why there is none; None: the long way has to."""
        plain = self._plain.get((raw[4], raw[3]))
        if plain is None or not self._receiver.is_open:
            return None
        call, kept = plain
        flags = 0 if call.flags is None else raw[_REGISTERS + call.flags] & 0xFFFFFFFF
        look = call.looks.get(flags)
        if look is None:
            return None
        found = self._looker.look(call.path, call.directory, look | self._mounts.further)
        if found.__class__ is bytes:
            said = kept.get(found) if self._mounts.plain is self._among else None
            if said is None:
                said = self._ask(call, kept, found)
            return self._answered(raw, call, flags, said)
        if found == -ESTALE:
            self._mounts.read()
        return None

    def _answered(self, raw: RawNotification, call: PlainCall, flags: int, said: int) -> RawNotification | int | None:
        """Answer *raw* with what was looked up, where that is what was *said* of it."""
        looker = self._looker
        if said == ALLOWED:
            if call.buffer is None:
                return looker.answer_open(flags)
            return looker.answer_status(raw[_REGISTERS + call.buffer])
        if said == MISSING:
            return looker.answer_error(raw[0], -ENOENT)
        looker.drop()
        return None

    def _ask(self, call: PlainCall, kept: dict[bytes, int], found: bytes) -> int:
        """Return what is said of what was *found*, and keep it; whatever goes wrong, nothing is left open."""
        if self._mounts.plain is not self._among:
            self._forget()
        elif len(kept) >= KEPT:
            kept.clear()
        try:
            said = self._said(call, Plain.of(found))
        except BaseException:
            self._looker.drop()
            raise
        if len(found) <= KEPT_BYTES:
            kept[found] = said
        return said

    def _said(self, call: PlainCall, plain: Plain) -> int:
        if plain.mount not in self._among:
            return ELSEWHERE
        directory = plain.kind == "directory"
        access = call.access
        if not access:  # an open; room for an fd comes before what is missing
            if plain.kind in {"other", "missing"}:
                return ELSEWHERE
            access = "list" if directory else "read"
        if self._decider(access, plain.name, directory=directory).errno:
            return ELSEWHERE
        return MISSING if plain.kind == "missing" else ALLOWED
