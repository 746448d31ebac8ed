"""
Blocks of the documents that show what programs print: found, made again, compared, and with ``--update`` mended.

What it is not: the tests of them (``test_documents``), or what else a document says.

Three kinds are made by running something:

* ``text output`` below ``python run``: what the program prints;
* ``<!-- output -->`` below ``<!-- transcript -->``: what a shell prints for the commands;
* ``<!-- session -->``: what a terminal shows, in one block.  What stands behind a prompt in it was typed, and is
  typed again when the prompt is there.  Files that it needs stand above it, each behind ``<!-- file NAME -->``.

What differs from run to run is no difference: see ``without_chance``.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path
from typing import Final

import pytest
from attrs import frozen

from tests.terminal import Session

BLOCK: Final = re.compile(r"^(?:<!-- ([^\n]*) -->\n)?```([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)

PROMPT: Final = re.compile(r"^(?:\$|\(debug\)|allow\? \[[^]]*\]|write (?:it|them)\? \[y/N\]) ")
"""What stands before what is typed: the prompts of the shell, the debugger, ``run``, and of both before a grant."""

PLACE: Final = "/home/me/project"
"""What the documents call the directory that a session happens in."""

_COLUMNS: Final = 300


@frozen
class Block:
    """One block of a document: ``index`` counts all of them, and *mark* is the comment above it."""

    document: Path
    index: int
    line: int
    mark: str
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.document.name}:{self.line}"


def blocks_of(document: Path) -> Iterator[Block]:
    source = document.read_text()
    for index, match in enumerate(BLOCK.finditer(source)):
        yield Block(
            document, index, source[: match.start(2)].count("\n") + 1, match[1] or "", match[2].strip(), match[3]
        )


def without_chance(text: str) -> str:
    """Leave out what differs from run to run: addresses, numbers of processes, times, days, and widths of columns."""
    text = re.sub(
        r"0x[0-9a-f]{4,}|(?<=\+)0x[0-9a-f]+|\b\d{4}-\d\d-\d\d\b|\b\d+\.\d+\b|\b\d{4,}\b|\b\d+(?= vars? )", "N", text
    )
    text = re.sub(r"(?m)^\d+(?= )|(?<=\()\d+(?=\))|(?<=process )\d+|(?<=thread )\d+|(?<=pid )\d+", "N", text)
    return re.sub(" +", " ", text)


def settle(block: Block, shown: str, *, update: bool) -> None:
    """
    Have *block* say what was *shown*.

    Where they differ by more than chance it is mended in its document if *update*, and else the test fails.
    """
    wanted, got = without_chance(block.text).splitlines(), without_chance(shown).splitlines()
    if wanted == got:
        return
    if not update:
        difference = "\n".join(unified_diff(wanted, got, str(block), "what is shown now", lineterm="", n=1))
        pytest.fail(f"{difference}\npytest --update writes what is shown now", pytrace=False)
    source = block.document.read_text()
    match = list(BLOCK.finditer(source))[block.index]
    assert match[3] == block.text, "the document has changed meanwhile"
    block.document.write_text(source[: match.start(3)] + shown + source[match.end(3) :])


# ---- a shell ----


def environment() -> dict[str, str]:
    scripts = Path(sys.executable).parent
    return {**os.environ, "LC_ALL": "C", "PATH": f"{scripts}:/usr/bin:/bin"}


def shell_shows(commands: str, directory: Path) -> str:
    """Return what ``sh`` prints for *commands*."""
    return subprocess.run(
        ["sh", "-c", commands],
        cwd=directory,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    ).stdout


# ---- a terminal ----


def typed_in(text: str) -> Iterator[tuple[str, str]]:
    """Yield each prompt of a session, and what was typed there."""
    for line in text.splitlines():
        if match := PROMPT.match(line):
            yield match[0], line[match.end() :]


def terminal_shows(text: str, directory: Path) -> str:
    """Return what a terminal shows when what the session *text* has behind its prompts is typed in *directory*."""
    setting = {**environment(), "PS1": "$ ", "PS2": "", "TERM": "dumb", "HOME": str(directory), "INPUTRC": "/dev/null"}
    session = Session(["bash", "--norc", "--noprofile", "-i"], str(directory), setting, size=(100, _COLUMNS))
    before = ""
    try:
        for prompt, line in typed_in(text):
            session.hear(before + prompt)
            session.say(f"{line}\n")
            before = "\n"  # what was typed, and what it led to, has ended
        session.hear("\n$ ")
        session.say("\x04")
        session.status()
    finally:
        session.close()
    return _plain(session.all, directory)


def _plain(data: bytes, directory: Path) -> str:
    """Return what a person sees of *data*, in the directory that the documents tell of."""
    text = data.decode().replace("\r\n", "\n").replace(str(directory), PLACE)
    text = re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]|\r", "", text)
    text = re.sub(
        r"(?m)^(  below .*seccomp-monitor \(\d+\) < bash \(\d+\)) < .*$", r"\1", text
    )  # and who runs the test
    lines = [line.rstrip() for line in text.rstrip().splitlines()]
    while lines and lines[-1] in {"$", "exit", "$ exit"}:
        lines.pop()
    return "".join(f"{line}\n" for line in lines)
