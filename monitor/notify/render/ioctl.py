"""
ioctl(2): the names of its requests, and the arguments of those that many programs make.

What it is not: terminals (``terminals``) and network interfaces (``interfaces``), whose requests
have structs of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from monitor.abi import tables
from monitor.abi.arch import Arch
from monitor.abi.constants import values
from monitor.abi.words import word
from monitor.errors import TargetMemoryError
from monitor.notify.render import interfaces, terminals
from monitor.notify.render.kinds import Printer, hidden, pointed, wide_fd
from monitor.notify.render.layout import Layout
from monitor.notify.render.scene import Scene
from monitor.notify.render.table import Selector, printers, selectors
from monitor.notify.render.text import array, hexadecimal, quoted, structure

_X86: Final = frozenset({Arch.X86_64, Arch.I386, Arch.X32})
"""The ABIs for which the names of rarer requests are known."""


@lru_cache(None)
def _names(arch: Arch) -> Mapping[int, Sequence[str]]:
    """Return request to names: drivers share numbers, and only the device could tell whose one is."""
    found: dict[int, list[str]] = {}
    for group in ("ioctl", "ioctl_x86") if arch in _X86 else ("ioctl",):
        unshown = tables.constants()["groups"][group].get("unshown", ())
        for name, value in values(group, arch).items():
            if name not in unshown:
                found.setdefault(value, []).append(name)
    return MappingProxyType({value: tuple(sorted(set(names))) for value, names in found.items()})


def _request(scene: Scene, index: int) -> str:
    value = scene.bits(index) % (1 << 32)  # the kernel looks at no more
    names = _names(scene.arch).get(value)
    return " or ".join(names) if names else _taken_apart(value, scene.arch)


def _taken_apart(value: int, arch: Arch) -> str:
    """Return ``_IOC(_IOC_READ, 0x54, 0x30, 0x4)``: direction, type, number and size of the argument."""
    encodings = tables.constants()["ioctl_encoding"]
    encoding = encodings.get(arch.table, encodings["default"])
    number = value & (1 << encoding["nr_bits"]) - 1
    value >>= encoding["nr_bits"]
    kind = value & (1 << encoding["type_bits"]) - 1
    value >>= encoding["type_bits"]
    size = value & (1 << encoding["size_bits"]) - 1
    direction = value >> encoding["size_bits"]
    directions = [
        name
        for name, bits in (("_IOC_READ", encoding["dir_read"]), ("_IOC_WRITE", encoding["dir_write"]))
        if direction & bits
    ]
    shown = (hexadecimal(part) for part in (kind, number, size))
    return f"_IOC({'|'.join(directions) or '_IOC_NONE'}, {', '.join(shown)})"


def _known(scene: Scene) -> str:
    """Return the name that the request's argument is looked up by."""
    names = _names(scene.arch).get(scene.bits(1) % (1 << 32), ())
    return next((name for name in names if name in _ARGUMENTS), names[0] if names else "")


def _shown(scene: Scene) -> Sequence[str]:
    return ("fd", "request") if _known(scene) in _WITHOUT else ("fd", "request", "arg")


_WITHOUT: Final = frozenset(
    """
    BLKFLSBUF BLKRRPART BLKTRACESTART BLKTRACESTOP BLKTRACETEARDOWN BTRFS_IOC_QUOTA_RESCAN_WAIT
    BTRFS_IOC_SCRUB_CANCEL BTRFS_IOC_SYNC BTRFS_IOC_TRANS_END BTRFS_IOC_TRANS_START FIFREEZE FIOCLEX FIONCLEX FITHAW
    KDDISABIO KDENABIO KDMAPDISP KDUNMAPDISP LOOP_CLR_FD LOOP_CTL_GET_FREE LOOP_SET_CAPACITY NBD_CLEAR_QUE
    NBD_CLEAR_SOCK NBD_DISCONNECT NBD_DO_IT NBD_PRINT_DEBUG NS_GET_NSTYPE NS_GET_PARENT NS_GET_USERNS PIO_FONTRESET
    RNDCLEARPOOL RNDRESEEDCRNG RNDZAPENTCNT RTC_AIE_OFF RTC_AIE_ON RTC_PIE_OFF RTC_PIE_ON RTC_UIE_OFF RTC_UIE_ON
    RTC_VL_CLR RTC_WIE_OFF RTC_WIE_ON SG_GET_TIMEOUT TIOCCBRK TIOCCONS TIOCEXCL TIOCNOTTY TIOCNXCL TIOCSBRK
    TIOCSSERIAL TIOCVHANGUP
    """.split()  # noqa: SIM905  # a long list of words reads better as text
)
"""Requests that have no argument."""


