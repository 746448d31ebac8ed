"""Sockets: the protocol has the names of its family, and socketcall(2) is shown as what is behind it."""

from __future__ import annotations

import struct

import pytest

from monitor import Arch
from tests.notify.render.shown import NOWHERE, A, B, C, Line, shown

IN = struct.pack("<H", 2) + b"\0\x50\x7f\0\0\1" + bytes(8)


def made(number: int, *arguments: int) -> tuple[tuple[int, int], dict[int, bytes]]:
    """Return the registers and the memory of socketcall(2)."""
    return (number, A), {A: struct.pack(f"<{len(arguments)}I", *(word % (1 << 32) for word in arguments))}


LINES: list[Line] = [
    ("socket", (2, 1, 6), {}, "socket(AF_INET, SOCK_STREAM, IPPROTO_TCP)"),
    ("socket", (2, 0o2004001, 0), {}, "socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC|SOCK_NONBLOCK, IPPROTO_IP)"),
    ("socket", (10, 3, 58), {}, "socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6)"),
    ("socket", (2, 1, 3), {}, "socket(AF_INET, SOCK_STREAM, 0x3 /* IPPROTO_??? */)"),
    ("socket", (1, 5 | 0o2000000, 0), {}, "socket(AF_UNIX, SOCK_SEQPACKET|SOCK_CLOEXEC, 0)"),
    ("socket", (16, 3, 0), {}, "socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE)"),
    ("socket", (16, 3, 15), {}, "socket(AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT)"),
    ("socket", (16, 3, 17), {}, "socket(AF_NETLINK, SOCK_RAW, 0x11 /* NETLINK_??? */)"),
    ("socket", (17, 3, 0x300), {}, "socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL))"),
    ("socket", (17, 3, 0x3412), {}, "socket(AF_PACKET, SOCK_RAW, htons(0x1234 /* ETH_P_??? */))"),
    ("socket", (29, 3, 1), {}, "socket(AF_CAN, SOCK_RAW, CAN_RAW)"),
    ("socket", (31, 1, 3), {}, "socket(AF_BLUETOOTH, SOCK_STREAM, BTPROTO_RFCOMM)"),
    ("socket", (33, 2, 2), {}, "socket(AF_RXRPC, SOCK_DGRAM, AF_INET)"),
    ("socket", (34, 3, 0), {}, "socket(AF_ISDN, SOCK_RAW, ISDN_P_BASE)"),
    ("socket", (35, 2, 1), {}, "socket(AF_PHONET, SOCK_DGRAM, PN_PROTO_PHONET)"),
    ("socket", (37, 5, 1), {}, "socket(AF_CAIF, SOCK_SEQPACKET, CAIFPROTO_DATAGRAM)"),
    ("socket", (39, 3, 1), {}, "socket(AF_NFC, SOCK_RAW, NFC_SOCKPROTO_LLCP)"),
    ("socket", (41, 5, 0), {}, "socket(AF_KCM, SOCK_SEQPACKET, KCMPROTO_CONNECTED)"),
    ("socket", (43, 1, 1), {}, "socket(AF_SMC, SOCK_STREAM, SMCPROTO_SMC6)"),
    ("socket", (40, 1, -1), {}, "socket(AF_VSOCK, SOCK_STREAM, 18446744073709551615)"),
    ("socket", (99, 0x10, 5), {}, "socket(0x63 /* AF_??? */, 0x10 /* SOCK_??? */, 5)"),
    (
        "socket",
        (-1, -1, -1),
        {},
        "socket(0xffffffff /* AF_??? */, SOCK_CLOEXEC|SOCK_NONBLOCK|0xfff7f7ff, 18446744073709551615)",
    ),
    ("socketpair", (1, 2, 0, A), {}, "socketpair(AF_UNIX, SOCK_DGRAM, 0, 0x20000)"),
    ("socketpair", (1, 1, 3, 0), {}, "socketpair(AF_UNIX, SOCK_STREAM, 3, NULL)"),
    ("listen", (3, -1), {}, "listen(3, -1)"),
    ("shutdown", (3, 2), {}, "shutdown(3, SHUT_RDWR)"),
    ("shutdown", (3, 9), {}, "shutdown(3, 0x9 /* SHUT_??? */)"),
]

