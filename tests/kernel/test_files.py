"""Files are opened for a program: what its policy says of names decides, and nothing it could change meanwhile."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import monitor
from monitor.errors import PolicyError
from monitor.events.record import CallAnswered
from monitor.events.strace import call_text
from monitor.origin import Origin
from monitor.policy.beneath import BROKERED
from monitor.policy.text import load, loads

HEAD = """
[policy]
version = 1
name = "test"
known-as-of = "6.12"
syscalls-default = "allow"
[files]
exec = "unverified"
"""

SYSTEM = 'read = ["/usr", "/bin", "/lib", "/lib64", "/etc", READ]\n'


class Ran:
    """A program that has ended, and what was told of it."""

    def __init__(self, status: int, output: str, told: Sequence[monitor.Event], stats: monitor.Stats) -> None:
        self.status = status
        self.output = output
        self.calls = [event for event in told if isinstance(event, CallAnswered)]
        self.stats = stats

    def of(self, path: Path) -> list[CallAnswered]:
        """Return the calls that were decided by the name *path*."""
        return [call for call in self.calls if call.path == os.fsencode(path)]

    def refused(self, path: Path) -> list[str]:
        """Return what of those was refused, as people read it."""
        return [call_text(call) for call in self.of(path) if isinstance(call.verdict, monitor.Deny)]


def policy(lists: str, tmp_path: Path, *, read: str = "", head: str = HEAD) -> monitor.Policy:
    """Return the policy of a program of the system that may also do what *lists* say; $T is the directory."""
    system = SYSTEM.replace("READ", f'"{read}"' if read else "").replace(", ]", "]")
    return loads(head + system + lists.replace("$T", str(tmp_path)), Origin("test.toml"))


async def ran(given: monitor.Policy, script: str, **options: Any) -> Ran:
    """Run a shell script in the directory /."""
    told: list[monitor.Event] = []
    launch = monitor.Launch(
        ["/bin/sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/", env={"PATH": "/usr/bin"}
    )
    async with monitor.supervise(launch, policy=given, events=told.append, **options) as run:
        output = b"".join([chunk async for chunk in run.stdout]).decode()
        status = await run.wait()
    return Ran(status, output, told, run.stats)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory with a file to read, one to write, and one that is nobody's business."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "file").write_text("read me\n")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("hidden\n")
    return tmp_path


# ---- lists ----


async def test_what_a_list_allows_is_read_and_nothing_else(tree: Path) -> None:
    done = await ran(policy("", tree, read=f"{tree}/open"), f"cat {tree}/open/file; cat {tree}/secret/key")

    assert done.output.startswith("read me\ncat: ")
    assert "Permission denied" in done.output
    (line,) = done.refused(tree / "secret" / "key")
    assert line.startswith(f'openat(AT_FDCWD, "{tree}/secret/key", O_RDONLY) = -1 EACCES (Permission denied) ')
    assert line.endswith(f"<denied: test.toml:7, read {tree}/secret/key>")


async def test_what_may_be_read_may_not_be_written(tree: Path) -> None:
    done = await ran(policy("", tree, read=f"{tree}/open"), f"echo more >> {tree}/open/file")

    assert done.status != 0
    assert (tree / "open" / "file").read_text() == "read me\n"


async def test_what_may_be_written_is_made_and_emptied_and_read(tree: Path) -> None:
    lists = 'write = ["$T/open"]'
    script = f"umask 027; echo one > {tree}/open/new; echo two > {tree}/open/file; cat {tree}/open/new {tree}/open/file"
    done = await ran(policy(lists, tree), script)

    assert (done.status, done.output) == (0, "one\ntwo\n")
    assert (tree / "open" / "new").stat().st_mode & 0o777 == 0o640


async def test_deny_beats_allow_and_hide_beats_deny(tree: Path) -> None:
    lists = 'write = ["$T"]\ndeny = ["$T/secret", "$T/open"]\nhide = ["$T/open/file"]'
    done = await ran(policy(lists, tree), f"cat {tree}/open/file; cat {tree}/secret/key; echo x > {tree}/open/file")

    assert done.output.count("No such file or directory") == 1
    assert [call.verdict for call in done.of(tree / "secret" / "key")] == [monitor.Deny(13)]
    # To make what is hidden is no question of its being there.
    assert {call.verdict for call in done.of(tree / "open" / "file")} == {monitor.Deny(2), monitor.Deny(13)}
    assert (tree / "open" / "file").read_text() == "read me\n"


async def test_a_carve_out_is_carved_out(tree: Path) -> None:
    lists = 'write = ["$T", "!$T/secret"]'
    done = await ran(policy(lists, tree), f"cat {tree}/open/file; cat {tree}/secret/key")

    assert done.output.startswith("read me\n")
    assert done.refused(tree / "secret" / "key")


async def test_a_rule_about_one_class_is_about_no_other(tree: Path) -> None:
    lists = """
