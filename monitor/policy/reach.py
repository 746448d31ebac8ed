"""
Rules that never match, since those before them decide all that they are about.

What it is not: an error.  ``verify`` refuses what can be seen without a look at registers; here
conditions count, exactly, and the rules of what a policy extends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from monitor.abi.arch import Arch
from monitor.policy.cases import Node, Truths
from monitor.policy.findings import Finding, listed
from monitor.policy.model import Policy, Rule
from monitor.policy.ranges import described


def unreached(layer: Policy, arches: Iterable[Arch]) -> Iterator[Finding]:
    """Yield the rules of *layer* that never match, on none of *arches*, with the earlier ones that are in their way."""
    reached: set[int] = set()
    before: dict[int, list[Rule]] = {}
    rules = list(layer.all_rules())
    for arch in arches:
        if layer.arches is not None and arch not in layer.arches:
            continue
        truths = Truths()
        left: dict[str, Node[bool]] = {}
        earlier: dict[str, list[Rule]] = {}
        for rule in rules:
            for call in rule.calls(arch):
                is_reached, left[call] = _reach(truths, left.get(call, truths.end(outcome=True)), rule, arch, call)
                if is_reached:
                    reached.add(id(rule))
                    earlier.setdefault(call, []).append(rule)
                else:
                    before.setdefault(id(rule), []).extend(earlier.get(call, ()))
    for rule in rules:
        if id(rule) not in reached and id(rule) in before:
            yield _never(rule, before[id(rule)])


def _reach(truths: Truths, left: Node[bool], rule: Rule, arch: Arch, call: str) -> tuple[bool, Node[bool]]:
    """Return whether *rule* matches in a case that is *left*, and what is left behind it."""
    no = truths.end(outcome=False)
    condition = rule.condition(arch, call)
    if condition is None:
        return left is not no, no
    return truths.chosen(condition, left, no) is not no, truths.chosen(condition, no, left)


def _never(rule: Rule, before: Sequence[Rule]) -> Finding:
    hint = "take it out, or write it before them"
    if not before:
        return Finding("E-UNREACHABLE", "its condition never holds", "correct the condition", rule.origin)
    places = listed(list(dict.fromkeys(described(one) for one in before)))
    if all(one.action == rule.action for one in before):
        text = f"says again what is said before it; it can never match ({places})"
        return Finding("E-UNREACHABLE", text, "take it out", rule.origin)
    return Finding("E-CONTRADICTION", f"earlier rules decide all that it is about ({places})", hint, rule.origin)
