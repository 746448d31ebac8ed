"""
Messages of sockets: struct msghdr with its control messages, and arrays of them.

What it is not: the calls that take plain buffers; those need nothing of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

from monitor.abi.constants import names
from monitor.abi.words import word
from monitor.errors import TargetMemoryError
from monitor.notify.render.addresses import in_bytes, interface, internet, sockaddr
from monitor.notify.render.kinds import Printer, pointed, vector
from monitor.notify.render.layout import Layout
from monitor.notify.render.scene import Scene
from monitor.notify.render.table import Selector, printers, selectors
from monitor.notify.render.text import address, array, hexadecimal, quoted, structure

_HEADER: Final = Layout("P:name i:namelen P:iov P:iovlen P:control P:controllen I:flags")

_MOST_CONTROL: Final = 1 << 16
"""How many bytes of control messages are ever read."""


def message(scene: Scene, start: int) -> str:
    """Write the struct msghdr at *start*, and the data it gives."""
    fields = scene.struct(start, _HEADER)
    length = fields["namelen"]
    shown = [
        ("msg_name", _or_address(fields["name"], lambda place: sockaddr(scene, place, length))),
        ("msg_namelen", str(length)),
        ("msg_iov", _or_address(fields["iov"], lambda place: vector(scene, place, fields["iovlen"], show_data=True))),
        ("msg_iovlen", str(fields["iovlen"])),
    ]
    if fields["controllen"]:
        shown.append(("msg_control", _control(scene, fields["control"], fields["controllen"])))
    shown += [
        ("msg_controllen", str(fields["controllen"])),
        ("msg_flags", word("msg", fields["flags"], scene.arch)),
    ]
    return structure(shown)


def _or_address(start: int, reader: Callable[[int], str]) -> str:
    """Write what *reader* finds at *start*; a part of a struct that cannot be read does not hide the rest."""
    try:
        return reader(start) if start else "NULL"
    except TargetMemoryError:
        return address(start)


def _room(scene: Scene, start: int) -> str:
    """Write what recvmsg(2) looks at before a message has come: the room for its sender's address."""
    return structure([("msg_namelen", str(scene.struct(start, _HEADER)["namelen"]))])


def _array(scene: Scene, index: int) -> str:
    start = scene.pointer(index)
    length_index = scene.argument(index).len_arg
    assert length_index is not None
    count = scene.bits(length_index)
    if not start or not count:
        return "[]" if start else "NULL"
    # struct mmsghdr: a header, and an int that is aligned as one.
    size = _HEADER.size(scene.arch) + scene.word
    shown: list[str] = []
    limit = min(count, scene.look.string_limit)
    for place in range(start, start + limit * size, size):
        try:
            shown.append(structure([("msg_hdr", message(scene, place))]))
        except TargetMemoryError:
            if not shown:
                raise
            return array([*shown, f"... /* {address(place)} */"])
    return array(shown, cut=count > limit)


# ---- control messages ----


class _Control(NamedTuple):
    """One control message: what is in it, and whose."""

    scene: Scene
    data: bytes

    def number(self, place: int, size: int = 4, *, signed: bool = False) -> int:
        return int.from_bytes(self.data[place : place + size], self.scene.order, signed=signed)

    def array(self, size: int, text: Callable[[int], str]) -> str:
        """Write the whole items of *size* bytes; *text* is told where each begins."""
        whole, limit = len(self.data) // size, self.scene.look.string_limit
        return array((text(place * size) for place in range(min(whole, limit))), cut=whole > limit)


_ControlReader: TypeAlias = Callable[[_Control], str]


