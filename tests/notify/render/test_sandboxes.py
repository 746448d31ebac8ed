"""
Calls of the family ``sandboxes``: what strace 6.1 wrote when a program made them.

What it is not: by heart.  Each line was made in a process whose filter refuses every call, so that
what strace shows is what was asked for; those of s390x say the same from big-endian memory.
"""

# ruff: noqa: E501  # a line of strace's is as long as it is

from __future__ import annotations

import pytest

from monitor import testing
from monitor.abi.arch import Arch
from tests.notify.render.packed import u32, u64

X64 = Arch.X86_64
X86 = Arch.I386
S390 = Arch.S390X

CASES = [
    (
        X64,
        "landlock_add_rule",
        {"ruleset_fd": 3, "rule_type": 0, "rule_attr": 16, "flags": 0},
        "landlock_add_rule(3, 0 /* LANDLOCK_RULE_??? */, 0x10, 0)",
    ),
    (
        X64,
        "landlock_add_rule",
        {"ruleset_fd": 3, "rule_type": 1, "rule_attr": 16, "flags": 0},
        "landlock_add_rule(3, LANDLOCK_RULE_PATH_BENEATH, 0x10, 0)",
    ),
    (
        X64,
        "landlock_add_rule",
        {"ruleset_fd": 3, "rule_type": 1, "rule_attr": u64(5) + u32(7) + bytes(8), "flags": 0},
        "landlock_add_rule(3, LANDLOCK_RULE_PATH_BENEATH, {allowed_access=LANDLOCK_ACCESS_FS_EXECUTE|LANDLOCK_ACCESS_FS_READ_FILE, parent_fd=7}, 0)",
    ),
    (
        S390,
        "landlock_add_rule",
        {
            "ruleset_fd": 3,
            "rule_type": 1,
            "rule_attr": u64(5, order="big") + u32(7, order="big") + bytes(8),
            "flags": 0,
        },
        "landlock_add_rule(3, LANDLOCK_RULE_PATH_BENEATH, {allowed_access=LANDLOCK_ACCESS_FS_EXECUTE|LANDLOCK_ACCESS_FS_READ_FILE, parent_fd=7}, 0)",
    ),
    (
        X86,
        "landlock_add_rule",
        {"ruleset_fd": 3, "rule_type": 1, "rule_attr": u64(5) + u32(7) + bytes(8), "flags": 0},
        "landlock_add_rule(3, LANDLOCK_RULE_PATH_BENEATH, {allowed_access=LANDLOCK_ACCESS_FS_EXECUTE|LANDLOCK_ACCESS_FS_READ_FILE, parent_fd=7}, 0)",
    ),
    (
        X64,
        "landlock_create_ruleset",
        {"attr": u64(0x1FFF, 3, 3, 0), "size": 0, "flags": 0},
        "landlock_create_ruleset(0x102000, 0, 0)",
    ),
    (
        S390,
        "landlock_create_ruleset",
        {"attr": u64(0x1FFF, 3, 3, 0, order="big"), "size": 0, "flags": 0},
        "landlock_create_ruleset(0x102000, 0, 0)",
    ),
    (
        X64,
        "landlock_create_ruleset",
        {"attr": u64(0x1FFF, 3, 3, 0), "size": 8, "flags": 0},
        "landlock_create_ruleset({handled_access_fs=LANDLOCK_ACCESS_FS_EXECUTE|LANDLOCK_ACCESS_FS_WRITE_FILE|LANDLOCK_ACCESS_FS_READ_FILE|LANDLOCK_ACCESS_FS_READ_DIR|LANDLOCK_ACCESS_FS_REMOVE_DIR|LANDLOCK_ACCESS_FS_REMOVE_FILE|LANDLOCK_ACCESS_FS_MAKE_CHAR|LANDLOCK_ACCESS_FS_MAKE_DIR|LANDLOCK_ACCESS_FS_MAKE_REG|LANDLOCK_ACCESS_FS_MAKE_SOCK|LANDLOCK_ACCESS_FS_MAKE_FIFO|LANDLOCK_ACCESS_FS_MAKE_BLOCK|LANDLOCK_ACCESS_FS_MAKE_SYM}, 8, 0)",
    ),
    (
        S390,
        "landlock_create_ruleset",
        {"attr": u64(0x1FFF, 3, 3, 0, order="big"), "size": 8, "flags": 0},
        "landlock_create_ruleset({handled_access_fs=LANDLOCK_ACCESS_FS_EXECUTE|LANDLOCK_ACCESS_FS_WRITE_FILE|LANDLOCK_ACCESS_FS_READ_FILE|LANDLOCK_ACCESS_FS_READ_DIR|LANDLOCK_ACCESS_FS_REMOVE_DIR|LANDLOCK_ACCESS_FS_REMOVE_FILE|LANDLOCK_ACCESS_FS_MAKE_CHAR|LANDLOCK_ACCESS_FS_MAKE_DIR|LANDLOCK_ACCESS_FS_MAKE_REG|LANDLOCK_ACCESS_FS_MAKE_SOCK|LANDLOCK_ACCESS_FS_MAKE_FIFO|LANDLOCK_ACCESS_FS_MAKE_BLOCK|LANDLOCK_ACCESS_FS_MAKE_SYM}, 8, 0)",
    ),
    (
        X64,
        "landlock_create_ruleset",
        {"attr": u64(0x1FFF, 3, 3, 0), "size": 15, "flags": 0},
        "landlock_create_ruleset({handled_access_fs=LANDLOCK_ACCESS_FS_EXECUTE|LANDLOCK_ACCESS_FS_WRITE_FILE|LANDLOCK_ACCESS_FS_READ_FILE|LANDLOCK_ACCESS_FS_READ_DIR|LANDLOCK_ACCESS_FS_REMOVE_DIR|LANDLOCK_ACCESS_FS_REMOVE_FILE|LANDLOCK_ACCESS_FS_MAKE_CHAR|LANDLOCK_ACCESS_FS_MAKE_DIR|LANDLOCK_ACCESS_FS_MAKE_REG|LANDLOCK_ACCESS_FS_MAKE_SOCK|LANDLOCK_ACCESS_FS_MAKE_FIFO|LANDLOCK_ACCESS_FS_MAKE_BLOCK|LANDLOCK_ACCESS_FS_MAKE_SYM, ...}, 15, 0)",
    ),
    (
        X64,
        "landlock_create_ruleset",
        {"attr": 0, "size": 0, "flags": 1},
        "landlock_create_ruleset(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION)",
    ),
    (
        X86,
        "landlock_create_ruleset",
        {"attr": u64(0x1FFF, 3, 3, 0), "size": 8, "flags": 0},
        "landlock_create_ruleset({handled_access_fs=LANDLOCK_ACCESS_FS_EXECUTE|LANDLOCK_ACCESS_FS_WRITE_FILE|LANDLOCK_ACCESS_FS_READ_FILE|LANDLOCK_ACCESS_FS_READ_DIR|LANDLOCK_ACCESS_FS_REMOVE_DIR|LANDLOCK_ACCESS_FS_REMOVE_FILE|LANDLOCK_ACCESS_FS_MAKE_CHAR|LANDLOCK_ACCESS_FS_MAKE_DIR|LANDLOCK_ACCESS_FS_MAKE_REG|LANDLOCK_ACCESS_FS_MAKE_SOCK|LANDLOCK_ACCESS_FS_MAKE_FIFO|LANDLOCK_ACCESS_FS_MAKE_BLOCK|LANDLOCK_ACCESS_FS_MAKE_SYM}, 8, 0)",
    ),
    (X64, "landlock_restrict_self", {"ruleset_fd": 3, "flags": 0}, "landlock_restrict_self(3, 0)"),
    (X64, "seccomp", {"operation": 0, "flags": 0, "args": 16}, "seccomp(SECCOMP_SET_MODE_STRICT, 0, 0x10)"),
    (X64, "seccomp", {"operation": 0, "flags": 1, "args": 0}, "seccomp(SECCOMP_SET_MODE_STRICT, 0x1, NULL)"),
    (X64, "seccomp", {"operation": 1, "flags": 0, "args": 0}, "seccomp(SECCOMP_SET_MODE_FILTER, 0, NULL)"),
    (
        X64,
        "seccomp",
        {"operation": 1, "flags": 0, "args": u32(0x50001, 16, 7, 8)},
        "seccomp(SECCOMP_SET_MODE_FILTER, 0, {len=1, filter=0x800000007})",
    ),
    (X64, "seccomp", {"operation": 1, "flags": 0, "args": 16}, "seccomp(SECCOMP_SET_MODE_FILTER, 0, 0x10)"),
    (X64, "seccomp", {"operation": 2, "flags": 0, "args": 0}, "seccomp(SECCOMP_GET_ACTION_AVAIL, 0, NULL)"),
    (X64, "seccomp", {"operation": 2, "flags": 0, "args": 16}, "seccomp(SECCOMP_GET_ACTION_AVAIL, 0, 0x10)"),
    (X64, "seccomp", {"operation": 3, "flags": 0, "args": 0}, "seccomp(SECCOMP_GET_NOTIF_SIZES, 0, NULL)"),
    (X64, "seccomp", {"operation": 3, "flags": 0, "args": 16}, "seccomp(SECCOMP_GET_NOTIF_SIZES, 0, 0x10)"),
    (X86, "seccomp", {"operation": 0, "flags": 1, "args": 0}, "seccomp(SECCOMP_SET_MODE_STRICT, 0x1, NULL)"),
    (
        X86,
        "seccomp",
        {"operation": 1, "flags": 0, "args": u32(0x50001, 16, 7, 8)},
        "seccomp(SECCOMP_SET_MODE_FILTER, 0, {len=1, filter=0x10})",
    ),
    (
        X86,
        "seccomp",
        {"operation": 1, "flags": 1, "args": 0},
        "seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, NULL)",
    ),
    (X86, "seccomp", {"operation": 4, "flags": 0, "args": 0}, "seccomp(0x4 /* SECCOMP_SET_MODE_??? */, 0, NULL)"),
    (X86, "seccomp", {"operation": 4, "flags": 0, "args": 16}, "seccomp(0x4 /* SECCOMP_SET_MODE_??? */, 0, 0x10)"),
]


@pytest.mark.parametrize(("arch", "name", "arguments", "expected"), CASES)
def test_sandboxes_are_written_as_strace_writes_them(arch, name, arguments, expected):
    assert str(testing.call(name, arch, **arguments)) == expected
