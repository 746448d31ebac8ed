"""Waiting for descriptors: arrays of pollfd, sets of fds as words of bits, and what epoll is to watch."""

from __future__ import annotations

import struct

import pytest

from monitor import Arch
from monitor.notify.render import Look
from tests.notify.render.shown import NOWHERE, A, B, C, D, E, Line, shown


def polled(*entries: tuple[int, int]) -> bytes:
    return b"".join(struct.pack("<iHH", fd, events, 0) for fd, events in entries)


def fds(*numbers: int, size: int = 128) -> bytes:
    return sum(1 << number for number in numbers).to_bytes(size, "little")


LINES: list[Line] = [
    ("poll", (A, 2, 1000), {A: polled((3, 1), (-1, 4))}, "poll([{fd=3, events=POLLIN}, {fd=-1}], 2, 1000)"),
    (
        "poll",
        (A, 1, -1),
        {A: polled((3, 0xFFFF))},
        (
            "poll([{fd=3, events=POLLIN|POLLPRI|POLLOUT|POLLERR|POLLHUP|POLLNVAL|POLLRDNORM|POLLRDBAND|POLLW"
            "RNORM|POLLWRBAND|POLLMSG|POLLREMOVE|POLLRDHUP|POLL_BUSY_LOOP|0x4800}], 1, -1)"
        ),
    ),
    ("poll", (A, 1, 0), {A: polled((3, 0))}, "poll([{fd=3, events=0}], 1, 0)"),
    ("poll", (A, 0, -1), {A: bytes(8)}, "poll([], 0, -1)"),
    (
        "poll",
        (A, 40, -1),
        {A: polled(*((number, 1) for number in range(40)))},
        (
            "poll([{fd=0, events=POLLIN}, {fd=1, events=POLLIN}, {fd=2, events=POLLIN}, {fd=3, "
            "events=POLLIN}, {fd=4, events=POLLIN}, {fd=5, events=POLLIN}, {fd=6, events=POLLIN}, {fd=7, "
            "events=POLLIN}, {fd=8, events=POLLIN}, {fd=9, events=POLLIN}, {fd=10, events=POLLIN}, {fd=11, "
            "events=POLLIN}, {fd=12, events=POLLIN}, {fd=13, events=POLLIN}, {fd=14, events=POLLIN}, "
            "{fd=15, events=POLLIN}, {fd=16, events=POLLIN}, {fd=17, events=POLLIN}, {fd=18, "
            "events=POLLIN}, {fd=19, events=POLLIN}, {fd=20, events=POLLIN}, {fd=21, events=POLLIN}, "
            "{fd=22, events=POLLIN}, {fd=23, events=POLLIN}, {fd=24, events=POLLIN}, {fd=25, "
            "events=POLLIN}, {fd=26, events=POLLIN}, {fd=27, events=POLLIN}, {fd=28, events=POLLIN}, "
            "{fd=29, events=POLLIN}, {fd=30, events=POLLIN}, {fd=31, events=POLLIN}, ...], 40, -1)"
        ),
    ),
    ("poll", (A + 4096 - 12, 3, 0), {A + 4096 - 12: bytes(12)}, "poll([{fd=0, events=0}, ... /* 0x20ffc */], 3, 0)"),
    ("poll", (0, 3, 0), {}, "poll(NULL, 3, 0)"),
    ("poll", (NOWHERE, 3, 0), {}, "poll(0xdead0000, 3, 0)"),
    (
        "ppoll",
        (A, 1, B, C, 8),
        {A: polled((3, 1)), B: struct.pack("<qq", 1, 2), C: struct.pack("<Q", 0x4002)},
        "ppoll([{fd=3, events=POLLIN}], 1, {tv_sec=1, tv_nsec=2}, [INT TERM], 8)",
    ),
    ("ppoll", (A, 1, 0, 0, 8), {A: polled((3, 1))}, "ppoll([{fd=3, events=POLLIN}], 1, NULL, NULL, 8)"),
    ("ppoll", (A, 1, 0, C, 4), {A: polled((3, 1)), C: bytes(8)}, "ppoll([{fd=3, events=POLLIN}], 1, NULL, 0x40000, 4)"),
    (
        "select",
        (5, A, B, C, D),
        {A: fds(3, 4), B: fds(0), C: fds(), D: struct.pack("<qq", 1, 500000)},
        "select(5, [3 4], [0], [], {tv_sec=1, tv_usec=500000})",
    ),
    ("select", (3, A, 0, 0, 0), {A: fds(3, 4)}, "select(3, [], NULL, NULL, NULL)"),
    ("select", (0, A, 0, 0, 0), {A: fds(3, 4)}, "select(0, 0x20000, NULL, NULL, NULL)"),
    ("select", (-1, A, 0, 0, 0), {A: fds(3, 4)}, "select(-1, 0x20000, NULL, NULL, NULL)"),
    ("select", (65, A, 0, 0, 0), {A: fds(0, 63, 64)}, "select(65, [0 63 64], NULL, NULL, NULL)"),
    ("select", (64, NOWHERE, 0, 0, NOWHERE), {}, "select(64, 0xdead0000, NULL, NULL, 0xdead0000)"),
    ("select", (0x7FFFFFFF, A, 0, 0, 0), {A: fds(3)}, "select(2147483647, 0x20000, NULL, NULL, NULL)"),
    (
        "pselect6",
        (5, A, 0, 0, D, E),
        {
            A: fds(3, 4),
            D: struct.pack("<qq", 1, 500000),
            E: struct.pack("<QQ", B, 8),
            B: struct.pack("<Q", 0x4000),
        },
        "pselect6(5, [3 4], NULL, NULL, {tv_sec=1, tv_nsec=500000}, {sigmask=[TERM], sigsetsize=8})",
    ),
    ("pselect6", (5, 0, 0, 0, 0, 0), {}, "pselect6(5, NULL, NULL, NULL, NULL, NULL)"),
    (
        "pselect6",
        (5, 0, 0, 0, 0, E),
        {E: struct.pack("<QQ", 0, 8)},
        "pselect6(5, NULL, NULL, NULL, NULL, {sigmask=NULL, sigsetsize=8})",
    ),
    (
        "pselect6",
        (5, 0, 0, 0, 0, E),
        {E: struct.pack("<QQ", NOWHERE, 8)},
        "pselect6(5, NULL, NULL, NULL, NULL, {sigmask=0xdead0000, sigsetsize=8})",
    ),
    ("pselect6", (5, 0, 0, 0, 0, NOWHERE), {}, "pselect6(5, NULL, NULL, NULL, NULL, 0xdead0000)"),
    (
        "epoll_ctl",
        (3, 1, 4, A),
        {A: struct.pack("<IQ", 1, 7)},
        "epoll_ctl(3, EPOLL_CTL_ADD, 4, {events=EPOLLIN, data={u32=7, u64=7}})",
    ),
    (
        "epoll_ctl",
        (3, 3, 4, A),
        {A: struct.pack("<IQ", 0x80000005, 0x100000002)},
        "epoll_ctl(3, EPOLL_CTL_MOD, 4, {events=EPOLLIN|EPOLLOUT|EPOLLET, data={u32=2, u64=4294967298}})",
    ),
    ("epoll_ctl", (3, 2, 4, A), {A: struct.pack("<IQ", 1, 7)}, "epoll_ctl(3, EPOLL_CTL_DEL, 4, 0x20000)"),
    ("epoll_ctl", (3, 1, 4, 0), {}, "epoll_ctl(3, EPOLL_CTL_ADD, 4, NULL)"),
    ("epoll_ctl", (3, 1, 4, NOWHERE), {}, "epoll_ctl(3, EPOLL_CTL_ADD, 4, 0xdead0000)"),
    (
        "epoll_ctl",
        (3, 9, 4, A),
        {A: struct.pack("<IQ", 0xFFFFFFFF, 7)},
        (
            "epoll_ctl(3, 0x9 /* EPOLL_CTL_??? */, 4, "
            "{events=EPOLLIN|EPOLLPRI|EPOLLOUT|EPOLLERR|EPOLLHUP|EPOLLNVAL|EPOLLRDNORM|EPOLLRDBAND|EPOLLWRNO"
            "RM|EPOLLWRBAND|EPOLLMSG|EPOLLRDHUP|EPOLLEXCLUSIVE|EPOLLWAKEUP|EPOLLONESHOT|EPOLLET|0xfffd800, "
            "data={u32=7, u64=7}})"
        ),
    ),
    ("epoll_wait", (3, A, 5, -1), {}, "epoll_wait(3, 0x20000, 5, -1)"),
    ("epoll_pwait", (3, A, 5, -1, 0, 8), {}, "epoll_pwait(3, 0x20000, 5, -1, NULL, 8)"),
    ("epoll_create", (-5,), {}, "epoll_create(-5)"),
    ("epoll_create1", (0o2000000,), {}, "epoll_create1(EPOLL_CLOEXEC)"),
    ("epoll_create1", (1,), {}, "epoll_create1(0x1 /* EPOLL_??? */)"),
    ("eventfd2", (5, 0o2004001), {}, "eventfd2(5, EFD_SEMAPHORE|EFD_CLOEXEC|EFD_NONBLOCK)"),
    ("inotify_init1", (0o2004000,), {}, "inotify_init1(IN_NONBLOCK|IN_CLOEXEC)"),
    (
        "inotify_add_watch",
        (3, A, 0xFFF),
        {A: b"p\0"},
        (
            'inotify_add_watch(3, "p", IN_ACCESS|IN_MODIFY|IN_ATTRIB|IN_CLOSE_WRITE|IN_CLOSE_NOWRITE|IN_OPEN'
            "|IN_MOVED_FROM|IN_MOVED_TO|IN_CREATE|IN_DELETE|IN_DELETE_SELF|IN_MOVE_SELF)"
        ),
    ),
    ("inotify_add_watch", (3, A, 0x1000008), {A: b"p\0"}, 'inotify_add_watch(3, "p", IN_CLOSE_WRITE|IN_ONLYDIR)'),
    ("inotify_rm_watch", (3, -1), {}, "inotify_rm_watch(3, -1)"),
    (
        "fanotify_init",
        (3, 0o2000000),
        {},
        "fanotify_init(FAN_CLASS_NOTIF|FAN_CLOEXEC|FAN_NONBLOCK, O_RDONLY|O_CLOEXEC)",
    ),
    ("fanotify_init", (0xC, 0), {}, "fanotify_init(0xc /* FAN_CLASS_??? */, O_RDONLY)"),
    (
        "fanotify_mark",
        (3, 1, 0x3B, -100, A),
        {A: b"p\0"},
        (
            "fanotify_mark(3, FAN_MARK_ADD, FAN_ACCESS|FAN_MODIFY|FAN_CLOSE_WRITE|FAN_CLOSE_NOWRITE|FAN_OPEN"
            ', AT_FDCWD, "p")'
        ),
    ),
    ("fanotify_mark", (3, 0x10, 0x40000000, -1, 0), {}, "fanotify_mark(3, FAN_MARK_MOUNT, FAN_ONDIR, FAN_NOFD, NULL)"),
]

