"""
The debugger's side of the control socket: shows questions on a terminal, and reads what to do about them.

What it is not: the supervision, which is another process, so that nothing waits for a person but who asked.  It
blocks wherever it likes.
"""

from __future__ import annotations

import contextlib
import os
import readline
import shlex
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from monitor.approve.wire import Json, WireError
from monitor.cli import history
from monitor.cli.connection import Connection, Ended
from monitor.cli.places import MOST, places
from monitor.cli.symbolizer import Symbolizer
from monitor.cli.terminal import Terminal
from monitor.cli.told import about_lines, asked_by, line, tried_lines, why_not_always
from monitor.cli.told import objects as _objects
from monitor.cli.told import text as _text
from monitor.cli.told import values as _values

COMMANDS: Final[Mapping[str, str]] = {
    "allow": "allow [SCOPE]            do it",
    "deny": "deny [SCOPE]             refuse it, with the errno of the policy",
    "errno": "errno NAME [SCOPE]       refuse it with another errno",
    "return": "return N [SCOPE]         do nothing, and have it return N",
    "always": "always [WHY]             allow it from now on, by a grant that is shown first; WHY stands in it",
    "next": "next                     leave it open, and show the next",
    "list": "list                     the questions that are open",
    "show": "show                     this one once more",
    "break": "break CALL [if EXPR]     stop at a call",
    "breaks": "breaks                   the breakpoints",
    "delete": "delete N                 take a breakpoint away",
    "mem": "mem ADDRESS LENGTH       bytes of its memory",
    "regs": "regs                     the registers of the call",
    "fds": "fds                      what its descriptors are open on",
    "where": "where                    where it made the call, and who called that",
    "maps": "maps                     its mappings",
    "env": "env                      the environment it was started with",
    "tree": "tree                     the processes above it",
    "rules": "rules                    which rule decides about this call, and which were tried",
    "policy": "policy                   the policy in force, and where it stands",
    "events": "events [N]               the last refusals and answers, and what went wrong",
    "kill": "kill                     end the program",
    "quit": "quit                     leave; what is asked is then denied",
    "help": "help                     this",
}
"""Command -> its line of help.  Any beginning that only one of them has is enough; an empty line repeats."""

SCOPES: Final = ("once", "process", "program", "run")

WAITS: Final = "A thread that waits for an answer takes no signal before it has one; SIGKILL ends it."

_ANSWERS: Final = frozenset({"allow", "deny", "errno", "return", "always"})

_MEM_ROW: Final = 16

PLACES: Final = 3
"""How many places of code a question shows."""

TRIED: Final = 5
"""And how many lines of the rules that were tried."""


