"""The control socket: who may connect, what is told, what an answer must be; over real sockets."""

from __future__ import annotations

import base64
import errno
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from monitor import Allow, Answer, Deny, Kill, Question, Return
from monitor.abi.arch import Arch
from monitor.approve.control import MOST_CLIENTS, ControlSocket, listening
from monitor.approve.wire import MAX_LINE, WireError, answer_of, bytes_of, line_of, parsed, question_fields
from monitor.events.fields import text_or_bytes
from monitor.events.hub import Hub, Subscription
from monitor.notify.approval import About
from monitor.origin import Origin
from monitor.policy.tables import Grant
from monitor.testing import FakeMemory
from tests.events.made import answered

SCOPES: Any = ("once", "process", "program", "run", "always")


def question(number: int = 1, **changed: Any) -> Question:
    fields: dict[str, Any] = {
        "number": number,
        "call": "openat",
        "arch": Arch.X86_64,
        "nr": 257,
        "registers": (1, 2, 3, 4, 5, 6),
        "instruction_pointer": 0x1234,
        "tid": 11,
        "pid": 10,
        "comm": "sh",
        "exe": b"/bin/sh",
        "cwd": b"/",
        "text": 'openat(AT_FDCWD, "/x", O_RDONLY)',
        "about": (About(Origin("agent.toml", line=3), "read", b"/x"),),
        "otherwise": Deny(errno.EACCES),
        "emulated": True,
        "scopes": SCOPES,
        "asked": 1.5,
        "suggestions": (Grant(call="openat", verdict="allow"),),
    }
    return Question(**{**fields, **changed})


class FakeRun:
    def __init__(self) -> None:
        self.targets: set[int] = set()
        self.hub = Hub()
        self.killed = 0

    def supervises(self, pid: int) -> bool:
        return pid in self.targets

    def events(self, capacity: int = 10, *, refusals_only: bool = False) -> Subscription:
        return self.hub.subscribe(capacity, refusals_only=refusals_only)

    def kill(self) -> None:
        self.killed += 1


class Client:
    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._left = b""

    async def line(self) -> dict[str, Any]:
        while b"\n" not in self._left:
            data = await self.stream.receive_some(1 << 16)
            if not data:
                raise EOFError
            self._left += data
        line, _, self._left = self._left.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found

    async def until(self, key: str) -> dict[str, Any]:
        while key not in (found := await self.line()):
            pass
        return found

    async def ask(self, **fields: Any) -> dict[str, Any]:
        """Return the reply."""
        await self.stream.send_all(json.dumps({"id": 7, **fields}).encode() + b"\n")
        found = await self.until("id")
        assert found["id"] == 7
        return found

    async def has_ended(self) -> bool:
        try:
            while True:
                await self.line()
        except (EOFError, trio.BrokenResourceError):
            return True


class Scene:
    def __init__(self, control: ControlSocket, run: FakeRun, path: str) -> None:
        self.control = control
        self.run = run
        self.path = path
        self.clients: list[Client] = []
        self.answers: dict[int, Answer | None] = {}
        self._answered = trio.Event()

    async def connect(self) -> Client:
        return self.client(await trio.open_unix_socket(self.path))

    def client(self, stream: trio.SocketStream) -> Client:
        self.clients.append(Client(stream))
        return self.clients[-1]

    async def joined(self) -> Client:
        client = await self.connect()
        assert (await client.line())["control"] == 1
        return client

    async def put(self, one: Question) -> None:
        self.answers[one.number] = await self.control(one)
        self._answered.set()
        self._answered = trio.Event()

    async def answer(self, number: int = 1) -> Answer | None:
        while number not in self.answers:
            await self._answered.wait()
        return self.answers[number]


@asynccontextmanager
async def scene(tmp_path: Path, *, patient: bool = False) -> AsyncIterator[Scene]:
    run = FakeRun()
    path = str(tmp_path / "control")
    async with listening(path, program="make", patient=patient) as control:
        control.attend(run)
        made = Scene(control, run, path)
        try:
            yield made
        finally:
            for client in made.clients:
                client.stream.socket.close()


