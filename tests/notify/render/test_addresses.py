"""Addresses of sockets: each family has its own fields, and what is too short for them is shown as bytes."""

from __future__ import annotations

import struct

import pytest

from monitor import Arch
from tests.notify.render.shown import NOWHERE, A, B, Line, shown

IN = struct.pack("<H", 2) + b"\0\x50\x7f\0\0\1" + bytes(8)
IN6 = struct.pack("<H", 10) + b"\x1f\x90" + struct.pack(">I", 7) + bytes(15) + b"\1" + struct.pack("<I", 1)


def family(number: int, data: bytes) -> bytes:
    return struct.pack("<H", number) + data


def packet(protocol: int, index: int, hardware: int, kind: int, length: int, data: bytes) -> bytes:
    return struct.pack("<HHiHBB8s", 17, protocol, index, hardware, kind, length, data)


def l2cap(port: int, channel: int, kind: int) -> bytes:
    return struct.pack("<HH6sHBx", 31, port, b"\1\2\3\4\5\6", channel, kind)


def at(data: bytes, length: int | None = None) -> tuple[tuple[int, int, int], dict[int, bytes]]:
    """Return the registers and the memory of a call with that address."""
    return (3, A, len(data) if length is None else length), {A: data}


LINES: list[Line] = [
    ("bind", *at(family(1, b"/tmp/sock\0")), 'bind(3, {sa_family=AF_UNIX, sun_path="/tmp/sock"}, 12)'),
    ("connect", *at(family(1, b"/tmp/sock")), 'connect(3, {sa_family=AF_UNIX, sun_path="/tmp/sock"}, 11)'),
    ("bind", *at(family(1, b"")), "bind(3, {sa_family=AF_UNIX}, 2)"),
    ("bind", *at(family(1, b"\0abs\0x")), r'bind(3, {sa_family=AF_UNIX, sun_path=@"abs\0x"}, 8)'),
    ("bind", *at(family(1, b"\0")), 'bind(3, {sa_family=AF_UNIX, sun_path=@""}, 3)'),
    ("bind", *at(family(1, b"\0\0\0")), r'bind(3, {sa_family=AF_UNIX, sun_path=@"\0\0"}, 5)'),
    ("bind", *at(family(1, b'\n\xff"x\0')), r'bind(3, {sa_family=AF_UNIX, sun_path="\n\377\"x"}, 7)'),
    (
        "bind",
        *at(family(1, b"a" * 120)),
        (
            'bind(3, {sa_family=AF_UNIX, sun_path="aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'
            'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}, 122)'
        ),
    ),
    (
        "bind",
        *at(family(1, b"\0" + b"a" * 107)),
        (
            'bind(3, {sa_family=AF_UNIX, sun_path=@"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'
            'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}, 110)'
        ),
    ),
    ("connect", *at(IN), 'connect(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16)'),
    ("bind", *at(IN[:8]), r'bind(3, {sa_family=AF_INET, sa_data="\0P\177\0\0\1"}, 8)'),
    (
        "bind",
        *at(IN + bytes(80)),
        'bind(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 96)',
    ),
    (
        "connect",
        *at(IN6),
        (
            "connect(3, {sa_family=AF_INET6, sin6_port=htons(8080), sin6_flowinfo=htonl(7), "
            'inet_pton(AF_INET6, "::1", &sin6_addr), sin6_scope_id=1}, 28)'
        ),
    ),
    (
        "bind",
        *at(IN6[:24]),
        (
            "bind(3, {sa_family=AF_INET6, sin6_port=htons(8080), sin6_flowinfo=htonl(7), "
            'inet_pton(AF_INET6, "::1", &sin6_addr)}, 24)'
        ),
    ),
    (
        "bind",
        *at(IN6[:23]),
        r'bind(3, {sa_family=AF_INET6, sa_data="\37\220\0\0\0\7\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"}, 23)',
    ),
    (
        "bind",
        *at(IN6[:8] + b"\xfe\x80" + bytes(13) + b"\1" + struct.pack("<I", 1)),
        (
            "bind(3, {sa_family=AF_INET6, sin6_port=htons(8080), sin6_flowinfo=htonl(7), "
            'inet_pton(AF_INET6, "fe80::1", &sin6_addr), sin6_scope_id=if_nametoindex("lo")}, 28)'
        ),
    ),
    (
        "bind",
        *at(IN6[:8] + b"\xfe\x80" + bytes(13) + b"\1" + struct.pack("<I", 7777)),
        (
            "bind(3, {sa_family=AF_INET6, sin6_port=htons(8080), sin6_flowinfo=htonl(7), "
            'inet_pton(AF_INET6, "fe80::1", &sin6_addr), sin6_scope_id=7777}, 28)'
        ),
    ),
    (
        "bind",
        *at(IN6[:8] + b"\xff\x02" + bytes(13) + b"\1" + struct.pack("<I", 1)),
        (
            "bind(3, {sa_family=AF_INET6, sin6_port=htons(8080), sin6_flowinfo=htonl(7), "
            'inet_pton(AF_INET6, "ff02::1", &sin6_addr), sin6_scope_id=if_nametoindex("lo")}, 28)'
        ),
    ),
    (
        "bind",
        *at(IN6[:8] + bytes(10) + b"\xff\xff\1\2\3\4" + bytes(4)),
        (
            "bind(3, {sa_family=AF_INET6, sin6_port=htons(8080), sin6_flowinfo=htonl(7), "
            'inet_pton(AF_INET6, "::ffff:1.2.3.4", &sin6_addr), sin6_scope_id=0}, 28)'
        ),
    ),
    (
        "bind",
        *at(family(16, struct.pack("<HII", 0, 1234, 0x11))),
        "bind(3, {sa_family=AF_NETLINK, nl_pid=1234, nl_groups=0x000011}, 12)",
    ),
    (
        "bind",
        *at(family(16, struct.pack("<HiI", 1, -1, 0))),
        "bind(3, {sa_family=AF_NETLINK, nl_pad=0x1, nl_pid=-1, nl_groups=00000000}, 12)",
    ),
    ("bind", *at(family(16, bytes(4))), r'bind(3, {sa_family=AF_NETLINK, sa_data="\0\0\0\0"}, 6)'),
    (
        "bind",
        *at(packet(8, 1, 1, 0, 6, b"\1\2\3\4\5\6")),
        (
            'bind(3, {sa_family=AF_PACKET, sll_protocol=htons(ETH_P_IP), sll_ifindex=if_nametoindex("lo"), '
            "sll_hatype=ARPHRD_ETHER, sll_pkttype=PACKET_HOST, sll_halen=6, sll_addr=[0x1, 0x2, 0x3, 0x4, "
            "0x5, 0x6]}, 20)"
        ),
    ),
    (
        "bind",
        *at(packet(0x300, 0, 772, 4, 0, b"")),
        (
            "bind(3, {sa_family=AF_PACKET, sll_protocol=htons(ETH_P_ALL), sll_ifindex=0, "
            "sll_hatype=ARPHRD_LOOPBACK, sll_pkttype=PACKET_OUTGOING, sll_halen=0}, 20)"
        ),
    ),
    (
        "bind",
        *at(packet(8, 7777, 9999, 9, 250, b"abcdefgh")),
        (
            "bind(3, {sa_family=AF_PACKET, sll_protocol=htons(ETH_P_IP), sll_ifindex=7777, "
            "sll_hatype=0x270f /* ARPHRD_??? */, sll_pkttype=0x9 /* PACKET_??? */, sll_halen=250, "
            "sll_addr=[0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, ...]}, 20)"
        ),
    ),
    (
        "bind",
        *at(packet(8, 1, 1, 0, 6, b"")[:14]),
        r'bind(3, {sa_family=AF_PACKET, sa_data="\10\0\1\0\0\0\1\0\0\6\0\0"}, 14)',
    ),
    (
        "bind",
        *at(family(40, struct.pack("<HIIB3x", 0, 1234, 2, 0))),
        "bind(3, {sa_family=AF_VSOCK, svm_cid=VMADDR_CID_HOST, svm_port=0x4d2, svm_flags=0}, 16)",
    ),
    (
        "bind",
        *at(family(40, struct.pack("<HIIB3s", 7, 0xFFFFFFFF, 0xFFFFFFFF, 1, b"abc"))),
        (
            "bind(3, {sa_family=AF_VSOCK, svm_reserved1=0x7, svm_cid=VMADDR_CID_ANY, "
            r'svm_port=VMADDR_PORT_ANY, svm_flags=VMADDR_FLAG_TO_HOST, svm_zero="\x61\x62\x63"}, 16)'
        ),
    ),
    (
        "bind",
        *at(family(40, struct.pack("<HIIB3x", 0, 5, 3, 2))),
        ("bind(3, {sa_family=AF_VSOCK, svm_cid=0x3, svm_port=0x5, svm_flags=0x2 /* VMADDR_FLAG_??? */}, 16)"),
    ),
    (
        "bind",
        *at(family(38, struct.pack("<14sII64s", b"hash", 0, 0, b"sha256"))),
        'bind(3, {sa_family=AF_ALG, salg_type="hash", salg_feat=0, salg_mask=0, salg_name="sha256"}, 88)',
    ),
    (
        "bind",
        *at(family(38, struct.pack("<14sII6s", b"A" * 14, 0x1001, 2, b"B" * 6))),
        (
            'bind(3, {sa_family=AF_ALG, salg_type="AAAAAAAAAAAAA"..., salg_feat=0x1001 /* '
            'CRYPTO_ALG_KERN_DRIVER_ONLY|0x1 */, salg_mask=0x2 /* CRYPTO_ALG_??? */, salg_name="BBBBB"...}, '
            "30)"
        ),
    ),
    (
        "bind",
        *at(family(38, struct.pack("<14sII", b"A", 1, 2))),
        r'bind(3, {sa_family=AF_ALG, sa_data="A\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\2\0\0\0"}, 24)',
    ),
    ("bind", *at(family(31, struct.pack("<H", 3))), "bind(3, {sa_family=AF_BLUETOOTH, hci_dev=htobs(3)}, 4)"),
    (
        "bind",
        *at(family(31, struct.pack("<HH", 3, 1))),
        "bind(3, {sa_family=AF_BLUETOOTH, hci_dev=htobs(3), hci_channel=HCI_CHANNEL_USER}, 6)",
    ),
    ("bind", *at(family(31, b"\1\2\3\4\5\6")), "bind(3, {sa_family=AF_BLUETOOTH, sco_bdaddr=01:02:03:04:05:06}, 8)"),
    (
        "bind",
        *at(family(31, b"\1\2\3\4\5\6\7\0")),
        "bind(3, {sa_family=AF_BLUETOOTH, rc_bdaddr=01:02:03:04:05:06, rc_channel=7}, 10)",
    ),
    (
        "bind",
        *at(l2cap(0x1001, 4, 1)),
        (
            "bind(3, {sa_family=AF_BLUETOOTH, l2_psm=htobs(L2CAP_PSM_DYN_START), "
            "l2_bdaddr=01:02:03:04:05:06, l2_cid=htobs(L2CAP_CID_ATT), l2_bdaddr_type=BDADDR_LE_PUBLIC}, 14)"
        ),
    ),
    (
        "bind",
        *at(l2cap(0x1003, 0x40, 0)),
        (
            "bind(3, {sa_family=AF_BLUETOOTH, l2_psm=htobs(L2CAP_PSM_DYN_START+2), "
            "l2_bdaddr=01:02:03:04:05:06, l2_cid=htobs(L2CAP_CID_DYN_START), l2_bdaddr_type=BDADDR_BREDR}, "
            "14)"
        ),
    ),
    (
        "bind",
        *at(l2cap(0x81, 0x41, 9)[:12]),
        (
            "bind(3, {sa_family=AF_BLUETOOTH, l2_psm=htobs(L2CAP_PSM_LE_DYN_START+1), "
            "l2_bdaddr=01:02:03:04:05:06, l2_cid=htobs(L2CAP_CID_DYN_START+1)}, 12)"
        ),
    ),
    ("bind", *at(family(31, bytes(9))), r'bind(3, {sa_family=AF_BLUETOOTH, sa_data="\0\0\0\0\0\0\0\0\0"}, 11)'),
    (
        "bind",
        *at(family(4, b"\0\1\0\0\0\2\1\2\3\4\5\6\7\0")),
        (
            "bind(3, {sa_family=AF_IPX, sipx_port=htons(1), sipx_network=htonl(0x2), sipx_node=[0x1, 0x2, "
            "0x3, 0x4, 0x5, 0x6], sipx_type=0x7}, 16)"
        ),
    ),
    (
        "bind",
        *at(family(4, bytes(13) + b"\1")),
        (
            "bind(3, {sa_family=AF_IPX, sipx_port=htons(0), sipx_network=htonl(0), sipx_node=[00, 00, 00, "
            "00, 00, 00], sipx_type=00, sipx_zero=0x1}, 16)"
        ),
    ),
    (
        "bind",
        *at(family(9, b"123456".ljust(16, b"\0"))),
        'bind(3, {sa_family=AF_X25, sx25_addr={x25_addr="123456"}}, 18)',
    ),
    ("bind", *at(family(9, b"1" * 16)), 'bind(3, {sa_family=AF_X25, sx25_addr={x25_addr="111111111111111"...}}, 18)'),
    (
        "bind",
        *at(family(39, struct.pack("<HIII", 0, 1, 2, 3))),
        (
            'bind(3, {sa_family=AF_NFC, dev_idx=if_nametoindex("lo"), target_idx=0x2, '
            "nfc_protocol=NFC_PROTO_FELICA}, 16)"
        ),
    ),
    (
        "bind",
        *at(family(42, struct.pack("<HII", 0, 1, 2))),
        "bind(3, {sa_family=AF_QIPCRTR, sq_node=0x1, sq_port=0x2}, 12)",
    ),
    (
        "bind",
        *at(family(44, struct.pack("<HIII", 0, 1, 2, 3))),
        (
            'bind(3, {sa_family=AF_XDP, sxdp_flags=0, sxdp_ifindex=if_nametoindex("lo"), sxdp_queue_id=2, '
            "sxdp_shared_umem_fd=0x3}, 16)"
        ),
    ),
    (
        "bind",
        *at(family(44, struct.pack("<HIII", 1, 7777, 2, 3))),
        (
            "bind(3, {sa_family=AF_XDP, sxdp_flags=XDP_SHARED_UMEM, sxdp_ifindex=7777, sxdp_queue_id=2, "
            "sxdp_shared_umem_fd=3}, 16)"
        ),
    ),
    (
        "bind",
        *at(family(45, struct.pack("<HIBBBB", 1, 0x30201, 4, 5, 6, 7))),
        (
            "bind(3, {sa_family=AF_MCTP, __smctp_pad0=0x1, smctp_network=0x30201, smctp_addr={s_addr=0x4}, "
            "smctp_type=0x5, smctp_tag=0x6, __smctp_pad1=0x7}, 12)"
        ),
    ),
    ("bind", *at(family(29, bytes(14))), r'bind(3, {sa_family=AF_CAN, sa_data="\0\0\0\0\0\0\0\0\0\0\0\0\0\0"}, 16)'),
    ("bind", *at(family(0, b"abc")), 'bind(3, {sa_family=AF_UNSPEC, sa_data="abc"}, 5)'),
    ("bind", *at(family(0, b"")), "bind(3, {sa_family=AF_UNSPEC}, 2)"),
    ("bind", *at(family(99, b"hello")), 'bind(3, {sa_family=0x63 /* AF_??? */, sa_data="hello"}, 7)'),
    ("bind", *at(b"\1"), "bind(3, 0x20000, 1)"),
    ("bind", *at(IN, 0), "bind(3, 0x20000, 0)"),
    ("bind", *at(IN, -1), "bind(3, 0x20000, -1)"),
    (
        "bind",
        *at(IN.ljust(200, b"\0"), 0x7FFFFFFF),
        'bind(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 2147483647)',
    ),
    ("bind", (3, NOWHERE, 16), {}, "bind(3, 0xdead0000, 16)"),
    ("bind", (3, 0, 16), {}, "bind(3, NULL, 16)"),
    ("accept", (3, A, B), {B: struct.pack("<i", 16)}, "accept(3, 0x20000, [16])"),
    (
        "accept4",
        (3, A, B, 0o2004000),
        {B: struct.pack("<i", -16)},
        "accept4(3, 0x20000, [-16], SOCK_CLOEXEC|SOCK_NONBLOCK)",
    ),
    ("accept", (3, 0, B), {B: struct.pack("<i", 16)}, "accept(3, NULL, 0x30000)"),
    ("accept", (3, A, NOWHERE), {}, "accept(3, 0x20000, 0xdead0000)"),
    ("getsockname", (3, A, B), {B: struct.pack("<i", 28)}, "getsockname(3, 0x20000, [28])"),
    ("getpeername", (3, A, B), {B: struct.pack("<i", 28)}, "getpeername(3, 0x20000, [28])"),
    (
        "recvfrom",
        (3, 0x40000, 5, 0x40, A, B),
        {B: struct.pack("<i", 128)},
        "recvfrom(3, 0x40000, 5, MSG_DONTWAIT, 0x20000, [128])",
    ),
    (
        "sendto",
        (3, B, 5, 0x4000, A, 16),
        {A: IN, B: b"hello"},
        (
            'sendto(3, "hello", 5, MSG_NOSIGNAL, {sa_family=AF_INET, sin_port=htons(80), '
            'sin_addr=inet_addr("127.0.0.1")}, 16)'
        ),
    ),
]

