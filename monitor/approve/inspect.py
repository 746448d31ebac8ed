"""
What a person may want to see of a thread that waits for an answer: its memory, descriptors, mappings, surroundings.

What it is not: a debugger's view.  The thread cannot be stopped anywhere else, and of its registers the kernel
tells those of the call.  All of it is read for people, from /proc/TID, and checked afterwards: of a thread that
is gone nothing is told.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from monitor.approve.wire import Json, WireError, number_of
from monitor.errors import TargetGone, TargetMemoryError
from monitor.events.fields import text_or_bytes
from monitor.notify.memory import Memory

MOST_MEMORY: Final = 4096
"""Bytes that are shown at once."""

MOST_FDS: Final = 1024

MOST_TEXT: Final = 1 << 15
"""Bytes of a file of /proc that are told: an answer is one line."""

MOST_ABOVE: Final = 32
"""Processes above one that are told."""

_PARENT: Final = 1
"""The place of ``ppid`` behind the name in /proc/PID/stat (proc_pid_stat(5))."""

_POINTERS: Final = 2
"""How many of the fields of proc_pid_syscall(5) come last: stack pointer and instruction pointer."""

Look = Callable[[Memory, Mapping[str, Json]], Json]


def mem(memory: Memory, said: Mapping[str, Json]) -> Json:
    """Return ``length`` bytes at ``address``, fewer where the mapping ends, in hex."""
    address, length = number_of(said, "address"), number_of(said, "length", 1, MOST_MEMORY)
    try:
        return memory.read(address, length).hex()
    except TargetMemoryError as error:
        raise WireError(str(error)) from None


def fds(memory: Memory, said: Mapping[str, Json]) -> Json:  # noqa: ARG001  # as Look has it
    """Return each descriptor of the process and what it is open on, by number."""
    try:
        numbers = sorted(int(name) for name in os.listdir(f"/proc/{memory.tid}/fd"))  # noqa: PTH208  # names
    except OSError as error:
        raise WireError(str(error)) from None
    return {str(number): text_or_bytes(memory.link(f"fd/{number}")) for number in numbers[:MOST_FDS]}


def place(memory: Memory, said: Mapping[str, Json]) -> Json:  # noqa: ARG001  # likewise
    """Return what proc_pid_syscall(5) tells besides the call: ``stack_pointer`` and ``instruction_pointer``."""
    fields = _file(memory, "syscall").split()
    if len(fields) < _POINTERS:  # "running"
        raise TargetGone
    stack, instruction = (int(one, 16) for one in fields[-_POINTERS:])
    return {"instruction_pointer": f"{instruction:#x}", "stack_pointer": f"{stack:#x}"}


def maps(memory: Memory, said: Mapping[str, Json]) -> Json:
    """Return the lines of proc_pid_maps(5); with ``address``, the one that holds it, or none."""
    if "address" in said:
        line = _line_about(memory, number_of(said, "address"))
        return [] if line is None else [text_or_bytes(line)]
    return [text_or_bytes(line) for line in _file(memory, "maps").split(b"\n") if line]


def env(memory: Memory, said: Mapping[str, Json]) -> Json:  # noqa: ARG001  # likewise
    """Return the environment that the program was started with; it may have changed it since."""
    return [text_or_bytes(variable) for variable in _file(memory, "environ").split(b"\0") if variable]


def cmdline(memory: Memory, said: Mapping[str, Json]) -> Json:  # noqa: ARG001  # likewise
    """Return its words, which it may have changed."""
    return [text_or_bytes(word) for word in _file(memory, "cmdline").split(b"\0")[:-1]]


def tree(memory: Memory, said: Mapping[str, Json]) -> Json:  # noqa: ARG001  # likewise
    """Return the process and those above it, the nearest first: ``pid``, ``comm`` and ``exe`` of each."""
    found: list[Json] = []
    pid = memory.process()
    while pid > 0 and len(found) < MOST_ABOVE:
        try:
            status = Path(f"/proc/{pid}/stat").read_bytes()
        except OSError:
            break
        exe = b""
        with suppress(OSError):
            exe = os.fsencode(os.readlink(f"/proc/{pid}/exe"))  # noqa: PTH115  # bytes
        name = status.partition(b"(")[2].rpartition(b")")[0]
        found.append({"pid": pid, "comm": text_or_bytes(name), "exe": text_or_bytes(exe)})
        pid = int(status.rpartition(b")")[2].split()[_PARENT])
    return found


LOOKS: Final[Mapping[str, Look]] = {
    "mem": mem,
    "fds": fds,
    "place": place,
    "maps": maps,
    "env": env,
    "cmdline": cmdline,
    "tree": tree,
}
"""What clients ask for, by the word they use."""


def look(word: str, memory: Memory, said: Mapping[str, Json]) -> Json:
    """
    Return what *word*, one of ``LOOKS``, shows of the thread behind *memory*.

    Raises:
        WireError: it cannot be shown; also where the thread is gone.
    """
    try:
        found = LOOKS[word](memory, said)
        memory.link("exe")  # it is there still: all of that was its own
    except TargetGone:
        message = "the thread is gone"
        raise WireError(message) from None
    except OSError as error:  # we have no fd left to look with
        raise WireError(error.strerror or str(error)) from None
    return found


def _file(memory: Memory, name: str) -> bytes:
    try:
        with Path(f"/proc/{memory.tid}/{name}").open("rb", buffering=0) as file:
            return b"".join(iter(lambda: file.read(4096), b""))[:MOST_TEXT]
    except OSError as error:
        raise WireError(str(error)) from None


def _line_about(memory: Memory, address: int) -> bytes | None:
    """Return the line of proc_pid_maps(5) about *address*, wherever in the file it stands: they are sorted."""
    try:
        with Path(f"/proc/{memory.tid}/maps").open("rb") as file:
            for line in file:
                first, _, last = line.partition(b" ")[0].partition(b"-")
                if address < int(last, 16):
                    return line.removesuffix(b"\n") if int(first, 16) <= address else None
    except OSError as error:
        raise WireError(str(error)) from None
    return None