# ---- the socket itself ----


async def test_it_is_for_its_user_alone_and_goes_away(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        async with scene(tmp_path) as made:
            mode = os.lstat(made.path).st_mode
            assert stat.S_ISSOCK(mode)
            assert stat.S_IMODE(mode) == 0o600
    finally:
        os.umask(before)
    assert not os.path.lexists(made.path)


async def test_a_socket_that_nobody_listens_to_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / "control"))
    async with scene(tmp_path) as made:
        await made.joined()


async def test_what_somebody_uses_stays(tmp_path: Path) -> None:
    async with scene(tmp_path) as made:
        with pytest.raises(OSError, match="in use"):
            async with scene(tmp_path):
                pass
        await made.joined()
    (tmp_path / "control").write_text("mine")
    with pytest.raises(OSError, match="in use"):
        async with scene(tmp_path):
            pass
    assert (tmp_path / "control").read_text() == "mine"


async def test_what_took_its_place_is_not_taken_away(tmp_path: Path) -> None:
    async with scene(tmp_path) as made:
        Path(made.path).unlink()
        Path(made.path).write_text("theirs")
    assert Path(made.path).read_text() == "theirs"


# ---- who may connect ----


async def test_a_target_may_not_answer_what_is_asked_about_it(tmp_path: Path) -> None:
    async with scene(tmp_path) as made:
        made.run.targets.add(os.getpid())
        client = await made.connect()

        assert await client.line() == {"error": "not for those who are asked about"}
        assert await client.has_ended()
        assert not made.control.has_clients


async def test_who_has_died_may_not_either_as_his_number_may_be_anothers(tmp_path: Path) -> None:
    """A child connects, hands its end to us, and dies: so could a child of a target."""
    async with scene(tmp_path) as made:
        ours, theirs = socket.socketpair(socket.AF_UNIX)
        code = (
            "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
            "socket.send_fds(socket.socket(fileno=3), [b'x'], [s.fileno()])"
        )
        with ours, theirs:
            os.set_inheritable(theirs.fileno(), True)
            command = [sys.executable, "-c", f"import os; os.dup2({theirs.fileno()}, 3)\n{code}", made.path]
            subprocess.run(command, check=True, close_fds=False)
            _, (fd,), _, _ = socket.recv_fds(ours, 1, 1)
        client = made.client(trio.SocketStream(trio.socket.from_stdlib_socket(socket.socket(fileno=fd))))

        assert await client.line() == {"error": "not for those who are asked about"}


@pytest.mark.root
async def test_other_users_may_not(tmp_path: Path) -> None:
    async with scene(tmp_path) as made:
        tmp_path.chmod(0o777)
        for above in tmp_path.parents[:2]:
            above.chmod(0o755)
        os.chmod(made.path, 0o666)  # noqa: PTH101  # even then
        code = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
        code += "print(s.makefile().readline())"
        command = ["setpriv", "--reuid=65534", "--clear-groups", "/usr/bin/python3", "-c", code, made.path]
        done = await trio.run_process(command, capture_stdout=True)

    assert json.loads(done.stdout) == {"error": "not for other users"}


async def test_more_than_so_many_are_sent_away(tmp_path: Path) -> None:
    async with scene(tmp_path) as made:
        clients = [await made.joined() for _ in range(MOST_CLIENTS)]
        one_more = await made.connect()
        assert "connected already" in (await one_more.line())["error"]
        await clients[0].stream.aclose()
        await trio.sleep(0.05)
        await made.joined()


# ---- questions and answers ----


