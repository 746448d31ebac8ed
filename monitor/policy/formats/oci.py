"""
OCI runtime-spec seccomp, in and out: a profile by itself; in, also the ``config.json`` that it stands in.

What it is not: Docker's and containers-common's superset of it (``docker``).

A profile has no order of rules that its author could choose (``scmp``), so what goes out is written in
rules that never contradict each other.  It says the same for every ABI; where a policy does not, the
stricter is written and a finding names the call.

``SCMP_ACT_NOTIFY`` becomes an ask, which fails with ENOSYS where nobody answers, as it does
under a runtime whose agent is gone.  ``SCMP_ACT_KILL`` kills the thread, as ``SCMP_ACT_KILL_THREAD``.

Source: opencontainers/runtime-spec, ``config-linux.md``, "Seccomp".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

from monitor.abi.arch import Arch
from monitor.origin import Origin
from monitor.policy.formats import Dumped, FormatFinding, Listener, Loaded, content
from monitor.policy.formats.hosts import Runtime, loaded
from monitor.policy.formats.profile import Place, document, read
from monitor.policy.formats.rows import OutRow, written
from monitor.policy.formats.scmp import ARCHES
from monitor.policy.model import Policy


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
    findings: list[FormatFinding] = []
    place = _profile(Place(document(text, origin, findings), origin, findings, folds=runtime == "runc"))
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


def dump(
    policy: Policy, *, machine: Arch | None = None, listener: Listener | None = None, flags: Sequence[str] = ()
) -> Dumped:
    """
    Return *policy* as a profile, for the ABIs of *machine* alone where one is given.

    *listener* is whom a runtime shall give what is asked or handled.
    """
    shape, findings = as_shape(policy, machine=machine, listener=listener, flags=flags)
    return Dumped(json.dumps(shape, indent=2) + "\n", findings)


def as_shape(
    policy: Policy, *, machine: Arch | None = None, listener: Listener | None = None, flags: Sequence[str] = ()
) -> tuple[Mapping[str, object], tuple[FormatFinding, ...]]:
    """Return the object that ``dump`` writes."""
    found = written(policy, machine)
    findings = list(found.findings)
    shape: dict[str, object] = {"defaultAction": found.default.name}
    if found.default.errno is not None:
        shape["defaultErrnoRet"] = found.default.errno
    shape["architectures"] = [name for name, arch in ARCHES.items() if arch in found.arches]
    if flags:
        shape["flags"] = list(flags)
    if listener is not None:
        shape["listenerPath"] = listener.path
        if listener.metadata:
            shape["listenerMetadata"] = listener.metadata
    elif any(row.action.name == "SCMP_ACT_NOTIFY" for row in found.rows):
        message = "calls are asked about or handled: a runtime wants a listenerPath for them"
        findings.append(FormatFinding(message, policy.origin))
    shape["syscalls"] = [_row(row) for row in found.rows]
    return shape, tuple(findings)


def _row(row: OutRow) -> Mapping[str, object]:
    shape: dict[str, object] = {"names": list(row.names), "action": row.action.name}
    if row.action.errno is not None:
        shape["errnoRet"] = row.action.errno
    if row.comparisons:
        shape["args"] = [
            {"index": one.index, "value": one.value, "op": one.operation}
            | ({"valueTwo": one.value_two} if one.operation == "SCMP_CMP_MASKED_EQ" else {})
            for one in row.comparisons
        ]
    return shape
