"""
What may sleep for ever is done by a process that can be told to stop: the function of native/helper.c.

What it is not: a decision about what is done, or the owner of what it returns (``broker.helper``).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from monitor._native.shim import constant, ffi, lib

HELPER_OPEN: Final = constant("MON_HELPER_OPEN")
"""Open once more what the fd holds, with the flags of open(2)."""

HELPER_TRUNCATE: Final = constant("MON_HELPER_TRUNCATE")
"""Truncate what the fd holds."""

SIGNALLED: Final = constant("MON_HELPER_SIGNALLED")
"""It was told to stop, since a signal was delivered to the thread that waits."""

UNWANTED: Final = constant("MON_HELPER_UNWANTED")
"""It was told to stop, since nobody waits any more."""

NO_HELPER: Final = constant("MON_HELPER_NONE")
"""There can be no helper, and the errno is ours."""


class Waiter(NamedTuple):
    """
    For whom something is done, and how it is known whether that is still wanted.

    Attributes:
        listener: borrowed.
        ident: of the notification.
        tid: of the thread.
        cancel: an eventfd(2), readable when nobody waits any more.
        heeds_signals: whether a signal to the thread ends it, too.
    """

    listener: int
    ident: int
    tid: int
    cancel: int
    heeds_signals: bool


def run_helper(waiter: Waiter, proc: int, fd: int, operation: int, flags: int, length: int) -> tuple[int, int]:
    """
    Do *operation* on what *fd* holds, and sleep until it has come to an end.

    Returns what the call does, an fd of ours, 0 or -errno, and why it was told to stop; 0: it was not.
    """
    helper = ffi.new("struct mon_helper *")
    helper.listener = waiter.listener
    helper.id = waiter.ident
    helper.tid = waiter.tid
    helper.cancel = waiter.cancel
    helper.heeds_signals = waiter.heeds_signals
    helper.proc = proc
    helper.fd = fd
    helper.operation = operation
    helper.flags = flags
    helper.length = length
    return lib.mon_helper_run(helper), int(helper.why)
