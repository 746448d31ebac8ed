"""
What libseccomp makes of rules, said as first-match rules: its words, its arches, its order.

What it is not: a reader of files (``profile``, ``systemd``).

Facts, of libseccomp 2.5.4 to 2.6 (``src/db.c`` unless another file is named); a test compares with
what the installed library compiles:

* A rule compares each argument at most once; its comparisons must all hold (``db_col_rule_add``).
* Comparisons are of whole registers without a sign, 64 bits on a 64-bit ABI, 32 on a 32-bit one, the
  value cut to as many.  x32 counts as a 32-bit ABI (``src/arch-x32.c``), though its registers have 64.
* ``SCMP_CMP_MASKED_EQ``: the first datum is the mask, the second the wanted value, of which the bits
  outside the mask are ignored (``_db_node_mask_fixup``); under an empty mask it always holds.
* A rule without comparisons wins over all with some, and the first of two without wins (``db_rule_add``).
* Rules with comparisons are looked at neither in the order of the file nor by how strict they are,
  but in that of a tree: the higher argument first, then its upper half before its lower, then
  equality before ``<`` before ``>``, then the larger value, for ``<`` the smaller
  (``_db_chain_lt``).  Of two where one is the beginning of the other the shorter wins; with
  another action and added later it is an error, ``EEXIST`` (``_db_tree_add``).
* A rule with the action of the default is an error, ``EACCES`` (``src/api.c``), so runtimes leave it
  out: it is as if it were not written, and shields nothing from a wider rule.
* Where an ABI has ``socketcall`` or ``ipc``, a rule about ``connect`` is also one about ``socketcall`` with a
  first argument of 3, whatever the rule says of ``connect``'s first argument; its other
  comparisons look at the registers of ``socketcall`` (``src/syscalls.c``, ``abi_rule_add``).
* What is compiled of several rules about one call is not always what they say: wrong for orderings
  beside other comparisons or of values above 32 bits (seen with 2.5.4).  Here they mean what they say.
* Calls of other ABIs than the filter's: the thread is killed (``db_col_reset``, ``act_badarch``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from errno import ENOSYS
from functools import cache
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

from attrs import field, frozen, validators

from monitor.abi.arch import Arch
from monitor.abi.constants import values
from monitor.abi.groups import ALIASES
from monitor.abi.syscalls import names, number_of
from monitor.origin import NOWHERE, Origin
from monitor.policy.action import Action, Deny
from monitor.policy.condition import AllOf, Operator, Test
from monitor.policy.expression import Expression
from monitor.policy.formats import FormatFinding, Kind
from monitor.policy.formats.order import Level, Node
from monitor.policy.model import Rule

WORD: Final = 0xFFFFFFFF_FFFFFFFF
HALF: Final = 0xFFFFFFFF
_WORD_BITS: Final = 64

MASKED_EQ: Final = "SCMP_CMP_MASKED_EQ"

OPERATORS: Final[Mapping[str, Operator]] = MappingProxyType(
    {
        "SCMP_CMP_NE": "!=",
        "SCMP_CMP_LT": "<",
        "SCMP_CMP_LE": "<=",
        "SCMP_CMP_EQ": "==",
        "SCMP_CMP_GE": ">=",
        "SCMP_CMP_GT": ">",
        MASKED_EQ: "==",
    }
)

ARCHES: Final[Mapping[str, Arch]] = MappingProxyType(
    {
        "SCMP_ARCH_X86_64": Arch.X86_64,
        "SCMP_ARCH_X86": Arch.I386,
        "SCMP_ARCH_X32": Arch.X32,
        "SCMP_ARCH_AARCH64": Arch.AARCH64,
        "SCMP_ARCH_ARM": Arch.ARM,
        "SCMP_ARCH_RISCV64": Arch.RISCV64,
        "SCMP_ARCH_PPC64LE": Arch.PPC64LE,
        "SCMP_ARCH_S390X": Arch.S390X,
        "SCMP_ARCH_LOONGARCH64": Arch.LOONGARCH64,
    }
)

OTHER_ARCHES: Final = frozenset(
    f"SCMP_ARCH_{name}"
    for name in (
        "M68K", "MIPS", "MIPS64", "MIPS64N32", "MIPSEL", "MIPSEL64", "MIPSEL64N32", "PARISC", "PARISC64",
        "PPC", "PPC64", "S390", "SH", "SHEB",
    )
)  # fmt: skip
"""Those libseccomp knows and we have no tables of; none of them runs on a machine that we know, but S390 on S390X."""

NATIVE: Final = frozenset(arch for arch in Arch if arch.machines and arch.register_bits == _WORD_BITS)
"""The ABIs that are a 64-bit machine's own."""

