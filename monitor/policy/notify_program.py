"""
From numbers to a program: which calls of which arch notify the supervisor, where there is no policy.

What it is not: the assembler, or the compiler of policies (``compile``).  It says of every call
one of four things: it runs, it notifies, it fails, or its process is killed.  The step behind it
is ``sources.launch``, which installs the ``Program``.

What a program says, ``decide`` says in plain words; the two agree for every call.

Why the arch comes first: the same number is another call in another arch, and a process may
use several (``int $0x80`` from a 64-bit program, an exec of a 32-bit one).  A filter that
compares numbers alone lets those calls run unseen.  x32 has the audit value of x86_64, and
differs by a bit of the number.

Why seccomp(2) with ``NEW_LISTENER`` is refused here and not by the supervisor: when the
supervisor is gone, its listener is closed, and the kernel no longer refuses a second one.  Of
two filters that both notify the newer wins, so that the target could answer its own calls.  An
errno beats a notification, and outlives us.  ``EBUSY`` is what the kernel itself says while
our listener is open (kernel/seccomp.c, ``has_duplicate_listener``).

Source: seccomp(2), seccomp_unotify(2); kernel/seccomp.c, ``seccomp_cache_prepare``: a number
for which the program returns "allow" without a look at an argument costs nothing at run time,
which is why arguments are loaded for seccomp(2) alone.
"""

from __future__ import annotations

import itertools
from errno import EBUSY, ENOSYS
from typing import TYPE_CHECKING, Final, NamedTuple

from monitor.abi.arch import Arch
from monitor.abi.seccomp import SET_MODE_FILTER, FilterFlag, RetValue
from monitor.abi.syscalls import number_of
from monitor.policy.assembler import Assembler, Label
from monitor.policy.bpf import WORD_MASK
from monitor.policy.numbers import EVERY, Numbers, owner, refuse_impossible, spans
from monitor.policy.tree import Step, add_tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from monitor.policy.bpf import Program

_KILL: Final = RetValue.KILL_PROCESS.value
_ALLOW: Final = RetValue.ALLOW.value
_NOTIFY: Final = RetValue.USER_NOTIF.value
_NO_SUCH_CALL: Final = RetValue.ERRNO | ENOSYS
_LISTENER_REFUSED: Final = RetValue.ERRNO | EBUSY


def decide(notified: Mapping[Arch, Numbers], audit_value: int, nr: int, args: Sequence[int]) -> int:
    """Return what ``compile_notify(notified)`` returns for a call: its meaning, for readers and tests."""
    arch = owner(audit_value, nr)
    if arch is None or not arch.family() & notified.keys():
        return _KILL
    if arch not in notified:
        return _NO_SUCH_CALL
    # The kernel takes operation and flags as unsigned int: their high halves mean nothing.
    operation, flags = args[0] & WORD_MASK, args[1] & WORD_MASK
    if nr == number_of(arch, "seccomp") and operation == SET_MODE_FILTER and flags & FilterFlag.NEW_LISTENER:
        return _LISTENER_REFUSED
    numbers = notified[arch]
    return _NOTIFY if numbers is EVERY or nr in numbers else _ALLOW


def compile_notify(notified: Mapping[Arch, Numbers]) -> Program:
    """
    Return the program that notifies for the calls in *notified*, and lets the others run.

    Arches that are not in *notified* fail with ``ENOSYS`` if the same machine may run them,
    and kill the process if not.  A target that asks for a listener of its own gets ``EBUSY``.

    Raises:
        ProgramTooLongError: the numbers are too many, and too scattered.
        ValueError: *notified* is empty, or has a number that no call of its arch can have.
    """
    if not notified:
        message = "a program for no arch at all would kill every process"
        raise ValueError(message)
    refuse_impossible(notified)
    assembler = Assembler()
    sections: list[tuple[Label, list[_Segment]]] = []
    assembler.load_arch()
    for audit_value in _audit_values(notified):
        segments = _segments(notified, audit_value)
        if len(segments) == 1:
            assembler.jump_equal(audit_value, true=assembler.shared_return(segments[0].value))
        else:
            sections.append((Label(f"arch {audit_value:#x}"), segments))
            assembler.jump_equal(audit_value, true=sections[-1][0])
    assembler.ret(_KILL)
    for label, segments in sections:
        assembler.place(label)
        _add_section(assembler, segments)
    return assembler.assemble()


