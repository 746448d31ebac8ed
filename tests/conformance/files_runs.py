"""
Sequences of calls made twice in equal trees, by the kernel and by the broker, and what differs.

What it is not: the calls (``files_calls``), or an excuse for a difference (``test_files``).

Both runs see the same paths, one after the other, in a mount namespace in which nothing but their
trees can be written to; and of /proc the program itself changes nothing that is everybody's.  So a
program that calls at random, as root, changes nothing else.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from tests.conformance.files_script import Answer, Call, Room, Seen, Sequences, decoded, encoded
from tests.conformance.files_tree import OTHER, USER, make, normal_time, remove, tell

HERE: Final = Path(__file__).parent

CONFINED: Final = """
mount --bind "$1" "$1"
mount -o remount,bind,ro /
mount -o remount,bind,ro /dev
test "$2" = - || mount --rbind / "$2"
cd /
shift 2
exec "$@"
"""

_O_NOFOLLOW: Final = 0o400000

_PID_DIGITS: Final = 10

Told = dict[bytes, tuple[object, ...]]

Entry: TypeAlias = tuple[bytes, tuple[object, ...] | None]
"""A name in a tree, and what is there."""


class Ran(NamedTuple):
    """What came of all sequences: their answers, and their trees afterwards."""

    answers: list[list[Answer]]
    trees: list[Told]


class Difference(NamedTuple):
    """
    One difference.

    Attributes:
        sequence: the number of its sequence.
        call: where it showed; None: in the tree afterwards.
        native: what the kernel did.
        brokered: what was done instead.
    """

    sequence: int
    call: Call | None
    native: Answer | Entry
    brokered: Answer | Entry

    def __str__(self) -> str:
        """Show it."""
        return f"{self.call}\n    native:   {self.native!r}\n    brokered: {self.brokered!r}"


class Standing(NamedTuple):
    """
    How a program comes to rights or a view that its supervisor has not.

    Attributes:
        words: what it is started by.
        namespaces: in which it is started.
        root: whether its root is a directory in which everything is mounted once more.
        owner: to whom most of the tree belongs.
    """

    words: tuple[str, ...] = ()
    namespaces: str = ""
    root: bool = False
    owner: int = 0


AS_ITS_SUPERVISOR: Final = Standing()

_WITHOUT: Final = "-dac_override,-dac_read_search,-fowner,-chown,-mknod,-fsetid,-linux_immutable,-sys_admin,-setfcap"

_AS_USER: Final = ("setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups")
_IN_GROUPS: Final = ("setpriv", "--reuid", str(USER), "--regid", "100", f"--groups={OTHER},7,{USER}")

STANDINGS: Final[Mapping[str, Standing]] = {
    "other ids": Standing(_AS_USER, owner=USER),
    "groups": Standing(_IN_GROUPS, owner=USER),
    "real ids": Standing(("setpriv", "--ruid", str(USER), "--rgid", str(USER), "--keep-groups")),
    "fewer capabilities": Standing(("setpriv", "--bounding-set", _WITHOUT, "--inh-caps", "-all")),
    "another root": Standing(root=True),
    "another root and ids": Standing(_AS_USER, root=True, owner=USER),
    "namespaces": Standing(namespaces="user mount"),
}


class Place:
    """Where one batch at a time is run: a directory, which can be on any file system, and a user."""

    def __init__(
        self,
        directory: Path,
        program: Path,
        user: int,
        *,
        reuses: bool = False,
        way: str = "handler",
        standing: Standing = AS_ITS_SUPERVISOR,
    ) -> None:
        """
        Make *directory*; *program* is the compiled files_target.c; *reuses*: the numbers of inodes come again.

        *way*: what has the calls brokered, see ``files_broker``.
        """
        self.way = way
        self._standing = standing
        self._reuses = reuses
        self._directory = directory
        self._program = program
        self.user = user
        directory.mkdir()
        directory.chmod(0o755)
        if standing.root:
            (directory / "root").mkdir()

    def compare(self, sequences: Sequences) -> tuple[Ran, list[Difference]]:
        """Make the calls of *sequences* both ways; return what came of them natively, and what differs."""
        broker = [sys.executable, "-P", str(HERE / "files_broker.py")]
        program = [*self._standing.words, str(self._program)]
        more = "".join(f",{one}" for one in self._standing.namespaces.split())
        native = self._run(sequences, [*broker, f"nobody{more}", *program] if more else self._rooted(program))
        more += ",chroot" if self._standing.root else ""
        brokered = self._run(sequences, [*broker, self.way + more, *self._rooted(program)])
        return native, differences(sequences, native, brokered)

    def _rooted(self, program: list[str]) -> list[str]:
        return ["chroot", str(self._directory / "root"), *program] if self._standing.root else program

    def minimised(self, calls: Sequence[Call], kept: int) -> Sequence[Call]:
        """Return the calls behind the first *kept* of *calls*, and those, without which nothing differs any more."""
        size = max(len(calls) // 2, 1)
        while True:
            shorter = [[*calls[:at], *calls[at + size :]] for at in range(kept, len(calls), size)]
            found = self.compare(shorter)[1] if shorter else []
            if found:
                calls = shorter[found[0].sequence]
            elif size > 1:
                size //= 2
            else:
                return calls

    def _run(self, sequences: Sequences, command: Sequence[str]) -> Ran:
        owner = self.user or self._standing.owner
        trees = [os.fsencode(self._directory / f"t/{number:06}/in/tree") for number in range(len(sequences))]
        script, answers = self._directory / "script", self._directory / "answers"
        script.write_bytes(encoded(sequences, trees, os.fsencode(self._program)))
        answers.write_bytes(b"")
        for file in (script, answers):
            os.chown(file, owner, owner)
        for tree in trees:
            make(tree, owner)
        try:
            with script.open("rb") as input_file, answers.open("r+b") as output_file:
                done = subprocess.run(
                    [*self._confined(), *command], stdin=input_file, stdout=output_file, stderr=subprocess.PIPE,
                    timeout=600, check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                )  # fmt: skip
            assert done.returncode == 0, f"{command}: {done.returncode}: {done.stderr.decode(errors='replace')[-4000:]}"
            told = [tell(tree) for tree in trees]
        finally:
            for tree in trees:
                remove(tree)
            subprocess.run(["rm", "-rf", str(self._directory / "t")], check=True)
        pid, decoded_answers = decoded(sequences, answers.read_bytes())
        normal = [
            _Normal(pid, reuses=self._reuses).sequence(calls, found)
            for calls, found in zip(sequences, decoded_answers, strict=True)
        ]
        return Ran(normal, told)

    def _confined(self) -> list[str]:
        own_mounts = [
            "unshare",
            "--mount",
            "--propagation=private",
            "sh",
            "-ec",
            CONFINED,
            "sh",
            str(self._directory / "t"),
            str(self._directory / "root") if self._standing.root else "-",
        ]
        if self.user == 0:
            return own_mounts
        user = str(self.user)
        return [*own_mounts, "setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--inh-caps=-all"]


def differences(sequences: Sequences, native: Ran, brokered: Ran) -> list[Difference]:
    """Return the first difference of each sequence, or all that its tree has."""
    found = []
    for number, calls in enumerate(sequences):
        for call, one, other in zip(calls, native.answers[number], brokered.answers[number], strict=True):
            if one != other:
                found.append(Difference(number, call, one, other))
                break  # what comes behind it may follow from it
        else:
            one_tree, other_tree = native.trees[number], brokered.trees[number]
            found += [
                Difference(number, None, (name, one_tree.get(name)), (name, other_tree.get(name)))
                for name in sorted(one_tree.keys() | other_tree.keys())
                if one_tree.get(name) != other_tree.get(name)
            ]
    return found


class _Normal:
    """
    Answers without what no two runs share: numbers of processes, inodes and mounts, times, free space.

    Inodes and mounts become the order in which they were seen, so that equal stays equal and
    different stays different.
    """

    def __init__(self, pid: int, *, reuses: bool) -> None:
        self._reuses = reuses
        self._pid = pid
        self._order: dict[tuple[object, ...], int] = {}

    def sequence(self, calls: Sequence[Call], answers: Sequence[Answer]) -> list[Answer]:
        return [self._answer(call, answer) for call, answer in zip(calls, answers, strict=True)]

    def _answer(self, call: Call, answer: Answer) -> Answer:
        written, value = answer.written, answer.value
        if written and value >= 0:
            first, *rest = written
            if call.name in {"stat", "lstat", "newfstatat"}:
                first = self._status(first)
            elif call.name == "statx":
                first = self._statx(first)
            elif call.name == "statfs":
                first = _without_free(first)
            elif call.name.startswith("readlink") or call.name == "getcwd":
                first, value = self._link(first, value)
            written = (first, *rest)
        elif any(isinstance(argument, Room) and argument.beyond for argument in call.args):
            written = ()  # how far it came before the end of the page says nothing
        seen = answer.seen and self._seen(answer.seen)
        return Answer(value, written, seen)

    def _seen(self, seen: Seen) -> Seen:
        text = seen.text if seen.count > 0 else b""
        return Seen(
            seen.flags & ~_O_NOFOLLOW, seen.descriptor_flags, seen.error, seen.count, text, self._status(seen.status)
        )

    def _number(self, *key: object) -> int:
        return 0 if self._reuses else self._order.setdefault(key, len(self._order))

    def _status(self, data: bytes) -> bytes:
        device, inode, links, mode = struct.unpack_from("=QQQI", data)
        times = list(struct.unpack_from("=qqqqqq", data, 72))
        if stat.S_ISLNK(mode):
            times[0] = 0  # of links, the tree tells afterwards whether they were read
        if stat.S_ISSOCK(mode) and _is_anonymous(device):
            times = [0] * 6  # nobody sets those of a new one: an older socket may have left its own
        if _is_anonymous(device) and inode == 1:
            links = 0  # as many as there are processes
        return (
            struct.pack("=QQQ", device, self._number("inode", device, inode), links)
            + data[24:72]
            + _times(times[::2])
            + data[120:]
        )

    def _statx(self, data: bytes) -> bytes:
        if data[:256] == bytes([0xA5]) * 256:
            return data
        mask, block_size, attributes, links, uid, gid, mode, inode, size, blocks, attributes_mask = struct.unpack_from(
            "=IIQIIIHxxQQQQ", data
        )
        times = list(struct.unpack_from("=qIiqIiqIiqIi", data, 64))
        rdev_major, rdev_minor, major, minor, mount = struct.unpack_from("=IIIIQ", data, 128)
        device = os.makedev(major, minor)
        if _is_anonymous(device) and inode == 1:
            links = 0
        if stat.S_ISLNK(mode):
            times[0] = 0
        if stat.S_ISSOCK(mode) and _is_anonymous(device):
            times = [0] * 12
        head = struct.pack(
            "=IIQIIIHQQQQ", mask, block_size, attributes, links, uid, gid, mode,
            self._number("inode", device, inode), size, blocks, attributes_mask,
        )  # fmt: skip
        devices = struct.pack("=IIQQ", rdev_major, rdev_minor, device, self._number("mount", mount))
        return head + _times([times[0], times[6], times[9]]) + bytes([times[3] != 0]) + devices + data[152:]

    def _link(self, data: bytes, value: int) -> tuple[bytes, int]:
        text = data[:value]
        if len(data) - 8 <= _PID_DIGITS and re.fullmatch(rb"\d+", text):
            return b"PID", 3  # all of one number is a part of another with a digit more
        normal = re.sub(rb"\b%d\b" % self._pid, b"PID", text)
        normal = re.sub(rb":\[\d+\]?", b":[INODE]", normal)
        normal = re.sub(rb"/#\d+", b"/#INODE", normal)  # of a file that was made without a name
        if value == len(data) - 8:  # there was no room for all of it: how much there was hangs on the number
            normal = re.sub(rb"^(PID|\d).*|\d+$", b"", normal)
        return (data, value) if normal == text else (normal, len(normal))


def _is_anonymous(device: int) -> bool:
    """Whether a file system has no device, but a number that is given to it when it is mounted."""
    return os.major(device) == 0


def _without_free(data: bytes) -> bytes:
    """Return a ``struct statfs`` without f_bfree, f_bavail and f_ffree."""
    return data[:24] + data[40:48] + data[56:]


def _times(seconds: Sequence[int]) -> bytes:
    return repr([normal_time(second) for second in seconds]).encode()
