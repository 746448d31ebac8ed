"""
The kernel's keys: add_key(2), request_key(2), and keyctl(2) by operation.

What it is not: protection keys of memory, which are plain numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from monitor.abi.constants import errno_name, names
from monitor.abi.words import word
from monitor.errors import TargetMemoryError
from monitor.notify.render.kinds import Printer, hexed, hidden, pointed, string, vector
from monitor.notify.render.layout import Fields, Layout
from monitor.notify.render.scene import Scene
from monitor.notify.render.table import Selector, printers, selectors
from monitor.notify.render.text import address, structure

_HALF: Final = 1 << 32

# ---- what an operation's arguments can be ----


def _serial(scene: Scene, index: int) -> str:
    return _key(scene, scene.registers[index] % _HALF)


def _key(scene: Scene, value: int) -> str:
    """Return the name of a special key; the serial number of any other, which is an int."""
    name = names("keyring_id", scene.arch).get(_signed(value))
    return name or str(_signed(value))


def _signed(value: int) -> int:
    return value - _HALF if value >> 31 else value


def _integer(scene: Scene, index: int) -> str:
    return str(_signed(scene.registers[index] % _HALF))


def _unsigned(scene: Scene, index: int) -> str:
    return str(scene.registers[index] % _HALF)


def _size(scene: Scene, index: int) -> str:
    return str(scene.pointer(index))


def _owner(scene: Scene, index: int) -> str:
    value = scene.registers[index] % _HALF
    return "-1" if value == _HALF - 1 else str(value)


def _payload(scene: Scene, index: int) -> str:
    return scene.buffer(scene.pointer(index), scene.pointer(index + 1))


def _vector(scene: Scene, start: int) -> str:
    return vector(scene, start, scene.pointer(3), show_data=True)


def _error(scene: Scene, index: int) -> str:
    return errno_name(scene.registers[index] % _HALF, scene.arch)


def _default_keyring(scene: Scene, index: int) -> str:
    value = _signed(scene.registers[index] % _HALF)
    return names("key_default", scene.arch).get(value) or f"{value} /* KEY_REQKEY_DEFL_??? */"


def _of(group: str) -> Printer:
    return lambda scene, index: word(group, scene.registers[index] % _HALF, scene.arch)


# ---- structs ----

_DH: Final = Layout("I:private I:prime I:base")
_KDF: Final = Layout("P:hashname P:otherinfo I:otherinfolen")
_SPARE: Final = 8 * 4
"""The bytes that are reserved at the end of the structs (include/uapi/linux/keyctl.h)."""


def _dh(scene: Scene, start: int) -> str:
    return structure((name, _key(scene, value)) for name, value in scene.struct(start, _DH).items())


def _derivation(scene: Scene, start: int) -> str:
    fields = scene.struct(start, _KDF)
    info, size = fields["otherinfo"], fields["otherinfolen"]
    shown = [
        ("hashname", _string_or_address(scene, fields["hashname"])),
        ("otherinfo", scene.buffer(info, size) if size else address(info)),
        ("otherinfolen", str(size)),
    ]
    return structure(shown)


def _string_or_address(scene: Scene, start: int) -> str:
    try:
        return scene.string(start) if start else "NULL"
    except TargetMemoryError:
        return address(start)


_PUBLIC: Final = Layout(f"I:key_id I:in_len I:second_len {7 * 4}s")


def _public_operation(second: str) -> tuple[Printer, ...]:
    """Return the arguments of the operations with a public key, whose struct holds a second length called *second*."""

    def parameters(scene: Scene, start: int) -> str:
        fields = scene.struct(start, _PUBLIC)
        shown = [("key_id", _key(scene, fields["key_id"])), ("in_len", str(fields["in_len"]))]
        return structure([*shown, (second, str(fields["second_len"]))])

    def data(field: str) -> Printer:
        return lambda scene, index: _sized(scene, index, field)

    return (pointed(parameters), string, data("in_len"), data("second_len") if second == "in2_len" else hidden)


def _sized(scene: Scene, index: int, field: str) -> str:
    """Write a buffer whose length is in the struct that the second argument points to."""
    fields: Fields = scene.struct(scene.pointer(1), _PUBLIC)
    return scene.buffer(scene.pointer(index), fields[field])


_OPERATIONS: Final[Mapping[str, tuple[Printer, ...]]] = MappingProxyType(
    {
        "KEYCTL_GET_KEYRING_ID": (_serial, _integer),
        "KEYCTL_JOIN_SESSION_KEYRING": (string,),
        "KEYCTL_UPDATE": (_serial, _payload, _size),
        "KEYCTL_REVOKE": (_serial,),
        "KEYCTL_CHOWN": (_serial, _owner, _owner),
        "KEYCTL_SETPERM": (_serial, _of("key_permission")),
        "KEYCTL_DESCRIBE": (_serial, hidden, _size),
        "KEYCTL_CLEAR": (_serial,),
        "KEYCTL_LINK": (_serial, _serial),
        "KEYCTL_UNLINK": (_serial, _serial),
        "KEYCTL_SEARCH": (_serial, string, string, _serial),
        "KEYCTL_READ": (_serial, hidden, _size),
        "KEYCTL_INSTANTIATE": (_serial, _payload, _size, _serial),
        "KEYCTL_NEGATE": (_serial, _unsigned, _serial),
        "KEYCTL_SET_REQKEY_KEYRING": (_default_keyring,),
        "KEYCTL_SET_TIMEOUT": (_serial, _unsigned),
        "KEYCTL_ASSUME_AUTHORITY": (_serial,),
        "KEYCTL_GET_SECURITY": (_serial, hidden, _size),
        "KEYCTL_SESSION_TO_PARENT": (),
        "KEYCTL_REJECT": (_serial, _unsigned, _error, _serial),
        "KEYCTL_INSTANTIATE_IOV": (_serial, pointed(_vector), _size, _serial),
        "KEYCTL_INVALIDATE": (_serial,),
        "KEYCTL_GET_PERSISTENT": (_owner, _serial),
        "KEYCTL_DH_COMPUTE": (pointed(_dh), hidden, _size, pointed(_derivation)),
        "KEYCTL_PKEY_QUERY": (_serial, hexed, string, hidden),
        "KEYCTL_PKEY_ENCRYPT": _public_operation("out_len"),
        "KEYCTL_PKEY_DECRYPT": _public_operation("out_len"),
        "KEYCTL_PKEY_SIGN": _public_operation("out_len"),
        "KEYCTL_PKEY_VERIFY": _public_operation("in2_len"),
        "KEYCTL_RESTRICT_KEYRING": (_serial, string, string),
        "KEYCTL_MOVE": (_serial, _serial, _serial, _of("key_move")),
        "KEYCTL_CAPABILITIES": (hidden, _size),
    }
)
"""Operation -> its arguments behind itself."""

_UNKNOWN: Final = (hexed, hexed, hexed, hexed)


def _arguments(scene: Scene) -> tuple[Printer, ...]:
    return _OPERATIONS.get(names("keyctl", scene.arch).get(scene.bits(0), ""), _UNKNOWN)


def _keyctl(scene: Scene) -> Sequence[str]:
    return ("op", "arg2", "arg3", "arg4", "arg5")[: 1 + len(_arguments(scene))]


def _argument(scene: Scene, index: int) -> str:
    return _arguments(scene)[index - 1](scene, index)


ARGUMENTS: Final[Mapping[tuple[str, str], Printer]] = printers(
    ("add_key", "keyring", _serial),
    ("request_key", "dest_keyring", _serial),
    ("keyctl", "arg2", _argument),
    ("keyctl", "arg3", _argument),
    ("keyctl", "arg4", _argument),
    ("keyctl", "arg5", _argument),
)

SHOWN: Final[Mapping[str, Selector]] = selectors(("keyctl", _keyctl))