async def test_the_first_answer_counts_and_the_others_are_told(tmp_path: Path) -> None:
    async with scene(tmp_path) as made, trio.open_nursery() as nursery:
        first, second = await made.joined(), await made.joined()
        nursery.start_soon(made.put, question())
        assert (await first.until("question"))["text"] == 'openat(AT_FDCWD, "/x", O_RDONLY)'
        await second.until("question")

        reply = await first.ask(do="answer", question=1, verdict="allow", scope="program")
        assert reply == {"id": 7, "ok": 1}
        assert (await second.until("answered"))["answered"] == 1
        late = await second.ask(do="answer", question=1, verdict="deny")
        assert late["error"] == "question 1 is not open"
        answer = await made.answer()
        assert answer == Answer(Allow(), "program", None, f"pid {os.getpid()}")


async def test_who_comes_later_is_told_what_is_open(tmp_path: Path) -> None:
    async with scene(tmp_path, patient=True) as made, trio.open_nursery() as nursery:
        nursery.start_soon(made.put, question(3))
        await trio.sleep(0.01)
        client = await made.joined()
        assert (await client.until("question"))["question"] == 3
        assert [one["question"] for one in (await client.ask(do="list"))["ok"]] == [3]
        nursery.cancel_scope.cancel()


async def test_without_a_client_there_is_nobody_to_ask(tmp_path: Path) -> None:
    async with scene(tmp_path) as made:
        with trio.fail_after(5):
            assert await made.control(question()) is None


async def test_when_the_last_client_goes_there_is_nobody_to_ask_any_more(tmp_path: Path) -> None:
    async with scene(tmp_path) as made, trio.open_nursery() as nursery:
        clients = [await made.joined(), await made.joined()]
        nursery.start_soon(made.put, question())
        for client in clients:
            await client.until("question")
        await clients[0].stream.aclose()
        await trio.sleep(0.05)
        assert made.answers == {}
        await clients[1].stream.aclose()
        with trio.fail_after(5):
            assert await made.answer() is None


async def test_a_question_that_is_withdrawn_is_told(tmp_path: Path) -> None:
    async with scene(tmp_path) as made:
        client = await made.joined()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(made.put, question(5))
            await client.until("question")
            nursery.cancel_scope.cancel()

        assert await client.until("withdrawn") == {"withdrawn": 5}
        assert "not open" in (await client.ask(do="answer", question=5, verdict="allow"))["error"]


# ---- what else can be asked for ----


async def test_who_waits_can_be_looked_at(tmp_path: Path) -> None:
    memory = FakeMemory(tid=os.getpid(), pid=os.getpid())
    address = memory.place(b"hello")
    async with scene(tmp_path) as made, trio.open_nursery() as nursery:
        client = await made.joined()
        nursery.start_soon(made.put, question(memory=memory))
        await client.until("question")

        assert (await client.ask(do="mem", question=1, address=hex(address), length=4))["ok"] == b"hell".hex()
        assert "error" in await client.ask(do="mem", question=1, address=1, length=4)
        assert "error" in await client.ask(do="mem", question=1, address=address, length=1 << 30)
        assert "0" in (await client.ask(do="fds", question=1))["ok"]
        assert any("libc" in line for line in (await client.ask(do="maps", question=1))["ok"])
        assert any(variable.startswith("PATH=") for variable in (await client.ask(do="env", question=1))["ok"])
        assert (await client.ask(do="tree", question=1))["ok"][0]["pid"] == os.getpid()
        assert len((await client.ask(do="cmdline", question=1))["ok"]) > 1
        memory.waiting = False
        for word in ("mem", "fds", "place", "maps", "env", "tree", "cmdline"):
            reply = await client.ask(do=word, question=1, address=address, length=1)
            assert reply["error"] == "the thread is gone"
        nursery.cancel_scope.cancel()


