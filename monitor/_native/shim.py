"""
The compiled shim with types, and what its results mean.

What it is not: for anybody outside of this folder.  It is the only module that imports the shim.
"""

from __future__ import annotations

import os
from errno import EINPROGRESS, ENOENT
from typing import Any, Final, Protocol, TypeAlias, cast

from monitor import _shim  # pyright: ignore[reportAttributeAccessIssue]  # compiled, no stub
from monitor.errors import TargetGone

Data: TypeAlias = Any
"""A cffi object; none leaves this folder."""


class FFI(Protocol):
    NULL: Data

    def new(self, kind: str, init: object = None) -> Data: ...
    def buffer(self, data: Data, size: int = ...) -> bytes: ...
    def from_buffer(self, data: bytes) -> Data: ...
    def cast(self, kind: str, value: object) -> Data: ...


class Lib(Protocol):
    def mon_listener_sizes(self, notif: Data, resp: Data, data: Data) -> int: ...
    def mon_listener_check(self, listener: int) -> int: ...
    def mon_listener_set_flags(self, listener: int, flags: int) -> int: ...
    def mon_listener_receive(self, listener: int, notif: Data, size: int) -> int: ...
    def mon_listener_respond(self, listener: int, ident: int, value: int, error: int, flags: int) -> int: ...
    def mon_listener_exchange(
        self, listener: int, ident: int, value: int, error: int, flags: int, notif: Data, size: int, sent: Data
    ) -> int: ...
    def mon_listener_id_valid(self, listener: int, ident: int) -> int: ...
    def mon_listener_add_fd(
        self, listener: int, ident: int, flags: int, fd: int, number: int, number_flags: int
    ) -> int: ...
    def mon_target_read(self, listener: int, ident: int, tid: int, address: int, buffer: Data, size: int) -> int: ...
    def mon_target_read_string(
        self, listener: int, ident: int, tid: int, address: int, buffer: Data, size: int
    ) -> int: ...
    def mon_target_peek(self, tid: int, address: int, buffer: Data, size: int) -> int: ...
    def mon_target_peek_string(self, tid: int, address: int, buffer: Data, size: int) -> int: ...
    def mon_target_write(self, listener: int, ident: int, tid: int, address: int, buffer: Data, size: int) -> int: ...
    def mon_target_kill(self, listener: int, ident: int, tid: int, signal: int) -> int: ...
    def mon_launch(self, request: Data, result: Data) -> int: ...
    def mon_guard_release(self, guard_pidfd: int, guard_stack: Data) -> int: ...
    def mon_probe(self, probes: Data, count: int, cgroup: Data, milliseconds: int) -> int: ...
    def mon_set_dumpable(self, dumpable: int) -> int: ...
    def mon_get_dumpable(self) -> int: ...
    def mon_landlock_abi(self) -> int: ...


ffi: Final = cast("FFI", _shim.ffi)
lib: Final = cast("Lib", _shim.lib)


def check(result: int) -> int:
    """Return a shim result, or raise the OSError that -errno stands for."""
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    return result


def check_waiting(result: int) -> int:
    """
    As ``_check``, for what concerns one notification: nobody waits for it.

    ``ENOENT``: its thread has gone.  ``EINPROGRESS``: it is answered, and has not yet run since
    (kernel/seccomp.c, ``seccomp_notify_send``, ``SECCOMP_NOTIFY_REPLIED``).
    """
    if result in (-ENOENT, -EINPROGRESS):
        raise TargetGone
    return check(result)


def constant(name: str) -> int:
    """Return a constant of native/shim.h, as the compiler saw it."""
    return int(getattr(_shim.lib, name))
