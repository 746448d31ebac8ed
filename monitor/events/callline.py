"""
The lines of calls that run on, written by hand: what ``jsonl`` says of them, several times faster.

What it is not: another format.  A test compares it with what ``json.dumps`` makes of ``jsonl.record_of``.

What is the same for one call after another (who made it, which call it is, how it was decided) is kept
as text, by all that the text is made of.
"""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, Final, TypeVar, cast

from monitor.events.fields import Json, as_json, call_fields, decided_fields, said_fields, text_of, who_fields
from monitor.events.known import NOBODY, KnownThreads, Names
from monitor.events.lines import Lines
from monitor.notify.account import By, Outcome
from monitor.notify.decode import Call
from monitor.notify.look import Look
from monitor.notify.target import glimpsed

if TYPE_CHECKING:
    from monitor.notify.render import Rendered

KEPT: Final = 1024
"""How many texts of each kind are kept; then all of them are forgotten."""

Key = TypeVar("Key")


class CallTexts:
    """The texts that the lines of one stream are made of."""

    def __init__(self, schema: int, container: str | None) -> None:
        """Every line says *schema* and *container*."""
        self._constant: dict[str, Json] = {"container": None if container is None else text_of(container)}
        self.form = (
            f'{{"schema":{schema},"seq":%d,"ts":%.6f,"event":"call",%s,%s,'
            '"args":["0x%x","0x%x","0x%x","0x%x","0x%x","0x%x"],%s,%s,"latency_us":%.1f}\n'
        )
        """A line, but for: its number, the time, who, which, six registers, what was said, how it was decided, us."""
        self._who: dict[tuple[int, Names], str] = {}
        self._which: dict[tuple[int, int], str] = {}
        self._decided: dict[tuple[By, str | None, bool, bool], str] = {}
        self.nothing_said: Final = _inside(said_fields(None, None, ""))

    def who(self, tid: int, names: Names) -> str:
        """Return who made a call."""
        text = self._who.get((tid, names))
        if text is None:
            text = _kept(self._who, (tid, names), who_fields(tid, names.pid, names.comm, names.exe) | self._constant)
        return text

    def which(self, call: Call) -> str:
        """Return which call it was."""
        key = call.audit_arch, call.nr  # numbers, whose hash is nothing, and not an Arch, whose hash is Python
        return self._which.get(key) or _kept(self._which, key, call_fields(call.arch, call.nr, call.name))

    def said(self, rendered: Rendered | None, call: Call) -> str:
        """Return what it said in words."""
        if rendered is None:
            return self.nothing_said
        return _inside(said_fields(rendered, call.arch, call.name))

    def decided(self, outcome: Outcome, *, observed: bool, delivered: bool) -> str:
        """Return how it was decided to let the call run."""
        if outcome.rule is not None or outcome.would is not None or outcome.path is not None or outcome.scope:
            return _inside(decided_fields(outcome, result=None, observed=observed, delivered=delivered))
        key = outcome.by, outcome.handler, observed, delivered
        text = self._decided.get(key)
        if text is None:
            fields = decided_fields(outcome, result=None, observed=observed, delivered=delivered)
            text = _kept(self._decided, key, fields)
        return text


class CallScribe:
    """Writes down the calls of one run; what it writes to is borrowed."""

    def __init__(self, lines: Lines, texts: CallTexts, threads: KnownThreads, look: Look | None) -> None:
        """Show as much of each call as *look* wants."""
        self._lines = lines
        self._texts = texts
        self._threads = threads
        self._look = look
        self._wordless: set[tuple[int, int]] = set()

    def look(self, call: Call) -> tuple[Names, Rendered | None]:
        """Note who makes *call*, and what it says, where it says anything."""
        names = self._threads.names(call)
        if self._look is None or (call.audit_arch, call.nr) in self._wordless:
            return names, None
        return names, self._rendered(call, self._look)

    def _rendered(self, call: Call, look: Look) -> Rendered | None:
        try:
            from monitor.notify.render import has_words, render  # noqa: PLC0415  # it is much, and may not be needed
        except OSError:  # we have no fd to read a module with: the next call may find one
            return None
        if not has_words(call.name, call.arch):
            self._wordless.add((call.audit_arch, call.nr))
            return None
        return render(call.name, call.arch, call.registers, glimpsed(call.target), look)

    def tell(self, call: Call, outcome: Outcome, noted: object, seconds: float, *, delivered: bool) -> None:
        """Write down a call that runs on."""
        lines, texts = self._lines, self._texts
        if not lines.ready():
            lines.drop()
            return
        names, rendered = cast("tuple[Names, Rendered | None]", noted or (NOBODY, None))
        line = texts.form % (
            lines.number,
            time(),
            texts.who(call.tid, names),
            texts.which(call),
            *call.registers,
            texts.nothing_said if rendered is None else texts.said(rendered, call),
            texts.decided(outcome, observed=call.looked, delivered=delivered),
            seconds * 1e6,
        )
        lines.put(line.encode("ascii"))


def _kept(texts: dict[Key, str], key: Key, fields: dict[str, Json]) -> str:
    """Return *fields* as text, which is kept."""
    if len(texts) >= KEPT:
        texts.clear()
    text = texts[key] = _inside(fields)
    return text


def _inside(fields: dict[str, Json]) -> str:
    """Return *fields* as they stand in an object, between its brackets."""
    return as_json(fields)[1:-1]
