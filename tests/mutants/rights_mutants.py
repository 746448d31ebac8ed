"""
Planted faults in taking on the rights and the view of a program.

What it is not: the tests that find them (tests/kernel/test_rights.py).
"""

from __future__ import annotations

from typing import Final

from tests.mutants.mutant import Mutant

RIGHTS: Final = "tests/kernel/test_rights.py"

DISPATCH: Final = "tests/notify/test_dispatch.py"

IDS: Final = RIGHTS + "::test_a_program_that_takes_other_ids_may_do_what_they_may"

LISTS: Final = RIGHTS + "::test_lists_of_others_ids_are_neither_told_nor_made_where_ids_are_called_otherwise"

CAPABLE_THERE: Final = RIGHTS + "::test_in_a_user_namespace_no_file_is_given_capabilities"

RIGHTS_MUTANTS: Final = (
    Mutant(
        "files are opened with our rights for a thread with others",
        "monitor/broker/whose.py",
        "        if view is None and rights.worth == ours.worth:\n",
        "        if view is None:\n",
        (IDS,),
    ),
    Mutant(
        "a change of rights is not heard of",
        "monitor/brokering.py",
        "            self._loosen(self._broker, call)  # before the kernel runs it, if it does\n",
        "            pass\n",
        (IDS,),
    ),
    Mutant(
        "the fast path goes on for threads with other rights",
        "monitor/brokering.py",
        "            self._fast.end()\n",
        "            pass\n",
        (IDS,),
    ),
    Mutant(
        "capabilities that were given up are kept",
        "native/rights.c",
        "	if (set_effective(&held, rights->capabilities) < 0)\n",
        "	if (set_effective(&held, ~(uint64_t)0) < 0)\n",
        (RIGHTS + "::test_a_program_that_gives_capabilities_up_has_them_no_more",),
    ),
    Mutant(
        "groups stay ours",
        "native/rights.c",
        "syscall(__NR_setgroups, (size_t)rights->group_count, rights->groups) < 0 ||",
        "",
        (IDS,),
    ),
    Mutant(
        "the ids of the file system are the effective ones",
        "native/rights.c",
        "	(void)syscall(__NR_setfsuid, rights->file_uid);\n	return has_ids(rights) ? 0 : -EPERM;\n",
        "	return 0;\n",
        (IDS,),
    ),
    Mutant(
        "access asks for effective ids",
        "monitor/broker/whose.py",
        "        if call is not None and asks_for_real_ids(call):\n",
        "        if False:\n",
        (RIGHTS + "::test_access_asks_for_real_ids_and_only_without_a_flag_for_that",),
    ),
    Mutant(
        "who acts takes the real id, too",
        "native/rights.c",
        "syscall(__NR_setresuid, KEEP, rights->uid, KEEP) < 0)",
        "syscall(__NR_setresuid, rights->uid, rights->uid, KEEP) < 0)",
        (RIGHTS + "::test_nobody_touches_who_acts_for_it",),
    ),
    Mutant(
        "memory is read with the rights of who gave up to be looked into",
        "monitor/broker/standing.py",
        "    if before is None:\n        yield\n",
        "    if True:\n        yield\n",
        (IDS,),
    ),
    Mutant(
        "who cannot come back goes on",
        "monitor/broker/worker.py",
        "        if _is_stranded(errand.result):\n            return\n",
        "",
        (RIGHTS + "::test_who_cannot_come_back_does_nothing_more",),
    ),
    Mutant(
        "what cannot be taken on is done with ours",
        "monitor/broker/whose.py",
        "        if self._ours.effective & _NEEDED != _NEEDED:\n            return None\n",
        "        if self._ours.effective & _NEEDED != _NEEDED:\n            return OURS\n",
        (RIGHTS + "::test_without_the_rights_to_take_others_nothing_is_done",),
    ),
    Mutant(
        "names are those of our own view",
        "monitor/broker/views.py",
        '        return held._replace(link=_below(self.name, held.link) if now == self.name else b"")\n',
        "        return held\n",
        (RIGHTS + "::test_a_policy_knows_names_as_they_are_under_the_other_root",),
    ),
    Mutant(
        "what is outside of a root has a name",
        "monitor/broker/views.py",
        '    return link.removeprefix(root) if link.startswith(root + b"/") else b""\n',
        "    return link.removeprefix(root)\n",
        (RIGHTS + "::test_a_policy_knows_names_as_they_are_under_the_other_root",),
    ),
    Mutant(
        "paths begin at our root",
        "monitor/broker/whose.py",
        "            root = -1 if view is None else view.root\n",
        "            root = -1\n",
        (RIGHTS + "::test_paths_lead_where_they_lead_under_another_root",),
    ),
    Mutant(
        "/proc may be a root",
        "monitor/broker/views.py",
        "            raise NoViewError  # its ``self`` would be ours\n",
        "            pass\n",
        (RIGHTS + "::test_a_procfs_as_root_is_no_view",),
    ),
    Mutant(
        "ids are shown as we call them",
        "monitor/broker/ids.py",
        "    return OVERFLOW\n",
        "    return number\n",
        (RIGHTS + "::test_ids_of_a_user_namespace_are_shown_as_they_are_called_there",),
    ),
    Mutant(
        "capabilities of a namespace of one's own are worth as much as ours",
        "monitor/broker/rights.py",
        "    return _OF_FILES if maps.are_ours else 0\n",
        "    return _OF_FILES\n",
        (RIGHTS + "::test_capabilities_of_another_namespace_are_worth_something_where_every_id_is_mapped",),
    ),
    Mutant(
        "our /proc is nobody's by another mount",
        "monitor/broker/resolve.py",
        "        self._proc_device = device_of(self.proc)\n",
        "        self._proc_device = device_of(self.proc) + 1\n",
        (RIGHTS + "::test_nobody_comes_to_us_by_a_procfs_that_has_another_name",),
    ),
    Mutant(
        "numbers of another pid namespace are believed",
        "monitor/broker/resolve.py",
        "            return (root.device, root.inode) != (held.device, _PROC_ROOT) or not is_of_ours(fd)\n",
        "            return False\n",
        (RIGHTS + "::test_a_procfs_of_another_pid_namespace_tells_nothing",),
    ),
    Mutant(
        "a lack of fds to look whose a call is ends the run",
        "monitor/notify/ask.py",
        "        except OSError:  # we have no fd left to look with",
        "        except ZeroDivisionError:  # we have no fd left to look with",
        (DISPATCH + "::test_a_lack_of_fds_to_look_whose_a_call_is_ends_that_call_and_no_run",),
    ),
    Mutant(
        "a thread that ends while a handler thinks ends the run",
        "monitor/notify/ask.py",
        "                return None\n        except TargetGone:\n",
        "                return None\n        except ZeroDivisionError:\n",
        (DISPATCH + "::test_a_thread_that_ends_before_it_is_known_whose_its_call_is_ends_no_run",),
    ),
    Mutant(
        "ids in lists of acl(5) are told as we call them",
        "monitor/broker/attributes.py",
        "    if _has_ids_of_others(acting, name):\n        return Emulated(-EOPNOTSUPP)\n    return _told(",
        "    return _told(",
        (LISTS,),
    ),
    Mutant(
        "ids in lists of acl(5) are given as we call them",
        "monitor/broker/attributes.py",
        "    if _has_ids_of_others(acting, name):\n        return Emulated(-EOPNOTSUPP)\n    value",
        "    value",
        (LISTS,),
    ),
    Mutant(
        "lists of acl(5) are refused in every user namespace",
        "monitor/broker/attributes.py",
        "ids is not None and not ids.are_ours and name",
        "ids is not None and name",
        (RIGHTS + "::test_lists_of_ids_are_as_ever_where_every_id_is_called_the_same",),
    ),
    Mutant(
        "what a file takes of capabilities is not noticed",
        "monitor/broker/whose.py",
        "        keeps = not ours.permitted or ours.uids.real == ours.uids.effective == 0\n",
        "        keeps = True\n",
        (RIGHTS + "::test_a_program_that_its_file_takes_capabilities_from_has_them_no_more",),
    ),
    Mutant(
        "in a namespace of one's own files are given capabilities that are worth something here",
        "monitor/broker/whose.py",
        "            rights = rights.without(CAP_SETFCAP)\n",
        "            pass\n",
        (CAPABLE_THERE,),
    ),
    Mutant(
        "in a namespace of one's own capabilities of files cannot be taken away",
        "monitor/broker/whose.py",
        "        if ids is not None and (call is None or call.name not in _REMOVING):\n",
        "        if ids is not None:\n",
        (CAPABLE_THERE,),
    ),
    Mutant(
        "in a namespace of one's own what is emptied keeps its set-id bits",
        "monitor/broker/whose.py",
        "            emptying = rights if ids is None else rights.without(CAP_FSETID)\n",
        "            emptying = rights\n",
        (CAPABLE_THERE,),
    ),
    Mutant(
        "capabilities are kept with which files are given some",
        "native/rights.c",
        "	if (set_effective(&held, rights->capabilities) < 0)\n",
        "	if (set_effective(&held, rights->capabilities | 1UL << 31) < 0)\n",
        (RIGHTS + "::test_capabilities_of_files_are_given_kept_and_lost_as_ever",),
    ),
    Mutant(
        "what can be taken on no more is done with ours",
        "monitor/broker/broker.py",
        "        if whose is None:\n            raise OSError(EACCES, os.strerror(EACCES))\n",
        "        if whose is None:\n            return OURS\n",
        (RIGHTS + "::test_a_call_whose_rights_can_be_taken_on_no_more_is_refused_and_no_other",),
    ),
    Mutant(
        "who lost its rights while a handler thought hears that we have no fds",
        "monitor/notify/carry.py",
        "    return EACCES if error.errno == EACCES else ENFILE\n",
        "    return ENFILE\n",
        (RIGHTS + "::test_rights_may_be_lost_while_a_handler_thinks",),
    ),
    Mutant(
        "rights that were taken on by half are kept",
        "monitor/broker/standing.py",
        "    try:\n        theirs.take()\n        _here.taken = theirs, ours\n        yield\n",
        "    theirs.take()\n    try:\n        _here.taken = theirs, ours\n        yield\n",
        (RIGHTS + "::test_rights_that_are_taken_on_by_half_are_given_back",),
    ),
)
