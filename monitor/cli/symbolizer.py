"""
Names for places in mapped files, found by a process that may die of it.

What it is not: the reading itself (``symbols``, ``frames``), or the debugger's own process.

An ELF file is the target's, and so is the file system that it is on: it may be damaged so that a parser never ends
or fills the memory, and to read it may take for ever.  So a child reads it, with so much memory and so long;
whatever it dies of, there is no name then, and that file is not asked about again; nor is any after some of those.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import socket
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import IO, TYPE_CHECKING, Any, Final, TypeAlias

import attrs
from attrs import field, frozen

from monitor.cli.mapped import Mapping, opened
from monitor.cli.naming import UNKNOWN, Found, Rules, Symbol

if TYPE_CHECKING:
    from monitor.cli.frames import Frames
    from monitor.cli.symbols import Functions, Image

SECONDS: Final = 3.0
"""For one place."""

MEMORY: Final = 1 << 30
"""Bytes of address space that the child may have besides what fork(2) gives it, which may be more (threads)."""

KEPT: Final = 16
"""Files whose symbols are kept."""

MOST_DEATHS: Final = 8
"""Files that the child may die of; then nobody is asked any more, and nothing has a name."""

_DYING_SECONDS: Final = 1.0
"""To wait for one that was killed: a file system that is a program can keep it."""

_GLANCE_SECONDS: Final = 0.005

_MAGIC: Final = b"\x7fELF"

_LONGEST: Final = 1 << 16
"""Bytes of a line between the two."""


Read: TypeAlias = Callable[[int, Mapping, int], Found]
"""What the child does: thread, mapping, and an offset in the file."""


class Symbolizer:
    """Asks a child about mapped files, one after the other; it is started when it is first asked."""

    def __init__(self, read: Read | None = None, *, seconds: float = SECONDS) -> None:
        """Have the child *read*, and wait *seconds* for each place."""
        self._read = read
        self._seconds = seconds
        self._child: _Child | None = None
        self._bad: set[tuple[str, int]] = set()

    def at(self, tid: int, mapping: Mapping, offset: int) -> Found:
        """Return what is known of *offset* in the file that thread *tid* has mapped."""
        key = mapping.device, mapping.inode
        if not mapping.is_file or key in self._bad or len(self._bad) >= MOST_DEATHS:
            return UNKNOWN
        found: Found | None = None
        try:
            if self._child is None:
                self._child = _Child(self._read or Reader())
            found = self._child.ask(_request(tid, mapping, offset), self._seconds)
        except OSError:  # no process can be made, or no descriptor: next time perhaps
            return UNKNOWN
        finally:
            if found is None:  # also where somebody does not want to wait
                self.close()
        if found is None:
            self._bad.add(key)
        return found or UNKNOWN

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.end()
            self._child = None


class _Child:
    """The process that reads; it ends with the connection to it."""

    def __init__(self, read: Read) -> None:
        ours, theirs = socket.socketpair()
        self._socket = ours
        with theirs:
            try:
                self.pid = os.fork()
            except OSError:
                ours.close()
                raise
            if self.pid == 0:
                try:
                    _be_the_child(theirs.fileno(), read)
                finally:
                    os._exit(1)

    def ask(self, request: bytes, seconds: float) -> Found | None:
        """Return what it says; None: nothing in time, or nothing that makes sense."""
        end = monotonic() + seconds
        reply = b""
        try:
            self._socket.sendall(request)
            while not reply.endswith(b"\n") and len(reply) < _LONGEST:
                if not select.select([self._socket], [], [], max(0.0, end - monotonic()))[0]:
                    return None
                data = self._socket.recv(_LONGEST)
                if not data:
                    return None
                reply += data
            return _found(json.loads(reply))
        except (OSError, ValueError, TypeError, LookupError):
            return None

    def end(self) -> None:
        """Kill it, and wait a moment for it."""
        self._socket.close()
        os.kill(self.pid, signal.SIGKILL)
        end = monotonic() + _DYING_SECONDS
        while os.waitpid(self.pid, os.WNOHANG)[0] == 0 and monotonic() < end:
            sleep(_GLANCE_SECONDS)


def _request(tid: int, mapping: Mapping, offset: int) -> bytes:
    fields = attrs.asdict(mapping) | {"name": mapping.name.decode("latin-1")}
    return json.dumps({"tid": tid, "mapping": fields, "offset": offset}).encode() + b"\n"


def _found(said: dict[str, Any]) -> Found:
    symbol, rules = said["symbol"], said["rules"]
    return Found(
        None if symbol is None else Symbol(str(symbol[0]).encode("latin-1"), int(symbol[1])),
        None if rules is None else Rules(**rules),
    )


# ---- in the child ----


def _be_the_child(connection: int, read: Read) -> None:
    """Answer what comes over *connection* until it ends; never returns anything to the debugger's own code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # somebody types it at the debugger
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    room = _address_space() + MEMORY
    most = room if most == resource.RLIM_INFINITY else min(most, room)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    null = os.open("/dev/null", os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)
    os.dup2(connection, 3)
    os.closerange(4, os.sysconf("SC_OPEN_MAX"))  # the control socket, and the terminal
    with socket.socket(fileno=3) as told, told.makefile("rb") as lines:
        for line in lines:
            said = json.loads(line)
            fields = said["mapping"]
            mapping = Mapping(**{**fields, "name": fields["name"].encode("latin-1")})
            found = read(said["tid"], mapping, said["offset"])
            symbol = None if found.symbol is None else (found.symbol.name.decode("latin-1"), found.symbol.into)
            rules = None if found.rules is None else attrs.asdict(found.rules)
            told.sendall(json.dumps({"symbol": symbol, "rules": rules}).encode() + b"\n")


