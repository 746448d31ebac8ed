"""
Calls of the family ``keys``: what strace 6.1 wrote when a program made them.

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
    (
        X64,
        "add_key",
        {"type": b"user", "description": b"mydesc", "payload": b"data", "keyring": -3},
        'add_key("user", "mydesc", "data", 4, KEY_SPEC_SESSION_KEYRING)',
    ),
    (
        X64,
        "add_key",
        {
            "type": b"user",
            "description": 16,
            "payload": b"datadatadatadatadatadatadatadatadatadatadatadatadatadatadatadatadatadatadatadata",
            "keyring": 77,
        },
        'add_key("user", 0x10, "datadatadatadatadatadatadatadata"..., 80, 77)',
    ),
    (
        X86,
        "add_key",
        {
            "type": b"user",
            "description": 16,
            "payload": b"datadatadatadatadatadatadatadatadatadatadatadatadatadatadatadatadatadatadatadata",
            "keyring": 77,
        },
        'add_key("user", 0x10, "datadatadatadatadatadatadatadata"..., 80, 77)',
    ),
    (X64, "keyctl", {"op": 0, "arg2": 1, "arg3": 2, "arg4": 3, "arg5": 4}, "keyctl(KEYCTL_GET_KEYRING_ID, 1, 2)"),
    (
        X64,
        "keyctl",
        {"op": 0, "arg2": -3, "arg3": -1, "arg4": -4, "arg5": -1},
        "keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, -1)",
    ),
    (X64, "keyctl", {"op": 1, "arg2": 1, "arg3": 2, "arg4": 3, "arg5": 4}, "keyctl(KEYCTL_JOIN_SESSION_KEYRING, 0x1)"),
    (X64, "keyctl", {"op": 2, "arg2": 1, "arg3": 2, "arg4": 3, "arg5": 4}, "keyctl(KEYCTL_UPDATE, 1, 0x2, 3)"),
    (X64, "keyctl", {"op": 3, "arg2": 1, "arg3": 2, "arg4": 3, "arg5": 4}, "keyctl(KEYCTL_REVOKE, 1)"),
    (
        X64,
        "keyctl",
        {"op": 3, "arg2": -3, "arg3": -1, "arg4": -4, "arg5": -1},
        "keyctl(KEYCTL_REVOKE, KEY_SPEC_SESSION_KEYRING)",
    ),
    (X64, "keyctl", {"op": 4, "arg2": 1, "arg3": 2, "arg4": 3, "arg5": 4}, "keyctl(KEYCTL_CHOWN, 1, 2, 3)"),
    (
        X64,
        "keyctl",
        {"op": 4, "arg2": -3, "arg3": -1, "arg4": -4, "arg5": -1},
        "keyctl(KEYCTL_CHOWN, KEY_SPEC_SESSION_KEYRING, -1, 4294967292)",
    ),
    (X64, "keyctl", {"op": 5, "arg2": 1, "arg3": 2, "arg4": 3, "arg5": 4}, "keyctl(KEYCTL_SETPERM, 1, KEY_OTH_READ)"),
    (X64, "keyctl", {"op": 6, "arg2": 1, "arg3": 2, "arg4": 3, "arg5": 4}, "keyctl(KEYCTL_DESCRIBE, 1, 0x2, 3)"),
    (X64, "keyctl", {"op": 7, "arg2": 1, "arg3": 2, "arg4": 3, "arg5": 4}, "keyctl(KEYCTL_CLEAR, 1)"),
    (
        X64,
        "keyctl",
        {"op": 7, "arg2": -3, "arg3": -1, "arg4": -4, "arg5": -1},
        "keyctl(KEYCTL_CLEAR, KEY_SPEC_SESSION_KEYRING)",
    ),
    (X64, "keyctl", {"op": 8, "arg2": 1, "arg3": 2, "arg4": 3, "arg5": 4}, "keyctl(KEYCTL_LINK, 1, 2)"),
    (X64, "keyctl", {"op": 9, "arg2": 1, "arg3": 2, "arg4": 3, "arg5": 4}, "keyctl(KEYCTL_UNLINK, 1, 2)"),
    (X64, "keyctl", {"op": 10, "arg2": 1, "arg3": 2, "arg4": 3, "arg5": 4}, "keyctl(KEYCTL_SEARCH, 1, 0x2, 0x3, 4)"),
    (X64, "keyctl", {"op": 11, "arg2": 1, "arg3": 2, "arg4": 3, "arg5": 4}, "keyctl(KEYCTL_READ, 1, 0x2, 3)"),
    (X64, "keyctl", {"op": 12, "arg2": 1, "arg3": 2, "arg4": 3, "arg5": 4}, "keyctl(KEYCTL_INSTANTIATE, 1, 0x2, 3, 4)"),
    (X64, "keyctl", {"op": 13, "arg2": 1, "arg3": 2, "arg4": 3, "arg5": 4}, "keyctl(KEYCTL_NEGATE, 1, 2, 3)"),
    (
        X64,
        "keyctl",
        {"op": 14, "arg2": 1, "arg3": 2, "arg4": 3, "arg5": 4},
        "keyctl(KEYCTL_SET_REQKEY_KEYRING, KEY_REQKEY_DEFL_THREAD_KEYRING)",
    ),
    (X64, "keyctl", {"op": 15, "arg2": 1, "arg3": 2, "arg4": 3, "arg5": 4}, "keyctl(KEYCTL_SET_TIMEOUT, 1, 2)"),
    (X64, "keyctl", {"op": 16, "arg2": 1, "arg3": 2, "arg4": 3, "arg5": 4}, "keyctl(KEYCTL_ASSUME_AUTHORITY, 1)"),
    (
        X64,
        "keyctl",
        {"op": 16, "arg2": -3, "arg3": -1, "arg4": -4, "arg5": -1},
        "keyctl(KEYCTL_ASSUME_AUTHORITY, KEY_SPEC_SESSION_KEYRING)",
    ),
    (X64, "keyctl", {"op": 17, "arg2": 1, "arg3": 2, "arg4": 3, "arg5": 4}, "keyctl(KEYCTL_GET_SECURITY, 1, 0x2, 3)"),
    (X64, "keyctl", {"op": 18, "arg2": 1, "arg3": 2, "arg4": 3, "arg5": 4}, "keyctl(KEYCTL_SESSION_TO_PARENT)"),
    (X64, "keyctl", {"op": 19, "arg2": 1, "arg3": 2, "arg4": 3, "arg5": 4}, "keyctl(KEYCTL_REJECT, 1, 2, ESRCH, 4)"),
    (
        X64,
        "keyctl",
        {"op": 20, "arg2": 1, "arg3": 2, "arg4": 3, "arg5": 4},
        "keyctl(KEYCTL_INSTANTIATE_IOV, 1, 0x2, 3, 4)",
    ),
    (X64, "keyctl", {"op": 21, "arg2": 1, "arg3": 2, "arg4": 3, "arg5": 4}, "keyctl(KEYCTL_INVALIDATE, 1)"),
    (
        X64,
        "keyctl",
        {"op": 21, "arg2": -3, "arg3": -1, "arg4": -4, "arg5": -1},
        "keyctl(KEYCTL_INVALIDATE, KEY_SPEC_SESSION_KEYRING)",
    ),
    (X64, "keyctl", {"op": 22, "arg2": 1, "arg3": 2, "arg4": 3, "arg5": 4}, "keyctl(KEYCTL_GET_PERSISTENT, 1, 2)"),
    (
        X64,
        "keyctl",
        {"op": 23, "arg2": 1, "arg3": 2, "arg4": 3, "arg5": 4},
        "keyctl(KEYCTL_DH_COMPUTE, 0x1, 0x2, 3, 0x4)",
    ),
    (
        X64,
        "keyctl",
        {"op": 24, "arg2": 1, "arg3": 2, "arg4": 3, "arg5": 4},
        "keyctl(KEYCTL_PKEY_QUERY, 1, 0x2, 0x3, 0x4)",
    ),
    (
        X64,
        "keyctl",
        {"op": 25, "arg2": 1, "arg3": 2, "arg4": 3, "arg5": 4},
        "keyctl(KEYCTL_PKEY_ENCRYPT, 0x1, 0x2, 0x3, 0x4)",
    ),
    (
        X64,
        "keyctl",
        {"op": 26, "arg2": 1, "arg3": 2, "arg4": 3, "arg5": 4},
        "keyctl(KEYCTL_PKEY_DECRYPT, 0x1, 0x2, 0x3, 0x4)",
    ),
    (
        X64,
        "keyctl",
        {"op": 27, "arg2": 1, "arg3": 2, "arg4": 3, "arg5": 4},
        "keyctl(KEYCTL_PKEY_SIGN, 0x1, 0x2, 0x3, 0x4)",
    ),
    (
        X64,
        "keyctl",
        {"op": 28, "arg2": 1, "arg3": 2, "arg4": 3, "arg5": 4},
        "keyctl(KEYCTL_PKEY_VERIFY, 0x1, 0x2, 0x3, 0x4)",
    ),
    (
        X64,
        "keyctl",
        {"op": 29, "arg2": 1, "arg3": 2, "arg4": 3, "arg5": 4},
        "keyctl(KEYCTL_RESTRICT_KEYRING, 1, 0x2, 0x3)",
    ),
    (
        X64,
        "keyctl",
        {"op": 30, "arg2": 1, "arg3": 2, "arg4": 3, "arg5": 4},
        "keyctl(KEYCTL_MOVE, 1, 2, 3, 0x4 /* KEYCTL_MOVE_??? */)",
    ),
    (X64, "keyctl", {"op": 31, "arg2": 1, "arg3": 2, "arg4": 3, "arg5": 4}, "keyctl(KEYCTL_CAPABILITIES, 0x1, 2)"),
    (
        X64,
        "keyctl",
        {"op": 32, "arg2": 1, "arg3": 2, "arg4": 3, "arg5": 4},
        "keyctl(KEYCTL_WATCH_KEY, 0x1, 0x2, 0x3, 0x4)",
    ),
    (
        X64,
        "keyctl",
        {"op": 33, "arg2": 1, "arg3": 2, "arg4": 3, "arg5": 4},
        "keyctl(0x21 /* KEYCTL_??? */, 0x1, 0x2, 0x3, 0x4)",
    ),
    (
        X86,
        "keyctl",
        {"op": 2, "arg2": -3, "arg3": -1, "arg4": -4, "arg5": -1},
        "keyctl(KEYCTL_UPDATE, KEY_SPEC_SESSION_KEYRING, 0xffffffff, 4294967292)",
    ),
    (X86, "keyctl", {"op": 4, "arg2": 1, "arg3": 2, "arg4": 3, "arg5": 4}, "keyctl(KEYCTL_CHOWN, 1, 2, 3)"),
    (
        X86,
        "keyctl",
        {"op": 6, "arg2": -3, "arg3": -1, "arg4": -4, "arg5": -1},
        "keyctl(KEYCTL_DESCRIBE, KEY_SPEC_SESSION_KEYRING, 0xffffffff, 4294967292)",
    ),
    (X86, "keyctl", {"op": 7, "arg2": 1, "arg3": 2, "arg4": 3, "arg5": 4}, "keyctl(KEYCTL_CLEAR, 1)"),
    (
        X86,
        "keyctl",
        {
            "op": 7,
            "arg2": -2,
            "arg3": 0x3F1F0108,
            "arg4": 2,
            "arg5": u32(0x102008, 0x102000, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        },
        "keyctl(KEYCTL_CLEAR, KEY_SPEC_PROCESS_KEYRING)",
    ),
    (X86, "keyctl", {"op": 8, "arg2": 1, "arg3": 2, "arg4": 3, "arg5": 4}, "keyctl(KEYCTL_LINK, 1, 2)"),
    (
        X86,
        "keyctl",
        {"op": 8, "arg2": -3, "arg3": -1, "arg4": -4, "arg5": -1},
        "keyctl(KEYCTL_LINK, KEY_SPEC_SESSION_KEYRING, KEY_SPEC_THREAD_KEYRING)",
    ),
    (
        X86,
        "keyctl",
        {"op": 9, "arg2": -3, "arg3": -1, "arg4": -4, "arg5": -1},
        "keyctl(KEYCTL_UNLINK, KEY_SPEC_SESSION_KEYRING, KEY_SPEC_THREAD_KEYRING)",
    ),
    (X86, "keyctl", {"op": 10, "arg2": 1, "arg3": 2, "arg4": 3, "arg5": 4}, "keyctl(KEYCTL_SEARCH, 1, 0x2, 0x3, 4)"),
    (
        X86,
        "keyctl",
        {"op": 10, "arg2": -3, "arg3": -1, "arg4": -4, "arg5": -1},
        "keyctl(KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, 0xffffffff, 0xfffffffc, KEY_SPEC_THREAD_KEYRING)",
    ),
    (
        X86,
        "keyctl",
        {"op": 11, "arg2": -3, "arg3": -1, "arg4": -4, "arg5": -1},
        "keyctl(KEYCTL_READ, KEY_SPEC_SESSION_KEYRING, 0xffffffff, 4294967292)",
    ),
    (
        X86,
        "keyctl",
        {"op": 12, "arg2": -3, "arg3": -1, "arg4": -4, "arg5": -1},
        "keyctl(KEYCTL_INSTANTIATE, KEY_SPEC_SESSION_KEYRING, 0xffffffff, 4294967292, KEY_SPEC_THREAD_KEYRING)",
    ),
    (
        X86,
        "keyctl",
        {"op": 13, "arg2": -3, "arg3": -1, "arg4": -4, "arg5": -1},
        "keyctl(KEYCTL_NEGATE, KEY_SPEC_SESSION_KEYRING, 4294967295, KEY_SPEC_USER_KEYRING)",
    ),
    (
        X86,
        "keyctl",
        {"op": 14, "arg2": -3, "arg3": -1, "arg4": -4, "arg5": -1},
        "keyctl(KEYCTL_SET_REQKEY_KEYRING, -3 /* KEY_REQKEY_DEFL_??? */)",
    ),
    (
        X86,
        "keyctl",
        {"op": 15, "arg2": -3, "arg3": -1, "arg4": -4, "arg5": -1},
        "keyctl(KEYCTL_SET_TIMEOUT, KEY_SPEC_SESSION_KEYRING, 4294967295)",
    ),
    (
        X86,
        "keyctl",
        {"op": 17, "arg2": -3, "arg3": -1, "arg4": -4, "arg5": -1},
        "keyctl(KEYCTL_GET_SECURITY, KEY_SPEC_SESSION_KEYRING, 0xffffffff, 4294967292)",
    ),
    (
        X86,
        "keyctl",
        {"op": 19, "arg2": -3, "arg3": -1, "arg4": -4, "arg5": -1},
        "keyctl(KEYCTL_REJECT, KEY_SPEC_SESSION_KEYRING, 4294967295, 4294967292, KEY_SPEC_THREAD_KEYRING)",
    ),
    (
        X86,
        "keyctl",
        {"op": 22, "arg2": -3, "arg3": -1, "arg4": -4, "arg5": -1},
        "keyctl(KEYCTL_GET_PERSISTENT, 4294967293, KEY_SPEC_THREAD_KEYRING)",
    ),
    (
        X86,
        "keyctl",
        {"op": 24, "arg2": -3, "arg3": -1, "arg4": -4, "arg5": -1},
        "keyctl(KEYCTL_PKEY_QUERY, KEY_SPEC_SESSION_KEYRING, 0xffffffff, 0xfffffffc, 0xffffffff)",
    ),
    (
        X86,
        "keyctl",
        {"op": 29, "arg2": -3, "arg3": -1, "arg4": -4, "arg5": -1},
        "keyctl(KEYCTL_RESTRICT_KEYRING, KEY_SPEC_SESSION_KEYRING, 0xffffffff, 0xfffffffc)",
    ),
    (
        X64,
        "request_key",
        {"type": b"user", "description": b"mydesc", "callout_info": b"data", "dest_keyring": -5},
        'request_key("user", "mydesc", "data", KEY_SPEC_USER_SESSION_KEYRING)',
    ),
    (
        X64,
        "request_key",
        {"type": b"user", "description": b"d", "callout_info": 0, "dest_keyring": 77},
        'request_key("user", "d", NULL, 77)',
    ),
    (
        X64,
        "request_key",
        {"type": b"user", "description": b"d", "callout_info": 0, "dest_keyring": -3},
        'request_key("user", "d", NULL, KEY_SPEC_SESSION_KEYRING)',
    ),
    (
        X86,
        "request_key",
        {"type": b"user", "description": b"d", "callout_info": 0, "dest_keyring": 77},
        'request_key("user", "d", NULL, 77)',
    ),
]


@pytest.mark.parametrize(("arch", "name", "arguments", "expected"), CASES)
def test_keys_are_written_as_strace_writes_them(arch, name, arguments, expected):
    assert str(testing.call(name, arch, **arguments)) == expected
