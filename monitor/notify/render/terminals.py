"""
Requests to terminals: their settings and their size.

What it is not: ioctl(2) as such (``ioctl``).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from monitor.abi.arch import Arch
from monitor.abi.words import word
from monitor.notify.render.kinds import Printer, pointed
from monitor.notify.render.layout import Layout
from monitor.notify.render.scene import Scene
from monitor.notify.render.text import address, quoted, structure

_SETTINGS: Final = Layout("I:iflag I:oflag I:cflag I:lflag")
_OLD_SETTINGS: Final = Layout("H:iflag H:oflag H:cflag H:lflag")


def _settings(scene: Scene, start: int) -> str:
    return _written(scene, start, _SETTINGS)


def _old_settings(scene: Scene, start: int) -> str:
    return _written(scene, start, _OLD_SETTINGS)


def _written(scene: Scene, start: int, layout: Layout) -> str:
    """Write a struct termios: the four words of flags, without the characters behind them."""
    if scene.arch is Arch.PPC64LE:  # it has flags of its own (arch/powerpc/include/uapi/asm/termbits.h)
        return address(start)
    fields = scene.struct(start, layout)
    return structure(
        [
            ("c_iflag", _flags("termios_iflag", fields["iflag"], scene.arch)),
            ("c_oflag", _delays(fields["oflag"], scene.arch)),
            ("c_cflag", _line(fields["cflag"], scene.arch)),
            ("c_lflag", _flags("termios_lflag", fields["lflag"], scene.arch)),
        ],
        cut=True,
    )


def _flags(group: str, value: int, arch: Arch) -> str:
    return word(group, value, arch).partition(" ")[0] if value else ""


_DELAYS: Final = (
    (0o000400, ("NL0", "NL1")),
    (0o003000, ("CR0", "CR1", "CR2", "CR3")),
    (0o014000, ("TAB0", "TAB1", "TAB2", "XTABS")),
    (0o020000, ("BS0", "BS1")),
    (0o040000, ("VT0", "VT1")),
    (0o100000, ("FF0", "FF1")),
)
"""Masks of the output modes, and what each value in them is called (include/uapi/asm-generic/termbits.h)."""


def _delays(value: int, arch: Arch) -> str:
    shown: list[str] = []
    for mask, names in _DELAYS:
        shown.append(names[(value & mask) // (mask & -mask)])
        value &= ~mask
    return "|".join([*shown, _flags("termios_oflag", value, arch)])


_SPEED: Final = 0o010017
_SPEED_IN: Final = 16
_SIZES: Final = ("CS5", "CS6", "CS7", "CS8")
_SIZE: Final = 0o60


def _line(value: int, arch: Arch) -> str:
    shown = [word("termios_speed", value & _SPEED, arch)]
    speed_in = value >> _SPEED_IN & _SPEED
    if speed_in:
        shown.append(f"{word('termios_speed', speed_in, arch)}<<IBSHIFT")
    shown.append(_SIZES[(value & _SIZE) >> 4])
    rest = value & ~(_SPEED | _SPEED << _SPEED_IN | _SIZE)
    return "|".join([*shown, _flags("termios_cflag", rest, arch)])


_WINDOW: Final = Layout("H:ws_row H:ws_col H:ws_xpixel H:ws_ypixel")


def _window(scene: Scene, start: int) -> str:
    return structure((name, str(value)) for name, value in scene.struct(start, _WINDOW).items())


def _typed(scene: Scene, start: int) -> str:
    return quoted(scene.read(start, 1))


def _lines(scene: Scene, start: int) -> str:
    return f"[{word('modem_line', scene.integer(start), scene.arch)}]"


def _queue(scene: Scene, index: int) -> str:
    return word("terminal_queue", scene.pointer(index), scene.arch)


def _flow(scene: Scene, index: int) -> str:
    return word("terminal_flow", scene.pointer(index), scene.arch)


REQUESTS: Final[Mapping[str, Printer]] = MappingProxyType(
    {
        **dict.fromkeys(("TCSETS", "TCSETSW", "TCSETSF", "TCSETS2", "TCSETSW2", "TCSETSF2"), pointed(_settings)),
        **dict.fromkeys(("TCSETA", "TCSETAW", "TCSETAF"), pointed(_old_settings)),
        **dict.fromkeys(("TIOCMBIS", "TIOCMBIC", "TIOCMSET"), pointed(_lines)),
        "TIOCSWINSZ": pointed(_window),
        "TIOCSTI": pointed(_typed),
        "TCFLSH": _queue,
        "TCXONC": _flow,
    }
)
"""Request -> its argument."""