SHORT: Final = frozenset({Arch.I386, Arch.ARM, Arch.X32})
"""The ABIs of which libseccomp compares 32 bits (``ARCH_SIZE_32``)."""

MULTIPLEXED: Final = frozenset({Arch.I386, Arch.PPC64LE, Arch.S390X})
"""The ABIs with ``socketcall`` and ``ipc``."""


@cache
def _multiplexers() -> Mapping[str, tuple[str, int]]:
    """Return call -> the one behind which it can stand, and the number that it has there."""
    socket_calls = values("socketcall", Arch.I386).items()
    result = {name.removeprefix("SYS_").lower(): ("socketcall", number) for name, number in socket_calls}
    result |= {name.lower(): ("ipc", number) for name, number in values("ipc_call", Arch.I386).items()}
    return MappingProxyType(result)


def behind_multiplexers() -> Mapping[str, frozenset[str]]:
    """Return ``socketcall`` and ``ipc``, each with the calls that can stand behind it."""
    calls: dict[str, set[str]] = {}
    for name, (multiplexer, _) in _multiplexers().items():
        calls.setdefault(multiplexer, set()).add(name)
    return {multiplexer: frozenset(names) for multiplexer, names in calls.items()}


def is_known(name: str) -> bool:
    """Whether any ABI has call *name*; a profile may name calls of all of them."""
    return any(name in names(arch) for arch in Arch)


_LOWER: Final = {"!=": "==", "<": ">=", "<=": ">"}
"""What is asked in the place of an operator, and the answer turned around."""


@frozen
class Comparison:
    """One comparison of a rule, as libseccomp is given it."""

    index: int = field(validator=[validators.ge(0), validators.le(5)])
    operation: str = field(validator=validators.in_(OPERATORS))
    value: int = field(default=0, validator=[validators.ge(0), validators.le(WORD)])
    value_two: int = field(default=0, validator=[validators.ge(0), validators.le(WORD)])

    def test(self, arch: Arch) -> Test | None:
        """Return what it asks of a register of *arch*; None: nothing."""
        mask, datum = self._mask_and_datum(HALF if arch in SHORT else WORD)
        if not mask:
            return None
        # Of 32-bit registers the lower half alone counts: then both widths mean the same, and one rule serves.
        short = arch in SHORT and (arch.register_bits == _WORD_BITS or self._mask_and_datum(WORD)[1] > HALF)
        width = 32 if short else _WORD_BITS
        whole = mask == (1 << width) - 1 or self.operation != MASKED_EQ
        return Test(self.index, OPERATORS[self.operation], width=width, mask=None if whole else mask, value=datum)

    def nodes(self, arch: Arch) -> tuple[Node, ...]:
        """Return the nodes that it becomes in the tree of libseccomp."""
        mask, datum = self._mask_and_datum(HALF if arch in SHORT else WORD)
        operator = OPERATORS[self.operation]
        priority = {"!=": 3, "==": 3, "<": 2, "<=": 2}.get(operator, 1)
        lower = _LOWER.get(operator, "masked" if self.operation == MASKED_EQ else operator)
        branch = operator not in {"!=", "<", "<="}
        low = Node(2 * self.index, priority, lower, datum & HALF, mask & HALF, branch)
        if arch in SHORT:
            return (low,)
        high, high_mask = datum >> 32, mask >> 32
        if operator in {"==", "!="}:
            return Node(2 * self.index + 1, priority, low.kind, high, high_mask, branch=True), low
        above = Node(2 * self.index + 1, priority, ">", high, high_mask, branch=False)
        return above, Node(above.level, priority, "==", high, high_mask, branch=True), low

    def _mask_and_datum(self, register: int) -> tuple[int, int]:
        if self.operation == MASKED_EQ:
            return self.value & register, self.value_two & self.value & register
        return register, self.value & register

    def at_multiplexer(self) -> bool:
        """Whether it stays when its rule is put on ``socketcall`` or ``ipc``, whose first register is the call."""
        return self.index != 0


Clause: TypeAlias = tuple[Comparison, ...]
"""Comparisons that must all hold, each of another register; none: always."""


@frozen
class Line:
    """One rule of a profile, after all that only its own format knows has been decided."""

    names: tuple[str, ...]
    action: Action
    clauses: tuple[Clause, ...] = ((),)
    """It matches where any of them does."""
    arches: frozenset[Arch] = frozenset(Arch)
    reason: str = ""
    origin: Origin = NOWHERE


