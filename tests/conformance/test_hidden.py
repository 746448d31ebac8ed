"""
Two trees, alike but for what is hidden in one of them, cannot be told apart.

Random calls are made in both, under one policy; every answer has to be the same.  What is left out are the
differences that docs/files.md names: sizes and link counts of directories, and that a directory with hidden entries
is not empty.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.conftest import require

Call: TypeAlias = Sequence[Any]
"""The name of a call, and its arguments: ``hidden_target.CALLS``."""

EXAMPLES: Final = int(os.environ.get("MONITOR_HIDDEN_EXAMPLES", "20" if os.environ.get("CI") else "3"))
"""Each of up to 60 sequences of calls."""

USER: Final = 65534

NAMES: Final = (
    "hidden", "hidden", "secret", "sub", "inner", "deep", "link", "up", "far", "loop", "closed", "file", "new", "..",
    "..", ".", "to", "over", "into", "round", "back", "chain", "absolute", "x" * 256,
)  # fmt: skip

LINKS: Final = {
    "to": "hidden",
    "over": "hidden/../file",
    "into": "hidden/inner",
    "round": "sub/../hidden/up/file",
    "back": "hidden/deep/../../sub",
    "chain": "over",
    "absolute": "@/hidden/../file",
    "sub/to": "hidden/../../file",
}
"""What leads through hidden names, or to them, and may be seen."""

HIDDEN_LINKS: Final = {"link": "../file", "up": "..", "loop": "loop", "deep/out": "../../sub", "far": "@/file"}

paths = st.builds(
    lambda head, parts, tail: head + "/".join(parts) + tail,
    st.sampled_from(["", "", "", "/proc/self/cwd/", "@/", "sub/../"]),
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=4),
    st.sampled_from(["", "", "/", "/."]),
)

flags = st.sampled_from(
    [os.O_RDONLY, os.O_RDWR, os.O_WRONLY | os.O_CREAT, os.O_CREAT | os.O_EXCL | os.O_RDWR, os.O_DIRECTORY, os.O_PATH,
     os.O_NOFOLLOW, os.O_TMPFILE | os.O_RDWR]
)  # fmt: skip

calls = st.one_of(
    st.tuples(st.just("open"), paths, flags),
    st.tuples(
        st.just("openat2"),
        paths,
        st.sampled_from([os.O_RDONLY, os.O_CREAT | os.O_RDWR]),
        st.sampled_from([0, 1, 2, 4, 8, 9, 16, 17]),
    ),
    st.tuples(
        st.sampled_from(
            ["stat", "lstat", "readlink", "listdir", "getdents", "statfs", "listxattr", "setxattr", "chdir", "mkdir",
             "mknod", "unlink", "rmdir", "chown", "utime", "watch"]
        ),
        paths,
    ),
    st.tuples(st.just("access"), paths, st.sampled_from([0, 4, 2, 1])),
    st.tuples(st.just("chmod"), paths, st.sampled_from([0, 0o700])),
    st.tuples(st.just("truncate"), paths, st.just(3)),
    st.tuples(st.just("symlink"), paths, paths),
    st.tuples(st.sampled_from(["link", "rename", "exchange"]), paths, paths),
)  # fmt: skip

sequences = st.lists(st.lists(calls, min_size=1, max_size=6), min_size=20, max_size=60)


def make(directory: Path, *, with_hidden: bool) -> None:
    """Make one tree."""
    (directory / "sub").mkdir(parents=True)
    for name in ("file", "sub/file"):
        (directory / name).write_text(f"{name}\n")
    for name, text in LINKS.items():
        (directory / name).symlink_to(text.replace("@", str(directory)))
    if not with_hidden:
        return
    (directory / "hidden" / "deep").mkdir(parents=True)
    (directory / "hidden" / "closed").mkdir(mode=0)
    for name in ("hidden/inner", "hidden/new", "hidden/closed/file", "sub/hidden", "secret", "sub/secret"):
        (directory / name).write_text("SECRET\n")
    for name, text in HIDDEN_LINKS.items():
        (directory / "hidden" / name).symlink_to(text.replace("@", str(directory)))


class Place:
    """Where both trees are made, one after the other: their names are the same."""

    def __init__(self, directory: Path, user: int) -> None:
        self._top = directory / "t"
        self._steps = directory / "steps"
        self._user = user

    def answers(self, wanted: Sequence[Sequence[Call]], *, with_hidden: bool) -> list[list[Any]]:
        """Return what came of all calls."""
        for number in range(len(wanted)):
            make(self._top / str(number), with_hidden=with_hidden)
        steps = [
            (str(self._top / str(number)), json.loads(json.dumps(one).replace("@/", f"{self._top / str(number)}/")))
            for number, one in enumerate(wanted)
        ]
        self._steps.write_text(json.dumps(steps))
        user = str(self._user)
        command = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--inh-caps=-all"]
        try:
            self._top.chmod(0o755)  # and root's: nobody closes it, in which all of them are
            subprocess.run(["chown", "-hR", f"{user}:{user}", *map(str, self._top.iterdir())], check=True)
            done = subprocess.run(
                [*(command if self._user else []), sys.executable, "-P", str(Path(__file__).parent / "hidden_run.py"),
                 str(self._top), str(self._steps)],
                capture_output=True, timeout=100, check=False, text=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )  # fmt: skip
        finally:
            shutil.rmtree(self._top)
        assert done.returncode == 0, done.stderr[-4000:]
        found: list[list[Any]] = json.loads(done.stdout)
        return found

    def differences(self, wanted: Sequence[Sequence[Call]]) -> list[str]:
        """Return how the trees can be told apart: the first difference of each sequence."""
        found = []
        both = (self.answers(wanted, with_hidden=True), self.answers(wanted, with_hidden=False))
        for sequence, one, other in zip(wanted, *both, strict=True):
            for call, with_hidden, without in zip(sequence, one, other, strict=True):
                if with_hidden == without:
                    continue
                if "ENOTEMPTY" not in {str(with_hidden), str(without)}:
                    found.append(f"{call}: {with_hidden} and not {without}, in {sequence}")
                break
        return found


@pytest.fixture(params=[0, USER], ids=["root", "user"])
def place(request: pytest.FixtureRequest, public_directory: Path) -> Place:
    require("root", os.geteuid() == 0)
    require("setpriv", shutil.which("setpriv") is not None)
    directory = public_directory / f"hidden-{request.param}"
    directory.mkdir(exist_ok=True)
    directory.chmod(0o777)
    return Place(directory, request.param)


KNOWN: Final = (
    (("stat", "hidden/../file"),),
    (("stat", "over"),),
    (("open", "hidden/../new", os.O_WRONLY | os.O_CREAT),),
    (("openat2", "hidden/../file", 0, 8),),
    (("rename", "file", "hidden/../new"),),
    (("getdents", "sub"),),
    (("stat", "hidden/closed/file"),),
    (("chdir", "sub"), ("stat", "../hidden/../file")),
)  # fmt: skip


@pytest.mark.root
@pytest.mark.seconds(120 + 20 * EXAMPLES)
@given(wanted=sequences)
@example(wanted=KNOWN)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_nobody_can_tell_whether_anything_hidden_is_there(place: Place, wanted: Sequence[Sequence[Call]]) -> None:
    assert place.differences(wanted) == []


@pytest.mark.root
@pytest.mark.seconds(60)
def test_the_comparison_sees_a_difference(place: Place) -> None:
    """A directory is not empty, as docs/files.md says, and its name is no secret where no pattern hides it."""
    rmdir: list[list[Call]] = [[("unlink", "sub/to"), ("unlink", "sub/file"), ("rmdir", "sub")]]

    one, other = (place.answers(rmdir, with_hidden=with_hidden)[0][-1] for with_hidden in (True, False))

    assert (one, other) == ("ENOTEMPTY", [None])