class Debugger:
    """Questions, one at a time, and what is typed about them."""

    prompt: str = "(debug) "

    def __init__(self, connection: Connection, terminal: Terminal, *, started: bool = False) -> None:
        """
        Show what *connection* tells on *terminal*.

        *started*: by the run, and not by somebody who waits for a sign of life.  The program has the terminal
        then, and nothing is said before there is a question.
        """
        self._started = started
        self._connection = connection
        self._terminal = terminal
        self._open: dict[int, dict[str, Json]] = {}
        self._shown: int | None = None
        self._last = ""
        self._symbolizer = Symbolizer()

    def run(self) -> None:
        """Show questions until the supervisor has gone, or somebody leaves."""
        signal.signal(signal.SIGTERM, _end)  # the program has ended while somebody is to type
        if not self._started:
            self.greet()
        readline.set_completer(_complete)
        readline.parse_and_bind("tab: complete")
        history.load(os.environ)
        try:
            self._attend()
        finally:
            history.save(os.environ)

    def _attend(self) -> None:
        with contextlib.closing(self._symbolizer), contextlib.suppress(Ended):
            while True:
                self._hear(wait=True)
                while self._open:
                    with self._terminal.taken():
                        if self._started:
                            self._started = False
                            self.greet()
                        if not self._ask_all():
                            return

    def greet(self) -> None:
        """Say who is there."""
        self._say(f"debugging {_text(self._connection.hello.get('program'))}; help lists the commands. {WAITS}")

    def typed(self, number: int) -> str:  # noqa: ARG002  # for who asks otherwise
        """
        Return what is typed about question *number*; nothing: no answer yet.

        Raises EOFError: somebody leaves.
        """
        try:
            self._last = input(self.prompt).strip() or self._last or "help"
        except KeyboardInterrupt:
            self._say("\n^C does nothing here; deny refuses the call, kill ends the program, quit leaves.")
            return ""
        return self._last

    def _ask_all(self) -> bool:
        """Ask about everything that is open; False: somebody leaves."""
        while self._open:
            number = next((one for one in self._open if one != self._shown), next(iter(self._open)))
            self._shown = number
            self._terminal.take()
            self.show_question(self._open[number])
            while number in self._open:
                try:
                    typed = self.typed(number)
                except EOFError:
                    self._say("")
                    return False
                self._hear(wait=False)
                if number not in self._open:
                    break
                if not typed:
                    continue
                word, *words = _split(typed)
                if word == "quit":
                    return False
                if word == "next":
                    break
                self._obey(word, words, number)
                self._hear(wait=False)
        return True

    # ---- what is told ----

    def _hear(self, *, wait: bool) -> None:
        for told in self._connection.told(wait=wait):
            match told:
                case {"question": int(number)}:
                    self._open[number] = told
                case {"withdrawn": int(number)} if self._open.pop(number, None):
                    self._say(f"question {number} was withdrawn: nobody waits for it any more")
                case {"answered": int(number), "by": who} if self._open.pop(number, None):
                    self._say(f"question {number} was answered by {_text(who)}")
                case _:
                    pass

    # ---- what is typed ----

    def _obey(self, word: str, words: Sequence[str], number: int) -> None:
        if word not in COMMANDS:
            self._say(word or "help lists the commands")
            return
        try:
            if word in _ANSWERS:
                self._answer(word, list(words), number)
            else:
                _SHOWS[word](self, words, number)
        except WireError as error:
            self._terminal.take()
            self._say(f"not done: {error}")
        except (ValueError, IndexError):
            self._say(f"usage: {COMMANDS[word]}")

    def _answer(self, word: str, words: list[str], number: int) -> None:
        fields: dict[str, Json] = {"question": number, "verdict": "deny" if word == "errno" else word}
        if word == "errno":
            fields["errno"] = words.pop(0).upper()
        elif word == "return":
            fields["value"] = int(words.pop(0), 0)
        elif word == "always":
            why = " ".join(words)
            if not self._confirmed(number, why):
                return
            fields |= {"verdict": "allow", "scope": "always", "why": why}
            words.clear()
        if words:
            fields["scope"] = words.pop(0)
        if words:
            raise ValueError
        self._terminal.give_back()  # who goes on finds it as it was
        self._connection.request("answer", **fields)
        self._open.pop(number, None)

    def _confirmed(self, number: int, why: str) -> bool:
        """Show the grant, and have it confirmed."""
        question = self._open[number]
        suggestions = _objects(question.get("suggestions"))
        if not suggestions or "always" not in _values(question.get("scopes")):
            self._say(f"not for always: {why_not_always(question)}")
            return False
        for suggestion in suggestions:
            self._say("this grant:" if suggestion is suggestions[0] else "and this:")
            for key, value in {**suggestion, **({"why": why} if why else {})}.items():
                self._say(f"  {key} = {_text(value)}")
        with contextlib.suppress(EOFError, KeyboardInterrupt), history.forgetting():
            said = input("write it? [y/N] " if len(suggestions) == 1 else "write them? [y/N] ")
            return said.strip().lower() in {"y", "yes"}
        return False

    def _look(self, word: str, number: int, **fields: Json) -> Json:
        return self._connection.request(word, question=number, **fields)

    # ---- what is shown ----

    def _say(self, text: str) -> None:
        with contextlib.suppress(OSError):
            print(text, flush=True)

    def show_question(self, question: Mapping[str, Json]) -> None:
        """Write what is asked, by whom, and why."""
        self._say(f"\n--- question {question['question']}: {asked_by(question)} ---")
        self._say(line(question["text"]))
        for what in about_lines(question, "refuses this" if question.get("refused") else "asks"):
            self._say(f"  {what}")
        number = question["question"]
        assert isinstance(number, int)
        with contextlib.suppress(WireError):  # there is a policy to ask only where the run is debugged
            for tried in tried_lines(self._look("rules", number), TRIED):
                self._say(f"  {tried}")
        self._say(f"  otherwise: {' '.join(_text(one) for one in _values(question.get('otherwise')))}")
        if not question.get("emulated"):
            self._say("  allowed, the kernel runs it, and reads again what its pointers lead to")
        self._say(f"  program {_text(question['exe'])}, process {question['pid']}, in {_text(question['cwd'])}")
        with contextlib.suppress(WireError):
            above = _objects(self._look("tree", number))[1:]
            self._say("  below " + " < ".join(f"{_text(one.get('comm'))} ({one.get('pid')})" for one in above))
            self._say_places(question, PLACES, "  ")

    def _say_places(self, question: Mapping[str, Json], most: int, before: str) -> None:
        """Write where the call was made, and who called that, until somebody has had enough of it."""
        try:
            for place in places(self._look, self._symbolizer, question, most):
                self._say(f"{before}{place}")
        except KeyboardInterrupt:
            self._say("")

    def mem(self, words: Sequence[str], number: int) -> None:
        """Show bytes."""
        address, length = words
        start = int(address, 0)
        data = bytes.fromhex(str(self._look("mem", number, address=start, length=int(length, 0))))
        for offset in range(0, len(data), _MEM_ROW):
            row = data[offset : offset + _MEM_ROW]
            text = "".join(chr(one) if 0x20 <= one < 0x7F else "." for one in row)  # noqa: PLR2004  # ASCII
            self._say(f"{start + offset:#018x}  {row.hex(' '):<{3 * _MEM_ROW}} {text}")

    def regs(self, words: Sequence[str], number: int) -> None:  # noqa: ARG002  # as all of them
        """Show what the kernel tells of a thread that waits."""
        question = self._open[number]
        self._say(f"nr {question['nr']} ({_text(question['syscall'])}, {_text(question['arch'])})")
        for index, register in enumerate(_values(question.get("args"))):
            self._say(f"arg{index} {register}")
        with contextlib.suppress(WireError):  # who may not read that of another's program has the rest
            place = self._look("place", number)
            if isinstance(place, dict):
                self._say(f"sp   {_text(place.get('stack_pointer'))}")
        self._say(f"ip   {question['instruction_pointer']}")
        self._say("no others: the kernel tells those of the call before it is answered, and no more")

    def where(self, words: Sequence[str], number: int) -> None:
        """Show where the call was made, and who called that."""
        if words:
            raise ValueError
        self._say_places(self._open[number], MOST, "")

    def lines(self, word: str) -> Callable[[Sequence[str], int], None]:
        """Return what shows the lines that *word* asks for."""

        def show(words: Sequence[str], number: int) -> None:
            if words:
                raise ValueError
            found = self._look(word, number)
            if isinstance(found, dict):
                found = [f"{key}: {_text(value)}" for key, value in found.items()]
            for one in _values(found):
                self._say(_text(one))

        return show

    def told(self, word: str, words: Sequence[str], **fields: Json) -> None:
        """Show the lines that *word* asks for, which were made for people."""
        if words:
            raise ValueError
        for one in _values(self._connection.request(word, **fields)):
            self._say(line(one))

    def tree(self, words: Sequence[str], number: int) -> None:  # noqa: ARG002  # likewise
        """Show the processes, the nearest first."""
        for one in _objects(self._look("tree", number)):
            self._say(f"{one.get('pid')} {_text(one.get('comm'))} {_text(one.get('exe'))}")

    def questions(self, words: Sequence[str], number: int) -> None:  # noqa: ARG002  # likewise
        """Show what is open."""
        for one in self._open.values():
            mark = "*" if one["question"] == number else " "
            self._say(f"{mark} {one['question']}: {_text(one['comm'])} ({one['pid']}) {one['text']}")

    def show(self, words: Sequence[str], number: int) -> None:  # noqa: ARG002  # likewise
        """Show the question once more."""
        self.show_question(self._open[number])

    def add_breakpoint(self, words: Sequence[str], number: int) -> None:  # noqa: ARG002  # likewise
        """Stop at a call."""
        self._say(_text(self._connection.request("break", at=" ".join(words))))

    def breaks(self, words: Sequence[str], number: int) -> None:  # noqa: ARG002  # likewise
        """Show the breakpoints."""
        for one in _values(self._connection.request("breaks")):
            self._say(_text(one))

    def delete(self, words: Sequence[str], number: int) -> None:  # noqa: ARG002  # likewise
        """Take a breakpoint away."""
        (which,) = words
        self._connection.request("delete", number=int(which))

    def kill(self, words: Sequence[str], number: int) -> None:  # noqa: ARG002  # likewise
        """End the program."""
        self._connection.request("kill")

    def help(self, words: Sequence[str], number: int) -> None:  # noqa: ARG002  # likewise
        """List the commands."""
        for described in COMMANDS.values():
            self._say(described)
        self._say(f"SCOPE is {', '.join(SCOPES)}; once where none is said. An empty line repeats. {WAITS}")


