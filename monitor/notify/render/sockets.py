"""
Calls that make sockets, and the one call that all of them once were (socketcall(2)).

What it is not: addresses (``addresses``), messages (``messages``) or options (``sockopts``).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from monitor.abi.constants import names
from monitor.abi.words import word
from monitor.notify.render.kinds import Printer
from monitor.notify.render.scene import Scene
from monitor.notify.render.table import Multiplexer, Selector, printers, selectors

_TYPE_MASK: Final = 0xF
"""SOCK_TYPE_MASK (include/linux/net.h)."""

_PROTOCOLS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "AF_INET": "ipproto",
        "AF_INET6": "ipproto",
        "AF_NETLINK": "netlink",
        "AF_CAN": "can_protocol",
        "AF_BLUETOOTH": "bluetooth_protocol",
        "AF_RXRPC": "address_family",
        "AF_ISDN": "isdn_protocol",
        "AF_PHONET": "phonet_protocol",
        "AF_CAIF": "caif_protocol",
        "AF_NFC": "nfc_socket",
        "AF_KCM": "kcm_protocol",
        "AF_SMC": "smc_protocol",
    }
)
"""Family -> the group of its protocols; a number elsewhere."""


def _type(scene: Scene, index: int) -> str:
    value = scene.bits(index)
    known = value & _TYPE_MASK in names("sock_type", scene.arch)
    return word("sock_type" if known else "sock_flags", value, scene.arch)


def _protocol(scene: Scene, index: int) -> str:
    family = names("address_family", scene.arch).get(scene.get("domain"), "")
    if family == "AF_PACKET":  # in the order of the network, whatever that of the machine
        swapped = int.from_bytes(scene.bits(index).to_bytes(4, scene.order)[:2], "big")
        return f"htons({word('eth_protocol', swapped, scene.arch)})"
    group = _PROTOCOLS.get(family)
    return str(scene.pointer(index)) if group is None else word(group, scene.bits(index), scene.arch)


# ---- socketcall(2) ----

_CALLS: Final[Mapping[str, tuple[str, int]]] = MappingProxyType(
    {
        "SYS_SOCKET": ("socket", 3),
        "SYS_BIND": ("bind", 3),
        "SYS_CONNECT": ("connect", 3),
        "SYS_LISTEN": ("listen", 2),
        "SYS_ACCEPT": ("accept", 3),
        "SYS_GETSOCKNAME": ("getsockname", 3),
        "SYS_GETPEERNAME": ("getpeername", 3),
        "SYS_SOCKETPAIR": ("socketpair", 4),
        "SYS_SEND": ("send", 4),
        "SYS_RECV": ("recv", 4),
        "SYS_SENDTO": ("sendto", 6),
        "SYS_RECVFROM": ("recvfrom", 6),
        "SYS_SHUTDOWN": ("shutdown", 2),
        "SYS_SETSOCKOPT": ("setsockopt", 5),
        "SYS_GETSOCKOPT": ("getsockopt", 5),
        "SYS_SENDMSG": ("sendmsg", 3),
        "SYS_RECVMSG": ("recvmsg", 3),
        "SYS_ACCEPT4": ("accept4", 4),
        "SYS_RECVMMSG": ("recvmmsg", 5),
        "SYS_SENDMMSG": ("sendmmsg", 4),
    }
)
"""SYS_ name -> the call it stands for, and how many arguments that has (net/socket.c, ``nargs``)."""


def _number(scene: Scene, index: int) -> str:
    value = scene.value(index)
    return names("socketcall", scene.arch).get(value, str(value))


def _socketcall(scene: Scene) -> tuple[str, tuple[int, ...]] | None:
    made = _CALLS.get(names("socketcall", scene.arch).get(scene.get("call"), ""))
    if made is None:
        return None
    name, count = made
    start = scene.pointer(1)
    data = scene.read(start, count * scene.word)
    arguments = [int.from_bytes(data[at : at + scene.word], scene.order) for at in range(0, len(data), scene.word)]
    return name, (*arguments, *[0] * (6 - count))


ARGUMENTS: Final[Mapping[tuple[str, str], Printer]] = printers(
    ("socket socketpair", "type", _type),
    ("socket socketpair", "protocol", _protocol),
    ("socketcall", "call", _number),
)

SHOWN: Final[Mapping[str, Selector]] = selectors()

BEHIND: Final[Mapping[str, Multiplexer]] = MappingProxyType({"socketcall": _socketcall})
