"""Events for tests, with everything filled in that a test does not care about."""

from __future__ import annotations

from errno import EACCES

from monitor.abi.arch import Arch
from monitor.events.record import CallAnswered
from monitor.notify.render import Rendered
from monitor.notify.verdict import Deny, Verdict


def answered(**changes: object) -> CallAnswered:
    """Return ``openat(AT_FDCWD, "/etc/shadow", O_RDONLY)``, refused by a handler, with *changes*."""
    values: dict[str, object] = {
        "name": "openat",
        "nr": 257,
        "arch": Arch.X86_64,
        "tid": 4711,
        "comm": "sh",
        "pid": 4710,
        "exe": b"/bin/sh",
        "rendered": Rendered(
            "openat",
            ("dirfd", "pathname", "flags"),
            ("AT_FDCWD", '"/etc/shadow"', "O_RDONLY"),
            {"pathname": b"/etc/shadow"},
        ),
        "args": (0xFFFFFF9C, 0x1000, 0, 0, 0, 0),
        "verdict": Deny(EACCES),
        "by": "handler",
        "handler": "guard",
        "observed": False,
        "delivered": True,
        "latency_seconds": 0.0005,
        "time": 1_700_000_000.25,
        **changes,
    }
    return CallAnswered(**values)  # type: ignore[arg-type]


def refused(verdict: Verdict, **changes: object) -> CallAnswered:
    """Return the same with another *verdict*."""
    return answered(verdict=verdict, **changes)
