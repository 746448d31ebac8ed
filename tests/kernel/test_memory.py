"""Looking into a waiting thread: what is read, what is refused, and whose memory it is."""

from __future__ import annotations

import os
import re
import signal
import struct
import subprocess
import sys
from errno import EACCES, EFAULT, EINVAL, ENAMETOOLONG, ENOTTY, EPERM
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import trio

import monitor
from monitor.notify.target import MAX_READ
from tests.kernel.test_doctor_absence import Refusal, under

_ID, _TID, _ADDRESS = 0, 1, 6

_PROCMAP_QUERY = 0xC0686611
"""``_IOWR('f', 17, struct procmap_query)``, of 104 bytes: include/uapi/linux/fs.h."""


def asks(look: Any) -> Any:
    """Make a handler of a function of (target, address, second word) that gives the number to return."""

    @monitor.handles("getppid")
    def answer(call: monitor.Call) -> monitor.Verdict:
        value = look(call.target, call.registers[0], call.registers[1])
        return monitor.Return(1 if value is None else value)

    return answer


async def seen(run_target: Any, program: str, kind: str, look: Any, *more: str) -> tuple[Any, int]:
    """Return what *look* returned of one piece of memory, and what the target got for an answer."""
    found: list[Any] = []
    done = await run_target([program, kind, *more], [asks(lambda *words: found.append(look(*words)))])
    assert done.status == 0, done.output
    return (found or [None])[0], int(done.output.split()[0])


def string(target: monitor.Target, address: int, _second: int) -> bytes:
    """Read a string."""
    return target.read_string(address)


# ---- strings ----


async def test_a_string_across_a_page_border_is_read_whole(run_target: Any, compiled: Any) -> None:
    assert await seen(run_target, compiled("k_memory"), "border", string) == (b"across the border", 1)


async def test_a_string_that_ends_just_before_an_unmapped_page_is_read_whole(run_target: Any, compiled: Any) -> None:
    assert await seen(run_target, compiled("k_memory"), "last", string) == (b"the end", 1)


async def test_a_string_that_runs_into_an_unmapped_page_is_efault(run_target: Any, compiled: Any) -> None:
    assert await seen(run_target, compiled("k_memory"), "unended", string) == (None, -EFAULT)


async def test_a_path_of_4095_bytes_is_read_and_one_of_4096_is_enametoolong(run_target: Any, compiled: Any) -> None:
    assert await seen(run_target, compiled("k_memory"), "long", string, "4095") == (b"x" * 4095, 1)
    assert await seen(run_target, compiled("k_memory"), "long", string, "4096") == (None, -ENAMETOOLONG)


async def test_an_empty_string_is_an_empty_string(run_target: Any, compiled: Any) -> None:
    assert await seen(run_target, compiled("k_memory"), "long", string, "0") == (b"", 1)


# ---- addresses that are none ----


@pytest.mark.parametrize(
    "address",
    ["0", "ffffffff81000000", "ffffffffff600000", "800000000000", "ffffffffffffffff", "7ffffffff000"],
    ids=["NULL", "kernel", "vsyscall", "noncanonical", "last byte", "end of user space"],
)
async def test_an_address_that_is_none_is_efault_as_from_the_kernel(
    run_target: Any, compiled: Any, address: str
) -> None:
    program = compiled("k_memory")

    assert await seen(run_target, program, "address", string, address) == (None, -EFAULT)
    assert await seen(run_target, program, "address", lambda t, a, _: t.read(a, 8), address) == (None, -EFAULT)
    assert await seen(run_target, program, "address", lambda t, a, _: t.write(a, b"x"), address) == (None, -EFAULT)


@pytest.mark.parametrize("kind", ["unmapped", "beyond"])
async def test_a_page_that_is_not_there_is_efault(run_target: Any, compiled: Any, kind: str) -> None:
    program = compiled("k_memory")

    assert await seen(run_target, program, kind, string) == (None, -EFAULT)
    assert await seen(run_target, program, kind, lambda t, a, _: t.write(a, b"x")) == (None, -EFAULT)


async def test_prot_none_is_read_through_and_not_written_to(run_target: Any, compiled: Any) -> None:
    """The documented difference: the kernel would say EFAULT to the target for the read as well."""
    program = compiled("k_memory")

    assert await seen(run_target, program, "none", string) == (b"behind PROT_NONE", 1)
    assert await seen(run_target, program, "none", lambda t, a, _: t.write(a, b"x")) == (None, -EFAULT)


# ---- sizes and shapes ----


