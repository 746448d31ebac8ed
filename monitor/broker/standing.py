"""
What a thread of ours takes on to act for another one: its rights, and for a look-up its root.

What it is not: the calls that are done with them.  Only threads of the broker take anything on, which have a
root and a working directory of their own (``worker``); the loop never does.

What is the target's own, its memory and its fds, is reached with *our* rights: the kernel asks ptrace(2)'s
question there, and a program that has given up rights may not even be looked into by itself.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import NamedTuple

from monitor._native import TakenRights


class Standing(NamedTuple):
    """
    What a thread of ours takes on for one thread.

    Attributes:
        ours: what it comes back to, our own root among it.
        acting: rights, for what is done by fd.
        emptying: the same, for what takes set-id bits from a file, unless who does it has CAP_FSETID in the first
            user namespace (fs/attr.c).
        own: the same, with the right to look into who asks, for what is in its own part of /proc.
        looking: rights and root, for what is looked up.
        reading: the root with the rights of *own*, for what links there say, which depends on it.
    """

    ours: TakenRights
    acting: TakenRights
    emptying: TakenRights
    own: TakenRights
    looking: TakenRights
    reading: TakenRights


class _Here(threading.local):
    """What the calling thread has taken on, and what it comes back to."""

    taken: tuple[TakenRights, TakenRights] | None = None


_here = _Here()


def file_uid() -> int:
    """Return the user id by which the calling thread is judged about files."""
    return os.geteuid() if _here.taken is None else _here.taken[0].file_uid


@contextmanager
def taken(theirs: TakenRights, ours: TakenRights) -> Generator[None]:
    """Have the calling thread stand as *theirs* meanwhile.  Raises OSError; StrandedError: it cannot come back."""
    assert _here.taken is None  # one thing at a time
    try:
        theirs.take()
        _here.taken = theirs, ours
        yield
    finally:
        _here.taken = None
        ours.come_back()


@contextmanager
def ourselves() -> Generator[None]:
    """Have the calling thread stand as we do meanwhile, whatever it has taken on.  Raises as ``taken``."""
    before = _here.taken
    if before is None:
        yield
        return
    theirs, ours = before
    _here.taken = None
    ours.come_back()
    try:
        yield
    finally:
        theirs.take()
        _here.taken = before
