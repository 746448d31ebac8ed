"""
Calls of the family ``kernels``: what strace 6.1 wrote when a program made them.

What it is not: by heart.  Each line was made in a process whose filter refuses every call, so that
what strace shows is what was asked for; those of s390x say the same from big-endian memory.
"""

# ruff: noqa: E501  # a line of strace's is as long as it is

from __future__ import annotations

import pytest

from monitor import testing
from monitor.abi.arch import Arch
from tests.notify.render.packed import u64

X64 = Arch.X86_64
X86 = Arch.I386
S390 = Arch.S390X

CASES = [
    (X64, "afs_syscall", {"arg1": 0, "arg2": 0, "arg3": 0, "arg4": 0, "arg5": 0}, "afs_syscall(0, 0, 0, 0, 0)"),
    (X86, "afs_syscall", {"arg1": 0, "arg2": 0, "arg3": 0, "arg4": 0, "arg5": 0}, "afs_syscall(0, 0, 0, 0, 0)"),
    (X86, "bdflush", {"func": 0, "data": 0}, "bdflush(0, 0)"),
    (X86, "bdflush", {"func": 16, "data": 17}, "bdflush(0x10, 0x11)"),
    (X64, "create_module", {"name": 0, "size": 0}, "create_module(0, 0)"),
    (X64, "create_module", {"name": 16, "size": 17}, "create_module(0x10, 0x11)"),
    (X86, "create_module", {"name": 0, "size": 0}, "create_module(0, 0)"),
    (X86, "create_module", {"name": 16, "size": 17}, "create_module(0x10, 0x11)"),
    (X64, "delete_module", {"name": b"mod", "flags": 0x800}, 'delete_module("mod", O_NONBLOCK)'),
    (X64, "delete_module", {"name": b"mod", "flags": 0xA00}, 'delete_module("mod", O_NONBLOCK|O_TRUNC)'),
    (X64, "delete_module", {"name": b"mod", "flags": 0}, 'delete_module("mod", 0)'),
    (X86, "delete_module", {"name": b"mod", "flags": 0}, 'delete_module("mod", 0)'),
    (
        X64,
        "finit_module",
        {"fd": 3, "param_values": b"a=1", "flags": 7},
        'finit_module(3, "a=1", MODULE_INIT_IGNORE_MODVERSIONS|MODULE_INIT_IGNORE_VERMAGIC|MODULE_INIT_COMPRESSED_FILE)',
    ),
    (X64, "get_kernel_syms", {"table": 0}, "get_kernel_syms(0)"),
    (X86, "get_kernel_syms", {"table": 0}, "get_kernel_syms(0)"),
    (X64, "getpmsg", {"arg1": 0, "arg2": 0, "arg3": 0, "arg4": 0, "arg5": 0}, "getpmsg(0, 0, 0, 0, 0)"),
    (X86, "getpmsg", {"arg1": 0, "arg2": 0, "arg3": 0, "arg4": 0, "arg5": 0}, "getpmsg(0, 0, 0, 0, 0)"),
    (
        X64,
        "getrandom",
        {"buf": 5, "buflen": 6, "flags": 7},
        "getrandom(0x5, 6, GRND_NONBLOCK|GRND_RANDOM|GRND_INSECURE)",
    ),
    (
        X64,
        "getrandom",
        {"buf": 5, "buflen": 6, "flags": -1},
        "getrandom(0x5, 6, GRND_NONBLOCK|GRND_RANDOM|GRND_INSECURE|0xfffffff8)",
    ),
    (X86, "gtty", {"fd": 0, "arg": 0}, "gtty(0, 0)"),
    (X86, "gtty", {"fd": 16, "arg": 17}, "gtty(0x10, 0x11)"),
    (
        X64,
        "init_module",
        {
            "module_image": b"ELFELFELFELFELFELFELFELFELFELFELFELFELFELFELFELFELFELFELFELFELFELFELFELFELFELFELFELFELFELF",
            "param_values": b"a=1",
        },
        'init_module(0x102000, 90, "a=1")',
    ),
    (
        X86,
        "init_module",
        {
            "module_image": b"ELFELFELFELFELFELFELFELFELFELFELFELFELFELFELFELFELFELFELFELFELFELFELFELFELFELFELFELFELFELF",
            "param_values": b"a=1",
        },
        'init_module(0x102000, 90, "a=1")',
    ),
    (X64, "ioperm", {"from": 5, "num": 6, "turn_on": 1}, "ioperm(0x5, 0x6, 1)"),
    (X86, "ioperm", {"from": 5, "num": 6, "turn_on": 1}, "ioperm(0x5, 0x6, 1)"),
    (X64, "iopl", {"level": 3}, "iopl(3)"),
    (X64, "iopl", {"level": -1}, "iopl(-1)"),
    (X86, "iopl", {"level": -1}, "iopl(-1)"),
    (
        X64,
        "kexec_file_load",
        {"kernel_fd": 3, "initrd_fd": -1, "cmdline": b"quiet", "flags": 7},
        'kexec_file_load(3, -1, 5, "quiet", KEXEC_FILE_UNLOAD|KEXEC_FILE_ON_CRASH|KEXEC_FILE_NO_INITRAMFS)',
    ),
    (
        X64,
        "kexec_load",
        {"entry": 1, "nr_segments": 2, "segments": u64(1, 2, 3, 4, 5, 6, 7, 8), "flags": 0},
        "kexec_load(0x1, 2, [{buf=0x1, bufsz=2, mem=0x3, memsz=4}, {buf=0x5, bufsz=6, mem=0x7, memsz=8}], KEXEC_ARCH_DEFAULT)",
    ),
    (
        S390,
        "kexec_load",
        {"entry": 1, "nr_segments": 2, "segments": u64(1, 2, 3, 4, 5, 6, 7, 8, order="big"), "flags": 0},
        "kexec_load(0x1, 2, [{buf=0x1, bufsz=2, mem=0x3, memsz=4}, {buf=0x5, bufsz=6, mem=0x7, memsz=8}], KEXEC_ARCH_DEFAULT)",
    ),
    (
        X64,
        "kexec_load",
        {"entry": 1, "nr_segments": 2, "segments": u64(1, 2, 3, 4, 5, 6, 7, 8), "flags": 1},
        "kexec_load(0x1, 2, [{buf=0x1, bufsz=2, mem=0x3, memsz=4}, {buf=0x5, bufsz=6, mem=0x7, memsz=8}], KEXEC_ARCH_DEFAULT|KEXEC_ON_CRASH)",
    ),
    (
        S390,
        "kexec_load",
        {"entry": 1, "nr_segments": 2, "segments": u64(1, 2, 3, 4, 5, 6, 7, 8, order="big"), "flags": 1},
        "kexec_load(0x1, 2, [{buf=0x1, bufsz=2, mem=0x3, memsz=4}, {buf=0x5, bufsz=6, mem=0x7, memsz=8}], KEXEC_ARCH_DEFAULT|KEXEC_ON_CRASH)",
    ),
    (
        X64,
        "kexec_load",
        {"entry": 1, "nr_segments": 2, "segments": u64(1, 2, 3, 4, 5, 6, 7, 8), "flags": 0x3E0000},
        "kexec_load(0x1, 2, [{buf=0x1, bufsz=2, mem=0x3, memsz=4}, {buf=0x5, bufsz=6, mem=0x7, memsz=8}], KEXEC_ARCH_X86_64)",
    ),
    (
        X64,
        "kexec_load",
        {"entry": 1, "nr_segments": 0, "segments": u64(1, 2, 3, 4, 5, 6, 7, 8), "flags": 0},
        "kexec_load(0x1, 0, [], KEXEC_ARCH_DEFAULT)",
    ),
    (
        X64,
        "kexec_load",
        {"entry": 1, "nr_segments": 1, "segments": u64(1, 2, 3, 4, 5, 6, 7, 8), "flags": 0},
        "kexec_load(0x1, 1, [{buf=0x1, bufsz=2, mem=0x3, memsz=4}], KEXEC_ARCH_DEFAULT)",
    ),
    (
        X64,
        "kexec_load",
        {"entry": 1, "nr_segments": 17, "segments": u64(1, 2, 3, 4, 5, 6, 7, 8), "flags": 0},
        "kexec_load(0x1, 17, 0x102000, KEXEC_ARCH_DEFAULT)",
    ),
    (
        X86,
        "kexec_load",
        {"entry": 1, "nr_segments": 2, "segments": u64(1, 2, 3, 4, 5, 6, 7, 8), "flags": 0x30001},
        "kexec_load(0x1, 2, [{buf=0x1, bufsz=0, mem=0x2, memsz=0}, {buf=0x3, bufsz=0, mem=0x4, memsz=0}], KEXEC_ARCH_386|KEXEC_ON_CRASH)",
    ),
    (
        X86,
        "kexec_load",
        {"entry": 1, "nr_segments": 2, "segments": u64(1, 2, 3, 4, 5, 6, 7, 8), "flags": 0x990000},
        "kexec_load(0x1, 2, [{buf=0x1, bufsz=0, mem=0x2, memsz=0}, {buf=0x3, bufsz=0, mem=0x4, memsz=0}], 0x990000 /* KEXEC_ARCH_??? */)",
    ),
    (
        X86,
        "kexec_load",
        {"entry": 1, "nr_segments": 0, "segments": u64(1, 2, 3, 4, 5, 6, 7, 8), "flags": 0},
        "kexec_load(0x1, 0, [], KEXEC_ARCH_DEFAULT)",
    ),
    (X64, "lookup_dcookie", {"cookie": -1, "buffer": 5, "len": 6}, "lookup_dcookie(18446744073709551615, 0x5, 6)"),
    (X64, "nfsservctl", {"cmd": 0, "argp": 0, "resp": 0}, "nfsservctl(0, 0, 0)"),
    (X64, "nfsservctl", {"cmd": 16, "argp": 17, "resp": 18}, "nfsservctl(0x10, 0x11, 0x12)"),
    (X86, "nfsservctl", {"cmd": 0, "argp": 0, "resp": 0}, "nfsservctl(0, 0, 0)"),
    (X86, "nfsservctl", {"cmd": 16, "argp": 17, "resp": 18}, "nfsservctl(0x10, 0x11, 0x12)"),
    (X86, "profil", {"buf": 0, "bufsiz": 0, "offset": 0, "scale": 0}, "profil(0, 0, 0, 0)"),
    (X86, "profil", {"buf": 16, "bufsiz": 17, "offset": 18, "scale": 19}, "profil(0x10, 0x11, 0x12, 0x13)"),
    (X64, "putpmsg", {"arg1": 0, "arg2": 0, "arg3": 0, "arg4": 0, "arg5": 0}, "putpmsg(0, 0, 0, 0, 0)"),
    (X86, "putpmsg", {"arg1": 0, "arg2": 0, "arg3": 0, "arg4": 0, "arg5": 0}, "putpmsg(0, 0, 0, 0, 0)"),
    (X64, "query_module", {"name": 0, "which": 0, "buf": 0, "bufsize": 0, "ret": 0}, "query_module(0, 0, 0, 0, 0)"),
    (
        X64,
        "query_module",
        {"name": 16, "which": 17, "buf": 18, "bufsize": 19, "ret": 20},
        "query_module(0x10, 0x11, 0x12, 0x13, 0x14)",
    ),
    (X86, "query_module", {"name": 0, "which": 0, "buf": 0, "bufsize": 0, "ret": 0}, "query_module(0, 0, 0, 0, 0)"),
    (
        X86,
        "query_module",
        {"name": 16, "which": 17, "buf": 18, "bufsize": 19, "ret": 20},
        "query_module(0x10, 0x11, 0x12, 0x13, 0x14)",
    ),
    (
        X64,
        "reboot",
        {"magic": 1, "magic2": 0x16041998, "op": 0, "arg": 16},
        "reboot(0x1 /* LINUX_REBOOT_MAGIC_??? */, LINUX_REBOOT_MAGIC2B, LINUX_REBOOT_CMD_CAD_OFF)",
    ),
    (
        X64,
        "reboot",
        {"magic": 0xFEE1DEAD, "magic2": 0x28121969, "op": 0xA1B2C3D4, "arg": b"recovery\x00"},
        'reboot(LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_RESTART2, "recovery")',
    ),
    (
        X64,
        "reboot",
        {"magic": 1, "magic2": 0x16041998, "op": 0xCDEF0123, "arg": 16},
        "reboot(0x1 /* LINUX_REBOOT_MAGIC_??? */, LINUX_REBOOT_MAGIC2B, LINUX_REBOOT_CMD_HALT)",
    ),
    (
        X64,
        "reboot",
        {"magic": 1, "magic2": 0x16041998, "op": 0x1234567, "arg": 16},
        "reboot(0x1 /* LINUX_REBOOT_MAGIC_??? */, LINUX_REBOOT_MAGIC2B, LINUX_REBOOT_CMD_RESTART)",
    ),
    (
        X64,
        "reboot",
        {"magic": 1, "magic2": 0x16041998, "op": 0x89ABCDEF, "arg": 16},
        "reboot(0x1 /* LINUX_REBOOT_MAGIC_??? */, LINUX_REBOOT_MAGIC2B, LINUX_REBOOT_CMD_CAD_ON)",
    ),
    (
        X64,
        "reboot",
        {"magic": 1, "magic2": 0x16041998, "op": 0x45584543, "arg": 16},
        "reboot(0x1 /* LINUX_REBOOT_MAGIC_??? */, LINUX_REBOOT_MAGIC2B, LINUX_REBOOT_CMD_KEXEC)",
    ),
    (
        X86,
        "reboot",
        {"magic": 0xFEE1DEAD, "magic2": 0x28121969, "op": 0, "arg": b"recovery\x00"},
        "reboot(LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_CAD_OFF)",
    ),
    (
        X86,
        "reboot",
        {"magic": 1, "magic2": 0x16041998, "op": 0, "arg": 16},
        "reboot(0x1 /* LINUX_REBOOT_MAGIC_??? */, LINUX_REBOOT_MAGIC2B, LINUX_REBOOT_CMD_CAD_OFF)",
    ),
    (
        X86,
        "reboot",
        {"magic": 0xFEE1DEAD, "magic2": 0x28121969, "op": 0xA1B2C3D4, "arg": b"recovery\x00"},
        'reboot(LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_RESTART2, "recovery")',
    ),
    (X64, "security", {"arg1": 0, "arg2": 0, "arg3": 0}, "security(0, 0, 0)"),
    (X64, "setdomainname", {"name": b"host", "len": 4}, 'setdomainname("host", 4)'),
    (X64, "setdomainname", {"name": 16, "len": -1}, "setdomainname(0x10, 4294967295)"),
    (X64, "setdomainname", {"name": b"d" * 70, "len": 65}, "setdomainname(0x102000, 65)"),
    (X64, "setdomainname", {"name": b"d" * 70, "len": 64}, 'setdomainname("dddddddddddddddddddddddddddddddd"..., 64)'),
    (X86, "setdomainname", {"name": 16, "len": -1}, "setdomainname(0x10, 4294967295)"),
    (X86, "setdomainname", {"name": b"d" * 70, "len": 65}, "setdomainname(0x102000, 65)"),
    (
        X64,
        "sethostname",
        {"name": b"hosthosthosthosthosthosthosthosthosthosthosthosthosthosthosthosthosthosthosthost", "len": 80},
        "sethostname(0x102000, 80)",
    ),
    (X64, "sethostname", {"name": 16, "len": -1}, "sethostname(0x10, 4294967295)"),
    (
        X86,
        "sethostname",
        {"name": b"hosthosthosthosthosthosthosthosthosthosthosthosthosthosthosthosthosthosthosthost", "len": 80},
        "sethostname(0x102000, 80)",
    ),
    (X86, "sethostname", {"name": 16, "len": -1}, "sethostname(0x10, 4294967295)"),
    (X86, "stty", {"fd": 0, "arg": 0}, "stty(0, 0)"),
    (X86, "stty", {"fd": 16, "arg": 17}, "stty(0x10, 0x11)"),
    (X64, "sync", {}, "sync()"),
    (X64, "sysfs", {"option": 1, "arg1": 5, "arg2": 0}, "sysfs(0x1, 0x5, 0)"),
    (X64, "sysfs", {"option": 0, "arg1": 0, "arg2": 0}, "sysfs(0, 0, 0)"),
    (X86, "sysfs", {"option": 1, "arg1": 5, "arg2": 0}, "sysfs(0x1, 0x5, 0)"),
    (X86, "sysfs", {"option": 0, "arg1": 0, "arg2": 0}, "sysfs(0, 0, 0)"),
    (X64, "sysinfo", {"info": 5}, "sysinfo(0x5)"),
    (X64, "syslog", {"type": 0, "bufp": 16, "len": 7}, "syslog(0 /* SYSLOG_ACTION_CLOSE */)"),
    (X64, "syslog", {"type": 1, "bufp": 16, "len": 7}, "syslog(1 /* SYSLOG_ACTION_OPEN */)"),
    (X64, "syslog", {"type": 5, "bufp": 16, "len": 7}, "syslog(5 /* SYSLOG_ACTION_CLEAR */)"),
    (X64, "syslog", {"type": 7, "bufp": 16, "len": 7}, "syslog(7 /* SYSLOG_ACTION_CONSOLE_ON */)"),
    (X64, "syslog", {"type": 11, "bufp": b"text", "len": 4}, "syslog(11 /* SYSLOG_ACTION_??? */, 0x102000, 4)"),
    (
        X64,
        "syslog",
        {"type": 8, "bufp": 0, "len": 9},
        "syslog(8 /* SYSLOG_ACTION_CONSOLE_LEVEL */, NULL, 9 /* LOGLEVEL_??? */)",
    ),
    (X86, "syslog", {"type": 1, "bufp": 16, "len": 7}, "syslog(1 /* SYSLOG_ACTION_OPEN */)"),
    (X86, "syslog", {"type": 11, "bufp": b"text", "len": 4}, "syslog(11 /* SYSLOG_ACTION_??? */, 0x102000, 4)"),
    (
        X86,
        "syslog",
        {"type": 8, "bufp": 0, "len": 9},
        "syslog(8 /* SYSLOG_ACTION_CONSOLE_LEVEL */, NULL, 9 /* LOGLEVEL_??? */)",
    ),
    (X64, "tuxcall", {"arg1": 0, "arg2": 0, "arg3": 0}, "tuxcall(0, 0, 0)"),
    (X86, "ulimit", {"cmd": 3, "newlimit": 3}, "ulimit(0x3, 0x3)"),
    (X64, "uname", {"buf": 5}, "uname(0x5)"),
    (X64, "vhangup", {}, "vhangup()"),
    (X64, "vserver", {"arg1": 0, "arg2": 0, "arg3": 0, "arg4": 0, "arg5": 0}, "vserver(0, 0, 0, 0, 0)"),
    (X86, "vserver", {"arg1": 0, "arg2": 0, "arg3": 0, "arg4": 0, "arg5": 0}, "vserver(0, 0, 0, 0, 0)"),
]


@pytest.mark.parametrize(("arch", "name", "arguments", "expected"), CASES)
def test_kernels_are_written_as_strace_writes_them(arch, name, arguments, expected):
    assert str(testing.call(name, arch, **arguments)) == expected
