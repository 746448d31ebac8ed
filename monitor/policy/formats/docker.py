"""
The seccomp profiles of Docker and of containers-common (Podman, Buildah, CRI-O), and the two that ship with them.

What it is not: the specification that they add to (``oci``), which is what runtimes are given.

What they add depends on the host and on the container, and is decided before a runtime sees it:

* ``archMap``: the ABIs of the host's entry; hosts without one have their own ABI alone.
* ``includes``: the row stands only where the host's ABI is among ``arches``, *all* of ``caps`` are the
  container's, and the kernel is ``minKernel`` or newer.  ``excludes``: it does not stand where the ABI
  is among them, *any* of ``caps`` is the container's, or the kernel is that new.  The ABI is the
  host's, for rules about its other ABIs too, in the words of Go.
* ``errno`` and ``defaultErrno`` (containers-common): a name or digits; they win over the numbers.
* ``name``: one call, in the place of ``names``.

Source: moby/profiles, ``seccomp/seccomp_linux.go`` and ``kernel_linux.go``; containers/common,
``pkg/seccomp/seccomp_linux.go`` (which has no ``minKernel``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Final, Literal, TypeAlias, cast

from attrs import evolve

from monitor.abi import tables
from monitor.abi.arch import Arch
from monitor.origin import Origin
from monitor.policy.formats import FormatFinding, Loaded, content
from monitor.policy.formats.hosts import Runtime, Selection, loaded
from monitor.policy.formats.oci import name_of
from monitor.policy.formats.profile import Filter, Place, Profile, Row, document, read
from monitor.policy.model import Version

DEFAULT_CAPS: Final = frozenset(
    {
        "CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD",
        "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID",
        "CAP_SYS_CHROOT",
    }
)  # fmt: skip
"""What a container of Docker has without being asked (moby, ``daemon/pkg/oci/caps/defaults.go``)."""

OLDEST_KERNEL: Final[Version] = (5, 14)
"""The oldest that this package supervises on: what is taken where nobody says which kernel it is."""

_GO_NAMES: Final = {
    Arch.X86_64: {"amd64"},
    Arch.I386: {"x86"},
    Arch.X32: {"x32"},
    Arch.AARCH64: {"arm64"},
    Arch.ARM: {"arm"},
    Arch.RISCV64: {"riscv64"},
    Arch.PPC64LE: {"ppc64le"},
    Arch.S390X: {"s390x"},
    Arch.LOONGARCH64: {"loong64", "loongarch64"},
}
"""Libseccomp-golang's ``ScmpArch.String``; moby has a table of its own, which spells the last one out."""

Shipped: TypeAlias = Literal["moby", "containers-common"]


def load(
    source: Path | str | bytes,
    *,
    caps: Iterable[str] = DEFAULT_CAPS,
    kernel: Version = OLDEST_KERNEL,
    machine: Arch | None = None,
    runtime: Runtime = "runc",
    name: str = "",
) -> Loaded:
    """
    Return what the profile in *source*, a path or the text itself, means for a container.

    *caps* is its bounding set, ``CAP_CHOWN`` and so on: never the supervisor's own.  *kernel* is what
    ``minKernel`` is compared with; nothing is asked of the kernel that runs now.  Without *machine* the
    policy is for every 64-bit host.  *runtime* is whose reading it is where they differ (``hosts``).

    Raises:
        PolicyError: it is no profile.
    """
    text, origin = content(source)
    findings: list[FormatFinding] = []
    profile = read(Place(document(text, origin, findings), origin, findings, folds=True), wider=True)
    selects = _selection(frozenset(caps), kernel)
    return loaded(profile, findings, name=name or name_of(origin), machine=machine, runtime=runtime, selects=selects)


