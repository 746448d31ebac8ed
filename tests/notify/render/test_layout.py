"""Layouts of structs: where the compiler puts each field, for every ABI that a compiler here speaks."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import NamedTuple

import pytest

from monitor.abi.arch import Arch
from monitor.notify.render import (
    clones,
    credentials,
    files,
    futexes,
    kernels,
    keys,
    kinds,
    limits,
    performance,
    processes,
    queues,
    registrations,
    rings,
    sandboxes,
    segments,
    siginfo,
    signals,
    times,
    tracing,
)
from monitor.notify.render.layout import Layout
from tests.conftest import require

FLAGS = {Arch.X86_64: "-m64", Arch.I386: "-m32", Arch.X32: "-mx32"}
HEADERS = """
asm/ldt.h asm/siginfo.h asm/signal.h linux/aio_abi.h linux/capability.h linux/filter.h linux/futex.h linux/io_uring.h
linux/ipc.h linux/kcmp.h linux/kexec.h linux/keyctl.h linux/landlock.h linux/mqueue.h linux/msg.h linux/openat2.h
linux/perf_event.h linux/ptrace.h linux/resource.h linux/sched.h linux/sched/types.h linux/sem.h linux/time.h
linux/time_types.h linux/timex.h linux/uio.h
"""


class Struct(NamedTuple):
    """A layout and what it is in C; the members are those of its fields, in their order."""

    layout: Layout
    name: str
    members: str
    whole: bool = True
    """Whether the layout has the whole struct: then the sizes are compared too."""
    wide_time: bool = False
    base: str = ""
    """The member inside which all of it lies."""


TIMEX = (
    "modes offset freq maxerror esterror status constant precision tolerance time.tv_sec time.tv_usec "
    "tick ppsfreq jitter shift stabil jitcnt calcnt errcnt stbcnt tai"
)
PARAMETERS = "sq_entries cq_entries flags sq_thread_cpu sq_thread_idle features wq_fd resv[0] resv[1] resv[2]"
BLOCK = (
    "aio_data aio_key aio_rw_flags aio_lio_opcode aio_reqprio aio_fildes aio_buf aio_nbytes aio_offset aio_reserved2 "
    "aio_flags aio_resfd"
)

STRUCTS = [
    Struct(
        clones._ARGS,
        "struct clone_args",
        "flags pidfd child_tid parent_tid exit_signal stack stack_size tls set_tid set_tid_size cgroup",
    ),
    Struct(credentials._HEADER, "struct __user_cap_header_struct", "version pid"),
    Struct(credentials._HALF, "struct __user_cap_data_struct", "effective permitted inheritable"),
    Struct(files.OPEN_HOW, "struct open_how", "flags mode resolve"),
    Struct(futexes._WAITER, "struct futex_waitv", "val uaddr flags __reserved"),
    Struct(kernels._SEGMENT, "struct kexec_segment", "buf bufsz mem memsz"),
    Struct(keys._KDF, "struct keyctl_kdf_params", "hashname otherinfo otherinfolen", whole=False),
    Struct(keys._PUBLIC, "struct keyctl_pkey_params", "key_id in_len out_len"),
    Struct(kinds.IOVEC, "struct iovec", "iov_base iov_len"),
    Struct(
        limits._ATTR,
        "struct sched_attr",
        "size sched_policy sched_flags sched_nice sched_priority sched_runtime sched_deadline sched_period "
        "sched_util_min sched_util_max",
    ),
    Struct(limits._LIMIT64, "struct rlimit64", "rlim_cur rlim_max"),
    Struct(
        performance._ATTR,
        "struct perf_event_attr",
        "type size config sample_period sample_type read_format",
        whole=False,
    ),
    Struct(processes._EPOLL_SLOT, "struct kcmp_epoll_slot", "efd tfd toff"),
    Struct(queues._PERMISSION, "struct ipc64_perm", "key uid gid cuid cgid mode", whole=False),
    Struct(queues._OPERATION, "struct sembuf", "sem_num sem_op sem_flg"),
    Struct(queues._ATTRIBUTES, "struct mq_attr", "mq_flags mq_maxmsg mq_msgsize mq_curmsgs", whole=False),
    Struct(rings._BLOCK_LITTLE, "struct iocb", BLOCK),
    Struct(registrations._BUFFER_RING, "struct io_uring_buf_reg", "ring_addr ring_entries bgid pad", whole=False),
    Struct(registrations._FILES, "struct io_uring_files_update", "offset resv fds"),
    Struct(registrations._RESOURCES, "struct io_uring_rsrc_register", "nr flags resv2 data tags"),
    Struct(
        registrations._RESTRICTION, "struct io_uring_restriction", "opcode register_op resv resv2[0] resv2[1] resv2[2]"
    ),
    Struct(registrations._RING_FD, "struct io_uring_rsrc_update", "offset resv data"),
    Struct(registrations._UPDATE, "struct io_uring_rsrc_update2", "offset resv data tags nr resv2"),
    Struct(rings._PARAMETERS, "struct io_uring_params", PARAMETERS),
    Struct(sandboxes._PROGRAM, "struct sock_fprog", "len filter"),
    Struct(segments._DESCRIPTOR, "struct user_desc", "entry_number base_addr limit"),
    Struct(siginfo._HEADER, "siginfo_t", "si_signo si_errno si_code", whole=False),
    Struct(siginfo._SENT, "siginfo_t", "_pid _uid _sigval", whole=False, base="_sifields._rt"),
    Struct(siginfo._TIMER, "siginfo_t", "_tid _overrun _sigval", whole=False, base="_sifields._timer"),
    Struct(siginfo._POLL, "siginfo_t", "_band _fd", whole=False, base="_sifields._sigpoll"),
    Struct(siginfo._CALL, "siginfo_t", "_call_addr _syscall _arch", whole=False, base="_sifields._sigsys"),
    Struct(signals._STACK, "stack_t", "ss_sp ss_flags ss_size"),
    Struct(
        signals._EVENT,
        "struct sigevent",
        "sigev_value sigev_signo sigev_notify sigev_notify_function sigev_notify_attributes",
        whole=False,
    ),
    Struct(times.TIMESPEC, "struct __kernel_timespec", "tv_sec tv_nsec", wide_time=True),
    Struct(
        times._TIMER,
        "struct __kernel_itimerspec",
        "it_interval.tv_sec it_interval.tv_nsec it_value.tv_sec it_value.tv_nsec",
        wide_time=True,
    ),
    Struct(times._TIMEX64, "struct __kernel_timex", TIMEX, wide_time=True),
    Struct(tracing._PEEK, "struct ptrace_peeksiginfo_args", "off flags nr"),
]

LONGS = [
    Struct(times.TIMESPEC, "struct timespec", "tv_sec tv_nsec"),
    Struct(times.TIMEVAL, "struct timeval", "tv_sec tv_usec"),
    Struct(times._TIMER, "struct itimerval", "it_interval.tv_sec it_interval.tv_usec it_value.tv_sec it_value.tv_usec"),
    Struct(times._TIMEX, "struct timex", TIMEX),
    Struct(limits._LIMIT, "struct rlimit", "rlim_cur rlim_max"),
]
"""Structs of C's longs, where x32 has the kernel's: not compared for x32."""


def compiled(arch: Arch, structs: list[Struct]) -> list[int]:
    """Return what the compiler says of *structs*: of each the offset of each member, then the size."""
    asked: list[str] = []
    for one in structs:
        start = f"__builtin_offsetof({one.name}, {one.base})" if one.base else "0"
        inside = f"{one.base}." if one.base else ""
        asked += [f"__builtin_offsetof({one.name}, {inside}{member}) - {start}" for member in one.members.split()]
        asked.append(f"sizeof({one.name})")
    lines = ["#define __KERNEL__ 0", "#undef __KERNEL__", "typedef __SIZE_TYPE__ size_t;"]
    lines += [f"#include <{name}>" for name in HEADERS.split()]
    source = "\n".join([*lines, "int asked[] = {", ",\n".join(f"(int)({text})" for text in asked), "};", ""])
    triplet = subprocess.run(["gcc", "-print-multiarch"], capture_output=True, text=True, check=True).stdout.strip()
    paths = ["-nostdinc", "-isystem", f"/usr/include/{triplet}", "-isystem", "/usr/include"]
    command = ["gcc", FLAGS[arch], *paths, "-x", "c", "-S", "-o", "-", "-"]
    done = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:2000]
    found: list[int] = []
    for kind, number in re.findall(r"^\s*\.(long|zero)\s+(\d+)", done.stdout, re.MULTILINE):
        found += [int(number)] if kind == "long" else [0] * (int(number) // 4)
    assert len(found) == len(asked)
    return found


def offsets(struct: Struct, arch: Arch) -> list[int]:
    """Return where our layout has each field, by reading a row of bytes that say where they are."""
    size = struct.layout.size(arch, wide_time=struct.wide_time)
    found: list[int] = []
    names = list(struct.layout.read(bytes(size), arch, wide_time=struct.wide_time))
    for name in names[: len(struct.members.split())]:
        for place in range(size):
            data = bytearray(size)
            data[place] = 1
            if struct.layout.read(bytes(data), arch, wide_time=struct.wide_time)[name]:
                found.append(place)
                break
    return found


@pytest.mark.parametrize(
    ("arch", "structs"),
    [(Arch.X86_64, STRUCTS + LONGS), (Arch.I386, STRUCTS + LONGS), (Arch.X32, STRUCTS)],
    ids=["x86_64", "i386", "x32"],
)
def test_fields_lie_where_the_compiler_puts_them(arch, structs):
    require("gcc for x86", shutil.which("gcc") is not None and Arch.native() is Arch.X86_64)
    answers = iter(compiled(arch, structs))
    for struct in structs:
        expected = [next(answers) for _ in struct.members.split()]
        size = next(answers)
        assert offsets(struct, arch) == expected, struct.name
        if struct.whole:
            assert struct.layout.size(arch, wide_time=struct.wide_time) == size, struct.name


def test_a_field_is_aligned_to_its_size_but_to_four_bytes_on_i386():
    layout = Layout("I:first Q:second H:third")
    assert [layout.size(arch) for arch in (Arch.X86_64, Arch.I386, Arch.ARM, Arch.X32)] == [24, 16, 24, 24]
    data = bytes([1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0])
    assert layout.read(data, Arch.I386) == {"first": 1, "second": 2, "third": 3}


def test_a_struct_that_is_short_has_the_fields_that_are_whole():
    layout = Layout("I:first I:second Q:third")
    assert layout.read(bytes(11), Arch.X86_64) == {"first": 0, "second": 0}
    assert layout.read(b"", Arch.X86_64) == {}


def test_bytes_are_in_the_order_of_the_abi():
    layout = Layout("h:first 2s I:second")
    data = b"\xff\xfe\0\0\1\2\3\4"
    assert layout.read(data, Arch.S390X) == {"first": -2, "second": 0x01020304}
    assert layout.read(data, Arch.X86_64) == {"first": -257, "second": 0x04030201}


@pytest.mark.parametrize(
    ("arch", "sizes"),
    [
        (Arch.X86_64, {"l": 8, "L": 8, "P": 8, "t": 8, "T": 8}),
        (Arch.I386, {"l": 4, "L": 4, "P": 4, "t": 4, "T": 4}),
        (Arch.ARM, {"l": 4, "L": 4, "P": 4, "t": 4, "T": 4}),
        (Arch.X32, {"l": 4, "L": 4, "P": 4, "t": 8, "T": 8}),
        (Arch.S390X, {"l": 8, "L": 8, "P": 8, "t": 8, "T": 8}),
    ],
)
def test_longs_pointers_and_times_are_as_wide_as_the_abi_has_them(arch, sizes):
    assert {code: Layout(f"{code}:field").size(arch) for code in sizes} == sizes
    assert Layout("t:field").size(arch, wide_time=True) == 8
