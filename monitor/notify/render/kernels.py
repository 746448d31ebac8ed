"""
The machine and its kernel: reboot, kexec, modules, the log, ports, and calls that no kernel has any more.

What it is not: file systems (``mounts``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from monitor.abi.constants import names
from monitor.abi.words import word
from monitor.notify.render.kinds import Printer, elements, hexed, hidden, in_words, pointed
from monitor.notify.render.layout import Layout
from monitor.notify.render.scene import Scene
from monitor.notify.render.table import Selector, printers, selectors
from monitor.notify.render.text import address, quoted, structure

# ---- reboot ----

_COMMAND_LENGTH: Final = 255
"""How much of the string of LINUX_REBOOT_CMD_RESTART2 the kernel takes (kernel/reboot.c)."""


def _reboot(scene: Scene) -> Sequence[str]:
    with_string = names("reboot", scene.arch).get(scene.bits(2)) == "LINUX_REBOOT_CMD_RESTART2"
    return ("magic", "magic2", "op", "arg") if with_string else ("magic", "magic2", "op")


def _restart_command(scene: Scene, start: int) -> str:
    data = scene.read_some(start, min(_COMMAND_LENGTH, scene.look.string_limit) + 1)
    end = data.find(0)
    return quoted(data[:end]) if end >= 0 else quoted(data[: scene.look.string_limit], cut=True)


# ---- kexec ----

_SEGMENT: Final = Layout("P:buf P:bufsz P:mem P:memsz")
_MOST_SEGMENTS: Final = 16
"""``KEXEC_SEGMENT_MAX`` (include/uapi/linux/kexec.h)."""

_MACHINE: Final = 0xFFFF0000
"""The part of kexec_load(2)'s flags that names a machine (``KEXEC_ARCH_MASK``)."""


def _segments(scene: Scene, index: int) -> str:
    start, count = scene.pointer(index), scene.get("nr_segments")
    if count > _MOST_SEGMENTS:
        return address(start)
    return elements(scene, start, count, _SEGMENT.size(scene.arch), lambda data: _segment(scene, data))


def _segment(scene: Scene, data: bytes) -> str:
    fields = _SEGMENT.read(data, scene.arch)
    return structure((name, str(value) if name.endswith("sz") else address(value)) for name, value in fields.items())


def _kexec_flags(scene: Scene, index: int) -> str:
    value = scene.bits(index)
    flags = value & ~_MACHINE
    machine = word("kexec_arch", value - flags, scene.arch)
    return f"{machine}|{word('kexec', flags, scene.arch).partition(' ')[0]}" if flags else machine


# ---- the log ----

_WITHOUT_BUFFER: Final = frozenset(
    f"SYSLOG_ACTION_{name}"
    for name in ("CLOSE", "OPEN", "CLEAR", "CONSOLE_OFF", "CONSOLE_ON", "SIZE_UNREAD", "SIZE_BUFFER")
)


def _action(scene: Scene) -> str | None:
    return names("syslog", scene.arch).get(scene.value(0))


def _syslog(scene: Scene) -> Sequence[str]:
    return ("type",) if _action(scene) in _WITHOUT_BUFFER else ("type", "bufp", "len")


def _action_name(scene: Scene, index: int) -> str:
    return f"{scene.value(index)} /* {_action(scene) or 'SYSLOG_ACTION_???'} */"


def _length(scene: Scene, index: int) -> str:
    value = scene.value(index)
    if _action(scene) != "SYSLOG_ACTION_CONSOLE_LEVEL":
        return str(value)
    return f"{value} /* {names('log_level', scene.arch).get(value, 'LOGLEVEL_???')} */"


# ---- names ----

_NAME_LENGTH: Final = 64
"""The longest name of a host or of a domain (``__NEW_UTS_LEN``, include/uapi/linux/utsname.h)."""


def _name_length(scene: Scene, index: int) -> str:
    return str(scene.bits(index))


def _host_name(scene: Scene, index: int) -> str:
    start, size = scene.pointer(index), scene.get("len")
    return scene.buffer(start, size) if 0 <= size <= _NAME_LENGTH else address(start)


# ---- ports ----


def _level(scene: Scene, index: int) -> str:
    value = scene.bits(index)
    return str(value - (1 << 32) if value >> 31 else value)


# ---- calls that strace knows by name only ----

_RAW: Final = (
    ("afs_syscall getpmsg putpmsg vserver", ("arg1", "arg2", "arg3", "arg4", "arg5")),
    ("security tuxcall", ("arg1", "arg2", "arg3")),
    ("create_module", ("name", "size")),
    ("query_module", ("name", "which", "buf", "bufsize", "ret")),
    ("get_kernel_syms", ("table",)),
    ("nfsservctl", ("cmd", "argp", "resp")),
    ("sysfs", ("option", "arg1", "arg2")),
    ("bdflush", ("func", "data")),
    ("gtty stty", ("fd", "arg")),
    ("profil", ("buf", "bufsiz", "offset", "scale")),
    ("ulimit", ("cmd", "newlimit")),
)
"""Their registers are shown."""

ARGUMENTS: Final[Mapping[tuple[str, str], Printer]] = printers(
    *((calls, argument, hexed) for calls, arguments in _RAW for argument in arguments),
    ("delete_module", "flags", in_words("delete_module")),
    ("init_module", "module_image", hidden),
    ("iopl", "level", _level),
    ("setdomainname sethostname", "name", _host_name),
    ("setdomainname sethostname", "len", _name_length),
    ("ioperm", "from", hexed),
    ("ioperm", "num", hexed),
    ("kexec_load", "flags", _kexec_flags),
    ("kexec_load", "segments", _segments),
    ("reboot", "magic", in_words("reboot_magic")),
    ("reboot", "magic2", in_words("reboot_magic2")),
    ("reboot", "arg", pointed(_restart_command)),
    ("syslog", "type", _action_name),
    ("syslog", "bufp", hidden),
    ("syslog", "len", _length),
)

SHOWN: Final[Mapping[str, Selector]] = selectors(
    ("reboot", _reboot),
    ("syslog", _syslog),
)
