"""What was typed to the debugger is there the next time, and never in anybody else's file."""

from __future__ import annotations

import os
import readline
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from monitor.cli import history
from tests.cli.test_debug import PROMPT, Start, place, question, start

__all__ = ["place", "start"]


@pytest.fixture(autouse=True)
def _empty() -> Iterator[None]:
    readline.clear_history()
    yield
    readline.clear_history()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    directory = tmp_path / "state"
    directory.mkdir()
    return directory


def named(state: Path) -> Mapping[str, str]:
    return {"XDG_STATE_HOME": str(state)}


def typed(*lines: str) -> None:
    for line in lines:
        readline.add_history(line)


def known() -> list[str | None]:
    return [readline.get_history_item(index) for index in range(1, readline.get_current_history_length() + 1)]


def test_what_is_kept_is_read_again_and_nobody_else_s_to_read(state: Path) -> None:
    typed("break mkdir", "regs é")
    history.save(named(state))
    readline.clear_history()
    history.load(named(state))

    assert known() == ["break mkdir", "regs é"]
    file = state / "seccomp-monitor" / "history"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [one.name for one in file.parent.iterdir()] == ["history"]


def test_without_a_state_directory_it_is_below_the_home(tmp_path: Path) -> None:
    typed("regs")
    for environment in ({"HOME": str(tmp_path)}, {"HOME": str(tmp_path), "XDG_STATE_HOME": "relative"}):
        history.save(environment)

    assert (tmp_path / ".local" / "state" / "seccomp-monitor" / "history").read_text() == "regs\n"


@pytest.mark.parametrize(
    "environment", [{}, {"HOME": ""}, {"HOME": "not/absolute"}, {"HOME": "/nowhere/at/all"}], ids=str
)
def test_without_a_home_nothing_is_kept_and_nothing_said(
    environment: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    typed("regs")
    history.save(environment)
    history.load(environment)

    assert list(tmp_path.iterdir()) == []


def test_the_last_thousand_lines_are_kept(state: Path) -> None:
    typed(*(f"break {number}" for number in range(1500)))
    history.save(named(state))
    readline.clear_history()
    history.load(named(state))

    assert (known()[0], known()[-1], len(known())) == ("break 500", "break 1499", 1000)


def planted(state: Path) -> Path:
    directory = state / "seccomp-monitor"
    directory.mkdir()
    file = directory / "history"
    file.write_text("allow run\n")
    file.chmod(0o600)
    return file


def test_what_another_user_could_have_written_is_not_read(state: Path) -> None:
    file = planted(state)
    history.load(named(state))
    assert known() == ["allow run"]
    readline.clear_history()
    for name, mode in ((file, 0o620), (file, 0o602), (file.parent, 0o770), (file.parent, 0o703)):
        before = name.stat().st_mode
        name.chmod(mode)
        history.load(named(state))
        assert known() == [], oct(mode)
        name.chmod(before)


@pytest.mark.root
def test_what_belongs_to_another_user_is_neither_read_nor_written(state: Path) -> None:
    file = planted(state)
    for name in (file, file.parent, state):
        os.chown(name, 1234, -1)
        history.load(named(state))
        assert known() == []
        os.chown(name, 0, -1)
    os.chown(file.parent, 1234, -1)
    typed("regs")
    history.save(named(state))

    assert file.read_text() == "allow run\n"


def test_no_link_and_no_fifo_is_read_or_written_through(state: Path, tmp_path: Path) -> None:
    file = planted(state)
    other = tmp_path / "other"
    other.write_text("of others\n")
    other.chmod(0o600)
    file.unlink()
    file.symlink_to(other)
    history.load(named(state))
    assert known() == []
    typed("regs")
    history.save(named(state))
    assert (other.read_text(), file.read_text()) == ("of others\n", "regs\n")
    readline.clear_history()
    file.unlink()
    os.mkfifo(file, 0o600)
    history.load(named(state))

    assert known() == []


def test_a_line_that_a_terminal_would_obey_is_left_out(state: Path) -> None:
    planted(state).write_bytes(b"\x1b[2Jregs\nfine\n\xff\n\n")
    history.load(named(state))

    assert known() == ["fine", "\N{REPLACEMENT CHARACTER}"]


def test_the_debugger_knows_what_was_typed_in_the_run_before(start: Start, place: Path) -> None:
    os.environ["XDG_STATE_HOME"] = str(place)
    try:
        for typed_now in ("errno EIO\n", "\x1b[A\n"):
            session = start("cat", f"{place}/secret")
            question(session)
            session.say(typed_now)
            session.hear("Input/output error")
            assert session.status() == 1
    finally:
        del os.environ["XDG_STATE_HOME"]
    assert PROMPT not in (place / "seccomp-monitor" / "history").read_text()