class _Branch(NamedTuple):
    """One clause of a line, for one call of one ABI."""

    line: int
    tests: tuple[Test, ...]
    nodes: tuple[Node, ...]
    action: Action
    path: tuple[Node, ...]  # the nodes, alike where they ask alike: of lower halves the widths say nothing of that


class _Piece(NamedTuple):
    """A rule still without names."""

    line: int
    tests: tuple[Test, ...]
    action: Action


def rules_of(
    lines: Sequence[Line], default: Action, arches: frozenset[Arch]
) -> tuple[tuple[Rule, ...], tuple[FormatFinding, ...]]:
    """Return first-match rules that say what libseccomp makes of *lines*, and what their author may not know."""
    findings: dict[FormatFinding, None] = {}
    in_order: dict[_Piece, dict[str, set[Arch]]] = {}
    reordered: dict[tuple[_Piece, ...], dict[str, set[Arch]]] = {}
    for line in lines:
        if line.action == default:
            note = "has the action of the default: runtimes leave the rule out, and it shields nothing"
            findings[FormatFinding(note, line.origin, kind=Kind.NOTE)] = None
    for arch in Arch:
        for name, branches in (_branches(lines, default, arch) if arch in arches else {}).items():
            settled = _settled(name, branches, lines, findings)
            pieces = tuple(_Piece(branch.line, branch.tests, branch.action) for branch in settled)
            if list(pieces) == sorted(pieces, key=lambda piece: piece.line):
                for piece in pieces:
                    in_order.setdefault(piece, {}).setdefault(name, set()).add(arch)
            else:
                reordered.setdefault(pieces, {}).setdefault(name, set()).add(arch)
    rules = list(_in_order(in_order, lines, arches))
    for pieces, having in reordered.items():
        for group, where in _alike(having).items():
            rules += [_rule(piece, lines, group, where, arches) for piece in pieces]
    return tuple(rules), tuple(findings)


def _branches(lines: Sequence[Line], default: Action, arch: Arch) -> dict[str, list[_Branch]]:
    """Return what is said of each call of *arch*, in the order in which it is said."""
    found: dict[str, list[_Branch]] = {}
    for index, line in enumerate(lines):
        if line.action == default or arch not in line.arches:
            continue
        for name in line.names:
            for clause in line.clauses:
                for call, comparisons in _placed(name, clause, arch):
                    found.setdefault(call, []).append(_branch(index, line.action, comparisons, arch))
    return found


def _placed(name: str, clause: Clause, arch: Arch) -> Iterator[tuple[str, Clause]]:
    """Yield each call of *arch* to which a rule about *name* applies, with what it compares there."""
    if arch in MULTIPLEXED and name in _multiplexers():
        call, number = _multiplexers()[name]
        kept = tuple(comparison for comparison in clause if comparison.at_multiplexer())
        yield call, (Comparison(0, "SCMP_CMP_EQ", number), *kept)
    if name in names(arch):
        yield name, clause


def _branch(line: int, action: Action, clause: Clause, arch: Arch) -> _Branch:
    asked = [
        (comparison, test)
        for comparison in sorted(clause, key=lambda one: one.index)
        if (test := comparison.test(arch)) is not None
    ]
    nodes = tuple(node for comparison, _ in asked for node in comparison.nodes(arch))
    path = tuple(node._replace(priority=0) for node in nodes)
    return _Branch(line, tuple(test for _, test in asked), nodes, action, path)


def _settled(
    name: str, branches: Sequence[_Branch], lines: Sequence[Line], findings: dict[FormatFinding, None]
) -> list[_Branch]:
    """Return *branches* of one call in the order in which libseccomp looks at them, without those it never reaches."""
    always = next((index for index, branch in enumerate(branches) if not branch.tests), len(branches))
    if len({branch.action for branch in branches[:always]}) > 1:
        _note_refusals(name, branches[:always], lines, findings)
    if always < len(branches):
        return [branches[always]]
    ordered = list(branches)
    if len({branch.action for branch in branches}) > 1:
        ordered = _in_tree_order(branches)
        if ordered != list(branches):
            first = lines[ordered[0].line].origin
            note = f"rules about {name} are looked at in libseccomp's order, not in that of the file: this one first"
            findings[FormatFinding(note, first, kind=Kind.NOTE)] = None
    kept: list[_Branch] = []
    asked: list[frozenset[Node]] = []
    for branch in ordered:
        asks = frozenset(branch.path)
        if not any(earlier <= asks for earlier in asked):
            kept.append(branch)
            asked.append(asks)
    return kept


