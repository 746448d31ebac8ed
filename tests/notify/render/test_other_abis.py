"""What differs on ABIs that no machine of ours runs: orders, widths and fields of their own."""

from __future__ import annotations

import pytest

from monitor.abi import syscalls
from monitor.abi.arch import Arch
from monitor.notify.look import Look
from monitor.notify.render import render
from monitor.testing.memory import FakeMemory
from tests.notify.render.packed import u16, u32, u64


def written(arch: Arch, name: str, *registers: int, at: bytes = b"", look: Look | None = None) -> str:
    """Return the call with *registers*; *at* lies at 0x1000."""
    assert syscalls.number_of(arch, name) is not None
    memory = FakeMemory(links={"fd/3": b"/tmp/a file", "fd/7": b"socket:[7]"})
    if at:
        memory.place(at, at=0x1000)
    six = (*registers, 0, 0, 0, 0, 0, 0)[:6]
    return str(render(name, arch, six, memory, look or Look()))


CLONE = "clone(child_stack=0x2000, flags=CLONE_VM|CLONE_SETTLS|CLONE_PARENT_SETTID|CLONE_CHILD_CLEARTID|SIGCHLD, "
FLAGS = 0x100 | 0x80000 | 0x100000 | 0x200000 | 17


@pytest.mark.parametrize(
    ("arch", "registers"),
    [
        # flags, stack, parent's, child's, storage
        (Arch.X86_64, (FLAGS, 0x2000, 3, 4, 5)),
        (Arch.X32, (FLAGS, 0x2000, 3, 4, 5)),
        # ... the last two the other way round
        (Arch.AARCH64, (FLAGS, 0x2000, 3, 5, 4)),
        (Arch.ARM, (FLAGS, 0x2000, 3, 5, 4)),
        (Arch.I386, (FLAGS, 0x2000, 3, 5, 4)),
        (Arch.PPC64LE, (FLAGS, 0x2000, 3, 5, 4)),
        (Arch.RISCV64, (FLAGS, 0x2000, 3, 5, 4)),
        # ... the first two the other way round
        (Arch.S390X, (0x2000, FLAGS, 3, 4, 5)),
    ],
)
def test_clone_is_written_in_one_order_whatever_the_registers(arch, registers):
    assert written(arch, "clone", *registers) == f"{CLONE}parent_tid=0x3, tls=0x5, child_tidptr=0x4)"


RESTORER = "SA_RESTORER|SA_RESTART, sa_restorer=0x77"
SIGACTION = "rt_sigaction(SIGINT, {{sa_handler=0x4000, sa_mask=[HUP RT_32], sa_flags={}}}, NULL, 8)"


@pytest.mark.parametrize(
    ("arch", "action", "flags"),
    [
        (Arch.X86_64, u64(0x4000, 0x14000000, 0x77) + u64(1 << 63 | 1), RESTORER),
        (
            Arch.S390X,
            u64(0x4000, 0x14000000, 0x77, 1 << 63 | 1, order="big"),
            RESTORER,
        ),
        (Arch.X32, u32(0x4000, 0x14000000, 0x77) + u32(1, 1 << 31), RESTORER),
        (Arch.ARM, u32(0x4000, 0x10000000, 0x77) + u32(1, 1 << 31), "SA_RESTART"),
        # No such field: the mask comes right behind the flags.
        (Arch.RISCV64, u64(0x4000, 0x10000000) + u64(1 << 63 | 1), "SA_RESTART"),
        (Arch.LOONGARCH64, u64(0x4000, 0x10000000) + u64(1 << 63 | 1), "SA_RESTART"),
    ],
)
def test_a_signal_action_has_a_restorer_on_some(arch, action, flags):
    assert written(arch, "rt_sigaction", 2, 0x1000, 0, 8, at=action) == SIGACTION.format(flags)


