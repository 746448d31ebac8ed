"""Files: modes and devices, times, mounts, attributes, handles, quotas."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator

import pytest

from monitor import Arch
from tests.notify.render.shown import NOWHERE, A, B, C, D, Line, shown

P = {A: b"p\0"}
NOW, OMIT = 0x3FFFFFFF, 0x3FFFFFFE
ZEROS = r"\x00" * 128
MOUNT = {A: b"none\0", B: b"/mnt\0", C: b"tmpfs\0", D: b"size=5\0"}


def two(*numbers: int, code: str = "q") -> dict[int, bytes]:
    """Return the memory of a path and of two times."""
    return {**P, B: struct.pack(f"<4{code}", *numbers)}


def quota(command: int, kind: int = 0) -> int:
    return command << 8 | kind


def how(*numbers: int) -> dict[int, bytes]:
    return {**P, B: struct.pack(f"<{len(numbers)}Q", *numbers)}


@pytest.fixture(autouse=True)
def universal_time() -> Iterator[None]:
    """Times are shown as those of the machine, and the lines below were made at Greenwich."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC0")
        time.tzset()
        yield
    time.tzset()


LINES: list[Line] = [
    ("open", (A, 0o101, 0o1644), P, 'open("p", O_WRONLY|O_CREAT, 01644)'),
    ("open", (A, 0o20200000, 0o644), P, 'open("p", O_RDONLY|O_TMPFILE, 0644)'),
    ("openat", (-100, A, 0o20000000, 0o644), P, 'openat(AT_FDCWD, "p", O_RDONLY|__O_TMPFILE, 0644)'),
    ("openat", (-100, A, 0o2204000, 0o644), P, 'openat(AT_FDCWD, "p", O_RDONLY|O_NONBLOCK|O_CLOEXEC|O_DIRECTORY)'),
    ("openat", (-100, A, 0o20000 | 3, 0o644), P, 'openat(AT_FDCWD, "p", O_ACCMODE|FASYNC)'),
    ("openat", (3, A, 8, 0o644), P, 'openat(3, "p", O_RDONLY|0x8)'),
    (
        "openat2",
        (-100, A, B, 24),
        how(0o100, 0o644, 8),
        'openat2(AT_FDCWD, "p", {flags=O_RDONLY|O_CREAT, mode=0644, resolve=RESOLVE_BENEATH}, 24)',
    ),
    (
        "openat2",
        (-100, A, B, 24),
        how(0, 0o7, 0xFF),
        (
            'openat2(AT_FDCWD, "p", {flags=O_RDONLY, mode=007, '
            "resolve=RESOLVE_NO_XDEV|RESOLVE_NO_MAGICLINKS|RESOLVE_NO_SYMLINKS|RESOLVE_BENEATH|RESOLVE_IN_RO"
            "OT|RESOLVE_CACHED|0xc0}, 24)"
        ),
    ),
    ("openat2", (-100, A, B, 32), how(0, 0, 0, 0), 'openat2(AT_FDCWD, "p", {flags=O_RDONLY, resolve=0}, 32)'),
    (
        "openat2",
        (-100, A, B, 32),
        how(0, 0, 0, 1),
        (
            'openat2(AT_FDCWD, "p", {flags=O_RDONLY, resolve=0, /* bytes 24..31 */ '
            r'"\x01\x00\x00\x00\x00\x00\x00\x00"}, 32)'
        ),
    ),
    ("openat2", (-100, A, B, 16), how(0, 0, 0), 'openat2(AT_FDCWD, "p", 0x30000, 16)'),
    ("open", (A, 0), {A: b"l" * 5000}, f'open("{"l" * 4095}"..., O_RDONLY)'),
    ("setxattr", (A, B, C, 3, 0), {**P, B: b"user.x\0", C: b"v\0\0"}, r'setxattr("p", "user.x", "v\0", 3, 0)'),
    ("setxattr", (A, B, C, 1, 0), {**P, B: b"user.x\0", C: b"\0"}, 'setxattr("p", "user.x", "", 1, 0)'),
    ("renameat2", (3, A, 4, A, 0xF0), P, 'renameat2(3, "p", 4, "p", 0xf0 /* RENAME_?? */)'),
    ("creat", (A, 0o644), P, 'creat("p", 0644)'),
    ("access", (A, 7), P, 'access("p", R_OK|W_OK|X_OK)'),
    ("access", (A, 0), P, 'access("p", F_OK)'),
    ("faccessat2", (-100, A, 4, 0x300), P, 'faccessat2(AT_FDCWD, "p", R_OK, AT_SYMLINK_NOFOLLOW|AT_EACCESS)'),
    ("mknod", (A, 0o20644, 0x103), P, 'mknod("p", S_IFCHR|0644, makedev(0x1, 0x3))'),
    ("mknod", (A, 0o10644, 0x103), P, 'mknod("p", S_IFIFO|0644)'),
    ("mknod", (A, 0o644, 0x103), P, 'mknod("p", 0644)'),
    ("mknod", (A, 0o24644, 0xFFFFFFFF), P, 'mknod("p", S_IFCHR|S_ISUID|0644, makedev(0xfff, 0xfffff))'),
    ("mknod", (A, 0o170644, 5), P, 'mknod("p", 0170644)'),
    ("mknodat", (-100, A, 0o140000, 5), P, 'mknodat(AT_FDCWD, "p", S_IFSOCK|000)'),
    ("chmod", (A, 0o4755), P, 'chmod("p", 04755)'),
    ("chown", (A, -1, 0), P, 'chown("p", -1, 0)'),
    ("fchownat", (-100, A, 1, 2, 0x1000), P, 'fchownat(AT_FDCWD, "p", 1, 2, AT_EMPTY_PATH)'),
    ("ustat", (0x103, A), {}, "ustat(makedev(0x1, 0x3), 0x20000)"),
    (
        "symlink",
        (A, B),
        {A: b"x" * 50 + b"\0", B: b"y" * 50 + b"\0"},
        (
            'symlink("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", '
            '"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy")'
        ),
    ),
    (
        "symlinkat",
        (A, -100, B),
        {A: b"x" * 50 + b"\0", B: b"y\0"},
        'symlinkat("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", AT_FDCWD, "y")',
    ),
    ("readlink", (A, B, -1), P, 'readlink("p", 0x30000, 18446744073709551615)'),
    ("readlinkat", (-100, A, B, -1), P, 'readlinkat(AT_FDCWD, "p", 0x30000, 18446744073709551615)'),
    (
        "renameat2",
        (3, A, -100, B, 7),
        {**P, B: b"q\0"},
        'renameat2(3, "p", AT_FDCWD, "q", RENAME_NOREPLACE|RENAME_EXCHANGE|RENAME_WHITEOUT)',
    ),
    (
        "linkat",
        (3, A, -100, B, 0x1400),
        {**P, B: b"q\0"},
        'linkat(3, "p", AT_FDCWD, "q", AT_SYMLINK_FOLLOW|AT_EMPTY_PATH)',
    ),
    ("unlinkat", (-100, A, 0x200), P, 'unlinkat(AT_FDCWD, "p", AT_REMOVEDIR)'),
    ("statx", (-100, A, 0, 0x7FF, B), P, 'statx(AT_FDCWD, "p", AT_STATX_SYNC_AS_STAT, STATX_BASIC_STATS, 0x30000)'),
    (
        "statx",
        (-100, A, 0x100, 0xFFF, B),
        P,
        'statx(AT_FDCWD, "p", AT_STATX_SYNC_AS_STAT|AT_SYMLINK_NOFOLLOW, STATX_ALL, 0x30000)',
    ),
    (
        "statx",
        (-100, A, 0x2100, 1, B),
        P,
        'statx(AT_FDCWD, "p", AT_STATX_FORCE_SYNC|AT_SYMLINK_NOFOLLOW, STATX_TYPE, 0x30000)',
    ),
    ("statx", (-100, A, 3, 1, B), P, 'statx(AT_FDCWD, "p", AT_STATX_SYNC_AS_STAT|0x3, STATX_TYPE, 0x30000)'),
    ("newfstatat", (-100, A, B, 0x1100), P, 'newfstatat(AT_FDCWD, "p", 0x30000, AT_SYMLINK_NOFOLLOW|AT_EMPTY_PATH)'),
    (
        "utimensat",
        (-100, A, B, 0x100),
        two(1, 2, 3, 4),
        (
            'utimensat(AT_FDCWD, "p", [{tv_sec=1, tv_nsec=2} /* 1970-01-01T00:00:01.000000002+0000 */, '
            "{tv_sec=3, tv_nsec=4} /* 1970-01-01T00:00:03.000000004+0000 */], AT_SYMLINK_NOFOLLOW)"
        ),
    ),
    ("utimensat", (-100, A, B, 0), two(5, NOW, 6, OMIT), 'utimensat(AT_FDCWD, "p", [UTIME_NOW, UTIME_OMIT], 0)'),
    (
        "utimensat",
        (-100, A, B, 0),
        two(-1, 1000000000, 0, 0),
        'utimensat(AT_FDCWD, "p", [{tv_sec=-1, tv_nsec=1000000000}, {tv_sec=0, tv_nsec=0}], 0)',
    ),
    ("utimensat", (3, 0, 0, 0), {}, "utimensat(3, NULL, NULL, 0)"),
    ("utimensat", (3, A, NOWHERE, 0), P, 'utimensat(3, "p", 0xdead0000, 0)'),
    (
        "utimes",
        (A, B),
        two(1, 2, 3, 1000000),
        ('utimes("p", [{tv_sec=1, tv_usec=2} /* 1970-01-01T00:00:01.000002+0000 */, {tv_sec=3, tv_usec=1000000}])'),
    ),
    (
        "futimesat",
        (3, A, B),
        two(1, 2, 3, 4),
        (
            'futimesat(3, "p", [{tv_sec=1, tv_usec=2} /* 1970-01-01T00:00:01.000002+0000 */, {tv_sec=3, '
            "tv_usec=4} /* 1970-01-01T00:00:03.000004+0000 */])"
        ),
    ),
    (
        "utime",
        (A, B),
        {**P, B: struct.pack("<qq", 1, 1700000000)},
        ('utime("p", {actime=1 /* 1970-01-01T00:00:01+0000 */, modtime=1700000000 /* 2023-11-14T22:13:20+0000 */})'),
    ),
    ("utime", (A, 0), P, 'utime("p", NULL)'),
    ("mount", (A, B, C, 0, D), MOUNT, 'mount("none", "/mnt", "tmpfs", 0, "size=5")'),
    ("mount", (A, B, C, 0x8000, D), MOUNT, 'mount("none", "/mnt", "tmpfs", MS_SILENT, "size=5")'),
    ("mount", (A, B, C, 0x1001, D), MOUNT, 'mount("none", "/mnt", 0x40000, MS_RDONLY|MS_BIND, 0x50000)'),
    ("mount", (A, B, C, 0x1020, D), MOUNT, 'mount("none", "/mnt", 0x40000, MS_REMOUNT|MS_BIND, "size=5")'),
    ("mount", (A, B, C, 0x2000, D), MOUNT, 'mount("none", "/mnt", 0x40000, MS_MOVE, 0x50000)'),
    ("mount", (A, B, C, 1 << 18, D), MOUNT, 'mount("none", "/mnt", 0x40000, MS_PRIVATE, 0x50000)'),
    (
        "mount",
        (A, B, C, 0xC0ED0021, D),
        MOUNT,
        'mount("none", "/mnt", 0x40000, MS_MGC_VAL|MS_RDONLY|MS_REMOUNT, "size=5")',
    ),
    ("mount", (A, B, C, 0xC0ED0000, D), MOUNT, 'mount("none", "/mnt", "tmpfs", MS_MGC_VAL, "size=5")'),
    ("mount", (A, B, C, 0, NOWHERE), MOUNT, 'mount("none", "/mnt", "tmpfs", 0, 0xdead0000)'),
    ("mount", (0, B, 0, 0x20, 0), MOUNT, 'mount(NULL, "/mnt", NULL, MS_REMOUNT, NULL)'),
    ("umount2", (A, 0xF), P, 'umount2("p", MNT_FORCE|MNT_DETACH|MNT_EXPIRE|UMOUNT_NOFOLLOW)'),
    ("fsconfig", (3, 0, A, B, 5), {**P, B: b"val\0"}, 'fsconfig(3, FSCONFIG_SET_FLAG, "p", 0x30000, 5)'),
    (
        "fsconfig",
        (3, 1, A, B, 0),
        {**P, B: b"v" * 40 + b"\0"},
        'fsconfig(3, FSCONFIG_SET_STRING, "p", "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv"..., 0)',
    ),
    (
        "fsconfig",
        (3, 2, A, B, 5),
        {**P, B: b"val\0x"},
        r'fsconfig(3, FSCONFIG_SET_BINARY, "p", "\x76\x61\x6c\x00\x78", 5)',
    ),
    (
        "fsconfig",
        (3, 2, A, B, 40),
        {**P, B: b"v" * 40},
        (
            r'fsconfig(3, FSCONFIG_SET_BINARY, "p", "\x76\x76\x76\x76\x76\x76\x76\x76\x76\x76\x76\x76\x76\x76'
            r'\x76\x76\x76\x76\x76\x76\x76\x76\x76\x76\x76\x76\x76\x76\x76\x76\x76\x76"..., 40)'
        ),
    ),
    ("fsconfig", (3, 2, A, B, -1), {**P, B: b"v" * 40}, 'fsconfig(3, FSCONFIG_SET_BINARY, "p", 0x30000, -1)'),
    (
        "fsconfig",
        (3, 3, A, B, -100),
        {**P, B: b"/v" * 40 + b"\0"},
        (
            'fsconfig(3, FSCONFIG_SET_PATH, "p", "/v/v/v/v/v/v/v/v/v/v/v/v/v/v/v/v/v/v/v/v/v/v/v/v/v/v/v/v/v'
            '/v/v/v/v/v/v/v/v/v/v/v", AT_FDCWD)'
        ),
    ),
    ("fsconfig", (3, 4, A, B, 5), {**P, B: b"val\0"}, 'fsconfig(3, FSCONFIG_SET_PATH_EMPTY, "p", "val", 5)'),
    ("fsconfig", (3, 5, A, B, 5), {**P, B: b"val\0"}, 'fsconfig(3, FSCONFIG_SET_FD, "p", 0x30000, 5)'),
    ("fsconfig", (3, 6, A, B, 5), {**P, B: b"val\0"}, "fsconfig(3, FSCONFIG_CMD_CREATE, 0x20000, 0x30000, 5)"),
    ("fsopen", (A, 1), P, 'fsopen("p", FSOPEN_CLOEXEC)'),
    (
        "fsmount",
        (3, 1, 0x1E),
        {},
        ("fsmount(3, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID|MOUNT_ATTR_NODEV|MOUNT_ATTR_NOEXEC|MOUNT_ATTR_NOATIME)"),
    ),
    ("fsmount", (3, 0, 0), {}, "fsmount(3, 0, 0)"),
    (
        "fspick",
        (-100, A, 0xF),
        P,
        ('fspick(AT_FDCWD, "p", FSPICK_CLOEXEC|FSPICK_SYMLINK_NOFOLLOW|FSPICK_NO_AUTOMOUNT|FSPICK_EMPTY_PATH)'),
    ),
    ("open_tree", (-100, A, 0x88001), P, 'open_tree(AT_FDCWD, "p", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC|AT_RECURSIVE)'),
    (
        "move_mount",
        (3, A, -100, B, 0x144),
        {**P, B: b"q\0"},
        ('move_mount(3, "p", AT_FDCWD, "q", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH|MOVE_MOUNT_SET_GROUP)'),
    ),
    (
        "mount_setattr",
        (-100, A, 0x9000, B, 32),
        how(0x100001, 0x20, 1 << 18, 5),
        (
            'mount_setattr(AT_FDCWD, "p", AT_EMPTY_PATH|AT_RECURSIVE, '
            "{attr_set=MOUNT_ATTR_RDONLY|MOUNT_ATTR_IDMAP, attr_clr=MOUNT_ATTR_STRICTATIME, "
            "propagation=MS_PRIVATE, userns_fd=5}, 32)"
        ),
    ),
    ("mount_setattr", (-100, A, 0, B, 24), how(1, 2, 3, 4), 'mount_setattr(AT_FDCWD, "p", 0, 0x30000, 24)'),
    (
        "mount_setattr",
        (-100, A, 0, B, 40),
        how(1, 0, 0, -1 % (1 << 64), 1),
        (
            'mount_setattr(AT_FDCWD, "p", 0, {attr_set=MOUNT_ATTR_RDONLY, attr_clr=0, propagation=0 /* '
            "MS_??? */, userns_fd=18446744073709551615, /* bytes 32..39 */ "
            r'"\x01\x00\x00\x00\x00\x00\x00\x00"}, 40)'
        ),
    ),
    (
        "setxattr",
        (A, B, C, 5, 1),
        {**P, B: b"user.x\0", C: b"value"},
        'setxattr("p", "user.x", "value", 5, XATTR_CREATE)',
    ),
    (
        "lsetxattr",
        (A, B, C, 40, 2),
        {**P, B: b"u" * 40 + b"\0", C: b"v" * 40},
        (
            'lsetxattr("p", "uuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu"..., "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv"..., '
            "40, XATTR_REPLACE)"
        ),
    ),
    ("fsetxattr", (3, B, C, 0x10001, 0), {B: b"user.x\0", C: b"v" * 40}, 'fsetxattr(3, "user.x", 0x40000, 65537, 0)'),
    ("fsetxattr", (3, B, NOWHERE, 5, 0), {B: b"user.x\0"}, 'fsetxattr(3, "user.x", 0xdead0000, 5, 0)'),
    ("getxattr", (A, B, C, 5), {**P, B: b"user.x\0"}, 'getxattr("p", "user.x", 0x40000, 5)'),
    ("listxattr", (A, C, 5), P, 'listxattr("p", 0x40000, 5)'),
    ("removexattr", (A, B), {**P, B: b"user.x\0"}, 'removexattr("p", "user.x")'),
    ("swapon", (A, 0x8005), P, 'swapon("p", SWAP_FLAG_PREFER|5)'),
    ("swapon", (A, 0x10000), P, 'swapon("p", SWAP_FLAG_DISCARD|0)'),
    ("swapon", (A, 5), P, 'swapon("p", 5)'),
    (
        "name_to_handle_at",
        (-100, A, B, C, 0x400),
        {**P, B: struct.pack("<Ii", 8, 0)},
        'name_to_handle_at(AT_FDCWD, "p", {handle_bytes=8}, 0x40000, AT_SYMLINK_FOLLOW)',
    ),
    (
        "open_by_handle_at",
        (3, B, 0),
        {B: struct.pack("<Ii", 8, 1) + b"\1\2\3\4\5\6\7\x08"},
        (
            "open_by_handle_at(3, {handle_bytes=8, handle_type=1, "
            r'f_handle="\x01\x02\x03\x04\x05\x06\x07\x08"}, O_RDONLY)'
        ),
    ),
    (
        "open_by_handle_at",
        (3, B, 0),
        {B: struct.pack("<Ii", 0xFFFFFFFF, -1) + bytes(200)},
        f'open_by_handle_at(3, {{handle_bytes=4294967295, handle_type=-1, f_handle="{ZEROS}"...}}, O_RDONLY)',
    ),
    (
        "open_by_handle_at",
        (3, B + 4084, 0),
        {B + 4084: struct.pack("<Ii", 12, 1) + bytes(4)},
        "open_by_handle_at(3, {handle_bytes=12, handle_type=1, f_handle=???}, O_RDONLY)",
    ),
    ("open_by_handle_at", (3, NOWHERE, 0), {}, "open_by_handle_at(3, 0xdead0000, O_RDONLY)"),
    ("quotactl", (quota(0x800001), A, 5, B), P, 'quotactl(QCMD(Q_SYNC, USRQUOTA), "p")'),
    (
        "quotactl",
        (quota(0x800002), A, 2, B),
        {**P, B: b"aquota\0"},
        'quotactl(QCMD(Q_QUOTAON, USRQUOTA), "p", QFMT_VFS_V0, "aquota")',
    ),
    ("quotactl", (quota(0x800003, 1), A, 5, B), P, 'quotactl(QCMD(Q_QUOTAOFF, GRPQUOTA), "p")'),
    ("quotactl", (quota(0x800004, 1), A, 5, B), P, 'quotactl(QCMD(Q_GETFMT, GRPQUOTA), "p", 0x30000)'),
    ("quotactl", (quota(0x800005, 2), A, 5, B), P, 'quotactl(QCMD(Q_GETINFO, PRJQUOTA), "p", 0x30000)'),
    (
        "quotactl",
        (quota(0x800006), A, 5, B),
        {**P, B: struct.pack("<QQII", 1, 2, 3, 4)},
        (
            'quotactl(QCMD(Q_SETINFO, USRQUOTA), "p", {dqi_bgrace=1, dqi_igrace=2, '
            "dqi_flags=DQF_ROOT_SQUASH|0x2, dqi_valid=IIF_FLAGS})"
        ),
    ),
    ("quotactl", (quota(0x800007), A, -1, B), P, 'quotactl(QCMD(Q_GETQUOTA, USRQUOTA), "p", -1, 0x30000)'),
    (
        "quotactl",
        (quota(0x800008), A, 5, B),
        {**P, B: struct.pack("<QQQQQQQQIxxxx", *range(9))},
        (
            'quotactl(QCMD(Q_SETQUOTA, USRQUOTA), "p", 5, {dqb_bhardlimit=0, dqb_bsoftlimit=1, '
            "dqb_curspace=2, dqb_ihardlimit=3, dqb_isoftlimit=4, dqb_curinodes=5, ...})"
        ),
    ),
    (
        "quotactl",
        (quota(0x5801), A, 5, B),
        {**P, B: struct.pack("<I", 0x105)},
        'quotactl(QCMD(Q_XQUOTAON, USRQUOTA), "p", [FS_QUOTA_UDQ_ACCT|FS_QUOTA_GDQ_ACCT|0x100])',
    ),
    (
        "quotactl",
        (quota(0x5804), A, 5, B),
        {**P, B: struct.pack("<bbHIQQQQQQ", 1, 1, 0x3FFF, 5, *range(6)) + bytes(56)},
        (
            'quotactl(QCMD(Q_XSETQLIM, USRQUOTA), "p", 5, {d_version=1, d_flags=FS_USER_QUOTA, '
            "d_fieldmask=0x3fff, d_id=5, d_blk_hardlimit=0, d_blk_softlimit=1, d_ino_hardlimit=2, "
            "d_ino_softlimit=3, d_bcount=4, d_icount=5, ...})"
        ),
    ),
    (
        "quotactl",
        (quota(0x5806), A, 5, B),
        {**P, B: struct.pack("<I", 3)},
        'quotactl(QCMD(Q_XQUOTARM, USRQUOTA), "p", [FS_USER_QUOTA|FS_PROJ_QUOTA])',
    ),
    ("quotactl", (quota(0x5807), A, 5, B), P, 'quotactl(QCMD(Q_XQUOTASYNC, USRQUOTA), "p")'),
    ("quotactl", (quota(0x99, 5), A, 5, B), P, 'quotactl(QCMD(0x99 /* Q_??? */, 0x5 /* ???QUOTA */), "p", 5, 0x30000)'),
    (
        "quotactl_fd",
        (3, quota(0x800008), -1, NOWHERE),
        {},
        "quotactl_fd(3, QCMD(Q_SETQUOTA, USRQUOTA), -1, 0xdead0000)",
    ),
]