def _control(scene: Scene, start: int, length: int) -> str:
    header = scene.word + 8
    if not start or length < header:
        return address(start)
    wanted = min(length, _MOST_CONTROL)
    try:
        data = scene.read(start, wanted)
    except TargetMemoryError:
        return address(start)
    shown: list[str] = []
    place = 0
    while place + header <= len(data) and len(shown) < _MOST_MESSAGES:
        size = int.from_bytes(data[place : place + scene.word], scene.order)
        shown.append(_control_message(scene, data[place:], size))
        place += max(header, -(-size // scene.word) * scene.word)
    more = place < length
    return array([*shown, f"... /* {address(start + place)} */"] if more else shown)


_MOST_MESSAGES: Final = 256


def _control_message(scene: Scene, data: bytes, size: int) -> str:
    header = scene.word + 8
    level = int.from_bytes(data[scene.word : scene.word + 4], scene.order)
    kind = int.from_bytes(data[scene.word + 4 : header], scene.order)
    shown = [("cmsg_len", str(size)), ("cmsg_level", word("sol", level, scene.arch))]
    level_name = names("sol", scene.arch).get(level, "")
    readers = _READERS.get(level_name)
    content = data[header:size]
    if readers is None:
        shown.append(("cmsg_type", hexadecimal(kind)))
        return structure(shown)
    shown.append(("cmsg_type", _type(scene, level_name, kind)))
    reader = readers.get(kind)
    text = reader(_Control(scene, content)) if reader and content else ""
    return structure([*shown, ("cmsg_data", text)] if text else shown)


def _type(scene: Scene, level: str, kind: int) -> str:
    if level == "SOL_SOCKET":
        return word("scm", kind, scene.arch)
    if kind == _SECURITY:
        return "SCM_SECURITY"
    known = kind in _READERS[level]
    return word("ip_option", kind, scene.arch) if known else f"{hexadecimal(kind)} /* IP_??? */"


_INT: Final = 4


def _fds(control: _Control) -> str:
    if len(control.data) < _INT:
        return ""
    return control.array(_INT, lambda place: control.scene.fd(control.number(place, signed=True)))


def _credentials(control: _Control) -> str:
    if len(control.data) < 12:  # noqa: PLR2004  # struct ucred
        return ""
    return structure(
        (name, str(control.number(place, signed=True))) for name, place in (("pid", 0), ("uid", 4), ("gid", 8))
    )


def _text(control: _Control) -> str:
    limit = control.scene.look.string_limit
    return quoted(control.data[:limit], cut=len(control.data) > limit)


def _moment(part: str, *, wide: bool) -> _ControlReader:
    def reader(control: _Control) -> str:
        word_size = 8 if wide else control.scene.word
        if len(control.data) < 2 * word_size:
            return "???"
        return _moment_at(control, 0, word_size, part)

    return reader


def _moment_at(control: _Control, place: int, word_size: int, part: str) -> str:
    seconds = control.number(place, word_size, signed=True)
    return structure([("tv_sec", str(seconds)), (part, str(control.number(place + word_size, word_size)))])


def _moments(*, wide: bool) -> _ControlReader:
    def reader(control: _Control) -> str:
        word_size = 8 if wide else control.scene.word
        if len(control.data) < 6 * word_size:
            return "???"
        return array(_moment_at(control, place * 2 * word_size, word_size, "tv_nsec") for place in range(3))

    return reader


def _octets(control: _Control) -> str:
    return control.array(1, lambda place: hexadecimal(control.data[place]))


def _numbers(control: _Control) -> str:
    return control.array(_INT, lambda place: str(control.number(place))) if len(control.data) >= _INT else ""


def _packet(control: _Control) -> str:
    if len(control.data) < 12:  # noqa: PLR2004  # struct in_pktinfo
        return ""
    return structure(
        [
            ("ipi_ifindex", interface(control.number(0, signed=True))),
            ("ipi_spec_dst", internet(control.data[4:8])),
            ("ipi_addr", internet(control.data[8:12])),
        ]
    )


_ERROR: Final = Layout("I:ee_errno B:ee_origin B:ee_type B:ee_code B:ee_pad I:ee_info I:ee_data")
_SOCKADDR_IN: Final = 16


def _error(control: _Control) -> str:
    size = _ERROR.size(control.scene.arch)
    if len(control.data) < size + _SOCKADDR_IN:
        return ""
    fields = _ERROR.read(control.data, control.scene.arch)
    offender = in_bytes(control.scene, control.data[size : size + _SOCKADDR_IN])
    shown = [(name, str(value)) for name, value in fields.items() if name != "ee_pad"]
    return structure([*shown, ("offender", offender)])


def _destination(control: _Control) -> str:
    return in_bytes(control.scene, control.data[:_SOCKADDR_IN]) if len(control.data) >= _SOCKADDR_IN else ""


_SECURITY: Final = 3

_READERS: Final[Mapping[str, Mapping[int, _ControlReader]]] = MappingProxyType(
    {
        "SOL_SOCKET": {
            1: _fds,
            2: _credentials,
            _SECURITY: _text,
            29: _moment("tv_usec", wide=False),
            35: _moment("tv_nsec", wide=False),
            37: _moments(wide=False),
            63: _moment("tv_usec", wide=True),
            64: _moment("tv_nsec", wide=True),
            65: _moments(wide=True),
        },
        "SOL_IP": {
            1: _octets,
            2: _numbers,
            _SECURITY: _text,
            6: _octets,
            7: _octets,
            8: _packet,
            11: _error,
            20: _destination,
            23: _numbers,
        },
    }
)
"""Level -> type -> what is in such a message: SCM_ and IP_ (include/linux/socket.h, include/uapi/linux/in.h)."""


ARGUMENTS: Final[Mapping[tuple[str, str], Printer]] = printers(
    ("sendmsg", "msg", pointed(message)),
    ("recvmsg", "msg", pointed(_room)),
    ("sendmmsg", "msgvec", _array),
)

SHOWN: Final[Mapping[str, Selector]] = selectors()