_SHOWS: Final[Mapping[str, Callable[[Debugger, Sequence[str], int], None]]] = {
    "mem": Debugger.mem,
    "regs": Debugger.regs,
    "fds": lambda one, words, number: one.lines("fds")(words, number),
    "where": Debugger.where,
    "maps": lambda one, words, number: one.lines("maps")(words, number),
    "env": lambda one, words, number: one.lines("env")(words, number),
    "tree": Debugger.tree,
    "list": Debugger.questions,
    "show": Debugger.show,
    "break": Debugger.add_breakpoint,
    "breaks": Debugger.breaks,
    "delete": Debugger.delete,
    "rules": lambda one, words, number: one.told("rules", words, question=number),
    "policy": lambda one, words, _number: one.told("policy", words),
    "events": lambda one, words, _number: one.told("told", words[1:], last=int(words[0], 0) if words else 10),
    "kill": Debugger.kill,
    "help": Debugger.help,
}


def _end(_number: int, _frame: object) -> None:
    raise Ended


def _split(typed: str) -> list[str]:
    """Return the words of what was *typed*, the first one completed; where it is none, why."""
    try:
        words = shlex.split(typed)
    except ValueError as error:
        return [str(error)]
    if not words:
        return [""]
    meant = [one for one in COMMANDS if one.startswith(words[0])]
    if words[0] in COMMANDS or len(meant) == 1:
        return [words[0] if words[0] in COMMANDS else meant[0], *words[1:]]
    return [f"{words[0]} may be {', '.join(meant)}" if meant else f"{words[0]} is no command; help lists them"]


def _complete(text: str, state: int) -> str | None:
    known = [*COMMANDS, *SCOPES] if readline.get_begidx() else COMMANDS
    return next(
        (f"{one} " for index, one in enumerate(one for one in known if one.startswith(text)) if index == state), None
    )
