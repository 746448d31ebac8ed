"""
ptrace(2) by request.

What it is not: what the kernel answers; a register set is shown as the place where it goes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from monitor.abi.arch import Arch
from monitor.abi.constants import names
from monitor.abi.words import word
from monitor.notify.render.kinds import IOVEC, Printer, hidden, in_words, pointed
from monitor.notify.render.layout import Layout
from monitor.notify.render.scene import Scene
from monitor.notify.render.siginfo import siginfo
from monitor.notify.render.signals import name_of, sigset
from monitor.notify.render.table import Selector, printers, selectors
from monitor.notify.render.text import address, structure

# ---- what addr and data can be ----


def _number(scene: Scene, index: int) -> str:
    return str(scene.pointer(index))


def _signal(scene: Scene, index: int) -> str:
    value = scene.bits(index) % (1 << 32)
    return name_of(value - (1 << 32) if value >> 31 else value, scene.arch)


def _signal_mask(scene: Scene, index: int) -> str:
    return sigset(scene, scene.pointer(index), scene.pointer(index - 1))


_REGISTERS: Final[Mapping[Arch, tuple[int, str]]] = MappingProxyType(
    {
        Arch.X86_64: (8, "R15 R14 R13 R12 RBP RBX R11 R10 R9 R8 RAX RCX RDX RSI RDI ORIG_RAX RIP CS EFL RSP SS"),
        Arch.I386: (4, "EBX ECX EDX ESI EDI EBP EAX XDS XES XFS XGS ORIG_EAX EIP XCS EFL UESP XSS"),
    }
)
"""The words at the beginning of struct user, where strace has names for them."""


def _user_place(scene: Scene, index: int) -> str:
    value = scene.pointer(index)
    size, listed = _REGISTERS.get(scene.arch, (1, ""))
    registers = listed.split()
    place, rest = divmod(value, size)
    if place >= len(registers):
        return address(value)
    name = f"{size}*{registers[place]}"
    return f"{name}+{rest}" if rest else name


_PEEK: Final = Layout("Q:off I:flags I:nr")


def _peek(scene: Scene, start: int) -> str:
    fields = scene.struct(start, _PEEK)
    flags = word("ptrace_peek", fields["flags"], scene.arch)
    return structure([("off", str(fields["off"])), ("flags", flags), ("nr", str(fields["nr"]))])


def _register_set(scene: Scene, start: int) -> str:
    fields = scene.struct(start, IOVEC)
    return structure([("iov_base", address(fields["base"])), ("iov_len", str(fields["len"]))])


_PLAIN: Final = (hidden, hidden)
_GOES_ON: Final = (hidden, _signal)
_OPTIONS: Final = (hidden, in_words("ptrace_options"))
_SETS: Final = (in_words("regset"), pointed(_register_set))

_REQUESTS: Final[Mapping[str, tuple[Printer, ...]]] = MappingProxyType(
    {
        "PTRACE_ATTACH": (),
        "PTRACE_INTERRUPT": (),
        "PTRACE_KILL": (),
        "PTRACE_LISTEN": (),
        "PTRACE_CONT": _GOES_ON,
        "PTRACE_DETACH": _GOES_ON,
        "PTRACE_SINGLEBLOCK": _GOES_ON,
        "PTRACE_SINGLESTEP": _GOES_ON,
        "PTRACE_SYSCALL": _GOES_ON,
        "PTRACE_SYSEMU": _GOES_ON,
        "PTRACE_SYSEMU_SINGLESTEP": _GOES_ON,
        "PTRACE_OLDSETOPTIONS": _OPTIONS,
        "PTRACE_SEIZE": _OPTIONS,
        "PTRACE_SETOPTIONS": _OPTIONS,
        "PTRACE_GETREGSET": _SETS,
        "PTRACE_SETREGSET": _SETS,
        "PTRACE_GETSIGMASK": (_number, hidden),
        "PTRACE_SETSIGMASK": (_number, _signal_mask),
        "PTRACE_GET_SYSCALL_INFO": (_number, hidden),
        "PTRACE_PEEKSIGINFO": (pointed(_peek), hidden),
        "PTRACE_PEEKUSER": (_user_place, hidden),
        "PTRACE_POKEUSER": (_user_place, hidden),
        "PTRACE_SECCOMP_GET_FILTER": (_number, hidden),
        "PTRACE_SECCOMP_GET_METADATA": (_number, hidden),
        "PTRACE_SETSIGINFO": (hidden, pointed(siginfo)),
    }
)
"""Request -> its addr and data."""

_DATA_ONLY: Final = frozenset({"PTRACE_GETREGS", "PTRACE_SETREGS", "PTRACE_GETFPREGS", "PTRACE_SETFPREGS"})
"""The requests whose addr strace leaves out, for on sparc the other one is."""


def _request(scene: Scene) -> str:
    return names("ptrace", scene.arch).get(scene.bits(0), "")


def _ptrace(scene: Scene) -> Sequence[str]:
    request = _request(scene)
    if request == "PTRACE_TRACEME":
        return ("op",)
    if request in _DATA_ONLY:
        return ("op", "pid", "data")
    return ("op", "pid", "addr", "data")[: 2 + len(_REQUESTS.get(request, _PLAIN))]


def _argument(scene: Scene, index: int) -> str:
    return _REQUESTS.get(_request(scene), _PLAIN)[index - 2](scene, index)


ARGUMENTS: Final[Mapping[tuple[str, str], Printer]] = printers(
    ("ptrace", "addr", _argument),
    ("ptrace", "data", _argument),
)

SHOWN: Final[Mapping[str, Selector]] = selectors(("ptrace", _ptrace))
