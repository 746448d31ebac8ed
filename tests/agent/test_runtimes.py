"""Real containers of runc and crun hand their listeners over, and policies decide their calls."""

from __future__ import annotations

import json
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import pytest

from tests.agent.bundles import Agent, bundle, imported, podman_command, profile, root_file_system, runtime_command

pytestmark = [pytest.mark.root, pytest.mark.seconds(180)]

RUNTIMES = ("runc", "crun")
SECONDS = 60

OPEN = '[policy]\nversion = 1\nname = "{name}"\nsyscalls-default = "allow"\n'

REFUSED = "Read-only file system"


def policy(directory: Path, name: str, *rules: str) -> None:
    directory.mkdir(exist_ok=True)
    (directory / f"{name}.toml").write_text(OPEN.format(name=name) + "".join(rules))


def rule(calls: Sequence[str], action: str) -> str:
    return f"[[syscalls]]\nnames = {json.dumps(list(calls))}\n{action}\n"


DENY = 'action = "deny"\nerrno = "EROFS"'


@pytest.fixture(scope="module")
def root(public_directory: Path) -> Path:
    """Where the root of a user namespace may come to, too."""
    return root_file_system(public_directory / "runtimes")


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    directory = tmp_path / "policies"
    policy(directory, "web", rule(["mkdir"], DENY))
    policy(directory, "open")
    return directory


@pytest.fixture
def agent(tmp_path: Path, policies: Path) -> Iterator[Agent]:
    with Agent(tmp_path, ["--policies", policies, "--default", "open"], sys.executable) as made:
        yield made