LINES_32: list[Line] = [
    (
        "utimensat",
        (-100, A, B, 0),
        two(1, 2, -3, NOW, code="i"),
        ('utimensat(AT_FDCWD, "p", [{tv_sec=1, tv_nsec=2} /* 1970-01-01T00:00:01.000000002+0000 */, UTIME_NOW], 0)'),
    ),
    (
        "utimensat_time64",
        (-100, A, B, 0),
        two(1, 2, 3, NOW),
        (
            'utimensat_time64(AT_FDCWD, "p", [{tv_sec=1, tv_nsec=2} /* 1970-01-01T00:00:01.000000002+0000 '
            "*/, UTIME_NOW], 0)"
        ),
    ),
    (
        "utimes",
        (A, B),
        two(1, 2, 3, 4, code="i"),
        (
            'utimes("p", [{tv_sec=1, tv_usec=2} /* 1970-01-01T00:00:01.000002+0000 */, {tv_sec=3, '
            "tv_usec=4} /* 1970-01-01T00:00:03.000004+0000 */])"
        ),
    ),
    (
        "utime",
        (A, B),
        {**P, B: struct.pack("<ii", 1, 2)},
        'utime("p", {actime=1 /* 1970-01-01T00:00:01+0000 */, modtime=2 /* 1970-01-01T00:00:02+0000 */})',
    ),
    ("chown", (A, -1, 0), P, 'chown("p", -1, 0)'),
    ("lchown", (A, 65535, 0), P, 'lchown("p", -1, 0)'),
    ("fchown32", (3, -1, 65535), {}, "fchown32(3, -1, 65535)"),
    ("fstatat64", (-100, A, B, 0x100), P, 'fstatat64(AT_FDCWD, "p", 0x30000, AT_SYMLINK_NOFOLLOW)'),
    ("statfs64", (A, 84, B), P, 'statfs64("p", 84, 0x30000)'),
    ("readdir", (3, A, 1), {}, "readdir(3, 0x20000)"),
    (
        "mount_setattr",
        (-100, A, 0, B, 32),
        how(1, 0, 0, 5),
        (
            'mount_setattr(AT_FDCWD, "p", 0, {attr_set=MOUNT_ATTR_RDONLY, attr_clr=0, propagation=0 /* '
            "MS_??? */, userns_fd=5}, 32)"
        ),
    ),
]