[[files.rules]]
paths = ["$T/open"]
access = ["read", "stat"]
action = "allow"
[[files.rules]]
paths = ["$T/open/file"]
access = ["stat"]
action = "deny"
errno = "EBUSY"
"""
    done = await ran(policy(lists, tree), f"read -r line < {tree}/open/file; echo $line; stat {tree}/open/file")

    assert done.output.startswith("read me\n")
    assert "Device or resource busy" in done.output


async def test_otherwise_allow_lets_the_broker_do_everything(tree: Path) -> None:
    done = await ran(policy('otherwise = "allow"', tree), f"cat {tree}/secret/key; ls {tree}")

    assert done.output == "hidden\nopen\nsecret\n"
    assert done.stats.allowed == 0


async def test_what_is_hidden_is_not_listed(tree: Path) -> None:
    lists = 'write = ["$T"]\nhide = ["$T/secret", "**/*.key"]'
    for number in range(2000):
        (tree / "open" / f"{number}.key").touch()
    done = await ran(policy(lists, tree), f"ls -a {tree}; ls -aU {tree}/open; find {tree} -name '*key'")

    assert done.output.split() == [".", "..", "open", ".", "..", "file"]


async def test_the_file_of_the_policy_is_not_written_whatever_it_says(tree: Path) -> None:
    text = HEAD + SYSTEM.replace("READ", "").replace(", ]", "]") + f'write = ["{tree}"]'
    (tree / "policy.toml").write_text(text)
    done = await ran(load(tree / "policy.toml"), f"echo >> {tree}/policy.toml; echo x >> {tree}/open/file")

    assert (tree / "policy.toml").read_text() == text
    assert (tree / "open" / "file").read_text() == "read me\nx\n"
    assert "the supervisor reads it again" in done.refused(tree / "policy.toml")[0]


# ---- names ----


async def test_a_link_is_judged_by_what_it_leads_to(tree: Path) -> None:
    (tree / "open" / "link").symlink_to(tree / "secret" / "key")
    done = await ran(policy("", tree, read=f"{tree}/open"), f"cat {tree}/open/link; readlink {tree}/open/link")

    assert done.refused(tree / "secret" / "key")
    assert done.output.endswith(f"{tree}/secret/key\n")


async def test_a_list_that_is_written_through_a_link_is_about_what_is_behind_it(tree: Path) -> None:
    (tree / "alias").symlink_to(tree / "open")
    done = await ran(policy("", tree, read=f"{tree}/alias"), f"cat {tree}/alias/file {tree}/open/file")

    assert (done.status, done.output) == (0, "read me\nread me\n")


async def test_a_relative_path_and_dots_have_the_name_that_they_lead_to(tree: Path) -> None:
    done = await ran(
        policy("", tree, read=f"{tree}/open"), f"cd {tree}/open && cat file ./file; cat ../secret/../secret/key"
    )

    assert done.output.startswith("read me\nread me\n")
    assert done.refused(tree / "secret" / "key")


async def test_nothing_is_said_of_what_is_not_there_where_nothing_may_be_seen(tree: Path) -> None:
    done = await ran(
        policy("", tree, read=f"{tree}/open"), f"cat {tree}/secret/no; cat {tree}/secret/no/no; cat {tree}/open/no"
    )

    assert done.output.count("Permission denied") == 2
    assert done.output.count("No such file or directory") == 1


async def test_directories_above_what_is_allowed_are_passed_and_not_listed(tree: Path) -> None:
    done = await ran(policy("", tree, read=f"{tree}/open"), f"cd {tree} && stat -c %F {tree} && ls {tree}")

    assert done.output.startswith("directory\nls: ")
    assert [call.access for call in done.of(tree) if call.verdict == monitor.Deny(13)] == ["list"]


# ---- what has no name ----


async def test_pipes_have_no_name_and_are_opened_again(tree: Path) -> None:
    done = await ran(policy("", tree), "echo through | cat /dev/stdin; echo out > /dev/fd/1")

    assert (done.status, done.output) == (0, "through\nout\n")


async def test_what_a_program_was_given_it_may_ask_about(tree: Path) -> None:
    """Fstat of a descriptor is no question of names."""
    given = os.open(tree / "secret" / "key", os.O_RDONLY)
    try:
        launch = monitor.Launch(
            ["/usr/bin/stat", "-L", "-c", "%s", "-"], stdin=given, stdout=subprocess.PIPE, env={}, cwd="/"
        )
        async with monitor.supervise(launch, policy=policy("", tree)) as run:
            output = b"".join([chunk async for chunk in run.stdout])
            assert await run.wait() == 0
    finally:
        os.close(given)
    assert output == b"7\n"


async def test_proc_self_is_the_targets_and_we_are_not_there(tree: Path) -> None:
    own = os.getpid()
    script = f"read -r number rest < /proc/self/stat; [ $number = $$ ] && echo own; cat /proc/{own}/comm /proc/1/comm"
    done = await ran(policy('otherwise = "allow"', tree), script)

    assert done.output.startswith("own\n")
    assert done.output.count("No such file or directory") == 2


async def test_another_process_of_the_tree_is_seen_where_a_policy_says_so(tree: Path) -> None:
    script = "sleep 5 & read -r name < /proc/$!/comm; echo $name; kill $!"

    assert (await ran(policy('otherwise = "allow"', tree), script)).output.startswith("s")
    assert "cannot open" in (await ran(policy("", tree), script)).output


# ---- beneath ----


CHANGES = (
    "mkdir $T/open/made",
    "ln -s a $T/open/made",
    "ln $T/open/file $T/open/made",
    "mkfifo $T/open/made",
    "mv $T/open/file $T/open/made",
    "rm $T/open/file",
    "rmdir $T/open",
    "chmod 777 $T/open/file",
    "touch -d 2020-01-01 $T/open/file",
    "truncate -s 0 $T/open/file",
    "setfattr -n user.one -v 1 $T/open/file",
)


@pytest.mark.parametrize("script", CHANGES)
async def test_what_may_be_read_is_not_changed(tree: Path, script: str) -> None:
    before = (tree / "open" / "file").stat()
    done = await ran(policy("", tree, read=f"{tree}/open"), script.replace("$T", str(tree)))

    assert done.status != 0
    assert "Permission denied" in done.output
    assert [path.name for path in (tree / "open").iterdir()] == ["file"]
    assert (tree / "open" / "file").stat()[:-3] == before[:-3]


@pytest.mark.parametrize("script", CHANGES)
async def test_what_may_be_written_is_changed(tree: Path, script: str) -> None:
    """By the program itself the second wall would let it make nothing."""
    script = "rm $T/open/file; " * script.startswith("rmdir") + script
    done = await ran(policy('write = ["$T"]', tree), script.replace("$T", str(tree)))

    assert (done.output, done.status) == ("", 0)


async def test_a_rule_of_the_topmost_policy_lifts_what_is_refused_beneath(tree: Path) -> None:
    rule = '[[syscalls]]\nnames = ["keyctl"]\naction = "allow"\n'
    calls = "import ctypes; libc = ctypes.CDLL(None, use_errno=True); libc.syscall(250, 99); print(ctypes.get_errno())"
    script = f"python3 -S -c '{calls}'"

    refused = await ran(policy("", tree), script)
    lifted = await ran(policy(rule, tree), script)

    assert int(refused.output) in {errno.EPERM, errno.ENOSYS}
    assert int(lifted.output) == errno.EOPNOTSUPP


@pytest.mark.root
async def test_with_other_rights_a_program_that_is_observed_acts_for_itself(tree: Path) -> None:
    """Nothing is refused, and nothing done with rights that it has not."""
    (tree / "open").chmod(0o755)
    (tree / "open" / "file").chmod(0o600)
    script = f"import os; os.setresuid(65534, 65534, 65534); print(os.stat('/etc').st_uid); open('{tree}/open/file')"
    done = await ran(policy("", tree), f'python3 -S -c "{script}"', observe=True)

    assert "PermissionError" in done.output
    assert done.output.endswith("\n0\n")


async def test_rights_that_were_refused_at_first_are_not_lifted_in_a_running_program(tree: Path) -> None:
    """Where refusals are left to us, another policy could let through what the filter does not refuse itself."""
    rule = '[[syscalls]]\nnames = ["{}"]\naction = "allow"\n'
    launch = monitor.Launch(["/bin/sleep", "60"], cwd="/")
    async with monitor.supervise(launch, policy=policy("", tree), notify_refusals=True) as run:
        for call in ("chroot", "userfaultfd"):
            with pytest.raises(PolicyError, match="start anew"):
                run.replace_policy(policy(rule.format(call), tree))
        with pytest.raises(PolicyError, match="start anew"):
            run.replace_policy(loads(HEAD.partition("[files]")[0], Origin("test.toml")))
        run.replace_policy(policy(rule.format("add_key"), tree))
        run.kill()


async def test_a_rule_that_refuses_more_lifts_nothing(tree: Path) -> None:
    """TIOCSTI stays refused, although a rule of the policy names ioctl."""
    rule = '[[syscalls]]\nnames = ["ioctl"]\nwhen = "request == TCGETS"\naction = "deny"\nerrno = "ENOTTY"\n'
    script = "python3 -c 'import fcntl; fcntl.ioctl(0, 0x5412, b\"x\")'"
    done = await ran(policy(rule, tree), script)

    assert "Operation not permitted" in done.output


async def test_a_default_that_refuses_leaves_files_to_the_table(tree: Path) -> None:
    head = HEAD.replace('syscalls-default = "allow"', 'syscalls-default = "deny"')
    others = ", ".join(f'"!{name}"' for name in sorted(BROKERED))
    rule = f'[[syscalls]]\nnames = ["all", {others}]\naction = "allow"\n'
    done = await ran(policy(rule, tree, read=f"{tree}/open", head=head), f"cat {tree}/open/file; cat {tree}/secret/key")

    assert done.output.startswith("read me\n")
    assert done.refused(tree / "secret" / "key")


@pytest.mark.parametrize(
    ("lists", "said"),
    [
        ('enforce = "kernel"', "a broker enforces"),
        ('[[files.rules]]\npaths = ["/x"]\naction = "handle"\nhandler = "h"', "a handler marks its calls itself"),
    ],
)
async def test_what_this_version_does_not_enforce_is_refused(tree: Path, lists: str, said: str) -> None:
    with pytest.raises(PolicyError, match=said):
        await ran(policy(lists, tree), "true")


def test_a_rule_that_allows_what_a_table_decides_is_an_error(tree: Path) -> None:
    with pytest.raises(PolicyError, match=r"test\.toml:11.*openat is decided about by \[files\]"):
        policy('\n[[syscalls]]\nnames = ["getpid", "openat"]\naction = "allow"\n', tree)


async def test_programs_are_started_only_where_the_policy_says_the_word(tree: Path) -> None:
    given = policy("", tree, head=HEAD.replace('exec = "unverified"\n', ""))

    assert "Permission denied" in (await ran(given, "/usr/bin/true")).output


async def test_a_socket_with_a_name_takes_a_word_of_the_policy(tree: Path) -> None:
    script = "python3 -c 'import socket; socket.socket(socket.AF_UNIX)'"
    closed = await ran(policy("", tree), script)
    opened = await ran(policy('unix = "unmediated"', tree), script)

    assert "Address family not supported" in closed.output
    assert opened.status == 0


async def test_no_core_is_dumped(tree: Path) -> None:
    done = await ran(policy("", tree), "ulimit -H -c; ulimit -c 1; ulimit -c unlimited")

    assert done.output.startswith("0\n")
    assert done.status != 0


@pytest.mark.parametrize("options", [{"no_new_privs": False}, {"other_abis": True}])
async def test_what_nobody_could_follow_is_refused(tree: Path, options: dict[str, Any]) -> None:
    launch = monitor.Launch(["true"], **options)

    with pytest.raises(PolicyError, match=r"not possible under \[files\]"):
        async with monitor.supervise(launch, policy=policy("", tree)):
            pytest.fail("it ran")


async def test_files_need_a_kernel_that_is_known(tree: Path) -> None:
    with pytest.raises(PolicyError, match="known-as-of"):
        await ran(policy("", tree, head=HEAD.replace('known-as-of = "6.12"\n', "")), "true")


# ---- handlers, grants, observing ----


async def test_a_handler_sees_the_name_and_has_it_done(tree: Path) -> None:
    names = []

    @monitor.handles("openat")
    def sees(call: monitor.Call) -> monitor.Verdict:
        names.append(call.path("pathname").canonical)
        return call.emulate()

    done = await ran(policy("", tree, read=f"{tree}/open"), f"cat {tree}/open/../open/file", handlers=[sees])

    assert done.output == "read me\n"
    assert os.fsencode(tree / "open" / "file") in names


async def test_no_handler_lifts_what_a_table_refuses(tree: Path) -> None:
    asked = []

    @monitor.handles("openat")
    def lifts(call: monitor.Call) -> monitor.Verdict:
        asked.append(call.path("pathname").canonical)
        return call.emulate()

    done = await ran(policy("", tree), f"cat {tree}/secret/key", handlers=[lifts])

    assert done.refused(tree / "secret" / "key")
    assert os.fsencode(tree / "secret" / "key") not in asked


async def test_a_grant_answers_what_is_asked(tree: Path) -> None:
    lists = """ask = ["$T"]
