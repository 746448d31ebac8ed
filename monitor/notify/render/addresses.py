"""
Addresses of sockets: struct sockaddr of each family, and the length that goes along.

What it is not: the calls (``sockets``) or the messages (``messages``) that they come with.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

from monitor.abi.arch import Arch
from monitor.abi.constants import names
from monitor.abi.words import word
from monitor.errors import TargetMemoryError
from monitor.notify.render.kinds import Printer
from monitor.notify.render.scene import Scene
from monitor.notify.render.table import Selector, printers, selectors
from monitor.notify.render.text import address, array, hex_quoted, hexadecimal, padded, quoted, structure

LONGEST: Final = 128
"""struct sockaddr_storage: what the kernel takes at most (include/linux/socket.h)."""

_FAMILY_SIZE: Final = 2

Fields: TypeAlias = list[tuple[str, str]]


def sockaddr(scene: Scene, start: int, length: int) -> str:
    """Write the address of *length* bytes at *start*; where it lies, if the length is none of an address."""
    if not start or length < _FAMILY_SIZE:
        return address(start)
    return in_bytes(scene, scene.read(start, min(length, LONGEST)))


def in_bytes(scene: Scene, data: bytes) -> str:
    """Write the address that is in *data*, two bytes at least."""
    family = int.from_bytes(data[:_FAMILY_SIZE], scene.order)
    shown = [("sa_family", word("address_family", family, scene.arch))]
    shape = _SHAPES.get(family)
    if shape is not None and len(data) >= shape.least:
        shown += shape.fields(_Data(data, scene))
    elif len(data) > _FAMILY_SIZE:
        shown.append(("sa_data", quoted(data[_FAMILY_SIZE:])))
    return structure(shown)


def interface(index: int) -> str:
    """Write a network interface as strace does: by its name in our own network namespace, if it has one there."""
    try:
        name = socket.if_indextoname(index) if index > 0 else ""
    except (OSError, OverflowError):
        name = ""
    return f"if_nametoindex({quoted(os.fsencode(name))})" if name else str(index)


def internet(data: bytes) -> str:
    """Write the four bytes of an IPv4 address."""
    return f'inet_addr("{socket.inet_ntop(socket.AF_INET, data)}")'


def internet6(data: bytes, field: str) -> tuple[str, str]:
    """Write the sixteen bytes of an IPv6 address, which stand in *field*; they come without a name of it."""
    return ("", f'inet_pton(AF_INET6, "{socket.inet_ntop(socket.AF_INET6, data)}", &{field})')


def hardware(data: bytes) -> str:
    """Write the bytes of an address of a link: ``01:02:03:04:05:06``."""
    return ":".join(f"{byte:02x}" for byte in data)


class _Data(NamedTuple):
    """The bytes of an address, and the call that they are of."""

    data: bytes
    scene: Scene

    def host(self, place: int, size: int, *, signed: bool = False) -> int:
        """Return a number in the order of the target's machine."""
        return int.from_bytes(self.data[place : place + size], self.scene.order, signed=signed)

    def network(self, place: int, size: int) -> int:
        """Return a number in the order of the network."""
        return int.from_bytes(self.data[place : place + size], "big")

    def word(self, group: str, value: int) -> str:
        return word(group, value, self.scene.arch)


# ---- the local ones ----


def _unix(a: _Data) -> Fields:
    path = a.data[2 : 2 + _UNIX_PATH]
    if not path:
        return []
    if path[0]:
        return [("sun_path", quoted(path.partition(b"\0")[0]))]
    return [("sun_path", f"@{quoted(path[1:])}")]


_UNIX_PATH: Final = 108
"""UNIX_PATH_MAX (include/uapi/linux/un.h)."""


def _netlink(a: _Data) -> Fields:
    pad = a.host(2, 2)
    return [
        *([("nl_pad", hexadecimal(pad))] if pad else []),
        ("nl_pid", str(a.host(4, 4, signed=True))),
        ("nl_groups", padded(a.host(8, 4))),
    ]


def _algorithm(a: _Data) -> Fields:
    return [
        ("salg_type", _fixed(a.data[2:16])),
        ("salg_feat", _algorithm_flags(a.host(16, 4), a.scene.arch)),
        ("salg_mask", _algorithm_flags(a.host(20, 4), a.scene.arch)),
        ("salg_name", _fixed(a.data[24:])),
    ]


def _algorithm_flags(value: int, arch: Arch) -> str:
    text = word("crypto_alg", value, arch)
    return text if text.startswith("0") else f"{value:#x} /* {text} */"