LINES_32: list[Line] = [
    (
        "ppoll",
        (A, 1, B, C, 8),
        {A: polled((3, 1)), B: struct.pack("<ii", 1, 2), C: struct.pack("<Q", 0x4002)},
        "ppoll([{fd=3, events=POLLIN}], 1, {tv_sec=1, tv_nsec=2}, [INT TERM], 8)",
    ),
    (
        "ppoll_time64",
        (A, 1, B, 0, 8),
        {A: polled((3, 1)), B: struct.pack("<qq", 1, 2)},
        "ppoll_time64([{fd=3, events=POLLIN}], 1, {tv_sec=1, tv_nsec=2}, NULL, 8)",
    ),
    (
        "_newselect",
        (33, A, 0, 0, D),
        {A: fds(3, 32), D: struct.pack("<ii", 1, 5)},
        "_newselect(33, [3 32], NULL, NULL, {tv_sec=1, tv_usec=5})",
    ),
    (
        "select",
        (A,),
        {A: struct.pack("<IIIII", 5, B, 0, 0, D), B: fds(1, 2), D: struct.pack("<ii", 1, 5)},
        "select(5, [1 2], NULL, NULL, {tv_sec=1, tv_usec=5})",
    ),
    ("select", (NOWHERE,), {}, "select(0xdead0000)"),
    (
        "pselect6",
        (5, A, 0, 0, D, E),
        {A: fds(3), D: struct.pack("<ii", 1, 5), E: struct.pack("<II", B, 8), B: struct.pack("<Q", 0x4000)},
        "pselect6(5, [3], NULL, NULL, {tv_sec=1, tv_nsec=5}, {sigmask=[TERM], sigsetsize=8})",
    ),
    (
        "pselect6_time64",
        (5, A, 0, 0, D, 0),
        {A: fds(3), D: struct.pack("<qq", 1, 5)},
        "pselect6_time64(5, [3], NULL, NULL, {tv_sec=1, tv_nsec=5}, NULL)",
    ),
    (
        "epoll_ctl",
        (3, 1, 4, A),
        {A: struct.pack("<IQ", 1, 7)},
        "epoll_ctl(3, EPOLL_CTL_ADD, 4, {events=EPOLLIN, data={u32=7, u64=7}})",
    ),
    (
        "fanotify_mark",
        (3, 1, 3, 0, -100, A),
        {A: b"p\0"},
        'fanotify_mark(3, FAN_MARK_ADD, FAN_ACCESS|FAN_MODIFY, AT_FDCWD, "p")',
    ),
    (
        "fanotify_mark",
        (3, 1, 3, 1, -1, 0),
        {},
        "fanotify_mark(3, FAN_MARK_ADD, FAN_ACCESS|FAN_MODIFY|0x100000000, FAN_NOFD, NULL)",
    ),
]


