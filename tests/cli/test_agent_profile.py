"""
``agent profile``: what it writes, what it tells, and what runc and crun make of it.

What it is not: the rules of a profile (tests/policy/test_notified.py).
"""

from __future__ import annotations

import json
import os
import random
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from monitor.abi.arch import Arch
from monitor.abi.syscalls import names, number_of
from monitor.policy.action import Allow, Ask, Deny, Handle, Log, Return
from monitor.policy.model import Policy
from monitor.policy.text import loads
from tests.agent.bundles import bundle, root_file_system, runtime_command

NATIVE: Final = Arch.native()

SECONDS: Final = 60

ABIS: Final = {Arch.X86_64: "SCMP_ARCH_X86_64", Arch.AARCH64: "SCMP_ARCH_AARCH64"}

OPEN: Final = '[policy]\nversion = 1\nsyscalls-default = "allow"\n'

MIXED: Final = """\
[[syscalls]]
names = ["socket"]
when = "domain != AF_UNIX && domain != AF_INET"
action = "deny"
errno = "EAFNOSUPPORT"

[[syscalls]]
names = ["openat"]
when = "flags & O_CREAT != 0 && flags & O_EXCL == 0 || dirfd < 0"
action = "ask"

[[syscalls]]
names = ["kill"]
when = "sig in (9, 15) && !(pid == 1)"
action = "deny"
errno = "EPERM"

[[syscalls]]
names = ["ptrace"]
action = "kill"

[[syscalls]]
names = ["getpid"]
action = "return"
value = 7

[[syscalls]]
names = ["lseek"]
when = "offset > 4096 || offset < -1"
action = "ask"
"""