def _fixed(data: bytes) -> str:
    """Write the C string in a field, which may fill it."""
    end = data.find(0)
    return quoted(data[:-1], cut=True) if end < 0 else quoted(data[:end])


def _vsock(a: _Data) -> Fields:
    reserved, rest = a.host(2, 2), a.data[13:16]
    port = a.host(4, 4)
    return [
        *([("svm_reserved1", hexadecimal(reserved))] if reserved else []),
        ("svm_cid", _named("vsock_cid", a.host(8, 4), a.scene.arch)),
        ("svm_port", "VMADDR_PORT_ANY" if port == _ANY_PORT else hexadecimal(port)),
        ("svm_flags", a.word("vsock_flags", a.data[12])),
        *([("svm_zero", hex_quoted(rest))] if any(rest) else []),
    ]


_ANY_PORT: Final = 0xFFFFFFFF
"""VMADDR_PORT_ANY (include/uapi/linux/vm_sockets.h)."""


def _named(group: str, value: int, arch: Arch) -> str:
    return names(group, arch).get(value) or hexadecimal(value)


# ---- the internet ----


def _inet(a: _Data) -> Fields:
    return [("sin_port", f"htons({a.network(2, 2)})"), ("sin_addr", internet(a.data[4:8]))]


def _inet6(a: _Data) -> Fields:
    fields = [
        ("sin6_port", f"htons({a.network(2, 2)})"),
        ("sin6_flowinfo", f"htonl({a.network(4, 4)})"),
        internet6(a.data[8:24], "sin6_addr"),
    ]
    if len(a.data) >= _INET6_WITH_SCOPE:
        scope = a.host(24, 4)
        # The scope of a link-local address is an interface; of others, a number.
        local = a.data[8] == 0xFE and a.data[9] & 0xC0 == 0x80  # noqa: PLR2004  # fe80::/10 (RFC 4291)
        local |= a.data[8] == 0xFF and a.data[9] & 0xF in {1, 2}  # noqa: PLR2004  # ff01:: and ff02::, likewise
        fields.append(("sin6_scope_id", interface(scope) if local else str(scope)))
    return fields


_INET6_WITH_SCOPE: Final = 28


# ---- links and buses ----


def _packet(a: _Data) -> Fields:
    length = a.data[11]
    shown = [hexadecimal(byte) for byte in a.data[12 : 12 + min(length, 8)]]
    fields = [
        ("sll_protocol", f"htons({a.word('eth_protocol', a.network(2, 2))})"),
        ("sll_ifindex", interface(a.host(4, 4, signed=True))),
        ("sll_hatype", a.word("hardware_type", a.host(8, 2))),
        ("sll_pkttype", a.word("packet_type", a.data[10])),
        ("sll_halen", str(length)),
    ]
    return [*fields, ("sll_addr", array(shown, cut=length > len(shown)))] if length else fields


def _ipx(a: _Data) -> Fields:
    zero = a.data[15]
    return [
        ("sipx_port", f"htons({a.network(2, 2)})"),
        ("sipx_network", f"htonl({hexadecimal(a.network(4, 4))})"),
        ("sipx_node", array(f"{byte:#x}" if byte else "00" for byte in a.data[8:14])),
        ("sipx_type", f"{a.data[14]:#x}" if a.data[14] else "00"),
        *([("sipx_zero", hexadecimal(zero))] if zero else []),
    ]


def _x25(a: _Data) -> Fields:
    return [("sx25_addr", structure([("x25_addr", _fixed(a.data[2:18]))]))]


def _bluetooth(a: _Data) -> Fields:
    # The protocols of this family have addresses of their own, and strace tells them by their length.
    match len(a.data):
        case 4:
            return [("hci_dev", f"htobs({a.host(2, 2)})")]
        case 6:
            return [
                ("hci_dev", f"htobs({a.host(2, 2)})"),
                ("hci_channel", a.word("hci_channel", a.host(4, 2))),
            ]
        case 8:
            return [("sco_bdaddr", hardware(a.data[2:8]))]
        case 10:
            return [("rc_bdaddr", hardware(a.data[2:8])), ("rc_channel", str(a.data[8]))]
        case 12 | 14:
            fields = [
                ("l2_psm", f"htobs({_dynamic('l2cap_psm', 'L2CAP_PSM', _little(a.data[2:4]), a.scene.arch)})"),
                ("l2_bdaddr", hardware(a.data[4:10])),
                ("l2_cid", f"htobs({_dynamic('l2cap_cid', 'L2CAP_CID', _little(a.data[10:12]), a.scene.arch)})"),
            ]
            if len(a.data) > 12:  # noqa: PLR2004
                fields.append(("l2_bdaddr_type", a.word("bluetooth_address", a.data[12])))
            return fields
        case _:
            return [("sa_data", quoted(a.data[_FAMILY_SIZE:]))]


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")


