"""What ``hide`` means to a program: there is nothing of that name, whichever way it is asked about."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest
import trio

import monitor
from monitor._native import landlock_abi
from monitor.abi.arch import Arch
from monitor.broker import hiding
from monitor.broker.resolved import Resolved
from monitor.handlers.paths import PathJudge
from monitor.origin import Origin
from monitor.policy.text import load, loads
from tests.conftest import require

POLICY: Final = """
[policy]
version = 1
name = "hiding"
known-as-of = "6.12"
syscalls-default = "allow"
[files]
read = ["/usr", "/bin", "/lib", "/lib64", "/etc", "/proc/*"]
write = ["$T"]
exec = "unverified"
"""

HIDE: Final = 'hide = ["$T/hidden", "$T/keep/hidden", "**/.env", "!$T/hidden/shown"]\n'

PROGRAM: Final = """
import ctypes, errno, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
O_TMPFILE = os.O_TMPFILE | os.O_RDWR

def call(number, *arguments):
    result = libc.syscall(number, *(one.encode() if isinstance(one, str) else one for one in arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), "")
    return result

def confined(path, resolve, flags=0):
    how = (ctypes.c_uint64 * 3)(flags, 0o600 if flags else 0, resolve)
    return call(437, -100, path, ctypes.byref(how), 24)

def exchange(one, other):
    call(316, -100, one, -100, other, 2)

def linked(name):
    fd = os.open(".", O_TMPFILE, 0o600)
    call(265, -100, f"/proc/self/fd/{fd}", -100, name, 0x400)

def entries(fd, size, number=217, skip=19):
    buffer = ctypes.create_string_buffer(size)
    found = []
    while length := call(number, fd, buffer, size):
        data = buffer.raw[:length]
        while data:
            found.append(data[skip:int.from_bytes(data[16:18], "little")].split(b"\\\\0", 1)[0].decode())
            data = data[int.from_bytes(data[16:18], "little"):]
    return sorted(name for name in found if name not in (".", ".."))

def received():
    near = socket.socket(fileno=3)
    return socket.recv_fds(near, 1, 1)[1][0]

os.chdir(sys.argv[1])
for text in sys.argv[2:]:
    try:
        print(eval(text))
    except OSError as error:
        print(errno.errorcode[error.errno])