@pytest.mark.parametrize(("name", "registers", "memory", "line"), LINES)
def test_a_call_on_files_is_shown_as_strace_does(name, registers, memory, line) -> None:
    assert shown(name, registers, memory) == line


@pytest.mark.parametrize(("name", "registers", "memory", "line"), LINES_32)
def test_a_32_bit_program_has_shorter_ids_and_times(name, registers, memory, line) -> None:
    assert shown(name, registers, memory, Arch.I386) == line


@pytest.mark.parametrize(
    ("name", "registers", "data", "line"),
    [
        (
            "utimensat",
            (-100, 0, B, 0),
            struct.pack(">qqqq", 1, NOW, 0, 0),
            "utimensat(AT_FDCWD, NULL, [UTIME_NOW, {tv_sec=0, tv_nsec=0}], 0)",
        ),
        (
            "openat2",
            (3, 0, B, 24),
            struct.pack(">QQQ", 0o100, 0o644, 8),
            "openat2(3, NULL, {flags=O_RDONLY|O_CREAT, mode=0644, resolve=RESOLVE_BENEATH}, 24)",
        ),
        (
            "quotactl",
            (quota(0x800006), 0, 0, B),
            struct.pack(">QQII", 1, 2, 1, 4),
            (
                "quotactl(QCMD(Q_SETINFO, USRQUOTA), NULL, "
                "{dqi_bgrace=1, dqi_igrace=2, dqi_flags=DQF_ROOT_SQUASH, dqi_valid=IIF_FLAGS})"
            ),
        ),
        (
            "mount_setattr",
            (3, 0, 0, B, 32),
            struct.pack(">QQQQ", 1, 0, 0, 5),
            (
                "mount_setattr(3, NULL, 0, {attr_set=MOUNT_ATTR_RDONLY, attr_clr=0, "
                "propagation=0 /* MS_??? */, userns_fd=5}, 32)"
            ),
        ),
        (
            "open_by_handle_at",
            (3, B, 0),
            struct.pack(">Ii", 1, 2) + b"\7",
            r'open_by_handle_at(3, {handle_bytes=1, handle_type=2, f_handle="\x07"}, O_RDONLY)',
        ),
    ],
)
def test_structs_are_in_the_order_of_the_machine(name: str, registers, data: bytes, line: str) -> None:
    assert shown(name, registers, {B: data}, Arch.S390X) == line


def test_a_quota_of_a_32_bit_program_ends_without_padding() -> None:
    data = struct.pack("<QQQQQQQQI", *range(9))  # 68 bytes, where 64-bit programs have 72

    line = shown("quotactl", (quota(0x800008), 0, 5, B), {B: data}, Arch.I386)

    assert "dqb_curinodes=5, ...}" in line
