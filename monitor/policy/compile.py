"""
From a policy to a program and routes: what the kernel decides, and what it leaves to the supervisor.

What it is not: a meaning.  That is ``Policy.decide``, and for the program ``answers.answer``, with which
it agrees for every call.  The steps, each a module: what the layers say about each number (``table``),
one diagram of it per number (``decisions``, ``arguments``), numbers that are decided alike as ranges
(``ranges``), a tree that finds the range (``tree``), instructions (``sections``, ``assembler``).

Why the arch comes first, and x32 by its bit: see ``numbers.owner``.  Why the number comes before any
register: see ``sections``.  Why seccomp(2) with ``NEW_LISTENER`` is refused: see ``answers.LISTENER_REFUSED``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from attrs import field, frozen

from monitor.abi.arch import Arch
from monitor.abi.seccomp import MAX_INSTRUCTIONS
from monitor.errors import ProgramTooLongError
from monitor.policy.answers import elsewhere, standing_of
from monitor.policy.bpf import Program
from monitor.policy.decisions import Decided, Decider
from monitor.policy.diagram import Diagram
from monitor.policy.model import Policy
from monitor.policy.numbers import Numbers, refuse_impossible
from monitor.policy.ranges import Behind, Segment, described, segments
from monitor.policy.routes import Routes, routes_of
from monitor.policy.sections import Laid, Note, Section, arch_name, laid
from monitor.policy.table import table_of

RESERVED: Final = 64
"""Instructions that are left free for what a launcher puts before a program (``sources.prologue`` needs 33)."""

_BLAMED: Final = 3
"""How many rules the complaint about a long program names."""


def _labels(given: Mapping[int, tuple[str, ...]]) -> Mapping[int, tuple[str, ...]]:
    return MappingProxyType(dict(given))


@frozen
class CompiledPolicy:
    """
    What a policy became.

    Attributes:
        program: for the kernel.
        routes: for the supervisor: what to do with what is notified.
        notes: for each instruction, for what it is there.
        labels: names of places in the program, by index.
    """

    program: Program
    routes: Routes
    notes: tuple[Note, ...]
    labels: Mapping[int, tuple[str, ...]] = field(converter=_labels, hash=False)


def compile_policy(
    policy: Policy,
    arches: Iterable[Arch],
    *,
    notified: Mapping[Arch, Numbers] | None = None,
    observe: bool = False,
    guarded: bool = True,
    refusals: bool = False,
    limit: int = MAX_INSTRUCTIONS - RESERVED,
) -> CompiledPolicy:
    """
    Return the program that decides as *policy* does, and what is left to the supervisor.

    *arches* are the ABIs of the machine; calls of any other are answered as the policy's ``other_arch``
    says.  *notified* are numbers that handlers want to see: they are notified wherever the policy does
    not refuse the call.  With *observe* nothing is refused: what would have been is notified.  Without
    *guarded* the target may make a listener of its own, as is right for a program that notifies nothing.  With
    *refusals* what is refused is notified, where a response can refuse it, and so can be told and counted.

    Raises:
        ProgramTooLongError: more than *limit* instructions; it says what took them.
        PolicyError: a condition names an argument that a call has not.
        ValueError: *arches* is empty, or *notified* has what no call of them can have.
    """
    wanted = dict(notified or {})
    machine = _checked(arches, wanted)
    diagrams = {arch.audit_value: Diagram() for arch in machine}
    decided: list[Decided] = []
    for arch in machine:
        decider = Decider(diagrams[arch.audit_value], arch, wanted.get(arch, frozenset()), observe, guarded, refusals)
        decided.append(decider.decided(table_of(policy, arch)))
    value = standing_of(elsewhere(policy)).settled(wanted=False, observe=observe, refusals=refusals)
    parts = laid(*_sections(policy, decided, diagrams, value))
    _refuse_long(policy, parts, limit)
    return CompiledPolicy(
        Program(parts.assembly.instructions),
        routes_of(policy, decided, wanted, observe=observe, refusals=refusals),
        parts.notes,
        parts.assembly.labels,
    )


def _checked(arches: Iterable[Arch], wanted: Mapping[Arch, Numbers]) -> Sequence[Arch]:
    machine = tuple(dict.fromkeys(arches))
    if not machine:
        message = "a program for no arch at all would refuse every call"
        raise ValueError(message)
    for arch in wanted:
        if arch not in machine:
            message = f"handlers want calls of {arch.name}, and the program is made for {_listed(machine)}"
            raise ValueError(message)
    refuse_impossible(wanted)
    return machine


def _listed(arches: Iterable[Arch]) -> str:
    return ", ".join(arch.name for arch in arches)


def _sections(
    policy: Policy, decided: Sequence[Decided], diagrams: Mapping[int, Diagram], value: int
) -> tuple[Sequence[Section], Segment]:
    """Return what happens to the calls of each arch, and to those of every other, for which *value* is returned."""
    sections: list[Section] = []
    for audit_value, diagram in diagrams.items():
        other = Segment(0, diagram.leaf(value), (policy,))
        sections.append(Section(audit_value, segments(audit_value, decided, other), diagram))
    return sections, Segment(0, Diagram().leaf(value), (policy,))


def _refuse_long(policy: Policy, parts: Laid, limit: int) -> None:
    length = len(parts.assembly.instructions)
    if length <= limit:
        return
    by_arch = Counter((note.audit_value, note.tests_registers) for note in parts.notes)
    by_rule: Counter[int] = Counter()
    rules: dict[int, Behind] = {}
    for note in parts.notes:
        if note.tests_registers:
            by_rule.update(id(one) for one in note.behind[:1])
            rules |= {id(one): one for one in note.behind[:1]}
    places = [
        f"{arch_name(value)}: {by_arch[value, False]} to find the number, {by_arch[value, True]} to test registers"
        for value in dict.fromkeys(note.audit_value for note in parts.notes)
        if value is not None
    ]
    most = [f"{described(rules[key])} ({count})" for key, count in by_rule.most_common(_BLAMED)]
    message = (
        f"policy {policy.name!r} needs {length} instructions; {limit} are left of the kernel's {MAX_INSTRUCTIONS}"
        f" ({'; '.join(places)})" + (f"; most of the tests are those of {', '.join(most)}" if most else "")
    )
    raise ProgramTooLongError(message)