def shipped(
    profile: Shipped,
    *,
    caps: Iterable[str] = DEFAULT_CAPS,
    kernel: Version = OLDEST_KERNEL,
    machine: Arch | None = None,
    runtime: Runtime = "runc",
    name: str = "",
) -> Loaded:
    """Return the default profile of Docker (moby) or Podman (containers-common), as of the version in the tables."""
    read_profile, findings = _shipped(profile)
    selects = _selection(frozenset(caps), kernel)
    return loaded(read_profile, findings, name=name or profile, machine=machine, runtime=runtime, selects=selects)


def _selection(caps: frozenset[str], kernel: Version) -> Selection:
    def selects(row: Row, host: Arch) -> bool:
        return not _excluded(row.excludes, caps, kernel, host) and _included(row.includes, caps, kernel, host)

    return selects


def _excluded(filtered: Filter, caps: frozenset[str], kernel: Version, host: Arch) -> bool:
    return (
        not _GO_NAMES[host].isdisjoint(filtered.arches)
        or not caps.isdisjoint(filtered.caps)
        or (filtered.min_kernel is not None and kernel >= filtered.min_kernel)
    )


def _included(filtered: Filter, caps: frozenset[str], kernel: Version, host: Arch) -> bool:
    return (
        (not filtered.arches or not _GO_NAMES[host].isdisjoint(filtered.arches))
        and caps.issuperset(filtered.caps)
        and (filtered.min_kernel is None or kernel >= filtered.min_kernel)
    )


@cache
def _shipped(name: Shipped) -> tuple[Profile, tuple[FormatFinding, ...]]:
    findings: list[FormatFinding] = []
    profiles = cast("Mapping[str, Mapping[str, object]]", cast("Mapping[str, object]", tables.groups())["profiles"])
    shape = profiles[name]
    origin = Origin(f"{name} {shape['version']}")
    profile = read(Place(_document(shape), origin, findings), wider=True)
    return evolve(profile, rows=tuple(_explained(row) for row in profile.rows)), tuple(findings)


_REASONS: Final = {
    "_llseek": "what programs in containers commonly need",
    "bdflush": "known, and not for containers: EPERM, where calls that nobody knew get ENOSYS",
    "clone": "no new namespaces without the right to administrate",
    "clone3": "its flags are in memory, where no filter can look; libc falls back to clone",
    "personality": "Linux itself, its 32-bit variant, the old kernel version, or the question which one is set",
    "process_vm_readv": "older kernels let a tracer change the call after the filter had seen it",
    "socket": "address families: not AF_ALG (38) and AF_VSOCK (40), and of netlink's protocols by capability",
}
"""First call of a row -> why it is there; profiles ship without a word about it."""


def _explained(row: Row) -> Row:
    words = [_REASONS.get(row.names[0], "")]
    words += [f"on hosts of {', '.join(row.includes.arches)}"] if row.includes.arches else []
    words += [f"with {' and '.join(row.includes.caps)}"] if row.includes.caps else []
    words += [f"without {' or '.join(row.excludes.caps)}"] if row.excludes.caps else []
    return evolve(row, comment=row.comment or "; ".join(word for word in words if word))


def _document(shape: Mapping[str, object]) -> dict[str, object]:
    """Return the profile of the tables in the words of its own format."""
    arch_map = cast("dict[str, list[str]]", shape["arch_map"])
    return {
        "defaultAction": shape["default_action"],
        "defaultErrnoRet": shape["default_errno_value"],
        "archMap": [{"architecture": arch, "subArchitectures": others} for arch, others in arch_map.items()],
        "syscalls": [_row(row) for row in cast("list[dict[str, object]]", shape["rules"])],
    }


def _row(row: dict[str, object]) -> dict[str, object]:
    renamed = {"errno_value": "errnoRet"}
    result = {renamed.get(key, key): value for key, value in row.items() if key not in {"errno", "args"}}
    arguments = cast("list[dict[str, object]]", row.get("args", []))
    if arguments:
        result["args"] = [
            {("valueTwo" if key == "value_two" else key): value for key, value in argument.items()}
            for argument in arguments
        ]
    return result