@pytest.mark.parametrize(
    ("arch", "name", "registers", "at", "expected"),
    [
        # x32 has the longs of 64 bits where the kernel's interface has them, ...
        (Arch.X32, "nanosleep", (0x1000,), u64(1, 2), "nanosleep({tv_sec=1, tv_nsec=2}, NULL)"),
        (
            Arch.X32,
            "setrlimit",
            (7, 0x1000),
            u64(1024, -1),
            "setrlimit(RLIMIT_NOFILE, {rlim_cur=1024, rlim_max=RLIM64_INFINITY})",
        ),
        (
            Arch.X32,
            "mq_getsetattr",
            (3, 0x1000, 0),
            u64(0o4000, 2, 3, 4),
            "mq_getsetattr(3, {mq_flags=O_NONBLOCK, mq_maxmsg=2, mq_msgsize=3, mq_curmsgs=4}, NULL)",
        ),
        (
            Arch.X32,
            "msgsnd",
            (1, 0x1000, 3, 0),
            u64(5) + b"abc",
            'msgsnd(1, {mtype=5, mtext="abc"}, 3, 0)',
        ),
        # ... and the pointers of 32.
        (
            Arch.X32,
            "sigaltstack",
            (0x1000, 0),
            u32(0x5000, 2, 8192),
            "sigaltstack({ss_sp=0x5000, ss_flags=SS_DISABLE, ss_size=8192}, NULL)",
        ),
        (Arch.ARM, "setgroups", (2, 0x1000), u16(5, -1), "setgroups(2, [5, -1])"),
        (Arch.ARM, "setgroups32", (2, 0x1000), u32(5, -1), "setgroups32(2, [5, -1])"),
        # s390 has the arguments of mmap(2) in memory, and the time-out of semtimedop(2) in another place.
        (
            Arch.S390X,
            "mmap",
            (0x1000,),
            u64(0, 4096, 3, 0x22, -1, 0, order="big"),
            "mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)",
        ),
        (
            Arch.S390X,
            "ipc",
            (4, 9, 1, 0x1008, 0x1000),
            u16(1, -1, 0x1000, 0, order="big") + u64(5, 6, order="big"),
            "semtimedop(9, [{sem_num=1, sem_op=-1, sem_flg=SEM_UNDO}], 1, {tv_sec=5, tv_nsec=6})",
        ),
        (
            Arch.S390X,
            "ipc",
            (12, 9, 100, 0, 0x1000),
            u64(0x5000, -7, order="big"),
            "msgrcv(9, 0x5000, 100, -7, 0)",
        ),
        (
            Arch.S390X,
            "ipc",
            (3, 9, 0, 1, 0x1000),
            u64(0x1008, order="big") + u32(0, 1, 2, 3, 4, 0o600, order="big") + bytes(80),
            "semctl(9, 0, IPC_SET, {sem_perm={uid=1, gid=2, mode=0600}})",
        ),
        # The first int of a pointer lies in its upper half where the upper half comes first.
        (
            Arch.S390X,
            "mq_notify",
            (3, 0x1000),
            (u32(7, 0, order="big") + u32(10, 0, order="big")).ljust(64, b"\0"),
            (
                "mq_notify(3, {sigev_value={sival_int=7, sival_ptr=0x700000000}, sigev_signo=SIGUSR1, "
                "sigev_notify=SIGEV_SIGNAL})"
            ),
        ),
        (
            Arch.S390X,
            "sched_setaffinity",
            (0, 8, 0x1000),
            u64(0b101, order="big"),
            "sched_setaffinity(0, 8, [0 2])",
        ),
        (
            Arch.S390X,
            "perf_event_open",
            (0x1000, 0, -1 % (1 << 64), -1 % (1 << 64), 0),
            # The first bit field is the highest bit there.
            u32(1, 0, order="big") + u64(0, 1, 0, 0, 1 << 63, order="big") + bytes(88),
            (
                "perf_event_open({type=PERF_TYPE_SOFTWARE, size=0 /* PERF_ATTR_SIZE_??? */, "
                "config=PERF_COUNT_SW_CPU_CLOCK, "
                "sample_period=1, sample_type=0, read_format=0, disabled=1, precise_ip=0 /* arbitrary skid */, ...}, "
                "0, -1, -1, 0)"
            ),
        ),
        (
            Arch.PPC64LE,
            "mlockall",
            (0x6000,),
            b"",
            "mlockall(MCL_CURRENT|MCL_FUTURE)",
        ),
    ],
)
def test_on_another_abi(arch, name, registers, at, expected):
    assert written(arch, name, *registers, at=at) == expected


@pytest.mark.parametrize(
    ("arch", "name", "registers", "at", "expected"),
    [
        (Arch.X86_64, "mmap", (0, 1, 1, 2, 3, 0), b"", "mmap(NULL, 1, PROT_READ, MAP_PRIVATE, 3</tmp/a file>, 0)"),
        (Arch.X86_64, "mmap", (0, 1, 1, 2, -1 % (1 << 64), 0), b"", "mmap(NULL, 1, PROT_READ, MAP_PRIVATE, -1, 0)"),
        (
            Arch.I386,
            "mmap",
            (0x1000,),
            u32(0, 1, 1, 2, 3, 0),
            "mmap(NULL, 1, PROT_READ, MAP_PRIVATE, 3</tmp/a file>, 0)",
        ),
        (Arch.X86_64, "setns", (3, 0x40000000), b"", "setns(3</tmp/a file>, CLONE_NEWNET)"),
        (
            Arch.X86_64,
            "landlock_add_rule",
            (7, 1, 0x1000, 0),
            u64(4) + u32(3),
            (
                "landlock_add_rule(7<socket:[7]>, LANDLOCK_RULE_PATH_BENEATH, "
                "{allowed_access=LANDLOCK_ACCESS_FS_READ_FILE, parent_fd=3</tmp/a file>}, 0)"
            ),
        ),
        (
            Arch.X86_64,
            "io_uring_register",
            (7, 2, 0x1000, 2),
            u32(3, -1),
            "io_uring_register(7<socket:[7]>, IORING_REGISTER_FILES, [3</tmp/a file>, -1], 2)",
        ),
        (Arch.X86_64, "bpf", (22, 0x1000, 4), u32(3), "bpf(BPF_MAP_FREEZE, {map_fd=3</tmp/a file>}, 4)"),
    ],
)
def test_fds_in_structs_have_what_they_are_open_on_behind_them(arch, name, registers, at, expected):
    assert written(arch, name, *registers, at=at, look=Look(fd_paths=True)) == expected