LINES_32: list[Line] = [
    ("connect", *at(IN), 'connect(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16)'),
    (
        "sendto",
        (3, B, 5, 0, A, 28),
        {A: IN6, B: b"hello"},
        (
            'sendto(3, "hello", 5, 0, {sa_family=AF_INET6, sin6_port=htons(8080), sin6_flowinfo=htonl(7), '
            'inet_pton(AF_INET6, "::1", &sin6_addr), sin6_scope_id=1}, 28)'
        ),
    ),
]


@pytest.mark.parametrize(("name", "registers", "memory", "line"), LINES)
def test_an_address_is_shown_as_its_family_has_it(name, registers, memory, line) -> None:
    assert shown(name, registers, memory) == line


@pytest.mark.parametrize(("name", "registers", "memory", "line"), LINES_32)
def test_an_address_is_the_same_for_a_32_bit_program(name, registers, memory, line) -> None:
    assert shown(name, registers, memory, Arch.I386) == line


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (struct.pack(">H", 2) + IN[2:], '{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}'),
        (struct.pack(">HHII", 16, 0, 5, 1), "{sa_family=AF_NETLINK, nl_pid=5, nl_groups=0x000001}"),
        (
            struct.pack(">HHiHBB8s", 17, 0x800, 0, 1, 0, 0, b""),
            (
                "{sa_family=AF_PACKET, sll_protocol=htons(ETH_P_IP), sll_ifindex=0, sll_hatype=ARPHRD_ETHER, "
                "sll_pkttype=PACKET_HOST, sll_halen=0}"
            ),
        ),
    ],
)
def test_a_big_endian_machine_has_its_own_order_and_that_of_the_network(data: bytes, line: str) -> None:
    assert shown("bind", (3, A, len(data)), {A: data}, Arch.S390X) == f"bind(3, {line}, {len(data)})"