""".replace("\\\\0", "\\0")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory in which some things are hidden."""
    for name in ("hidden/sub", "hidden/shown", "keep", "only", "empty", "d"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("file", "hidden/inner", "hidden/shown/it", "keep/hidden", "keep/seen", "only/.env", "d/.env"):
        (tmp_path / name).write_text(f"{name}\n")
    (tmp_path / "over").symlink_to("hidden/../file")
    (tmp_path / "into").symlink_to("hidden/inner")
    (tmp_path / "hidden/far").symlink_to(tmp_path / "file")
    return tmp_path


def policy(tree: Path, lists: str = HIDE, text: str = POLICY) -> monitor.Policy:
    return loads((text + lists).replace("$T", str(tree)), Origin("hiding.toml"))


async def said(tree: Path, *lines: str, given: monitor.Policy | None = None, **options: Any) -> list[str]:
    """Return what came of each of *lines*, in the directory *tree*."""
    observe = bool(options.pop("observe", False))
    launch = monitor.Launch(
        ["/usr/bin/python3", "-I", "-S", "-c", PROGRAM, str(tree), *lines],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=options.pop("cwd", "/"),
        **options,
    )
    async with monitor.supervise(launch, policy=given or policy(tree), observe=observe) as run:
        assert run.stdout is not None
        output = b"".join([chunk async for chunk in run.stdout])
        await run.wait()
    return output.decode().splitlines()


CASES: Final[dict[str, tuple[str, str]]] = {
    # What is passed and left again.
    "a directory": ("os.stat('hidden/../file')", "ENOENT"),
    "one below it": ("os.stat('hidden/sub/../../file')", "ENOENT"),
    "a file in it": ("os.stat('hidden/inner/../../file')", "ENOENT"),
    "a link that leads through it": ("os.open('over', 0)", "ENOENT"),
    "a link in it": ("os.stat('hidden/far')", "ENOENT"),
    "a file that is made behind it": ("os.open('hidden/../new', os.O_CREAT | os.O_RDWR)", "EACCES"),
    "a directory that is made behind it": ("os.mkdir('hidden/../new')", "EACCES"),
    "a name behind it that is taken away": ("os.unlink('hidden/../file')", "ENOENT"),
    "a rename to behind it": ("os.rename('file', 'hidden/../new')", "EACCES"),
    "a way back to it": ("os.stat('hidden/shown/..')", "ENOENT"),
    "what is shown below it": ("open('hidden/shown/it').read().strip()", "hidden/shown/it"),
    "a confined path": ("confined('hidden/../file', 0x08)", "ENOENT"),
    "a confined path that makes": ("confined('hidden/../new', 0x10, os.O_CREAT | os.O_RDWR)", "EACCES"),
    "a path that stays on its mount": ("confined('over', 0x01)", "ENOENT"),
    "a path out of its confines": ("confined('keep/../../x', 0x08)", "EXDEV"),
    "a path in a root of its own": ("os.close(confined('/../../' + os.getcwd()[1:] + '/usr', 0x10))", "ENOENT"),
    "what is not hidden": ("os.stat('keep/../file').st_size", "5"),
    "what is in the kernel's cache": ("os.close(os.open('file', 0)) or confined('file', 0x20)", "EAGAIN"),
    "what is hidden, in the cache": ("confined('hidden/inner', 0x20)", "EAGAIN"),
    "what is not there, in the cache": ("confined('nothing', 0x20)", "EAGAIN"),
    # What it is.
    "a link to it": ("os.stat('into')", "ENOENT"),
    "the link itself": ("os.readlink('into')", "hidden/inner"),
    "an exchange with it": ("exchange('file', 'hidden')", "ENOENT"),
    "an exchange of it": ("exchange('hidden', 'file')", "ENOENT"),
    "a file without a name in it": ("os.open('hidden', O_TMPFILE)", "ENOENT"),
    "a file without a name that gets its": ("linked('hidden')", "EACCES"),
    "a watch": ("call(254, libc.inotify_init1(0), 'hidden', 4)", "ENOENT"),
    "its attributes": ("os.listxattr('keep/hidden')", "ENOENT"),
    "a change of directory": ("os.chdir('hidden')", "ENOENT"),
    # Entries.
    "a list": ("entries(os.open('keep', 0), 4096)", "['seen']"),
    "a list of nothing but hidden names": ("entries(os.open('only', 0), 4096)", "[]"),
    "an old list": ("entries(os.open('keep', 0), 4096, 78, 18)", "['seen']"),
    "a directory that is not empty": ("os.rmdir('only')", "ENOTEMPTY"),
    "a rename onto it": ("os.rename('empty', 'd')", "ENOTEMPTY"),
}


@pytest.mark.parametrize("case", CASES)
async def test_a_hidden_name_is_not_there(case: str, tree: Path) -> None:
    line, wanted = CASES[case]

    assert await said(tree, line) == [wanted]


async def test_without_the_rule_all_of_it_is_there(tree: Path) -> None:
    lines = ["os.stat('hidden/../file').st_size", "os.listdir('only')", "os.close(confined('over', 0x08))"]

    assert await said(tree, *lines, given=policy(tree, "")) == ["5", "['.env']", "None"]


async def test_of_an_open_directory_nothing_more_is_told_than_was(tree: Path) -> None:
    """Whoever opened it, or sent it: fstat, list, and paths from it."""
    hides = policy(tree, 'hide = ["$T/hidden"]\n')
    near, far = socket.socketpair()
    opened = os.open(tree / "hidden", os.O_RDONLY)
    with near, far:
        socket.send_fds(near, [b"x"], [opened])
        lines = [
            "os.listdir(4)", "entries(4, 500)", "os.open('inner', 0, dir_fd=4)", "os.open('../file', 0, dir_fd=4)",
            "os.open('.', 0, dir_fd=4)", "os.fstat(4)", "entries(received(), 500)",
        ]  # fmt: skip
        found = await said(tree, *lines, fds={3: far.fileno(), 4: opened}, given=hides)
    os.close(opened)

    assert found == ["ENOENT", "[]", "ENOENT", "ENOENT", "ENOENT", "ENOENT", "[]"]


async def test_a_buffer_that_is_too_small_for_a_hidden_entry_is_large_enough(tree: Path) -> None:
    for number in range(30):
        (tree / "only" / f"{number:0100}.env").write_text("")
    hides = policy(tree, 'hide = ["**/*.env"]\n')

    told = await said(tree, "entries(os.open('only', 0), 32)", "entries(os.open('keep', 0), 20)", given=hides)

    assert told == ["[]", "EINVAL"]


async def test_a_whole_buffer_of_hidden_entries_is_passed(tree: Path) -> None:
    for number in range(3000):
        (tree / "only" / f"{number}.env").touch()
    (tree / "only" / "seen").touch()
    hides = policy(tree, 'hide = ["**/*.env"]\n')

    assert await said(tree, "entries(os.open('only', 0), 100)", given=hides) == ["['seen']"]


async def test_what_is_told_of_a_place_leads_back_to_it(tree: Path) -> None:
    """As seekdir(3) does: d_off stays what it was."""
    line = "(lambda fd: (call(217, fd, ctypes.create_string_buffer(64), 64), at := os.lseek(fd, 0, 1), "
    line += "entries(fd, 4096), os.lseek(fd, at, 0), entries(fd, 4096)))(os.open('keep', 0))"

    (told,) = await said(tree, line)
    first, _, one, _, other = eval(told)

    assert first > 0
    assert one == other


async def test_a_program_that_starts_in_a_hidden_directory_does_not_get_out_of_it(tree: Path) -> None:
    """As from one that was removed: nothing is above it."""
    hides = policy(tree, 'hide = ["$T/hidden"]\n')
    program = "import os\nfor path in ('.', '..', '../file', 'inner'):\n  print(os.path.exists(path))"
    launch = monitor.Launch(
        ["/usr/bin/python3", "-I", "-S", "-c", program], stdout=subprocess.PIPE, cwd=str(tree / "hidden")
    )
    async with monitor.supervise(launch, policy=hides) as run:
        assert run.stdout is not None
        output = b"".join([chunk async for chunk in run.stdout])

    assert output.split() == [b"False"] * 4


async def test_a_policy_that_is_observed_hides_nothing(tree: Path) -> None:
    assert await said(tree, "os.stat('hidden/../file').st_size", observe=True) == ["5"]


async def test_another_policy_may_hide_more_and_less(tree: Path) -> None:
    """In a running program; but lists are only cut short where the first policy hid anything."""
    near, far = socket.socketpair()
    program = "import os\nwhile os.read(0, 1):\n  os.write(0, str(os.path.exists('hidden/../file')).encode())"
    launch = monitor.Launch(["/usr/bin/python3", "-I", "-S", "-c", program], stdin=far.fileno(), cwd=str(tree))
    found = []
    async with monitor.supervise(launch, policy=policy(tree)) as run:
        far.close()
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(near))
        for lists in (HIDE, 'hide = ["/nothing"]\n', HIDE):
            run.replace_policy(policy(tree, lists))
            await stream.send_all(b"x")
            found.append(await stream.receive_some(10))
        await stream.aclose()
        await run.wait()

    assert found == [b"False", b"True", b"False"]