class Containers:
    """Those of one runtime, ended with the test."""

    def __init__(self, runtime: str, directory: Path, root: Path) -> None:
        self.runtime = runtime
        self._directory = directory
        self._root = root
        self._ids: set[str] = set()

    def made(self, ident: str, script: str, seccomp: dict[str, Any], **options: Any) -> Path:
        self._ids.add(ident)
        return bundle(self._directory / ident, self._root, script, seccomp, **options)

    def command(self, *words: str | Path) -> list[str]:
        return runtime_command(self.runtime, self._directory / "state", *words)

    def do(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        # Into files: a container that goes on keeps pipes open.
        with (self._directory / "out").open("w+") as out, (self._directory / "err").open("w+") as err:
            status = subprocess.run(
                self.command(*words), stdin=subprocess.DEVNULL, stdout=out, stderr=err, check=False, timeout=SECONDS
            ).returncode
            out.seek(0), err.seek(0)
            return subprocess.CompletedProcess(words, status, out.read(), err.read())

    def run(self, ident: str, script: str, seccomp: dict[str, Any], **options: Any) -> subprocess.CompletedProcess[str]:
        return self.do("run", "-b", self.made(ident, script, seccomp, **options), ident)

    def remove(self) -> None:
        for ident in self._ids:
            self.do("delete", "-f", ident)


@pytest.fixture(params=RUNTIMES)
def containers(request: pytest.FixtureRequest, tmp_path: Path, root: Path) -> Iterator[Containers]:
    directory = tmp_path / "containers"
    directory.mkdir()
    made = Containers(request.param, directory, root)
    try:
        yield made
    finally:
        made.remove()


def until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def test_a_container_gets_the_policy_that_its_metadata_names(containers: Containers, agent: Agent) -> None:
    script = "mkdir /tmp/a; echo $?; echo done"
    refused = containers.run("c1", script, profile(["mkdir", "mkdirat"], agent.socket, "policy=web"))
    allowed = containers.run("c2", script, profile(["mkdir", "mkdirat"], agent.socket, None))

    assert (refused.returncode, refused.stdout) == (0, "1\ndone\n")
    assert REFUSED in refused.stderr
    assert (allowed.returncode, allowed.stdout, allowed.stderr) == (0, "0\ndone\n", "")
    told = agent.told()
    assert "c1: started under policy web (listenerMetadata)" in told
    assert 'mkdir("/tmp/a", 0777) = -1 EROFS (Read-only file system) <denied: ' in told
    assert "c2: started under policy open (default)" in told
    until(lambda: "c2: ended; 1 calls answered, 0 denied" in agent.told())


@pytest.mark.parametrize("user_namespace", [False, True])
@pytest.mark.parametrize("no_new_privileges", [False, True])
def test_it_is_supervised_from_its_creation_on(
    containers: Containers, agent: Agent, user_namespace: bool, no_new_privileges: bool
) -> None:
    """With no-new-privileges crun connects when it creates the container, and sends when it is started."""
    made = containers.made(
        "c1",
        "mkdir /tmp/a; sleep 60",
        profile(["mkdir"], agent.socket, "policy=web"),
        user_namespace=user_namespace,
        no_new_privileges=no_new_privileges,
    )
    assert containers.do("create", "-b", made, "c1").returncode == 0
    assert containers.do("start", "c1").returncode == 0

    until(lambda: "<denied: " in agent.told())
    found = json.loads(agent.asked("show", "c1", "--json").stdout)
    assert (found["policy"], found["denied"], found["in_user_namespace"]) == ("web", 1, user_namespace)
    containers.do("kill", "c1", "KILL")
    until(lambda: "c1: ended" in agent.told())


def test_what_is_executed_in_it_has_its_policy_too_and_outlives_nothing(containers: Containers, agent: Agent) -> None:
    """The message of crun about it tells no pid, and a bundle that is none."""
    made = containers.made("c1", "sleep 60", profile(["mkdir"], agent.socket, "policy=web"))
    assert containers.do("create", "-b", made, "c1").returncode == 0
    assert containers.do("start", "c1").returncode == 0
    done = containers.do("exec", "c1", "/bin/mkdir", "/tmp/b")
    assert done.returncode == 1
    assert REFUSED in done.stderr

    (listed,) = json.loads(agent.asked("list", "--json").stdout)
    assert (listed["container"], listed["policy"], listed["denied"]) == ("c1", "web", 1)
    # A process that stays when what was executed has ended keeps its listener.
    assert containers.do("exec", "c1", "/bin/sh", "-c", "sleep 50 & true").returncode == 0
    assert "c1: ended" not in agent.told()
    assert agent.asked("kill", "c1").returncode == 0
    until(lambda: "c1: ended" in agent.told())
    assert agent.asked("list").returncode == 1


def test_a_policy_for_the_program_does_not_refuse_its_runtime(
    containers: Containers, agent: Agent, policies: Path
) -> None:
    """The runtime closes, opens, locks and executes behind its own filter, until the entry point is there."""
    calls = ["close", "openat", "fcntl", "futex", "execve", "mkdir"]
    policy(policies, "mute", rule(["close", "openat", "fcntl", "futex"], DENY))
    until(lambda: "the configuration was read again" in agent.told())
    done = containers.run("c1", "cat /etc/passwd; echo $?", profile(calls, agent.socket, "policy=mute"))

    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr + agent.told()
    assert REFUSED in done.stderr
    assert "openat(AT_FDCWD" in agent.told()


def test_an_execve_that_is_refused_is_the_programs_own(containers: Containers, agent: Agent, policies: Path) -> None:
    policy(policies, "alone", rule(["execve"], DENY))
    until(lambda: "the configuration was read again" in agent.told())
    done = containers.run(
        "c1", "echo began; /bin/cat /etc/passwd; echo $?", profile(["execve"], agent.socket, "policy=alone")
    )

    assert (done.returncode, done.stdout) == (0, "began\n126\n")


def test_a_new_policy_is_in_force_in_containers_that_run(containers: Containers, agent: Agent, policies: Path) -> None:
    script = "until mkdir /tmp/a 2>/dev/null; do sleep 0.1; done; echo made"
    made = containers.made("c1", script, profile(["mkdir"], agent.socket, "policy=web"))
    with subprocess.Popen(containers.command("run", "-b", made, "c1"), stdout=subprocess.PIPE, text=True) as process:
        until(lambda: "<denied: " in agent.told())
        policy(policies, "web")
        agent.process.send_signal(1)
        assert process.communicate(timeout=SECONDS)[0] == "made\n"
    assert "the configuration was read again" in agent.told()


def test_a_policy_that_became_wrong_leaves_what_was_in_force(
    containers: Containers, agent: Agent, policies: Path
) -> None:
    (policies / "web.toml").write_text("wrong")
    until(lambda: "the configuration was not read again; what was in force stays" in agent.told())
    assert "web.toml:1: no TOML" in agent.told()
    done = containers.run("c1", "mkdir /tmp/a", profile(["mkdir"], agent.socket, "policy=web"))
    assert REFUSED in done.stderr


@pytest.mark.seconds(300)
def test_twenty_containers_at_once(containers: Containers, agent: Agent) -> None:
    made = [
        containers.made(f"c{number}", "mkdir /tmp/a; exit 7", profile(["mkdir"], agent.socket, "policy=web"))
        for number in range(20)
    ]
    commands = [containers.command("run", "-b", one, one.name) for one in made]
    processes = [subprocess.Popen(one, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for one in commands]
    assert [process.wait(SECONDS) for process in processes] == [7] * 20
    until(lambda: agent.told().count(": ended; 1 calls answered, 1 denied") == 20)


# ---- what fails ----


def test_without_an_agent_no_container_starts(containers: Containers, tmp_path: Path) -> None:
    done = containers.run("c1", "echo began", profile(["mkdir"], tmp_path / "agent.sock", "policy=web"))
    assert done.returncode != 0
    assert "began" not in done.stdout


def test_when_the_agent_has_gone_calls_fail_and_the_next_agent_serves_the_next_container(
    containers: Containers, agent: Agent
) -> None:
    made = containers.made("c1", "mkdir /tmp/a; sleep 1; mkdir /tmp/b", profile(["mkdir"], agent.socket, "policy=web"))
    with subprocess.Popen(containers.command("run", "-b", made, "c1"), stderr=subprocess.PIPE, text=True) as process:
        until(lambda: "<denied: " in agent.told())
        agent.process.kill()
        agent.process.wait()
        assert "Function not implemented" in process.communicate(timeout=SECONDS)[1]
    assert agent.socket.exists()  # it had no time to take it away
    with Agent(agent.socket.parent, agent.command[8:], sys.executable):
        done = containers.run("c2", "mkdir /tmp/a", profile(["mkdir"], agent.socket, "policy=web"))
        assert REFUSED in done.stderr


def test_a_second_listener_in_a_container_cannot_be(
    containers: Containers, agent: Agent, compiled: Any, root: Path
) -> None:
    """The kernel allows a task one; who starts a supervisor in a supervised container reads why."""
    program = compiled("o_runtime", "-static")
    (root / "o_runtime").write_bytes(Path(program).read_bytes())
    (root / "o_runtime").chmod(0o755)
    (root / "run" / "nobody").touch()
    script = "/o_runtime /run/nobody x 83 /bin/true; echo $?"
    done = containers.run("c1", script, profile(["mkdir"], agent.socket, "policy=web"))
    assert done.stdout == "2\n"


@pytest.fixture(params=RUNTIMES)
def podman(request: pytest.FixtureRequest, root: Path) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    directory = Path(tempfile.mkdtemp(dir="/tmp", prefix="pod-"))  # Podman wants it short
    environment = imported(request.param, directory, root)

    def do(*words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            podman_command(request.param, directory, *words),
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            timeout=SECONDS,
            stdin=subprocess.DEVNULL,
        )

    yield do
    do("rm", "--all", "--force")
    shutil.rmtree(directory)


def test_podman_passes_the_metadata_on(podman: Callable[..., Any], agent: Agent, tmp_path: Path) -> None:
    written = tmp_path / "profile.json"
    written.write_text(json.dumps(profile(["mkdir"], agent.socket, "policy=web")))
    options = ["--rm", "--network", "none", "--security-opt", f"seccomp={written}"]
    done = podman("run", *options, "localhost/box:1", "/bin/sh", "-c", "mkdir /secret; echo $?")

    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    assert REFUSED in done.stderr
    assert "started under policy web (listenerMetadata)" in agent.told()
    assert 'mkdir("/secret", 0777) = -1 EROFS' in agent.told()


def test_a_refusal_chosen_by_metadata_is_seen_by_who_watches(
    podman: Callable[..., Any], agent: Agent, policies: Path, tmp_path: Path, compiled: Callable[..., str]
) -> None:
    """As the guide has it: the profile is made of the policy, and its metadata names that."""
    policy(policies, "secrets", rule(["mkdir", "mkdirat"], 'action = "deny"\nerrno = "EACCES"'))
    until(lambda: "the configuration was read again" in agent.told())
    written = tmp_path / "secrets.json"
    made = subprocess.run(
        agent.words(
            "profile", policies / "secrets.toml", "--notify-refusals", "--listener", agent.socket, "-o", written
        ),
        check=False,
        capture_output=True,
        text=True,
    )
    assert (made.returncode, made.stdout) == (1, "")
    assert "io_uring_setup" in made.stderr
    runtime = compiled("o_runtime")
    tail = agent.words("tail", "--control", agent.control)
    with subprocess.Popen(tail, stdout=subprocess.PIPE, text=True) as watching:
        try:
            assert watching.stdout is not None
            told = lines_behind(watching.stdout, [runtime, str(agent.socket), EARLIER, "83", "/bin/mkdir", "/"])
            options = ["--rm", "--network", "none", "--security-opt", f"seccomp={written}", "--name", "guide"]
            done = podman("run", *options, "localhost/box:1", "mkdir", "/secret")
            assert "Permission denied" in done.stderr
            lines = [next(told) for _ in range(3)]
        finally:
            watching.terminate()
    assert "started under policy secrets (listenerMetadata)" in lines[0]
    assert 'mkdir("/secret", 0777) = -1 EACCES (Permission denied) <denied: ' in lines[1]
    assert "ended; " in lines[2]


EARLIER = '{"fds":["seccompFd"],"pid":@PID@,"state":{"id":"earlier","status":"creating"}}'


def lines_behind(stream: IO[str], container: Sequence[str]) -> Iterator[str]:
    """The lines of who watches, after those of a *container* that is started until its end is told."""
    while not select.select([stream], [], [], 0.1)[0]:
        subprocess.run(container, check=False, stderr=subprocess.DEVNULL)
    return (line for line in stream if "earlier" not in line)


@pytest.mark.parametrize(("answer", "said"), [("allow", "made\n"), ("deny", "refused\n")])
def test_a_call_of_a_container_is_decided_by_hand(
    containers: Containers, agent: Agent, policies: Path, answer: str, said: str
) -> None:
    policy(policies, "asking", rule(["mkdir"], 'action = "ask"'))
    until(lambda: "the configuration was read again" in agent.told())
    script = "mkdir /tmp/a 2>/dev/null && echo made || echo refused"
    made = containers.made("c1", script, profile(["mkdir"], agent.socket, "policy=asking"))
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(agent.control))
        client.settimeout(SECONDS)
        lines = client.makefile("rw")
        json.loads(lines.readline())
        with subprocess.Popen(
            containers.command("run", "-b", made, "c1"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        ) as process:
            question = json.loads(lines.readline())
            assert (question["container"], question["text"]) == ("c1", 'mkdir("/tmp/a", 0777)')
            assert question["exe"] == "/bin/busybox"
            lines.write(
                json.dumps({"id": 1, "do": "answer", "question": question["question"], "verdict": answer}) + "\n"
            )
            lines.flush()
            assert process.communicate(timeout=SECONDS)[0] == said


HANDLERS = """
import errno
import monitor


@monitor.handles("mkdir")
def no_secrets(call):
    name = call.target.read_string(call.args.pathname, 4096)
    if name.endswith(b"secret"):
        return monitor.Deny(errno.EROFS)
    return monitor.Return(0)
"""


def test_one_file_of_handlers_serves_programs_and_containers(
    containers: Containers, tmp_path: Path, policies: Path
) -> None:
    handlers = tmp_path / "handlers.py"
    handlers.write_text(HANDLERS)
    script = "mkdir /tmp/secret; echo $?; mkdir /tmp/plain; echo $?; ls -d /tmp/plain"
    alone = subprocess.run(
        [sys.executable, "-m", "monitor", "run", "--handlers", handlers, "--", "/bin/busybox", "sh", "-c", script],
        capture_output=True,
        text=True,
        check=False,
    )
    with Agent(
        tmp_path, ["--policies", policies, "--default", "open", "--handlers", handlers], sys.executable
    ) as agent:
        inside = containers.run("c1", script, profile(["mkdir"], agent.socket, None))

    assert alone.stdout == inside.stdout == "1\n0\n"
    assert REFUSED in alone.stderr
    assert REFUSED in inside.stderr
    assert "<denied: no_secrets>" in alone.stderr
    assert "<denied: no_secrets>" in agent.told()


def test_a_slow_handler_of_one_container_keeps_no_other_waiting(
    containers: Containers, tmp_path: Path, policies: Path
) -> None:
    handlers = tmp_path / "handlers.py"
    handlers.write_text(
        "import monitor, trio\n\n\n@monitor.handles('rmdir')\nasync def slow(call):\n"
        "    await trio.sleep(60)\n    return monitor.Allow()\n"
    )
    with Agent(
        tmp_path, ["--policies", policies, "--default", "open", "--handlers", handlers], sys.executable
    ) as agent:
        calls = profile(["mkdir", "rmdir"], agent.socket, "policy=web")
        made = containers.made("c1", "rmdir /tmp", calls)
        with subprocess.Popen(containers.command("run", "-b", made, "c1"), stdin=subprocess.DEVNULL) as process:
            until(lambda: "c1: started" in agent.told())
            begin = time.monotonic()
            done = containers.run("c2", "mkdir /tmp/a; echo $?", calls)
            assert (done.stdout, time.monotonic() - begin < SECONDS / 2) == ("1\n", True)
            assert agent.asked("kill", "c1").returncode == 0
            process.wait(SECONDS)
