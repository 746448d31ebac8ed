"""
What a failed launch means to the user: a step and an errno become advice.

What it is not: imported before something has failed; and it changes nothing about what failed.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from errno import (
    EACCES,
    EAGAIN,
    EBUSY,
    EINVAL,
    EMFILE,
    ENOENT,
    ENOEXEC,
    ENOSPC,
    ENOSYS,
    EOPNOTSUPP,
    EPERM,
    EUSERS,
)
from pathlib import Path
from typing import Final

from monitor.errors import KernelFeatureError, LaunchError, LaunchStage

_OURS: Final = frozenset(
    {
        LaunchStage.PREPARE,
        LaunchStage.GUARD,
        LaunchStage.CLONE,
        LaunchStage.FILE_DESCRIPTORS,
        LaunchStage.NO_NEW_PRIVS,
        LaunchStage.FILTER,
        LaunchStage.LISTENER,
    }
)
"""The steps that every launch takes, whatever is asked for: the kernel and the user's rights decide them."""


def explained(error: LaunchError, program: bytes, namespaces: Collection[str]) -> LaunchError | KernelFeatureError:
    """Return *error* with what the user can do about it; he asked for *program*, in new *namespaces*."""
    match error.stage, error.errno:
        case LaunchStage.FILTER, number if number in {EINVAL, ENOSYS}:
            return KernelFeatureError(
                "SECCOMP_FILTER_FLAG_NEW_LISTENER", "it takes Linux 5.14 with CONFIG_SECCOMP_FILTER"
            )
        case LaunchStage.FILTER, number if number == EBUSY:
            hint = (
                "this process is itself supervised through a seccomp listener (some container runtimes do that), "
                "and the kernel allows only one"
            )
        case LaunchStage.CLONE, number if number in {ENOSPC, EUSERS} and namespaces:
            hint = "there are as many namespaces as /proc/sys/user/max_*_namespaces allows, or they are nested too deep"
        case LaunchStage.CLONE, number if number in {EPERM, EINVAL, ENOSYS} and namespaces:
            hint = f"this user may not make new namespaces ({', '.join(sorted(namespaces))})"
        case LaunchStage.GUARD, number if number == ENOENT:
            return KernelFeatureError(
                "CONFIG_PROC_CHILDREN", "it takes /proc/thread-self/children to end a process tree"
            )
        case LaunchStage.LANDLOCK, number if number in {ENOSYS, EOPNOTSUPP, EINVAL}:
            return KernelFeatureError("Landlock", "it takes Linux 5.13 with landlock among the active LSMs")
        case LaunchStage.EXEC, number if number in {ENOENT, EACCES, ENOEXEC}:
            hint = _about_program(Path(error.subject), number)
        case stage, number if stage in _OURS and number in {EPERM, EACCES, ENOSYS, EAGAIN, EMFILE}:
            hint = "`seccomp-monitor doctor` tells what this kernel and user allow, and who forbids the rest"
        case _:
            return error
    return LaunchError(error.stage, error.errno, _shown_subject(error, program), hint)


def _shown_subject(error: LaunchError, program: bytes) -> str:
    """Return the program as the user wrote it when it was looked for in PATH and nowhere found."""
    if error.stage is LaunchStage.EXEC and error.errno == ENOENT:
        return os.fsdecode(program)
    return error.subject


def _about_program(path: Path, errno: int) -> str:
    """Say what is wrong with a program file; looked at from here, so only a hint."""
    try:
        if path.is_dir():
            return "it is a directory"
        with path.open("rb") as file:
            head = file.read(256)
    except OSError:
        return "" if errno != EACCES else "it is not executable, or a directory on the way is closed"
    if head.startswith(b"#!"):
        interpreter = head[2:].split(b"\n")[0].strip().split(b" ")[0]
        if errno == ENOENT:
            return f"its interpreter {os.fsdecode(interpreter)} does not exist"
    elif errno == ENOENT and head.startswith(b"\x7fELF"):
        return "its dynamic loader does not exist"
    return {
        EACCES: "it is not executable, or a directory on the way is closed",
        ENOEXEC: "it is neither a binary of this machine nor a script with a #! line",
    }.get(errno, "")
