"""
What can be read about where we run: settings of the kernel, our own filters, containers.

What it is not: a probe.  A file says what is meant to be allowed, which is why no feature is
judged by it alone; it serves to say who forbids what a probe found forbidden.

Everything here answers "not known" rather than fail: any of these files may be missing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")

_INITIAL_PID_NAMESPACE: Final = 0xEFFFFFFC
_INITIAL_USER_NAMESPACE: Final = 0xEFFFFFFD
"""The inode numbers of the first namespaces (``PROC_PID_INIT_INO``, ``PROC_USER_INIT_INO``)."""

_GVISOR_BUILD: Final = "Sun Jan 10 15:06:54 PST 2016"
"""What gVisor says of itself in uname(2), whatever release it pretends to be."""

_LISTENER_LINK: Final = "anon_inode:seccomp notify"


CAPABILITIES: Final[Mapping[str, int]] = {
    "CAP_KILL": 5,
    "CAP_SETGID": 6,
    "CAP_SETUID": 7,
    "CAP_SYS_CHROOT": 18,
    "CAP_SYS_PTRACE": 19,
    "CAP_SYS_ADMIN": 21,
    "CAP_SYS_RESOURCE": 24,
}
"""Those that matter to a supervisor (include/uapi/linux/capability.h)."""


def read(path: Path | str) -> str | None:
    """Return the text of a file without its end of line; None where it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").rstrip("\n")
    except OSError:
        return None


def sysctl(name: str) -> int | None:
    """Return a setting such as ``kernel.yama.ptrace_scope``; None where there is none."""
    text = read(PROC / "sys" / name.replace(".", "/"))
    try:
        return None if text is None else int(text)
    except ValueError:
        return None


def filters() -> int | None:
    """Return how many seccomp filters this process is under (``Seccomp_filters``, Linux 5.9)."""
    for line in (read(PROC / "self" / "status") or "").splitlines():
        name, _, value = line.partition(":")
        if name == "Seccomp_filters":
            return int(value)
    return None


def in_chroot() -> bool:
    """Whether our root is no mount: the root of a namespace always is one."""
    lines = (read(PROC / "self" / "mountinfo") or "").splitlines()
    return bool(lines) and all(line.split()[4] != "/" for line in lines)


def security_modules() -> str | None:
    """Return the active LSMs, as the kernel lists them."""
    return read("/sys/kernel/security/lsm")


def listener_holders() -> list[str]:
    """
    Return who holds a seccomp listener, as "PID (name)", as far as we may look.

    Which of them is ours the kernel tells nobody.
    """
    return [f"{process.name} ({read(process / 'comm') or '?'})" for process in _processes() if _has_listener(process)]


def _processes() -> Iterator[Path]:
    try:
        yield from (path for path in PROC.iterdir() if path.name.isdecimal() and path.name != str(os.getpid()))
    except OSError:
        return


def _has_listener(process: Path) -> bool:
    try:
        return any(str(entry.readlink()) == _LISTENER_LINK for entry in (process / "fd").iterdir())
    except OSError:
        return False


# ---- control groups ----


def own_cgroup() -> Path | None:
    """Return the directory of our control group in a version 2 hierarchy; None where none is mounted."""
    mount = _cgroup2_mount((read(PROC / "self" / "mountinfo") or "").splitlines())
    lines = (read(PROC / "self" / "cgroup") or "").splitlines()
    own = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), None)
    if mount is None or own is None:
        return None
    root, place = mount
    if not f"{own}/".startswith(f"{root}/") or own.startswith("/.."):  # our group is outside of what is mounted
        return None
    return place / own.removeprefix(root).lstrip("/")


def _cgroup2_mount(mountinfo: list[str]) -> tuple[str, Path] | None:
    """Return (root within the hierarchy, mount point), proc_pid_mountinfo(5)."""
    for line in mountinfo:
        fields, _, behind = line.partition(" - ")
        if behind.startswith("cgroup2 "):
            root, place = fields.split()[3:5]
            return root.rstrip("/"), Path(place.replace("\\040", " "))
    return None


# ---- containers ----


def container() -> list[str]:
    """Return what there is around us, the most telling first: gVisor, WSL, a container and its namespaces."""
    uname = os.uname()
    return identify(uname.release, uname.version, os.environ, read, _namespace)


def _namespace(kind: str) -> int | None:
    try:
        return (PROC / "self" / "ns" / kind).stat().st_ino
    except OSError:
        return None


def identify(
    release: str,
    version: str,
    environ: Mapping[str, str],
    text_of: Callable[[str], str | None],
    namespace: Callable[[str], int | None],
) -> list[str]:
    """As ``container``, from what a machine says of itself: uname(2), the environment, files, namespaces."""
    found = [*_kernels(release, version), *_containers(environ, text_of), *_namespaces(namespace)]
    return list(dict.fromkeys(found))


def _kernels(release: str, version: str) -> Iterator[str]:
    if "gvisor" in release.lower() or _GVISOR_BUILD in version:
        yield "gVisor"
    if "microsoft" in release.lower():  # "4.4.0-19041-Microsoft", "5.15.90.1-microsoft-standard-WSL2"
        yield "WSL 2" if "WSL2" in release or "microsoft-standard" in release else "WSL 1"


def _containers(environ: Mapping[str, str], text_of: Callable[[str], str | None]) -> Iterator[str]:
    """Yield the managers of containers that left their mark, as systemd-detect-virt(1) looks for it."""
    if text_of("/run/.containerenv") is not None:
        yield "Podman"
    if text_of("/.dockerenv") is not None:
        yield "Docker"
    if "KUBERNETES_SERVICE_HOST" in environ:
        yield "Kubernetes"
    of_first = (text_of("/proc/1/environ") or "").split("\0")
    words = [line.removeprefix("container=") for line in of_first if line.startswith("container=")]
    for word in (text_of("/run/systemd/container"), *words, environ.get("container")):
        if word:
            yield {"podman": "Podman", "docker": "Docker"}.get(word, word)


def _namespaces(namespace: Callable[[str], int | None]) -> Iterator[str]:
    for kind, initial in (("pid", _INITIAL_PID_NAMESPACE), ("user", _INITIAL_USER_NAMESPACE)):
        if namespace(kind) not in {initial, None}:
            yield f"a {kind} namespace of its own"
