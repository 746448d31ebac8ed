"""
What a handler may answer, as a closed set of values that cannot be built wrong.

What it is not: the response.  ``dispatch`` turns a verdict into one, and refuses those that are
not legal for the call at hand.
"""

from __future__ import annotations

import os
import signal as signals
from errno import errorcode
from typing import TypeAlias, final

from attrs import field, frozen, validators

from monitor.abi.seccomp import MAX_ERRNO, RESTARTS

_INT64_MIN = -(1 << 63)
_UINT64_MAX = (1 << 64) - 1


def _not_a_bool(_instance: object, attribute: object, value: object) -> None:
    """Refuse ``Deny(True)``: bool is an int to ``isinstance``, and no errno to anybody."""
    if isinstance(value, bool):
        msg = f"{getattr(attribute, 'name', 'value')} must be an int, not {value!r}"
        raise TypeError(msg)


_INTEGER = [validators.instance_of(int), _not_a_bool]


@final
@frozen
class Allow:
    """
    Let the kernel run the call with the target's own arguments (``SECCOMP_USER_NOTIF_FLAG_CONTINUE``).

    This is a decision about *registers*: number, flags, fd numbers, sizes.  What a pointer
    points to is read again by the kernel, and the target can change it in between, so an
    ``Allow`` after a look at the target's memory is refused, unless *racy* says why it is only
    observation and the supervisor is not strict.  Source: seccomp_unotify(2), "Caveats".
    """

    racy: str | None = field(default=None)

    @racy.validator  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUntypedFunctionDecorator, reportOptionalMemberAccess]  # one function of ours: a handler makes one of these for almost every call
    def _has_a_reason(self, _attribute: object, value: object) -> None:
        if value is None:
            return
        if not isinstance(value, str):
            msg = f"racy must be a str that says why the race does not matter, not {value!r}"
            raise TypeError(msg)
        if not value.strip():
            msg = "racy must say why the race does not matter, or be None"
            raise ValueError(msg)


@final
@frozen
class Deny:
    """
    The call is not executed; the target sees -1 and this positive *errno* (1 to 4095).

    512 to 516 are refused: they are the kernel's own words for "make the call again", and no
    program can be meant by them (include/linux/errno.h, ``ERESTARTSYS`` and its relatives).
    """

    errno: int = field(validator=[*_INTEGER, validators.ge(1), validators.le(MAX_ERRNO)])

    @errno.validator  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUntypedFunctionDecorator]
    def _is_for_programs(self, _attribute: object, value: int) -> None:
        if value in RESTARTS:
            msg = f"{value} would make the kernel restart the call; it is no errno that a program knows"
            raise ValueError(msg)

    def __str__(self) -> str:
        """Return the errno's name."""
        return f"Deny({errorcode.get(self.errno, self.errno)})"


@final
@frozen
class Return:
    """
    The call is not executed; the target sees this *value*, a 64-bit register.

    -4095 to -1, signed or not, would be errors to every libc: those are ``Deny``.
    """

    value: int = field(validator=[*_INTEGER, validators.ge(_INT64_MIN), validators.le(_UINT64_MAX)])

    @value.validator  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUntypedFunctionDecorator]
    def _is_no_error(self, _attribute: object, value: int) -> None:
        signed = value - (1 << 64) if value >> 63 > 0 else value  # -1 is 2**64 - 1 too
        if -MAX_ERRNO <= signed < 0:
            msg = f"{value} would be an errno to the target: use Deny({-signed})"
            raise ValueError(msg)


def _to_fd(value: object) -> int:
    fileno = getattr(value, "fileno", None)
    if callable(fileno):
        msg = "InjectFd closes its fd: pass file.detach() or os.dup(file.fileno()), not the file object"
        raise TypeError(msg)
    if not isinstance(value, int) or isinstance(value, bool):
        msg = f"fd must be an int, not {value!r}"
        raise TypeError(msg)
    return value


@final
@frozen
class InjectFd:
    """
    The call is not executed; the target gets a duplicate of *fd* and sees its number.

    Injection and answer are one atomic step (``SECCOMP_ADDFD_FLAG_SEND``, Linux 5.14).  The
    duplicate shares the file description: offset and file status flags are common.  An
    ``O_PATH`` descriptor cannot be injected (the kernel says EBADF).

    Ownership: *fd* belongs to the verdict from the moment the handler returns it, and is closed
    after the answer, whatever became of it.  Pass ``os.dup(fd)`` to keep yours.

    *close_on_exec* is the flag in the target; *at* the number it shall have there (as dup2
    does), or None for the lowest that is free.
    """

    fd: int = field(converter=_to_fd, validator=validators.ge(0))
    close_on_exec: bool = field(kw_only=True, converter=bool)
    at: int | None = field(
        default=None, kw_only=True, validator=validators.optional([*_INTEGER, validators.ge(0), validators.lt(1 << 31)])
    )

    def close(self) -> None:
        """Close the fd; dispatch does so exactly once."""
        os.close(self.fd)


def _to_signal(value: int) -> signals.Signals:
    if isinstance(value, bool):
        msg = f"signal must be a number of signal(7), not {value!r}"
        raise TypeError(msg)
    return signals.Signals(value)


@final
@frozen
class Kill:
    """
    Send *signal* to the target's process; the call itself is not executed.

    The signal is delivered before the target runs another instruction: it is pending when the
    call is answered (with EPERM, for a signal that the target survives).
    """

    signal: signals.Signals = field(default=signals.SIGKILL, converter=_to_signal)


@final
@frozen
class Pass:
    """No opinion: ask the next handler, and after the last one the supervisor's ``otherwise``."""


@final
@frozen
class Emulate:
    """
    Do the call on the target's behalf, as the kernel would, and answer with what came of it.

    It is done on our own copy of the arguments: what the target changes meanwhile changes nothing.
    What a policy refuses stays refused.  ``call.emulate()`` returns it, and refuses calls that
    cannot be done for anybody.
    """


Verdict: TypeAlias = Allow | Deny | Return | InjectFd | Kill | Pass | Emulate
"""What a handler returns."""
