"""
Faults in what programs are told: lines that are lost or torn, fields that lie, and denials that say too much.

What it is not: their planting (``test_mutants``).
"""

from __future__ import annotations

from typing import Final

from tests.mutants.mutant import Mutant

LINES: Final = ("tests/events/test_lines.py",)
JSON: Final = ("tests/events/test_jsonl.py", "tests/events/test_callline.py")
DENIALS: Final = ("tests/events/test_denials.py", "tests/kernel/test_denials.py")

EVENTS_MUTANTS: Final = (
    Mutant(
        "a line is torn where there is room for a part of it",
        "monitor/events/lines.py",
        "        self._held += line[done:]\n",
        "        self._held += line\n",
        LINES,
    ),
    Mutant(
        "more is held than there is capacity for",
        "monitor/events/lines.py",
        "        if not done and len(self._held) + len(line) > self._capacity:\n",
        "        if not done and len(self._held) > self._capacity:\n",
        LINES,
    ),
    Mutant(
        "a line of which a part is written is dropped",
        "monitor/events/lines.py",
        "        if not done and len(self._held) + len(line) > self._capacity:\n",
        "        if len(self._held) + len(line) > self._capacity:\n",
        LINES,
    ),
    Mutant(
        "dropped lines are not marked",
        "monitor/events/lines.py",
        "            self._held += self._mark(self._missing, self.number)\n",
        "            self._mark(self._missing, self.number)\n",
        LINES,
    ),
    Mutant(
        "a mark has no number of its own",
        "monitor/events/lines.py",
        "            self._held += self._mark(self._missing, self.number)\n            self.number += 1\n",
        "            self._held += self._mark(self._missing, self.number)\n",
        LINES,
    ),
    Mutant(
        "lines go on before the mark of those that are missing",
        "monitor/events/lines.py",
        "        return self._is_open and not self._missing\n",
        "        return self._is_open\n",
        LINES,
    ),
    Mutant(
        "a reader that is gone ends the run",
        "monitor/events/lines.py",
        "                self._give_up(error)\n                return\n            if done",
        "                raise\n            if done",
        LINES,
    ),
    Mutant(
        "a reader that does not read holds up the end",
        "monitor/events/lines.py",
        "        with trio.CancelScope(deadline=trio.current_time() + seconds, shield=True):\n",
        "        with trio.CancelScope(shield=True):\n",
        LINES,
    ),
    Mutant(
        "what is held is lost at the end",
        "monitor/events/lines.py",
        "            self._flush()\n            while self._is_open and self._held:\n",
        "            while self._is_open and self._held and not self._held:\n",
        LINES,
    ),
    Mutant(
        "a passed pipe is made not to block for its owner",
        "monitor/events/opening.py",
        "    reopened = _opened_again(owned_fd, name)\n",
        "    reopened = os.dup(owned_fd); os.set_blocking(reopened, False)\n",
        LINES,
    ),
    Mutant(
        "a write to a socket waits",
        "monitor/events/opening.py",
        "_SEND_FLAGS: Final = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL",
        "_SEND_FLAGS: Final = socket.MSG_NOSIGNAL",
        LINES,
    ),
    Mutant(
        "a FIFO without a reader is waited for",
        "monitor/events/opening.py",
        "os.O_TRUNC | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY",
        "os.O_TRUNC | os.O_CLOEXEC | os.O_NOCTTY",
        LINES,
    ),
    Mutant(
        "what the program writes to its connection is kept for us",
        "monitor/events/opening.py",
        "    ours.shutdown(socket.SHUT_RD)",
        "    ours.fileno()",
        (*LINES, *DENIALS),
    ),
    Mutant(
        "a datagram socket is taken for a stream",
        "monitor/events/opening.py",
        "        if one.type != socket.SOCK_STREAM:\n",
        "        if False:\n",
        LINES,
    ),
    Mutant(
        "bytes that are no text are told as question marks",
        "monitor/events/fields.py",
        '        return {"b64": b64encode(data).decode("ascii")}\n',
        '        return data.decode("ascii", "replace")\n',
        JSON,
    ),
    Mutant(
        "a refusal of a done call has the value for its errno",
        "monitor/events/fields.py",
        "        number, value = (-result, -1) if result < 0 else (None, result)\n",
        "        number, value = None, result\n",
        JSON,
    ),
    Mutant(
        "a line by hand keeps who made the last call",
        "monitor/events/callline.py",
        "        if names is last_names and tid == last_tid:\n",
        "        if names is last_names:\n",
        JSON,
    ),
    Mutant(
        "a line by hand forgets whether the call was looked at",
        "monitor/events/callline.py",
        "        key = outcome.by, outcome.handler, observed, delivered\n",
        "        key = outcome.by, outcome.handler, False, delivered\n",
        JSON,
    ),
    Mutant(
        "memory of another thread is told as that of one that has gone",
        "monitor/events/callline.py",
        "        if rendered is not None and not delivered and self._look is not None:\n",
        "        if False:\n",
        JSON,
    ),
    Mutant(
        "a thread that has another's number has its name",
        "monitor/events/known.py",
        "            if now < known.name_until and place in known.places:\n",
        "            if True:\n",
        ("tests/events/test_known.py",),
    ),
    Mutant(
        "every thread that made a call costs a descriptor for good",
        "monitor/events/known.py",
        "        if len(self._known) >= KEPT:\n",
        "        if False:\n",
        ("tests/events/test_known.py",),
    ),
    Mutant(
        "a full subscription grows",
        "monitor/events/hub.py",
        "        if self._held >= self._capacity:\n",
        "        if False:\n",
        ("tests/events/test_hub.py",),
    ),
    Mutant(
        "a subscription does not say what it dropped",
        "monitor/events/hub.py",
        "            self._events.append(Dropped(count=self._missing))\n",
        "            pass\n",
        ("tests/events/test_hub.py",),
    ),
    Mutant(
        "a program is told of what is hidden from it",
        "monitor/events/denials.py",
        "    return event.hidden or (",
        "    return (",
        DENIALS,
    ),
    Mutant(
        "a program is told of a name that is said not to be there",
        "monitor/events/denials.py",
        "event.path is not None and event.verdict == Deny(ENOENT))",
        "event.path is not None and False)",
        DENIALS,
    ),
    Mutant(
        "a program is told what its descriptors are open on as we see it",
        "monitor/events/denials.py",
        "    return plain._replace(texts=tuple(texts), strings=seen.strings)\n",
        "    return seen\n",
        DENIALS,
    ),
    Mutant(
        "a program in another pid namespace is told our numbers of its threads",
        "monitor/events/denials.py",
        '            "tid": event.tid if self._with_tids else None,\n',
        '            "tid": event.tid,\n',
        DENIALS,
    ),
    Mutant(
        "a program is told of refusals that it never got",
        "monitor/events/denials.py",
        "        if not event.delivered or _pretends(event):\n",
        "        if _pretends(event):\n",
        DENIALS,
    ),
    Mutant(
        "a program is told of a rule that is in force no more",
        "monitor/denials.py",
        "            return None if event.path is not None or event.access else Explained()\n",
        "            return Explained()\n",
        DENIALS,
    ),
)
