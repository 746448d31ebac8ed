"""What is moved is what was looked at, whoever moves names meanwhile; and who makes files under a umask."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from errno import EBUSY, ENAMETOOLONG, ENOENT
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from monitor._native import Object, rename
from monitor.broker import names
from monitor.broker.acting import Acting, Shared, umask_of
from monitor.broker.mounts import Mount
from monitor.broker.procfs import is_below
from monitor.broker.resolved import Resolved, is_name, names_of
from monitor.broker.worker import Runner
from monitor.errors import TargetGone
from monitor.notify.emulation import ChangedError, Emulated, MayBlockError
from monitor.policy.paths import components

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
        resolved.entry = name
        resolved.missing = name if is_name(name) else None
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


def test_what_comes_to_be_where_nothing_was_seen_is_not_moved(places: Places) -> None:
    old, new = places.of(b"later"), places.of(b"new")

    assert move(old, new) == Emulated(-ENOENT)
    (places.top / "later").mkdir()
    with pytest.raises(ChangedError):
        move(old, new)

    assert not (places.top / "new").exists()


def test_what_comes_to_be_after_the_second_look_is_not_moved_either(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = places.of(b"later"), places.of(b"new")

    def late(*arguments: Any) -> int:
        monkeypatch.setattr(RENAME, rename)
        (places.top / "later").mkdir()
        return rename(*arguments)

    monkeypatch.setattr(RENAME, late)

    assert move(old, new) == Emulated(-ENOENT)
    assert not (places.top / "new").exists()


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [(b"no", b"new", ENOENT), (b"no" * 200, b"new", ENAMETOOLONG), (b"no", b".", EBUSY), (b"..", b"new", EBUSY)],
)
def test_what_is_not_there_is_refused_as_the_kernel_refuses_it(
    places: Places, old: bytes, new: bytes, wanted: int
) -> None:
    assert move(places.of(old), places.of(new)) == Emulated(-wanted)
    with pytest.raises(OSError, match=r".") as raised:
        (places.top / os.fsdecode(old)).rename(str(places.top) + "/" + os.fsdecode(new))
    assert raised.value.errno == wanted


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
    acting = Acting(Mock(), Mock(), Shared(moving, Runner()), may_block=False)  # neither is asked
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


@pytest.mark.parametrize(
    ("link", "missing", "wanted"),
    [
        (b"/d/z", None, (b"/d/z",)),
        (b"/d/z (deleted)", None, (b"/d/z (deleted)", b"/d/z")),
        (b"/d/z (deleted)", b"x", (b"/d/z (deleted)/x", b"/d/z/x")),
        (b"/d/ (deleted)", None, (b"/d/ (deleted)",)),
        (b"/d/ (deleted)", b"x", (b"/d/ (deleted)/x",)),
        (b"/ (deleted)", None, (b"/ (deleted)",)),
        (b"/", b"x", (b"/x",)),
        (b"pipe:[1]", None, ()),
    ],
)
def test_names_that_a_link_may_stand_for(link: bytes, missing: bytes | None, wanted: tuple[bytes, ...]) -> None:
    """An empty component is none, so a file called `` (deleted)`` has one name."""
    assert names_of(link, missing) == wanted
    for name in wanted:
        components(name)


def test_the_dead_have_no_umask() -> None:
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    with pytest.raises(TargetGone):
        umask_of(child.pid)
    child.wait()
    with pytest.raises(TargetGone):
        umask_of(child.pid)


@pytest.mark.parametrize(
    ("point", "link", "wanted"),
    [
        (b"/proc", b"/proc/1/comm", True),
        (b"/proc", b"/proc", True),
        (b"/", b"/1/comm", True),
        (b"/jail/proc", b"/moved/proc/1/comm", False),
        (b"/proc", b"/process/1", False),
        (b"/proc", b"", False),
    ],
)
def test_a_mount_whose_directory_was_moved_is_seen_to_be_elsewhere(point: bytes, link: bytes, *, wanted: bool) -> None:
    mount = Mount(point, "proc", b"/")

    assert is_below(mount, Object(0, 0, 0, 0, 0, link)) is wanted