@pytest.mark.parametrize(("name", "registers", "memory", "line"), LINES)
def test_what_is_waited_for_is_shown(name, registers, memory, line) -> None:
    assert shown(name, registers, memory) == line


@pytest.mark.parametrize(("name", "registers", "memory", "line"), LINES_32)
def test_a_32_bit_program_has_shorter_times_and_words(name, registers, memory, line) -> None:
    assert shown(name, registers, memory, Arch.I386) == line


@pytest.mark.parametrize(
    ("name", "registers", "line"),
    [
        ("epoll_pwait", (3, A, 5, -1, B, 8), "epoll_pwait(3, 0x20000, 5, -1, [INT], 8)"),
        ("epoll_pwait2", (3, A, 5, C, B, 8), "epoll_pwait2(3, 0x20000, 5, {tv_sec=1, tv_nsec=2}, [INT], 8)"),
    ],
)
def test_what_epoll_is_given_is_shown_before_it_waits(name, registers, line) -> None:
    """Of strace it is known that it looks when the call has returned, and leaves the address if it was refused."""
    assert shown(name, registers, {B: struct.pack("<Q", 2), C: struct.pack("<qq", 1, 2)}) == line


def test_a_set_of_fds_on_a_big_endian_machine_is_an_array_of_its_words() -> None:
    words = [1 << 3 | 1 << 4, 1]
    memory = {A: struct.pack(">QQ", *words)}

    assert shown("select", (70, A, 0, 0, 0), memory, Arch.S390X) == "select(70, [3 4 64], NULL, NULL, NULL)"


def test_an_epoll_event_is_packed_on_x86_only() -> None:
    memory = {A: struct.pack(">IxxxxQ", 1, 0x500000007)}

    assert shown("epoll_ctl", (3, 1, 4, A), memory, Arch.S390X) == (
        "epoll_ctl(3, EPOLL_CTL_ADD, 4, {events=EPOLLIN, data={u32=5, u64=21474836487}})"
    )


def test_fds_in_sets_are_shown_with_what_they_are_open_on() -> None:
    links = {"fd/3": b"/a", "fd/4": b"/b"}

    line = shown("select", (5, A, 0, 0, 0), {A: fds(3, 4)}, look=Look(fd_paths=True), links=links)

    assert line == "select(5, [3</a> 4</b>], NULL, NULL, NULL)"


def test_a_set_of_all_the_fds_there_can_be_is_cut() -> None:
    assert len(shown("select", (1 << 20, A, 0, 0, 0), {A: b"\xff" * (1 << 17)})) < 30_000
