"""
Where a file system says no, a program is told what the kernel would have told it.

Every call on names and metadata is made where something is in its way: no room, no inodes, immutable and
append-only files, names and paths that are too long, other mounts, directories deeper than a path can
tell, and such as are mounted no longer.  Natively and brokered, in mount namespaces of their own, on file
systems that are made anew.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.conftest import HERE, require

TOOLS: Final = ("mkfs.ext4", "chattr", "unshare", "mount")

ON_TMPFS: Final = 'mount -t tmpfs -o "$OPTIONS" none "$D"'

ON_EXT4: Final = """
truncate -s "$SIZE" "$D.image"
mkfs.ext4 -q -F -b 1024 -m 0 -O ^has_journal -E hash_seed=00000000-0000-0000-0000-000000000001 $OPTIONS "$D.image"
mount -o loop "$D.image" "$D"
rmdir "$D/lost+found"
"""

FLAGS: Final = """
cd "$D"
mkdir in-immutable in-append immutable-directory to-in-immutable to-in-append to-immutable-directory
for file in plain immutable append in-immutable/file in-append/file to-immutable to-append to-deeper; do
    echo text > $file
done
chattr +i immutable in-immutable immutable-directory
chattr +a append in-append
"""

MOUNTS: Final = """
cd "$D"
mkdir mount again read-only kept
echo x | tee plain kept/plain > mount/plain
mount -t tmpfs none mount
echo x > mount/plain
mount --bind . again
mount --bind . read-only
mount -o remount,bind,ro read-only
"""

UNMOUNTED: Final = """
mkdir "$D/kept"
echo x > "$D/kept/plain"
mkfifo "$D.go"
exec 3<> "$D.go"
(until grep -q ready "$D.output"; do sleep 0.02; done; cd /; umount -l "$D"; echo go >&3) &
"""

RUN: Final = """
cd "$D"
"$@" <&3 > "$D.output"
# What is mounted a second time is no tree to find.
what='%P %y %m %n %U %G'
find . -xdev -mindepth 1 ! -type d -printf "$what %s %l\\n" -o -printf "$what\\n" > "$D.tree" || true
chattr -R -ia . 2> "$D.chattr" || :
"""


class Place(NamedTuple):
    """
    A directory, and what it says.

    Attributes:
        scenario: of the target.
        prepare: what makes it.
        says: how often the kernel says what at the least, so that no place is dull.
        options: of mount(8), or mkfs.ext4(8).
    """

    scenario: str
    prepare: str
    says: Mapping[str, int]
    options: str = "size=4M"


PLACES: Final[Mapping[str, Place]] = {
    "names that are too long": Place("names", ON_TMPFS, {"ENAMETOOLONG": 500, "done": 500}),
    "a tmpfs without room": Place("full", ON_TMPFS, {"ENOSPC": 20}, "size=128k,nr_inodes=60"),
    "an ext4 without room": Place("full", "SIZE=600k\n" + ON_EXT4, {"ENOSPC": 20}, "-N 96"),
    "an ext4 without inodes": Place("full", "SIZE=600k\n" + ON_EXT4, {"ENOSPC": 20}, "-N 32"),
    "immutable and append-only": Place("flags", "SIZE=4M\n" + ON_EXT4 + FLAGS, {"EPERM": 300}, "-I 256"),
    "mounts": Place("mounts", ON_TMPFS + MOUNTS, {"EXDEV": 50, "EROFS": 20, "EBUSY": 8}),
    "deeper than a path": Place("deep", ON_TMPFS, {"done": 150}),
    "no longer mounted": Place("stale", ON_TMPFS + UNMOUNTED, {"done": 200, "ENOENT": 50}),
}

NAMELESS: Final[Mapping[str, str]] = {
    "deeper than a path": "down: mkdir: EACCES",
    "no longer mounted": "here: open O_EXCL: EACCES",
}
"""Where nothing has a name that could be believed, and what is said there under a policy, which decides by names."""


class Ran(NamedTuple):
    """What the target printed, and what it left."""

    said: list[str]
    tree: list[str]

    def answers(self) -> Counter[str]:
        """Count results and errnos."""
        return Counter(line.rpartition(": ")[2] for line in self.said)


def run(place: Place, directory: Path, command: list[str]) -> Ran:
    """Run *command* in a new file system on *directory*."""
    directory.mkdir()
    output = Path(f"{directory}.output")
    output.touch()
    script = f"exec 3< /dev/null\n{place.prepare}\n{RUN}"
    environment = {**os.environ, "LC_ALL": "C", "D": str(directory), "OPTIONS": place.options}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    done = subprocess.run(
        ["unshare", "--mount", "--propagation=private", "sh", "-ec", script, "sh", *command, place.scenario],
        stdin=subprocess.DEVNULL, capture_output=True, env=environment, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-3000:]
    return Ran(output.read_text().splitlines(), sorted(Path(f"{directory}.tree").read_text().splitlines()))


@pytest.fixture(scope="module")
def native(compiled: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Ran]:
    """Return a function that tells what the kernel says in a place, asked once."""
    for tool in TOOLS:
        require(tool, shutil.which(tool) is not None)
    require("/dev/loop-control", Path("/dev/loop-control").exists())
    found: dict[str, Ran] = {}

    def ask(name: str) -> Ran:
        if name not in found:
            found[name] = run(PLACES[name], tmp_path_factory.mktemp("hostile") / "d", [compiled("b_hostile")])
        return found[name]

    return ask


def brokered(name: str, directory: Path, compiled: Callable[..., str], way: str) -> Ran:
    broker = [sys.executable, "-P", str(HERE / "conformance" / "files_broker.py"), way]
    return run(PLACES[name], directory / "d", [*broker, compiled("b_hostile")])


@pytest.mark.root
@pytest.mark.seconds(120)
@pytest.mark.parametrize("way", ["handler", "policy"])
@pytest.mark.parametrize("name", PLACES)
def test_the_answers_are_the_kernel_s(
    native: Callable[[str], Ran], compiled: Callable[..., str], tmp_path: Path, name: str, way: str
) -> None:
    kernel = native(name)

    done = brokered(name, tmp_path, compiled, way)

    if way == "policy" and name in NAMELESS:
        assert NAMELESS[name] in done.said
        assert NAMELESS[name] not in kernel.said
        return
    assert done.said == kernel.said
    assert done.tree == kernel.tree


@pytest.mark.root
@pytest.mark.parametrize("name", PLACES)
def test_a_place_says_no_often_enough(native: Callable[[str], Ran], name: str) -> None:
    answers = native(name).answers()

    assert {word: answers[word] for word, least in PLACES[name].says.items() if answers[word] < least} == {}
