"""
Faults in hiding: a name that is hidden is passed, or an answer tells that it is there.

What it is not: their planting (``test_mutants``).
"""

from __future__ import annotations

from typing import Final

from tests.mutants.mutant import Mutant

HIDDEN: Final = "tests/kernel/test_hidden.py"
CASE: Final = HIDDEN + "::test_a_hidden_name_is_not_there"

HIDDEN_MUTANTS = (
    Mutant(
        "a path that goes back is looked up at once",
        "native/paths.c",
        "		if (path[i + 2] == '/' || path[i + 2] == 0)\n			return 1;\n",
        "		if (path[i + 2] == '/')\n			return 1;\n",
        (HIDDEN + "::test_a_program_that_starts_in_a_hidden_directory_does_not_get_out_of_it",),
    ),
    Mutant(
        "links lead through what is hidden",
        "native/paths.c",
        "		resolve |= RESOLVE_NO_SYMLINKS;\n",
        "		resolve |= 0;\n",
        (CASE + "[a link that leads through it]",),
    ),
    Mutant(
        "the fast path passes what is hidden",
        "monitor/handlers/fastpath.py",
        "calls = only_straight(self._calls) if self._decider.hides else self._calls\n",
        "calls = self._calls\n",
        (
            CASE + "[a directory]",
            "tests/kernel/test_fastpath.py::test_a_path_that_may_pass_what_is_hidden_is_not_plain",
        ),
    ),
    Mutant(
        "a walk goes back from a hidden directory",
        "monitor/broker/walk.py",
        "        self._leave(self.here)\n",
        "",
        (CASE + "[one below it]",),
    ),
    Mutant(
        "a walk follows a hidden link",
        "monitor/broker/walk.py",
        "        self._leave(link)\n",
        "",
        (CASE + "[a link in it]",),
    ),
    Mutant(
        "a walk leaves the directory that it is confined to",
        "monitor/broker/walk.py",
        "            if self._how.resolve & BENEATH:\n                raise _Stop(EXDEV, None)\n",
        "",
        (CASE + "[a path out of its confines]",),
    ),
    Mutant(
        "a walk follows links on a mount without them",
        "monitor/broker/walk.py",
        "        if os.fstatvfs(link).f_flag & _ST_NOSYMFOLLOW:\n            raise _Stop(ELOOP, component)\n",
        "",
        (HIDDEN + "::test_a_link_that_is_not_followed_on_its_mount_is_not_followed_here",),
    ),
    Mutant(
        "another policy hides what the first one hid",
        "monitor/brokering.py",
        "        if self._broker is not None:\n            self.bind(self._broker)\n",
        "",
        (HIDDEN + "::test_another_policy_may_hide_more_and_less",),
    ),
    Mutant(
        "a small buffer tells of a hidden entry",
        "monitor/broker/listing.py",
        "if error.errno != EINVAL or hides is None or not _passes_hidden(fd, hides, old=old):",
        "if error.errno:",
        (HIDDEN + "::test_a_buffer_that_is_too_small_for_a_hidden_entry_is_large_enough",),
    ),
    Mutant(
        "what protects the policy's file tells where it is",
        "monitor/deciding.py",
        "and access in CHANGE and not found.hidden:",
        "and access in CHANGE:",
        (HIDDEN + "::test_the_file_of_the_policy_may_be_hidden_and_is_not_there",),
    ),
    Mutant(
        "a directory without a name is listed as it is",
        "monitor/handlers/paths.py",
        "        elif self._decider.hides and not resolved.anonymous:\n",
        "        elif False:\n",
        (HIDDEN + "::test_a_directory_whose_name_is_too_long_is_not_listed",),
    ),
    Mutant(
        "the kernel's cache tells of a hidden name",
        "monitor/broker/broker.py",
        "        tells = acting.resolver.hides is not None and opening.only_cached\n",
        "        tells = False\n",
        (HIDDEN,),
    ),
    Mutant(
        "a mount tells of a hidden name",
        "monitor/broker/slow.py",
        " or (self.straight and found.error in TELLING)\n",
        "\n",
        (HIDDEN + "::test_a_mount_in_the_place_of_a_hidden_name_does_not_tell",),
    ),
    Mutant(
        "a handle of XFS opens what nobody looked at",
        "monitor/policy/presets/hardening.toml",
        "0xc038586a, 0xc038586b, 0xc038586c,",
        "0xc038586a, 0xc038586c,",
        ("tests/policy/test_presets.py::test_hardening_refuses",),
    ),
    Mutant(
        "sockets tell of hidden names though nobody asked for them",
        "monitor/policy/beneath.py",
        '    if not all(table.unix == "unmediated" for table in found):\n',
        '    if not all(table.unix in {"unmediated", None} for table in found):\n',
        (HIDDEN + "::test_names_of_sockets_are_looked_up_by_the_kernel",),
    ),
)