def _dynamic(group: str, prefix: str, value: int, arch: Arch) -> str:
    """Write a number some of which are handed out from the start of a range."""
    known = names(group, arch)
    if value in known:
        return known[value]
    by_name = {name: number for number, name in known.items()}
    ranges = ((f"{prefix}_LE_DYN_START", f"{prefix}_LE_DYN_END"), (f"{prefix}_DYN_START", f"{prefix}_DYN_END"))
    for first, last in ranges:
        if first in by_name and by_name[first] < value < by_name[last]:
            return f"{first}+{value - by_name[first]}"
    return word(group, value, arch)


def _nfc(a: _Data) -> Fields:
    return [
        ("dev_idx", interface(a.host(4, 4))),
        ("target_idx", hexadecimal(a.host(8, 4))),
        ("nfc_protocol", a.word("nfc_protocol", a.host(12, 4))),
    ]


def _qipcrtr(a: _Data) -> Fields:
    return [("sq_node", hexadecimal(a.host(4, 4))), ("sq_port", hexadecimal(a.host(8, 4)))]


def _xdp(a: _Data) -> Fields:
    flags, fd = a.host(2, 2), a.host(12, 4)
    shared = flags & 1  # XDP_SHARED_UMEM (include/uapi/linux/if_xdp.h)
    return [
        ("sxdp_flags", a.word("xdp_bind", flags)),
        ("sxdp_ifindex", interface(a.host(4, 4))),
        ("sxdp_queue_id", str(a.host(8, 4))),
        ("sxdp_shared_umem_fd", a.scene.fd(fd) if shared else hexadecimal(fd)),
    ]


def _mctp(a: _Data) -> Fields:
    pad, end = a.host(2, 2), a.data[11]
    return [
        *([("__smctp_pad0", hexadecimal(pad))] if pad else []),
        ("smctp_network", hexadecimal(a.host(4, 4))),
        ("smctp_addr", structure([("s_addr", hexadecimal(a.data[8]))])),
        ("smctp_type", hexadecimal(a.data[9])),
        ("smctp_tag", hexadecimal(a.data[10])),
        *([("__smctp_pad1", hexadecimal(end))] if end else []),
    ]


class _Shape(NamedTuple):
    """How addresses of a family are written, and from how many bytes on."""

    least: int
    fields: Callable[[_Data], Fields]


_SHAPES: Final[Mapping[int, _Shape]] = MappingProxyType(
    {
        1: _Shape(2, _unix),
        2: _Shape(16, _inet),
        4: _Shape(16, _ipx),
        9: _Shape(18, _x25),
        10: _Shape(24, _inet6),
        16: _Shape(12, _netlink),
        17: _Shape(20, _packet),
        31: _Shape(3, _bluetooth),
        38: _Shape(25, _algorithm),
        39: _Shape(16, _nfc),
        40: _Shape(16, _vsock),
        42: _Shape(12, _qipcrtr),
        44: _Shape(16, _xdp),
        45: _Shape(12, _mctp),
    }
)
"""AF_ number (include/linux/socket.h) -> shape."""


# ---- arguments ----


def _sockaddr(scene: Scene, index: int) -> str:
    length_index = scene.argument(index).len_arg
    assert length_index is not None  # of every argument of this kind
    return sockaddr(scene, scene.pointer(index), scene.value(length_index))


def _length(scene: Scene, index: int) -> str:
    """Write a length; ``[16]`` where it is behind a pointer and the kernel would look."""
    if scene.argument(index).direction is None:
        return str(scene.value(index))
    start = scene.pointer(index)
    counted = next(place for place, one in enumerate(scene.signature.arguments) if one.len_arg == index)
    if not start or not scene.pointer(counted):
        return address(start)
    try:
        return f"[{scene.integer(start, signed=True)}]"
    except TargetMemoryError:
        return address(start)


ARGUMENTS: Final[Mapping[tuple[str, str], Printer]] = printers()

SHOWN: Final[Mapping[str, Selector]] = selectors()

KINDS: Final[Mapping[str, Printer]] = MappingProxyType({"sockaddr": _sockaddr, "socklen": _length})
