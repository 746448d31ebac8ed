"""Messages: the header, the data it points to, and the control messages that come along."""

from __future__ import annotations

import struct

import pytest

from monitor import Arch
from monitor.notify.render import Look
from tests.notify.render.shown import NOWHERE, A, B, C, D, Line, shown

IN = struct.pack("<H", 2) + b"\0\x50\x7f\0\0\1" + bytes(8)
HEADER = "<QixxxxQQQQixxxx"
HEADER_32 = "<IiIIIIi"


def message(
    name: int = 0, namelen: int = 0, iov: int = 0, count: int = 0, control: int = 0, size: int = 0, flags: int = 0
) -> bytes:
    return struct.pack(HEADER, name, namelen, iov, count, control, size, flags)


def control(level: int, kind: int, data: bytes, length: int | None = None) -> bytes:
    given = 16 + len(data) if length is None else length
    return (struct.pack("<QII", given, level, kind) + data).ljust(16 + -(-len(data) // 8) * 8, b"\0")


def sent(data: bytes, size: int | None = None) -> tuple[tuple[int, int, int], dict[int, bytes]]:
    """Return the registers and the memory of sendmsg(2) with those control messages."""
    return (3, A, 0), {A: message(control=B, size=len(data) if size is None else size), B: data}


LINES: list[Line] = [
    (
        "sendmsg",
        (3, A, 0x4000),
        {A: message(D, 16, B, 1, flags=0x40), B: struct.pack("<QQ", C, 5), C: b"hello", D: IN},
        (
            'sendmsg(3, {msg_name={sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, '
            'msg_namelen=16, msg_iov=[{iov_base="hello", iov_len=5}], msg_iovlen=1, msg_controllen=0, '
            "msg_flags=MSG_DONTWAIT}, MSG_NOSIGNAL)"
        ),
    ),
    ("recvmsg", (3, A, 0x4000), {A: message(D, 16, B, 1)}, "recvmsg(3, {msg_namelen=16}, MSG_NOSIGNAL)"),
    ("recvmsg", (3, NOWHERE, 0), {}, "recvmsg(3, 0xdead0000, 0)"),
    (
        "sendmsg",
        (3, A, 0),
        {A: message(NOWHERE, 16, NOWHERE, 3, NOWHERE, 20)},
        (
            "sendmsg(3, {msg_name=0xdead0000, msg_namelen=16, msg_iov=0xdead0000, msg_iovlen=3, "
            "msg_control=0xdead0000, msg_controllen=20, msg_flags=0}, 0)"
        ),
    ),
    (
        "sendmsg",
        (3, A, 0),
        {A: message(D, -1, B, 0, 0, 20)},
        (
            "sendmsg(3, {msg_name=0x50000, msg_namelen=-1, msg_iov=[], msg_iovlen=0, msg_control=NULL, "
            "msg_controllen=20, msg_flags=0}, 0)"
        ),
    ),
    (
        "sendmsg",
        (3, A, 0),
        {A: message(0, 0, B, 2), B: struct.pack("<QQQQ", C, 5, NOWHERE, 3), C: b"hello"},
        (
            'sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base="hello", iov_len=5}, '
            "{iov_base=0xdead0000, iov_len=3}], msg_iovlen=2, msg_controllen=0, msg_flags=0}, 0)"
        ),
    ),
    ("sendmsg", (3, NOWHERE, 0), {}, "sendmsg(3, 0xdead0000, 0)"),
    ("sendmsg", (3, 0, 0), {}, "sendmsg(3, NULL, 0)"),
    (
        "sendmsg",
        *sent(control(1, 1, struct.pack("<iii", 3, 4, -1))),
        (
            "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, "
            "msg_control=[{cmsg_len=28, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[3, 4, "
            "-1]}], msg_controllen=32, msg_flags=0}, 0)"
        ),
    ),
    (
        "sendmsg",
        *sent(control(1, 1, b"")),
        (
            "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, "
            "msg_control=[{cmsg_len=16, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS}], msg_controllen=16, "
            "msg_flags=0}, 0)"
        ),
    ),
    (
        "sendmsg",
        *sent(control(1, 1, b"\3\0\0\0\4")),
        (
            "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, "
            "msg_control=[{cmsg_len=21, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[3]}], "
            "msg_controllen=24, msg_flags=0}, 0)"
        ),
    ),
    (
        "sendmsg",
        *sent(control(1, 1, struct.pack("<40i", *range(40)))),
        (
            "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, "
            "msg_control=[{cmsg_len=176, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[0, 1, 2, "
            "3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, "
            "28, 29, 30, 31, ...]}], msg_controllen=176, msg_flags=0}, 0)"
        ),
    ),
    (
        "sendmsg",
        *sent(control(1, 2, struct.pack("<iii", 1, 2, 3))),
        (
            "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, "
            "msg_control=[{cmsg_len=28, cmsg_level=SOL_SOCKET, cmsg_type=SCM_CREDENTIALS, cmsg_data={pid=1, "
            "uid=2, gid=3}}], msg_controllen=32, msg_flags=0}, 0)"
        ),
    ),
    (
        "sendmsg",
        *sent(control(1, 2, struct.pack("<ii", 1, 2))),
        (
            "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, "
            "msg_control=[{cmsg_len=24, cmsg_level=SOL_SOCKET, cmsg_type=SCM_CREDENTIALS}], "
            "msg_controllen=24, msg_flags=0}, 0)"
        ),
    ),
    (
        "sendmsg",
        *sent(control(1, 3, b"label\0")),
        (
            "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, "
            "msg_control=[{cmsg_len=22, cmsg_level=SOL_SOCKET, cmsg_type=SCM_SECURITY, "
            r'cmsg_data="label\0"}], msg_controllen=24, msg_flags=0}, 0)'
        ),
    ),
    (
        "sendmsg",
        *sent(control(1, 29, struct.pack("<qq", 1, 2))),
        (
            "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, "
            "msg_control=[{cmsg_len=32, cmsg_level=SOL_SOCKET, cmsg_type=SO_TIMESTAMP_OLD, "
            "cmsg_data={tv_sec=1, tv_usec=2}}], msg_controllen=32, msg_flags=0}, 0)"
        ),
    ),
    (
        "sendmsg",
        *sent(control(1, 29, struct.pack("<ii", 1, 2))),
        (
            "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, "
            "msg_control=[{cmsg_len=24, cmsg_level=SOL_SOCKET, cmsg_type=SO_TIMESTAMP_OLD, cmsg_data=???}], "
            "msg_controllen=24, msg_flags=0}, 0)"
        ),
    ),
    (
        "sendmsg",
        *sent(control(1, 35, struct.pack("<qq", 1, 2))),
        (
            "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, "
            "msg_control=[{cmsg_len=32, cmsg_level=SOL_SOCKET, cmsg_type=SO_TIMESTAMPNS_OLD, "
            "cmsg_data={tv_sec=1, tv_nsec=2}}], msg_controllen=32, msg_flags=0}, 0)"
        ),
    ),
    (
        "sendmsg",
        *sent(control(1, 37, struct.pack("<qqqqqq", 1, 2, 3, 4, 5, 6))),
        (
            "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, "
            "msg_control=[{cmsg_len=64, cmsg_level=SOL_SOCKET, cmsg_type=SO_TIMESTAMPING_OLD, "
            "cmsg_data=[{tv_sec=1, tv_nsec=2}, {tv_sec=3, tv_nsec=4}, {tv_sec=5, tv_nsec=6}]}], "
            "msg_controllen=64, msg_flags=0}, 0)"
        ),
    ),
    (
        "sendmsg",
        *sent(control(1, 63, struct.pack("<qq", -1, 2))),
        (
            "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, "
            "msg_control=[{cmsg_len=32, cmsg_level=SOL_SOCKET, cmsg_type=SO_TIMESTAMP_NEW, "
            "cmsg_data={tv_sec=-1, tv_usec=2}}], msg_controllen=32, msg_flags=0}, 0)"
        ),
    ),
    (
        "sendmsg",
        *sent(control(1, 64, struct.pack("<qq", 1, -2))),
        (
            "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, "
            "msg_control=[{cmsg_len=32, cmsg_level=SOL_SOCKET, cmsg_type=SO_TIMESTAMPNS_NEW, "
            "cmsg_data={tv_sec=1, tv_nsec=18446744073709551614}}], msg_controllen=32, msg_flags=0}, 0)"
        ),
    ),
    (
        "sendmsg",
        *sent(control(1, 65, struct.pack("<qqqqqq", 1, 2, 3, 4, 5, 6))),
        (
            "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, "
            "msg_control=[{cmsg_len=64, cmsg_level=SOL_SOCKET, cmsg_type=SO_TIMESTAMPING_NEW, "
            "cmsg_data=[{tv_sec=1, tv_nsec=2}, {tv_sec=3, tv_nsec=4}, {tv_sec=5, tv_nsec=6}]}], "
            "msg_controllen=64, msg_flags=0}, 0)"
        ),
    ),
    (
        "sendmsg",
        *sent(control(1, 41, struct.pack("<i", 7))),
        (
            "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, "
            "msg_control=[{cmsg_len=20, cmsg_level=SOL_SOCKET, cmsg_type=SO_WIFI_STATUS}], "
            "msg_controllen=24, msg_flags=0}, 0)"
        ),
    ),
    (
        "sendmsg",
        *sent(control(1, 99, b"abc")),
        (
            "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, "
            "msg_control=[{cmsg_len=19, cmsg_level=SOL_SOCKET, cmsg_type=0x63 /* SCM_??? */}], "
            "msg_controllen=24, msg_flags=0}, 0)"
        ),
    ),
    (
        "sendmsg",
        *sent(control(99, 99, b"abc")),
        (
            "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, "
            "msg_control=[{cmsg_len=19, cmsg_level=0x63 /* SOL_??? */, cmsg_type=0x63}], msg_controllen=24, "
            "msg_flags=0}, 0)"
        ),
    ),
    (
        "sendmsg",
        *sent(control(0, 1, b"\x10")),
        (
            "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, "
            "msg_control=[{cmsg_len=17, cmsg_level=SOL_IP, cmsg_type=IP_TOS, cmsg_data=[0x10]}], "
            "msg_controllen=24, msg_flags=0}, 0)"
        ),
    ),
    (
        "sendmsg",
        *sent(control(0, 2, struct.pack("<i", 64))),
        (
            "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, "
            "msg_control=[{cmsg_len=20, cmsg_level=SOL_IP, cmsg_type=IP_TTL, cmsg_data=[64]}], "
            "msg_controllen=24, msg_flags=0}, 0)"
        ),
    ),
    (
        "sendmsg",
        *sent(control(0, 2, b"\1")),
        (
            "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, "
            "msg_control=[{cmsg_len=17, cmsg_level=SOL_IP, cmsg_type=IP_TTL}], msg_controllen=24, "
            "msg_flags=0}, 0)"
        ),
    ),
    (
        "sendmsg",
        *sent(control(0, 3, b"label")),
        (
            "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, "
            'msg_control=[{cmsg_len=21, cmsg_level=SOL_IP, cmsg_type=SCM_SECURITY, cmsg_data="label"}], '
            "msg_controllen=24, msg_flags=0}, 0)"
        ),
    ),
    (
        "sendmsg",
        *sent(control(0, 6, b"\1\2\3")),
        (
            "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, "
            "msg_control=[{cmsg_len=19, cmsg_level=SOL_IP, cmsg_type=IP_RECVOPTS, cmsg_data=[0x1, 0x2, "
            "0x3]}], msg_controllen=24, msg_flags=0}, 0)"
        ),
    ),
    (
        "sendmsg",
        *sent(control(0, 7, b"\1\0")),
        (
            "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, "
            "msg_control=[{cmsg_len=18, cmsg_level=SOL_IP, cmsg_type=IP_RETOPTS, cmsg_data=[0x1, 0]}], "
            "msg_controllen=24, msg_flags=0}, 0)"
        ),
    ),
    (
        "sendmsg",
        *sent(control(0, 8, struct.pack("<iII", 1, 0x100007F, 0x200007F))),
        (
            "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, "
            "msg_control=[{cmsg_len=28, cmsg_level=SOL_IP, cmsg_type=IP_PKTINFO, "
            'cmsg_data={ipi_ifindex=if_nametoindex("lo"), ipi_spec_dst=inet_addr("127.0.0.1"), '
            'ipi_addr=inet_addr("127.0.0.2")}}], msg_controllen=32, msg_flags=0}, 0)'
        ),
    ),
    (
        "sendmsg",
        *sent(control(0, 8, struct.pack("<iI", 1, 0x100007F))),
        (
            "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, "
            "msg_control=[{cmsg_len=24, cmsg_level=SOL_IP, cmsg_type=IP_PKTINFO}], msg_controllen=24, "
            "msg_flags=0}, 0)"
        ),
    ),
    (
        "sendmsg",
        *sent(control(0, 11, struct.pack("<IBBBBII", 111, 1, 3, 1, 0, 5, 6) + IN)),
        (
            "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, "
            "msg_control=[{cmsg_len=48, cmsg_level=SOL_IP, cmsg_type=IP_RECVERR, cmsg_data={ee_errno=111, "
            "ee_origin=1, ee_type=3, ee_code=1, ee_info=5, ee_data=6, offender={sa_family=AF_INET, "
            'sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}}}], msg_controllen=48, msg_flags=0}, 0)'
        ),
    ),
    (
        "sendmsg",
        *sent(control(0, 20, IN)),
        (
            "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, "
            "msg_control=[{cmsg_len=32, cmsg_level=SOL_IP, cmsg_type=IP_ORIGDSTADDR, "
            'cmsg_data={sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}}], '
            "msg_controllen=32, msg_flags=0}, 0)"
        ),
    ),
    (
        "sendmsg",
        *sent(control(0, 23, struct.pack("<I", 7))),
        (
            "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, "
            "msg_control=[{cmsg_len=20, cmsg_level=SOL_IP, cmsg_type=IP_CHECKSUM, cmsg_data=[7]}], "
            "msg_controllen=24, msg_flags=0}, 0)"
        ),
    ),
    (
        "sendmsg",
        *sent(control(0, 5, b"\1")),
        (
            "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, "
            "msg_control=[{cmsg_len=17, cmsg_level=SOL_IP, cmsg_type=0x5 /* IP_??? */}], msg_controllen=24, "
            "msg_flags=0}, 0)"
        ),
    ),
    (
        "sendmsg",
        *sent(control(41, 50, bytes(20))),
        (
            "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, "
            "msg_control=[{cmsg_len=36, cmsg_level=SOL_IPV6, cmsg_type=0x32}], msg_controllen=40, "
            "msg_flags=0}, 0)"
        ),
    ),
    (
        "sendmsg",
        *sent(control(1, 1, struct.pack("<i", 3)) + control(1, 2, struct.pack("<iii", 1, 2, 3))),
        (
            "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, "
            "msg_control=[{cmsg_len=20, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[3]}, "
            "{cmsg_len=28, cmsg_level=SOL_SOCKET, cmsg_type=SCM_CREDENTIALS, cmsg_data={pid=1, uid=2, "
            "gid=3}}], msg_controllen=56, msg_flags=0}, 0)"
        ),
    ),
    (
        "sendmsg",
        *sent(control(1, 1, struct.pack("<i", 3)) + b"\1\2\3"),
        (
            "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, "
            "msg_control=[{cmsg_len=20, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[3]}, ... /* "
            "0x30018 */], msg_controllen=27, msg_flags=0}, 0)"
        ),
    ),
    (
        "sendmsg",
        *sent(control(1, 1, struct.pack("<i", 3)) + bytes(16)),
        (
            "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, "
            "msg_control=[{cmsg_len=20, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[3]}, "
            "{cmsg_len=0, cmsg_level=SOL_IP, cmsg_type=0 /* IP_??? */}], msg_controllen=40, msg_flags=0}, 0)"
        ),
    ),
    (
        "sendmsg",
        *sent(control(1, 1, struct.pack("<i", 3), length=8)),
        (
            "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, "
            "msg_control=[{cmsg_len=8, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS}, ... /* 0x30010 */], "
            "msg_controllen=24, msg_flags=0}, 0)"
        ),
    ),
    (
        "sendmsg",
        *sent(control(1, 1, struct.pack("<i", 3), length=4000)),
        (
            "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, "
            "msg_control=[{cmsg_len=4000, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[3, 0]}], "
            "msg_controllen=24, msg_flags=0}, 0)"
        ),
    ),
    (
        "sendmsg",
        *sent(control(1, 1, struct.pack("<i", 3)), 20),
        (
            "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, "
            "msg_control=[{cmsg_len=20, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[3]}], "
            "msg_controllen=20, msg_flags=0}, 0)"
        ),
    ),
    (
        "sendmsg",
        *sent(control(1, 1, struct.pack("<i", 3)), 19),
        (
            "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, "
            "msg_control=[{cmsg_len=20, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS}], msg_controllen=19, "
            "msg_flags=0}, 0)"
        ),
    ),
    (
        "sendmsg",
        *sent(b"abc"),
        (
            "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, msg_control=0x30000, "
            "msg_controllen=3, msg_flags=0}, 0)"
        ),
    ),
    (
        "sendmmsg",
        (3, A, 2, 0),
        {A: message(0, 0, B, 1) + bytes(72), B: struct.pack("<QQ", C, 5), C: b"hello"},
        (
            'sendmmsg(3, [{msg_hdr={msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base="hello", iov_len=5}], '
            "msg_iovlen=1, msg_controllen=0, msg_flags=0}}, {msg_hdr={msg_name=NULL, msg_namelen=0, "
            "msg_iov=NULL, msg_iovlen=0, msg_controllen=0, msg_flags=0}}], 2, 0)"
        ),
    ),
    ("sendmmsg", (3, A, 0, 0), {A: bytes(64)}, "sendmmsg(3, [], 0, 0)"),
    ("sendmmsg", (3, NOWHERE, 3, 0), {}, "sendmmsg(3, 0xdead0000, 3, 0)"),
    ("sendmmsg", (3, 0, 3, 0), {}, "sendmmsg(3, NULL, 3, 0)"),
    (
        "sendmmsg",
        (3, A + 4096 - 64, 3, 0),
        {A + 4096 - 64: bytes(64)},
        (
            "sendmmsg(3, [{msg_hdr={msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, "
            "msg_controllen=0, msg_flags=0}}, ... /* 0x21000 */], 3, 0)"
        ),
    ),
    (
        "recvmmsg",
        (3, A, 2, 0x40, D),
        {A: bytes(128), D: struct.pack("<qq", 1, 2)},
        "recvmmsg(3, 0x20000, 2, MSG_DONTWAIT, {tv_sec=1, tv_nsec=2})",
    ),
]

LINES_32: list[Line] = [
    (
        "sendmsg",
        (3, A, 0),
        {
            A: struct.pack(HEADER_32, 0, 0, B, 1, D, 60, 0),
            B: struct.pack("<II", C, 5),
            C: b"hello",
            D: struct.pack("<IIIi", 16, 1, 1, 5)
            + struct.pack("<IIIIII", 24, 1, 2, 1, 2, 3)
            + struct.pack("<IIIii", 20, 1, 29, 1, 2),
        },
        (
            'sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base="hello", iov_len=5}], '
            "msg_iovlen=1, msg_control=[{cmsg_len=16, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, "
            "cmsg_data=[5]}, {cmsg_len=24, cmsg_level=SOL_SOCKET, cmsg_type=SCM_CREDENTIALS, "
            "cmsg_data={pid=1, uid=2, gid=3}}, {cmsg_len=20, cmsg_level=SOL_SOCKET, "
            "cmsg_type=SO_TIMESTAMP_OLD, cmsg_data={tv_sec=1, tv_usec=2}}], msg_controllen=60, "
            "msg_flags=0}, 0)"
        ),
    ),
    ("recvmsg", (3, A, 0), {A: struct.pack(HEADER_32, D, 20, B, 1, 0, 0, 0)}, "recvmsg(3, {msg_namelen=20}, 0)"),
    (
        "sendmmsg",
        (3, A, 2, 0),
        {A: (struct.pack(HEADER_32, 0, 0, B, 1, 0, 0, 0) + bytes(4)) * 2, B: struct.pack("<II", C, 5), C: b"hello"},
        (
            'sendmmsg(3, [{msg_hdr={msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base="hello", iov_len=5}], '
            "msg_iovlen=1, msg_controllen=0, msg_flags=0}}, {msg_hdr={msg_name=NULL, msg_namelen=0, "
            'msg_iov=[{iov_base="hello", iov_len=5}], msg_iovlen=1, msg_controllen=0, msg_flags=0}}], 2, 0)'
        ),
    ),
    (
        "recvmmsg",
        (3, A, 2, 0, D),
        {A: bytes(64), D: struct.pack("<ii", 1, 2)},
        "recvmmsg(3, 0x20000, 2, 0, {tv_sec=1, tv_nsec=2})",
    ),
    (
        "recvmmsg_time64",
        (3, A, 2, 0, D),
        {A: bytes(64), D: struct.pack("<qq", 1, 2)},
        "recvmmsg_time64(3, 0x20000, 2, 0, {tv_sec=1, tv_nsec=2})",
    ),
]


@pytest.mark.parametrize(("name", "registers", "memory", "line"), LINES)
def test_a_message_is_shown_with_what_it_points_to(name, registers, memory, line) -> None:
    assert shown(name, registers, memory) == line


@pytest.mark.parametrize(("name", "registers", "memory", "line"), LINES_32)
def test_a_message_of_a_32_bit_program_is_packed_closer(name, registers, memory, line) -> None:
    assert shown(name, registers, memory, Arch.I386) == line


def test_a_big_endian_machine_has_lengths_and_fds_in_its_own_order() -> None:
    memory = {
        A: struct.pack(HEADER.replace("<", ">"), 0, 0, 0, 0, B, 24, 0),
        B: struct.pack(">QII", 20, 1, 1) + struct.pack(">ixxxx", 5),
    }

    assert shown("sendmsg", (3, A, 0), memory, Arch.S390X) == (
        "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, msg_control=[{cmsg_len=20, "
        "cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[5]}], msg_controllen=24, msg_flags=0}, 0)"
    )


def test_fds_that_are_passed_on_are_shown_with_what_they_are_open_on() -> None:
    registers, memory = sent(control(1, 1, struct.pack("<i", 5)))

    line = shown("sendmsg", registers, memory, look=Look(fd_paths=True), links={"fd/3": b"socket:[9]", "fd/5": b"/x"})

    assert line.startswith("sendmsg(3<socket:[9]>, ")
    assert "cmsg_data=[5</x>]" in line


@pytest.mark.parametrize("length", [0, 1, 15, 1 << 63, (1 << 64) - 1])
def test_the_walk_over_control_messages_ends_whatever_their_lengths(length: int) -> None:
    """A length that would lead nowhere, or back, moves on by a header."""
    registers, memory = sent(control(1, 1, b"", length=length) * 2000)

    assert len(shown("sendmsg", registers, memory)) < 100_000