def _audit_values(notified: Mapping[Arch, Numbers]) -> Iterable[int]:
    """Return the audit values that do not kill: those in *notified* first, in its order."""
    others = (arch for arch in Arch if arch.family() & notified.keys())
    return dict.fromkeys(arch.audit_value for arch in (*notified, *others))


class _Segment(NamedTuple):
    """
    Numbers with one answer, from *first* up to the next segment's.

    Attributes:
        first: the lowest of the numbers.
        value: what the program returns for them.
        seccomp_of: set if *first* is the number of seccomp(2), and alone: the arch whose
            arguments are looked at before *value* is returned.
    """

    first: int
    value: int
    seccomp_of: Arch | None = None


def _segments(notified: Mapping[Arch, Numbers], audit_value: int) -> list[_Segment]:
    """Return what the program says about each number that comes with *audit_value*: no gap, no two alike in a row."""
    arches = (arch for arch in Arch if arch.audit_value == audit_value)
    # Of two segments with the same start the later is the exception to the earlier.
    by_first = {segment.first: segment for arch in arches for segment in _arch_segments(notified, arch)}
    in_order = sorted(by_first.values(), key=lambda segment: segment.first)
    alike = itertools.groupby(in_order, key=lambda segment: (segment.value, segment.seccomp_of))
    return [next(group) for _, group in alike]


def _arch_segments(notified: Mapping[Arch, Numbers], arch: Arch) -> Iterator[_Segment]:
    """Yield the segments of *arch* in the order of the numbers, of each span the default first."""
    if arch not in notified:
        yield from (_Segment(span.start, _NO_SUCH_CALL) for span in spans(arch))
        return
    numbers = notified[arch]
    default = _NOTIFY if numbers is EVERY else _ALLOW
    seccomp = number_of(arch, "seccomp")
    special: set[int] = set() if numbers is EVERY else set(numbers)
    if seccomp is not None:
        special.add(seccomp)
    for span in spans(arch):
        yield _Segment(span.start, default)
        for nr in sorted(nr for nr in special if nr in span):
            value = _NOTIFY if numbers is EVERY or nr in numbers else _ALLOW
            yield _Segment(nr, value, seccomp_of=arch if nr == seccomp else None)
            if nr + 1 in span:
                yield _Segment(nr + 1, default)


def _add_section(assembler: Assembler, segments: Sequence[_Segment]) -> None:
    """Add what happens to the calls of one audit value: find the number, then look at seccomp(2) more closely."""
    steps: list[Step] = []
    guards: list[tuple[Label, Arch, Label]] = []
    for segment in segments:
        target = assembler.shared_return(segment.value)
        if segment.seccomp_of is not None:
            guards.append((Label("seccomp(2)"), segment.seccomp_of, target))
            target = guards[-1][0]
        steps.append(Step(segment.first, target))
    assembler.load_nr()
    add_tree(assembler, steps)
    for label, arch, otherwise in guards:
        assembler.place(label)
        _add_guard(assembler, arch, otherwise)


def _add_guard(assembler: Assembler, arch: Arch, otherwise: Label) -> None:
    """Add the refusal of a listener to what is seccomp(2) of *arch*; other uses of it go to *otherwise*."""
    refused = assembler.shared_return(_LISTENER_REFUSED)
    assembler.load_argument_low(0, arch)
    assembler.jump_equal(SET_MODE_FILTER, false=otherwise)
    assembler.load_argument_low(1, arch)
    assembler.jump_any_set(FilterFlag.NEW_LISTENER, true=refused, false=otherwise)
