"""
Why a policy answers a call as it does, and what would have to be written for another answer.

What it is not: printed (``cli.why``), or a judgement of the policy (``lint``).  Nothing is run: the
answers are those of ``Policy.decide``, in every case that the registers leave open.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from itertools import dropwhile
from typing import Final, Literal, NamedTuple, TypeAlias

from attrs import field, frozen

from monitor.abi.arch import Arch
from monitor.abi.groups import expand, refuse_unknown
from monitor.abi.syscalls import name_of, number_of, signature_of
from monitor.errors import PolicyError
from monitor.policy.action import Action, Allow, Audit, Log, rank
from monitor.policy.bpf import WORD_MASK
from monitor.policy.cases import Cases, Node, Truths, cases_of
from monitor.policy.condition import ALWAYS, Condition, Test
from monitor.policy.expression import Expression
from monitor.policy.model import Decision, Policy, Rule
from monitor.policy.numbers import spans
from monitor.policy.table import Chain, table_of

Known: TypeAlias = Mapping[int, int]
"""Register -> the one value it has."""

_WORD: Final = (1 << 64) - 1


class Ground(enum.Enum):
    """On what a layer decides.  The value says it, for readers."""

    RULE = "rule"
    DEFAULT = "default"
    KNOWN_AS_OF = "known-as-of"
    OTHER_ARCH = "other-arch"


def ground_of(decision: Decision, arch: Arch, nr: int) -> Ground:
    """Return on what *decision* about a call rests."""
    layer = decision.policy
    if decision.rule is not None:
        return Ground.RULE
    if layer.arches is not None and arch not in layer.arches:
        return Ground.OTHER_ARCH
    if decision.action != layer.default and layer.known_as_of is not None:
        without = Policy(layer.name, layer.default, exact_errno=layer.exact_errno)
        if without.default_for(arch, nr) != decision.action or name_of(arch, nr) is None:
            return Ground.KNOWN_AS_OF
    return Ground.DEFAULT


def runs(action: Action) -> bool:
    """Whether the call runs, with nobody asked."""
    return isinstance(action, Allow | Log | Audit)


class Heard:
    """What layers say about calls, in every case; decisions that differ in nothing count as one."""

    def __init__(self, known: Known | None = None) -> None:
        """Start with nothing.  *known* registers leave nothing open."""
        self.decisions: list[Decision] = []
        self._known = known or {}
        self._cases: Cases[int] = Cases(self._known)
        self._places: dict[tuple[Action, int, int], int] = {}

    def layer(self, chain: Chain) -> Node[int]:
        """Return what one layer says: in which case which of ``decisions``."""
        result = self._cases.end(self._place(chain[-1].decision))
        for condition, decision in reversed(chain[:-1]):
            assert condition is not None  # what stands behind an alternative without one was left out
            try:
                result = self._cases.chosen(condition, self._cases.end(self._place(decision)), result)
            except PolicyError as error:
                raise error.at((decision.rule or decision.policy).origin) from None
        return result

    def layers(self, chains: Iterable[Chain]) -> Node[int]:
        """Return what all of them come to: the most restrictive, of equals the first."""
        first, *others = [self.layer(chain) for chain in chains]
        return reduce(lambda one, other: self._cases.joined(one, other, self._stricter), others, first)

    def said(self, node: Node[int]) -> list[tuple[Decision, Sequence[int]]]:
        """Return each decision of *node*, in the order in which they were heard, with an example of it."""
        found = sorted(cases_of(node, self._known), key=lambda case: case.outcome)
        return [(self.decisions[case.outcome], case.example) for case in found]

    def _stricter(self, first: int, other: int) -> int:
        return other if rank(self.decisions[other].action) > rank(self.decisions[first].action) else first

    def _place(self, decision: Decision) -> int:
        key = (decision.action, id(decision.rule), id(decision.policy))
        if key not in self._places:
            self._places[key] = len(self.decisions)
            self.decisions.append(decision)
        return self._places[key]


# ---- why ----


class Answer(NamedTuple):
    """
    What happens to a call in one of its cases.

    Attributes:
        decision: what, by which rule of which layer.
        ground: on what the layer decides.
        example: registers with which it happens.
    """

    decision: Decision
    ground: Ground
    example: Sequence[int]


Match: TypeAlias = Literal["yes", "no", "depends"]


class Tried(NamedTuple):
    """
    A rule about the call that was looked at.

    Attributes:
        policy: the layer in which it stands.
        rule: the rule.
        matches: whether it does, as far as the registers are known.
    """

    policy: Policy
    rule: Rule
    matches: Match


class Remedy(NamedTuple):
    """
    The least that has to be written for the call to run.

    Attributes:
        policy: the layer that is in the way.
        rule: what to write; None where no rule can help, as for numbers without a name.
        before: the rule before which it has to stand; None: anywhere.
        ground: on what the layer decides now.
        replaces: the rules of the layer, from *before* on, of which nothing would be left, so that they have to go.
    """

    policy: Policy
    rule: Rule | None
    before: Rule | None
    ground: Ground
    replaces: tuple[Rule, ...] = ()


@frozen
class Explanation:
    """
    Why a call is answered as it is.

    Attributes:
        policy: the policy that was asked.
        arch: the ABI.
        call: the name; None for a number without one.
        nr: the number.
        given: what is known of its arguments, as it was written.
        answers: what happens, in each case that is left open.
        tried: the rules about it that were looked at, layer by layer.
        remedies: for each layer that refuses it, or asks or has it handled, what would let it run.
    """

    policy: Policy
    arch: Arch
    call: str | None
    nr: int
    given: tuple[str, ...]
    answers: tuple[Answer, ...]
    tried: tuple[Tried, ...]
    remedies: tuple[Remedy, ...] = field(default=())

    @property
    def always_runs(self) -> bool:
        """Whether the call runs in every case."""
        return all(runs(answer.decision.action) for answer in self.answers)


def why(policy: Policy, arch: Arch, call: str, given: Iterable[str] = ()) -> Explanation:
    """
    Return why *policy* answers *call*, a name or a number of *arch*, as it does.

    *given* is what is known of its arguments, each ``NAME=VALUE`` or ``INDEX=VALUE``; a value is what
    may stand in a condition.  A register holds it as C passes it on: 64 bits, a sign extended.

    Raises:
        PolicyError: no such call, no such argument, or no such value.
    """
    nr = number_for(arch, call)
    words = tuple(given)
    return why_known(policy, arch, nr, registers(arch, name_of(arch, nr), words), words)


def why_known(policy: Policy, arch: Arch, nr: int, known: Known, given: Sequence[str] = ()) -> Explanation:
    """Return why *policy* answers the call *nr* with these registers as it does; *given*: how these were written."""
    table = table_of(policy, arch)
    chains = table.calls.get(nr, table.unnamed)
    heard = Heard(known)
    answers = [
        Answer(decision, ground_of(decision, arch, nr), example)
        for decision, example in heard.said(heard.layers(chains))
    ]
    tried = [one for layer, chain in zip(policy.layers(), chains, strict=True) for one in _tried(layer, chain, known)]
    remedies = [
        remedy
        for layer, chain in zip(policy.layers(), chains, strict=True)
        if (remedy := _remedy(layer, chain, arch, nr, heard, given)) is not None
    ]
    return Explanation(policy, arch, name_of(arch, nr), nr, tuple(given), tuple(answers), tuple(tried), tuple(remedies))


def number_for(arch: Arch, call: str) -> int:
    """
    Return the number of *call*, a name or a number of *arch*.

    Raises:
        PolicyError: *arch* has no such call, or it is several.
    """
    if call[:1].isdigit():
        try:
            nr = int(call, 0)
        except ValueError:
            message = f"{call!r} is neither a call nor a number"
            raise PolicyError(message) from None
        if not any(nr in span for span in spans(arch)):
            highest = f"0..{WORD_MASK:#x}" if not arch.nr_bit else f"those with bit {arch.nr_bit:#x}"
            message = f"{call} is not the number of a call of {arch.table}: they are {highest}"
            raise PolicyError(message)
        return nr
    if call[:1] in {"!", "%", "@"} or call == "all":
        refuse_unknown([call])
        message = f"{call!r} is several calls; why is asked about one"
        raise PolicyError(message)
    (name,) = expand([call], arch)
    found = number_of(arch, name)
    assert found is not None  # expand() returns what the tables have
    return found


def registers(arch: Arch, name: str | None, given: Sequence[str]) -> dict[int, int]:
    """Return the registers of which *given* tells the value, as ``why`` takes it.  Raises PolicyError likewise."""
    known: dict[int, int] = {}
    for text in given:
        test = _test(arch, name, text)
        value = test.value if test.signed else test.value & ((1 << test.width) - 1)
        if known.setdefault(test.argument, value & _WORD) != value & _WORD:
            message = f"{text}: that argument has another value already"
            raise PolicyError(message)
    return known


def _test(arch: Arch, name: str | None, text: str) -> Test:
    """Return what ``NAME=VALUE`` says about one register, of a call that may have no name."""
    signature = None if name is None else signature_of(arch, name)
    argument, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not argument or not value:
        message = f"{text!r}: write NAME=VALUE, or INDEX=VALUE with an index of 0 to 5"
        raise PolicyError(message)
    if signature is None:
        # Nothing is known of its arguments: those of any call will do, as whole registers.
        signature = signature_of(arch, "exit_group")
        assert signature is not None  # every ABI has it
    bound = Expression(f"{_operand(argument, name, arch)} == {value}").bind(signature, arch)
    if not isinstance(bound, Test) or bound.operator != "==" or bound.mask is not None:
        message = f"{text!r}: one value is wanted, as MAP_PRIVATE|MAP_ANONYMOUS or 0x22"
        raise PolicyError(message)
    return bound


def _operand(argument: str, name: str | None, arch: Arch) -> str:
    """Return how a condition names the argument: one with a declared type by its name."""
    if not argument.isdigit():
        return argument
    signature = None if name is None else signature_of(arch, name)
    arguments = () if signature is None else signature.arguments
    index = int(argument[:4])
    if index < len(arguments):
        declared = arguments[index].name
        return f"args[{index}]" if declared.startswith("arg") and declared != f"arg{index}" else declared
    return f"args[{index}]"


def _tried(layer: Policy, chain: Chain, known: Known) -> Iterator[Tried]:
    """Yield the rules of *chain* up to the one after which nothing is left open."""
    truths: Cases[bool] = Cases(known)
    open_cases = truths.end(outcome=True)
    for condition, decision in chain:
        if decision.rule is None:
            continue
        matching = _matching(truths, condition, open_cases)
        left = {case.outcome for case in cases_of(matching)}
        yield Tried(layer, decision.rule, "depends" if len(left) > 1 else "yes" if True in left else "no")
        open_cases = truths.joined(open_cases, matching, _but_not)
        if cases_of(open_cases)[0].outcome is False and len(cases_of(open_cases)) == 1:
            return


def _matching(truths: Cases[bool], condition: Condition | None, among: Node[bool]) -> Node[bool]:
    return truths.chosen(ALWAYS if condition is None else condition, among, truths.end(outcome=False))


def _but_not(one: bool, other: bool) -> bool:  # noqa: FBT001  # outcomes
    return one and not other


def _remedy(layer: Policy, chain: Chain, arch: Arch, nr: int, heard: Heard, given: Sequence[str]) -> Remedy | None:
    refusing = [decision for decision, _ in heard.said(heard.layer(chain)) if not runs(decision.action)]
    if not refusing:
        return None
    ground = ground_of(refusing[0], arch, nr)
    name = name_of(arch, nr)
    if name is None or ground is Ground.OTHER_ARCH:
        return Remedy(layer, None, None, ground)
    when = " && ".join(_comparison(arch, name, text) for text in given)
    rule = Rule((name,), Allow(), when=Expression(when) if when else None)
    in_the_way = {id(one.rule) for one in refusing if one.rule is not None}
    # Those of what is extended stand behind the layer's own wherever these stand, and are not its to change.
    behind = list(dropwhile(lambda own: id(own) not in in_the_way, layer.rules))
    replaces = tuple(own for own in behind if _covers(rule, own, arch, name))
    return Remedy(layer, rule, behind[0] if behind else None, ground, replaces)


def _covers(rule: Rule, other: Rule, arch: Arch, name: str) -> bool:
    """Whether *other* is about call *name* alone, on any ABI, and *rule* decides all of it."""
    if name not in other.calls(arch) or any(other.calls(each) - {name} for each in Arch):
        return False
    truths = Truths()
    no = truths.end(outcome=False)
    mine, theirs = (truths.of(each.condition(arch, name) or ALWAYS) for each in (rule, other))
    return truths.joined(theirs, mine, _but_not) is no


def _comparison(arch: Arch, name: str, text: str) -> str:
    argument, _, value = text.partition("=")
    return f"{_operand(argument.strip(), name, arch)} == {value.strip()}"
