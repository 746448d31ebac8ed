"""
Where a target is: chdir(2), which nobody can do for it.

What it is not: a look at the current directory, which every look-up takes anew.  The call is checked
and then continued: should the target change the path in between, it is somewhere else, and whatever
it does there is looked up from there and judged.
"""

from __future__ import annotations

from errno import ENOENT, ENOTDIR
from typing import Final

from monitor._native import may_access
from monitor.broker.acting import Acting
from monitor.notify.decode import Call
from monitor.notify.emulation import Emulated

_X_OK: Final = 1
_AT_EACCESS: Final = 0x200


def go_there(acting: Acting, call: Call, index: int) -> Emulated:
    """Have the kernel change the directory, if that is what the path leads to."""
    resolved = acting.path(call, index)
    error = resolved.wrong or resolved.error
    if error:
        return Emulated(-error)
    if resolved.missing is not None:
        return Emulated(-ENOENT)
    if not resolved.is_directory:
        return Emulated(-ENOTDIR)
    error = may_access(resolved.fd, _X_OK, _AT_EACCESS)
    return Emulated(-error) if error else Emulated(0, continued=True)
