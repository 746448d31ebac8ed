"""
siginfo_t: what is sent along with a signal, whose meaning hangs on the signal and its code.

What it is not: what the kernel has to say about a signal; only what a program sends is seen here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from monitor.abi.arch import Arch
from monitor.abi.constants import errno_name, names
from monitor.abi.syscalls import name_of as call_name
from monitor.abi.words import word
from monitor.notify.render.kinds import Printer, pointed
from monitor.notify.render.layout import Fields, Layout
from monitor.notify.render.scene import Scene
from monitor.notify.render.signals import name_of
from monitor.notify.render.table import Selector, printers, selectors
from monitor.notify.render.text import address, hexadecimal, structure

_SIZE: Final = 128
_HEADER: Final = Layout("i:signo i:errno i:code")

# What follows the header, in one layout for each shape; each begins where a pointer may.
_SENT: Final = Layout("i:pid I:uid P:value")
_TIMER: Final = Layout("i:timerid i:overrun P:value")
_POLL: Final = Layout("l:band i:fd")
_FAULT: Final = Layout("P:addr H:lsb P:lower P:upper")
_KEY: Final = Layout("P:addr P:padding I:pkey")
_CALL: Final = Layout("P:call_addr i:syscall I:arch")
_CHILD: Final = Layout("i:pid I:uid i:status l:utime l:stime")
_CHILD_X32: Final = Layout("i:pid I:uid i:status i:utime_low i:utime_high i:stime_low i:stime_high")

_CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "SIGBUS": "si_code_bus",
        "SIGCHLD": "si_code_chld",
        "SIGFPE": "si_code_fpe",
        "SIGILL": "si_code_ill",
        "SIGIO": "si_code_poll",
        "SIGSEGV": "si_code_segv",
        "SIGSYS": "si_code_sys",
        "SIGTRAP": "si_code_trap",
    }
)
"""Signal -> the names of its own codes, which are above 0; those at 0 and below are the sender's."""

_FAULTS: Final = frozenset({"SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV", "SIGTRAP"})


def siginfo(scene: Scene, start: int) -> str:
    """Write a siginfo_t."""
    data = scene.read(start, _SIZE)
    header = _HEADER.read(data, scene.arch)
    number, code = header["signo"], header["code"]
    if not number:
        return "{}"
    name = name_of(number, scene.arch)
    shown = [("si_signo", name), ("si_code", _code(name, code, scene.arch))]
    if header["errno"]:
        shown.append(("si_errno", errno_name(header["errno"] % (1 << 32), scene.arch)))
    # The union holds pointers, and is aligned as they are.
    body = data[-(-_HEADER.size(scene.arch) // scene.word) * scene.word :]
    shown += _from_user(scene, body, code) if code <= 0 else _from_kernel(scene, body, name, code)
    return structure(shown)


def _code(signal: str, code: int, arch: Arch) -> str:
    name = names("si_code", arch).get(code)
    if name is None and signal in _CODES:
        name = names(_CODES[signal], arch).get(code)
    return name or hexadecimal(code % (1 << 32))


def _from_user(scene: Scene, body: bytes, code: int) -> list[tuple[str, str]]:
    name = names("si_code", scene.arch).get(code)
    if name == "SI_TIMER":
        fields = _TIMER.read(body, scene.arch)
        timer = [("si_timerid", hexadecimal(fields["timerid"] % (1 << 32))), ("si_overrun", str(fields["overrun"]))]
        return [*timer, *_value(scene, fields)]
    if name == "SI_SIGIO":
        return _poll(scene, body)
    fields = _SENT.read(body, scene.arch)
    plain = name in {"SI_USER", "SI_TKILL"} or not fields["value"]
    return _source(fields) if plain else [*_source(fields), *_value(scene, fields)]


def _from_kernel(scene: Scene, body: bytes, signal: str, code: int) -> list[tuple[str, str]]:
    if signal == "SIGCHLD":
        return _child(scene, body, code)
    if signal in _FAULTS:
        return _fault(scene, body, _code(signal, code, scene.arch))
    if signal == "SIGIO":
        return _poll(scene, body) if code in names("si_code_poll", scene.arch) else []
    if signal == "SIGSYS":
        return _system_call(scene, body)
    fields = _SENT.read(body, scene.arch)
    shown = _source(fields) if fields["pid"] or fields["uid"] else []
    return [*shown, *_value(scene, fields)] if fields["value"] else shown


def _fault(scene: Scene, body: bytes, code: str) -> list[tuple[str, str]]:
    fields = _FAULT.read(body, scene.arch)
    shown = [("si_addr", address(fields["addr"]))]
    match code:
        case "BUS_MCEERR_AR" | "BUS_MCEERR_AO":
            shown.append(("si_addr_lsb", hexadecimal(fields["lsb"])))
        case "SEGV_BNDERR":
            shown += [("si_lower", address(fields["lower"])), ("si_upper", address(fields["upper"]))]
        case "SEGV_PKUERR":
            shown.append(("si_pkey", str(_KEY.read(body, scene.arch)["pkey"])))
        case _:
            pass
    return shown


def _source(fields: Fields) -> list[tuple[str, str]]:
    uid = fields["uid"]
    return [("si_pid", str(fields["pid"])), ("si_uid", "-1" if uid == (1 << 32) - 1 else str(uid))]


def _value(scene: Scene, fields: Fields) -> list[tuple[str, str]]:
    first = fields["value"].to_bytes(scene.word, scene.order)[:4]
    number = int.from_bytes(first, scene.order, signed=True)
    return [("si_int", str(number)), ("si_ptr", address(fields["value"]))]


def _poll(scene: Scene, body: bytes) -> list[tuple[str, str]]:
    fields = _POLL.read(body, scene.arch)
    return [("si_band", str(fields["band"])), ("si_fd", scene.fd(fields["fd"]))]


def _child(scene: Scene, body: bytes, code: int) -> list[tuple[str, str]]:
    fields = (_CHILD_X32 if scene.arch is Arch.X32 else _CHILD).read(body, scene.arch)
    status = fields["status"]
    exited = names("si_code_chld", scene.arch).get(code) == "CLD_EXITED"
    shown = [*_source(fields), ("si_status", str(status) if exited else name_of(status, scene.arch))]
    for name in ("utime", "stime"):
        ticks = fields.get(name)
        if ticks is None:  # x32 has them as 64 bits, aligned to four bytes
            ticks = fields[f"{name}_high"] << 32 | fields[f"{name}_low"] % (1 << 32)
        shown.append((f"si_{name}", _ticks(ticks)))
    return shown


def _ticks(count: int) -> str:
    """Write a time in the kernel's ticks for programs, of which a second has a hundred (times(2))."""
    return f"{count} /* {count // 100}.{count % 100:02} s */" if count > 0 else str(count)


def _system_call(scene: Scene, body: bytes) -> list[tuple[str, str]]:
    fields = _CALL.read(body, scene.arch)
    made = fields["syscall"]
    machine = word("audit_arch", fields["arch"], scene.arch)
    name = call_name(scene.arch, made) if fields["arch"] == scene.arch.audit_value else None
    call = f"__NR_{name}" if name else hexadecimal(made % (1 << 32))
    return [("si_call_addr", address(fields["call_addr"])), ("si_syscall", call), ("si_arch", machine)]


ARGUMENTS: Final[Mapping[tuple[str, str], Printer]] = printers()

SHOWN: Final[Mapping[str, Selector]] = selectors()

KINDS: Final[Mapping[str, Printer]] = MappingProxyType({"struct:siginfo": pointed(siginfo)})
