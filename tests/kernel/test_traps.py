"""The traps of the notification protocol that every implementer rediscovers, one test each."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from errno import EACCES, EBUSY
from pathlib import Path
from typing import Any

import pytest
import trio

import monitor

NESTED = """
import trio, monitor
async def main():
    try:
        async with monitor.supervise(["true"], handlers=[monitor.Handler.of("getppid", lambda call: monitor.Allow())]):
            print("started")
    except monitor.LaunchError as error:
        print(error.errno, error)
trio.run(main)
"""


@monitor.handles("all")
def allow_all(_call: monitor.Call) -> monitor.Verdict:
    """Stop at every call there is, and let it go on."""
    return monitor.Allow()


@pytest.mark.parametrize("handover", ["auto", "cookie"])
async def test_handing_the_listener_over_while_every_call_is_trapped_does_not_deadlock(
    run_target: Any, handover: str
) -> None:
    """
    The launched process installs the filter and then has to get the listener out.

    sendmsg, fcntl, close and execve are trapped as well, and nobody answers before the listener
    has arrived: one such call, and both sides wait for ever.
    """
    done = await run_target(["echo", "out"], [allow_all], handover=handover)

    assert (done.status, done.output) == (0, b"out\n")
    assert done.run.stats.received > 5


async def test_receive_that_finds_nobody_is_ignored(run_target: Any, compiled: Any) -> None:
    """
    A process asks and is killed, again and again, between the announcement and the receive.

    ENOENT then means that this one is away, and nothing else: those that follow are answered.
    """
    answered: list[int] = []

    @monitor.handles("getppid")
    async def answer(call: monitor.Call) -> monitor.Verdict:
        answered.append(call.tid)
        return monitor.Return(call.registers[1])

    script = 'i=0; while [ $i -lt 40 ]; do "$0" 100 & kill -9 $!; wait $!; i=$((i+1)); done 2>/dev/null; "$0" 3'
    done = await run_target(["bash", "-c", script, compiled("k_storm")], [answer])

    assert done.status == 0
    assert done.run.stats.received >= 3


async def test_eintr_in_the_supervisor_is_not_fatal(run_target: Any, compiled: Any) -> None:
    """The supervisor's own signals interrupt its waits; the errno is seen for what it is."""
    ticks: list[int] = []
    before = signal.signal(signal.SIGUSR2, lambda number, _frame: ticks.append(number))

    @monitor.handles("getppid")
    async def answer(call: monitor.Call) -> monitor.Verdict:
        os.kill(os.getpid(), signal.SIGUSR2)
        await trio.lowlevel.checkpoint()
        return monitor.Return(call.registers[1])

    try:
        done = await run_target([compiled("k_storm"), "500"], [answer])
    finally:
        signal.signal(signal.SIGUSR2, before)

    assert (done.status, done.run.stats.returned) == (0, 500)
    assert len(ticks) > 100


async def test_supervision_ends_when_the_last_task_is_gone(run_target: Any, compiled: Any) -> None:
    """A receive would block for ever; POLLHUP says that there will never be anything to receive."""
    with trio.fail_after(20):
        async with monitor.supervise(
            [compiled("k_values"), "0"], handlers=[monitor.Handler.of("getppid", lambda _call: monitor.Return(1))]
        ) as run:
            await run.wait_all()

    assert run.returncode == 0


async def test_pipelines_in_which_signals_fly_do_not_hang(run_target: Any) -> None:
    """SIGCHLD comes to a shell all the time, while its own close and fork calls are notified."""
    script = "for i in 1 2 3 4 5 6 7 8; do echo $i | cat | cat & done; wait; echo end"

    @monitor.handles("%desc", "%process", "%file")
    async def answer(_call: monitor.Call) -> monitor.Verdict:
        return monitor.Allow()

    done = await run_target(["bash", "-c", script], [answer])

    assert (done.status, sorted(done.output.split())) == (0, sorted(b"1 2 3 4 5 6 7 8 end".split()))


async def test_a_received_call_waits_through_signals(launched: Any, received: Any, compiled: Any) -> None:
    """SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV is asked for, and known to be there."""
    async with launched([compiled("k_signal"), "plain"], "getppid") as started:
        assert started.listener.wait_killable is True
        ident = (await received(started.listener))[0]
        for _ in range(20):
            started.process.send_signal(signal.SIGUSR1)
            await trio.sleep(0.001)

        assert started.listener.is_valid(ident)