def _argument(scene: Scene, index: int) -> str:
    name = _known(scene)
    printer = _ARGUMENTS.get(name)
    if printer is not None:
        return printer(scene, index)
    return (hidden if name.startswith(_POINTING) else _plain)(scene, index)


_POINTING: Final = (
    "BLK", "FI", "GIO_", "HDIO_GET", "KDG", "LOOP_CONF", "LOOP_GET", "LOOP_SET_S", "PIO_", "SG_", "SIOC", "TC", "TIOC",
)  # fmt: skip
"""How requests begin whose argument is an address, even where it is not shown what lies there."""


# ---- numbers ----


def _plain(scene: Scene, index: int) -> str:
    """Write a word of which it is not known whether it is an address."""
    return hexadecimal(scene.pointer(index))


def _decimal(scene: Scene, index: int) -> str:
    value = scene.registers[index] % (1 << 32)
    return str(value - (1 << 32) if value >> 31 else value)


def _descriptor(scene: Scene, index: int) -> str:
    return scene.fd(int(_decimal(scene, index)))


def _integer(scene: Scene, start: int) -> str:
    return f"[{scene.integer(start, signed=True)}]"


def _pair(scene: Scene, start: int) -> str:
    data = scene.read(start, 16)
    return array(str(int.from_bytes(data[at : at + 8], scene.order)) for at in (0, 8))


def _identifier(scene: Scene, start: int) -> str:
    return f"[{hexadecimal(scene.integer(start, 8))}]"


def _period(scene: Scene, start: int) -> str:
    return f"[{scene.integer(start, 8)}]"


def _flags(group: str) -> Printer:
    return pointed(lambda scene, start: f"[{word(group, scene.integer(start), scene.arch)}]")


def _performance(scene: Scene, index: int) -> str:
    return word("perf_ioctl", scene.pointer(index), scene.arch)


# ---- structs ----


def _random(scene: Scene, start: int) -> str:
    fields = scene.struct(start, _POOL)
    data = scene.buffer(start + _POOL.size(scene.arch), fields["buf_size"])
    return structure([*((name, str(value)) for name, value in fields.items()), ("buf", data)])


_POOL: Final = Layout("i:entropy_count i:buf_size")


_CLONE: Final = Layout("q:src_fd Q:src_offset Q:src_length Q:dest_offset")


def _clone_range(scene: Scene, start: int) -> str:
    fields = scene.struct(start, _CLONE)
    shown = [("src_fd", wide_fd(scene, fields["src_fd"])), *((k, str(v)) for k, v in fields.items() if k != "src_fd")]
    return structure(shown)


_DEDUPE: Final = Layout("Q:src_offset Q:src_length H:dest_count H:reserved1 I:reserved2")
_DEDUPE_TARGET: Final = Layout("q:dest_fd Q:dest_offset Q:bytes_deduped i:status I:reserved")


def _dedupe(scene: Scene, start: int) -> str:
    fields = scene.struct(start, _DEDUPE)
    count, size = fields["dest_count"], _DEDUPE_TARGET.size(scene.arch)
    shown: list[str] = []
    first = start + _DEDUPE.size(scene.arch)
    for place in range(min(count, _TARGETS_SHOWN)):
        try:
            one = scene.struct(first + place * size, _DEDUPE_TARGET)
        except TargetMemoryError:
            shown.append("???")
            break
        shown.append(structure([("dest_fd", wide_fd(scene, one["dest_fd"])), ("dest_offset", str(one["dest_offset"]))]))
    named = [(name, str(fields[name])) for name in ("src_offset", "src_length", "dest_count")]
    return structure([*named, ("info", array(shown, cut=count > _TARGETS_SHOWN))])


_TARGETS_SHOWN: Final = 2

_EXTENDED: Final = Layout("I:fsx_xflags I:fsx_extsize I:fsx_nextents I:fsx_projid I:fsx_cowextsize 8s:pad")


def _extended(scene: Scene, start: int) -> str:
    fields = scene.struct(start, _EXTENDED)
    return structure(
        [
            ("fsx_xflags", word("fs_xflag", fields["fsx_xflags"], scene.arch)),
            ("fsx_extsize", str(fields["fsx_extsize"])),
            ("fsx_projid", hexadecimal(fields["fsx_projid"])),
            ("fsx_cowextsize", str(fields["fsx_cowextsize"])),
        ]
    )


