"""
The door: the only module that imports the compiled shim (``native/shim.h`` is its contract).

What it is: a typed Python function for each C function, and the one place where ``-errno``
becomes an exception.  What it is not: a place for decisions, waiting or ownership; ``notify``
and ``sources`` own the fds that pass through here.

The conversions, and there are no others: ``ENOENT`` for a notification is ``TargetGone``; a
memory access that fails is ``TargetMemoryError``; a step of a launch is ``LaunchError``; the
rest is ``OSError``.  Receiving is the exception to the rule that errors are raised: its outcomes
are ordinary and come once per call, so they are small integers.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping, Sequence
from errno import EACCES, EAGAIN, EFAULT, EINPROGRESS, EMFILE, ENAMETOOLONG, ENFILE, ENOENT, ENOTCONN, EPERM
from typing import Any, Final, NamedTuple, NewType, Protocol, TypeAlias, cast

from monitor import _shim  # pyright: ignore[reportAttributeAccessIssue]  # compiled, no stub
from monitor.errors import LaunchError, LaunchStage, TargetGone, TargetMemoryError

NotificationId = NewType("NotificationId", int)
"""The kernel's cookie of one notification, 64 bits wide."""

Tid = NewType("Tid", int)
"""The number of a *thread* in our pid namespace; 0 when it has none there."""

RawNotification: TypeAlias = tuple[int, int, int, int, int, int, int, int, int, int, int, int]
"""``struct seccomp_notif`` as it came: id, tid, flags, nr, arch, ip, and six argument registers."""

_UNPACK: Final = struct.Struct("=QIIiIQ6Q").unpack_from

NOTHING_QUEUED: Final = -EAGAIN
"""There is no notification now."""

NO_TASK_LEFT: Final = -ENOTCONN
"""No task uses the filter any more (``POLLHUP``): there will never be another notification."""

EVAPORATED: Final = -ENOENT
"""There was one, and it went away before it was received: a signal, or the target died."""

_Data: TypeAlias = Any
"""A cffi object; none leaves this file."""


class _FFI(Protocol):
    NULL: _Data

    def new(self, kind: str, init: object = None) -> _Data: ...
    def buffer(self, data: _Data, size: int = ...) -> bytes: ...
    def from_buffer(self, data: bytes) -> _Data: ...
    def cast(self, kind: str, value: object) -> _Data: ...


class _Lib(Protocol):
    def mon_listener_sizes(self, notif: _Data, resp: _Data, data: _Data) -> int: ...
    def mon_listener_check(self, listener: int) -> int: ...
    def mon_listener_set_flags(self, listener: int, flags: int) -> int: ...
    def mon_listener_receive(self, listener: int, notif: _Data, size: int) -> int: ...
    def mon_listener_respond(self, listener: int, ident: int, value: int, error: int, flags: int) -> int: ...
    def mon_listener_exchange(
        self, listener: int, ident: int, value: int, error: int, flags: int, notif: _Data, size: int, sent: _Data
    ) -> int: ...
    def mon_listener_id_valid(self, listener: int, ident: int) -> int: ...
    def mon_listener_add_fd(
        self, listener: int, ident: int, flags: int, fd: int, number: int, number_flags: int
    ) -> int: ...
    def mon_target_read(self, listener: int, ident: int, tid: int, address: int, buffer: _Data, size: int) -> int: ...
    def mon_target_read_string(
        self, listener: int, ident: int, tid: int, address: int, buffer: _Data, size: int
    ) -> int: ...
    def mon_target_write(self, listener: int, ident: int, tid: int, address: int, buffer: _Data, size: int) -> int: ...
    def mon_target_kill(self, listener: int, ident: int, tid: int, signal: int) -> int: ...
    def mon_launch(self, request: _Data, result: _Data) -> int: ...
    def mon_guard_release(self, guard_pidfd: int, guard_stack: _Data) -> int: ...
    def mon_probe(self, probes: _Data, count: int, cgroup: _Data, milliseconds: int) -> int: ...
    def mon_set_dumpable(self, dumpable: int) -> int: ...
    def mon_get_dumpable(self) -> int: ...
    def mon_landlock_abi(self) -> int: ...


_ffi: Final = cast("_FFI", _shim.ffi)
_lib: Final = cast("_Lib", _shim.lib)
_exchange: Final = _lib.mon_listener_exchange
_receive: Final = _lib.mon_listener_receive


