"""
What the documents show runs, and what they point at is there.

What it is not: a check of what they say.  A block marked ``python run`` is a program, and the
``text output`` below it what it prints; other Python has to compile; ``sh`` is run by .ci/run or
is an example's own command line; ``toml`` is a policy; everything else is marked as output.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest
from attrs import frozen

ROOT: Final = Path(__file__).parent.parent

DOCUMENTS: Final = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

BLOCK: Final = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)

KINDS: Final = {"python", "python run", "text output", "sh", "c", "text", "toml"}
"""What may stand behind the quotes that open a block; ``text`` alone follows ``<!-- output -->``."""


@frozen
class Block:
    document: Path
    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.document.name}:{self.line}"


def blocks_of(document: Path) -> Iterator[Block]:
    source = document.read_text()
    for match in BLOCK.finditer(source):
        yield Block(document, source[: match.start()].count("\n") + 1, match[1].strip(), match[2])


BLOCKS: Final = [block for document in DOCUMENTS for block in blocks_of(document)]

PROGRAMS: Final = [(program, output) for program, output in pairwise(BLOCKS) if program.kind == "python run"]


def run(code: str, directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=directory,
        env={**os.environ, "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("program", "output"), PROGRAMS, ids=[str(program) for program, _ in PROGRAMS])
def test_program_in_a_document_prints_what_stands_below_it(program: Block, output: Block, tmp_path: Path) -> None:
    assert output.kind == "text output"

    done = run(program.text, tmp_path)

    assert (done.stdout, done.stderr) == (output.text, "")


def test_the_example_of_the_readme_refuses_the_network(tmp_path: Path) -> None:
    """getent(1) says 2 for a name that it cannot find; how often it tries differs between systems."""
    (example,) = [block for block in BLOCKS if block.document.name == "README.md" and block.kind == "python"]

    done = run(example.text, tmp_path)

    assert done.stderr == ""
    assert re.match(r"2 Stats\(.*denied=[1-9]", done.stdout)


TRANSCRIPTS: Final = [
    pytest.param(command, output, id=f"{document.name}:{command[:40]}")
    for document in DOCUMENTS
    for command, output in re.findall(
        r"^<!-- transcript -->\n```sh\n(.*?)^```\n+<!-- output -->\n```text\n(.*?)^```$",
        document.read_text(),
        re.DOTALL | re.MULTILINE,
    )
]


def without_chance(text: str) -> str:
    """Leave out what differs from run to run: addresses, numbers of processes, times, and the width of columns."""
    text = re.sub(r"0x[0-9a-f]{4,}|\b\d+\.\d+\b|\b\d{4,}\b|\b\d+(?= vars? )", "N", text)
    return re.sub(" +", " ", text)


@pytest.mark.parametrize(("command", "output"), TRANSCRIPTS)
def test_a_transcript_is_what_a_shell_shows(command: str, output: str, tmp_path: Path) -> None:
    scripts = Path(sys.executable).parent
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=tmp_path,
        env={**os.environ, "LC_ALL": "C", "PATH": f"{scripts}:/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )

    assert without_chance(done.stdout) == without_chance(output)


def test_there_are_transcripts() -> None:
    assert len(TRANSCRIPTS) >= 2


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.kind.startswith("python")], ids=str)
def test_python_in_a_document_compiles(block: Block) -> None:
    compile(block.text, str(block), "exec")


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.kind == "toml"], ids=str)
def test_a_policy_in_a_document_loads(block: Block) -> None:
    """A piece of one, without its [policy], loads below one."""
    from monitor.policy import text  # noqa: PLC0415  # where there is no policy, nothing of this is needed

    head = "" if "[policy]" in block.text else "[policy]\nversion = 1\n"

    policy = text.loads(head + block.text)

    assert text.dumps(text.loads(text.dumps(policy))) == text.dumps(policy)


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_every_block_says_what_it_is(block: Block) -> None:
    assert block.kind in KINDS


@pytest.mark.parametrize("mark", ["run", "test"])
def test_each_of_the_two_command_lines_is_one_line(mark: str) -> None:
    """They are taken from README.md by these marks, and run by .ci/run as they stand."""
    readme = (ROOT / "README.md").read_text()

    found = re.findall(rf"^<!-- {mark} -->\n```sh\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)

    assert len(found) == 1
    assert len(found[0].splitlines()) == 1


def test_ci_takes_both_command_lines_from_the_readme() -> None:
    for script in (ROOT / ".ci" / "run", ROOT / ".ci" / "nightly" / "debootstrap"):
        assert "$(marked run)" in script.read_text()
        assert "$(marked test)" in script.read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", BLOCK.sub("", document.read_text()))
    broken = [
        target for target in targets if not re.match("https?://", target) and not (document.parent / target).exists()
    ]

    assert broken == []


def test_every_document_can_be_reached_from_the_readme() -> None:
    """A page that nobody links to is read by nobody; docs/decisions/ is linked as a folder."""
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        document = waiting.pop()
        if document in reached:
            continue
        reached.add(document)
        for target in re.findall(r"\]\(([^)#]+)", document.read_text()):
            path = (document.parent / target).resolve()
            waiting += sorted(path.glob("*.md")) if path.is_dir() else [path] if path.suffix == ".md" else []

    assert set(DOCUMENTS) <= reached


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_one_sentence_stands_on_one_line(document: Path) -> None:
    """A change to a sentence is then a change of a line.  Tables and blocks are left out."""
    prose = [line for line in BLOCK.sub("", document.read_text()).splitlines() if not line.startswith(("|", "#", "<"))]
    several = [line for line in prose if re.search(r"(?<!\d)(?<!e\.g)[a-z)`][.!?] [A-Z`(]", line)]

    assert several == []
