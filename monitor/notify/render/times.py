"""
Times: seconds with their parts, timers, and what the clock is set to.

What it is not: which clock (a constant), or the times of a file (``files``).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from monitor.abi.words import word
from monitor.notify.render.kinds import Printer, pointed
from monitor.notify.render.layout import Fields, Layout
from monitor.notify.render.scene import Scene
from monitor.notify.render.table import Selector, printers, selectors
from monitor.notify.render.text import structure

TIMESPEC: Final = Layout("t:tv_sec T:tv_nsec")
TIMEVAL: Final = Layout("t:tv_sec T:tv_usec")


def timespec(scene: Scene, start: int) -> str:
    """Write a struct timespec; the part of a second is unsigned, as its range has nothing below 0."""
    return plain(scene.struct(start, TIMESPEC))


def timeval(scene: Scene, start: int) -> str:
    """Write a struct timeval."""
    return plain(scene.struct(start, TIMEVAL))


def plain(fields: Fields) -> str:
    """Write a struct of nothing but decimal numbers."""
    return structure((name, str(value)) for name, value in fields.items())


def moment(seconds: int, part: int = 0, digits: int = 0) -> str:
    """
    Return the comment behind a time since the epoch: `` /* 1970-01-01T00:00:01+0000 */``.

    *part* of a second has *digits* decimal digits.  Nothing for 0, and for what is no time.
    """
    if (seconds == 0 and part == 0) or not 0 <= part < 10**digits:
        return ""
    try:
        local = time.localtime(seconds)
        fraction = f".{part:0{digits}}" if part else ""
        return (
            f" /* {local.tm_year:04}{time.strftime('-%m-%dT%H:%M:%S', local)}{fraction}{time.strftime('%z', local)} */"
        )
    except (OverflowError, OSError, ValueError):  # the year does not fit in C's int
        return ""


# ---- timers ----

_TIMER: Final = Layout("t:interval T:interval_part t:value T:value_part")


def _timer(scene: Scene, start: int, part: str) -> str:
    fields = scene.struct(start, _TIMER)
    return structure(
        (f"it_{name}", structure([("tv_sec", str(fields[name])), (part, str(fields[f"{name}_part"]))]))
        for name in ("interval", "value")
    )


def itimerspec(scene: Scene, start: int) -> str:
    """Write a struct itimerspec."""
    return _timer(scene, start, "tv_nsec")


def itimerval(scene: Scene, start: int) -> str:
    """Write a struct itimerval."""
    return _timer(scene, start, "tv_usec")


# ---- the clock ----

_TIMEX: Final = Layout(
    "I:modes t:offset t:freq t:maxerror t:esterror i:status t:constant t:precision t:tolerance t:tv_sec T:tv_usec "
    "t:tick t:ppsfreq t:jitter i:shift t:stabil t:jitcnt t:calcnt t:errcnt t:stbcnt i:tai 44s"
)
_TIMEX64: Final = Layout(
    "I:modes 4s t:offset t:freq t:maxerror t:esterror i:status 4s t:constant t:precision t:tolerance "
    "t:tv_sec T:tv_usec t:tick t:ppsfreq t:jitter i:shift 4s t:stabil t:jitcnt t:calcnt t:errcnt t:stbcnt i:tai 44s"
)
"""The same with 64-bit times, whose holes are written out: i386 would have none (include/uapi/linux/timex.h)."""

_TIMEX_GROUPS: Final = MappingProxyType({"modes": "adjtime_mode", "status": "adjtime_status"})


def timex(scene: Scene, start: int) -> str:
    """Write what adjtimex(2) is asked for; what the kernel fills is not there yet."""
    fields = scene.struct(start, _TIMEX64 if scene.wide_time else _TIMEX)
    shown: list[tuple[str, str]] = []
    for name, value in fields.items():
        group = _TIMEX_GROUPS.get(name)
        if group is not None:
            shown.append((name, word(group, value % (1 << 32), scene.arch)))
        elif name == "tv_sec":
            shown.append(("time", structure([("tv_sec", str(value)), ("tv_usec", str(fields["tv_usec"]))])))
        elif name != "tv_usec":
            shown.append((name, str(value)))
    return structure(shown)


_TIMEZONE: Final = Layout("i:tz_minuteswest i:tz_dsttime")


def _timezone(scene: Scene, start: int) -> str:
    return plain(scene.struct(start, _TIMEZONE))


def _time_of_day(scene: Scene, start: int) -> str:
    seconds = scene.integer(start, scene.word, signed=True)
    return f"[{seconds}{moment(seconds)}]"


ARGUMENTS: Final[Mapping[tuple[str, str], Printer]] = printers(("stime", "tptr", pointed(_time_of_day)))

SHOWN: Final[Mapping[str, Selector]] = selectors()

KINDS: Final[Mapping[str, Printer]] = MappingProxyType(
    {
        "timespec": pointed(timespec),
        "timeval": pointed(timeval),
        "struct:itimerspec": pointed(itimerspec),
        "struct:itimerval": pointed(itimerval),
        "struct:timex": pointed(timex),
        "struct:timezone": pointed(_timezone),
    }
)
