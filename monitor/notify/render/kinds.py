"""
How an argument is written when nothing is known of it but its kind (``abi.syscalls``).

What it is not: the place for one call's habits: those are in the modules of the families.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from errno import ENAMETOOLONG
from types import MappingProxyType
from typing import Final, TypeAlias

from monitor.abi.constants import signal_name
from monitor.abi.words import word
from monitor.errors import TargetMemoryError
from monitor.notify.render.layout import Layout
from monitor.notify.render.scene import MOST_ITEMS, Scene
from monitor.notify.render.text import address, array, hex_quoted, hexadecimal, octal, quoted, structure
from monitor.notify.target import PATH_MAX

Printer: TypeAlias = Callable[[Scene, int], str]
"""Writes the argument in a register (0 to 5).  What it raises for unreadable memory becomes the address."""

Reader: TypeAlias = Callable[[Scene, int], str]
"""Writes what lies at an address, which is not NULL."""


def pointed(reader: Reader) -> Printer:
    """Return the printer of an argument that points to what *reader* writes."""

    def printer(scene: Scene, index: int) -> str:
        start = scene.pointer(index)
        return reader(scene, start) if start else "NULL"

    return printer


def hidden(scene: Scene, index: int) -> str:
    """Write an address: of what the kernel fills, or of what nobody knows."""
    return address(scene.pointer(index))


def number(scene: Scene, index: int) -> str:
    """Write a number, in words where the tables have some."""
    argument = scene.signature.arguments[index]  # not by the scene's methods: this is the commonest printer
    register = scene.registers[index]
    if argument.constants is None:
        return str(argument.value(register))
    return word(argument.constants, register & ((1 << argument.width) - 1), scene.arch)


def hexadecimal_number(scene: Scene, index: int) -> str:
    """Write a word whose bits mean more than its value."""
    return f"{scene.bits(index):#x}"


def hexed(scene: Scene, index: int) -> str:
    """Write a number as C's ``%#x`` does."""
    return hexadecimal(scene.bits(index))


def decimal(scene: Scene, index: int) -> str:
    """Write a number, whatever the tables call it."""
    return str(scene.value(index))


def halves(scene: Scene, index: int) -> int:
    """Return the 64 bits in the register *index* and the next, without a sign; the names say which half is first."""
    first, second = (scene.registers[place] % (1 << 32) for place in (index, index + 1))
    return first << 32 | second if scene.argument(index).name.endswith("_hi") else second << 32 | first


def joined(scene: Scene, index: int) -> str:
    """Write an offset in two registers."""
    value = halves(scene, index)
    return str(value - (1 << 64) if value >> 63 else value)


def in_words(group: str) -> Printer:
    """Return the printer of a number that *group* names."""

    def printer(scene: Scene, index: int) -> str:
        return word(group, scene.bits(index), scene.arch)

    return printer


def identity(scene: Scene, index: int) -> str:
    """Write a user's or group's id; the highest is -1, "leave it"."""
    value = scene.bits(index)
    return "-1" if value == (1 << scene.argument(index).width) - 1 else str(value)


def fd(scene: Scene, index: int) -> str:
    """Write an fd."""
    value = scene.value(index)
    return scene.fd(value) if value >= 0 or scene.argument(index).constants is None else dirfd(scene, index)


def dirfd(scene: Scene, index: int) -> str:
    """Write the directory that a path starts from."""
    value = scene.value(index)
    if value >= 0:
        return scene.fd(value)
    if value == AT_FDCWD:
        return f"AT_FDCWD{scene.opened('cwd')}" if scene.look.fd_paths else "AT_FDCWD"
    return str(value)


def wide_fd(scene: Scene, value: int) -> str:
    """Write an fd in a field of 64 bits, of which the kernel takes the lower half."""
    low = value % (1 << 32)
    return scene.fd(low - (1 << 32) if low >> 31 else low)


AT_FDCWD: Final = -100
"""The current directory (include/uapi/linux/fcntl.h)."""


def path(scene: Scene, index: int) -> str:
    """Write a path, whole; of one that is longer than any path, what the kernel looks at."""
    start = scene.pointer(index)
    if not start:
        return "NULL"
    try:
        data = scene.memory.read_string(start, PATH_MAX)
    except TargetMemoryError as error:
        if error.errno != ENAMETOOLONG:
            raise
        return quoted(scene.read(start, PATH_MAX - 1), cut=True)
    scene.strings[scene.argument(index).name] = data
    return quoted(data)


def string(scene: Scene, index: int) -> str:
    """Write a C string, cut at the limit."""
    start = scene.pointer(index)
    return scene.string(start) if start else "NULL"


def buffer(scene: Scene, index: int) -> str:
    """Write the bytes that the call's own size argument counts."""
    length_index = scene.argument(index).len_arg
    if length_index is None:
        return hidden(scene, index)
    return scene.buffer(scene.pointer(index), counted(scene, length_index))