def profile(policy: Path | str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "monitor", "agent", "profile", str(policy), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def written(directory: Path, rules: str, *options: str) -> tuple[dict[str, Any], str]:
    """The profile of a policy called ``web``, and what was told about it."""
    path = directory / "web.toml"
    path.write_text(OPEN + rules)
    done = profile(path, *options)
    assert done.returncode in {0, 1}, done.stderr
    return json.loads(done.stdout), done.stderr


# ---- an interpreter of profiles: config-linux.md of the runtime-spec and libseccomp's words, none of our code ----


OPERATIONS: Final[Mapping[str, Callable[[int, int, int], bool]]] = {
    "SCMP_CMP_NE": lambda register, value, _: register != value,
    "SCMP_CMP_LT": lambda register, value, _: register < value,
    "SCMP_CMP_LE": lambda register, value, _: register <= value,
    "SCMP_CMP_EQ": lambda register, value, _: register == value,
    "SCMP_CMP_GE": lambda register, value, _: register >= value,
    "SCMP_CMP_GT": lambda register, value, _: register > value,
    "SCMP_CMP_MASKED_EQ": lambda register, mask, value: register & mask == value & mask,
}


def answers(shape: Mapping[str, Any], call: str, args: Sequence[int]) -> set[tuple[str, int | None]]:
    """
    What a runtime may make of *call*: the action of each row that holds, else the default's.

    Which of several rows counts depends on libseccomp; a profile that says one thing says one of all of them.
    """
    held = {
        (row["action"], row.get("errnoRet"))
        for row in shape["syscalls"]
        if call in row["names"]
        and all(
            OPERATIONS[one["op"]](args[one["index"]], one["value"], one.get("valueTwo", 0))
            for one in row.get("args", ())
        )
    }
    return held or {(shape["defaultAction"], shape.get("defaultErrnoRet"))}


def wanted(policy: Policy, call: str, args: Sequence[int]) -> tuple[str, int | None]:
    """What *policy* says, in a profile's words."""
    number = number_of(NATIVE, call)
    assert number is not None
    action = policy.decide(NATIVE, number, tuple(args)).action
    match action:
        case Ask() | Handle() | Log():
            return "SCMP_ACT_NOTIFY", None
        case Return(value):
            return ("SCMP_ACT_NOTIFY", None) if value else ("SCMP_ACT_ERRNO", 0)
        case Deny(errno):
            return "SCMP_ACT_ERRNO", errno
        case Allow():
            return "SCMP_ACT_ALLOW", None
        case _:
            return "SCMP_ACT_KILL_PROCESS", None


INTERESTING: Final = (0, 1, 2, 9, 10, 15, 0o100, 0o200, 0o300, 4096, 4097, 1 << 31, (1 << 32) - 100, (1 << 64) - 2)


def arguments(chance: random.Random) -> list[int]:
    return [
        chance.choice(INTERESTING) if chance.random() < 0.8 else chance.getrandbits(chance.choice((8, 32, 64)))
        for _ in range(6)
    ]


@pytest.mark.parametrize("default", ["allow", "deny", "ask"])
def test_every_call_is_decided_as_the_policy_decides_it_or_notified(tmp_path: Path, default: str) -> None:
    """Or told to be refused: never is more let run than the policy lets, whatever the arguments are."""
    text = OPEN.replace('"allow"', f'"{default}"') + MIXED
    path = tmp_path / "web.toml"
    path.write_text(text)
    done = profile(path)
    shape, policy = json.loads(done.stdout), loads(text)
    closed = {name for row in shape["syscalls"] if row.get("errnoRet") == 38 for name in row["names"]}
    chance = random.Random(5)
    for call in sorted(names(NATIVE)):
        for _ in range(200 if call in {"socket", "openat", "kill", "lseek"} else 3):
            args = arguments(chance)
            found, right = answers(shape, call, args), wanted(policy, call, args)
            if call in {"execve", "execveat"}:
                assert found == {right if right[0] == "SCMP_ACT_ERRNO" else ("SCMP_ACT_NOTIFY", None)}, (call, args)
            elif call in closed and right[0] == "SCMP_ACT_ALLOW":
                assert found == {("SCMP_ACT_ERRNO", 38)}, (call, args)
            elif call == "write" and right[0] == "SCMP_ACT_NOTIFY":
                assert {action for action, _ in found} == {"SCMP_ACT_ERRNO"}, (call, args)
            elif re.search(rf"\b{call}\b", done.stderr):  # what a row cannot say is the stricter, and told
                assert "SCMP_ACT_ALLOW" not in {action for action, _ in found} or right[0] == "SCMP_ACT_ALLOW"
            else:
                assert found <= {right, ("SCMP_ACT_NOTIFY", None)}, (call, args, found, right)


def test_the_agent_and_the_name_of_the_policy_stand_in_it(tmp_path: Path) -> None:
    ask = '[[syscalls]]\nnames = ["getcwd"]\naction = "ask"\n'
    shape, told = written(tmp_path, ask, "--listener", "/run/a.sock")
    assert (shape["listenerPath"], shape["listenerMetadata"], told) == ("/run/a.sock", "policy=web", "")
    shape, _ = written(tmp_path, ask, "--metadata", "policy=other;x=y")
    assert shape["listenerMetadata"] == "policy=other;x=y"


def test_a_policy_whose_name_no_agent_knows_is_not_named(tmp_path: Path) -> None:
    path = tmp_path / "a b.toml"
    path.write_text(OPEN)
    assert "listenerMetadata" not in json.loads(profile(path).stdout)


@pytest.mark.parametrize("listener", ["agent.sock", "@agent", ""])
def test_a_socket_that_crun_would_not_take_is_refused(tmp_path: Path, listener: str) -> None:
    path = tmp_path / "web.toml"
    path.write_text(OPEN)
    done = profile(path, "--listener", listener)
    assert (done.returncode, done.stdout) == (2, "")
    assert "crun wants an absolute path" in done.stderr


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    path = tmp_path / "web.toml"
    path.write_text(f'{OPEN}[[syscalls]]\nnames = ["write", "sendmsg"]\naction = "ask"\n')
    done = profile(path, "-o", str(tmp_path / "web.json"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "write is left out: runc refuses to notify it" in done.stderr
    assert "sendmsg is notified: crun before 1.6 hangs" in done.stderr
    assert json.loads((tmp_path / "web.json").read_text())["listenerPath"]


def test_nothing_is_written_where_something_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "web.toml"
    path.write_text(OPEN + '[[syscalls]]\nnames = ["no_such_call"]\naction = "ask"\n')
    done = profile(path, "-o", str(tmp_path / "web.json"))
    assert done.returncode == 2
    assert "web.toml:5" in done.stderr
    assert not (tmp_path / "web.json").exists()


# ---- a base profile ----

BASE: Final = {
    "defaultAction": "SCMP_ACT_ERRNO",
    "defaultErrnoRet": 1,
    "architectures": [ABIS.get(NATIVE, "")],
    "syscalls": [{"names": ["getcwd", "getpid", "execve"], "action": "SCMP_ACT_ALLOW"}],
}


def test_what_the_base_refuses_stays_refused(tmp_path: Path) -> None:
    base = tmp_path / "base.json"
    base.write_text(json.dumps(BASE))
    shape, _ = written(tmp_path, '[[syscalls]]\nnames = ["getcwd", "chdir"]\naction = "ask"\n', "--base", str(base))
    assert answers(shape, "getcwd", [0] * 6) == {("SCMP_ACT_NOTIFY", None)}
    assert {action for action, _ in answers(shape, "chdir", [0] * 6)} == {"SCMP_ACT_ERRNO"}
    assert answers(shape, "getpid", [0] * 6) == {("SCMP_ACT_ALLOW", None)}
    assert {action for action, _ in answers(shape, "reboot", [0] * 6)} == {"SCMP_ACT_ERRNO"}


def test_a_base_that_is_none_is_refused(tmp_path: Path) -> None:
    path, base = tmp_path / "web.toml", tmp_path / "base.json"
    path.write_text(OPEN)
    base.write_text('{"defaultAction": "SCMP_ACT_MAYBE"}')
    done = profile(path, "--base", str(base))
    assert (done.returncode, done.stdout) == (2, "")
    assert "base.json" in done.stderr


# ---- real runtimes ----


@pytest.mark.root
@pytest.mark.seconds(120)
@pytest.mark.parametrize("runtime", ["runc", "crun"])
def test_a_runtime_takes_it_and_hands_the_listener_over(runtime: str, tmp_path: Path) -> None:
    """Nobody answers: when the listener is closed the calls are refused, and the container ends."""
    where = tmp_path / "a.sock"
    shape, _ = written(tmp_path, MIXED + '[[syscalls]]\nnames = ["mkdir"]\naction = "ask"\n', "--listener", str(where))
    made = bundle(tmp_path / "bundle", root_file_system(tmp_path), "mkdir /tmp/a", shape)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(where))
        server.listen()
        server.settimeout(SECONDS)
        command = runtime_command(runtime, tmp_path / "state", "run", "-b", made, f"profile-{os.getpid()}")
        with (
            (tmp_path / "err").open("w+") as err,
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=err) as run,
        ):
            try:
                connection, _ = server.accept()
                with connection:
                    connection.settimeout(SECONDS)
                    message, fds, _, _ = socket.recv_fds(connection, 1 << 16, 4)
                    assert [str(Path(f"/proc/self/fd/{fd}").readlink()) for fd in fds] == ["anon_inode:seccomp notify"]
                    assert json.loads(message)["metadata"] == "policy=web"
                    os.close(fds[0])
                assert run.wait(SECONDS) != 0
            finally:
                run.kill()
                run.wait()
                delete = runtime_command(runtime, tmp_path / "state", "delete", "-f", f"profile-{os.getpid()}")
                subprocess.run(delete, capture_output=True, check=False)