async def test_the_pointers_of_who_waits_are_told_and_what_is_mapped_there(tmp_path: Path) -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        proc = Path(f"/proc/{process.pid}")
        while b"/cat\n" not in (proc / "maps").read_bytes() or (proc / "syscall").read_bytes()[:2] != b"0 ":
            await trio.sleep(0.01)  # it has to come to its read
        memory = FakeMemory(tid=process.pid, pid=process.pid)
        async with scene(tmp_path) as made, trio.open_nursery() as nursery:
            client = await made.joined()
            nursery.start_soon(made.put, question(memory=memory))
            await client.until("question")
            place = (await client.ask(do="place", question=1))["ok"]
            found = {
                key: (await client.ask(do="maps", question=1, address=value))["ok"] for key, value in place.items()
            }
            none = await client.ask(do="maps", question=1, address=0)
            nursery.cancel_scope.cancel()
        process.kill()

    assert list(place) == ["instruction_pointer", "stack_pointer"]
    assert [len(lines) for lines in found.values()] == [1, 1]
    assert "libc" in found["instruction_pointer"][0]
    assert found["stack_pointer"][0].endswith("[stack]")
    assert none["ok"] == []


async def test_a_thread_that_runs_has_no_place(tmp_path: Path) -> None:
    with subprocess.Popen(["sh", "-c", "while :; do :; done"]) as process:
        while Path(f"/proc/{process.pid}/syscall").read_bytes() != b"running\n":
            await trio.sleep(0.01)  # it has to come to its loop
        async with scene(tmp_path) as made, trio.open_nursery() as nursery:
            client = await made.joined()
            nursery.start_soon(made.put, question(memory=FakeMemory(tid=process.pid, pid=process.pid)))
            await client.until("question")
            reply = await client.ask(do="place", question=1)
            nursery.cancel_scope.cancel()
        process.kill()

    assert reply["error"] == "the thread is gone"


async def test_events_are_told_to_who_asks_for_them(tmp_path: Path) -> None:
    async with scene(tmp_path) as made:
        listens, does_not = await made.joined(), await made.joined()
        assert (await listens.ask(do="events"))["ok"] is True
        assert (await listens.ask(do="events"))["ok"] is True, "and once"
        made.run.hub.publish(answered())
        record = (await listens.until("record"))["record"]
        assert (record["event"], record["seq"]) == ("call", 0)
        assert "ok" in await does_not.ask(do="list")


async def test_the_program_can_be_ended(tmp_path: Path) -> None:
    async with scene(tmp_path) as made:
        client = await made.joined()
        assert (await client.ask(do="kill"))["ok"] is True
        assert made.run.killed == 1


# ---- what is wrong ----


@pytest.mark.parametrize(
    "line",
    [b"garbage", b"[]", b"1", b"", b"{", b"\xff\xfe", b'{"do": 1}', b'{"do": "fly"}', b'{"do": "answer"}',
     b"[" * 60000, b'{"do": "answer", "question": true}', b'{"do": "mem", "question": 99}',
     b'{"do": "answer", "question": 1' + b"0" * 5000 + b"}"],
    ids=lambda line: line[:20],
)  # fmt: skip
async def test_a_wrong_line_is_answered_with_why_and_the_next_is_read(tmp_path: Path, line: bytes) -> None:
    async with scene(tmp_path) as made:
        client = await made.joined()
        await client.stream.send_all(line + b"\n")
        assert "error" in await client.line()
        assert "ok" in await client.ask(do="list")


async def test_a_line_in_pieces_is_a_line(tmp_path: Path) -> None:
    async with scene(tmp_path) as made:
        client = await made.joined()
        for byte in b'{"id": 7, "do": "list"}\n':
            await client.stream.send_all(bytes([byte]))
        assert (await client.line())["ok"] == []


async def test_who_sends_a_line_without_end_is_sent_away(tmp_path: Path) -> None:
    async with scene(tmp_path) as made:
        client = await made.joined()
        with pytest.raises(trio.BrokenResourceError):
            while True:
                await client.stream.send_all(b"x" * MAX_LINE)
        await made.joined()


