"""
Planted faults, one line each: every one turns a test red; without one the same tests are green.

What it is not: a measure of coverage.  Each fault is one that somebody could make, and that would
make the supervisor unsafe while everything seemed to work.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants.agent_mutants import AGENT_MUTANTS
from tests.mutants.approve_mutants import APPROVE_MUTANTS
from tests.mutants.blocking_mutants import BLOCKING_MUTANTS
from tests.mutants.events_mutants import EVENTS_MUTANTS
from tests.mutants.file_mutants import FILE_MUTANTS
from tests.mutants.hidden_mutants import HIDDEN_MUTANTS
from tests.mutants.mutant import Mutant
from tests.mutants.places_mutants import PLACES_MUTANTS
from tests.mutants.planting import ROOT, Copy
from tests.mutants.policy_mutants import POLICY_MUTANTS
from tests.mutants.receive_mutants import RECEIVE_MUTANTS
from tests.mutants.rights_mutants import RIGHTS_MUTANTS

pytestmark = pytest.mark.root


MUTANTS = (
    *POLICY_MUTANTS,
    *FILE_MUTANTS,
    *HIDDEN_MUTANTS,
    *APPROVE_MUTANTS,
    *EVENTS_MUTANTS,
    *PLACES_MUTANTS,
    *BLOCKING_MUTANTS,
    *RECEIVE_MUTANTS,
    *RIGHTS_MUTANTS,
    *AGENT_MUTANTS,
    Mutant(
        "the target may make a listener of its own",
        "monitor/policy/notify_program.py",
        "_LISTENER_REFUSED: Final = RetValue.ERRNO | EBUSY",
        "_LISTENER_REFUSED: Final = RetValue.ALLOW.value",
        ("tests/kernel/test_kernel_facts_filter.py",),
    ),
    Mutant(
        "another ABI is let through",
        "monitor/policy/notify_program.py",
        "_NO_SUCH_CALL: Final = RetValue.ERRNO | ENOSYS",
        "_NO_SUCH_CALL: Final = RetValue.ALLOW.value",
        ("tests/kernel/test_kernel_facts_filter.py",),
    ),
    Mutant(
        "a policy lets the target make a listener of its own",
        "monitor/policy/decisions.py",
        "        if not guarded or is_final(value):\n",
        "        if guarded or is_final(value):\n",
        ("tests/policy/test_kernel_policy.py::test_a_listener_of_the_targets_own_is_refused_with_nobody_there",),
    ),
    Mutant(
        "bait in the upper half of a register of i386 is taken",
        "monitor/policy/model.py",
        "    return cut(when.bind(signature, arch), arch.register_bits)\n",
        "    return when.bind(signature, arch)\n",
        ("tests/policy/test_kernel_policy.py::test_the_upper_half_of_a_register_is_bait_on_i386",),
    ),
    Mutant(
        "negative numbers are large ones",
        "monitor/policy/arguments.py",
        "    flip = 1 << (test.width - 1) if ordered and test.signed and test.mask is None else 0\n",
        "    flip = 0\n",
        ("tests/policy/test_compile_policy.py::test_a_condition_means_the_same_in_a_program",),
    ),
    Mutant(
        "a register is believed loaded that is so on one of two ways",
        "monitor/policy/sections.py",
        "loaded[follower] = word if loaded.get(follower, word) == word else None",
        "loaded[follower] = word",
        ("tests/policy/test_compile_policy.py::test_a_condition_means_the_same_in_a_program",),
    ),
    Mutant(
        "a handler lifts a refusal",
        "monitor/policy/answers.py",
        "        if is_final(self.value):\n",
        "        if is_final(self.value) and not wanted:\n",
        ("tests/policy/test_compile_policy.py::test_no_handler_lifts_a_refusal",),
    ),
    Mutant(
        "the cookie is not compared whole",
        "monitor/sources/prologue.py",
        "for place, word in enumerate(cookie)\n",
        "for place, word in enumerate(cookie[:1])\n",
        ("tests/sources/test_prologue.py",),
    ),
    Mutant(
        "bytes are believed without a look at the id",
        "native/memory.c",
        "	close(memory);\n	return mon_gone_or(listener, id, count);",
        "	close(memory);\n	return count;",
        (
            "tests/kernel/test_memory.py::test_nothing_is_read_or_written_after_the_thread_is_gone",
            "tests/kernel/test_memory.py::test_bytes_of_a_later_process_with_the_same_number_are_thrown_away",
        ),
    ),
    Mutant(
        "the end of the last task is not noticed",
        "native/listener.c",
        "return pfd.revents & (POLLHUP | POLLERR) ? -ENOTCONN : -EAGAIN;",
        "return -EAGAIN;",
        ("tests/notify/test_listener_contract.py",),
    ),
    Mutant(
        "the program inherits what the host has open",
        "native/child.c",
        "	close_between(child, child->handover + 1, INT_MAX);\n",
        "",
        ("tests/kernel/test_launch.py::test_the_program_has_the_fds_that_were_asked_for_and_no_other",),
    ),
    Mutant(
        "orphans leave the tree",
        "native/guard.c",
        "fd = RAW(__NR_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0, 0);",
        "fd = 0;",
        ("tests/kernel/test_guard.py::test_leaving_the_block_ends_the_tree_whatever_it_is_made_of",),
    ),
    Mutant(
        "a thread that waits is killed by its number alone",
        "native/memory.c",
        "	result = mon_listener_id_valid(listener, id);\n	if (result == 0 && syscall",
        "	result = 0;\n	if (result == 0 && syscall",
        ("tests/kernel/test_memory.py::test_no_signal_is_sent_after_the_answer",),
    ),
    Mutant(
        "the supervisor can be robbed under strict",
        "monitor/supervisor.py",
        "    if settings.strict or plan.files is not None:\n        make_undumpable()\n",
        "    if not settings.strict or plan.files is not None:\n        make_undumpable()\n",
        ("tests/kernel/test_launch.py::test_strict_makes_the_supervisor_undumpable_and_nothing_else_does",),
    ),
    Mutant(
        "an asynchronous answer is given twice",
        "monitor/notify/dispatch.py",
        "            received = self._responder.exchange(call, outcome, started)\n        finally:",
        "            self._responder.respond(call, outcome, started)\n"
        "            received = self._responder.exchange(call, outcome, started)\n        finally:",
        ("tests/notify/test_dispatch.py",),
    ),
    Mutant(
        "the end of the last task does not end the loop",
        "monitor/notify/dispatch.py",
        "            if outcome == NO_TASK_LEFT:\n                return\n",
        "            if outcome == NO_TASK_LEFT:\n                continue\n",
        ("tests/notify/test_dispatch.py",),
    ),
    Mutant(
        "a busy target keeps every other task from running",
        "monitor/notify/dispatch.py",
        "            if drained >= DRAIN or (self._others is not None and self._others.have_a_turn(drained)):\n",
        "            if drained < 0:\n",
        ("tests/notify/test_dispatch.py",),
    ),
    Mutant(
        "what was received is forgotten when we are cancelled",
        "monitor/notify/dispatch.py",
        "        except BaseException:\n            self._close_out(received)\n            raise\n",
        "        except BaseException:\n            raise\n",
        ("tests/notify/test_dispatch.py",),
    ),
    Mutant(
        "a handler that raises allows",
        "monitor/notify/ask.py",
        "            raise HandlerError(call.name, handler.name, what) from error\n"
        '        return Outcome(self._options.failure, "error", handler.name)\n',
        "            raise HandlerError(call.name, handler.name, what) from error\n"
        '        return Outcome(Allow(), "error", handler.name)\n',
        ("tests/notify/test_dispatch.py",),
    ),
    Mutant(
        "a look at memory does not make an Allow racy",
        "monitor/notify/ask.py",
        "        if not isinstance(outcome.verdict, Allow) or not call.looked:\n",
        "        if not isinstance(outcome.verdict, Allow) or call.looked:\n",
        ("tests/notify/test_dispatch.py",),
    ),
    Mutant(
        "a reason is enough even under strict",
        "monitor/notify/ask.py",
        "        if outcome.verdict.racy is not None and not self._options.strict:\n",
        "        if outcome.verdict.racy is not None:\n",
        ("tests/notify/test_dispatch.py",),
    ),
    Mutant(
        "handlers have no deadline",
        "monitor/notify/ask.py",
        "with trio.CancelScope(deadline=trio.current_time() + seconds) as scope:",
        "with trio.CancelScope() as scope:",
        ("tests/notify/test_dispatch.py",),
    ),
    Mutant(
        "an injected fd is never closed",
        "monitor/notify/respond.py",
        "        finally:\n            close_quietly(verdict)\n",
        "        finally:\n            pass\n",
        ("tests/notify/test_dispatch.py",),
    ),
    Mutant(
        "the answer comes before the signal",
        "monitor/notify/respond.py",
        "            self._listener.kill(call.id, call.tid, verdict.signal)\n",
        "            self._listener.respond(call.id, 0, -EPERM, 0)\n"
        "            self._listener.kill(call.id, call.tid, verdict.signal)\n",
        ("tests/notify/test_dispatch.py",),
    ),
    Mutant(
        "the listener is left open",
        "monitor/supervisor.py",
        "        listener.close()\n",
        "        pass\n",
        ("tests/test_supervisor.py",),
    ),
    Mutant(
        "a probe that hangs keeps the doctor",
        "native/probe.c",
        "		if (left <= 0)\n			return 0;\n",
        "",
        ("tests/features/test_probing.py::test_without_time_everything_has_timed_out_and_is_gone",),
    ),
    Mutant(
        "a probe outlives the doctor that started it",
        "native/probe.c",
        "	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);\n",
        "",
        ("tests/kernel/test_doctor_surroundings.py::test_the_doctor_that_is_killed_takes_its_probes_along",),
    ),
    Mutant(
        "run is said to work though no call can be answered",
        "monitor/features/abilities.py",
        '        "respond",\n',
        "",
        ("tests/features/test_catalogue.py",),
    ),
)


@pytest.fixture(scope="module")
def copy(public_directory: Path) -> Copy:
    return Copy(public_directory / "mutants")


def test_the_copy_is_what_is_tested(copy: Copy) -> None:
    command = [sys.executable, "-c", "import monitor; print(monitor.__file__)"]
    environment = dict(os.environ, PYTHONPATH=str(copy.tree))
    done = subprocess.run(command, cwd=copy.tree, env=environment, capture_output=True, text=True, check=True)

    assert done.stdout.startswith(str(copy.tree))


def test_each_fault_can_be_planted_in_one_place_only() -> None:
    texts = {file: (ROOT / file).read_text() for file in {mutant.file for mutant in MUTANTS}}

    assert [mutant.name for mutant in MUTANTS if texts[mutant.file].count(mutant.before) != 1] == []


@pytest.mark.seconds(600)
def test_without_a_fault_all_of_them_are_green(copy: Copy) -> None:
    tests = tuple(sorted({test for mutant in MUTANTS for test in mutant.tests}))

    status, shown = copy.outcome(tests, faultless=True)

    assert status == 0, shown


@pytest.mark.seconds(240)
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_fault_turns_a_test_red(copy: Copy, mutant: Mutant) -> None:
    with copy.planted(mutant):
        status, shown = copy.outcome(mutant.tests)

    assert status == 1, shown