LINES_32: list[Line] = [
    ("socketcall", *made(1, 2, 1, 6), "socket(AF_INET, SOCK_STREAM, IPPROTO_TCP)"),
    ("socketcall", *made(2, 3, 0, 16), "bind(3, NULL, 16)"),
    (
        "socketcall",
        (3, A),
        {A: struct.pack("<III", 3, B, 16), B: IN},
        'connect(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16)',
    ),
    ("socketcall", *made(4, 3, 128), "listen(3, 128)"),
    ("socketcall", (5, A), {A: struct.pack("<III", 3, B, C), C: struct.pack("<i", 16)}, "accept(3, 0x30000, [16])"),
    ("socketcall", *made(6, 3, 0, 0), "getsockname(3, NULL, NULL)"),
    ("socketcall", *made(7, 3, 0, 0), "getpeername(3, NULL, NULL)"),
    ("socketcall", *made(8, 1, 1, 0, 0), "socketpair(AF_UNIX, SOCK_STREAM, 0, NULL)"),
    ("socketcall", (9, A), {A: struct.pack("<IIII", 3, B, 5, 0x40), B: b"hello"}, 'send(3, "hello", 5, MSG_DONTWAIT)'),
    ("socketcall", *made(10, 3, 0, 5, 2), "recv(3, NULL, 5, MSG_PEEK)"),
    (
        "socketcall",
        (11, A),
        {A: struct.pack("<IIIIII", 3, B, 5, 0, C, 16), B: b"hello", C: IN},
        ('sendto(3, "hello", 5, 0, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16)'),
    ),
    ("socketcall", *made(12, 3, 0, 5, 0, 0, 0), "recvfrom(3, NULL, 5, 0, NULL, NULL)"),
    ("socketcall", *made(13, 3, 1), "shutdown(3, SHUT_WR)"),
    (
        "socketcall",
        (14, A),
        {A: struct.pack("<IIIII", 3, 1, 2, B, 4), B: struct.pack("<i", 1)},
        "setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 4)",
    ),
    ("socketcall", *made(15, 3, 1, 2, 0, 0), "getsockopt(3, SOL_SOCKET, SO_REUSEADDR, NULL, NULL)"),
    ("socketcall", *made(16, 3, 0, 0), "sendmsg(3, NULL, 0)"),
    ("socketcall", *made(17, 3, 0, 0), "recvmsg(3, NULL, 0)"),
    ("socketcall", *made(18, 3, 0, 0, 0o2000000), "accept4(3, NULL, NULL, SOCK_CLOEXEC)"),
    ("socketcall", *made(19, 3, 0, 1, 0, 0), "recvmmsg(3, NULL, 1, 0, NULL)"),
    ("socketcall", *made(20, 3, 0, 1, 0), "sendmmsg(3, NULL, 1, 0)"),
    ("socketcall", (3, NOWHERE), {}, "socketcall(SYS_CONNECT, 0xdead0000)"),
    ("socketcall", (3, 0), {}, "socketcall(SYS_CONNECT, NULL)"),
    ("socketcall", (99, A), {A: bytes(24)}, "socketcall(99, 0x20000)"),
]


@pytest.mark.parametrize(("name", "registers", "memory", "line"), LINES)
def test_a_protocol_is_named_by_its_family(name, registers, memory, line) -> None:
    assert shown(name, registers, memory) == line


@pytest.mark.parametrize(("name", "registers", "memory", "line"), LINES_32)
def test_socketcall_is_the_call_that_its_arguments_make(name, registers, memory, line) -> None:
    assert shown(name, registers, memory, Arch.I386) == line


def test_socketcall_of_a_64_bit_machine_has_its_arguments_in_words_of_64_bits() -> None:
    memory = {A: struct.pack(">QQQ", 2, 1, 6)}

    assert shown("socketcall", (1, A), memory, Arch.S390X) == "socket(AF_INET, SOCK_STREAM, IPPROTO_TCP)"


def test_the_protocol_of_a_packet_socket_is_in_the_order_of_the_network() -> None:
    assert shown("socket", (17, 3, 0x0800 << 16), {}, Arch.S390X) == "socket(AF_PACKET, SOCK_RAW, htons(ETH_P_IP))"
