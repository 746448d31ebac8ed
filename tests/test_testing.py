"""``monitor.testing`` as users use it: a call, their handlers, the verdict; no kernel, no waiting."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

import monitor
from monitor import Allow, Arch, Call, Deny, InjectFd, Pass, Return, Verdict, handles
from monitor.testing import FakeListener, call, decide


@handles("mkdir", "mkdirat")
def no_secrets(call: Call) -> Verdict:
    return Deny(errno.EACCES) if call.read("pathname").endswith(b"/secret") else Pass()


@handles("kill")
def no_init(call: Call) -> Verdict:
    return Deny(errno.EPERM) if call.args.pid == 1 else Allow()


# ---- asking handlers ----


async def test_the_verdict_of_a_handler_is_what_decide_returns() -> None:
    assert await decide([no_secrets], call("mkdir", pathname=b"/home/secret")) == Deny(errno.EACCES)
    assert await decide(no_secrets, call("mkdirat", pathname=b"/home/public"), otherwise=Return(0)) == Return(0)


async def test_a_handler_object_can_be_asked_alone() -> None:
    handler = monitor.Handler.of("close", lambda call: Return(call.args.fd))

    assert await decide(handler, call("close", fd=5)) == Return(5)


async def test_a_handler_that_does_not_name_the_call_is_not_asked() -> None:
    assert await decide([no_secrets], call("rmdir", pathname=b"/home/secret"), otherwise=Allow()) == Allow()


async def test_an_argument_that_is_called_pid_is_the_calls() -> None:
    assert await decide(no_init, call("kill", pid=1, sig=9)) == Deny(errno.EPERM)
    assert await decide(no_init, call("kill", pid=2, sig=9)) == Allow()
    assert call("tgkill", tgid=7, tid=8, sig=9).args.as_mapping() == {"tgid": 7, "tid": 8, "sig": 9}


async def test_a_handler_can_be_called_directly() -> None:
    assert no_secrets(call("mkdir", pathname=b"/x/secret")) == Deny(errno.EACCES)


async def test_a_call_can_be_decided_again_and_again() -> None:
    made = call("mkdir", pathname=b"/home/secret")

    assert [await decide(no_secrets, made) for _ in range(3)] == [Deny(errno.EACCES)] * 3
    assert no_secrets(made) == Deny(errno.EACCES)


async def test_what_a_handler_writes_stays_in_its_own_copy() -> None:
    @handles("getcwd")
    def answers(call: Call) -> Verdict:
        call.target.write(call.args.buf, b"/new\0")
        return Return(5)

    made = call("getcwd", buf=bytes(16), size=16)

    assert await decide(answers, made) == Return(5)
    assert made.target.read(made.args.buf, 5) == bytes(5)


async def test_a_racy_allow_is_refused_as_in_earnest() -> None:
    @handles("openat")
    def looks(call: Call) -> Verdict:
        call.read("pathname")
        return Allow(racy="only counted")

    made = call("openat", pathname=b"/x")

    assert await decide(looks, made) == Deny(errno.EPERM)
    assert await decide(looks, made, strict=False) == Allow(racy="only counted")


async def test_a_deadline_costs_no_time_on_an_autojump_clock(autojump_clock: trio.testing.MockClock) -> None:
    @handles("openat")
    async def thinks(call: Call) -> Verdict:
        await trio.sleep(10)
        return Allow()

    assert await decide(thinks, call("openat")) == Allow()
    assert await decide(thinks, call("openat"), answer_seconds=9) == Deny(errno.EPERM)


async def test_a_handler_that_raises_is_a_denial_and_an_event() -> None:
    @handles("openat")
    def fails(call: Call) -> Verdict:
        raise ValueError("why")

    events: list[monitor.Event] = []

    assert await decide(fails, call("openat"), events=events) == Deny(errno.EPERM)
    assert isinstance(events[0], monitor.HandlerFailed)
    assert str(events[0].error) == "why"


async def test_one_list_of_events_serves_several_questions() -> None:
    """The verdict is that of this question, not of the first in the list."""
    events: list[monitor.Event] = []

    first = await decide(no_init, call("kill", pid=1), events=events)
    second = await decide(no_init, call("kill", pid=2), events=events)

    assert (first, second) == (Deny(errno.EPERM), Allow())
    assert len(events) == 2


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, pytest.fail.Exception])
async def test_what_is_no_exception_leaves_as_itself(
    kind: type[BaseException], open_fds: Callable[[], set[str]]
) -> None:
    """A ``pytest.fail`` in a handler, say: it has to fail the test."""

    @handles("openat")
    def stops(call: Call) -> Verdict:
        raise kind("now")

    before = open_fds()
    with pytest.raises(kind, match="now"):
        await decide(stops, call("openat"))

    assert open_fds() == before


async def test_a_call_of_the_other_abi_asks_the_handlers_of_its_name() -> None:
    """A handler may name calls that this ABI does not have; a real supervision takes it too."""

    @handles("open", "newfstatat", "openat")
    def refuses(call: Call) -> Verdict:
        return Deny(errno.EACCES)

    assert await decide(refuses, call("open", Arch.I386, pathname=b"/x")) == Deny(errno.EACCES)
    with pytest.raises(monitor.PolicyError, match="did you mean"):
        await decide(monitor.Handler.of("opennat", refuses), call("open", Arch.I386))


async def test_nothing_stays_open(open_fds: Callable[[], set[str]]) -> None:
    before = open_fds()

    await decide(no_init, call("kill", pid=1))

    assert open_fds() == before


# ---- making calls ----


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: call("opennat"), monitor.PolicyError, "x86_64 has no call 'opennat'"),
        (lambda: call("open", Arch.AARCH64), monitor.PolicyError, "aarch64 has no call 'open'"),
        (lambda: call("openat", path=b"/"), TypeError, "no argument 'path'; it has: dirfd, pathname"),
        (lambda: call("getppid", x=1), TypeError, "it has: none"),
        (lambda: call("openat", pathname="/etc"), TypeError, "an int or bytes"),  # type: ignore[arg-type]
        (lambda: call("openat", flags=b"r"), TypeError, "flags is an int"),
        (lambda: call("openat", flags="r"), TypeError, "flags is an int"),  # type: ignore[arg-type]
    ],
)
def test_a_call_that_cannot_be_made_says_why(make: Callable[[], Call], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_what_is_left_out_is_zero() -> None:
    assert call("openat").registers == (0,) * 6


def test_a_negative_argument_is_a_register_of_64_bits() -> None:
    made = call("openat", dirfd=-100)

    assert made.registers[0] == (1 << 64) - 100
    assert made.args.dirfd == -100


def test_the_thread_and_its_process_can_be_named() -> None:
    made = call("openat", thread=12, process=11)

    assert (made.tid, made.pid) == (12, 11)


def test_a_name_that_is_a_keyword_of_python_can_be_given() -> None:
    with pytest.raises(TypeError, match="no argument 'from'"):
        call("openat", **{"from": 1})


# ---- the fake listener ----


async def test_what_was_injected_can_be_looked_at() -> None:
    @handles("openat")
    def answers(call: Call) -> Verdict:
        fd = os.memfd_create("answer")
        os.write(fd, b"hello")
        return InjectFd(fd, close_on_exec=bool(call.args.flags & os.O_CLOEXEC))

    listener = FakeListener()
    async with monitor.supervise(listener, handlers=[answers], strict=False):
        response = await listener.response(listener.notify(call("openat", flags=os.O_CLOEXEC)))

    assert response.injected is not None
    assert (response.injected.content, response.injected.close_on_exec) == (b"hello", True)


@pytest.mark.parametrize("make", [lambda: os.open("/", os.O_RDONLY), lambda: socket.socket().detach()])
async def test_what_has_no_beginning_can_be_injected_too(make: Callable[[], int]) -> None:
    handler = monitor.Handler.of("openat", lambda call: InjectFd(make(), close_on_exec=True))

    assert isinstance(await decide(handler, call("openat")), InjectFd)


async def test_who_waits_for_the_answer_to_a_thread_that_is_gone_is_told() -> None:
    listener = FakeListener()
    ident = listener.notify(call("openat"))
    with pytest.RaisesGroup(monitor.TargetGone):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(listener.response, ident)
            await trio.testing.wait_all_tasks_blocked()
            listener.interrupt(ident)
    with pytest.raises(monitor.TargetGone):
        await listener.response(12345)
    listener.close()


def test_only_calls_that_were_made_here_can_be_queued() -> None:
    listener = FakeListener()
    made = call("openat")
    foreign: Any = Call(made._raw, made.name, made.arch, object())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"monitor.testing.call"):
        listener.notify(foreign)
    listener.close()


# ---- the fake memory ----


def test_memory_is_there_from_its_first_byte_to_its_last() -> None:
    made = call("write", buf=b"hello")
    target, address = made.target, made.args.buf

    assert target.read(address + 1, 4) == b"ello"
    for start, size in ((address - 1, 2), (address, 6), (address + 5, 1), (0, 1)):
        with pytest.raises(monitor.TargetMemoryError) as caught:
            target.read(start, size)
        assert caught.value.errno == errno.EFAULT


def test_a_string_ends_with_its_nul_or_not_at_all() -> None:
    made = call("openat", pathname=b"/a\0b")
    assert made.read("pathname") == b"/a"
    long = call("openat", pathname=b"/" * 10)
    assert long.target.read_string(long.args.pathname, 11) == b"/" * 10
    with pytest.raises(monitor.TargetMemoryError, match="ENAMETOOLONG"):
        long.target.read_string(long.args.pathname, 10)
    with pytest.raises(monitor.TargetMemoryError, match="EFAULT"):
        call("write", buf=b"no end").target.read_string(call("write", buf=b"no end").args.buf)


def test_memory_can_be_written_as_far_as_it_goes() -> None:
    made = call("read", buf=bytes(4))
    made.target.write(made.args.buf + 1, b"abc")

    assert made.target.read(made.args.buf, 4) == b"\0abc"
    with pytest.raises(monitor.TargetMemoryError):
        made.target.write(made.args.buf + 2, b"abc")
    made.target.write(0, b"")