async def test_bytes_are_read_exactly_or_not_at_all(run_target: Any, compiled: Any) -> None:
    program = compiled("k_memory")

    assert await seen(run_target, program, "partial", lambda t, a, _: t.read(a, 4)) == (bytes(4), 1)
    assert await seen(run_target, program, "partial", lambda t, a, _: t.read(a, 5)) == (None, -EFAULT)
    assert await seen(run_target, program, "partial", lambda t, a, _: t.read(a, 0)) == (b"", 1)


async def test_a_size_of_the_targets_choice_does_not_take_our_memory(run_target: Any, compiled: Any) -> None:
    found, answer = await seen(run_target, compiled("k_memory"), "border", lambda t, a, _: t.read(a, MAX_READ + 1))

    assert found is None
    assert answer < 0


async def test_an_array_of_iovecs_is_read_with_what_it_points_to(run_target: Any, compiled: Any) -> None:
    """An empty piece may point anywhere, as in the kernel."""
    program = compiled("k_memory")

    assert await seen(run_target, program, "iovec", lambda t, a, n: t.read_gathered(a, n)) == (b"onetwo", 1)
    pairs, _ = await seen(run_target, program, "iovec", lambda t, a, n: t.read_iovecs(a, n))
    assert [size for _, size in pairs] == [3, 0, 3]
    assert await seen(run_target, program, "iovec", lambda t, a, _: t.read_iovecs(a, 1025)) == (None, -EINVAL)


async def test_an_array_of_strings_ends_with_null(run_target: Any, compiled: Any) -> None:
    found, _ = await seen(run_target, compiled("k_memory"), "strings", lambda t, a, _: t.read_strings(a))

    assert found == [b"first", b"", b"third"]


async def test_a_struct_comes_as_its_fields(run_target: Any, compiled: Any) -> None:
    layout = struct.Struct("=6sB2s")

    found, _ = await seen(run_target, compiled("k_memory"), "border", lambda t, a, _: t.read_struct(a, layout))
    assert found == (b"across", ord(" "), b"th")


async def test_argv_of_an_execve_is_read_by_name(run_target: Any) -> None:
    words: list[list[bytes]] = []

    @monitor.handles("execve")
    def refuse(call: monitor.Call) -> monitor.Verdict:
        words.append(call.read_strings("argv"))
        return monitor.Deny(EPERM)

    await run_target(["/bin/sh", "-c", "/bin/true a '' 'b c'; exit 0"], [refuse])
    assert words == [[b"/bin/true", b"a", b"", b"b c"]]


# ---- writes ----


