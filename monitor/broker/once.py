"""
A call is done once for a thread, whatever signals take it away from us, where the kernel has no better way.

What it is not: how it is done (``families``), or what is remembered (``journal``).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from monitor.broker.acting import OPENS, Acting
from monitor.broker.families import Family
from monitor.broker.journal import ONCE, Entry, Journal
from monitor.broker.resolved import Resolved
from monitor.errors import TargetMemoryError
from monitor.notify.decode import Call
from monitor.notify.emulation import Emulated
from monitor.notify.target import PATH_MAX


def do_once(journal: Journal, acting: Acting, call: Call, family: Family) -> Emulated:
    """Do *call*, or answer with what came of it when it was done before; raises what *family* does."""
    if call.name not in ONCE or (call.name in OPENS and not _makes(acting.path(call, family.register))):
        return family.act(acting, call, family.register)
    entry, is_new = journal.begin(call, _behind(acting, call, family), may_block=acting.may_block)
    call.settle = partial(journal.settle, entry)
    if not is_new:
        return _again(acting, call, family, entry)
    acting.entry = entry
    done: Emulated | None = None
    try:
        done = family.act(acting, call, family.register)
        return done  # it is remembered first
    finally:
        acting.entry = None
        journal.end(entry, done)


def _makes(resolved: Resolved) -> bool:
    return resolved.opening is not None and resolved.opening.creates


def _again(acting: Acting, call: Call, family: Family, entry: Entry) -> Emulated:
    """Answer with what is remembered.  Raises OSError, TargetGone: then it stays so."""
    if entry.done is not None:
        return entry.done
    opening = acting.path(call, family.register).opening
    assert opening is not None  # only opens make files that are handed over
    given = acting.inject(call, entry.made, close_on_exec=opening.closes_on_exec)
    assert call.settle is not None  # it was set a moment ago
    call.settle()
    return given


def _behind(acting: Acting, call: Call, family: Family) -> Iterator[bytes]:
    """Yield the bytes behind the pointers of *call* that say what it does."""
    for register in family.registers:
        resolved = acting.path(call, register)
        yield resolved.path
        if resolved.opening is not None:
            yield repr(resolved.opening).encode()  # of openat2(2) it stands in memory
    text = _text_of(call.name)
    if text is not None:
        try:
            yield acting.read_string(call, call.registers[text], PATH_MAX)
        except TargetMemoryError:
            yield b""  # as the call will say itself


def _text_of(name: str) -> int | None:
    """Return the register of a text that is no path: where a symbolic link leads, the name of an attribute."""
    if name.startswith("symlink"):
        return 0
    if "xattr" in name:
        return 3 if name.endswith("at") else 1
    return None
