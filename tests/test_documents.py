"""
What the documents show runs, and what they point at is there.

What it is not: a check of what they say.  A block marked ``python run`` is a program, and the
``text output`` below it what it prints; transcripts and sessions are made again (``transcripts``);
other Python has to compile; ``sh`` is run by .ci/run or is an example's own command line; ``toml`` is a
policy; everything else is marked as output.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

from tests.transcripts import BLOCK, Block, blocks_of, settle, shell_shows, terminal_shows

ROOT: Final = Path(__file__).parent.parent

DOCUMENTS: Final = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

KINDS: Final = {"python", "python run", "text output", "sh", "c", "text", "toml"}
"""What may stand behind the quotes that open a block; ``text`` alone follows ``<!-- output -->``."""


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
def test_program_in_a_document_prints_what_stands_below_it(
    program: Block, output: Block, tmp_path: Path, update: bool
) -> None:
    assert output.kind == "text output"

    done = run(program.text, tmp_path)

    assert done.stderr == ""
    settle(output, done.stdout, update=update)
    assert update or done.stdout == output.text


def test_the_example_of_the_readme_refuses_the_network(tmp_path: Path) -> None:
    """getent(1) says 2 for a name that it cannot find; how often it tries differs between systems."""
    (example,) = [block for block in BLOCKS if block.document.name == "README.md" and block.kind == "python"]

    done = run(example.text, tmp_path)

    assert done.stderr == ""
    assert re.match(r"2 Stats\(.*denied=[1-9]", done.stdout)


TRANSCRIPTS: Final = [
    (command, output)
    for command, output in pairwise(BLOCKS)
    if command.mark == "transcript" and output.mark == "output"
]


@pytest.mark.parametrize(("command", "output"), TRANSCRIPTS, ids=[str(command) for command, _ in TRANSCRIPTS])
def test_a_transcript_is_what_a_shell_shows(command: Block, output: Block, tmp_path: Path, update: bool) -> None:
    settle(output, shell_shows(command.text, tmp_path), update=update)


SESSIONS: Final = [block for block in BLOCKS if block.mark == "session"]


@pytest.mark.seconds(120)
@pytest.mark.parametrize("session", SESSIONS, ids=str)
def test_a_session_is_what_a_terminal_shows(session: Block, public_directory: Path, update: bool) -> None:
    place = Path(os.path.realpath(public_directory)) / f"session-{os.urandom(4).hex()}"
    place.mkdir()
    for block in blocks_of(session.document):
        if block.index < session.index and block.mark.startswith("file "):
            (place / block.mark.removeprefix("file ")).write_text(block.text)

    settle(session, terminal_shows(session.text, place), update=update)


def test_there_are_transcripts() -> None:
    assert len(TRANSCRIPTS) >= 16
    assert len(SESSIONS) >= 2
    assert all(output.mark == "output" for one, output in pairwise(BLOCKS) if one.mark == "transcript")


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


# ---- the updater itself ----

WRONG: Final = """# A page

<!-- transcript -->
```sh
echo right; echo $$
```

<!-- output -->
```text
wrong
12345
```

<!-- session -->
```text
$ echo one
$ cat
two
```
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    page = tmp_path / "page.md"
    page.write_text(WRONG)
    return page


def shown(page: Path, *, update: bool) -> None:
    """Compare or mend the transcript of *page*, with what the shell shows now."""
    command, output, _ = blocks_of(page)
    settle(output, shell_shows(command.text, page.parent), update=update)


def test_what_is_wrong_is_mended_on_demand_only_and_then_left_alone(page: Path) -> None:
    with pytest.raises(pytest.fail.Exception, match="--update"):
        shown(page, update=False)
    assert page.read_text() == WRONG
    shown(page, update=True)
    mended = page.read_text()
    shown(page, update=False)
    shown(page, update=True)  # the number of the process is another one

    assert re.sub(r"\d{2,}", "12345", mended) == WRONG.replace("wrong", "right")
    assert page.read_text() == mended


def test_what_is_typed_in_a_session_stays_and_what_is_shown_is_mended(page: Path) -> None:
    *_, session = blocks_of(page)
    text = session.text.replace("$ cat\ntwo\n", "$ read -p 'allow? [y/n/?] ' word; echo $word\nallow? [y/n/?] yes\n")
    now = terminal_shows(text, page.parent)
    settle(session, now, update=True)

    assert now == "$ echo one\none\n$ read -p 'allow? [y/n/?] ' word; echo $word\nallow? [y/n/?] yes\nyes\n"
    assert page.read_text() == WRONG.replace(session.text, now)


def test_a_block_that_was_changed_meanwhile_is_not_written_over(page: Path) -> None:
    *_, session = blocks_of(page)
    page.write_text(WRONG.replace("echo one", "echo two"))

    with pytest.raises(AssertionError, match="meanwhile"):
        settle(session, "something else\n", update=True)