def _check(result: int) -> int:
    """Return a shim result, or raise the OSError that -errno stands for."""
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    return result


def _check_waiting(result: int) -> int:
    """
    As ``_check``, for what concerns one notification: nobody waits for it.

    ``ENOENT``: its thread has gone.  ``EINPROGRESS``: it is answered, and has not yet run since
    (kernel/seccomp.c, ``seccomp_notify_send``, ``SECCOMP_NOTIFY_REPLIED``).
    """
    if result in (-ENOENT, -EINPROGRESS):
        raise TargetGone
    return _check(result)


# ---- listener.c ----


class Receiver:
    """
    The receiving half of one listener: the buffers that the kernel fills, and their sizes.

    It borrows *listener*; whoever owns the fd must not use this after closing it.  ``sent`` is
    the outcome of the last ``exchange``'s response: 0 or a negative errno.
    """

    __slots__ = ("_listener", "_notif", "_sent", "_size", "_view", "sent")

    def __init__(self, listener: int) -> None:
        """Ask the kernel for its sizes (``SECCOMP_GET_NOTIF_SIZES``)."""
        notif, resp, data = (_ffi.new("uint16_t *") for _ in range(3))
        _check(_lib.mon_listener_sizes(notif, resp, data))
        self._listener = listener
        self._size = int(notif[0])
        self._notif = _ffi.new("uint64_t[]", (self._size + 7) // 8)
        self._view = _ffi.buffer(self._notif, self._size)
        self._sent = _ffi.new("int *")
        self.sent = 0

    def receive(self) -> RawNotification | int:
        """Return the next notification without waiting, or ``NOTHING_QUEUED`` and its like."""
        result = _receive(self._listener, self._notif, self._size)
        return cast("RawNotification", _UNPACK(self._view)) if result == 0 else result

    def exchange(self, ident: int, value: int, error: int, flags: int) -> RawNotification | int:
        """Respond (*error* is 0 or a negative errno), then ``receive``, in one call of C."""
        result = _exchange(self._listener, ident, value, error, flags, self._notif, self._size, self._sent)
        self.sent = self._sent[0]
        return cast("RawNotification", _UNPACK(self._view)) if result == 0 else result


def listener_check(listener: int) -> None:
    """Raise OSError unless *listener* is a seccomp listener."""
    _check(_lib.mon_listener_check(listener))


def listener_set_flags(listener: int, flags: int) -> None:
    """``SECCOMP_IOCTL_NOTIF_SET_FLAGS``; OSError on a kernel before 6.6."""
    _check(_lib.mon_listener_set_flags(listener, flags))


def listener_respond(listener: int, ident: int, value: int, error: int, flags: int) -> None:
    """Send one response; *error* is 0 or a negative errno.  Raises TargetGone."""
    _check_waiting(_lib.mon_listener_respond(listener, ident, value, error, flags))


def listener_is_valid(listener: int, ident: int) -> bool:
    """Whether the thread behind *ident* still waits for its answer."""
    result = _lib.mon_listener_id_valid(listener, ident)
    return result != -ENOENT and _check(result) == 0


def listener_add_fd(listener: int, ident: int, flags: int, fd: int, number: int, number_flags: int) -> int:
    """Put a duplicate of *fd* into the target; its number there.  Raises TargetGone, or OSError."""
    return _check_waiting(_lib.mon_listener_add_fd(listener, ident, flags, fd, number, number_flags))


# ---- memory.c ----


def _check_access(result: int, address: int, what: str) -> int:
    if result >= 0:
        return result
    if result in (-EFAULT, -ENAMETOOLONG, -EACCES, -EPERM):
        raise TargetMemoryError(address, -result, what)
    if result in (-EMFILE, -ENFILE):
        raise OSError(-result, os.strerror(-result))
    return _check_waiting(result)


def target_read(listener: int, ident: int, tid: int, address: int, size: int) -> bytes:
    """Up to *size* bytes at *address*; fewer where the mapping ends, never none."""
    buffer = _ffi.new("char[]", size)
    result = _lib.mon_target_read(listener, ident, tid, address, buffer, size)
    return bytes(_ffi.buffer(buffer, _check_access(result, address, f"read {size} bytes")))


def target_read_string(listener: int, ident: int, tid: int, address: int, limit: int) -> bytes:
    """Return the bytes before the first NUL, which must come within *limit* bytes."""
    buffer = _ffi.new("char[]", limit)
    result = _lib.mon_target_read_string(listener, ident, tid, address, buffer, limit)
    return bytes(_ffi.buffer(buffer, _check_access(result, address, "read a string")))


def target_write(listener: int, ident: int, tid: int, address: int, data: bytes) -> int:
    """Write *data* at *address*; the count, which is short where a page is missing."""
    result = _lib.mon_target_write(listener, ident, tid, address, _ffi.from_buffer(data), len(data))
    return _check_access(result, address, f"write {len(data)} bytes")


def target_kill(listener: int, ident: int, tid: int, signal: int) -> None:
    """Send *signal* to the process of the waiting thread.  Raises TargetGone, or OSError."""
    _check_waiting(_lib.mon_target_kill(listener, ident, tid, signal))


# ---- launch.c ----


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


GUARD_KILL: Final = bytes([_shim.lib.MON_GUARD_KILL])
"""To the guard: kill every process of the tree, and end with the last."""

GUARD_DETACH: Final = bytes([_shim.lib.MON_GUARD_DETACH])
"""To the guard: end, and leave the tree alone."""

GUARD_STATUS: Final = struct.Struct("=i")
"""From the guard, once: the wait status of the first process."""

_STAGES: Final[Mapping[int, LaunchStage]] = {
    int(getattr(_shim.lib, f"MON_STAGE_{stage.name}")): stage for stage in LaunchStage if stage is not LaunchStage.FIND
}


def _c_strings(strings: Sequence[bytes], keep: list[_Data]) -> _Data:
    """Return a NULL-terminated array of C strings; *keep* holds what it points to."""
    items = [_ffi.new("char[]", item) for item in strings]
    array = _ffi.new("char *[]", [*items, _ffi.NULL])
    keep += [*items, array]
    return array


def _c_request(request: LaunchRequest, cancel_fd: int, keep: list[_Data]) -> _Data:
    """Lay *request* out as the C structure; *keep* holds everything that it points to."""

    def new(kind: str, init: object) -> _Data:
        data = _ffi.new(kind, init)
        keep.append(data)
        return data

    return new(
        "struct mon_launch_request *",
        {
            "paths": _ffi.cast("const char *const *", _c_strings(request.paths, keep)),
            "argv": _c_strings(request.argv, keep),
            "envp": _c_strings(request.envp, keep),
            "directory": _ffi.NULL if request.directory is None else new("char[]", request.directory),
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
    keep: list[_Data] = []
    result = _ffi.new("struct mon_launch_result *")
    error = _lib.mon_launch(_c_request(request, cancel_fd, keep), result)
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
        guard_stack=int(_ffi.cast("uintptr_t", result.guard_stack)),
    )


def guard_release(owned_guard_pidfd: int, guard_stack: int) -> None:
    """Reap the guard, unmap its stack and close its pidfd; sleeps until the guard has ended."""
    _check(_lib.mon_guard_release(owned_guard_pidfd, _ffi.cast("void *", guard_stack)))


# ---- probe.c ----


def probe(names: Sequence[str], cgroup: bytes | None, milliseconds: int) -> list[tuple[str, int, int, int]]:
    """
    Try features in children: outcome (as in ``MON_PROBE_*``), step, errno and value of each.

    Sleeps, without the interpreter's lock.  Raises OSError when no child could be made.
    """
    outcomes = {getattr(_lib, f"MON_PROBE_{name}"): name for name in ("NOT_STARTED", "DONE", "KILLED", "TIMED_OUT")}
    keep = [_ffi.new("char[]", name.encode()) for name in names]
    probes = _ffi.new("struct mon_probe[]", [{"name": name} for name in keep])
    _check(_lib.mon_probe(probes, len(keep), _ffi.NULL if cgroup is None else cgroup, milliseconds))
    return [(outcomes[one.outcome], one.step, one.error, one.value) for one in probes]


# ---- process-wide ----


def set_dumpable(*, dumpable: bool) -> None:
    """``PR_SET_DUMPABLE`` of this process, prctl(2)."""
    _check(_lib.mon_set_dumpable(dumpable))


def is_dumpable() -> bool:
    """``PR_GET_DUMPABLE`` of this process, prctl(2)."""
    return _check(_lib.mon_get_dumpable()) == 1


def landlock_abi() -> int:
    """Return the kernel's Landlock ABI version; 0 when there is none or it is switched off."""
    return max(0, _lib.mon_landlock_abi())
