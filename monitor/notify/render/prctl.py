"""
prctl(2): what an option has for arguments.

What it is not: arch_prctl(2), which is of x86 alone (``segments``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from monitor.abi.constants import names, values
from monitor.abi.words import word
from monitor.notify.render.kinds import Printer, hexed, hidden, in_words, pointed, string
from monitor.notify.render.sandboxes import filter_program
from monitor.notify.render.scene import Scene
from monitor.notify.render.signals import name_of
from monitor.notify.render.table import Selector, printers, selectors
from monitor.notify.render.text import hexadecimal, quoted

_NAME_LENGTH: Final = 15
"""The bytes of a thread's name without its NUL (``TASK_COMM_LEN``, include/linux/sched.h)."""

_LAST_SIGNAL_SHOWN: Final = 128


def _process(scene: Scene, index: int) -> str:
    value = scene.bits(index) % (1 << 32)
    return str(value - (1 << 32) if value >> 31 else value)


def _long(scene: Scene, index: int) -> str:
    value = scene.pointer(index)
    return str(value - (1 << 64) if value >> 63 else value)


def _unsigned(scene: Scene, index: int) -> str:
    return str(scene.pointer(index))


def _narrow(group: str) -> Printer:
    """Return the printer of an argument of which the option takes 32 bits."""
    return lambda scene, index: word(group, scene.bits(index) % (1 << 32), scene.arch)


def _death_signal(scene: Scene, index: int) -> str:
    value = scene.bits(index)
    return str(value) if value > _LAST_SIGNAL_SHOWN else name_of(value, scene.arch)


def _name(scene: Scene, start: int) -> str:
    data = scene.read_some(start, _NAME_LENGTH)
    end = data.find(0)
    return quoted(data[:end]) if end >= 0 else quoted(data, cut=True)


def _tracer(scene: Scene, index: int) -> str:
    value = scene.bits(index) % (1 << 32)
    return "PR_SET_PTRACER_ANY" if value == (1 << 32) - 1 else str(value)


def _tagged(scene: Scene, index: int) -> str:
    """Write the control of tagged addresses on arm64: a bit, a mode, and sixteen bits of tags."""
    value = scene.bits(index)
    flag = values("prctl_tagged", scene.arch)
    enabled, mode_mask, tags = flag["PR_TAGGED_ADDR_ENABLE"], flag["PR_MTE_TCF_MASK"], flag["PR_MTE_TAG_MASK"]
    parts = ["PR_TAGGED_ADDR_ENABLE" if value & enabled else "!PR_TAGGED_ADDR_ENABLE"]
    parts.append(word("prctl_tag_check", value & mode_mask, scene.arch))
    if value & tags:
        parts.append(f"{(value & tags) >> flag['PR_MTE_TAG_SHIFT']:#x}<<PR_MTE_TAG_SHIFT")
    rest = value & ~(enabled | mode_mask | tags)
    return "|".join([*parts, *([f"{rest:#x}"] if rest else [])])


def _vector_length(group: str) -> Printer:
    """Return the printer of how long arm64's vectors shall be, with the flags of *group*."""

    def printer(scene: Scene, index: int) -> str:
        value = scene.bits(index)
        length = value & values("prctl_vector", scene.arch)["PR_SVE_VL_LEN_MASK"]
        flags = value - length
        return f"{word(group, flags, scene.arch)}|{hexadecimal(length)}" if flags else hexadecimal(length)

    return printer


def _kind_of_id(scene: Scene, index: int) -> str:
    value = scene.bits(index) % (1 << 32)
    name = names("prctl_id_type", scene.arch).get(value, "PIDTYPE_???")
    return f"{f'{value:#x}' if value else '0'} /* {name} */"


_REST: Final = (hexed, hexed, hexed, hexed)
_NOTHING: Final[tuple[Printer, ...]] = ()
_NUMBER: Final = (_unsigned,)
_ANSWER: Final = (hidden,)
_FLAG: Final = (_unsigned, hexed, hexed, hexed)