_EXTENTS: Final = Layout("Q:fm_start Q:fm_length I:fm_flags I:fm_mapped I:fm_extent_count I:reserved")


def _extents(scene: Scene, start: int) -> str:
    fields = scene.struct(start, _EXTENTS)
    return structure(
        [
            ("fm_start", str(fields["fm_start"])),
            ("fm_length", str(fields["fm_length"])),
            ("fm_flags", word("fiemap", fields["fm_flags"], scene.arch)),
            ("fm_extent_count", str(fields["fm_extent_count"])),
        ]
    )


def _range(scene: Scene, start: int) -> str:
    fields = scene.struct(start, _RANGE)
    return structure((name, hexadecimal(value)) for name, value in fields.items())


_RANGE: Final = Layout("Q:start Q:len")
_REGISTERED: Final = Layout("Q:start Q:len Q:mode")


def _registered(scene: Scene, start: int) -> str:
    """Write what userfaultfd(2) is to watch."""
    mode = word("userfault_mode", scene.struct(start, _REGISTERED)["mode"], scene.arch)
    return structure([("range", _range(scene, start)), ("mode", mode)])


_AGREED: Final = Layout("Q:api Q:features Q:ioctls")


def _agreed(scene: Scene, start: int) -> str:
    """Write which interface of userfaultfd(2) is wanted."""
    fields = scene.struct(start, _AGREED)
    features = word("userfault_feature", fields["features"], scene.arch)
    return structure([("api", hexadecimal(fields["api"])), ("features", features)])


_TRIM: Final = Layout("Q:start Q:len Q:minlen")


def _trim(scene: Scene, start: int) -> str:
    fields = scene.struct(start, _TRIM)
    return structure((name, hexadecimal(value) if name == "start" else str(value)) for name, value in fields.items())


def _interface_name(scene: Scene, start: int) -> str:
    data = scene.read(start, 16)
    return quoted(data.partition(b"\0")[0])


def _each(names: str, printer: Printer) -> Mapping[str, Printer]:
    return dict.fromkeys(names.split(), printer)


_ARGUMENTS: Final[Mapping[str, Printer]] = MappingProxyType(
    {
        **_each("FIONBIO FIOASYNC FIOSETOWN TIOCSPGRP TIOCPKT TIOCSETD TIOCSSOFTCAR TIOCSPTLCK", pointed(_integer)),
        **_each("SIOCSPGRP SIOCSIFENCAP BLKROSET BLKBSZSET RNDADDTOENTCNT WDIOC_SETTIMEOUT", pointed(_integer)),
        **_each("TCSBRK TCSBRKP TIOCSCTTY BLKRASET LOOP_CTL_ADD LOOP_CTL_REMOVE PERF_EVENT_IOC_REFRESH", _decimal),
        **_each("FICLONE LOOP_SET_FD LOOP_CHANGE_FD PERF_EVENT_IOC_SET_BPF", _descriptor),
        **_each("PERF_EVENT_IOC_ENABLE PERF_EVENT_IOC_DISABLE PERF_EVENT_IOC_RESET", _performance),
        **_each("BLKDISCARD BLKSECDISCARD BLKZEROOUT", pointed(_pair)),
        **_each("SIOCBRADDBR SIOCBRDELBR", pointed(_interface_name)),
        **_each("UFFDIO_WAKE UFFDIO_UNREGISTER", pointed(_range)),
        "FICLONERANGE": pointed(_clone_range),
        "FIDEDUPERANGE": pointed(_dedupe),
        "FITRIM": pointed(_trim),
        "FS_IOC_FIEMAP": pointed(_extents),
        "FS_IOC_FSSETXATTR": pointed(_extended),
        "FS_IOC_SETFLAGS": _flags("fs_flags"),
        "PERF_EVENT_IOC_PERIOD": pointed(_period),
        "RNDADDENTROPY": pointed(_random),
        "SECCOMP_IOCTL_NOTIF_ID_VALID": pointed(_identifier),
        "UFFDIO_API": pointed(_agreed),
        "UFFDIO_REGISTER": pointed(_registered),
        **terminals.REQUESTS,
        **interfaces.REQUESTS,
    }
)
"""Request -> its argument."""

ARGUMENTS: Final[Mapping[tuple[str, str], Printer]] = printers(
    ("ioctl", "request", _request),
    ("ioctl", "arg", _argument),
)

SHOWN: Final[Mapping[str, Selector]] = selectors(("ioctl", _shown))
