"""
A value of a group of constants as strace writes it: names joined by ``|``, the rest in hex.

What it is not: the meaning of the value.  A group is an enumeration, a set of flags, or a word
that holds one of the first and some of the second (``type`` in tables/README.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from os.path import commonprefix
from types import MappingProxyType
from typing import Final, NamedTuple

from monitor.abi import tables
from monitor.abi.arch import Arch
from monitor.abi.constants import names

_LABELS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "access_mode": "?_OK",
        "at_access": "AT_???",
        "bpf_attach_type": "BPF_???",
        "bpf_look_up": "BPF_???",
        "bpf_map_update": "BPF_???",
        "clone": "CLONE_???",
        "crypto_alg": "CRYPTO_ALG_???",
        "fd_special": "AT_???",
        "fcntl": "F_???",
        "futex_bitset": "",
        "io_uring_register": "IORING_REGISTER_???",
        "io_uring_resource": "IORING_RSRC_REGISTER_???",
        "ioctl": "",
        "ip_option": "IP_???",
        "ipv6_option": "IPV6_???",
        "ipproto": "IPPROTO_???",
        "ipc_create": "",
        "ipc_key": "",
        "ipc_op": "MSG_???",
        "key_permission": "KEY_???",
        "keyring_id": "",
        "landlock_access": "LANDLOCK_ACCESS_???",
        "poll": "POLL???",
        "lock_type": "F_???",
        "fd_flags": "FD_???",
        "inotify_init": "IN_???",
        "quota_type": "???QUOTA",
        "quota_format": "QFMT_VFS_???",
        "fanotify_init": "FAN_CLASS_???",
        "terminal_queue": "TC???",
        "terminal_flow": "TC???",
        "perf_ioctl": "PERF_IOC_FLAG_???",
        "termios_speed": "B???",
        "ioctl_x86": "",
        "memfd_secret": "",
        "mode": "S_???",
        "rename": "RENAME_??",
        "mount": "MS_???",
        "msg_cmd": "MSG_???",
        "namespace": "CLONE_NEW???",
        "open": "O_???",
        "open_tree": "OPEN_TREE_???",
        "kcm_option": "KCM_???",
        "raw_option": "RAW_???",
        "prctl_pac_enabled": "PR_PAC_???",
        "prctl_pac_key": "PR_PAC_???",
        "prctl_mce_policy": "PR_MCE_KILL_???",
        "prctl_sme_flags": "",
        "prctl_vector_flags": "",
        "reboot_magic": "LINUX_REBOOT_MAGIC_???",
        "reboot_magic2": "LINUX_REBOOT_MAGIC_???",
        "regset": "NT_???",
        "rlimit": "RLIMIT_???",
        "rseq": "RSEQ_FLAG_???",
        "scm": "SCM_???",
        "sem_cmd": "SEM_???",
        "seccomp_op": "SECCOMP_SET_MODE_???",
        "semop": "SEM_???",
        "shm_cmd": "SHM_???",
        "shm_get": "",
        "sock_flags": "SOCK_???",
        "sol": "SOL_???",
        "vsock_flags": "VMADDR_FLAG_???",
        "wait": "W???",
    }
)
"""Group -> what stands in the comment behind a value without a name, where the names share no beginning."""

_VALUES_KEPT: Final = 4096
"""Of how many values the text is remembered: the target chooses the values, and may choose many."""


class _Words(NamedTuple):
    """
    One group, as it is written.

    Attributes:
        enum_mask: the bits of the enumeration; all of them for a pure one, 0 for pure flags.
        enum: value to name within those bits.
        flags: (bits, place, name), those with more bits first, so that ``O_SYNC`` wins over ``O_DSYNC``.
        label: ``O_???``.
        last: whether the enumeration stands behind the flags, as the signal of clone(2) does.
    """

    enum_mask: int
    enum: Mapping[int, str]
    flags: Sequence[tuple[int, int, str]]
    label: str
    last: bool


@lru_cache(_VALUES_KEPT)
def word(group: str, value: int, arch: Arch) -> str:
    """
    Return *value*, which is not negative, in the words of *group* as *arch* has them.

    What has no name is hex; a value with no name at all is followed by a comment that says what
    was looked for: ``0x40 /* CLOCK_??? */``.
    """
    words = _words(group, arch)
    enum_part = _enum_text(words, value & words.enum_mask) if words.enum_mask else ""
    parts, rest = _flag_names(words, value & ~words.enum_mask)
    if enum_part:
        parts.insert(len(parts) if words.last else 0, enum_part)
    if not parts:
        return words.enum.get(0, "0")
    if rest and len(parts) == 1 and words.label:
        return f"{rest:#x} /* {words.label} */"
    return "|".join(parts)


@lru_cache(_VALUES_KEPT)
def flags_word(group: str, value: int, arch: Arch) -> str:
    """Return *value* in the flags of a mixed *group*; a bit of its enumeration has no name here (dup3(2))."""
    words = _words(group, arch)
    parts, rest = _flag_names(words, value)
    if not parts:
        return "0"
    if rest and len(parts) == 1 and words.label:
        return f"{rest:#x} /* {words.label} */"
    return "|".join(parts)


def _flag_names(words: _Words, value: int) -> tuple[list[str], int]:
    """Return the flags in *value*, in their order, the rest in hex as the last of them; and that rest."""
    found: list[tuple[int, str]] = []
    for bits, place, name in words.flags:
        if value & bits == bits:
            found.append((place, name))
            value &= ~bits
    parts = [name for _, name in sorted(found)]
    if value:
        parts.append(f"{value:#x}")
    return parts, value


def _enum_text(words: _Words, value: int) -> str:
    """Return the enumeration's part, or nothing where it is 0 and 0 has no name."""
    name = words.enum.get(value)
    if name is not None:
        return name
    if words.flags and not value:
        return ""
    if words.last:
        return f"{value:#x}"
    number = f"{value:#x}" if value else "0"  # as C's %#x writes it
    return f"{number} /* {words.label} */" if words.label else number


