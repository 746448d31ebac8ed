"""
Calls of the family ``mappings``: what strace 6.1 wrote when a program made them.

What it is not: by heart.  Each line was made in a process whose filter refuses every call, so that
what strace shows is what was asked for; those of s390x say the same from big-endian memory.
"""

# a line of strace's is as long as it is

from __future__ import annotations

import pytest

from monitor import testing
from monitor.abi.arch import Arch
from tests.notify.render.packed import u32

X64 = Arch.X86_64
X86 = Arch.I386

CASES = [
    (X64, "brk", {"addr": 0}, "brk(NULL)"),
    (X64, "brk", {"addr": 0x5000}, "brk(0x5000)"),
    (X64, "madvise", {"addr": 0, "length": 1, "advice": 0}, "madvise(NULL, 1, MADV_NORMAL)"),
    (X64, "madvise", {"addr": 0, "length": 1, "advice": 1}, "madvise(NULL, 1, MADV_RANDOM)"),
    (X64, "madvise", {"addr": 0, "length": 1, "advice": 8}, "madvise(NULL, 1, MADV_FREE)"),
    (X64, "madvise", {"addr": 0, "length": 1, "advice": 9}, "madvise(NULL, 1, MADV_REMOVE)"),
    (X64, "madvise", {"addr": 0, "length": 1, "advice": 11}, "madvise(NULL, 1, MADV_DOFORK)"),
    (X64, "madvise", {"addr": 0, "length": 1, "advice": 20}, "madvise(NULL, 1, MADV_COLD)"),
    (X86, "madvise", {"addr": 0, "length": 1, "advice": 3}, "madvise(NULL, 1, MADV_WILLNEED)"),
    (X86, "madvise", {"addr": 0, "length": 1, "advice": 4}, "madvise(NULL, 1, MADV_DONTNEED)"),
    (X86, "madvise", {"addr": 0, "length": 1, "advice": 17}, "madvise(NULL, 1, MADV_DODUMP)"),
    (X64, "membarrier", {"cmd": 0, "flags": 0, "cpu_id": 5}, "membarrier(MEMBARRIER_CMD_QUERY, 0)"),
    (
        X64,
        "membarrier",
        {"cmd": 1, "flags": 1, "cpu_id": 5},
        "membarrier(MEMBARRIER_CMD_GLOBAL, MEMBARRIER_CMD_FLAG_CPU, 5)",
    ),
    (
        X64,
        "membarrier",
        {"cmd": 2, "flags": 2, "cpu_id": 5},
        "membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0x2 /* MEMBARRIER_CMD_FLAG_??? */)",
    ),
    (
        X64,
        "membarrier",
        {"cmd": 16, "flags": 16, "cpu_id": 5},
        "membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0x10 /* MEMBARRIER_CMD_FLAG_??? */)",
    ),
    (
        X64,
        "membarrier",
        {"cmd": -1, "flags": -1, "cpu_id": 5},
        "membarrier(0xffffffff /* MEMBARRIER_CMD_??? */, MEMBARRIER_CMD_FLAG_CPU|0xfffffffe, 5)",
    ),
    (X86, "membarrier", {"cmd": 0, "flags": 0, "cpu_id": 5}, "membarrier(MEMBARRIER_CMD_QUERY, 0)"),
    (X64, "memfd_secret", {"flags": 0x80000}, "memfd_secret(O_CLOEXEC)"),
    (X64, "memfd_secret", {"flags": 0}, "memfd_secret(0)"),
    (X86, "memfd_secret", {"flags": 0}, "memfd_secret(0)"),
    (X64, "mincore", {"addr": 5, "length": 6, "vec": 7}, "mincore(0x5, 6, 0x7)"),
    (X64, "mlock", {"addr": 5, "len": 6}, "mlock(0x5, 6)"),
    (X64, "mlock2", {"addr": 1, "len": 2, "flags": 0}, "mlock2(0x1, 2, 0)"),
    (X64, "mlock2", {"addr": 1, "len": 2, "flags": 1}, "mlock2(0x1, 2, MLOCK_ONFAULT)"),
    (X64, "mlock2", {"addr": 1, "len": 2, "flags": 2}, "mlock2(0x1, 2, 0x2 /* MLOCK_??? */)"),
    (X64, "mlock2", {"addr": 1, "len": 2, "flags": 3}, "mlock2(0x1, 2, MLOCK_ONFAULT|0x2)"),
    (X64, "mlockall", {"flags": 0}, "mlockall(0)"),
    (X64, "mlockall", {"flags": 1}, "mlockall(MCL_CURRENT)"),
    (X64, "mlockall", {"flags": 2}, "mlockall(MCL_FUTURE)"),
    (X64, "mlockall", {"flags": 3}, "mlockall(MCL_CURRENT|MCL_FUTURE)"),
    (X64, "mlockall", {"flags": 4}, "mlockall(MCL_ONFAULT)"),
    (X64, "mlockall", {"flags": 7}, "mlockall(MCL_CURRENT|MCL_FUTURE|MCL_ONFAULT)"),
    (X86, "mlockall", {"flags": -1}, "mlockall(MCL_CURRENT|MCL_FUTURE|MCL_ONFAULT|0xfffffff8)"),
    (
        X64,
        "mmap",
        {"addr": 0, "length": 0x1000, "prot": 0, "flags": 0, "fd": -1, "offset": 0x1000},
        "mmap(NULL, 4096, PROT_NONE, MAP_FILE, -1, 0x1000)",
    ),
    (
        X64,
        "mmap",
        {"addr": 0, "length": 0x1000, "prot": 3, "flags": 0, "fd": -1, "offset": 0x1000},
        "mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_FILE, -1, 0x1000)",
    ),
    (
        X64,
        "mmap",
        {"addr": 0, "length": 0x1000, "prot": 0, "flags": 1, "fd": -1, "offset": 0x1000},
        "mmap(NULL, 4096, PROT_NONE, MAP_SHARED, -1, 0x1000)",
    ),
    (
        X64,
        "mmap",
        {"addr": 0, "length": 0x1000, "prot": 0, "flags": 3, "fd": -1, "offset": 0x1000},
        "mmap(NULL, 4096, PROT_NONE, MAP_SHARED_VALIDATE, -1, 0x1000)",
    ),
    (
        X64,
        "mmap",
        {"addr": 0, "length": 0x1000, "prot": 0, "flags": 4, "fd": -1, "offset": 0x1000},
        "mmap(NULL, 4096, PROT_NONE, 0x4 /* MAP_??? */, -1, 0x1000)",
    ),
    (
        X64,
        "mmap",
        {"addr": 0, "length": 0x1000, "prot": 0, "flags": 0x4000022, "fd": -1, "offset": 0x1000},
        "mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE|MAP_ANONYMOUS|1<<MAP_HUGE_SHIFT, -1, 0x1000)",
    ),
    (X86, "mmap", {"arg": u32(0x1000, 5, 0, 0, 3, 0x2000)}, "mmap(0x1000, 5, PROT_NONE, MAP_FILE, 3, 0x2000)"),
    (X86, "mmap", {"arg": 0}, "mmap(NULL)"),
    (X86, "mmap", {"arg": 16}, "mmap(0x10)"),
    (
        X86,
        "mmap2",
        {"addr": 0, "length": 0x1000, "prot": 0, "flags": 0, "fd": -1, "pgoffset": 0x80001},
        "mmap2(NULL, 4096, PROT_NONE, MAP_FILE, -1, 0x80001000)",
    ),
    (
        X86,
        "mmap2",
        {"addr": 0, "length": 0x1000, "prot": 0, "flags": 0x4000022, "fd": -1, "pgoffset": 0x80001},
        "mmap2(NULL, 4096, PROT_NONE, MAP_PRIVATE|MAP_ANONYMOUS|1<<MAP_HUGE_SHIFT, -1, 0x80001000)",
    ),
    (
        X86,
        "mmap2",
        {"addr": 16, "length": 1, "prot": 1, "flags": 2, "fd": 3, "pgoffset": -1},
        "mmap2(0x10, 1, PROT_READ, MAP_PRIVATE, 3, 0xffffffff000)",
    ),
    (X64, "mprotect", {"addr": 0x1000, "len": 0x1000, "prot": 5}, "mprotect(0x1000, 4096, PROT_READ|PROT_EXEC)"),
    (
        X64,
        "mprotect",
        {"addr": 0x1000, "len": 0x1000, "prot": 0x3000008},
        "mprotect(0x1000, 4096, PROT_SEM|PROT_GROWSDOWN|PROT_GROWSUP)",
    ),
    (
        X64,
        "mremap",
        {"old_address": 0x1000, "old_size": 1, "new_size": 2, "flags": 0, "new_address": 0x5000},
        "mremap(0x1000, 1, 2, 0)",
    ),
    (
        X64,
        "mremap",
        {"old_address": 0x1000, "old_size": 1, "new_size": 2, "flags": 1, "new_address": 0x5000},
        "mremap(0x1000, 1, 2, MREMAP_MAYMOVE)",
    ),
    (
        X64,
        "mremap",
        {"old_address": 0x1000, "old_size": 1, "new_size": 2, "flags": 2, "new_address": 0x5000},
        "mremap(0x1000, 1, 2, MREMAP_FIXED)",
    ),
    (
        X64,
        "mremap",
        {"old_address": 0x1000, "old_size": 1, "new_size": 2, "flags": 3, "new_address": 0x5000},
        "mremap(0x1000, 1, 2, MREMAP_MAYMOVE|MREMAP_FIXED, 0x5000)",
    ),
    (
        X64,
        "mremap",
        {"old_address": 0x1000, "old_size": 1, "new_size": 2, "flags": 7, "new_address": 0x5000},
        "mremap(0x1000, 1, 2, MREMAP_MAYMOVE|MREMAP_FIXED|MREMAP_DONTUNMAP, 0x5000)",
    ),
    (
        X64,
        "mremap",
        {"old_address": 0x1000, "old_size": 1, "new_size": 2, "flags": 4, "new_address": 0x5000},
        "mremap(0x1000, 1, 2, MREMAP_DONTUNMAP)",
    ),
    (
        X86,
        "mremap",
        {"old_address": 0x1000, "old_size": 1, "new_size": 2, "flags": 0, "new_address": 0x5000},
        "mremap(0x1000, 1, 2, 0)",
    ),
    (
        X86,
        "mremap",
        {"old_address": 0x1000, "old_size": 1, "new_size": 2, "flags": -1, "new_address": 0x5000},
        "mremap(0x1000, 1, 2, MREMAP_MAYMOVE|MREMAP_FIXED|MREMAP_DONTUNMAP|0xfffffff8, 0x5000)",
    ),
    (X64, "msync", {"addr": 1, "length": 2, "flags": 0}, "msync(0x1, 2, 0)"),
    (X64, "msync", {"addr": 1, "length": 2, "flags": 1}, "msync(0x1, 2, MS_ASYNC)"),
    (X64, "msync", {"addr": 1, "length": 2, "flags": 2}, "msync(0x1, 2, MS_INVALIDATE)"),
    (X64, "msync", {"addr": 1, "length": 2, "flags": 3}, "msync(0x1, 2, MS_ASYNC|MS_INVALIDATE)"),
    (X64, "msync", {"addr": 1, "length": 2, "flags": 4}, "msync(0x1, 2, MS_SYNC)"),
    (X64, "msync", {"addr": 1, "length": 2, "flags": 7}, "msync(0x1, 2, MS_SYNC|MS_ASYNC|MS_INVALIDATE)"),
    (X86, "msync", {"addr": 1, "length": 2, "flags": -1}, "msync(0x1, 2, MS_SYNC|MS_ASYNC|MS_INVALIDATE|0xfffffff8)"),
    (X64, "munlock", {"addr": 5, "len": 6}, "munlock(0x5, 6)"),
    (X64, "munlockall", {}, "munlockall()"),
    (X86, "munmap", {"addr": 1, "length": -1}, "munmap(0x1, 4294967295)"),
    (X64, "pkey_alloc", {"flags": 0, "access_rights": 0}, "pkey_alloc(0, 0)"),
    (X64, "pkey_alloc", {"flags": 1, "access_rights": 1}, "pkey_alloc(0x1, PKEY_DISABLE_ACCESS)"),
    (X64, "pkey_alloc", {"flags": 2, "access_rights": 2}, "pkey_alloc(0x2, PKEY_DISABLE_WRITE)"),
    (X64, "pkey_alloc", {"flags": 3, "access_rights": 3}, "pkey_alloc(0x3, PKEY_DISABLE_ACCESS|PKEY_DISABLE_WRITE)"),
    (X86, "pkey_alloc", {"flags": 2, "access_rights": 2}, "pkey_alloc(0x2, PKEY_DISABLE_WRITE)"),
    (X64, "pkey_free", {"pkey": -1}, "pkey_free(-1)"),
    (
        X64,
        "pkey_mprotect",
        {"addr": 0x1000, "len": 0x1000, "prot": 5, "pkey": -1},
        "pkey_mprotect(0x1000, 4096, PROT_READ|PROT_EXEC, -1)",
    ),
    (
        X64,
        "process_madvise",
        {"pidfd": 3, "iovec": [b"abc"], "vlen": 1, "advice": 20, "flags": 1},
        "process_madvise(3, [{iov_base=0x102000, iov_len=3}], 1, MADV_COLD, 0x1)",
    ),
    (
        X86,
        "process_madvise",
        {"pidfd": 3, "iovec": [b"abc"], "vlen": 1, "advice": 20, "flags": 1},
        "process_madvise(3, [{iov_base=0x102000, iov_len=3}], 1, MADV_COLD, 0x1)",
    ),
    (
        X64,
        "remap_file_pages",
        {"addr": 1, "size": 2, "prot": 0, "pgoff": 3, "flags": 0},
        "remap_file_pages(0x1, 2, PROT_NONE, 3, MAP_FILE)",
    ),
    (
        X64,
        "remap_file_pages",
        {"addr": 1, "size": 2, "prot": 3, "pgoff": 3, "flags": 0},
        "remap_file_pages(0x1, 2, PROT_READ|PROT_WRITE, 3, MAP_FILE)",
    ),
    (
        X64,
        "remap_file_pages",
        {"addr": 1, "size": 2, "prot": 0, "pgoff": 3, "flags": 1},
        "remap_file_pages(0x1, 2, PROT_NONE, 3, MAP_SHARED)",
    ),
    (
        X64,
        "remap_file_pages",
        {"addr": 1, "size": 2, "prot": 0, "pgoff": 3, "flags": 3},
        "remap_file_pages(0x1, 2, PROT_NONE, 3, MAP_SHARED_VALIDATE)",
    ),
    (
        X64,
        "remap_file_pages",
        {"addr": 1, "size": 2, "prot": 0, "pgoff": 3, "flags": 4},
        "remap_file_pages(0x1, 2, PROT_NONE, 3, 0x4 /* MAP_??? */)",
    ),
    (
        X64,
        "remap_file_pages",
        {"addr": 1, "size": 2, "prot": 0, "pgoff": 3, "flags": 0x4000022},
        "remap_file_pages(0x1, 2, PROT_NONE, 3, MAP_PRIVATE|MAP_ANONYMOUS|1<<MAP_HUGE_SHIFT)",
    ),
    (
        X86,
        "remap_file_pages",
        {"addr": 1, "size": 2, "prot": 0, "pgoff": 3, "flags": 34},
        "remap_file_pages(0x1, 2, PROT_NONE, 3, MAP_PRIVATE|MAP_ANONYMOUS)",
    ),
    (
        X86,
        "remap_file_pages",
        {"addr": 1, "size": 2, "prot": 3, "pgoff": 3, "flags": 1},
        "remap_file_pages(0x1, 2, PROT_READ|PROT_WRITE, 3, MAP_SHARED)",
    ),
    (
        X86,
        "remap_file_pages",
        {"addr": 1, "size": 2, "prot": 0, "pgoff": 3, "flags": 0x4000022},
        "remap_file_pages(0x1, 2, PROT_NONE, 3, MAP_PRIVATE|MAP_ANONYMOUS|1<<MAP_HUGE_SHIFT)",
    ),
    (X64, "userfaultfd", {"flags": 0x80801}, "userfaultfd(UFFD_USER_MODE_ONLY|O_NONBLOCK|O_CLOEXEC)"),
    (X64, "userfaultfd", {"flags": -1}, "userfaultfd(UFFD_USER_MODE_ONLY|O_NONBLOCK|O_CLOEXEC|0xfff7f7fe)"),
]


@pytest.mark.parametrize(("arch", "name", "arguments", "expected"), CASES)
def test_mappings_are_written_as_strace_writes_them(arch, name, arguments, expected):
    assert str(testing.call(name, arch, **arguments)) == expected
