"""
What a kernel and a user can do, tried: the functions of native/probe.c, and of this process.

What it is not: what it means that something is missing (``features``).
"""

from __future__ import annotations

from collections.abc import Sequence

from monitor._native.shim import check, constant, ffi, lib


def probe(names: Sequence[str], cgroup: bytes | None, milliseconds: int) -> list[tuple[str, int, int, int]]:
    """
    Try features in children: outcome (as in ``MON_PROBE_*``), step, errno and value of each.

    Sleeps, without the interpreter's lock.  Raises OSError when no child could be made.
    """
    outcomes = {constant(f"MON_PROBE_{name}"): name for name in ("NOT_STARTED", "DONE", "KILLED", "TIMED_OUT")}
    keep = [ffi.new("char[]", name.encode()) for name in names]
    probes = ffi.new("struct mon_probe[]", [{"name": name} for name in keep])
    check(lib.mon_probe(probes, len(keep), ffi.NULL if cgroup is None else cgroup, milliseconds))
    return [(outcomes[one.outcome], one.step, one.error, one.value) for one in probes]


def set_dumpable(*, dumpable: bool) -> None:
    """``PR_SET_DUMPABLE`` of this process, prctl(2)."""
    check(lib.mon_set_dumpable(dumpable))


def is_dumpable() -> bool:
    """``PR_GET_DUMPABLE`` of this process, prctl(2)."""
    return check(lib.mon_get_dumpable()) == 1


def landlock_abi() -> int:
    """Return the kernel's Landlock ABI version; 0 when there is none or it is switched off."""
    return max(0, lib.mon_landlock_abi())