_OPTIONS: Final[Mapping[str, tuple[Printer, ...]]] = MappingProxyType(
    {
        "PR_CAPBSET_DROP": (in_words("capability"),),
        "PR_CAPBSET_READ": (in_words("capability"),),
        "PR_GET_CHILD_SUBREAPER": _ANSWER,
        "PR_GET_DUMPABLE": _NOTHING,
        "PR_GET_ENDIAN": _ANSWER,
        "PR_GET_FPEMU": _ANSWER,
        "PR_GET_FPEXC": _ANSWER,
        "PR_GET_FP_MODE": _NOTHING,
        "PR_GET_KEEPCAPS": _NOTHING,
        "PR_GET_NAME": _ANSWER,
        "PR_GET_PDEATHSIG": _ANSWER,
        "PR_GET_SECCOMP": _NOTHING,
        "PR_GET_SECUREBITS": _NOTHING,
        "PR_GET_SPECULATION_CTRL": (in_words("prctl_speculation"),),
        "PR_GET_TID_ADDRESS": _ANSWER,
        "PR_GET_TIMERSLACK": _NOTHING,
        "PR_GET_TIMING": _NOTHING,
        "PR_GET_TSC": _ANSWER,
        "PR_GET_UNALIGN": _ANSWER,
        "PR_PAC_RESET_KEYS": (in_words("prctl_pac_key"), hexed, hexed, hexed),
        "PR_PAC_SET_ENABLED_KEYS": (in_words("prctl_pac_enabled"), in_words("prctl_pac_enabled"), hexed, hexed),
        "PR_SCHED_CORE": (_narrow("prctl_sched_core"), _process, _kind_of_id, hidden),
        "PR_SET_CHILD_SUBREAPER": _NUMBER,
        "PR_SET_DUMPABLE": (in_words("prctl_dumpable"),),
        "PR_SET_ENDIAN": _NUMBER,
        "PR_SET_FPEMU": _NUMBER,
        "PR_SET_FPEXC": _NUMBER,
        "PR_SET_FP_MODE": (_narrow("prctl_fp_mode"),),
        "PR_SET_IO_FLUSHER": _FLAG,
        "PR_SET_KEEPCAPS": _NUMBER,
        "PR_SET_MM": (_narrow("prctl_set_mm"), hexed, hexed, hexed),
        "PR_SET_NAME": (pointed(_name),),
        "PR_SET_NO_NEW_PRIVS": _FLAG,
        "PR_SET_PDEATHSIG": (_death_signal,),
        "PR_SET_PTRACER": (_tracer,),
        "PR_SET_SECUREBITS": (in_words("securebits"),),
        "PR_SET_SYSCALL_USER_DISPATCH": (in_words("prctl_dispatch"), hexed, hexed, hidden),
        "PR_SET_TAGGED_ADDR_CTRL": (_tagged, hexed, hexed, hexed),
        "PR_SET_THP_DISABLE": _FLAG,
        "PR_SET_TIMERSLACK": (_long,),
        "PR_SET_TIMING": _NUMBER,
        "PR_SET_TSC": (_narrow("prctl_tsc"),),
        "PR_SET_UNALIGN": (_narrow("prctl_unalign"),),
        "PR_SME_GET_VL": _NOTHING,
        "PR_SME_SET_VL": (_vector_length("prctl_sme_flags"),),
        "PR_SVE_GET_VL": _NOTHING,
        "PR_SVE_SET_VL": (_vector_length("prctl_vector_flags"),),
        "PR_TASK_PERF_EVENTS_DISABLE": _NOTHING,
        "PR_TASK_PERF_EVENTS_ENABLE": _NOTHING,
    }
)
"""Option -> its arguments, where its second one decides nothing."""


def _by_second(scene: Scene, option: str) -> tuple[Printer, ...]:
    """Return the arguments of the options that are multiplexers themselves."""
    second = scene.bits(1)
    match option:
        case "PR_CAP_AMBIENT":
            about_one = names("prctl_cap_ambient", scene.arch).get(second, "PR_CAP_AMBIENT_CLEAR_ALL")
            third = hexed if about_one.endswith("_CLEAR_ALL") else in_words("capability")
            return (in_words("prctl_cap_ambient"), third, hexed, hexed)
        case "PR_MCE_KILL":
            sets = names("prctl_mce_kill", scene.arch).get(second) == "PR_MCE_KILL_SET"
            return (in_words("prctl_mce_kill"), in_words("prctl_mce_policy") if sets else hexed, hexed, hexed)
        case "PR_SET_SECCOMP":
            mode = names("seccomp_mode", scene.arch).get(second)
            rest = {"SECCOMP_MODE_STRICT": (), "SECCOMP_MODE_FILTER": (pointed(filter_program),)}
            return (in_words("seccomp_mode"), *rest.get(mode or "", _REST[1:]))
        case "PR_SET_SPECULATION_CTRL":
            known = second in names("prctl_speculation", scene.arch)
            return (in_words("prctl_speculation"), in_words("prctl_speculation_set") if known else hexed)
        case "PR_SET_VMA":
            named = second in names("prctl_set_vma", scene.arch)
            return (in_words("prctl_set_vma"), *((hidden, _unsigned, string) if named else _REST[1:]))
        case _:
            return _OPTIONS.get(option, _REST)


def _arguments(scene: Scene) -> tuple[Printer, ...]:
    return _by_second(scene, names("prctl", scene.arch).get(scene.bits(0), ""))


def _prctl(scene: Scene) -> Sequence[str]:
    return ("op", "arg2", "arg3", "arg4", "arg5")[: 1 + len(_arguments(scene))]


def _argument(scene: Scene, index: int) -> str:
    return _arguments(scene)[index - 1](scene, index)


ARGUMENTS: Final[Mapping[tuple[str, str], Printer]] = printers(
    ("prctl", "arg2", _argument),
    ("prctl", "arg3", _argument),
    ("prctl", "arg4", _argument),
    ("prctl", "arg5", _argument),
)

SHOWN: Final[Mapping[str, Selector]] = selectors(("prctl", _prctl))