@pytest.mark.seconds(120)
def test_without_a_question_about_mappings_their_text_says_the_same() -> None:
    """``PROCMAP_QUERY`` came with Linux 6.11; before it an ioctl of the file is ENOTTY."""
    refused = Refusal("ioctl", ((1, 0xFFFFFFFF, _PROCMAP_QUERY),)).program(ENOTTY)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "writ and not question", __file__]
    root = Path(__file__).parents[2]

    done = subprocess.run(
        command, preexec_fn=under(refused), cwd=root, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip

    assert done.returncode == 0, done.stdout
    assert int(re.findall(r"(\d+) passed", done.stdout)[0]) >= 6


async def test_a_write_across_a_page_border_arrives(run_target: Any, compiled: Any) -> None:
    done = await run_target([compiled("k_memory"), "border"], [asks(lambda t, a, _: t.write(a, b"ACROSS THE"))])

    assert done.output == b"1 ACROSS THE border"


@pytest.mark.parametrize("kind", ["rodata", "readonly"])
async def test_a_write_respects_the_pages_protection(run_target: Any, compiled: Any, kind: str) -> None:
    """Forced through /proc/TID/mem it would make a private copy, and succeed where the kernel fails."""
    done = await run_target([compiled("k_memory"), kind], [asks(lambda t, a, _: t.write(a, b"WRITTEN"))])

    assert done.output == b"%d read only" % -EFAULT


async def test_a_write_that_runs_into_an_unmapped_page_is_an_error_after_what_came_before(
    run_target: Any, compiled: Any
) -> None:
    done = await run_target([compiled("k_memory"), "partial"], [asks(lambda t, a, _: t.write(a, b"abcdef"))])

    assert done.output == b"%d abcd" % -EFAULT


# ---- who may look ----

_AS_USER = """
import sys, trio, monitor
@monitor.handles("getppid")
def look(call):
    try:
        print("read", call.target.read_string(call.registers[0]))
    except monitor.TargetMemoryError as error:
        print("refused", error.errno)
        raise
    return monitor.Allow()
async def main():
    async with monitor.supervise(sys.argv[1:], handlers=[look], otherwise=monitor.Allow()) as run:
        await run.wait()
        print(run.stats.allowed, run.stats.denied)
trio.run(main)
"""


def test_a_target_that_made_itself_undumpable_is_denied_with_eacces_and_never_allowed(
    python_as_user: Any, compiled: Any
) -> None:
    """An ordinary user may not look into it: then nobody has seen what would be allowed."""
    with python_as_user(_AS_USER, compiled("k_memory"), "undumpable") as process:
        output = process.communicate()[0].decode()

    assert output.splitlines() == [f"-{EACCES}refused {EACCES}", "0 1"] or output.splitlines() == [
        f"refused {EACCES}",
        f"-{EACCES}0 1",
    ]


@pytest.mark.root
async def test_root_looks_into_an_undumpable_target(run_target: Any, compiled: Any) -> None:
    assert await seen(run_target, compiled("k_memory"), "undumpable", string) == (b"private", 1)


# ---- whose memory it is ----


async def test_memory_of_a_thread_that_is_not_the_leader_is_read(run_target: Any, compiled: Any) -> None:
    for mode in ([], ["leader exits"]):
        found: list[tuple[bytes, int, int, int]] = []

        @monitor.handles("getppid")
        def look(call: monitor.Call, found: list[tuple[bytes, int, int, int]] = found) -> monitor.Verdict:
            found.append((call.target.read_string(call.registers[0]), call.tid, call.pid, call.registers[1]))
            return monitor.Return(5)

        done = await run_target([compiled("k_threads"), *mode], [look])

        [(text, tid, pid, told)] = found
        assert done.status == 0
        assert text == b"of the other thread"
        assert (tid, pid) == (told, done.run.pid)
        assert tid != pid


async def test_a_parents_memory_and_its_childs_are_not_confused(run_target: Any, compiled: Any) -> None:
    """
    The trap of a kept file: a vfork(2) child has its parent's memory until it executes a program.

    A file on /proc/PID/mem that was opened before and kept would go on reading the parent.
    """
    found: list[bytes] = []

    def look(target: monitor.Target, address: int, _second: int) -> None:
        found.append(target.read_string(address))

    await run_target([compiled("k_vfork", "-no-pie")], [asks(look)])

    assert found == [b"parent", b"parent", b"executed", b"parent"]


async def test_memory_that_is_unmapped_while_it_is_read_gives_the_string_or_efault(
    run_target: Any, compiled: Any
) -> None:
    """
    One thread maps and unmaps the page while the other's question about it is answered.

    The look may come before, between or after; it may see the page half filled.  It never sees
    anything else, never hangs, and never ends the supervision.
    """
    found: set[bytes | int] = set()

    @monitor.handles("getppid")
    def look(call: monitor.Call) -> monitor.Verdict:
        try:
            found.add(call.target.read_string(call.registers[0]))
        except monitor.TargetMemoryError as error:
            found.add(error.errno)
        return monitor.Return(0)

    done = await run_target([compiled("k_unmap"), "3000"], [look])

    assert (done.status, done.run.stats.returned) == (0, 3000)
    assert found <= {b"it is there".replace(b"is ", b"i\0 ").split(b"\0")[0], b"it ithere", b"", EFAULT}
    assert len(found) > 1


async def test_nothing_is_read_or_written_after_the_thread_is_gone(launched: Any, received: Any, compiled: Any) -> None:
    async with launched([compiled("k_memory"), "border"], "getppid") as started:
        notification = await received(started.listener)
        target = started.listener.target(notification[_ID], notification[_TID])
        assert target.read_string(notification[_ADDRESS]) == b"across the border"

        started.process.send_signal(signal.SIGKILL)
        await started.process.exited.wait()

        for use in (
            lambda: target.read(notification[_ADDRESS], 4),
            lambda: target.read_string(notification[_ADDRESS]),
            lambda: target.write(notification[_ADDRESS], b"late"),
            lambda: target.pid,
        ):
            with pytest.raises(monitor.TargetGone):
                use()


async def test_nothing_is_read_after_the_answer(launched: Any, received: Any, compiled: Any) -> None:
    """The thread runs on, and what it has in its memory now is no longer what was asked about."""
    async with launched([compiled("k_unmap"), "2"], "getppid") as started:
        first = await received(started.listener)
        started.listener.respond(first[_ID], 0)
        second = await received(started.listener)

        assert first[_TID] == second[_TID]
        with pytest.raises(monitor.TargetGone):
            started.listener.target(first[_ID], first[_TID]).read_string(first[_ADDRESS])


async def test_no_signal_is_sent_after_the_answer(launched: Any, received: Any, compiled: Any) -> None:
    """The thread is there, under its number, and asks again: it is not the one that was to be killed."""
    async with launched([compiled("k_unmap"), "2"], "getppid") as started:
        first = await received(started.listener)
        started.listener.respond(first[_ID], 0)
        second = await received(started.listener)

        with pytest.raises(monitor.TargetGone):
            started.listener.kill(first[_ID], first[_TID], signal.SIGKILL)
        assert first[_TID] == second[_TID]
        assert started.listener.is_valid(second[_ID])


@pytest.mark.root
async def test_bytes_of_a_later_process_with_the_same_number_are_thrown_away(
    launched: Any, received: Any, compiled: Any
) -> None:
    """
    A thread asks, is killed and reaped; a new process gets its number, with text at the same address.

    /proc/TID/mem then leads into the new process, and nothing there tells the difference: only the
    look at the notification's id does.  A signal meant for the first must not reach the second.
    """
    program = compiled("k_settid", "-no-pie")
    async with launched([program], "getppid") as started:
        ident, tid, address = (notification := await received(started.listener))[0], notification[1], notification[6]
        started.process.send_signal(signal.SIGKILL)
        await started.process.exited.wait()
        with subprocess.Popen([program, str(tid)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as later:
            assert later.stdin is not None
            assert later.stdout is not None
            assert later.stdout.readline() == b"the later one\n"
            with Path(f"/proc/{tid}/mem").open("rb", buffering=0) as memory:
                memory.seek(address)
                assert memory.read(13) == b"the later one"  # that is what an unchecked look finds

            target = started.listener.target(ident, tid)
            for use in (
                lambda: target.read(address, 13),
                lambda: target.read_string(address),
                lambda: target.write(address, b"overwritten"),
                lambda: target.pid,
                lambda: started.listener.kill(ident, tid, signal.SIGKILL),
            ):
                with pytest.raises(monitor.TargetGone):
                    use()

            later.stdin.close()
            assert later.wait() == 7


# ---- memory that would make us wait ----


@pytest.mark.root
@pytest.mark.parametrize("kind", ["missing", "protected"])
async def test_a_page_that_userfaultfd_serves_does_not_make_us_wait(run_target: Any, compiled: Any, kind: str) -> None:
    """
    The target's page is missing, or locked against writing, and only the target could resolve that.

    It waits for us: if a look or a write waited for the page, neither would ever go on.
    """
    seconds: list[float] = []

    @monitor.handles("getppid")
    def look(call: monitor.Call) -> monitor.Verdict:
        started = monotonic()
        try:
            if kind == "missing":
                with pytest.raises(monitor.TargetMemoryError):
                    call.target.read_string(call.registers[0])
            with pytest.raises(monitor.TargetMemoryError) as refused:
                call.target.write(call.registers[0], b"x")
            return monitor.Deny(refused.value.errno)
        finally:
            seconds.append(monotonic() - started)

    done = await run_target([compiled("k_uffd"), kind], [look])

    assert (done.status, done.output) == (0, b"%d" % -EFAULT)
    assert seconds[0] < 5


# ---- namespaces ----

_SIBLING = """
import sys, trio, monitor
@monitor.handles("getppid")
def look(call):
    print("tid", call.tid, "pid", call.pid, flush=True)
    call.target.read_string(call.registers[0])
    return monitor.Allow()
async def main():
    async with monitor.supervise(monitor.Listener.from_fd(int(sys.argv[1])), handlers=[look]) as run:
        await run.wait_all()
        print(run.stats.allowed, run.stats.denied)
trio.run(main)
"""


async def test_a_receiver_in_another_pid_namespace_sees_no_number_and_no_memory(launched: Any, compiled: Any) -> None:
    """Thread 0 has no memory that we could look into: such a call is denied, never allowed."""
    async with launched([compiled("k_memory"), "border"], "getppid") as started:
        listener = os.dup(started.listener.fileno())
        started.listener.close()
        command = ["unshare", "--user", "--pid", "--fork", sys.executable, "-c", _SIBLING, str(listener)]
        process = await trio.run_process(command, pass_fds=[listener], capture_stdout=True)
        os.close(listener)
        answer = await started.process.streams[1].receive_some()

    assert process.stdout.split(b"\n")[:2] == [b"tid 0 pid 0", b"0 1"]
    assert answer == b"-%d across the border" % EACCES


async def test_a_target_in_a_pid_namespace_of_its_own_is_known_by_our_number(run_target: Any, compiled: Any) -> None:
    found: list[tuple[int, int, bytes]] = []

    @monitor.handles("getppid")
    def look(call: monitor.Call) -> monitor.Verdict:
        inside = re.search(rb"NSpid:.*?(\d+)\n", Path(f"/proc/{call.tid}/status").read_bytes())
        assert inside is not None
        found.append((call.tid, int(inside[1]), call.target.read_string(call.registers[0])))
        return monitor.Return(1)

    done = await run_target([compiled("k_memory"), "border"], [look], namespaces={"user", "pid"})

    assert found == [(done.run.pid, 1, b"across the border")]