[[grants]]
call = "openat"
paths = ["$T/open"]
program = "/usr/bin/cat"
verdict = "allow"
"""
    given = policy(lists, tree)
    done = await ran(given, f"cat {tree}/open/file; cat {tree}/secret/key; head -1 {tree}/open/file")

    assert done.output.startswith("read me\n")
    assert done.output.count("Permission denied") == 2


async def test_observing_refuses_no_name_and_says_what_it_would(tree: Path) -> None:
    done = await ran(policy("", tree), f"cat {tree}/secret/key", observe=True)

    assert done.output == "hidden\n"
    (call,) = [call for call in done.of(tree / "secret" / "key") if call.name == "openat"]
    assert "<observed: would deny with EACCES: test.toml:7, read " in call_text(call)


def test_an_ordinary_user_runs_under_it_too(tree: Path) -> None:
    text = HEAD + SYSTEM.replace("READ", f'"{tree}/open"')
    (tree / "policy.toml").write_text(text)
    tree.chmod(0o755)
    if os.geteuid() == 0:
        for part in (tree, *tree.parents):
            if part.stat().st_mode & 0o005 != 0o005:
                part.chmod(0o755)
    command = [sys.executable, "-m", "monitor", "run", "-p", f"{tree}/policy.toml", "--"]
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*user, *command, "/bin/sh", "-c", f"cat {tree}/open/file; cat {tree}/secret/key"],
        capture_output=True, text=True, check=False, cwd="/",
    )  # fmt: skip

    assert done.stdout == "read me\n"
    assert "<denied: " in done.stderr
