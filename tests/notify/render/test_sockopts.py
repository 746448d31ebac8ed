"""Options of sockets: names by level, and values by option."""

from __future__ import annotations

import struct

import pytest

from monitor import Arch
from tests.notify.render.shown import NOWHERE, A, B, Line, shown

ADDRESS = struct.pack("<H", 2) + b"\0\x50\x7f\0\0\1"
GROUP = struct.pack("<Ixxxx", 1) + ADDRESS + bytes(120)


def given(level: int, option: int, data: bytes, size: int | None = None) -> tuple[tuple[int, ...], dict[int, bytes]]:
    """Return the registers and the memory of setsockopt(2)."""
    return (3, level, option, A, len(data) if size is None else size), {A: data}


ONE = struct.pack("<i", 1)

LINES: list[Line] = [
    ("setsockopt", *given(1, 2, ONE), "setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 4)"),
    ("setsockopt", *given(1, 2, struct.pack("<i", -1)), "setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [-1], 4)"),
    ("setsockopt", *given(1, 2, ONE, 3), "setsockopt(3, SOL_SOCKET, SO_REUSEADDR, 0x20000, 3)"),
    ("setsockopt", *given(1, 2, ONE, 0), "setsockopt(3, SOL_SOCKET, SO_REUSEADDR, 0x20000, 0)"),
    ("setsockopt", *given(1, 2, ONE, -1), "setsockopt(3, SOL_SOCKET, SO_REUSEADDR, 0x20000, -1)"),
    ("setsockopt", *given(1, 2, ONE, 0x7FFFFFFF), "setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 2147483647)"),
    ("setsockopt", *given(1, 9999, ONE), "setsockopt(3, SOL_SOCKET, 0x270f /* SO_??? */, [1], 4)"),
    ("setsockopt", *given(1, 7777, bytes(8)), r'setsockopt(3, SOL_SOCKET, 0x1e61 /* SO_??? */, "\0\0\0\0\0\0\0\0", 8)'),
    ("setsockopt", (3, 1, 2, NOWHERE, 4), {}, "setsockopt(3, SOL_SOCKET, SO_REUSEADDR, 0xdead0000, 4)"),
    ("setsockopt", (3, 1, 2, 0, 4), {}, "setsockopt(3, SOL_SOCKET, SO_REUSEADDR, NULL, 4)"),
    (
        "setsockopt",
        *given(1, 13, struct.pack("<ii", 1, -5)),
        "setsockopt(3, SOL_SOCKET, SO_LINGER, {l_onoff=1, l_linger=-5}, 8)",
    ),
    ("setsockopt", *given(1, 13, ONE), "setsockopt(3, SOL_SOCKET, SO_LINGER, 0x20000, 4)"),
    (
        "setsockopt",
        *given(1, 20, struct.pack("<qq", 1, 2)),
        r'setsockopt(3, SOL_SOCKET, SO_RCVTIMEO_OLD, "\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0", 16)',
    ),
    ("setsockopt", *given(1, 25, b"eth0\0"), r'setsockopt(3, SOL_SOCKET, SO_BINDTODEVICE, "eth0\0", 5)'),
    (
        "setsockopt",
        *given(1, 25, b"e" * 40),
        'setsockopt(3, SOL_SOCKET, SO_BINDTODEVICE, "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"..., 40)',
    ),
    (
        "setsockopt",
        *given(1, 26, struct.pack("<HxxxxxxQ", 2, B)),
        "setsockopt(3, SOL_SOCKET, SO_ATTACH_FILTER, {len=2, filter=0x30000}, 16)",
    ),
    (
        "setsockopt",
        *given(1, 26, struct.pack("<HxxxxxxQ", 2, B) + bytes(1)),
        "setsockopt(3, SOL_SOCKET, SO_ATTACH_FILTER, 0x20000, 17)",
    ),
    (
        "setsockopt",
        *given(1, 51, struct.pack("<HxxxxxxQ", 0, 0)),
        "setsockopt(3, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, {len=0, filter=NULL}, 16)",
    ),
    ("setsockopt", *given(1, 74, ONE), "setsockopt(3, SOL_SOCKET, SO_TXREHASH, [SOCK_TXREHASH_ENABLED], 4)"),
    (
        "setsockopt",
        *given(1, 74, struct.pack("<i", -1)),
        "setsockopt(3, SOL_SOCKET, SO_TXREHASH, [-1 /* SOCK_TXREHASH_??? */], 4)",
    ),
    ("setsockopt", *given(0, 2, ONE), "setsockopt(3, SOL_IP, IP_TTL, [1], 4)"),
    ("setsockopt", *given(0, 1, b"\x10"), r'setsockopt(3, SOL_IP, IP_TOS, "\20", 1)'),
    (
        "setsockopt",
        *given(0, 35, b"\1\2\3\4\5\6\7\x08"),
        (
            'setsockopt(3, SOL_IP, IP_ADD_MEMBERSHIP, {imr_multiaddr=inet_addr("1.2.3.4"), '
            'imr_interface=inet_addr("5.6.7.8")}, 8)'
        ),
    ),
    (
        "setsockopt",
        *given(0, 36, b"\1\2\3\4\5\6\7\x08\0\0\0\0"),
        (
            'setsockopt(3, SOL_IP, IP_DROP_MEMBERSHIP, {imr_multiaddr=inet_addr("1.2.3.4"), '
            'imr_interface=inet_addr("5.6.7.8")}, 12)'
        ),
    ),
    (
        "setsockopt",
        *given(0, 42, GROUP),
        (
            'setsockopt(3, SOL_IP, MCAST_JOIN_GROUP, {gr_interface=if_nametoindex("lo"), '
            'gr_group={sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}}, 136)'
        ),
    ),
    ("setsockopt", *given(0, 45, GROUP, 100), "setsockopt(3, SOL_IP, MCAST_LEAVE_GROUP, 0x20000, 100)"),
    ("setsockopt", *given(0, 64, ONE), "setsockopt(3, SOL_IP, IPT_SO_SET_REPLACE, [1], 4)"),
    (
        "setsockopt",
        *given(41, 20, bytes(15) + b"\1" + ONE),
        (
            'setsockopt(3, SOL_IPV6, IPV6_ADD_MEMBERSHIP, {inet_pton(AF_INET6, "::1", &ipv6mr_multiaddr), '
            'ipv6mr_interface=if_nametoindex("lo")}, 20)'
        ),
    ),
    (
        "setsockopt",
        *given(41, 21, bytes(15) + b"\1" + struct.pack("<i", 7777)),
        (
            'setsockopt(3, SOL_IPV6, IPV6_DROP_MEMBERSHIP, {inet_pton(AF_INET6, "::1", &ipv6mr_multiaddr), '
            "ipv6mr_interface=7777}, 20)"
        ),
    ),
    ("setsockopt", *given(41, 27, bytes(15) + b"\1"), "setsockopt(3, SOL_IPV6, IPV6_JOIN_ANYCAST, 0x20000, 16)"),
    ("setsockopt", *given(41, 26, ONE), "setsockopt(3, SOL_IPV6, IPV6_V6ONLY, [1], 4)"),
    ("setsockopt", *given(41, 64, ONE), "setsockopt(3, SOL_IPV6, IP6T_SO_SET_REPLACE, [1], 4)"),
    ("setsockopt", *given(6, 1, ONE), "setsockopt(3, SOL_TCP, TCP_NODELAY, [1], 4)"),
    ("setsockopt", *given(6, 13, b"cubic"), 'setsockopt(3, SOL_TCP, TCP_CONGESTION, "cubic", 5)'),
    (
        "setsockopt",
        *given(6, 13, b"c" * 40),
        'setsockopt(3, SOL_TCP, TCP_CONGESTION, "cccccccccccccccccccccccccccccccc"..., 40)',
    ),
    ("setsockopt", *given(17, 103, ONE), "setsockopt(3, SOL_UDP, UDP_SEGMENT, [1], 4)"),
    ("setsockopt", *given(132, 0, ONE), "setsockopt(3, SOL_SCTP, SCTP_RTOINFO, [1], 4)"),
    (
        "setsockopt",
        *given(255, 1, struct.pack("<I", 0x108)),
        "setsockopt(3, SOL_RAW, ICMP_FILTER, [ICMP_DEST_UNREACH ICMP_ECHO], 4)",
    ),
    (
        "setsockopt",
        *given(255, 1, struct.pack("<I", 0xFFFFFFFE)),
        "setsockopt(3, SOL_RAW, ICMP_FILTER, ~[ICMP_ECHOREPLY], 4)",
    ),
    ("setsockopt", *given(255, 1, struct.pack("<I", 0)), "setsockopt(3, SOL_RAW, ICMP_FILTER, [], 4)"),
    (
        "setsockopt",
        *given(263, 1, struct.pack("<iHH8s", 1, 0, 6, b"\1\2\3\4\5\6")),
        (
            'setsockopt(3, SOL_PACKET, PACKET_ADD_MEMBERSHIP, {mr_ifindex=if_nametoindex("lo"), '
            "mr_type=PACKET_MR_MULTICAST, mr_alen=6, mr_address=01:02:03:04:05:06}, 16)"
        ),
    ),
    (
        "setsockopt",
        *given(263, 2, struct.pack("<iHH8s", 7777, 9, 60, b"abcdefgh")),
        (
            "setsockopt(3, SOL_PACKET, PACKET_DROP_MEMBERSHIP, {mr_ifindex=7777, mr_type=0x9 /* "
            "PACKET_MR_??? */, mr_alen=60, mr_address=61:62:63:64:65:66:67:68}, 16)"
        ),
    ),
    ("setsockopt", *given(263, 1, bytes(8)), "setsockopt(3, SOL_PACKET, PACKET_ADD_MEMBERSHIP, 0x20000, 8)"),
    (
        "setsockopt",
        *given(263, 5, struct.pack("<IIII", 4096, 2, 2048, 4)),
        (
            "setsockopt(3, SOL_PACKET, PACKET_RX_RING, {tp_block_size=4096, tp_block_nr=2, "
            "tp_frame_size=2048, tp_frame_nr=4}, 16)"
        ),
    ),
    ("setsockopt", *given(270, 1, struct.pack("<i", 5)), "setsockopt(3, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, [5], 4)"),
    ("setsockopt", *given(279, 1, b"key"), 'setsockopt(3, SOL_ALG, ALG_SET_KEY, "key", 3)'),
    ("setsockopt", *given(282, 1, bytes(8)), r'setsockopt(3, SOL_TLS, TLS_TX, "\0\0\0\0\0\0\0\0", 8)'),
    ("setsockopt", *given(99, 1, ONE), "setsockopt(3, 0x63 /* SOL_?? */, 1, [1], 4)"),
    ("getsockopt", (3, 1, 4, A, B), {B: struct.pack("<i", 4)}, "getsockopt(3, SOL_SOCKET, SO_ERROR, 0x20000, [4])"),
    (
        "getsockopt",
        (3, 0, 64, A, B),
        {B: struct.pack("<i", 84)},
        "getsockopt(3, SOL_IP, IPT_SO_GET_INFO, 0x20000, [84])",
    ),
    (
        "getsockopt",
        (3, 40, 1, A, B),
        {B: struct.pack("<i", 8)},
        "getsockopt(3, AF_VSOCK, SO_VM_SOCKETS_BUFFER_MIN_SIZE, 0x20000, [8])",
    ),
    ("getsockopt", (3, 99, 9, A, NOWHERE), {}, "getsockopt(3, 0x63 /* SOL_?? */, 9, 0x20000, 0xdead0000)"),
    ("getsockopt", (3, 257, 1, A, 0), {}, "getsockopt(3, SOL_AX25, AX25_WINDOW, 0x20000, NULL)"),
]