def _address_space() -> int:
    """Return the bytes of it that we have (proc_pid_statm(5))."""
    return int(Path("/proc/self/statm").read_bytes().split()[0]) * resource.getpagesize()


@frozen
class _Known:
    """A file that was read before."""

    image: Image
    functions: Functions | None
    frames: Frames


@frozen
class Reader:
    """Reads mapped files, and keeps what it has read last.  Raises whatever a damaged file makes it raise."""

    debug: str | None = None
    """The folder of separate symbols; None: the usual one."""
    _kept: OrderedDict[tuple[int, int, int, int], _Known] = field(
        factory=OrderedDict[tuple[int, int, int, int], _Known], init=False
    )
    """By device, inode, time of the last change, and size; what was asked about last stands last."""

    def __call__(self, tid: int, mapping: Mapping, offset: int) -> Found:
        """Return what is known of *offset*."""
        fd = opened(tid, mapping)
        if fd is None:
            return UNKNOWN
        status = os.fstat(fd)
        key = status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size
        known = self._kept.pop(key, None)
        if known is not None:
            os.close(fd)
        elif os.pread(fd, len(_MAGIC), 0) == _MAGIC:
            known = self._known(os.fdopen(fd, "rb"))
        else:  # of another kind, which is no damage
            os.close(fd)
            return UNKNOWN
        self._kept[key] = known
        if len(self._kept) > KEPT:
            _, oldest = self._kept.popitem(last=False)
            oldest.image.stream.close()
        return _at(known, offset)

    def _known(self, stream: IO[bytes]) -> _Known:
        from monitor.cli.frames import Frames  # noqa: PLC0415  # in the child alone
        from monitor.cli.symbols import Image  # noqa: PLC0415  # likewise

        image = Image(stream)
        functions = image.functions("SHT_SYMTAB") or self._separate(image.build_id()) or image.functions("SHT_DYNSYM")
        return _Known(image, functions, Frames(image))

    def _separate(self, build_id: str) -> Functions | None:
        """Return the symbols of what has this build-id, from a file of their own."""
        from monitor.cli.symbols import DEBUG, Image, debug_file  # noqa: PLC0415  # likewise

        name = debug_file(build_id, self.debug or DEBUG)
        if name is None:
            return None
        try:
            with open(name, "rb") as stream:  # noqa: PTH123  # a name
                found = Image(stream)
                return found.functions("SHT_SYMTAB") if found.build_id() == build_id else None
        except OSError:
            return None


def _at(known: _Known, offset: int) -> Found:
    address = known.image.address_of(offset)
    if address is None:
        return UNKNOWN
    symbol = None if known.functions is None else known.functions.at(address)
    return Found(symbol, known.frames.rules_at(address))
