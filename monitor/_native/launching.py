"""
Starting a program under a filter: the functions of native/launch.c, and what they are given.

What it is not: the choice of what is started (``sources.launch``).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from monitor._native.shim import Data, check, constant, ffi, lib
from monitor.errors import LaunchError, LaunchStage


class LaunchRequest(NamedTuple):
    """``struct mon_launch_request``: what is to be started, every choice already made."""

    paths: Sequence[bytes]
    argv: Sequence[bytes]
    envp: Sequence[bytes]
    program: bytes
    cookie: tuple[int, int, int]
    fds: Mapping[int, int]
    """The program's number -> our number."""
    directory: bytes | None = None
    namespaces: int = 0
    uid_map: bytes = b""
    gid_map: bytes = b""
    deny_setgroups: bool = False
    limits: Sequence[tuple[int, int, int]] = ()
    groups: Sequence[int] | None = None
    uid: int | None = None
    gid: int | None = None
    new_session: bool = False
    no_new_privs: bool = True
    end_with_supervisor: bool = True
    landlock: tuple[int, int, int] = (0, 0, 0)
    use_cookie: bool = False


class Launched(NamedTuple):
    """``struct mon_launch_result``: every fd in it now belongs to the caller."""

    path: bytes
    """The one of the paths that was executed."""
    pid: int
    pidfd: int
    listener: int
    wait_killable: bool
    by_cookie: bool
    control: int
    guard_pid: int
    guard_pidfd: int
    guard_stack: int


GUARD_KILL: Final = bytes([constant("MON_GUARD_KILL")])
"""To the guard: kill every process of the tree, and end with the last."""

GUARD_DETACH: Final = bytes([constant("MON_GUARD_DETACH")])
"""To the guard: end, and leave the tree alone."""

GUARD_STATUS: Final = struct.Struct("=i")
"""From the guard, once: the wait status of the first process."""

_STAGES: Final[Mapping[int, LaunchStage]] = {
    constant(f"MON_STAGE_{stage.name}"): stage for stage in LaunchStage if stage is not LaunchStage.FIND
}


def _c_strings(strings: Sequence[bytes], keep: list[Data]) -> Data:
    """Return a NULL-terminated array of C strings; *keep* holds what it points to."""
    items = [ffi.new("char[]", item) for item in strings]
    array = ffi.new("char *[]", [*items, ffi.NULL])
    keep += [*items, array]
    return array


def _c_request(request: LaunchRequest, cancel_fd: int, keep: list[Data]) -> Data:
    """Lay *request* out as the C structure; *keep* holds everything that it points to."""

    def new(kind: str, init: object) -> Data:
        data = ffi.new(kind, init)
        keep.append(data)
        return data

    return new(
        "struct mon_launch_request *",
        {
            "paths": ffi.cast("const char *const *", _c_strings(request.paths, keep)),
            "argv": _c_strings(request.argv, keep),
            "envp": _c_strings(request.envp, keep),
            "directory": ffi.NULL if request.directory is None else new("char[]", request.directory),
            "program": new("char[]", request.program),
            "program_length": len(request.program) // 8,
            "cookie": list(request.cookie),
            "namespaces": request.namespaces,
            "uid_map": new("char[]", request.uid_map),
            "gid_map": new("char[]", request.gid_map),
            "deny_setgroups": request.deny_setgroups,
            "fds": new("struct mon_fd[]", [(source, number) for number, source in sorted(request.fds.items())]),
            "fd_count": len(request.fds),
            "limits": new("struct mon_limit[]", list(request.limits)),
            "limit_count": len(request.limits),
            "groups": new("uint32_t[]", list(request.groups or ())),
            "group_count": -1 if request.groups is None else len(request.groups),
            "uid": -1 if request.uid is None else request.uid,
            "gid": -1 if request.gid is None else request.gid,
            "new_session": request.new_session,
            "no_new_privs": request.no_new_privs,
            "end_with_supervisor": request.end_with_supervisor,
            "landlock_fs": request.landlock[0],
            "landlock_net": request.landlock[1],
            "landlock_scoped": request.landlock[2],
            "use_cookie": request.use_cookie,
            "cancel_fd": cancel_fd,
        },
    )


def _subject(request: LaunchRequest, stage: LaunchStage, detail: int) -> str:
    """Return what a failing *stage* was applied to."""
    match stage:
        case LaunchStage.EXEC:
            return os.fsdecode(request.paths[detail])
        case LaunchStage.DIRECTORY:
            return os.fsdecode(request.directory or b"")
        case LaunchStage.FILE_DESCRIPTORS if detail >= 0:
            return f"fd {sorted(request.fds)[detail]}"
        case LaunchStage.RESOURCE_LIMITS:
            return f"limit {request.limits[detail][0]}"
        case _:
            return ""


def launch(request: LaunchRequest, cancel_fd: int) -> Launched:
    """
    Start a program under a filter and fetch its listener (``native/launch.c`` has the protocol).

    Sleeps, without the interpreter's lock, until the program runs or has failed to: call it on
    a worker thread.  When *cancel_fd* becomes readable it gives up with ``ECANCELED``.

    Raises:
        LaunchError: a step failed; nothing is left of the attempt.
    """
    keep: list[Data] = []
    result = ffi.new("struct mon_launch_result *")
    error = lib.mon_launch(_c_request(request, cancel_fd, keep), result)
    if error < 0:
        stage = _STAGES[result.stage]
        raise LaunchError(stage, -error, _subject(request, stage, result.detail))
    return Launched(
        path=request.paths[result.detail],
        pid=result.pid,
        pidfd=result.pidfd,
        listener=result.listener,
        wait_killable=bool(result.wait_killable),
        by_cookie=bool(result.by_cookie),
        control=result.control,
        guard_pid=result.guard_pid,
        guard_pidfd=result.guard_pidfd,
        guard_stack=int(ffi.cast("uintptr_t", result.guard_stack)),
    )


def guard_release(owned_guard_pidfd: int, guard_stack: int) -> None:
    """Reap the guard, unmap its stack and close its pidfd; sleeps until the guard has ended."""
    check(lib.mon_guard_release(owned_guard_pidfd, ffi.cast("void *", guard_stack)))
