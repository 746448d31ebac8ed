"""
perf_event_open(2): what shall be counted.

What it is not: the whole struct; like strace, the fields from the wake-up on are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from monitor.abi.arch import Arch
from monitor.abi.constants import names
from monitor.abi.words import word
from monitor.notify.render.kinds import Printer, pointed
from monitor.notify.render.layout import Layout
from monitor.notify.render.scene import Scene
from monitor.notify.render.table import Selector, printers, selectors
from monitor.notify.render.text import address, hexadecimal, structure

_ATTR: Final = Layout("I:type I:size Q:config Q:sample_period Q:sample_type Q:read_format Q:bits")
_SMALLEST: Final = 64
"""``PERF_ATTR_SIZE_VER0`` (include/uapi/linux/perf_event.h)."""

_BITS: Final = (
    "disabled inherit pinned exclusive exclude_user exclude_kernel exclude_hv exclude_idle mmap comm freq "
    "inherit_stat enable_on_exec task watermark precise_ip - mmap_data sample_id_all exclude_host exclude_guest "
    "exclude_callchain_kernel exclude_callchain_user mmap2 comm_exec use_clockid context_switch write_backward "
    "namespaces ksymbol bpf_event aux_output cgroup text_poke build_id inherit_thread remove_on_exec sigtrap"
)
"""The bit fields in order, each of one bit but for precise_ip, which has two."""

_FREQUENCY: Final = 10
"""The place of the bit that makes the period a frequency."""

_SKID: Final = ("arbitrary skid", "constant skid", "requested to have 0 skid", "must have 0 skid")


def _attr(scene: Scene, start: int) -> str:
    size = scene.integer(start + 4)
    if 0 < size < _SMALLEST:
        return address(start)
    fields = scene.struct(start, _ATTR)
    arch = scene.arch
    bits = _flags(fields["bits"], arch)
    frequency = bits & 1 << _FREQUENCY
    shown = [
        ("type", word("perf_type", fields["type"], arch)),
        ("size", word("perf_size", size, arch)),
        ("config", _config(fields["type"], fields["config"], arch)),
        ("sample_freq" if frequency else "sample_period", str(fields["sample_period"])),
        ("sample_type", word("perf_sample", fields["sample_type"], arch)),
        ("read_format", word("perf_read", fields["read_format"], arch)),
        *_bit_fields(bits),
    ]
    return structure(shown, cut=True)


def _flags(word_of_bits: int, arch: Arch) -> int:
    """Return the bit fields with the first as the lowest bit, as little-endian machines have them."""
    return word_of_bits if arch.little_endian else int(f"{word_of_bits:064b}"[::-1], 2)


def _bit_fields(bits: int) -> list[tuple[str, str]]:
    shown: list[tuple[str, str]] = []
    fields = _BITS.split()
    for place, name in enumerate(fields):
        if name == "precise_ip":
            skid = bits >> place & 3
            shown.append((name, f"{skid} /* {_SKID[skid]} */"))
        elif name != "-" and bits >> place & 1:
            shown.append((name, "1"))
    rest = bits >> len(fields)
    if rest:
        shown.append(("__reserved_1", f"{rest:#x} /* Bits 63..{len(fields)} */"))
    return shown


def _config(kind: int, config: int, arch: Arch) -> str:
    high, low = config >> 32, config & 0xFFFFFFFF
    prefix = f"{high:#x}<<32|" if high else ""
    match names("perf_type", arch).get(kind):
        case "PERF_TYPE_HARDWARE":
            return prefix + word("perf_hardware", low, arch)
        case "PERF_TYPE_SOFTWARE":
            return word("perf_software", config, arch)
        case "PERF_TYPE_TRACEPOINT":
            return str(config)
        case "PERF_TYPE_HW_CACHE":
            parts = [f"{low >> 24:#x}<<24"] if low >> 24 else []
            parts.append(f"{word('perf_cache_result', low >> 16 & 0xFF, arch)}<<16")
            parts.append(f"{word('perf_cache_op', low >> 8 & 0xFF, arch)}<<8")
            return prefix + "|".join([*parts, word("perf_cache", low & 0xFF, arch)])
        case _:
            return hexadecimal(config)


ARGUMENTS: Final[Mapping[tuple[str, str], Printer]] = printers(("perf_event_open", "attr", pointed(_attr)))

SHOWN: Final[Mapping[str, Selector]] = selectors()
