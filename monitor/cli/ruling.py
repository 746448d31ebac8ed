"""
What a policy says about a call that waits: the rule that decides, and those that were tried.

What it is not: the answer (``policy.explain``, ``policy.asked``); here are the questions, put with the registers and
the names of the call that waits.
"""

from __future__ import annotations

from collections.abc import Iterator

from monitor.approve.question import Question
from monitor.cli import answers
from monitor.cli.policies import action_text
from monitor.cli.why import by_text, tried_lines
from monitor.deciding import real_head
from monitor.policy.access import CLASSES
from monitor.policy.asked import NamedPath
from monitor.policy.asked import paths as asked_paths
from monitor.policy.deciders import deciders
from monitor.policy.explain import why_known
from monitor.policy.model import Policy


def ruling_lines(policy: Policy, question: Question) -> Iterator[str]:
    """Yield what *policy* says about the call of *question*, and about each name that it asks about; escaped."""
    if question.arch is None:
        yield "a call of an ABI without a table"
        return
    explanation = why_known(policy, question.arch, question.nr, dict(enumerate(question.registers)))
    for answer in explanation.answers:
        yield f"{question.call} with these registers: {action_text(answer.decision.action)}"
        yield f"  by {by_text(answer, explanation)}"
    yield from tried_lines(explanation)
    named: dict[bytes, list[str]] = {}
    for one in question.about:
        if one.path is not None and one.access in CLASSES:
            named.setdefault(one.path, []).append(one.access)
    decides = deciders(policy, real_head)
    for path, access in named.items():
        for asked in asked_paths(decides, question.arch, None, {}, [NamedPath(None, path)], sorted(set(access))):
            yield from answers.lines(asked)
