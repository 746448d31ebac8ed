"""
Faults in what is asked: who is asked, what for, and for how much the answer holds.

What it is not: their planting (``test_mutants``).
"""

from __future__ import annotations

from typing import Final

from tests.mutants.mutant import Mutant

APPROVALS: Final = "tests/approve/test_approvals.py::"
CONTROL: Final = "tests/approve/test_control.py::"
ASKING: Final = "tests/kernel/test_asking.py::"

APPROVE_MUTANTS: Final = (
    Mutant(
        "a target answers what is asked about it",
        "monitor/approve/peers.py",
        "    if supervises(pid) or not _is_there(connected, pid):\n",
        "    if not _is_there(connected, pid):\n",
        (CONTROL + "test_a_target_may_not_answer_what_is_asked_about_it",),
    ),
    Mutant(
        "who has died may answer, whoever has his number now",
        "monitor/approve/peers.py",
        "    if supervises(pid) or not _is_there(connected, pid):\n",
        "    if supervises(pid):\n",
        (CONTROL + "test_who_has_died_may_not_either_as_his_number_may_be_anothers",),
    ),
    Mutant(
        "an answer about some values is one about all",
        "monitor/approve/shape.py",
        "names, rules, _values(call), _alone",
        "names, rules, (), _alone",
        (APPROVALS + "test_other_values_are_another_question",),
    ),
    Mutant(
        "an answer to one program is one to all",
        "monitor/approve/memory.py",
        "self._put(self._program, (asker.program, shape), answer)",
        "self._put(self._run, shape, answer)",
        (APPROVALS + "test_an_answer_holds_for_its_scope_and_no_more",),
    ),
    Mutant(
        "an approver that fails allows",
        "monitor/approve/approvals.py",
        '            pending.by = "error"\n',
        "            answer = Answer(Allow())\n",
        (APPROVALS + "test_an_approver_that_fails_denies_and_is_told",),
    ),
    Mutant(
        "no answer in time is an answer",
        "monitor/approve/approvals.py",
        '                pending.by = "timeout"\n',
        "                answer = Answer(Allow())\n",
        (APPROVALS + "test_no_answer_in_time_is_a_denial",),
    ),
    Mutant(
        "what a handler read is allowed by somebody else",
        "monitor/notify/dispatch.py",
        "                outcome = await self._decide_later(waiting, route, 0 if elsewhere else len(route.handlers))\n"
        "            elif waiting.scope.cancelled_caught:\n"
        '                return Outcome(FAILURE, "error")\n'
        "        return self._asker.checked(call, outcome)\n",
        "                outcome = await self._decide_later(waiting, route, 0 if elsewhere else len(route.handlers))\n"
        "            elif waiting.scope.cancelled_caught:\n"
        '                return Outcome(FAILURE, "error")\n'
        "        return outcome\n",
        (APPROVALS + "test_a_handler_that_looked_cannot_have_its_look_allowed",),
    ),
    Mutant(
        "what is asked about one path is all that is asked",
        "monitor/handlers/paths.py",
        "                asks += unanswered\n",
        "                asks = asks or unanswered\n",
        (ASKING + "test_both_names_of_a_rename_are_in_one_question",),
    ),
    Mutant(
        "one class of access is all that is asked",
        "monitor/handlers/paths.py",
        "asks=tuple(asks[key] for key in sorted(asks))",
        "asks=(found,)",
        (ASKING + "test_each_class_of_a_call_is_in_the_question",),
    ),
    Mutant(
        "a handler does what would be asked",
        "monitor/notify/ask.py",
        " or self._asked_before(call)",
        "",
        (ASKING + "test_what_a_handler_would_have_done_is_asked_all_the_same",),
    ),
    Mutant(
        "the kernel reads a name again that somebody was shown",
        "monitor/asking.py",
        "    if call.broker is None or call.name",
        "    if call.name in FAMILIES or call.name",
        (ASKING + "test_a_name_that_is_swapped_is_the_one_that_was_asked_about",),
    ),
    Mutant(
        "who debugs lets handlers see what is refused",
        "monitor/debugging.py",
        "        return None if refused is None else _questioned(call, refused)\n",
        "        return None\n",
        ("tests/kernel/test_debugging.py::test_no_handler_sees_what_is_refused",),
    ),
    Mutant(
        "a grant is suggested for what the policy refuses",
        "monitor/approve/approvals.py",
        " and not outcome.asks.refused:\n",
        ":\n",
        ("tests/kernel/test_debugging.py::test_what_is_refused_is_never_remembered",),
    ),
)
