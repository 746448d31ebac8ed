"""
The shapes of the data files, as far as this package reads them.

What it is not: code.  Only a type checker imports this module, since building a dozen
``TypedDict`` classes would cost more than the rest of ``abi`` together.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict


class PathShape(TypedDict):
    """How the kernel resolves one path argument."""

    access: list[str]
    dirfd: int | None
    follow: bool
    flags_arg: NotRequired[int]
    flags_field: NotRequired[str]
    nofollow_flag: NotRequired[str]
    nofollow_also: NotRequired[str]
    follow_flag: NotRequired[str]
    empty_path_flag: NotRequired[str]
    access_by: NotRequired[str]
    access_arg: NotRequired[int]
    not_always_a_path: NotRequired[bool]


class ArgumentShape(TypedDict):
    """One argument of a call."""

    name: str
    kind: str
    dir: NotRequired[str]
    len_arg: NotRequired[int]
    nullable: NotRequired[bool]
    set: NotRequired[str]
    path: NotRequired[PathShape]


class SignatureShape(TypedDict):
    """The arguments of a call, in register order."""

    args: list[ArgumentShape]
    ret: NotRequired[str]
    since: NotRequired[str]


class AbiShape(TypedDict):
    """The facts of an ABI; ``arch`` has them written out, and a test compares."""

    audit_arch: int
    bits: int
    register_bits: int
    endian: str
    nr_bit: NotRequired[int]
    uname_machine: list[str]


class SyscallsShape(TypedDict):
    """``syscalls.json``."""

    abis: dict[str, AbiShape]
    numbers: dict[str, dict[str, int]]
    signatures: dict[str, SignatureShape]
    abi_signatures: dict[str, dict[str, SignatureShape]]


class TypesShape(TypedDict):
    """``types.json``: the width and sign of each argument, as ``i32`` or ``u64``."""

    types: dict[str, list[str]]
    abi_types: dict[str, dict[str, list[str]]]


class ConstantGroupShape(TypedDict):
    """A group of constants, with the values of x86_64."""

    type: Literal["enum", "flags", "mask", "mixed"]
    values: dict[str, int]
    preferred: NotRequired[list[str]]
    order: NotRequired[list[str]]
    unshown: NotRequired[list[str]]
    enum: list[str]
    """Of a mixed group, as the next one."""
    enum_mask: int
    enum_set: NotRequired[str]


class ConstantOverrideShape(TypedDict):
    """What an ABI has differently in a group."""

    set: NotRequired[dict[str, int]]
    absent: NotRequired[list[str]]


class IoctlShape(TypedDict):
    """How a request of ioctl(2) is put together: the lowest bits first, and the direction behind the rest."""

    nr_bits: int
    type_bits: int
    size_bits: int
    dir_none: int
    dir_read: int
    dir_write: int


class ConstantsShape(TypedDict):
    """``constants.json``."""

    groups: dict[str, ConstantGroupShape]
    abi_overrides: dict[str, dict[str, ConstantOverrideShape]]
    ioctl_encoding: dict[str, IoctlShape]


class ClassesShape(TypedDict):
    """``classes.json``; no name has the leading ``%`` of the word."""

    aliases: dict[str, str]
    classes: dict[str, list[str]]


class SystemdGroupShape(TypedDict):
    """A group of systemd, with the groups it includes spelt out."""

    expanded: list[str]


class SystemdShape(TypedDict):
    """The groups of systemd, by name with ``@``."""

    groups: dict[str, SystemdGroupShape]


class GroupsShape(TypedDict):
    """``groups.json``, without the container profiles."""

    systemd: SystemdShape
