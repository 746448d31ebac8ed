"""
Planted faults, one line each, and the tests that must turn red for them.

What it is not: a measure of coverage.  Each fault is one that somebody could make, and that would
make the supervisor unsafe while everything seemed to work.
"""

from __future__ import annotations

from attrs import frozen


@frozen
class Mutant:
    """*before* stands exactly once in *file*; with *after* in its place one of *tests* must fail."""

    name: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]


MUTANTS = (
    Mutant(
        "the target may make a listener of its own",
        "monitor/policy/compile.py",
        "_LISTENER_REFUSED: Final = RetValue.ERRNO | EBUSY",
        "_LISTENER_REFUSED: Final = RetValue.ALLOW.value",
        ("tests/kernel/test_traps.py", "tests/kernel/test_kernel_facts_filter.py"),
    ),
    Mutant(
        "another ABI is let through",
        "monitor/policy/compile.py",
        "_NO_SUCH_CALL: Final = RetValue.ERRNO | ENOSYS",
        "_NO_SUCH_CALL: Final = RetValue.ALLOW.value",
        ("tests/kernel/test_kernel_facts_filter.py",),
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
        "	close(memory);\n	return gone_or(listener, id, count);",
        "	close(memory);\n	return count;",
        ("tests/notify/test_listener_contract.py", "tests/kernel/test_memory.py"),
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
        "	close_at_exec(child, next, ~0U, -1);\n",
        "",
        ("tests/kernel/test_launch.py",),
    ),
    Mutant(
        "orphans leave the tree",
        "native/guard.c",
        "fd = RAW(__NR_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0, 0);",
        "fd = 0;",
        ("tests/kernel/test_guard.py", "tests/cli/test_run.py"),
    ),
    Mutant(
        "a thread that waits is killed by its number alone",
        "native/memory.c",
        "	result = mon_listener_id_valid(listener, id);\n	if (result == 0 && syscall",
        "	result = 0;\n	if (result == 0 && syscall",
        ("tests/notify/test_listener_contract.py",),
    ),
    Mutant(
        "the supervisor can be robbed under strict",
        "monitor/supervisor.py",
        "    routes, program = settings.routes(), settings.program()\n    if settings.strict:\n",
        "    routes, program = settings.routes(), settings.program()\n    if not settings.strict:\n",
        ("tests/test_supervisor.py", "tests/kernel/test_launch.py"),
    ),
)
