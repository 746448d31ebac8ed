"""
The prompt of ``run``: one question at a time, in a few lines, answered with a word.

What it is not: the debugger, whose commands it has besides; the connection and the terminal are used as there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from monitor.approve.wire import Json
from monitor.cli import history
from monitor.cli.debugger import WAITS, Debugger
from monitor.cli.told import about_lines, line, text, values

_WORDS: Final[Mapping[str, str]] = {"y": "allow", "yes": "allow", "n": "deny", "no": "deny", "a": "always"}
"""What may be typed besides the debugger's commands."""

_HELP: Final[Mapping[str, str]] = {
    "yes": "y, yes            this time",
    "process": "allow process     whenever this process asks for the same",
    "program": "allow program     whenever this program does, in this run",
    "run": "allow run         whenever anybody does, in this run",
    "always": "a, always [WHY]   this program in every run, by a grant that is shown first",
    "no": "n, no             it fails as the policy says; deny process, program or run for more of them",
    "show": "show              all that is known of the call, as in debug",
    "help": "help              the other commands, those of debug",
    "quit": "quit, ^D          nobody answers any more: what is asked is denied",
}
"""Command or scope -> its line of help; a scope's only where it is offered."""

_ALWAYS_THERE: Final = frozenset({"yes", "no", "show", "help", "quit"})


class Prompt(Debugger):
    """Asks what a policy asks."""

    def greet(self) -> None:
        """Say nothing: the question will do."""

    def show_question(self, question: Mapping[str, Json]) -> None:
        """Write who asks for what, and which rule wants to know."""
        self._say(
            f"\n{text(question['exe']) or text(question['comm'])} ({question['pid']}) asks: {line(question['text'])}"
        )
        for what in about_lines(question):
            self._say(f"  {what}")
        if not question.get("emulated"):
            self._say("  the kernel reads again what its pointers lead to")

    def typed(self, number: int) -> str:
        """
        Return what is typed, in the debugger's words; an empty line answers nothing.

        ^C is a denial, and for the program what it would have been without us.  Raises EOFError: somebody leaves.
        """
        offered = frozenset(text(one) for one in values(self._open[number].get("scopes")))
        try:
            with history.forgetting():
                typed = input(f"allow? [y/n{'/a' if 'always' in offered else ''}/?] ").strip()
        except KeyboardInterrupt:
            self._say("")
            self._terminal.interrupt()
            return "deny"
        if typed == "?":
            for word, described in _HELP.items():
                if word in offered | _ALWAYS_THERE:
                    self._say(described)
            self._say(WAITS)
            return ""
        if typed == "show":
            super().show_question(self._open[number])
            return ""
        word, space, rest = typed.partition(" ")
        return f"{_WORDS.get(word.lower(), word)}{space}{rest}"