async def test_who_does_not_read_is_sent_away_and_nobody_waits(tmp_path: Path) -> None:
    async with scene(tmp_path, patient=True) as made, trio.open_nursery() as nursery:
        await made.joined()
        for number in range(5000):
            nursery.start_soon(made.put, question(number, text="x" * 2000))
            with trio.fail_after(1):
                await trio.lowlevel.checkpoint()
            if not made.control.has_clients:
                break
        assert not made.control.has_clients
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ({"verdict": "allow"}, Answer(Allow())),
        ({"verdict": "allow", "scope": "always"}, Answer(Allow(), "always")),
        ({"verdict": "allow", "scope": "always", "why": "é"}, Answer(Allow(), "always", why="é")),
        ({"verdict": "deny"}, Answer(Deny(errno.EACCES))),
        ({"verdict": "deny", "errno": "ENOENT", "scope": "run"}, Answer(Deny(errno.ENOENT), "run")),
        ({"verdict": "return", "value": -5000}, Answer(Return(-5000))),
        ({"verdict": "kill"}, Answer(Kill(signal.SIGKILL))),
        ({"verdict": "kill", "signal": "SIGTERM"}, Answer(Kill(signal.SIGTERM))),
    ],
    ids=str,
)
def test_an_answer_is_understood(said: dict[str, Any], answer: Answer) -> None:
    assert answer_of({"id": 1, "do": "answer", "question": 1, **said}, question()) == answer


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"verdict": "maybe"},
        {"verdict": "allow", "scope": "once", "why": "nothing is written down"},
        {"verdict": "allow", "scope": "always", "why": 7},
        {"verdict": "allow", "scope": "always", "why": "two\nlines"},
        {"verdict": "allow", "scope": "always", "why": "x" * 1001},
        {"verdict": ["allow"]},
        {"verdict": "allow", "errno": "EPERM"},
        {"verdict": "allow", "remember": {}},
        {"verdict": "deny", "errno": 13},
        {"verdict": "deny", "errno": "EWHAT"},
        {"verdict": "return"},
        {"verdict": "return", "value": 1 << 64},
        {"verdict": "return", "value": True},
        {"verdict": "return", "value": -5},
        {"verdict": "return", "value": 1, "scope": "always"},
        {"verdict": "kill", "signal": 9},
        {"verdict": "kill", "scope": "always"},
        {"verdict": "allow", "scope": "for ever"},
        {"verdict": "allow", "scope": 1},
    ],
    ids=str,
)
def test_what_is_no_answer_does_nothing(said: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        answer_of(said, question())


def test_what_was_not_offered_is_no_answer() -> None:
    with pytest.raises(WireError, match="not for always"):
        answer_of({"verdict": "allow", "scope": "always"}, question(scopes=("once", "run")))


@given(st.binary())
def test_bytes_come_back_as_they_were(data: bytes) -> None:
    line = line_of({"x": text_or_bytes(data)})

    assert line.count(b"\n") == 1
    assert line.isascii()
    assert bytes_of(parsed(line)["x"]) == data


@given(st.text(alphabet=st.characters()), st.binary(), st.binary())
def test_whatever_a_target_chooses_is_one_line(comm: str, exe: bytes, path: bytes) -> None:
    one = question(comm=comm, exe=exe, about=(About(Origin(), "read", path),))
    line = line_of(question_fields(one))

    assert line.count(b"\n") == 1
    found: Any = json.loads(line)
    assert bytes_of(found["exe"]) == exe
    assert bytes_of(found["about"][0]["path"]) == path


_JSON = st.recursive(st.none() | st.integers() | st.text(), st.lists)


@given(st.binary(max_size=100) | _JSON.map(lambda value: json.dumps(value).encode()))
def test_no_line_is_more_than_wrong(line: bytes) -> None:
    with suppress(WireError):
        answer_of(parsed(line), question())


def test_base64_that_is_none_is_refused() -> None:
    for wrong in ({"b64": "!"}, {"b64": 1}, {"b64": "", "x": 1}, 1, None):
        with pytest.raises(WireError):
            bytes_of(wrong)  # type: ignore[arg-type]
    assert base64.b64encode(b"\xff") == b"/w=="