def _in_tree_order(branches: Sequence[_Branch]) -> list[_Branch]:
    """Return *branches* in the order in which libseccomp's tree asks for them."""
    tree = Level()
    for branch in branches:
        tree.add(branch.nodes)
    return sorted(branches, key=lambda branch: tree.rank(branch.nodes))


def _note_refusals(
    name: str, branches: Sequence[_Branch], lines: Sequence[Line], findings: dict[FormatFinding, None]
) -> None:
    added: list[_Branch] = []
    for later in branches:
        if any(len(earlier.path) < len(later.path) and _begins(later, earlier) for earlier in added):
            continue  # the shorter one is there: libseccomp drops this one
        for earlier in added:
            if earlier.action == later.action:
                continue
            if _begins(earlier, later):
                message = (
                    f"libseccomp refuses this rule about {name} (EEXIST), as it contradicts"
                    f" {lines[earlier.line].origin.key or 'another'}: no container starts with this profile"
                )
                findings[FormatFinding(message, lines[later.line].origin)] = None
            if _are_both_unequal(earlier, later):
                message = (
                    f"contradicts another comparison of the same register of {name}: for values whose upper half"
                    " differs libseccomp may take the other action, here the rule that is looked at first counts"
                )
                findings[FormatFinding(message, lines[later.line].origin)] = None
        added.append(later)


def _begins(longer: _Branch, shorter: _Branch) -> bool:
    """Whether the nodes of *shorter* are the first of *longer*."""
    return longer.path[: len(shorter.path)] == shorter.path


def _are_both_unequal(one: _Branch, other: _Branch) -> bool:
    """Whether both end with a comparison of the same register that is no equality."""
    last, other_last = one.tests[-1], other.tests[-1]
    return "==" not in {last.operator, other_last.operator} and last.argument == other_last.argument


def _in_order(
    pieces: Mapping[_Piece, Mapping[str, set[Arch]]], lines: Sequence[Line], everywhere: frozenset[Arch]
) -> Iterator[Rule]:
    for piece in sorted(pieces, key=lambda piece: piece.line):
        line = lines[piece.line]
        having: dict[str, set[Arch]] = {}
        for name, where in pieces[piece].items():
            all_of_them = {arch for arch in line.arches & everywhere if name in names(arch)}
            # A rule may stand where an ABI lacks the call, unless a word for it means another one there.
            wide = where == all_of_them and name not in ALIASES
            having[name] = set(line.arches & everywhere) if wide else where
        for group, arches in _alike(having).items():
            yield _rule(piece, lines, group, arches, everywhere)


def _alike(having: Mapping[str, set[Arch]]) -> dict[tuple[str, ...], frozenset[Arch]]:
    """Return the calls that have the same set of ABIs, together."""
    groups: dict[frozenset[Arch], list[str]] = {}
    for name, where in having.items():
        groups.setdefault(frozenset(where), []).append(name)
    return {tuple(group): where for where, group in groups.items()}


def _rule(
    piece: _Piece, lines: Sequence[Line], calls: tuple[str, ...], where: frozenset[Arch], everywhere: frozenset[Arch]
) -> Rule:
    line = lines[piece.line]
    calls = tuple(sorted(calls, key=[*line.names, *calls].index))
    return Rule(
        calls,
        piece.action,
        when=Expression.of(AllOf(piece.tests), calls, origin=line.origin) if piece.tests else None,
        arches=None if where >= everywhere else where,
        reason=line.reason,
        origin=line.origin,
    )


def newer_calls(lines: Iterable[Line], arches: frozenset[Arch]) -> tuple[Rule, ...]:
    """
    Return what runc puts before a profile: calls with a higher number than any that it names fail with ENOSYS.

    Source: runc, ``libcontainer/seccomp/patchbpf/enosys_linux.go``: per ABI, and for no ABI of which
    the profile names no call.  Numbers without a name are for ``Policy.known_as_of``.
    """
    having: dict[str, set[Arch]] = {}
    listed = [(name, line.arches) for line in lines for name in line.names]
    for arch in arches:
        named = [number for name, where in listed if arch in where and (number := number_of(arch, name)) is not None]
        if named:
            largest = max(named)
            for name in names(arch):
                number = number_of(arch, name)
                if number is not None and number > largest:
                    having.setdefault(name, set()).add(arch)
    reason = "newer than any call of the profile"
    groups = _alike({name: having[name] for name in sorted(having)})
    return tuple(Rule(calls, Deny(ENOSYS), arches=where, reason=reason) for calls, where in groups.items())
