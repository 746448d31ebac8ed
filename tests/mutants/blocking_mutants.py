"""
Faults in what may sleep for ever, and in what is remembered of calls that a signal takes away.

What it is not: their planting (``test_mutants``).
"""

from __future__ import annotations

from typing import Final

from tests.mutants.mutant import Mutant

SLEEPING: Final = "tests/kernel/test_blocking.py::test_a_signal_does_to_a_sleeping_open_what_it_does_natively"
LEASES: Final = "tests/kernel/test_blocking.py::test_a_signal_does_to_who_waits_for_a_lease_what_it_does_natively"
OLD: Final = "tests/kernel/test_once.py::test_before_linux_5_19_too[restart]"
KILLED: Final = (
    "tests/kernel/test_broker_leaves_nothing.py"
    "::test_a_supervisor_that_is_killed_at_any_moment_has_done_each_call_or_not"
)
LACK: Final = "tests/kernel/test_bad_surroundings.py::test_a_lack_of_fds_of_ours_is_never_told_as_one_of_the_program"
LOST: Final = (
    "tests/kernel/test_bad_surroundings.py"
    "::test_entries_that_cannot_be_written_for_want_of_an_fd_are_there_the_next_time"
)

BLOCKING_MUTANTS = (
    Mutant(
        "who sleeps for a program hears nothing of its signals",
        "native/helper.c",
        "		if (has_signal(state))\n",
        "		if (state == -2)\n",
        (SLEEPING + "[read-plain-50-0-nothing]", LEASES),
    ),
    Mutant(
        "a call is begun anew though no signal came",
        "native/helper.c",
        "text[length + 2] == 'D'",
        "text[length + 2] != 'D'",
        (SLEEPING + "[read-restart-0-0-other_end]",),
    ),
    Mutant(
        "an open that was done when the signal came is forgotten",
        "native/helper.c",
        "at >= (greg_t)helper_end",
        "at > (greg_t)helper_end",
        ("tests/kernel/test_blocking.py::test_what_is_opened_in_the_last_moment_is_neither_lost_nor_kept",),
    ),
    Mutant(
        "anybody's signal ends an open",
        "native/helper.c",
        "	if (__atomic_load_n(&((struct shared *)registers[REG_RBX])->stop, __ATOMIC_SEQ_CST))\n",
        "",
        ("tests/kernel/test_blocking.py::test_a_signal_that_is_meant_for_the_whole_group_ends_no_open",),
    ),
    Mutant(
        "who sleeps for a program sleeps on when we are killed",
        "native/helper.c",
        "PR_SET_PDEATHSIG, SIGKILL,",
        "PR_SET_PDEATHSIG, 0,",
        (KILLED,),
    ),
    Mutant(
        "who sleeps for a program that is gone sleeps on",
        "native/helper.c",
        "			stop(helper, shared, pidfd, MON_HELPER_UNWANTED);\n",
        "			helper->why = MON_HELPER_UNWANTED;\n",
        ("tests/kernel/test_blocking.py::test_an_open_ends_soon_after_its_program",),
    ),
    Mutant(
        "what was done for a call that is made again is done again",
        "monitor/broker/once.py",
        "    if not is_new:\n",
        "    if entry.tid < 0:\n",
        (OLD,),
    ),
    Mutant(
        "a file that was made and not handed over is made again",
        "monitor/broker/files.py",
        "            acting.entry.keep(made)  # for when the call is made again\n",
        "            pass\n",
        (OLD,),
    ),
    Mutant(
        "what was done for one name is the answer for another",
        "monitor/broker/journal.py",
        "        key = (*_head(call), _start_time(call.tid), *behind)\n",
        "        key = (*_head(call), _start_time(call.tid))\n",
        ("tests/kernel/test_once.py::test_another_name_behind_the_same_pointer_is_another_call",),
    ),
    Mutant(
        "an answer is remembered though it was heard",
        "monitor/notify/respond.py",
        "        if sent == 0 and call.settle is not None:\n",
        "        if sent == 1 and call.settle is not None:\n",
        ("tests/kernel/test_once.py::test_a_call_that_is_made_twice_is_done_twice",),
    ),
    Mutant(
        "a lack of ours is the program's, where what may sleep is opened",
        "monitor/broker/helper.py",
        "        if result == -EMFILE:",
        "        if result == 1:",
        (LACK,),
    ),
    Mutant(
        "a lack of ours is the program's, where a file is opened at once",
        "native/paths.c",
        "	return errno == EMFILE ? -ENFILE : -errno;\n",
        "	return -errno;\n",
        (LACK,),
    ),
    Mutant(
        "a lack of ours is the program's, where a file is made",
        "monitor/broker/files.py",
        "        return Emulated(-our_lack(error))\n    try:\n        return _inject_new",
        "        return Emulated(-(error.errno or EBADF))\n    try:\n        return _inject_new",
        (LACK,),
    ),
    Mutant(
        "a lack of ours is where a path ends",
        "monitor/broker/walk.py",
        "            if error.errno in LACKS:\n                raise\n            named",
        "            named",
        (LACK,),
    ),
    Mutant(
        "entries are lost that could not be written for want of an fd",
        "monitor/broker/listing.py",
        "    except (TargetGone, TargetMemoryError, OSError):\n",
        "    except (TargetGone, TargetMemoryError):\n",
        (LOST,),
    ),
    Mutant(
        "what waits for a person at a terminal fails when it goes on",
        "native/helper.c",
        "mov $-512, %rax",
        "mov $-4, %rax",
        ("tests/kernel/test_job_control.py::test_what_waits_is_stopped_goes_on_and_reads_each_line_once",),
    ),
    Mutant(
        "what waits for a person at a terminal does not hear ^C",
        "native/helper.c",
        "	if (helper->heeds_signals) {\n",
        "	if (helper->heeds_signals && helper->why) {\n",
        ("tests/kernel/test_job_control.py::test_what_waits_is_ended",),
    ),
)
