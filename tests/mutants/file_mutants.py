"""
Faults in what is done for a program with files: look-ups, names, opens, the fast path.

What it is not: their planting (``test_mutants``).  They are told by the comparison with the kernel, by attacks, and by
what a program sees of its policy.
"""

from __future__ import annotations

from typing import Final

from tests.mutants.mutant import Mutant

SAME: Final = "tests/conformance/test_files.py::test_cases_have_the_same_results"
FILES: Final = "tests/kernel/test_files.py"
ATTACKED: Final = "tests/kernel/test_files_attacked.py"
FAST: Final = "tests/kernel/test_fastpath.py"
RUN: Final = "tests/kernel/test_fastrun.py"
LANES: Final = "tests/kernel/test_lanes.py"
AS_WITHOUT: Final = LANES + "::test_a_program_sees_the_same_with_it_and_without"
ATTACK: Final = "tests/attacks/test_attacks.py::test_an_attack_does_not_succeed_and_its_control_does"
CHANGED: Final = ATTACK + "[refused: metadata]"
MOVING: Final = "tests/kernel/test_moving.py::test_a_name_moves_where_it_gains_nothing"
NAMES: Final = "tests/kernel/test_names.py"
DETACHED: Final = ATTACK + "[received: detached tree]"

GIVEN: Final = "tests/kernel/test_invisible.py::test_nobody_has_open_what_a_program_was_given_and_has_closed"

