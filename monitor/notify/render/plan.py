"""
What is written of one call of one ABI: which arguments, in which order, by which printers.

What it is not: a call.  A plan is made once for each call of an ABI, and used for every call of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple

from monitor.abi.arch import Arch
from monitor.abi.syscalls import Argument, Signature, signature_behind, signature_of
from monitor.notify.render import (
    addresses,
    bpf,
    clones,
    credentials,
    fcntl,
    files,
    futexes,
    ioctl,
    kernels,
    keys,
    limits,
    mappings,
    messages,
    mounts,
    performance,
    policies,
    polls,
    prctl,
    processes,
    queues,
    quotas,
    registrations,
    rings,
    sandboxes,
    segments,
    siginfo,
    signals,
    sockets,
    sockopts,
    stamps,
    times,
    tracing,
    transfers,
)
from monitor.notify.render.kinds import BY_KIND, Printer, hidden, joined
from monitor.notify.render.scene import Scene
from monitor.notify.render.table import Multiplexer, Selector

_FAMILIES: Final = (
    addresses,
    bpf,
    clones,
    credentials,
    fcntl,
    files,
    futexes,
    ioctl,
    kernels,
    keys,
    limits,
    mappings,
    messages,
    mounts,
    performance,
    policies,
    polls,
    prctl,
    processes,
    queues,
    registrations,
    quotas,
    rings,
    sandboxes,
    segments,
    siginfo,
    signals,
    sockets,
    sockopts,
    stamps,
    times,
    tracing,
    transfers,
)

_ARGUMENTS: Final[Mapping[tuple[str, str], Printer]] = MappingProxyType(
    {key: printer for family in _FAMILIES for key, printer in family.ARGUMENTS.items()}
)
_SHOWN: Final[Mapping[str, Selector]] = MappingProxyType(
    {call: selector for family in _FAMILIES for call, selector in family.SHOWN.items()}
)
_BEHIND: Final[Mapping[str, Multiplexer]] = MappingProxyType(
    {call: behind for family in _FAMILIES for call, behind in getattr(family, "BEHIND", {}).items()}
)
_KINDS: Final[Mapping[str, Printer]] = MappingProxyType(
    {**BY_KIND, **{kind: printer for family in _FAMILIES for kind, printer in getattr(family, "KINDS", {}).items()}}
)


class Step(NamedTuple):
    """One argument that is shown."""

    name: str
    register: int
    printer: Printer


class Plan(NamedTuple):
    """
    How one call is written.

    Attributes:
        signature: what its registers mean.
        steps: every argument that can be shown, in order.
        by_name: the same, by name.
        select: says which of them are shown this time; None: all.
        behind: says which call it really is; None: itself.
    """

    signature: Signature
    steps: Sequence[Step]
    by_name: Mapping[str, Step]
    select: Selector | None
    behind: Multiplexer | None

    def shown(self, scene: Scene) -> Sequence[Step]:
        """Return the arguments that this call has."""
        if self.select is None:
            return self.steps
        return [self.by_name[name] for name in self.select(scene)]


@lru_cache(None)
def plan_of(arch: Arch, name: str) -> Plan | None:
    """Return how call *name* of *arch* is written; None where its signature is not known."""
    signature = signature_of(arch, name)
    return None if signature is None else _plan(signature)


@lru_cache(None)
def plan_behind(arch: Arch, name: str) -> Plan:
    """Return how call *name* is written which *arch* has behind another one."""
    return _plan(signature_behind(arch, name))


def _plan(signature: Signature) -> Plan:
    steps = tuple(_steps(signature))
    by_name = MappingProxyType({step.name: step for step in steps})
    return Plan(signature, steps, by_name, _SHOWN.get(signature.name), _BEHIND.get(signature.name))


def _steps(signature: Signature) -> Iterator[Step]:
    """Yield the arguments; a 64-bit value in two registers is one, and what pads them apart is none."""
    arguments = signature.arguments
    skip = False
    for index, argument in enumerate(arguments):
        if skip or argument.name.startswith("pad"):
            skip = False
            continue
        whole, _, half = argument.name.rpartition("_")
        if half in {"lo", "hi"} and index + 1 < len(arguments) and arguments[index + 1].name.startswith(f"{whole}_"):
            skip = True
            yield Step(whole, index, _ARGUMENTS.get((signature.name, whole), joined))
        else:
            yield Step(argument.name, index, _printer_of(signature.name, argument))


def _printer_of(call: str, argument: Argument) -> Printer:
    special = _ARGUMENTS.get((call, argument.name))
    if special is not None:
        return special
    if argument.direction == "out":
        return hidden
    return _KINDS.get(argument.kind, hidden)
