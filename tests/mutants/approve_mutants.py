"""
Faults in what is asked: who is asked, what for, and for how much the answer holds.

What it is not: their planting (``test_mutants``).
"""

from __future__ import annotations

from typing import Final

from tests.mutants.mutant import Mutant

APPROVALS: Final = "tests/approve/test_approvals.py::"
CONTROL: Final = "tests/approve/test_control.py::"
BOUNDS: Final = "tests/approve/test_control_bounds.py::"
ATTACKED: Final = "tests/kernel/test_control_attacked.py::"
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
        " and outcome.asks.grantable:\n",
        ":\n",
        ("tests/kernel/test_debugging.py::test_what_is_refused_is_never_remembered",),
    ),
    Mutant(
        "who is asked on the terminal takes modules from where the program may write",
        "monitor/cli/prompting.py",
        '[sys.executable, "-P", "-m"',
        '[sys.executable, "-m"',
        ("tests/cli/test_prompt.py::test_what_asks_takes_no_module_from_where_the_program_may_write",),
    ),
    Mutant(
        "the current directory stays where modules are looked for",
        "monitor/cli/loading.py",
        '            sys.path.remove("")\n',
        "            pass\n",
        ("tests/cli/test_run.py::test_while_a_program_runs_no_module_comes_from_where_it_may_write",),
    ),
    Mutant(
        "a run in the background takes the terminal",
        "monitor/cli/prompting.py",
        "        if not self._is_in_foreground(question.pid):\n",
        "        if False:\n",
        ("tests/cli/test_prompt.py::test_in_the_background_it_is_denied_at_once",),
    ),
    Mutant(
        "an empty line allows",
        "monitor/cli/prompt.py",
        '        word, space, rest = typed.partition(" ")\n',
        '        word, space, rest = (typed or "allow").partition(" ")\n',
        ("tests/cli/test_prompt.py::test_an_empty_line_answers_nothing_whatever_was_said_before",),
    ),
    Mutant(
        "^C at the prompt stays with us",
        "monitor/cli/prompt.py",
        "            self._terminal.interrupt()\n",
        "",
        ("tests/cli/test_prompt.py::test_interrupted_it_is_denied_and_the_program_interrupted",),
    ),
    Mutant(
        "half of a question about two names is remembered",
        "monitor/remembering.py",
        "    return whole if len(whole) == len(found) else ()",
        "    return whole",
        ("tests/approve/test_suggesting.py",),
    ),
    Mutant(
        "what is asked about two names is remembered for both accesses",
        "monitor/remembering.py",
        "            access=frozenset(access),\n",
        "            access=frozenset(one.access for one in asks.about),\n",
        ("tests/kernel/test_remembering.py::test_a_question_about_two_names_leaves_a_grant_for_each",),
    ),
    Mutant(
        "what was typed is read from another user's file",
        "monitor/cli/history.py",
        "held.st_uid != os.geteuid() or ",
        "",
        ("tests/cli/test_history.py::test_what_belongs_to_another_user_is_neither_read_nor_written",),
    ),
    Mutant(
        "what was typed is read through a link",
        "monitor/cli/history.py",
        "_OPEN: Final = os.O_NOFOLLOW | ",
        "_OPEN: Final = ",
        ("tests/cli/test_history.py::test_no_link_and_no_fifo_is_read_or_written_through",),
    ),
    Mutant(
        "who debugs does not see what a handler refuses",
        "monitor/settings.py",
        "        return debugging, debugging.reconsiders\n",
        "        return debugging, None\n",
        ("tests/cli/test_debug.py::test_what_a_handler_refuses_is_asked_about_and_what_it_answers_is_not",),
    ),
    Mutant(
        "always is offered where no policy asks",
        "monitor/debugging.py",
        "grantable=False",
        "grantable=True",
        ("tests/kernel/test_debugging.py::test_what_is_refused_is_never_remembered",),
    ),
    Mutant(
        "a policy that the program has written is put in force",
        "monitor/cli/enforcing.py",
        "        if self._is_own(now):\n",
        "        if False:\n",
        ("tests/cli/test_run_policy.py::test_what_the_program_could_have_written_is_not_read_again",),
    ),
    Mutant(
        "who is too deep to be looked at is let in",
        "monitor/sources/process.py",
        "            if above is not None and above[-1] != _NOBODY:\n",
        "            if above is not None and above[-1] == self._guard.guard_pid:\n",
        (ATTACKED + "test_no_process_of_the_tree_is_let_in",),
    ),
    Mutant(
        "who has killed the guard is let in",
        "monitor/sources/process.py",
        "                return not self._is_guarded()",
        "                return False",
        (ATTACKED + "test_no_process_of_the_tree_is_let_in",),
    ),
    Mutant(
        "who has killed the guard is let in after its end",
        "monitor/sources/process.py",
        "        if self.tree_gone.is_set():\n            return False\n        options",
        "        if self.tree_gone.is_set():\n            return True\n        options",
        (ATTACKED + "test_no_process_of_the_tree_is_let_in",),
    ),
    Mutant(
        "a lack of descriptors ends the run",
        "monitor/approve/control.py",
        "                if error.errno not in _NO_ROOM:\n",
        "                if error.errno:\n",
        (ATTACKED + "test_without_descriptors_nobody_comes_in_and_the_run_goes_on",),
    ),
    Mutant(
        "a client has any number of bytes held",
        "monitor/approve/control.py",
        "        if self.held + len(line) > MOST_UNSENT_BYTES:\n",
        "        if self.held < 0:\n",
        (BOUNDS + "test_names_of_the_worst_kind_are_told_and_held_for_nobody_beyond_the_bound",),
    ),
    Mutant(
        "who does not read is read from",
        "monitor/approve/control.py",
        "                            await client.has_room()\n",
        "                            await trio.lowlevel.checkpoint()\n",
        (BOUNDS + "test_who_reads_may_ask_for_a_thousand_things_at_once",),
    ),
    Mutant(
        "events leave no room for a question",
        "monitor/approve/control.py",
        "        await client.has_room()  # what",
        "        await trio.lowlevel.checkpoint()  # what",
        (BOUNDS + "test_events_that_nobody_reads_leave_room_for_questions",),
    ),
    Mutant(
        "a line that goes too deep ends the run",
        "monitor/approve/control.py",
        "        except RecursionError:\n",
        "        except MemoryError:\n",
        (BOUNDS + "test_however_deep_a_line_goes_it_has_a_reply",),
    ),
    Mutant(
        "a look without descriptors ends the run",
        "monitor/approve/inspect.py",
        "    except OSError as error:  # we have no fd left to look with\n",
        "    except TimeoutError as error:\n",
        (BOUNDS + "test_a_look_for_which_we_have_no_descriptor_fails_alone",),
    ),
    Mutant(
        "there is any number of breakpoints",
        "monitor/debugging.py",
        "        if len(self._found) >= MOST_BREAKPOINTS:\n",
        "        if len(self._found) < 0:\n",
        (BOUNDS + "test_there_are_so_many_breakpoints_and_no_more",),
    ),
)