FILE_MUTANTS = (
    # ---- giving ----
    Mutant(
        "a program that was made runs while we have its file open",
        "monitor/broker/acting.py",
        "        waits = self.gives_before_it_answers\n",
        "        waits = False\n",
        (GIVEN + "[make-handler]",),
    ),
    Mutant(
        "a program that was written over runs while we have its file open",
        "monitor/broker/files.py",
        "opening.flags & os.O_ACCMODE != os.O_RDONLY",
        "opening.flags & os.O_ACCMODE == os.O_RDONLY",
        (GIVEN + "[over-handler]",),
    ),
    Mutant(
        "likewise on the fast path",
        "native/fastnames.c",
        "		.waits = 1,\n",
        "		.waits = 0,\n",
        (GIVEN + "[over-policy]",),
    ),
    Mutant(
        "a program that was made runs while we have its file open",
        "native/fastnames.c",
        "mon_listener_add_fd(lookup->listener, lookup->id, 0, (int)made, 0,",
        "mon_listener_add_fd(lookup->listener, lookup->id, SECCOMP_ADDFD_FLAG_SEND, (int)made, 0,",
        (GIVEN + "[make-policy]",),
    ),
    # ---- resolve ----
    Mutant(
        "a link in the last place is followed",
        "native/paths.c",
        "lookup->flags & MON_LOOKUP_NOFOLLOW ? O_NOFOLLOW : 0;",
        "0;",
        (SAME,),
    ),
    Mutant(
        "links of /proc lead where ours do",
        "native/paths.c",
        "uint64_t resolve = lookup->resolve | RESOLVE_NO_MAGICLINKS;",
        "uint64_t resolve = lookup->resolve;",
        (SAME,),
    ),
    Mutant(
        "a name is believed whatever mount the object is on",
        "monitor/broker/resolve.py",
        "            resolved.anonymous = held.device in self._anonymous\n            return\n",
        "            resolved.anonymous = True\n            return\n",
        (DETACHED,),
    ),
    Mutant(
        "the guard, which has our memory, is seen in /proc",
        "monitor/broker/procfs.py",
        "    own = os.getpid()\n    if number == own or",
        "    own = 0\n    if number == os.getpid() or",
        (ATTACKED + "::test_the_guard_has_our_memory_and_is_not_there",),
    ),
    Mutant(
        "there is a name above a directory that was removed",
        "monitor/broker/walk.py",
        "component if named else None",
        "component",
        (SAME,),
    ),
    Mutant(
        "a relative path starts where we are",
        "native/paths.c",
        "	int start = lookup->start < 0 ? AT_FDCWD : lookup->start;\n",
        "	int start = AT_FDCWD;\n",
        (SAME,),
    ),
    # ---- open ----
    Mutant(
        "what was looked up is looked up again by its path",
        "native/paths.c",
        "	opened = openat(own_fds, number, flags | O_CLOEXEC | O_NOCTTY);\n",
        "	char again[MON_PATH_SIZE];\n"
        "	ssize_t length = readlinkat(own_fds, number, again, sizeof(again) - 1);\n"
        "	again[length < 0 ? 0 : length] = 0;\n"
        "	opened = open(again, flags | O_CLOEXEC | O_NOCTTY);\n",
        (ATTACKED + "::test_what_was_looked_up_is_opened_whatever_has_its_name_by_then",),
    ),
    Mutant(
        "a file is made in the place of one that came meanwhile",
        "monitor/broker/files.py",
        "os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_NOCTTY",
        "os.O_CREAT | os.O_NOCTTY",
        (ATTACKED + "::test_a_handler_is_asked_again_where_what_it_decided_about_has_changed",),
    ),
    Mutant(
        "a file is emptied before there is room for an fd of it",
        "monitor/broker/files.py",
        "    if opening.flags & os.O_TRUNC and acting.is_full(call):\n        return Emulated(-EMFILE)\n",
        "",
        (SAME,),
    ),
    Mutant(
        "a file is made with our umask",
        "monitor/broker/acting.py",
        "            os.umask(umask)\n",
        "",
        (SAME,),
    ),
    Mutant(
        "an fd outlives an exec that it should not",
        "native/paths.c",
        "	uint32_t number_flags = opening->flags & O_CLOEXEC ? O_CLOEXEC : 0;\n",
        "	uint32_t number_flags = 0;\n",
        (SAME,),
    ),
    Mutant(
        "the kernel reads the flags of an openat2 again",
        "monitor/broker/files.py",
        '    if opening.holds_only and call.name == "openat2":\n',
        '    if opening.holds_only and call.name == "open":\n',
        (ATTACKED + "::test_an_openat2_whose_flags_can_be_changed_is_not_run_by_the_kernel",),
    ),
    Mutant(
        "a thread that is given an fd is taken for gone",
        "monitor/broker/worker.py",
        "            if not is_ending():\n",
        "            if True:\n",
        (ATTACKED + "::test_a_thread_that_gets_an_fd_from_a_worker_is_not_taken_for_gone",),
    ),
    # ---- results ----
    Mutant(
        "a result is written where the program could not write",
        "native/memory.c",
        ".query_flags = MON_PROCMAP_WRITABLE,",
        ".query_flags = 0,",
        (SAME,),
    ),
    Mutant(
        "where a question about mappings is unknown, everything may be written to",
        "native/memory.c",
        "		reached = writable_by_text(fd, address, limit);\n",
        "		reached = limit;\n",
        ("tests/kernel/test_memory.py::test_without_a_question_about_mappings_their_text_says_the_same",),
    ),
    # ---- the fast path ----
    Mutant(
        "the fast path allows what nobody was asked about",
        "monitor/handlers/fastpath.py",
        "        if self._decider(access, plain.name, directory=directory).errno:\n            return ELSEWHERE\n",
        "",
        (FAST + "::test_a_program_sees_the_same_with_it_and_without",),
    ),
    Mutant(
        "the fast path believes names on any mount",
        "monitor/handlers/fastpath.py",
        "        if plain.mount not in self._among:\n            return ELSEWHERE\n",
        "",
        (DETACHED,),
    ),
    Mutant(
        "the fast path asks the policy of before",
        "monitor/brokering.py",
        "            self._fast.use(self._decider, self._unseen(routes))\n",
        "            pass\n",
        (FAST + "::test_another_policy_is_asked_at_once",),
    ),
    Mutant(
        "the fast path lists where it may read",
        "monitor/handlers/fastpath.py",
        'access = "list" if directory else "read"',
        'access = "read"',
        (FAST + "::test_a_program_sees_the_same_with_it_and_without",),
    ),
    Mutant(
        "the fast path waits for the other end of a FIFO",
        "monitor/handlers/fastpath.py",
        '            if plain.kind == "other":\n',
        '            if plain.kind == "nothing":\n',
        (FAST + "::test_what_is_not_plain_is_left",),
    ),
    Mutant(
        "the fast path takes calls of which registers decide",
        "monitor/handlers/fastpath.py",
        "self._plain(call) for key, call in calls.items() if key in self._allowed",
        "self._plain(call) for key, call in calls.items()",
        (FAST + "::test_calls_of_which_registers_decide_and_other_abis_are_left_alone",),
    ),
    Mutant(
        "what was said of a name is said of every name in its place",
        "native/fastrun.c",
        "	       memcmp(kept->name, object->name, run->length) == 0;\n",
        "	       1;\n",
        (RUN + "::test_another_name_is_asked_about_wherever_it_is_kept",),
    ),
    Mutant(
        "what was said is said to other questions",
        "native/fastrun.c",
        "	run->question = call->question;\n",
        "	run->question = 0;\n",
        (RUN + "::test_another_question_about_the_same_name_is_asked",),
    ),
    Mutant(
        "what was said of a file is said of a directory of that name",
        "native/fastpath.c",
        "	object->kind = kind_of(lookup);\n",
        "	object->kind = MON_FAST_REGULAR;\n",
        (RUN + "::test_a_name_of_another_kind_of_object_is_asked_about",),
    ),
    Mutant(
        "what was said before a change of the policy is said after it",
        "native/fastrun.c",
        "kept->said != MON_SAID_NOTHING && kept->epoch == run->epoch &&",
        "kept->said != MON_SAID_NOTHING &&",
        (RUN + "::test_what_was_said_is_forgotten_when_asked_to",),
    ),
    Mutant(
        "what was received last is answered in the place of what waits",
        "monitor/handlers/fastpath.py",
        "        self._run.hold(raw)\n",
        "",
        (FAST + "::test_what_waits_is_answered_and_not_what_was_received_last",),
    ),
    Mutant(
        "what is opened is opened for nobody who is gone",
        "monitor/broker/plain.py",
        '_DOES: Final = frozenset({*_OPENS, "chdir"})',
        '_DOES: Final = frozenset({"chdir"})',
        (FAST + "::test_each_call_is_looked_up_as_it_says",),
    ),
    Mutant(
        "the fast path hears of changed mounts where others do",
        "monitor/_native/fastacts.py",
        "        super().__init__(receiver, listener, proc, own_fds, mounts)\n",
        "        super().__init__(receiver, listener, proc, own_fds, -1)\n",
        (RUN + "::test_changed_mounts_are_told_before_anything_is_answered",),
    ),
    Mutant(
        "all threads are woken on our CPU",
        "native/fastrun.c",
        "	if (crowded == run->crowded)\n",
        "	if (crowded == run->crowded || crowded)\n",
        (RUN + "::test_threads_that_call_at_the_same_time_are_woken_on_other_cpus",),
    ),
    # ---- its lanes ----
    Mutant(
        "a lane changes files of the policy",
        "monitor/handlers/lanes.py",
        "            if decider.protects(access, *held) or decider(",
        "            if decider(",
        (LANES + "::test_the_policy_is_not_changed_whatever_it_is_called",),
    ),
    Mutant(
        "a lane takes names of the policy away",
        "monitor/handlers/lanes.py",
        "            if entry.mode and decider.protects(access, entry.device, entry.inode):\n"
        "                return False\n",
        "",
        (LANES + "::test_the_policy_is_not_changed_whatever_it_is_called",),
    ),
    Mutant(
        "a file gains rights by moving in a lane",
        "monitor/handlers/lanes.py",
        "        return not decider.gains(old, new)\n",
        "        return True\n",
        (AS_WITHOUT + "[names that may not be read]",),
    ),
    Mutant(
        "a directory is moved in a lane whatever is said of what is below",
        "monitor/handlers/lanes.py",
        "            return not decider.tells_apart(old, new) and not decider.leads(new)\n",
        "            return not decider.leads(new)\n",
        (AS_WITHOUT + "[names that may not be read]",),
    ),
    Mutant(
        "a lane makes a link where a pattern leads through it",
        "monitor/handlers/lanes.py",
        "            return not (matters and self._decider.leads(name))\n",
        "            return True\n",
        (AS_WITHOUT + "[names below what may be a link]",),
    ),
    Mutant(
        "names move in lanes while others do",
        "monitor/handlers/lanes.py",
        "        with self._moving:\n            return answer()\n",
        "        return answer()\n",
        (LANES + "::test_names_move_one_at_a_time",),
    ),
    Mutant(
        "a lane moves what has the name by now",
        "native/fastnames.c",
        "	if (seen->mode == 0 || now.mode == 0 || !is_same(&now, seen))\n",
        "	struct mon_fast_entry then = now;\n	seen = &then;\n	if (now.mode == 0)\n",
        (LANES + "::test_what_is_moved_is_what_was_seen",),
    ),
    Mutant(
        "a lane makes files with the umask of before",
        "native/runner.c",
        "	(void)umask((mode_t)errand->umask);\n",
        "",
        (LANES + "::test_what_is_made_has_the_umask_of_who_made_it_and_not_ours",),
    ),
    Mutant(
        "the umask of a lane is everybody's",
        "native/runner.c",
        "	if (unshare(CLONE_FS) < 0)\n		return -errno;\n",
        "",
        (LANES + "::test_what_is_made_has_the_umask_of_who_made_it_and_not_ours",),
    ),
    Mutant(
        "a lane empties a file before there is room for an fd of it",
        "native/fastnames.c",
        "(mon_fast_has_room(lookup) && mon_fast_waits(lookup))",
        "mon_fast_waits(lookup)",
        (AS_WITHOUT + "[allow all]",),
    ),
    Mutant(
        "a lane says that nothing is there where there is no room for an fd",
        "native/fastacts.c",
        "	int room = mon_fast_has_room(lookup) && mon_fast_waits(lookup);\n",
        "	int room = mon_fast_waits(lookup);\n",
        (AS_WITHOUT + "[allow all]",),
    ),
    Mutant(
        "a lane takes a link that leads nowhere for what is missing",
        "native/fastpath.c",
        "	return there == -ENOENT ? mon_path_describe(lookup) : -EXDEV;\n",
        "	return mon_path_describe(lookup);\n",
        (AS_WITHOUT + "[a name that is denied]",),
    ),
    # ---- names, metadata ----
    Mutant(
        "what is moved is not looked at again",
        "monitor/broker/names.py",
        "    if not _is_still(above) or (exchanges and not _is_still(new_above)):\n        raise ChangedError\n",
        "",
        (NAMES + "::test_the_other_side_of_an_exchange_is_looked_at_too",),
    ),
    Mutant(
        "what was moved by mistake stays there",
        "monitor/broker/names.py",
        "    if result == 0 and not _has_come(above, new_above):\n",
        "    if False:\n",
        (NAMES + "::test_what_was_moved_by_mistake_is_moved_back",),
    ),
    Mutant(
        "names move while others do",
        "monitor/broker/acting.py",
        "return nullcontext() if any(place.may_hang for place in places) else self._moving",
        "return nullcontext()",
        (NAMES + "::test_names_move_one_at_a_time",),
    ),
    Mutant(
        "a file gains rights by moving",
        "monitor/handlers/moving.py",
        "    if any(mover.gains(one, other) for one, other in _pairs(old, new)):\n"
        "        raise Refused(EXDEV, NO_RIGHTS_BY_MOVING, new)\n",
        "",
        (MOVING + "[a file that may not be read, under a name that may]",),
    ),
    Mutant(
        "a directory is moved as a file is",
        "monitor/handlers/moving.py",
        "    if not stat.S_ISDIR(seen.mode):\n",
        "    if True:\n",
        (MOVING + "[a directory above a name that is forbidden]",),
    ),
    Mutant(
        "an exchange is a move of one thing",
        "monitor/handlers/moving.py",
        "        if rename_flags(call) & RENAME_EXCHANGE:\n            _check_move(mover, new, old, new.seen)\n",
        "",
        (MOVING + "[files that change places]",),
    ),
    Mutant(
        "a link may be where a pattern speaks of the name",
        "monitor/handlers/moving.py",
        "    if any(mover.leads(name) for name in new.names):\n",
        "    if False:\n",
        (MOVING + "[a link in the place of a pattern itself]",),
    ),
    Mutant(
        "a device may have any name",
        "monitor/handlers/moving.py",
        "    if any(mover.gains(name, one) for one in new.names):\n",
        "    if False:\n",
        ("tests/kernel/test_moving.py::test_a_device_is_made_where_no_more_is_allowed_than_for_the_device",),
    ),
    Mutant(
        "a descriptor that reads is enough to change what it reads",
        "monitor/handlers/paths.py",
        "        looks = wanted <= LOOKS\n",
        "        looks = True\n",
        (CHANGED,),
    ),
    Mutant(
        "only the old name of a rename is decided about",
        "monitor/broker/families.py",
        "return (self.register,) if self.second < 0 else (self.register, self.second)",
        "return (self.register,)",
        ("tests/kernel/test_beneath.py::test_the_broker_knows_the_register_of_the_path",),
    ),
    Mutant(
        "the directory of the policy may be taken away",
        "monitor/deciding.py",
        " or (held in self._above and access in _TAKING)",
        "",
        ("tests/kernel/test_moving.py::test_the_policy_stays_where_it_is",),
    ),
    Mutant(
        "a name is removed as whatever it is",
        "monitor/broker/names.py",
        "return Emulated(remove_name(above.fd, name, flags))",
        "return Emulated(remove_name(above.fd, name.rstrip(b'/'), flags))",
        (SAME,),
    ),
    Mutant(
        "times that are left as they are are asked about",
        "monitor/broker/changing.py",
        "return Emulated(0) if read_part == written_part == _UTIME_OMIT else data",
        "return data",
        (SAME,),
    ),
    Mutant(
        "a watch asks for a link to be followed, and for nothing else",
        "monitor/broker/watching.py",
        "mask & ~_IN_DONT_FOLLOW | _IN_ISDIR",
        "mask & ~_IN_DONT_FOLLOW",
        (SAME,),
    ),
    Mutant(
        "what comes to be where nothing was seen is moved",
        "monitor/broker/names.py",
        "    name = _seen_only(above, name)\n",
        "",
        (NAMES + "::test_what_comes_to_be_after_the_second_look_is_not_moved_either",),
    ),
    Mutant(
        "a directory with a link in it comes to be where a pattern speaks of the link",
        "monitor/handlers/moving.py",
        "    elif any(mover.leads(name) for name in new.names):\n",
        "    elif False:\n",
        (MOVING + "[a directory that may have a link in it, where a pattern speaks of what is below]",),
    ),
    Mutant(
        "a link through which a pattern leads is taken away",
        "monitor/handlers/moving.py",
        "        _check_removal(mover, paths[0])\n",
        "        pass\n",
        (MOVING + "[a link through which a pattern leads]",),
    ),
    Mutant(
        "links to the policy may be taken away",
        "monitor/deciding.py",
        "                yield from links_to(",
        "                [] or links_to(",
        ("tests/kernel/test_moving.py::test_links_that_lead_to_the_policy_stay_where_they_are",),
    ),
    Mutant(
        "a file whose name is a suffix has two names",
        "monitor/broker/resolved.py",
        ' or other.endswith(b"/")',
        "",
        (MOVING + "[names that look as if they were gone]",),
    ),
    Mutant(
        "a file lies where its name does, though it was reached by a link of /proc",
        "monitor/broker/walk.py",
        "            self._by_magic_link = True\n",
        "",
        (SAME + "[handler]",),
    ),
    Mutant(
        "a thread may not ask about its own name",
        "monitor/broker/metadata.py",
        "(resolved.is_own_name and not mode & os.X_OK)",
        "False",
        (SAME + "[handler]",),
    ),
)
