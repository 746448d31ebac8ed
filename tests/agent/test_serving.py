"""``seccomp-monitor agent`` as a process: its sockets, its service manager, its configuration, and who asks it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import trio

from monitor.agent.configuration import read_configuration
from monitor.agent.notifying import Manager
from monitor.agent.sockets import handed_down
from monitor.policy.variables import Variables
from tests.agent.bundles import Agent

SECONDS = 20
EXAMPLE = Path(__file__).parents[2] / "examples/containers"
POLICY = '[policy]\nversion = 1\nname = "{name}"\nsyscalls-default = "allow"\n'
DENY = '[[syscalls]]\nnames = ["mkdir"]\naction = "deny"\nerrno = "EROFS"\n'
MESSAGE = (
    '{"fds":["seccompFd"],"pid":@PID@,"metadata":"policy=web","state":{"id":"%s","status":"creating","bundle":"/b"}}'
)
MKDIR = "83"


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    directory = tmp_path / "policies"
    directory.mkdir()
    (directory / "web.toml").write_text(POLICY.format(name="web") + DENY)
    return directory


@pytest.fixture
def agent(tmp_path: Path, policies: Path) -> Iterator[Agent]:
    with Agent(tmp_path, ["--policies", policies], sys.executable) as made:
        yield made


@pytest.fixture
def runtime(compiled: Callable[..., str]) -> str:
    return compiled("o_runtime")


def contained(agent: Agent, runtime: str, *words: str, ident: str = "c1") -> subprocess.Popen[bytes]:
    command = [runtime, str(agent.socket), MESSAGE % ident, MKDIR, *words]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def refused(words: Sequence[str | Path]) -> str:
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False, timeout=SECONDS)
    assert done.returncode == 125
    assert "Traceback" not in done.stderr
    return done.stderr


def test_it_answers_what_runtimes_send(agent: Agent) -> None:
    done = subprocess.run(
        agent.words("check", agent.socket, "--metadata", "policy=web"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("\n") == 10
    assert all(
        line.startswith("ok ") and line.endswith("mkdir answered with EROFS") for line in done.stdout.splitlines()
    )


def test_the_check_fails_where_nobody_answers(tmp_path: Path, agent: Agent) -> None:
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(tmp_path / "deaf"))
        assert subprocess.run(agent.words("check", tmp_path / "deaf"), capture_output=True, check=False).returncode == 2
        deaf.listen(100)

        def closing() -> None:
            while True:
                deaf.accept()[0].close()

        child = os.fork()
        if not child:
            closing()
        try:
            done = subprocess.run(
                agent.words("check", tmp_path / "deaf", "--json"), capture_output=True, text=True, check=False
            )
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    assert done.returncode == 1
    assert not any(json.loads(line)["is_right"] for line in done.stdout.splitlines())


def test_two_agents_do_not_share_a_socket(agent: Agent, tmp_path: Path, policies: Path) -> None:
    other = agent.words("--policies", policies, "--socket", agent.socket, "--control", tmp_path / "other.sock")
    assert "Address already in use" in refused(other)
    other = agent.words("--policies", policies, "--socket", tmp_path / "other.sock", "--control", agent.control)
    assert "Address already in use" in refused(other)
    assert agent.asked("list").returncode == 1
    assert not (tmp_path / "other.sock").exists()


def test_what_is_no_socket_stays(tmp_path: Path, agent: Agent) -> None:
    (tmp_path / "file").write_text("mine")
    assert "Address already in use" in refused(agent.words("--socket", tmp_path / "file", "--control", ""))
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(("mode", "wanted"), [(None, 0o600), ("0666", 0o666), ("660", 0o660)])
def test_the_socket_has_the_mode_that_was_said_and_goes_with_the_agent(
    tmp_path: Path, policies: Path, mode: str | None, wanted: int
) -> None:
    options: list[str | Path] = ["--policies", policies, *([] if mode is None else ["--mode", mode])]
    before = os.umask(0o077)
    try:
        with Agent(tmp_path, options, sys.executable) as made:
            assert made.socket.stat().st_mode & 0o7777 == wanted
            assert made.control.stat().st_mode & 0o7777 == 0o600
            made.process.send_signal(signal.SIGTERM)
            assert made.process.wait(SECONDS) == 0
            assert not made.socket.exists()
            assert not made.control.exists()
    finally:
        os.umask(before)


def test_what_is_wrong_is_said_before_anything_is_served(tmp_path: Path, policies: Path, agent: Agent) -> None:
    (policies / "broken.toml").write_text("[policy")
    (policies / "other.toml").write_text(
        POLICY.format(name="x") + '[[syscalls]]\nnames = ["nothing"]\naction = "deny"\n'
    )
    place: list[str | Path] = ["--socket", tmp_path / "s", "--control", ""]
    told = refused(agent.words("--policies", policies, "--default", "gone", *place))
    assert "broken.toml:1" in told
    assert "other.toml:6" in told
    assert "there is no policy 'gone'; there are: web" in told
    assert "the command line" in told
    assert "No such file or directory" in refused(agent.words("--policies", tmp_path / "nowhere", *place))
    assert "there is no policy '../web'" in refused(agent.words("--policies", policies, "--default", "../web", *place))
    assert "not with" in refused(agent.words("--config", tmp_path / "agent.toml", "--default", "web"))
    assert "No such file or directory" in refused(agent.words("--config", tmp_path / "agent.toml"))
    assert not (tmp_path / "s").exists()


def test_containers_are_listed_shown_watched_and_killed(agent: Agent, runtime: str) -> None:
    with contained(agent, runtime, "/bin/sh", "-c", "mkdir /; exec sleep 60") as process:
        (listed,) = until(lambda: [one for one in json.loads(agent.asked("list", "--json").stdout) if one["denied"]])
        assert (listed["container"], listed["pid"], listed["policy"]) == ("c1", process.pid, "web")
        table = agent.asked("list").stdout.splitlines()
        assert table[0].split() == ["CONTAINER", "PID", "POLICY", "AGE", "CALLS", "DENIED"]
        assert table[1].split()[:3] == ["c1", str(process.pid), "web"]
        shown = agent.asked("show", "c").stdout
        for line in ("container:         c1", "why:               listenerMetadata", "bundle:            /b"):
            assert line in shown
        assert agent.asked("show", "c1", "--json").returncode == 0
        for words in (["show", "c2"], ["kill", "c2"], ["tail", "c2"]):
            done = agent.asked(*words)
            assert (done.returncode, done.stderr) == (2, "seccomp-monitor: there is no container 'c2'\n")
        assert agent.asked("kill", "c1").returncode == 0
        assert process.wait(SECONDS) == -signal.SIGKILL
    until(lambda: "c1: ended" in agent.told())


def test_nobody_is_asked_where_no_agent_is(tmp_path: Path, agent: Agent) -> None:
    done = subprocess.run(
        agent.words("list", "--control", tmp_path / "none"), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (
        2,
        f"seccomp-monitor: {tmp_path}/none: No such file or directory: is the agent running?\n",
    )


@pytest.mark.root
def test_who_is_in_a_container_cannot_ask_the_agent(agent: Agent, runtime: str, tmp_path: Path) -> None:
    ask = f"import socket; s = socket.socket(socket.AF_UNIX); s.connect('{agent.control}'); print(s.recv(1000))"
    alone = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert '{"control":1' in alone.stdout
    out = tmp_path / "out"
    # In a mount namespace of its own, as every container, and with a filter: neither of them is told apart by name.
    inside = f'unshare -m {sys.executable} -c "{ask}" > {out}'
    with contained(agent, runtime, "/bin/sh", "-c", inside) as process:
        assert process.wait(SECONDS) == 0
    assert "not for those who are asked about" in out.read_text()


@pytest.mark.root
def test_an_agent_in_another_pid_namespace_says_so_at_once(tmp_path: Path, policies: Path, runtime: str) -> None:
    class Inside(Agent):
        def words(self, *words: str | Path) -> list[str]:
            return ["unshare", "--pid", "--fork", "--kill-child", *super().words(*words)]

    with Inside(tmp_path, ["--policies", policies], sys.executable) as made:
        assert "this is not the host's pid namespace" in made.told()
        with contained(made, runtime, "/bin/mkdir", "/") as process:
            assert process.wait(SECONDS) == 1
        assert "is the agent in another pid namespace than the runtime?" in until(made.told)
        made.process.kill()


# ---- what is read again ----


def test_a_hangup_and_a_changed_file_have_everything_read_again(agent: Agent, policies: Path, runtime: str) -> None:
    with contained(
        agent, runtime, "/bin/sh", "-c", "until mkdir made 2>/dev/null; do sleep 0.1; done; rmdir made"
    ) as process:
        until(lambda: "<denied: " in agent.told())
        (policies / "web.toml").write_text(POLICY.format(name="web"))
        assert process.wait(SECONDS) == 0
    assert agent.told().count("the configuration was read again") == 1
    agent.process.send_signal(signal.SIGHUP)
    until(lambda: agent.told().count("the configuration was read again") == 2)
    (policies / "new.toml").write_text(POLICY.format(name="new"))
    until(lambda: "2 policies, 0 containers" in agent.told())
    (policies / "new.toml").write_text("wrong")
    until(lambda: "the configuration was not read again; what was in force stays" in agent.told())
    (policies / "new.toml").unlink()
    until(lambda: agent.told().count("the configuration was read again") == 4)


# ---- the service manager ----


def test_the_service_manager_hears_how_it_is(tmp_path: Path, policies: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(SECONDS)
        command = [sys.executable, "-m", "monitor", "agent", "--policies", str(policies)]
        places = ["--socket", str(tmp_path / "a"), "--control", str(tmp_path / "c")]
        environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
        with subprocess.Popen([*command, *places], env=environment, stderr=subprocess.DEVNULL) as process:
            assert manager.recv(1000) == b"READY=1\nSTATUS=1 policies, 0 containers"
            assert manager.recv(1000) == b"WATCHDOG=1"
            process.send_signal(signal.SIGHUP)
            heard = [manager.recv(1000) for _ in range(20)]
            reloading = next(one for one in heard if one.startswith(b"RELOADING=1\nMONOTONIC_USEC="))
            said = int(reloading.rpartition(b"=")[2])
            assert abs(said - time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000) < SECONDS * 1e6
            assert any(one.startswith(b"READY=1") for one in heard[heard.index(reloading) :])
            process.send_signal(signal.SIGTERM)
            while manager.recv(1000) != b"STOPPING=1":
                pass
            assert process.wait(SECONDS) == 0


def test_an_abstract_socket_of_the_manager_is_meant_too() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0monitor-{os.getpid()}")
        environment = {"NOTIFY_SOCKET": f"@monitor-{os.getpid()}", "WATCHDOG_USEC": "5", "WATCHDOG_PID": "1", "A": "b"}
        made = Manager.of(environment)
        made.tell("READY=1")
        assert manager.recv(100) == b"READY=1"
    assert environment == {"A": "b"}
    assert made.watchdog_seconds == float("inf")
    made.tell("READY=1")  # nobody listens any more


@pytest.mark.parametrize("address", ["", "relative", "vsock:2:1"])
def test_without_a_manager_nothing_is_said(address: str) -> None:
    made = Manager.of({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "5000000"})
    assert made == Manager()
    made.ready("nobody hears it")


async def test_the_watchdog_hears_twice_as_often_as_it_wants(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        with trio.move_on_after(0.5):
            await Manager(str(tmp_path / "notify"), 0.1).keep_alive()
        manager.setblocking(False)
        heard = 0
        with pytest.raises(BlockingIOError):
            while manager.recv(100) == b"WATCHDOG=1":
                heard += 1
    assert 3 <= heard <= 10


ACTIVATED = """
import os, sys
os.dup2(int(sys.argv[1]), 3)  # where sd_listen_fds(3) has it
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.executable, [sys.executable, "-m", "monitor", "agent", *sys.argv[2:]])
"""


def test_a_socket_that_the_manager_opened_is_used_and_stays(tmp_path: Path, policies: Path, runtime: str) -> None:
    path = tmp_path / "activated"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(5)
        words = ["--policies", str(policies), "--socket", str(tmp_path / "own"), "--control", str(tmp_path / "c")]
        command = [sys.executable, "-c", ACTIVATED, str(server.fileno()), *words]
        environment = {**os.environ, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "agent.socket"}
        with subprocess.Popen(command, env=environment, pass_fds=[server.fileno()]) as process:
            made = [runtime, str(path), MESSAGE % "c1", MKDIR, "/bin/mkdir", "/"]
            done = subprocess.run(made, capture_output=True, text=True, timeout=SECONDS, check=False)
            assert "Read-only file system" in done.stderr
            process.send_signal(signal.SIGTERM)
            assert process.wait(SECONDS) == 0
    assert path.exists()
    assert not (tmp_path / "own").exists()


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({"LISTEN_FDS": "x"}, "LISTEN_FDS is 'x'"),
        ({"LISTEN_FDS": "0"}, "LISTEN_FDS is '0'"),
        ({"LISTEN_FDS": "99999999999"}, "LISTEN_FDS is"),
        ({"LISTEN_FDS": "500"}, "is no listening UNIX stream socket|is not open"),
    ],
)
def test_what_a_manager_says_wrongly_is_told(environment: dict[str, str], why: str) -> None:
    ours = {**environment, "LISTEN_PID": str(os.getpid())}
    code = (
        "import os, sys; from monitor.agent.sockets import ActivationError, handed_down\n"
        "os.environ['LISTEN_PID'] = str(os.getpid())\n"
        "try: handed_down(os.environ)\nexcept ActivationError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **ours}, capture_output=True, text=True, check=True
    )
    assert re.search(why, done.stdout), done


def test_what_was_meant_for_somebody_else_is_not_taken() -> None:
    environment = {"LISTEN_FDS": "1", "LISTEN_PID": "1", "LISTEN_FDNAMES": "x", "A": "b"}
    assert handed_down(environment) == {}
    assert environment == {"A": "b"}


def test_the_example_is_a_configuration() -> None:
    made = read_configuration(str(EXAMPLE / "agent.toml"), variables=Variables(), handlers=(), uid=0)
    assert sorted(made.choosing.policies) == ["asked", "no-mounts", "watched"]
    assert made.choosing.policies["watched"].observe
