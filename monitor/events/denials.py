"""
Tells a program why its calls were refused: JSON Lines, over a connection of its own.

What it is not: the supervisor's log.  A line holds nothing that the program could not know: the words of its
own call, the answer that it got, and what whoever wrote the policy has to say to it.  Nothing that the
program does with its end of the connection, reading, filling, closing or giving it away, holds anything up.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from errno import ENOENT
from typing import TYPE_CHECKING, Final, NamedTuple

from monitor.abi.constants import errno_name
from monitor.events.fields import Json, as_json, call_fields, said_fields, text_of
from monitor.events.hub import Wish
from monitor.events.lines import Lines
from monitor.events.opening import Opened
from monitor.events.record import CallAnswered, Event
from monitor.notify.look import DEFAULT_LOOK
from monitor.notify.memory import NoMemory
from monitor.notify.verdict import Deny, Kill

if TYPE_CHECKING:
    from monitor.notify.render import Rendered

SCHEMA: Final = 1

CAPACITY: Final = 1 << 16
"""How many bytes are held for a program that does not read, besides what its socket holds."""

_NAMES_OF_OURS: Final = "if_nametoindex("
"""In an address that is shown: the name of an interface, as our network has it, and maybe not the program's."""


class Explained(NamedTuple):
    """
    What may be said of the rule that refused a call.

    Attributes:
        rule: its key; None: no rule did.
        reason: what is written beside it, or nothing.
        condition: on which registers it depends.
        access: the class of access that it is about.
        allowed: what would be allowed instead.
        more: how much more would be.
    """

    rule: str | None = None
    reason: str = ""
    condition: str | None = None
    access: str = ""
    allowed: tuple[str, ...] = ()
    more: int = 0


class DenialLines:
    """A sink that tells the program of its refused calls; it owns our end of the connection."""

    wish = Wish(refusals_only=True, comm=False)

    def __init__(self, opened: Opened, *, with_tids: bool) -> None:
        """Write to *opened*; *with_tids*: the numbers of threads that we see are those that the program sees."""
        self.explain: Callable[[CallAnswered], Explained | None] = _unexplained
        """What is said of the rule of a refusal; None: of this refusal nothing is told."""
        self._with_tids = with_tids
        self._lines = Lines(opened, capacity=CAPACITY, mark=_mark, tell=None)

    def __call__(self, event: Event) -> None:
        """Tell of *event*, if it is a refusal that the program got and is to know of."""
        if not isinstance(event, CallAnswered) or not isinstance(event.verdict, Deny | Kill):
            return
        if not event.delivered or _pretends(event):
            return
        explained = self.explain(event)
        if explained is None:
            return
        if self._lines.ready():
            self._lines.put(self._line(event, explained))
        else:
            self._lines.drop()

    def _line(self, event: CallAnswered, explained: Explained) -> bytes:
        number = event.verdict.errno if isinstance(event.verdict, Deny) else None
        allowed: list[Json] = [text_of(one) for one in explained.allowed]
        fields: dict[str, Json] = {
            **_head("denial", self._lines.number, event.time),
            "tid": event.tid if self._with_tids else None,
            **call_fields(event.arch, event.nr, event.name),
            **said_fields(_own_words(event), event.arch, event.name),
            "verdict": "deny" if number is not None else "kill",
            "errno": number,
            "errno_name": None if number is None else errno_name(number),
            "by": event.by,
            "rule": None if explained.rule is None else text_of(explained.rule),
            "reason": text_of(explained.reason) if explained.reason else None,
            "when": None if explained.condition is None else text_of(explained.condition),
            "access": explained.access or None,
            "allowed": allowed,
            "more": explained.more,
        }
        return as_json(fields).encode("ascii") + b"\n"

    async def serve(self) -> None:
        """Write what is held whenever the program has made room for it."""
        await self._lines.serve()

    async def finish(self) -> None:
        """Close the connection: nobody waits for a program that has ended, or is being ended."""
        self._lines.close()


def _pretends(event: CallAnswered) -> bool:
    """Whether the answer says that there is nothing: then a word about it would say that there is something."""
    return event.hidden or (event.by != "handler" and event.path is not None and event.verdict == Deny(ENOENT))


def _unexplained(_event: CallAnswered) -> Explained:
    return Explained()


def _head(event: str, number: int, moment: float) -> dict[str, Json]:
    return {"schema": SCHEMA, "seq": number, "ts": round(moment, 6), "event": event}


def _mark(count: int, number: int) -> bytes:
    return as_json({**_head("dropped", number, time.time()), "count": count}).encode("ascii") + b"\n"


def _own_words(event: CallAnswered) -> Rendered:
    """
    Return the call in words that are the program's own: its registers, its strings, its addresses.

    What else another sink has wished for is left out: what a descriptor is open on is a name in our view.
    """
    from monitor.notify.render import render  # noqa: PLC0415  # most runs refuse nothing

    plain = render(event.name, event.arch, event.args, NoMemory(), DEFAULT_LOOK)
    seen = event.rendered
    if seen is None:
        return plain
    shown = dict(zip(seen.names, seen.texts, strict=False))
    addresses = {name for name, text in shown.items() if text.startswith("{sa_family=") and _NAMES_OF_OURS not in text}
    texts = [shown[name] if name in addresses else text for name, text in zip(plain.names, plain.texts, strict=False)]
    return plain._replace(texts=tuple(texts), strings=seen.strings)