@lru_cache(None)
def _words(group: str, arch: Arch) -> _Words:
    shape = tables.constants()["groups"][group]
    unshown = shape.get("unshown", ())
    # Negative numbers are ints, and what is looked up has no sign.
    named = {value % (1 << 32) if value < 0 else value: name for value, name in names(group, arch).items()}
    named = {value: name for value, name in named.items() if name not in unshown}
    order = shape.get("order", [])
    places = {name: place - len(order) for place, name in enumerate(order)}
    kind = shape["type"]
    if kind == "enum":
        return _Words((1 << 64) - 1, MappingProxyType(named), (), _label(group, named), last=False)
    if kind == "flags":
        zero = {0: named[0]} if 0 in named else {}
        return _Words(0, zero, _flags(named, places), _label(group, named), last=False)
    mask = shape["enum_mask"]
    borrowed = shape.get("enum_set")
    if borrowed is not None:
        return _Words(mask, names(borrowed, arch), _flags(named, places, mask), _label(group, named), last=True)
    enum = {value: name for value, name in named.items() if name in shape["enum"]}
    if group == "open":
        enum |= {mask: "O_ACCMODE"}
    return _Words(mask, MappingProxyType(enum), _flags(named, places, mask), _label(group, named), last=False)


def _flags(named: Mapping[int, str], places: Mapping[str, int], mask: int = 0) -> Sequence[tuple[int, int, str]]:
    """Return the names of *named* whose bits are not the enumeration's, most bits first."""
    found = [(bits, places.get(name, bits), name) for bits, name in named.items() if bits & ~mask and not bits & mask]
    return tuple(sorted(found, key=lambda one: (-one[0].bit_count(), one[0])))


def _label(group: str, named: Mapping[int, str]) -> str:
    """Return ``CLOCK_???``: what the names begin with, up to their last ``_``."""
    if group in _LABELS:
        return _LABELS[group]
    beginning = commonprefix(list(named.values())).rpartition("_")[0]  # noqa: RUF071  # no paths
    return f"{beginning}_???" if beginning else ""