LINES_32: list[Line] = [
    (
        "setsockopt",
        *given(1, 13, struct.pack("<ii", 1, 5)),
        "setsockopt(3, SOL_SOCKET, SO_LINGER, {l_onoff=1, l_linger=5}, 8)",
    ),
    (
        "setsockopt",
        *given(1, 26, struct.pack("<HxxI", 2, B)),
        "setsockopt(3, SOL_SOCKET, SO_ATTACH_FILTER, {len=2, filter=0x30000}, 8)",
    ),
    (
        "setsockopt",
        *given(0, 42, struct.pack("<I", 1) + ADDRESS + bytes(120)),
        (
            'setsockopt(3, SOL_IP, MCAST_JOIN_GROUP, {gr_interface=if_nametoindex("lo"), '
            'gr_group={sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}}, 132)'
        ),
    ),
]


@pytest.mark.parametrize(("name", "registers", "memory", "line"), LINES)
def test_an_option_is_shown_with_the_value_it_is_set_to(name, registers, memory, line) -> None:
    assert shown(name, registers, memory) == line


@pytest.mark.parametrize(("name", "registers", "memory", "line"), LINES_32)
def test_structs_with_pointers_are_shorter_for_a_32_bit_program(name, registers, memory, line) -> None:
    assert shown(name, registers, memory, Arch.I386) == line


def test_a_value_is_in_the_order_of_the_machine() -> None:
    memory = {A: struct.pack(">ii", 1, 5)}

    assert shown("setsockopt", (3, 1, 13, A, 8), memory, Arch.S390X) == (
        "setsockopt(3, SOL_SOCKET, SO_LINGER, {l_onoff=1, l_linger=5}, 8)"
    )
