"""
From the file that ``strace -f -o FILE`` writes to its calls, without what two runs never share.

What it is not: the comparison (``compare``).  A line tells of the moment a call is made and of
the moment it has ended.  Only the first is compared, so results, signals, exits and every argument
that the kernel fills are taken out; addresses become one word, and thread ids become places in the
tree of clones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Final

from attrs import frozen

from monitor.abi.arch import Arch
from monitor.abi.constants import values
from monitor.abi.syscalls import Argument, signature_of

FILLED: Final = "_"
"""Stands for an argument that the kernel fills, unless it is NULL."""

ADDRESS: Final = "ADDRESS"

CLONES: Final = frozenset({"clone", "clone3", "fork", "vfork"})

NAMED: Final[Mapping[str, str]] = {"child_stack": "stack", "child_tidptr": "child_tid"}
"""Where strace writes arguments as ``name=value``: its name, and the one of the tables."""

FILLED_BY_COMMAND: Final = frozenset(
    {
        *("F_GETLK", "F_GETLK64", "F_OFD_GETLK", "F_GETOWN_EX", "F_GET_RW_HINT", "F_GET_FILE_RW_HINT"),
        *("TCGETS", "TCGETA", "TCGETX", "TIOCGWINSZ", "TIOCGPGRP", "TIOCGSID", "TIOCOUTQ", "FIONREAD"),
        *("SIOCGIFCONF", "SIOCGIFFLAGS", "SIOCGIFADDR", "SIOCGIFINDEX", "SIOCGIFNAME", "SIOCGIFMTU"),
        *("PR_GET_NAME", "PR_GET_PDEATHSIG", "PR_GET_CHILD_SUBREAPER", "PR_GET_TID_ADDRESS"),
        *("ARCH_GET_FS", "ARCH_GET_GS"),
    }
)
"""Commands of calls whose signature leaves open which way the last argument goes."""

AT_ENTRY: Final = frozenset(
    {
        *("poll", "ppoll", "ppoll_time64", "select", "_newselect", "pselect6", "pselect6_time64"),
        *("sendfile", "sendfile64", "splice", "vmsplice", "copy_file_range", "name_to_handle_at", "sendmmsg"),
        *("accept", "accept4", "getsockname", "getpeername", "getsockopt", "recvfrom"),
        *("clone3", "bpf", "capget", "capset", "modify_ldt", "set_thread_area"),
    }
)
"""Calls whose arguments that go both ways are shown as they were at the entry, and compared."""

_AT_EXIT: Final = re.compile(r" => (\{[^{}]*\}|\[[^\[\]]*\]|[^\s,\]}]+)|, msg_len=\d+")
"""What is added to them at the end."""

_IOC_READ: Final = 2 << 30
"""The kernel writes (``_IOC_READ``, include/uapi/asm-generic/ioctl.h); only in numbers that have a size."""

_IOC_SIZE: Final = 0x3FFF << 16

_TOKEN: Final = re.compile(r'"(?:\\.|[^"\\])*"|/\*.*?\*/|[(\[{]|[)\]}]|,|[^"/(\[{)\]},]+|.', re.DOTALL)

_LINE: Final = re.compile(r"(\d+) +(.*)")

_RESUMED: Final = re.compile(r"<\.\.\. \w+ resumed>(.*)")

_UNFINISHED: Final = " <unfinished ...>"

_LONG_HEX: Final[Mapping[int, re.Pattern[str]]] = {
    64: re.compile(r"\b0x[0-9a-f]{9,16}\b"),
    32: re.compile(r"\b0x[0-9a-f]{7,8}\b"),
}
"""Numbers inside a struct that can only be addresses: longer than flags and sizes are."""

_POINTER: Final = re.compile(r"^0x[0-9a-f]{5,16}(?=$| /\*)")
"""An argument that points to where no two runs agree on; shorter ones point nowhere, on purpose."""

_FAR_POINTER: Final = re.compile(r"^0x[0-9a-f]{7,16}(?=$| /\*)")
"""Likewise in a program that is not relocatable: what it has itself lies low, and is there in every run."""


@frozen
class Line:
    """
    One call as the file tells it.

    Attributes:
        tid: the thread's number, in the tracer's pid namespace.
        name: the call.
        arguments: as written; fewer than the call has where its end was never seen.
        result: what stands behind ``=``, ``""`` if nothing does.
        written: the whole, its two halves put together, without the thread's number.
    """

    tid: int
    name: str
    arguments: tuple[str, ...]
    result: str
    written: str


@frozen
class Call:
    """
    One call as it is compared.

    Attributes:
        thread: the place in the tree of clones: ``1`` is the first thread, ``1.2`` its second child.
        name: the call.
        text: what has to be equal.
        written: the line that it was made from.
    """

    thread: str
    name: str
    text: str
    written: str


@frozen
class Run:
    """
    What has to be known of a run to compare its calls.

    Attributes:
        threads: thread number to place in the tree of clones.
        arch: the ABI.
        pointer: what is an address, among arguments that point somewhere.
    """

    threads: Mapping[int, str]
    arch: Arch
    pointer: re.Pattern[str]


def calls(text: str, arch: Arch, *, relocatable: bool = True) -> list[Call]:
    """Return the calls of a whole file, in the order in which they were made."""
    lines = parse(text)
    run = Run(tree(lines), arch, _POINTER if relocatable else _FAR_POINTER)
    return [Call(run.threads[line.tid], line.name, normalised(line, run), line.written) for line in lines]


def parse(text: str) -> list[Line]:
    """Return the calls of a file; what it tells of signals, exits and the tracer itself is left out."""
    found: list[tuple[int, str]] = []
    unfinished: dict[int, int] = {}
    for raw in text.splitlines():
        match = _LINE.match(raw)
        if match is None or match[2].startswith(("+++", "---", "[", "strace:")):
            continue
        tid, rest = int(match[1]), match[2]
        if resumed := _RESUMED.match(rest):
            place = unfinished.pop(tid)
            found[place] = (tid, found[place][1] + resumed[1].replace(_UNFINISHED, ""))
            continue
        if rest.endswith(_UNFINISHED):
            unfinished[tid] = len(found)
            rest = rest.removesuffix(_UNFINISHED)
        found.append((tid, rest))
    return [_line(tid, written) for tid, written in found]


def _line(tid: int, written: str) -> Line:
    name, _, rest = written.partition("(")
    arguments, behind = split(rest)
    result = re.match(r" *= *(.*)", behind)
    return Line(tid, name, tuple(arguments), result[1] if result else "", written)


def split(text: str) -> tuple[list[str], str]:
    """
    Split *text*, which follows an open parenthesis, at its commas; and return what follows the closing one.

    Commas and brackets in strings and comments, and commas in inner brackets, are part of an argument.
    """
    arguments, depth, current, place = [], 0, "", 0
    for token in _TOKEN.finditer(text):
        piece, place = token[0], token.end()
        if piece in ")]}":
            depth -= 1
            if depth < 0:
                break
        depth += piece in "([{"
        if piece == "," and not depth:
            arguments.append(current.strip())
            current = ""
        else:
            current += piece
    if current.strip():
        arguments.append(current.strip())
    return arguments, text[place:]


def tree(lines: Sequence[Line]) -> dict[int, str]:
    """
    Return each thread's place in the tree of clones.

    A clone's result names the child.  Where results are not told, the n-th clone made the
    n-th thread by its number: numbers are given out in order, and start again from low ones
    at the end, below that of the first thread.  That order is the whole knowledge, so a
    program must not have clones under way in two threads at once, nor clones that fail
    before one that does not.
    """
    root = lines[0].tid
    places, children = {root: "1"}, {root: 0}
    made_by = {int(line.result): line.tid for line in lines if line.name in CLONES and line.result.isdecimal()}
    unknown = iter([line.tid for line in lines if line.name in CLONES and line.result in ("", "?")])
    found = dict.fromkeys(line.tid for line in lines if line.tid != root)
    for tid in sorted(found, key=lambda tid: (tid < root, tid)):
        parent = made_by.get(tid) or next(unknown)
        children[parent] += 1
        children[tid] = 0
        places[tid] = f"{places[parent]}.{children[parent]}"
    return places


def normalised(line: Line, run: Run) -> str:
    """Return what has to be equal in two runs: the call with those arguments that the program gives."""
    return f"{line.name}({', '.join(_arguments(line, run))})"


def _arguments(line: Line, run: Run) -> Iterator[str]:
    declared = _declared(line.name, run.arch)
    by_name = {argument.name: argument for argument in declared}
    for index, written in enumerate(line.arguments):
        name, _, value = written.partition("=") if re.match(r"[a-z_]+=", written) else ("", "", written)
        argument = by_name.get(NAMED.get(name, name)) if name else declared[index] if index < len(declared) else None
        if line.name in AT_ENTRY:
            value = _AT_EXIT.sub("", value)
        is_filled = value != "NULL" and _is_filled(line, index, argument, run.arch)
        shown = FILLED if is_filled else _argument(value, argument, run)
        yield f"{name}={shown}" if name else shown


@cache
def _declared(name: str, arch: Arch) -> Sequence[Argument]:
    """Return the arguments as they are shown: a number in two registers is one, and what pads them apart is none."""
    signature = signature_of(arch, name)
    if signature is None:
        return ()
    second_halves = ("_hi", "_low") if name == "_llseek" else ("_hi", "_h")
    return [
        argument
        for argument in signature.arguments
        if not argument.name.endswith(second_halves) and not argument.name.startswith("pad")
    ]


def _is_filled(line: Line, index: int, argument: Argument | None, arch: Arch) -> bool:
    if index >= 1 and is_filled_by(line.arguments[index - 1], arch):
        return True
    if argument is None:
        return False
    if argument.direction == "inout" or argument.kind == "buffer_inout":
        return line.name not in AT_ENTRY
    return argument.direction == "out" or argument.kind == "buffer_out"


def _argument(written: str, argument: Argument | None, run: Run) -> str:
    if argument is not None and argument.kind == "pid" and written.lstrip("-").isdecimal():
        sign, number = "-" * written.startswith("-"), int(written.lstrip("-"))
        return f"{sign}thread {run.threads[number]}" if number in run.threads else written
    if argument is None or _points(argument):
        written = run.pointer.sub(ADDRESS, written)
    long_hex = _LONG_HEX[run.arch.pointer_bits]
    pieces = _TOKEN.findall(written)
    return "".join(piece if piece.startswith('"') else long_hex.sub(ADDRESS, piece) for piece in pieces)


def _points(argument: Argument) -> bool:
    return argument.kind not in {
        "int",
        "uint",
        "fd",
        "dirfd",
        "size",
        "flags",
        "mode",
        "pid",
        "signal",
        "offset",
        "cmd",
    }


@cache
def is_filled_by(command: str, arch: Arch) -> bool:
    """Whether the kernel writes to what the argument behind *command* points to."""
    if command in FILLED_BY_COMMAND:
        return True
    number = values("ioctl", arch).get(command, 0)
    return bool(number & _IOC_READ and number & _IOC_SIZE)
