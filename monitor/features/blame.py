"""
Who forbids what a probe found forbidden, and what to do about it.

What it is not: the finding.  A probe says *that* something fails and with which errno; this says
*why*, from the errno and from what can be read of the surroundings, and is silent where that would
be a guess.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from errno import EACCES, EAGAIN, EBUSY, EINVAL, EMFILE, ENODEV, ENOENT, ENOSPC, ENOSYS, EOPNOTSUPP, EPERM, EROFS, ESRCH
from typing import Final, TypeAlias

from monitor import _native
from monitor.features import surroundings
from monitor.features.catalogue import Entry

_Blame: TypeAlias = Callable[[int, int], str]
"""(errno, step) -> advice, or nothing."""

YAMA_SCOPE: Final = "kernel.yama.ptrace_scope"
YAMA_ADMIN_ONLY: Final = 2
"""From this scope on not even a descendant may be looked into without CAP_SYS_PTRACE; above it by nobody."""

_REFUSED: Final = frozenset({EPERM, EACCES})


def advice(entry: Entry, errno: int, step: int) -> str:
    """Return who forbids *entry*, whose probe failed with *errno* at *step*, and what to do; or nothing."""
    blame = _BLAMES.get(entry.name)
    specific = blame(errno, step) if blame else ""
    return specific or _profile(entry, errno) or (f"it takes {entry.takes}" if entry.takes else "")


def _profile(entry: Entry, errno: int) -> str:
    """Suspect the filters that we are under of what the kernel itself would not say."""
    count = surroundings.filters()
    if not count or errno not in _REFUSED | {ENOSYS, EINVAL}:
        return ""
    takes = f", unless the kernel lacks it: it takes {entry.takes}" if entry.takes and errno not in _REFUSED else ""
    plural = "a seccomp filter" if count == 1 else f"{count} seccomp filters"
    return f"this process runs under {plural}, which may refuse it (a container's profile){takes}"


def _processes(errno: int, _step: int) -> str:
    if errno != EAGAIN:
        return ""
    return "a limit on processes is reached: RLIMIT_NPROC (ulimit -u), or pids.max of the control group"


def _open_files(errno: int, _step: int) -> str:
    return "raise RLIMIT_NOFILE (ulimit -n)" if errno == EMFILE else ""


def _proc(errno: int, _step: int) -> str:
    if errno == ESRCH:
        return "what is mounted is that of another pid namespace: mount one anew (mount -t proc proc /proc)"
    return "mount it (mount -t proc proc /proc)" if errno == ENOENT else ""


def _listener(errno: int, _step: int) -> str:
    if errno != EBUSY:
        return ""
    holders = surroundings.listener_holders()
    who = f", held by one of: {', '.join(holders)}" if holders else ""
    return f"this process is under a listener already{who}; the kernel allows only one, so run it outside of that"


def _second_listener(errno: int, _step: int) -> str:
    return "no kernel up to 6.18 gives a second one" if errno == EBUSY else ""


def _looking(errno: int, _step: int) -> str:
    """Whatever asks for ``PTRACE_MODE_ATTACH``, ptrace(2)."""
    if errno not in _REFUSED:
        return ""
    scope = surroundings.sysctl(YAMA_SCOPE) or 0
    if scope >= YAMA_ADMIN_ONLY:
        return f"{YAMA_SCOPE} is {scope}: {lower_yama(scope)}"
    if not _native.is_dumpable():
        return "this process is not dumpable: it changed its user, or was told so, and has to be executed anew"
    return ""


def _asking_as_root(errno: int, step: int) -> str:
    """``PTRACE_O_SUSPEND_SECCOMP`` and ``PTRACE_SECCOMP_GET_FILTER``: kernel/ptrace.c, kernel/seccomp.c."""
    if errno not in _REFUSED or step == 0:
        return ""
    if surroundings.filters():
        return "whoever asks must not be under a seccomp filter"
    return "it takes CAP_SYS_ADMIN in the first user namespace"


def _landlock(errno: int, _step: int) -> str:
    if errno != EOPNOTSUPP:
        return ""
    return "it is built in and switched off: add landlock to lsm= of the kernel's command line"


def _user_namespaces(errno: int, step: int) -> str:
    """user_namespaces(7), and the switches of Debian and Ubuntu."""
    if errno == ENOSPC:
        limit = surroundings.sysctl("user.max_user_namespaces")
        return (
            f"user.max_user_namespaces is {limit}, or they are nested 32 deep: sysctl -w user.max_user_namespaces=15000"
        )
    if errno not in _REFUSED:
        return ""
    return _namespace_switch() or _namespace_place(step)


def _namespace_switch() -> str:
    if surroundings.sysctl("kernel.unprivileged_userns_clone") == 0 and os.geteuid() != 0:
        return "kernel.unprivileged_userns_clone is 0: sysctl -w kernel.unprivileged_userns_clone=1"
    if surroundings.sysctl("kernel.apparmor_restrict_unprivileged_userns"):
        return (
            "AppArmor does (kernel.apparmor_restrict_unprivileged_userns is 1): "
            "give the program a profile that says userns, or set it to 0"
        )
    return ""


def _namespace_place(step: int) -> str:
    if step == 0 and surroundings.in_chroot():
        return "a process in a chroot may not make any: enter the root with pivot_root(2) instead"
    unknown = "no switch of the kernel says so: a security module may forbid it, and to a chroot it always is"
    return "" if surroundings.filters() else unknown


def _cgroup(errno: int, _step: int) -> str:
    if errno == ENODEV:
        return "no version 2 hierarchy is mounted that shows our own group"
    if errno in {EACCES, EROFS}:
        return "the group is not ours to divide: systemd-run --user --scope -p Delegate=yes gives one that is"
    return ""


def _io_uring(errno: int, _step: int) -> str:
    setting = surroundings.sysctl("kernel.io_uring_disabled")
    return f"kernel.io_uring_disabled is {setting}" if errno == EPERM and setting else ""


def lower_yama(scope: int) -> str:
    """Return what to do about a *scope* of YAMA that stands in the way (Documentation/admin-guide/LSM/Yama.rst)."""
    if scope > YAMA_ADMIN_ONLY:
        return "nobody may, and only a restart of the machine changes that"
    return f"it takes CAP_SYS_PTRACE, or sysctl -w {YAMA_SCOPE}=1"


_BLAMES: Final[Mapping[str, _Blame]] = {
    "processes": _processes,
    "open files": _open_files,
    "/proc": _proc,
    "listener": _listener,
    "second listener": _second_listener,
    "pidfd_getfd": _looking,
    "/proc/PID/mem": _looking,
    "process_vm_readv": _looking,
    "ptrace seize": _looking,
    "suspend seccomp": _asking_as_root,
    "filter dump": _asking_as_root,
    "Landlock": _landlock,
    "user namespaces": _user_namespaces,
    "cgroup": _cgroup,
    "io_uring": _io_uring,
}
