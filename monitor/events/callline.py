"""
The lines of calls that run on, written by hand: what ``jsonl`` says of them, several times faster.

What it is not: another format.  A test compares it with what ``json.dumps`` makes of ``jsonl.record_of``.

What is the same for one call after another (who made it, which call it is, how it was decided) is kept
as text, by all that the text is made of.
"""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias, TypeVar, cast

from monitor.events.fields import Json, as_json, call_fields, decided_fields, said_fields, text_of, who_fields
from monitor.events.known import NOBODY, KnownThreads, Names
from monitor.events.lines import Lines
from monitor.notify.account import By, Outcome
from monitor.notify.decode import Call
from monitor.notify.look import Look
from monitor.notify.memory import KernelMemory, Memory, NoMemory, PeekedMemory
from monitor.notify.target import glimpsed

if TYPE_CHECKING:
    from monitor.notify.render import Rendered

KEPT: Final = 1024
"""How many texts of each kind are kept; then all of them are forgotten."""

Key = TypeVar("Key")
Value = TypeVar("Value")


class Which(NamedTuple):
    """
    One call of one ABI.

    Attributes:
        text: the fields that say which.
        has_words: whether it has arguments that can be shown.
    """

    text: str
    has_words: bool


class CallTexts:
    """The texts that the lines of one stream are made of."""

    def __init__(self, schema: int, container: str | None) -> None:
        """Every line says *schema* and *container*."""
        self._constant: dict[str, Json] = {"container": None if container is None else text_of(container)}
        self.form = (
            f'{{"schema":{schema},"seq":%d,"ts":%d.%06d,"event":"call",%s,%s,'
            '"args":["0x%x","0x%x","0x%x","0x%x","0x%x","0x%x"],%s,%s,"latency_us":%.1f}\n'
        )
        """
        A line, but for what is different each time.

        That is: number, second, microsecond, who, which, six registers, what was said, how it was decided, us.
        """
        self._who: dict[tuple[int, Names], str] = {}
        self.known: dict[tuple[int, int], Which] = {}
        """Calls that ``which`` has been asked for, by audit value and number."""
        self._last: tuple[int, Names, str] = (0, NOBODY, _inside(who_fields(0, 0, "", b"") | self._constant))
        self._decided: dict[tuple[By, str | None, bool, bool], str] = {}
        self.nothing_said: Final = _inside(said_fields(None, None, ""))

    def who(self, tid: int, names: Names) -> str:
        """Return who made a call; mostly it is who made the last one."""
        last_tid, last_names, text = self._last
        if names is last_names and tid == last_tid:
            return text
        found = self._who.get((tid, names))
        if found is None:
            fields = who_fields(tid, names.pid, names.comm, names.exe) | self._constant
            found = _kept(self._who, (tid, names), _inside(fields))
        self._last = tid, names, found
        return found

    def which(self, call: Call) -> Which:
        """Return which call it is, and whether it has anything to say in words.  Raises OSError: we have no fd left."""
        key = call.audit_arch, call.nr  # numbers, whose hash is nothing, and not an Arch, whose hash is Python
        found = self.known.get(key)
        if found is None:
            from monitor.notify.render import has_words  # noqa: PLC0415  # it is much, and may not be needed

            text = _inside(call_fields(call.arch, call.nr, call.name))
            found = _kept(self.known, key, Which(text, has_words(call.name, call.arch)))
        return found

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
            text = _kept(self._decided, key, _inside(fields))
        return text


Noted: TypeAlias = "tuple[Names, Which, Rendered | None]"


class CallScribe:
    """Writes down the calls of one run; what it writes to is borrowed."""

    def __init__(self, lines: Lines, texts: CallTexts, threads: KnownThreads, look: Look | None) -> None:
        """Show as much of each call as *look* wants."""
        self._lines = lines
        self._texts = texts
        self._threads = threads
        self._look = look
        self._memory = PeekedMemory()

    def look(self, call: Call) -> Noted | Literal[False]:
        """Note who makes *call*, and what it says, where it says anything; False: its line will be dropped."""
        if self._lines.waits and not self._lines.ready():
            return False
        names = self._threads.names(call)
        raw = call._raw  # noqa: SLF001  # hot: no properties
        which = self._texts.known.get((raw[4], raw[3])) or self._texts.which(call)
        look = self._look
        if look is None or not which[1]:
            return names, which, None
        memory = glimpsed(call.target)
        if isinstance(memory, KernelMemory):
            self._memory.tid = memory.tid
            memory = self._memory
        return names, which, _rendered(call, memory, look)

    def tell(self, call: Call, outcome: Outcome, noted: object, seconds: float, *, delivered: bool) -> None:
        """Write down a call that runs on."""
        lines, texts = self._lines, self._texts
        if noted is False or (lines.waits and not lines.ready()):
            lines.drop()
            return
        if noted is None:
            noted = NOBODY, texts.which(call), None
        names, which, rendered = cast("Noted", noted)
        if rendered is not None and not delivered and self._look is not None:
            rendered = _rendered(call, NoMemory(), self._look)  # what was peeked at may be another thread's
        raw = call._raw  # noqa: SLF001  # hot: no properties
        second, microsecond = divmod(time_ns() // 1000, 1_000_000)
        line = texts.form % (
            lines.number,
            second,
            microsecond,
            texts.who(raw[1], names),
            which[0],
            raw[6],
            raw[7],
            raw[8],
            raw[9],
            raw[10],
            raw[11],
            texts.nothing_said if rendered is None else texts.said(rendered, call),
            texts.decided(outcome, observed=call.looked, delivered=delivered),
            seconds * 1e6,
        )
        lines.put(line.encode("ascii"))


def _rendered(call: Call, memory: Memory, look: Look) -> Rendered | None:
    try:
        from monitor.notify.render import render  # noqa: PLC0415  # likewise
    except OSError:  # we have no fd to read a module with: the next call may find one
        return None
    return render(call.name, call.arch, call.registers, memory, look)


def _kept(texts: dict[Key, Value], key: Key, value: Value) -> Value:
    """Return *value*, and keep it."""
    if len(texts) >= KEPT:
        texts.clear()
    texts[key] = value
    return value


def _inside(fields: dict[str, Json]) -> str:
    """Return *fields* as they stand in an object, between its brackets."""
    return as_json(fields)[1:-1]
