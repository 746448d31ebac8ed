"""What is moved is what was looked at, whoever moves names meanwhile; and who makes files under a umask."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor._native import rename
from monitor.broker import names
from monitor.broker.acting import Acting, Shared
from monitor.broker.resolved import Resolved
from monitor.broker.worker import Runner
from monitor.notify.emulation import ChangedError, Emulated, MayBlockError

RENAME = "monitor.broker.names.rename"


class Places:
    """A directory with a file and a directory, and what was looked up in it."""

    def __init__(self, top: Path) -> None:
        self.top = top
        (top / "plain").write_text("plain")
        (top / "evil").mkdir()
        self._opened: list[Resolved] = []

    def of(self, name: bytes) -> Resolved:
        """Return the place of *name*, looked up now."""
        resolved = Resolved(name, fd=os.open(self.top, os.O_PATH))
        resolved.entry = resolved.missing = name
        resolved.look()
        self._opened.append(resolved)
        return resolved

    def swap(self) -> None:
        """Exchange the two, as another program may."""
        self.top.joinpath("plain").rename(self.top / "kept")
        self.top.joinpath("evil").rename(self.top / "plain")
        self.top.joinpath("kept").rename(self.top / "evil")

    def close(self) -> None:
        for resolved in self._opened:
            resolved.close()


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Places]:
    made = Places(tmp_path)
    yield made
    made.close()


def move(old: Resolved, new: Resolved, flags: int = 0) -> Emulated:
    assert old.entry is not None
    assert new.entry is not None
    return names.rename_what_was_seen(old, old.entry, new, new.entry, flags)


def test_what_was_looked_at_is_moved(places: Places) -> None:
    assert move(places.of(b"plain"), places.of(b"new")) == Emulated(0)
    assert (places.top / "new").read_text() == "plain"


def test_what_is_moved_is_what_was_decided_about(places: Places) -> None:
    old, new = places.of(b"plain"), places.of(b"new")
    places.swap()

    with pytest.raises(ChangedError):
        move(old, new)

    assert not (places.top / "new").exists()


@pytest.mark.parametrize("flags", [0, names.RENAME_EXCHANGE])
def test_what_was_moved_by_mistake_is_moved_back(places: Places, monkeypatch: pytest.MonkeyPatch, flags: int) -> None:
    """Somebody else was faster than the second look."""
    (places.top / "new").write_text("new")
    old, new = places.of(b"plain"), places.of(b"new")

    def late(*arguments: Any) -> int:
        monkeypatch.setattr(RENAME, rename)
        places.swap()
        if not flags:
            (places.top / "new").unlink()
        return rename(*arguments)

    monkeypatch.setattr(RENAME, late)
    with pytest.raises(ChangedError):
        move(old, new, flags)

    assert (places.top / "plain").is_dir()
    assert not (places.top / "new").is_dir()


def test_the_other_side_of_an_exchange_is_looked_at_too(places: Places) -> None:
    (places.top / "new").write_text("new")
    old, new = places.of(b"new"), places.of(b"plain")
    places.swap()

    with pytest.raises(ChangedError):
        move(old, new, names.RENAME_EXCHANGE)

    assert (places.top / "new").read_text() == "new"


def test_names_move_one_at_a_time(places: Places) -> None:
    """But nobody waits for a file system that may answer never."""
    moving = threading.Lock()
    acting = Acting(None, None, -1, Shared(moving, Runner()), may_block=False)  # type: ignore[arg-type]  # neither is asked
    place, hanging = places.of(b"plain"), places.of(b"evil")
    hanging.may_hang = True

    with acting.alone(place):
        assert moving.locked()
    with acting.alone(place, hanging):
        assert not moving.locked()


def test_a_runner_has_a_umask_of_its_own_and_gives_back_what_comes_of_it() -> None:
    ours = os.umask(0o22)
    runner = Runner()
    try:
        assert runner.run(lambda: os.umask(0o77)) == 0o22
        assert runner.run(lambda: os.umask(0o77)) == 0o77, "it is one thread"
        with pytest.raises(ZeroDivisionError):
            runner.run(lambda: 1 // 0)
        assert os.umask(0o22) == 0o22
    finally:
        runner.close()
        os.umask(ours)


def test_where_no_thread_can_be_started_a_runner_leaves_it_to_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_thread: threading.Thread) -> None:
        message = "can't start new thread"
        raise RuntimeError(message)

    monkeypatch.setattr(threading.Thread, "start", refused)
    with pytest.raises(MayBlockError):
        Runner().run(int)
