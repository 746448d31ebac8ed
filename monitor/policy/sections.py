"""
From ranges and diagrams to instructions: the ABI first, then the number, then registers, then the returns.

What it is not: a decision.  The order matters to the kernel: for a number that is allowed without a look
at a register it keeps the answer in a bitmap and never runs the filter again (kernel/seccomp.c,
``seccomp_cache_prepare``), if it can see so: ``seccomp_is_const_allow`` follows loads of number and arch,
jumps with constants, AND and RET, and gives up at anything else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from attrs import frozen

from monitor.abi.arch import Arch
from monitor.abi.syscalls import name_of
from monitor.policy.assembler import Assembler, Assembly, Label
from monitor.policy.bpf import WORD_MASK
from monitor.policy.diagram import Branch, Diagram, Leaf, Word, reachable
from monitor.policy.numbers import owner
from monitor.policy.ranges import Behind, Segment
from monitor.policy.tree import Step, add_tree


@frozen
class Note:
    """
    What is known of an instruction.

    Attributes:
        audit_value: the arch of whose section it is part; None for the head and the shared returns.
        tests_registers: whether it is there because of a condition on registers.
        behind: the rules, and the policies by their defaults, for which it is there, as far as it leads to an end.
    """

    audit_value: int | None
    tests_registers: bool
    behind: tuple[Behind, ...]


NO_NOTE: Final = Note(None, tests_registers=False, behind=())


class Section(NamedTuple):
    """
    What happens to the calls of one audit value.

    Attributes:
        audit_value: the value.
        segments: which numbers are decided how: each of the 2^32 once, no two neighbours alike.
        diagram: where the nodes of the segments come from.
    """

    audit_value: int
    segments: Sequence[Segment]
    diagram: Diagram


class Laid(NamedTuple):
    """Instructions, and for each of them what is known of it."""

    assembly: Assembly
    notes: tuple[Note, ...]


def laid(sections: Sequence[Section], elsewhere: Segment) -> Laid:
    """Return the instructions for *sections*; calls of every other arch end as *elsewhere* says."""
    layout = _Layout()
    layout.add_head(sections, elsewhere)
    for section in sections:
        layout.add_section(section)
    assembly = layout.assembler.assembly()
    notes = layout.notes()
    return Laid(assembly, tuple(notes[mark] for mark in assembly.marks))


class _Layout:
    """Puts the parts behind each other."""

    def __init__(self) -> None:
        self.assembler = Assembler()
        self._notes = [NO_NOTE]
        self._returns: dict[int, tuple[int, dict[int, Behind]]] = {}
        self._entries: dict[int, Label] = {}

    def add_head(self, sections: Sequence[Section], elsewhere: Segment) -> None:
        """Add the choice between the sections."""
        self.assembler.load_arch()
        for section in sections:
            match section.segments:
                case [Segment(_, Leaf() as leaf, behind)]:
                    entry = self._end(leaf, behind)
                case _:
                    entry = Label(arch_name(section.audit_value))
                    self._entries[section.audit_value] = entry
            self.assembler.jump_equal(section.audit_value, true=entry)
        assert isinstance(elsewhere.node, Leaf)
        self.assembler.mark = self._mark(None, elsewhere.behind)
        self.assembler.ret(elsewhere.node.value)
        self.assembler.mark = 0

    def add_section(self, section: Section) -> None:
        """Add the search for the number, and behind it the tests of registers."""
        if section.audit_value not in self._entries:
            return
        self.assembler.place(self._entries[section.audit_value])
        labels = _labels(section)
        steps = [
            Step(segment.first, self._target(segment, labels), self._mark(section.audit_value, segment.behind))
            for segment in section.segments
        ]
        plain = self._mark(section.audit_value, ())
        if len(steps) > 1:
            self.assembler.mark = plain
            self.assembler.load_nr()
            add_tree(self.assembler, steps, plain)
        self._add_branches(section, labels)
        self.assembler.mark = 0

    def notes(self) -> Sequence[Note]:
        """Return what each mark means, now that everything was added."""
        result = [*self._notes]
        for mark, behind in self._returns.values():
            result[mark] = Note(None, tests_registers=False, behind=tuple(behind.values()))
        return result

    def _mark(self, audit_value: int | None, behind: Iterable[Behind], *, tests_registers: bool = False) -> int:
        self._notes.append(Note(audit_value, tests_registers, tuple(behind)))
        return len(self._notes) - 1

    def _end(self, leaf: Leaf, behind: Iterable[Behind]) -> Label:
        """Return where to go for the end *leaf*, to which those *behind* lead."""
        if leaf.value not in self._returns:
            self._returns[leaf.value] = (self._mark(None, ()), {})
        mark, known = self._returns[leaf.value]
        known.update({id(one): one for one in behind})
        return self.assembler.shared_return(leaf.value, mark)

    def _target(self, segment: Segment, labels: Mapping[Branch, Label]) -> Label:
        if isinstance(segment.node, Leaf):
            return self._end(segment.node, segment.behind)
        return labels[segment.node]

    def _add_branches(self, section: Section, labels: Mapping[Branch, Label]) -> None:
        """Add the tests, each before those that follow from it; what is loaded already is not loaded again."""
        # The word that is loaded on every way to a branch; from the search for the number there comes none.
        loaded: dict[Branch, Word | None] = {
            segment.node: None for segment in section.segments if isinstance(segment.node, Branch)
        }
        for branch, label in labels.items():
            rules = section.diagram.rules_of(branch)
            self.assembler.mark = self._mark(section.audit_value, rules, tests_registers=True)
            self.assembler.place(label)
            word, op, k = branch.comparison
            self._add_load(word, loaded[branch])
            true, false = (
                self._end(each, rules) if isinstance(each, Leaf) else labels[each]
                for each in (branch.true, branch.false)
            )
            self.assembler.jump_if(op, k, true, false)
            for follower in (branch.true, branch.false):
                if isinstance(follower, Branch):
                    loaded[follower] = word if loaded.get(follower, word) == word else None

    def _add_load(self, word: Word, loaded: Word | None) -> None:
        """Add what it takes to have *word* where on every way here *loaded* was."""
        if word == loaded:
            return
        if loaded != Word(word.offset):
            self.assembler.load(word.offset)
        if word.mask != WORD_MASK:
            self.assembler.mask(word.mask)
        if word.flip:
            self.assembler.flip(word.flip)


def _labels(section: Section) -> dict[Branch, Label]:
    """Return a label for every branch of *section*, each before those that follow; some bear the name of a call."""
    roots = {each.node: each.first for each in reversed(section.segments) if isinstance(each.node, Branch)}
    return {
        branch: Label(_call_name(section.audit_value, roots[branch]) if branch in roots else "")
        for branch in reachable(segment.node for segment in section.segments)
    }


def arch_name(audit_value: int) -> str:
    """Return the name of an audit value, that of x86_64 for the two that share one; the value for a stranger's."""
    return next((arch.table for arch in Arch if arch.audit_value == audit_value), f"{audit_value:#x}")


def _call_name(audit_value: int, nr: int) -> str:
    arch = owner(audit_value, nr)
    return (arch and name_of(arch, nr)) or f"{nr:#x}"
