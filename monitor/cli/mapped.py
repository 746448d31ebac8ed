"""
What a process has mapped somewhere, and the very file behind it.

What it is not: the reading of that file (``symbols``).  Its name is the target's choice, and may by now lead to
another file, to a device or to nothing: what is not the mapped file is not opened for reading.
"""

from __future__ import annotations

import mmap
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from attrs import frozen

from monitor.notify.render.text import printable

_FIELDS: Final = 5
"""Before the name, in a line of proc_pid_maps(5)."""


@frozen
class Mapping:
    """
    A line of proc_pid_maps(5).

    *device* and *inode* are as they stand there: of some file systems stat(2) says other devices.
    """

    start: int
    end: int
    executable: bool
    offset: int
    device: str
    inode: int
    name: bytes

    @property
    def is_file(self) -> bool:
        """Whether a file is mapped there, not memory alone, or the kernel's own code."""
        return self.inode > 0 and self.name.startswith(b"/")

    def place(self, address: int) -> str:
        """Return *address* as an offset of the file, or of the mapping where there is no file; the name is escaped."""
        name = printable(self.name.decode("utf-8", "surrogateescape")) or "[anonymous]"
        return f"{name}+{address - self.start + self.offset:#x}"


def mapping_of(line: bytes) -> Mapping:
    """
    Return what *line* says.

    Raises:
        ValueError: it is no such line.
    """
    fields = line.split(None, _FIELDS)
    if len(fields) < _FIELDS:
        message = f"no line of a map: {line!r}"
        raise ValueError(message)
    start, _, end = fields[0].partition(b"-")
    return Mapping(
        start=int(start, 16),
        end=int(end, 16),
        executable=b"x" in fields[1],
        offset=int(fields[2], 16),
        device=fields[3].decode("ascii"),
        inode=int(fields[4]),
        name=fields[_FIELDS] if len(fields) > _FIELDS else b"",
    )


def opened(tid: int, mapping: Mapping) -> int | None:
    """
    Return a descriptor, to be read and closed, of the file that thread *tid* has mapped as *mapping* says.

    None: it is not there any more, or cannot be had.  May wait for as long as a file system likes.
    """
    name = mapping.name.replace(b"\\012", b"\n")  # the one character that is escaped there
    ways = (
        (b"/proc/%d/map_files/%x-%x" % (tid, mapping.start, mapping.end), 0),
        (b"/proc/%d/root%b" % (tid, name), os.O_NOFOLLOW),
    )
    for way, flags in ways:
        with suppress(OSError):
            found = os.open(way, os.O_PATH | os.O_CLOEXEC | flags)
            try:
                if stat.S_ISREG(os.fstat(found).st_mode):
                    return _read_if_mapped(found, mapping)
            finally:
                os.close(found)
    return None


def _read_if_mapped(found: int, mapping: Mapping) -> int | None:
    fd = os.open(f"/proc/self/fd/{found}", os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    if _is(fd, mapping):
        return fd
    os.close(fd)
    return None


def _is(fd: int, mapping: Mapping) -> bool:
    """
    Whether *fd* is on the file that is mapped.

    Where stat(2) does not say the device that the map has (btrfs, overlayfs), a map of our own does.
    """
    status = os.fstat(fd)
    if f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}" == mapping.device:
        return status.st_ino == mapping.inode
    if not status.st_size:
        return False
    before = _own_maps()
    with mmap.mmap(fd, 1, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ):  # never read: it may be cut off
        made = [mapping_of(line) for line in _own_maps() - before]
    return any((one.device, one.inode) == (mapping.device, mapping.inode) for one in made)


def _own_maps() -> frozenset[bytes]:
    return frozenset(Path("/proc/self/maps").read_bytes().splitlines())
