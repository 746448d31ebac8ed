"""
Whose rights and whose view a call is to be done with: ours, or what a thread of ours takes on for it.

What it is not: the taking (``standing``).  A thread's rights and root are read anew for each of its calls, since
it waits meanwhile and nobody else can change them; but not as long as no thread of the run could have changed
any, which it says when it is about to (``loosen``).
"""

from __future__ import annotations

import os
from errno import EMFILE, ENFILE
from typing import Final, NamedTuple

from monitor._native import PathLooker
from monitor.broker.ids import IdMaps
from monitor.broker.mounts import Mounts
from monitor.broker.rights import CAP_FSETID, CAP_SETFCAP, Rights, maps_of, outside_worth, rights_of
from monitor.broker.standing import Standing
from monitor.broker.views import NoViewError, View, Views
from monitor.errors import TargetGone
from monitor.notify.decode import Call
from monitor.notify.listener import Listener

_LACKS: Final = frozenset({EMFILE, ENFILE})

_AT_EACCESS: Final = 0x200

_REMOVING: Final = frozenset({"removexattr", "lremovexattr", "fremovexattr", "removexattrat"})
"""
What takes capabilities of a file away, for which those over it are enough (security/commoncap.c).

To give it some would be another matter: by us they are worth something in our own namespace, too.
"""

_NEEDED: Final = 1 << 6 | 1 << 7 | 1 << 18
"""CAP_SETGID, CAP_SETUID, CAP_SYS_CHROOT: without them nothing is taken on."""

_CAP_SYS_PTRACE: Final = 1 << 19

KEPT: Final = 64
"""How many are kept."""


class Whose(NamedTuple):
    """
    Whose a call is.

    Attributes:
        standing: what is taken on for it; None: nothing.
        view: where its paths are looked up; None: in our own.
        ids: what ids mean to it; None: what they do to us.
    """

    standing: Standing | None = None
    view: View | None = None
    ids: IdMaps | None = None


OURS: Final = Whose()


class Owners:
    """Knows whose the calls of one run are.  Owns an fd, and ends with ``close``."""

    def __init__(self, listener: Listener, proc: int, looker: PathLooker, mounts: Mounts, alike: int | None) -> None:
        """Borrow all of them; *alike*: a process with whose rights and view every thread begins."""
        self._listener = listener
        self._proc = proc
        self._views = Views(proc, looker, mounts)
        self._ours = ours = rights_of(proc, "thread-self")
        self._root = os.open("/", os.O_PATH | os.O_CLOEXEC)
        self._taken_back = ours.taken(self._root)
        self._kept: dict[tuple[Rights, View | None, bool], Standing] = {}
        self._last: tuple[int, Whose | None] = 0, OURS
        # Of who is not root, a program with file capabilities takes those away that it has without them.
        keeps = not ours.permitted or ours.uids.real == ours.uids.effective == 0
        self._walled = alike is not None and keeps and self._look(alike) is OURS

    def close(self) -> None:
        """Give the fd back."""
        self._kept.clear()
        self._views.close()
        os.close(self._root)

    @property
    def walled(self) -> bool:
        """Whether every thread has our rights and our view."""
        return self._walled

    def loosen(self, call: Call) -> None:
        """Look at every thread from the next call on, if *call*, which is about to be run, may change rights."""
        if self._ours.can_change and self._ours.are_changed_by(call):
            self._walled = False

    def of(self, call: Call) -> Whose | None:
        """
        Return whose *call* is; None: its rights or its view are none that we can take on.

        Raises TargetGone, and OSError where we have no fd to look with.
        """
        if self._walled:
            return OURS
        ident, whose = self._last
        if ident != call.id:
            whose = self._look_or_make_room(call)
            if not self._listener.is_valid(call.id):
                raise TargetGone
            self._last = call.id, whose
        return whose

    def _look_or_make_room(self, call: Call) -> Whose | None:
        try:
            return self._listener.reserve.with_fd(lambda: self._look(call.tid, call))
        except OSError:
            self._kept.clear()  # and with them the fds of views that nobody is in
            self._views.close()
            return self._listener.reserve.with_fd(lambda: self._look(call.tid, call))

    def _look(self, tid: int, call: Call | None = None) -> Whose | None:
        """Look whose the calls of a thread are, or this *call* of it."""
        try:
            rights, ids = self._rights(tid)
            view = self._views.of(tid)
        except NoViewError:
            return None
        except OSError as error:
            if error.errno in _LACKS:
                raise
            return None
        ours = self._ours
        if ids is not None and (call is None or call.name not in _REMOVING):
            rights = rights.without(CAP_SETFCAP)
        if call is not None and asks_for_real_ids(call):
            rights, ours = rights.of_access(), ours.of_access()
        if view is None and rights.worth == ours.worth:
            return OURS if ids is None else Whose(ids=ids)
        if self._ours.effective & _NEEDED != _NEEDED:
            return None
        return Whose(self._standing(rights, view, ids), view, ids)

    def _rights(self, tid: int) -> tuple[Rights, IdMaps | None]:
        """Return what the rights of a thread are worth here, and what ids mean to it.  Raises OSError."""
        rights = rights_of(self._proc, str(tid))
        if rights.user_namespace == self._ours.user_namespace:
            return rights, None
        ids = maps_of(self._proc, str(tid))
        return rights.for_files(outside_worth(ids)), ids

    def _standing(self, rights: Rights, view: View | None, ids: IdMaps | None) -> Standing:
        key = rights, view, ids is None
        found = self._kept.get(key)
        if found is None:
            if len(self._kept) >= KEPT:
                self._kept.clear()
            root = -1 if view is None else view.root
            emptying = rights if ids is None else rights.without(CAP_FSETID)
            found = self._kept[key] = Standing(
                ours=self._taken_back,
                acting=rights.taken(),
                emptying=emptying.taken(),
                own=rights.taken(beside=_CAP_SYS_PTRACE),
                looking=rights.taken(root),
                reading=rights.taken(root, beside=_CAP_SYS_PTRACE),
            )
        return found


def asks_for_real_ids(call: Call) -> bool:
    """Whether *call* is access(2) or a like without AT_EACCESS."""
    return call.name in {"access", "faccessat"} or (call.name == "faccessat2" and not call.registers[3] & _AT_EACCESS)
