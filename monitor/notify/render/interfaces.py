"""
Requests about network interfaces: struct ifreq, of which each request looks at a part.

What it is not: ioctl(2) as such (``ioctl``), or rtnetlink(7), which has no requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from monitor.abi.words import word
from monitor.notify.render.addresses import hardware, in_bytes, interface
from monitor.notify.render.kinds import Printer, pointed
from monitor.notify.render.layout import Layout
from monitor.notify.render.scene import Scene
from monitor.notify.render.text import address, hexadecimal, quoted, structure

_NAME: Final = 16
"""IFNAMSIZ (include/uapi/linux/if.h)."""

_DATA: Final = 16
"""What is read of the union behind the name: a struct sockaddr, or less."""


_ETHERNET: Final = 1
"""ARPHRD_ETHER (include/uapi/linux/if_arp.h), whose addresses have six bytes."""


def _name(data: bytes) -> str:
    end = data[:_NAME].find(0)
    return quoted(data[: _NAME - 1], cut=True) if end < 0 else quoted(data[:end])


def _asked(scene: Scene, start: int) -> str:
    """Write a question about the interface of that name."""
    return structure([("ifr_name", _name(scene.read(start, _NAME + _DATA)))])


def _index(scene: Scene, start: int) -> str:
    """Write a question about the interface of that number."""
    data = scene.read(start, _NAME + _DATA)
    return structure([("ifr_ifindex", str(int.from_bytes(data[_NAME : _NAME + 4], scene.order, signed=True)))])


def _setting(field: str) -> Printer:
    def reader(scene: Scene, start: int) -> str:
        data = scene.read(start, _NAME + _DATA)
        return structure([("ifr_name", _name(data)), (field, _value(scene, field, data[_NAME:]))])

    return pointed(reader)


def _value(scene: Scene, field: str, data: bytes) -> str:
    match field:
        case "ifr_flags":
            return word("interface_flags", int.from_bytes(data[:2], scene.order), scene.arch)
        case "ifr_hwaddr":
            kind = int.from_bytes(data[:2], scene.order)
            family = word("hardware_type", kind, scene.arch)
            address_of_link = data[2:8] if kind == _ETHERNET else data[2:]
            return structure([("sa_family", family), ("sa_data", hardware(address_of_link))])
        case "ifr_newname" | "ifr_slave":
            return _name(data)
        case "ifr_metric" | "ifr_mtu" | "ifr_qlen":
            return str(int.from_bytes(data[:4], scene.order, signed=True))
        case _:
            return in_bytes(scene, data)


_MAP: Final = Layout("L:mem_start L:mem_end H:base_addr B:irq B:dma B:port")


def _map(scene: Scene, start: int) -> str:
    data = scene.read(start, _NAME + _MAP.size(scene.arch))
    fields = ((name, hexadecimal(value)) for name, value in _MAP.read(data[_NAME:], scene.arch).items())
    return structure([("ifr_name", _name(data)), ("ifr_map", structure(fields))])


_LIST: Final = Layout("i:ifc_len P:ifc_buf")


def _list(scene: Scene, start: int) -> str:
    """Write where SIOCGIFCONF is to put all of them."""
    fields = scene.struct(start, _LIST)
    length = fields["ifc_len"]
    size = _NAME + (24 if scene.word == 8 else 16)  # noqa: PLR2004  # struct ifreq, whose union has pointers
    count = f" /* {length // size} * sizeof(struct ifreq) */" if length > 0 and length % size == 0 else ""
    return structure([("ifc_len", f"{length}{count}"), ("ifc_buf", address(fields["ifc_buf"]))])


def _member(scene: Scene, start: int) -> str:
    """Write the interface that a bridge is to take or to give up."""
    data = scene.read(start, _NAME + _DATA)
    return structure([("ifr_ifindex", interface(int.from_bytes(data[_NAME : _NAME + 4], scene.order, signed=True)))])


_ASKING: Final = """
SIOCGIFADDR SIOCGIFBRDADDR SIOCGIFDSTADDR SIOCGIFFLAGS SIOCGIFHWADDR SIOCGIFINDEX SIOCGIFMAP SIOCGIFMETRIC SIOCGIFMTU
SIOCGIFNETMASK SIOCGIFSLAVE SIOCGIFTXQLEN
""".split()  # noqa: SIM905  # a long list of words reads better as text

_SETTING: Final[Mapping[str, str]] = MappingProxyType(
    {
        "SIOCADDMULTI": "ifr_hwaddr",
        "SIOCDELMULTI": "ifr_hwaddr",
        "SIOCSIFADDR": "ifr_addr",
        "SIOCSIFBRDADDR": "ifr_broadaddr",
        "SIOCSIFDSTADDR": "ifr_dstaddr",
        "SIOCSIFFLAGS": "ifr_flags",
        "SIOCSIFHWADDR": "ifr_hwaddr",
        "SIOCSIFHWBROADCAST": "ifr_hwaddr",
        "SIOCSIFMETRIC": "ifr_metric",
        "SIOCSIFMTU": "ifr_mtu",
        "SIOCSIFNAME": "ifr_newname",
        "SIOCSIFNETMASK": "ifr_netmask",
        "SIOCSIFSLAVE": "ifr_slave",
        "SIOCSIFTXQLEN": "ifr_qlen",
    }
)

REQUESTS: Final[Mapping[str, Printer]] = MappingProxyType(
    {
        **dict.fromkeys(_ASKING, pointed(_asked)),
        **{request: _setting(field) for request, field in _SETTING.items()},
        "SIOCBRADDIF": pointed(_member),
        "SIOCBRDELIF": pointed(_member),
        "SIOCGIFCONF": pointed(_list),
        "SIOCGIFNAME": pointed(_index),
        "SIOCSIFMAP": pointed(_map),
    }
)
"""Request -> its argument."""
