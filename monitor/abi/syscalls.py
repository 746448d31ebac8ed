"""
System calls by number and by name, and what their argument registers mean.

What it is not: sets of calls (``groups``) or named values (``constants``).

An argument register holds 64 bits, and the kernel looks at no more of them than the
declared type has: ``int dirfd`` is the low half, and what a program leaves in the upper
half is noise, or bait.  Whoever compares a register with a value must cut it first, as
``Argument.value`` does; a filter or a handler that compares all 64 bits can be walked
around by setting one that the kernel ignores.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, cast

from monitor.abi import tables
from monitor.abi.arch import Arch

if TYPE_CHECKING:
    from monitor.abi.tables.shapes import ArgumentShape, PathShape, SignatureShape

Direction: TypeAlias = Literal["in", "out", "inout"]


class PathFacts(NamedTuple):
    """
    How the kernel resolves a path argument, and what for.

    Attributes:
        access: what is done to the file: ``read``, ``write``, ``stat``, ``rename-target``, ...
        dirfd: the index of the directory argument, or None for the current directory.
        follow: whether a symbolic link in the last component is followed when no flag says otherwise.
        flags_arg: the index of the argument with the flags named below.
        flags_field: the field of that argument's struct, when the flags are not the argument itself.
        nofollow_flag: the flag that stops following.
        nofollow_also: two flags, joined by ``|``, that stop it when both are set.
        follow_flag: the flag that starts following.
        empty_path_flag: the flag with which an empty path means *dirfd* itself; ``always``: no flag is needed.
        access_by: how another argument narrows *access*: ``open``, ``open_how``, ``unlinkat``, ``rename``.
        access_arg: the index of that argument.
        not_always_a_path: other arguments decide whether this is a path at all.
    """

    access: frozenset[str]
    dirfd: int | None
    follow: bool
    flags_arg: int | None = None
    flags_field: str | None = None
    nofollow_flag: str | None = None
    nofollow_also: str | None = None
    follow_flag: str | None = None
    empty_path_flag: str | None = None
    access_by: str | None = None
    access_arg: int | None = None
    not_always_a_path: bool = False


class Argument(NamedTuple):
    """
    One argument register of a call.

    Attributes:
        name: as in the manual page.
        kind: ``int``, ``fd``, ``path``, ``struct:stat``, ...; tables/README.md has the list.
        width: how many low bits of the register the kernel looks at: 16, 32 or 64.
        signed: whether the top one of them is a sign.
        direction: which way the pointed-to data go, seen from the caller; None for a plain value.
        nullable: whether NULL is a normal value.
        len_arg: the index of the argument that counts the pointed-to data.
        constants: the group of ``constants`` that names the values.
        path: for kind ``path``, and for no other.
    """

    name: str
    kind: str
    width: int
    signed: bool
    direction: Direction | None = None
    nullable: bool = False
    len_arg: int | None = None
    constants: str | None = None
    path: PathFacts | None = None

    def value(self, register: int) -> int:
        """Cut a 64-bit *register* to what the kernel sees of it; negative only when *signed*."""
        value = register & ((1 << self.width) - 1)
        if self.signed and value >> (self.width - 1):
            return value - (1 << self.width)
        return value


class Signature(NamedTuple):
    """
    What the argument registers of a call mean.

    Attributes:
        name: the call.
        arguments: in register order, six at most.
        returns: ``int``, ``fd``, ``size``, ``pid``, ``uid``, ``gid``, ``mode``, ``offset``,
            ``pointer``, or ``none`` for a call that does not return.
    """

    name: str
    arguments: tuple[Argument, ...]
    returns: str

    def index_of(self, argument_name: str) -> int:
        """
        Return the register of the argument called *argument_name*, 0 to 5.

        Raises:
            KeyError: there is none; the message lists those there are.
        """
        for index, argument in enumerate(self.arguments):
            if argument.name == argument_name:
                return index
        names = ", ".join(argument.name for argument in self.arguments) or "none"
        message = f"{self.name} has no argument {argument_name!r}; its arguments: {names}"
        raise KeyError(message)


def number_of(arch: Arch, name: str) -> int | None:
    """Return the number of call *name*, with the x32 bit on x32; None where *arch* has no such call."""
    return _numbers(arch).get(name)


def name_of(arch: Arch, nr: int) -> str | None:
    """Return the name of call *nr*; None for a number *arch* does not use, such as that of a newer call."""
    return call_table(arch).get(nr)


@cache
def names(arch: Arch) -> frozenset[str]:
    """Return every call that has a number on *arch*, those without code in any kernel of today included."""
    return frozenset(_numbers(arch))


@cache
def call_table(arch: Arch) -> Mapping[int, str]:
    """Return number to name, for those who look up one call after the other."""
    return MappingProxyType({nr: name for name, nr in _numbers(arch).items()})


def signature_of(arch: Arch, name: str) -> Signature | None:
    """Return what the registers of call *name* mean on *arch*, the same object each time; None for no such call."""
    # Only names of the table get into the cache: those a user mistypes are without end.
    return _signature(arch, name) if name in _numbers(arch) else None


def signature_behind(arch: Arch, name: str) -> Signature:
    """
    Return what the arguments of call *name* mean where *arch* has it behind another call.

    That is socketcall(2), ipc(2), or the call itself with its arguments in a struct (select(2) of i386).
    """
    return _made(arch, name, tables.syscalls()["signatures"][name], tables.types()["types"][name])


@cache
def since(name: str) -> tuple[int, int] | None:
    """Return the kernel version that first had call *name*; None where the tables do not say, as for the oldest."""
    shape = tables.syscalls()["signatures"].get(name)
    version = None if shape is None else shape.get("since")
    if version is None:
        return None
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


@cache
def _numbers(arch: Arch) -> Mapping[str, int]:
    return MappingProxyType(tables.syscalls()["numbers"][arch.table])


@cache
def _signature(arch: Arch, name: str) -> Signature:
    syscalls, types = tables.syscalls(), tables.types()
    own_shape = syscalls["abi_signatures"].get(arch.table, {}).get(name)
    own_types = types["abi_types"].get(arch.table, {}).get(name)
    shape = own_shape or syscalls["signatures"][name]
    c_types = types["types"][name] if own_types is None else own_types
    return _made(arch, name, shape, c_types)


def _made(arch: Arch, name: str, shape: SignatureShape, c_types: list[str]) -> Signature:
    pairs = zip(shape["args"], c_types, strict=True)
    return Signature(
        name=name,
        arguments=tuple(_argument(one, c_type, arch.register_bits) for one, c_type in pairs),
        returns=shape.get("ret", "int"),
    )


def _argument(shape: ArgumentShape, c_type: str, register_bits: int) -> Argument:
    path = shape.get("path")
    return Argument(
        name=shape["name"],
        kind=shape["kind"],
        # The register is the limit, not the pointer: an x32 program has 32-bit pointers, and
        # the kernel takes all 64 bits of a register for an address all the same.
        width=min(int(c_type[1:]), register_bits),
        signed=c_type[0] == "i",
        direction=cast("Direction | None", shape.get("dir")),
        nullable=shape.get("nullable", False),
        len_arg=shape.get("len_arg"),
        constants=shape.get("set", _CONSTANTS_OF_KIND.get(shape["kind"])),
        path=None if path is None else _path_facts(path),
    )


_CONSTANTS_OF_KIND = {"signal": "signal", "mode": "mode"}


def _path_facts(shape: PathShape) -> PathFacts:
    return PathFacts(
        access=frozenset(shape["access"]),
        dirfd=shape["dirfd"],
        follow=shape["follow"],
        flags_arg=shape.get("flags_arg"),
        flags_field=shape.get("flags_field"),
        nofollow_flag=shape.get("nofollow_flag"),
        nofollow_also=shape.get("nofollow_also"),
        follow_flag=shape.get("follow_flag"),
        empty_path_flag=shape.get("empty_path_flag"),
        access_by=shape.get("access_by"),
        access_arg=shape.get("access_arg"),
        not_always_a_path=shape.get("not_always_a_path", False),
    )
