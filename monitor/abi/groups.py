"""
From the words with which people name sets of calls to the names of the calls.

What it is not: the meaning of the set.  Whether its calls are refused or traced is for the caller.

The words: a call (``openat``), a class of strace (``%file``), a group of systemd
(``@network-io``), ``all``; and each of them with ``!`` in front, which takes away.  What
is taken away is gone wherever in the list the word stands, so that the order of words
never matters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Final

from monitor.abi import tables
from monitor.abi.arch import Arch
from monitor.abi.syscalls import names
from monitor.errors import PolicyError

ALIASES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        # The library function, where the kernel's call has another name: pread(2), prlimit(2),
        # stat(2), umount(2), under "C library/kernel differences" where the page has that section.
        "fstatat": ("newfstatat", "fstatat64"),
        "pread": ("pread64",),
        "prlimit": ("prlimit64",),
        "pwrite": ("pwrite64",),
        "umount": ("umount2",),
        # The function in the kernel's call table (arch/x86/entry/syscalls/syscall_64.tbl);
        # systemd writes `llseek` and `newfstat` too.
        "llseek": ("_llseek",),
        "newfstat": ("fstat",),
        "newlstat": ("lstat",),
        "newstat": ("stat",),
        "newuname": ("uname",),
        # strace's name on arm, where the table has the arch in front (arch/arm/tools/syscall.tbl).
        "fadvise64_64": ("arm_fadvise64_64",),
        "sync_file_range2": ("arm_sync_file_range",),
    }
)
"""Other spellings: where an ABI has no call of the very name, the first of these that it has is meant."""


def expand(words: Iterable[str], arch: Arch, *, missing_ok: bool = False) -> frozenset[str]:
    """
    Return the calls of *arch* that *words* name.

    Of a class or group, *arch* need not have every call.  A call named by itself it must
    have, unless *missing_ok*; a name that no arch has is refused in either case.

    Raises:
        PolicyError: a word is unknown, *arch* lacks a call that was named, or nothing is left.
    """
    added: set[str] = set()
    removed: set[str] = set()
    listed = list(dict.fromkeys(words))
    for word in listed:
        if word.startswith("!"):
            removed |= _calls_of(word[1:], arch, missing_ok=missing_ok)
        else:
            added |= _calls_of(word, arch, missing_ok=missing_ok)
    result = frozenset(added - removed)
    if not result:
        raise PolicyError(_empty_message(listed, arch))
    return result


def refuse_unknown(words: Iterable[str]) -> None:
    """Raise PolicyError for a word that names nothing on any arch; what an arch lacks is no matter here."""
    for word in words:
        bare = word.removeprefix("!")
        known = bare in _sets() if bare[:1] in ("%", "@") else bare == "all" or _is_known(bare)
        if not known:
            raise PolicyError(_unknown_message(bare))


def _calls_of(word: str, arch: Arch, *, missing_ok: bool) -> frozenset[str]:
    if word == "all":
        return names(arch)
    if word[:1] in ("%", "@"):
        if word not in _sets():
            raise PolicyError(_unknown_message(word))
        return frozenset(found for name in _sets()[word] if (found := _name_on(name, arch)))
    if found := _name_on(word, arch):
        return frozenset({found})
    if not _is_known(word):
        raise PolicyError(_unknown_message(word))
    if missing_ok:
        return frozenset()
    having = ", ".join(other.table for other in Arch if _name_on(word, other))
    message = f"{arch.table} has no call {word!r}; it exists on {having}"
    raise PolicyError(message)


def _name_on(word: str, arch: Arch) -> str | None:
    """Return the table's name on *arch* of the call that *word* spells, or None."""
    for name in (word, *ALIASES.get(word, ())):
        if name in names(arch):
            return name
    return None


def _is_known(word: str) -> bool:
    return any(_name_on(word, arch) for arch in Arch)


@cache
def _sets() -> Mapping[str, frozenset[str]]:
    """Return the calls of each ``%class`` and ``@group``, on whatever arch."""
    table = tables.classes()
    result = {f"%{name}": frozenset(calls) for name, calls in table["classes"].items()}
    result |= {f"%{name}": result[f"%{meant}"] for name, meant in table["aliases"].items()}
    result |= {name: frozenset(group["expanded"]) for name, group in tables.groups()["systemd"]["groups"].items()}
    return MappingProxyType(result)


def _unknown_message(word: str) -> str:
    # Imported for the message alone: a word that is right never pays for it.
    from difflib import get_close_matches  # noqa: PLC0415

    what = {"%": "class", "@": "group"}.get(word[:1], "call")
    candidates = {"all", *_sets(), *ALIASES}.union(*(names(arch) for arch in Arch))
    bare = [f"{sign}{word}" for sign in "%@" if f"{sign}{word}" in candidates]
    near = bare or get_close_matches(word, sorted(candidates), n=1)
    return f"unknown {what} {word!r}" + (f"; did you mean {near[0]!r}?" if near else "")


def _empty_message(words: list[str], arch: Arch) -> str:
    message = f"{', '.join(words) or 'an empty list'} names no call on {arch.table}"
    if words and all(word.startswith("!") for word in words):
        message += "; '!' takes away from the other words, so write 'all' beside it"
    return message
