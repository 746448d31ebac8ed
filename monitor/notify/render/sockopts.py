"""
Options of sockets: their names by level, and the values that setsockopt(2) is given.

What it is not: what getsockopt(2) returns, which is not there before the call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from errno import EFAULT
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

from monitor.abi.constants import names, values
from monitor.abi.words import word
from monitor.errors import TargetMemoryError
from monitor.notify.render.addresses import hardware, in_bytes, interface, internet, internet6
from monitor.notify.render.kinds import Printer
from monitor.notify.render.layout import Layout
from monitor.notify.render.scene import Scene
from monitor.notify.render.table import Selector, printers, selectors
from monitor.notify.render.text import address, structure

_GROUPS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "SOL_ALG": "alg_option",
        "SOL_AX25": "ax25_option",
        "SOL_BLUETOOTH": "bluetooth_option",
        "SOL_CAIF": "caif_option",
        "SOL_DCCP": "dccp_option",
        "SOL_IP": "ip_option",
        "SOL_IPV6": "ipv6_option",
        "SOL_IPX": "ipx_option",
        "SOL_IRDA": "irda_option",
        "SOL_IUCV": "iucv_option",
        "SOL_KCM": "kcm_option",
        "SOL_LLC": "llc_option",
        "SOL_NETLINK": "netlink_option",
        "SOL_NFC": "nfc_option",
        "SOL_PACKET": "packet_option",
        "SOL_PNPIPE": "pnpipe_option",
        "SOL_PPPOL2TP": "pppol2tp_option",
        "SOL_RAW": "raw_option",
        "SOL_RDS": "rds_option",
        "SOL_RXRPC": "rxrpc_option",
        "SOL_SCTP": "sctp_option",
        "SOL_SOCKET": "so",
        "SOL_TCP": "tcp_option",
        "SOL_TIPC": "tipc_option",
        "SOL_TLS": "tls_option",
        "SOL_UDP": "udp_option",
        "SOL_XDP": "xdp_option",
        "AF_VSOCK": "vsock_option",
    }
)
"""Level -> the group of its options."""

_ONE_WAY: Final[Mapping[tuple[str, str], str]] = MappingProxyType(
    {
        ("getsockopt", "ip_option"): "ip_get_option",
        ("getsockopt", "ipv6_option"): "ipv6_get_option",
        ("setsockopt", "ip_option"): "ip_set_option",
        ("setsockopt", "ipv6_option"): "ipv6_set_option",
    }
)
"""Call and group -> options that mean something else in the other direction: those of packet filters."""


def _level_name(scene: Scene) -> str:
    level = scene.get("level")
    known = names("sol", scene.arch).get(level)
    # Sockets of this family use its own number for a level (include/uapi/linux/vm_sockets.h).
    return known or ("AF_VSOCK" if level == values("address_family", scene.arch)["AF_VSOCK"] else "")


def _level(scene: Scene, index: int) -> str:
    return _level_name(scene) or f"{scene.bits(index):#x} /* SOL_?? */"


def _option(scene: Scene, index: int) -> str:
    group = _GROUPS.get(_level_name(scene))
    value = scene.bits(index)
    if group is None:
        return str(value)
    one_way = _ONE_WAY.get((scene.name, group))
    if one_way is not None and value in names(one_way, scene.arch):
        return names(one_way, scene.arch)[value]
    return word(group, value, scene.arch)


# ---- values ----


class _Value(NamedTuple):
    """What an option is set to: where it is, and of which size the caller says it is."""

    scene: Scene
    start: int
    size: int

    def read(self, size: int) -> bytes:
        """Return *size* bytes; the argument is an address where there are fewer."""
        if self.size < size:
            raise TargetMemoryError(self.start, EFAULT, f"read {size} bytes")
        return self.scene.read(self.start, size)


_Reader: TypeAlias = Callable[[_Value], str]


def _integer(value: _Value) -> str:
    return f"[{int.from_bytes(value.read(4), value.scene.order, signed=True)}]"


def _integer_or_bytes(value: _Value) -> str:
    return _integer(value) if value.size == 4 else value.scene.buffer(value.start, value.size % (1 << 32))  # noqa: PLR2004


def _fields(declared: str) -> _Reader:
    layout = Layout(declared)

    def reader(value: _Value) -> str:
        fields = layout.read(value.read(layout.size(value.scene.arch)), value.scene.arch)
        return structure((name, str(number)) for name, number in fields.items())

    return reader


def _exactly(declared: str) -> _Reader:
    reader, layout = _fields(declared), Layout(declared)

    def exact_reader(value: _Value) -> str:
        return reader(value) if value.size == layout.size(value.scene.arch) else address(value.start)

    return exact_reader


_PROGRAM: Final = Layout("H:len P:filter")


def _program(value: _Value) -> str:
    size = _PROGRAM.size(value.scene.arch)
    if value.size != size:
        return address(value.start)
    fields = _PROGRAM.read(value.read(size), value.scene.arch)
    return structure([("len", str(fields["len"])), ("filter", address(fields["filter"]))])


def _rehash(value: _Value) -> str:
    number = int.from_bytes(value.read(4), value.scene.order, signed=True)
    known = names("sock_txrehash", value.scene.arch).get(number)
    return f"[{known}]" if known else f"[{number} /* SOCK_TXREHASH_??? */]"


def _membership(value: _Value) -> str:
    data = value.read(8)
    return structure([("imr_multiaddr", internet(data[:4])), ("imr_interface", internet(data[4:]))])


def _membership6(value: _Value) -> str:
    data = value.read(20)
    index = int.from_bytes(data[16:], value.scene.order)
    return structure([internet6(data[:16], "ipv6mr_multiaddr"), ("ipv6mr_interface", interface(index))])


def _group(value: _Value) -> str:
    word_size = value.scene.word
    data = value.read(word_size + 128)  # struct group_req: aligned as a long, which sockaddr_storage is
    index = int.from_bytes(data[:4], value.scene.order)
    return structure([("gr_interface", interface(index)), ("gr_group", in_bytes(value.scene, data[word_size:]))])


def _packet_membership(value: _Value) -> str:
    if value.size != 16:  # noqa: PLR2004  # struct packet_mreq
        return address(value.start)
    data, order = value.read(16), value.scene.order
    length = int.from_bytes(data[6:8], order)
    return structure(
        [
            ("mr_ifindex", interface(int.from_bytes(data[:4], order, signed=True))),
            ("mr_type", word("packet_membership", int.from_bytes(data[4:6], order), value.scene.arch)),
            ("mr_alen", str(length)),
            ("mr_address", hardware(data[8 : 8 + min(length, 8)])),
        ]
    )


def _icmp_filter(value: _Value) -> str:
    data = value.scene.read(value.start, min(max(value.size, 0), 4)) or b""
    bits = int.from_bytes(data.ljust(4, b"\0"), value.scene.order)
    inverted = bits.bit_count() > _HALF
    if inverted:
        bits ^= 0xFFFFFFFF
    shown = [word("icmp_type", place, value.scene.arch) for place in range(32) if bits >> place & 1]
    return f"{'~' if inverted else ''}[{' '.join(shown)}]"


_HALF: Final = 21
"""Above two thirds of 32 bits, those that are missing are listed."""

_READERS: Final[Mapping[str, _Reader]] = MappingProxyType(
    {
        "SO_LINGER": _fields("i:l_onoff i:l_linger"),
        "SO_ATTACH_FILTER": _program,
        "SO_ATTACH_REUSEPORT_CBPF": _program,
        "SO_TXREHASH": _rehash,
        "IP_ADD_MEMBERSHIP": _membership,
        "IP_DROP_MEMBERSHIP": _membership,
        "IPV6_ADD_MEMBERSHIP": _membership6,
        "IPV6_DROP_MEMBERSHIP": _membership6,
        "IPV6_JOIN_ANYCAST": _membership6,
        "IPV6_LEAVE_ANYCAST": _membership6,
        "MCAST_JOIN_GROUP": _group,
        "MCAST_LEAVE_GROUP": _group,
        "PACKET_ADD_MEMBERSHIP": _packet_membership,
        "PACKET_DROP_MEMBERSHIP": _packet_membership,
        "PACKET_RX_RING": _exactly("I:tp_block_size I:tp_block_nr I:tp_frame_size I:tp_frame_nr"),
        "PACKET_TX_RING": _exactly("I:tp_block_size I:tp_block_nr I:tp_frame_size I:tp_frame_nr"),
        "ICMP_FILTER": _icmp_filter,
    }
)
"""Option -> what it is set to.  Others are a number if they have the size of one, and bytes if not."""

_NUMBERS: Final = frozenset({"SOL_SOCKET", "SOL_NETLINK"})
"""Levels whose options are numbers, whatever their size."""

_BYTES: Final = frozenset(
    {
        "SO_ATTACH_BPF",
        "SO_ATTACH_REUSEPORT_EBPF",
        "SO_BINDTODEVICE",
        "SO_BINDTOIFINDEX",
        "SO_BPF_EXTENSIONS",
        "SO_BUF_LOCK",
        "SO_COOKIE",
        "SO_DOMAIN",
        "SO_ERROR",
        "SO_MAX_PACING_RATE",
        "SO_MEMINFO",
        "SO_NETNS_COOKIE",
        "SO_PEERCRED",
        "SO_PEERGROUPS",
        "SO_PEERNAME",
        "SO_PEERSEC",
        "SO_PROTOCOL",
        "SO_RCVTIMEO_NEW",
        "SO_RCVTIMEO_OLD",
        "SO_SECURITY_AUTHENTICATION",
        "SO_SECURITY_ENCRYPTION_NETWORK",
        "SO_SECURITY_ENCRYPTION_TRANSPORT",
        "SO_SNDTIMEO_NEW",
        "SO_SNDTIMEO_OLD",
        "SO_TXTIME",
        "SO_TYPE",
    }
)
"""Options of those levels that strace shows as bytes, unless they have the size of a number."""


def _value(scene: Scene, index: int) -> str:
    start = scene.pointer(index)
    if not start:
        return "NULL"
    level = _level_name(scene)
    group = _GROUPS.get(level)
    name = "" if group is None else names(group, scene.arch).get(scene.get("optname") % (1 << 32), "")
    reader = _READERS.get(name)
    if reader is None:
        reader = _integer if name and level in _NUMBERS and name not in _BYTES else _integer_or_bytes
    return reader(_Value(scene, start, scene.get("optlen")))


ARGUMENTS: Final[Mapping[tuple[str, str], Printer]] = printers(
    ("setsockopt getsockopt", "level", _level),
    ("setsockopt getsockopt", "optname", _option),
    ("setsockopt", "optval", _value),
)

SHOWN: Final[Mapping[str, Selector]] = selectors()
