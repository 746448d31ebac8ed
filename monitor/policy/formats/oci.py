"""
OCI runtime-spec seccomp, in: a profile by itself, or the ``config.json`` that it stands in.

What it is not: Docker's and containers-common's superset of it (``docker``).

``SCMP_ACT_NOTIFY`` becomes an ask, which fails with ENOSYS where nobody answers, as it does
under a runtime whose agent is gone.  ``SCMP_ACT_KILL`` kills the thread, as ``SCMP_ACT_KILL_THREAD``.

Source: opencontainers/runtime-spec, ``config-linux.md``, "Seccomp".
"""

from __future__ import annotations

from pathlib import Path, PurePath

from monitor.abi.arch import Arch
from monitor.origin import Origin
from monitor.policy.formats import Finding, Loaded, content
from monitor.policy.formats.hosts import Runtime, loaded
from monitor.policy.formats.profile import Place, document, read


def load(
    source: Path | str | bytes, *, machine: Arch | None = None, runtime: Runtime = "runc", name: str = ""
) -> Loaded:
    """
    Return what the profile in *source*, a path or the text itself, means on host *machine*.

    Without *machine* it is for every 64-bit host, and each ABI is that of the host that can run it.
    *runtime* is whose reading it is where they differ (``hosts``).

    Raises:
        PolicyError: it is no profile.
    """
    text, origin = content(source)
    findings: list[Finding] = []
    place = _profile(Place(document(text, origin, findings), origin, findings))
    profile = read(place, wider=False)
    return loaded(profile, findings, name=name or name_of(origin), machine=machine, runtime=runtime)


def _profile(place: Place) -> Place:
    """Return the profile itself: *place*, or what stands at ``linux.seccomp`` in it."""
    value = place.value
    if isinstance(value, dict) and "linux" in value:
        linux = place.get("linux")
        if linux is None or not isinstance(linux.value, dict):
            place.fail("linux is no object")
        seccomp = linux.get("seccomp")
        if seccomp is None:
            linux.fail("no seccomp: the container runs without a filter")
        return seccomp
    return place


def name_of(origin: Origin) -> str:
    """Return the name of a policy out of file *origin*."""
    return PurePath(origin.file).stem or "profile"