def counted(scene: Scene, index: int) -> int:
    """Return a size or a count; some calls have it behind a pointer, as a 32-bit number."""
    if scene.argument(index).direction is None:
        return scene.value(index)
    return scene.integer(scene.pointer(index))


def signal(scene: Scene, index: int) -> str:
    """Write a signal."""
    value = scene.value(index)
    return "0" if value == 0 else signal_name(value, scene.arch)


def mode(scene: Scene, index: int) -> str:
    """Write permissions."""
    return octal(scene.bits(index))


def strings(scene: Scene, start: int) -> str:
    """Write argv."""
    return scene.string_array(start)


def environment(scene: Scene, start: int) -> str:
    """Write envp: how many there are, since all of them would be a page."""
    count = 0
    while count < MOST_ITEMS:
        words = scene.words(start + count * scene.word, 64)
        if 0 in words:
            count += words.index(0)
            return f"{address(start)} /* {count} var{'' if count == 1 else 's'} */"
        if not words:
            return f"{address(start)} /* {count} vars, unterminated */"
        count += len(words)
    return f"{address(start)} /* {count} vars, and more */"


def elements(scene: Scene, start: int, count: int, size: int, text: Callable[[bytes], str]) -> str:
    """
    Write an array of *count* items of *size* bytes, each as *text* has it.

    Those beyond the string limit are not read; those that cannot be read are an address.
    """
    if not start:
        return "NULL"
    if count <= 0 or start + count * size > 1 << 64:
        return address(start) if count else "[]"
    limit = min(count, scene.look.string_limit)
    try:
        data = scene.read_some(start, limit * size)
    except TargetMemoryError:
        return address(start)
    found = len(data) // size
    if found == 0 and limit:
        return address(start)
    shown = [text(data[place * size : (place + 1) * size]) for place in range(found)]
    if found < limit:
        shown.append(f"... /* {address(start + found * size)} */")
    return array(shown, cut=limit == found < count)


_PAGE: Final = 4096
"""How large a struct that may grow can be (``copy_struct_from_user``, include/linux/uaccess.h)."""


def grown(scene: Scene, fields: list[tuple[str, str]], start: int, known: int, size: int) -> str:
    """Write a struct of *size* bytes of which *known* are in *fields*, and the bytes behind unless all are zero."""
    text = structure(fields)
    end = min(size, _PAGE)
    if known >= end:
        return text
    try:
        data = scene.read(start + known, end - known)
    except TargetMemoryError:
        return f"{text[:-1]}, ???}}"
    if not any(data):
        return text
    shown = data[: scene.look.string_limit]
    return f"{text[:-1]}, /* bytes {known}..{end - 1} */ {hex_quoted(shown, cut=len(shown) < len(data))}}}"


IOVEC: Final = Layout("P:base P:len")


def vector(scene: Scene, start: int, count: int, *, show_data: bool, total: int | None = None) -> str:
    """Write *count* struct iovec; their data if the caller gives them, *total* bytes of it at most."""
    if count <= 0:
        return "[]" if count == 0 else address(start)
    shown: list[str] = []
    size = IOVEC.size(scene.arch)
    limit = min(count, scene.look.string_limit)
    for place in range(limit):
        try:
            item = scene.struct(start + place * size, IOVEC)
        except TargetMemoryError:
            if not shown:
                raise
            shown.append(f"... /* {address(start + place * size)} */")
            return array(shown)
        length = item["len"]
        if show_data:
            usable = length if total is None else min(length, total)
            data = scene.buffer(item["base"], usable)
            total = None if total is None else total - usable
        else:
            data = address(item["base"])
        shown.append(structure([("iov_base", data), ("iov_len", str(length))]))
    return array(shown, cut=count > limit)


def iovec(scene: Scene, index: int) -> str:
    """Write an array of struct iovec, whose count is another argument."""
    declared = scene.argument(index)
    start = scene.pointer(index)
    if not start:
        return "NULL"
    assert declared.len_arg is not None
    return vector(scene, start, counted(scene, declared.len_arg), show_data=declared.direction == "in")


def addresses(scene: Scene, index: int) -> str:
    """Write an array of struct iovec without data: those of another process, or buffers that the kernel fills."""
    count = scene.argument(index).len_arg
    start = scene.pointer(index)
    if not start or count is None:
        return address(start)
    return vector(scene, start, scene.value(count), show_data=False)


BY_KIND: Final[Mapping[str, Printer]] = MappingProxyType(
    {
        "argv": pointed(strings),
        "buffer_in": buffer,
        "buffer_inout": buffer,
        "buffer_out": hidden,
        "cmd": number,
        "dirfd": dirfd,
        "envp": pointed(environment),
        "fd": fd,
        "flags": number,
        "gid": identity,
        "int": number,
        "iovec": iovec,
        "mode": mode,
        "offset": number,
        "path": path,
        "pid": number,
        "pointer": hidden,
        "signal": signal,
        "size": number,
        "string": string,
        "uid": identity,
        "uint": number,
    }
)
"""Kind -> printer.  Kinds that are not here (structs, addresses, times) are with their families."""