async def test_the_file_of_the_policy_may_be_hidden_and_is_not_there(tree: Path) -> None:
    """What protects it would tell: EACCES of a file, where there shall be none."""
    (tree / "hidden" / "policy.toml").write_text((POLICY + 'hide = ["$T/hidden"]\n').replace("$T", str(tree)))
    given = load(tree / "hidden" / "policy.toml")
    lines = [
        "os.truncate('hidden/policy.toml', 0)", "os.rmdir('hidden')", "os.unlink('hidden/policy.toml')",
        "os.rename('hidden', 'x')", "os.rmdir('hidden/x/y')",
    ]  # fmt: skip

    assert await said(tree, *lines, given=given) == ["ENOENT"] * 5


def said_among_mounts(tree: Path, mounts: str, line: str) -> str:
    """Return what came of *line* where the command *mounts* was run before, in a mount namespace of its own."""
    require("root", os.geteuid() == 0)
    code = f"""
import sys, trio
sys.path[:0] = {sys.path!r}
from pathlib import Path
from tests.kernel.test_hidden import said
print(*trio.run(said, Path({str(tree)!r}), {line!r}))
"""
    command = ["unshare", "--mount", "sh", "-ec", f'{mounts}\nexec "$@"', "sh", sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    require("mount(8) that can do it", not done.stderr.startswith("mount:"))
    return done.stdout + done.stderr


@pytest.mark.root
def test_a_link_that_is_not_followed_on_its_mount_is_not_followed_here(tree: Path) -> None:
    """mount_setattr(2), MOUNT_ATTR_NOSYMFOLLOW; paths with links are walked where anything is hidden."""
    (tree / "link").symlink_to("file")
    mounts = f"mount --bind {tree} {tree}; mount -o remount,bind,nosymfollow {tree}"

    assert said_among_mounts(tree, mounts, "os.stat('link')") == "ELOOP\n"


@pytest.mark.root
def test_a_mount_in_the_place_of_a_hidden_name_does_not_tell(tree: Path) -> None:
    """RESOLVE_NO_XDEV would be EXDEV, as of any mount."""
    mounts = f"mount -t tmpfs none {tree}/hidden"

    assert said_among_mounts(tree, mounts, "confined('hidden/inner', 0x01)") == "ENOENT\n"


# ---- what stays known, as docs/files.md and docs/attacks.md say ----


async def test_a_watch_of_the_directory_tells_what_others_do_there(tree: Path) -> None:
    line = "(lambda group: (call(254, group, 'keep', 0x100), open(0).read(1), os.read(group, 100)[16:22]))"
    reader, writer = os.pipe()
    launch_line = f"{line}(libc.inotify_init1(0))[-1]"
    (tree / "keep" / "hidden").unlink()

    async def make() -> None:
        while "inotify" not in "".join(_links_of(tree)):
            await trio.sleep(0.02)
        await trio.sleep(0.2)
        (tree / "keep" / "hidden").write_text("x")
        os.write(writer, b"x")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(make)
        with trio.fail_after(20):
            found = await said(tree, launch_line, stdin=reader)
    os.close(reader)
    os.close(writer)

    assert found == ["b'hidden'"]


def _links_of(tree: Path) -> list[str]:
    """Return what the fds of the program in *tree* are."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.joinpath("cwd").readlink() == tree:
                found += [str(fd.readlink()) for fd in process.joinpath("fd").iterdir()]
        except OSError:
            continue
    return found


async def test_hidden_entries_count_in_the_links_of_their_directory(tree: Path) -> None:
    (tree / "keep" / "hidden").unlink()
    (tree / "keep" / "hidden").mkdir()
    told = await said(tree, "os.stat('keep').st_nlink")

    assert told == [str((tree / "keep").stat().st_nlink)]


SOCKETS: Final = {
    "connect('hidden/inner')": "ECONNREFUSED",
    "connect('hidden/none')": "ENOENT",
    "connect('hidden/listens')": "None",
    "bind('hidden/inner')": "EADDRINUSE",
    "bind('hidden/none')": "EACCES",
    "bind('hidden/none/none')": "ENOENT",
}


async def test_names_of_sockets_are_looked_up_by_the_kernel(tree: Path) -> None:
    """Whoever lets them be gets that told what is there; without the word for it there are no such sockets."""
    require("Landlock", landlock_abi() > 0)
    lines = [f"socket.socket(socket.AF_UNIX).{line}" for line in SOCKETS]
    lists = HIDE + 'unix = "unmediated"\n'
    directory = os.open(tree / "hidden", os.O_PATH)  # the whole name may be too long for a socket
    with socket.socket(socket.AF_UNIX) as listens:
        listens.bind(f"/proc/self/fd/{directory}/listens")
        listens.listen()
        os.close(directory)
        unmediated = await said(tree, *lines, given=policy(tree, lists))
        mediated = await said(tree, *lines)

    assert dict(zip(SOCKETS, unmediated, strict=True)) == SOCKETS
    assert mediated == ["EAFNOSUPPORT"] * len(SOCKETS)


async def test_programs_are_looked_for_by_the_kernel(tree: Path) -> None:
    """``exec = "unverified"``: execve(2) is not brokered, and tells what is there."""
    told = await said(tree, "os.execve('hidden/inner', ['x'], {})", "os.execve('hidden/nothing', ['x'], {})")

    assert told == ["EACCES", "ENOENT"]


# ---- single steps ----


def test_the_highest_hidden_directory_is_where_a_walk_ends() -> None:
    asked: list[bytes] = []

    def hides(name: bytes) -> bool:
        asked.append(name)
        return (name + b"/").startswith(b"/a/b/")

    assert hiding.hidden_name(hides, [b"/a", b"/"]) is None
    assert asked == [b"/a", b"/"], "one question where nothing is hidden"
    assert hiding.hidden_name(hides, [b"/x", b"/a/b/c/d"]) == b"/a/b"


def test_a_list_of_a_directory_with_two_names_hides_what_either_hides() -> None:
    class Decides:
        def __call__(self, access: str, name: bytes, *, directory: bool) -> Any:
            return SimpleNamespace(hidden=name == b"/a/x")

    resolved = Resolved(b"")
    resolved.names = (b"/a (deleted)", b"/a")
    judge = PathJudge(Decides(), Arch.native())  # type: ignore[arg-type]
    call = SimpleNamespace(name="getdents64", looked_up=lambda _: resolved, hides=None)

    judge._listed(call)  # type: ignore[arg-type]

    hides: Callable[[bytes], bool] = call.hides
    assert (hides(b"x"), hides(b"y")) == (True, False)


async def test_a_directory_whose_name_is_too_long_is_not_listed(tree: Path) -> None:
    """What is hidden in it cannot be told; it was opened while it had another name."""
    lines = (
        "globals().update(fd=os.open('d', 0)) or entries(fd, 4096)",
        "os.makedirs('/'.join(['x' * 200] * 10)) or os.chdir('/'.join(['x' * 200] * 10))",
        "os.makedirs('/'.join(['y' * 200] * 9)) or os.chdir('y' * 200)",
        "os.rename(sys.argv[1] + '/d', '/'.join(['y' * 200] * 8 + ['z' * 250]))",
        "os.lseek(fd, 0, 0) or entries(fd, 4096)",
    )

    assert await said(tree, *lines) == ["[]", "None", "None", "None", "EACCES"]
