"""
Every exception the package raises, in one place.

What it is not: the place where errnos are converted (``_native`` and ``notify`` do
that), nor a home for ordinary outcomes, which are values.

The tree::

    MonitorError
      PolicyError             what was asked of the filter cannot be meant; .message .origin
        ProgramTooLongError     it can be meant, and is too long for the kernel
        PolicyNotLoosenable     a program that is installed cannot be changed so; .calls
      LaunchError             the program did not start; .stage .errno
      KernelFeatureError      this kernel or user lacks what was asked for; .feature
      TargetMemoryError       an address in the target cannot be read or written; .address .errno
      TargetGone              nobody waits for this answer any more (no fault: ends no loop)
      HandlerError            a handler broke its contract; .call_name .handler
      SupervisorError         a failure of ours ended the supervision; the cause is attached

``OSError`` stays ``OSError`` where nothing is added to it.  A closed or doubly used
resource raises trio's own ``ClosedResourceError`` and ``BusyResourceError``.  A value
that cannot be meant is refused by its class with ``ValueError`` or ``TypeError``.
"""

from __future__ import annotations

import enum
import os
from errno import errorcode
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monitor.origin import Origin


class MonitorError(Exception):
    """The root: catches every exception this package defines."""


class PolicyError(MonitorError):
    """
    What was asked of the filter cannot be meant: an unknown call, an argument that is not there.

    Attributes:
        message: what is wrong.
        origin: where it was written; None where nobody knows.  What is printed begins with it.
    """

    def __init__(self, message: str, origin: Origin | None = None) -> None:
        """Say what is wrong, and where."""
        self.message = message
        self.origin = origin
        place = "" if origin is None else str(origin)
        if origin is not None and origin.line and origin.key:
            place += f": {origin.key}"
        super().__init__(f"{place}: {message}" if place else message)

    def at(self, origin: Origin) -> PolicyError:
        """Return the same complaint with a place, where it has none yet."""
        return self if self.origin is not None else type(self)(self.message, origin)


class ProgramTooLongError(PolicyError):
    """The filter can be meant, but needs more than the kernel's 4096 instructions (``BPF_MAXINSNS``)."""


class PolicyNotLoosenable(PolicyError):
    """
    A new policy decides calls differently that the installed program decides without us.

    A filter cannot be taken away or changed.  What shall stay changeable has to be marked
    ``mutable`` in the policy that the program starts under.

    Attributes:
        calls: their names, in order, as ``openat`` or ``i386 openat``.
    """

    def __init__(self, calls: tuple[str, ...]) -> None:
        """Name the *calls*."""
        self.calls = calls
        shown = ", ".join(calls[:8]) + (f" and {len(calls) - 8} more" if len(calls) > 8 else "")  # noqa: PLR2004
        advice = "start it anew, or mark rules mutable before"
        super().__init__(f"the installed program decides alone about {shown}; {advice}")


class LaunchStage(enum.Enum):
    """The step of a launch that failed.  The value says what was being done, for messages."""

    FIND = "looking for the program"
    PREPARE = "preparing the launch"
    GUARD = "starting the guard process"
    CLONE = "creating the process"
    NAMESPACE_MAPS = "writing the id maps of the new user namespace"
    MOUNT_PROPAGATION = "making the mounts of the new namespace private"
    SESSION = "starting a new session"
    DIRECTORY = "changing to the working directory"
    FILE_DESCRIPTORS = "arranging the file descriptors"
    RESOURCE_LIMITS = "setting the resource limits"
    GROUPS = "setting the supplementary groups"
    GROUP_ID = "setting the group id"
    USER_ID = "setting the user id"
    PARENT_DEATH = "tying its life to the supervisor's"
    NO_NEW_PRIVS = "setting no_new_privs"
    LANDLOCK = "entering the Landlock domain"
    FILTER = "installing the filter"
    LISTENER = "fetching the listener"
    EXEC = "executing the program"


class LaunchError(MonitorError):
    """
    The program did not start, and no process of it is left.

    Attributes:
        stage: the step that failed.
        errno: the positive errno of that step.
        subject: what the step was applied to (a path, a limit), or an empty string.
    """

    def __init__(self, stage: LaunchStage, errno: int, subject: str = "", hint: str = "") -> None:
        """Describe the failing *stage*; *hint* says what the user can do about it."""
        self.stage = stage
        self.errno = errno
        self.subject = subject
        self.hint = hint
        where = f" ({subject})" if subject else ""
        name = errorcode.get(errno, str(errno))
        advice = f"; {hint}" if hint else ""
        super().__init__(f"{stage.value}{where} failed: {name} ({os.strerror(errno)}){advice}")


class KernelFeatureError(MonitorError):
    """
    This kernel, or what this user may do with it, lacks something that was asked for.

    Attributes:
        feature: the kernel's own name for what is missing.
    """

    def __init__(self, feature: str, hint: str) -> None:
        """Name the missing *feature* and, in *hint*, what it takes to have it."""
        self.feature = feature
        super().__init__(f"{feature} is not available: {hint}")


class TargetMemoryError(MonitorError):
    """
    Bytes of the target's memory could not be read or written.

    A handler that lets this pass answers its call with ``.errno``, which is what the
    kernel would have said.

    Attributes:
        address: where the access began.
        errno: ``EFAULT``; ``ENAMETOOLONG`` for a string without an end; ``EACCES``
            when the target may not be looked into at all.
    """

    def __init__(self, address: int, errno: int, what: str) -> None:
        """Say *what* was tried at *address*."""
        self.address = address
        self.errno = errno
        super().__init__(f"cannot {what} at {address:#x}: {errorcode.get(errno, str(errno))} ({os.strerror(errno)})")


class TargetGone(MonitorError):
    """The thread no longer waits for an answer: it was killed, or a signal took it away."""


class HandlerError(MonitorError):
    """
    A handler broke its contract: it raised, or returned what is no verdict.

    Attributes:
        call_name: the name of the call it was asked about.
        handler: the name of the handler.
    """

    def __init__(self, call_name: str, handler: str, what: str) -> None:
        """Say *what* the *handler* did when asked about *call_name*."""
        self.call_name = call_name
        self.handler = handler
        super().__init__(f"handler {handler!r} for {call_name}: {what}")


class SupervisorError(MonitorError):
    """A failure of the supervisor's own ended the block; ``__cause__`` has it."""