async def test_a_call_that_is_announced_again_under_a_new_id_is_answered_once(
    launched: Any, received: Any, compiled: Any
) -> None:
    """Stopped and continued while it was queued; the first id is nobody's any more."""
    async with launched([compiled("k_signal"), "plain"], "getppid") as started:
        await started.listener.wait()
        started.process.send_signal(signal.SIGSTOP)
        while Path(f"/proc/{started.process.pid}/stat").read_text().rpartition(") ")[2][0] != "T":
            await trio.sleep(0.001)
        started.process.send_signal(signal.SIGCONT)
        ident = (await received(started.listener))[0]
        with pytest.raises(monitor.TargetGone):
            started.listener.respond(ident - 1, 1)
        started.listener.respond(ident, 6)
        output = b"".join([chunk async for chunk in started.process.streams[1]])

    assert output == b"6"


async def test_the_pid_of_a_notification_is_a_thread_id(run_target: Any, compiled: Any) -> None:
    """``call.tid`` is what came; ``call.pid`` is the process, also when its leader has exited."""
    for mode in ([], ["leader exits"]):
        ids: list[tuple[int, int]] = []

        @monitor.handles("getppid")
        def look(call: monitor.Call, ids: list[tuple[int, int]] = ids) -> monitor.Verdict:
            ids.append((call.tid, call.pid))
            return monitor.Return(5)

        done = await run_target([compiled("k_threads"), *mode], [look])

        assert done.status == 0
        [(tid, pid)] = ids
        assert (pid, tid != pid) == (done.run.pid, True)


async def test_a_second_listener_is_ebusy_and_the_message_says_why() -> None:
    """A supervisor under a supervisor: the kernel allows one listener."""
    launch = monitor.Launch([sys.executable, "-c", NESTED], stdout=subprocess.PIPE)
    async with monitor.supervise(launch, handlers=[monitor.Handler.of("mkdir", lambda _call: monitor.Allow())]) as run:
        output = b"".join([chunk async for chunk in run.stdout]).decode()
        assert await run.wait() == 0

    assert output.startswith(f"{EBUSY} ")
    assert "itself supervised" in output


_REFUSED = """
import sys, trio, monitor
@monitor.handles("getppid")
def look(call):
    call.target.read_string(call.registers[0])
    return monitor.Allow(racy="never reached")
async def main():
    async with monitor.supervise(sys.argv[1:], handlers=[look], otherwise=monitor.Allow(), strict=False) as run:
        await run.wait()
    print("", run.stats.allowed, run.stats.denied)
trio.run(main)
"""


def test_memory_that_may_not_be_read_denies_even_where_races_are_accepted(python_as_user: Any, compiled: Any) -> None:
    """The target is of the same user and made itself undumpable: nobody knows what it asks for."""
    with python_as_user(_REFUSED, compiled("k_memory"), "undumpable") as process:
        output = process.communicate()[0].split()

    assert output == [b"-%d" % EACCES, b"0", b"1"]


@pytest.mark.root
async def test_a_target_of_another_user_is_read_by_root(run_target: Any, compiled: Any) -> None:
    found: list[bytes] = []

    @monitor.handles("getppid")
    def look(call: monitor.Call) -> monitor.Verdict:
        found.append(call.target.read_string(call.registers[0]))
        return monitor.Return(0)

    for kind in ("border", "undumpable"):
        done = await run_target([compiled("k_memory"), kind], [look], uid=65534, gid=65534)
        assert done.status == 0
    assert found == [b"across the border", b"private"]


async def test_the_launchers_own_calls_need_no_action_of_the_policy(run_target: Any) -> None:
    """Everything is refused, execve and sendmsg too, and yet the program starts."""
    names: list[str] = []

    @monitor.handles("all")
    def refuse(call: monitor.Call) -> monitor.Verdict:
        names.append(call.name)
        return monitor.Allow() if call.name == "exit_group" else monitor.Deny(EACCES)

    done = await run_target(["/bin/true"], [refuse])

    assert done.status > 0
    assert names
    assert names[0] != "execve"


async def test_an_empty_path_is_an_empty_path(run_target: Any, tmp_path: Path) -> None:
    paths: list[bytes] = []

    @monitor.handles("mkdir", "mkdirat")
    def look(call: monitor.Call) -> monitor.Verdict:
        paths.append(call.read("pathname"))
        return monitor.Return(0)

    await run_target([sys.executable, "-c", "import os; os.mkdir(''); os.mkdir('a')"], [look], cwd=tmp_path)

    assert paths == [b"", b"a"]
