"""
The traps that profiles fall into: answers that programs misunderstand, and ways around a refusal.

What it is not: a matter of taste.  Of each it is known that programs broke, or that a policy was walked around.

Where they come from: programs that were written before a policy, or a libc that is newer than it.
What an answer means to them is what counts: ENOSYS is "not there, try the old way", any other errno
is taken for the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from errno import EINVAL
from typing import Final

from monitor.abi.constants import values
from monitor.origin import Origin
from monitor.policy import tables
from monitor.policy.action import Action, Deny, is_refusal
from monitor.policy.explain import runs
from monitor.policy.findings import Finding, Look, listed, misleads, said
from monitor.policy.model import FALLBACKS, Decision


def _clone3(look: Look) -> Iterator[Finding]:
    decision = look.misled("clone3")
    if decision is not None and look.may_run("clone"):
        yield look.finding(
            "E-CLONE3",
            f"clone3 is answered with {said(decision.action)}: glibc 2.34 and newer then makes no threads",
            "deny it with ENOSYS, and libc falls back to clone",
            decision,
        )


def _faccessat2(look: Look) -> Iterator[Finding]:
    decision = look.misled("faccessat2")
    if decision is not None and look.may_run("faccessat", "access"):
        yield look.finding(
            "E-FACCESSAT2",
            f"faccessat2 is answered with {said(decision.action)}: test -x, test -w and make believe it",
            "allow it, or deny it with ENOSYS",
            decision,
        )


def _fallbacks(look: Look) -> Iterator[Finding]:
    by_decision: dict[tuple[Origin, str], tuple[Decision, list[str]]] = {}
    for call in sorted(FALLBACKS - {"clone3", "faccessat2"}):
        answers = look.answers(call)
        if answers and all(misleads(decision.action) for decision in answers):
            first = answers[0]
            origin = first.policy.origin if first.rule is None else first.rule.origin
            by_decision.setdefault((origin, said(first.action)), (first, []))[1].append(call)
    for (_, answer), (decision, calls) in by_decision.items():
        yield look.finding(
            "E-FALLBACK",
            f"libc tries {listed(calls)} first and does without; {answer} is taken for the answer",
            "deny with ENOSYS; without an errno that is what deny does for them",
            decision,
        )


def _newer(look: Look) -> Iterator[Finding]:
    decision = next((one for one in look.unnamed() if misleads(one.action)), None)
    if decision is not None:
        yield look.finding(
            "E-ENOSYS-DEFAULT",
            f"calls that are newer than the policy are answered with {said(decision.action)}",
            "set known-as-of to the kernel whose calls the policy was written for: newer ones then fail with ENOSYS",
            decision,
        )


_NEW_ADVICE: Final = (
    "MADV_POPULATE_READ", "MADV_POPULATE_WRITE", "MADV_DONTNEED_LOCKED", "MADV_COLLAPSE",
    "MADV_GUARD_INSTALL", "MADV_GUARD_REMOVE",
)  # fmt: skip
"""What libc and browsers ask for since Linux 5.14, and do without where the kernel says EINVAL."""

_ADVICE: Final = 2
"""The register of it."""


def _new_advice(look: Look) -> Iterator[Finding]:
    known = values("madvise", look.arch)
    refused: dict[str, list[str]] = {}
    decision: Decision | None = None
    for advice in _NEW_ADVICE:
        answers = look.answers("madvise", {_ADVICE: known[advice]})
        if answers and all(_is_taken_for_a_fault(one.action) for one in answers):
            decision = answers[0]
            refused.setdefault(said(decision.action), []).append(advice)
    if decision is not None and any(
        runs(one.action) for one in look.answers("madvise", {_ADVICE: known["MADV_DONTNEED"]})
    ):
        for answer, advice_names in refused.items():
            yield look.finding(
                "E-MADVISE-NEW",
                f"madvise runs, and with {listed(advice_names)} it is answered with {answer}",
                "deny other advice with EINVAL, as a kernel that does not know it",
                decision,
            )


def _is_taken_for_a_fault(action: Action) -> bool:
    return is_refusal(action) and action != Deny(EINVAL)


_TIME64: Final = {
    "clock_adjtime64": "clock_adjtime", "clock_getres_time64": "clock_getres", "clock_gettime64": "clock_gettime",
    "clock_nanosleep_time64": "clock_nanosleep", "clock_settime64": "clock_settime", "futex_time64": "futex",
    "io_pgetevents_time64": "io_pgetevents", "mq_timedreceive_time64": "mq_timedreceive",
    "mq_timedsend_time64": "mq_timedsend", "ppoll_time64": "ppoll", "pselect6_time64": "pselect6",
    "recvmmsg_time64": "recvmmsg", "rt_sigtimedwait_time64": "rt_sigtimedwait",
    "sched_rr_get_interval_time64": "sched_rr_get_interval", "semtimedop_time64": "semtimedop",
    "timer_gettime64": "timer_gettime", "timer_settime64": "timer_settime", "timerfd_gettime64": "timerfd_gettime",
    "timerfd_settime64": "timerfd_settime", "utimensat_time64": "utimensat",
}  # fmt: skip
"""Call with 64-bit times -> the one that it took the place of."""


def _time64(look: Look) -> Iterator[Finding]:
    missing: dict[tuple[str, Origin], tuple[Decision, list[str]]] = {}
    for call, old in _TIME64.items():
        decision = look.misled(call)
        if decision is not None and not look.may_run(call) and look.may_run(old):
            origin = decision.policy.origin if decision.rule is None else decision.rule.origin
            missing.setdefault((said(decision.action), origin), (decision, []))[1].append(call)
    for (answer, _), (decision, calls) in missing.items():
        yield look.finding(
            "E-TIME64-MISSING",
            f"{listed(calls)}: answered with {answer}, though the calls with 32-bit times run",
            "allow them beside the old ones; a libc with 64-bit times uses nothing else",
            decision,
        )


def _endings(look: Look) -> Iterator[Finding]:
    for rule, calls, hint in (
        ("E-NO-EXIT", ("exit", "exit_group"), "allow it: a process that cannot end spins for ever or crashes"),
        ("E-NO-RETURN", ("rt_sigreturn", "sigreturn", "restart_syscall"), "allow it: no program calls it by itself"),
    ):
        for call in calls:
            decision = next((one for one in look.answers(call) if not runs(one.action)), None)
            if decision is not None:
                yield look.finding(rule, f"{call} is answered with {said(decision.action)}", hint, decision)


_RING_CALLS: Final = (
    "accept", "accept4", "bind", "connect", "ftruncate", "fgetxattr", "fsetxattr", "getxattr", "linkat", "link",
    "listen", "mkdirat", "mkdir", "open", "openat", "openat2", "recvmsg", "rename", "renameat", "renameat2", "rmdir",
    "sendmsg", "sendto", "setxattr", "socket", "statx", "symlink", "symlinkat", "unlink", "unlinkat",
)  # fmt: skip
"""What operations of io_uring do without the call (include/uapi/linux/io_uring.h, ``enum io_uring_op``)."""


def _ring(look: Look) -> Iterator[Finding]:
    decision = next((one for one in look.answers("io_uring_setup") if runs(one.action)), None)
    if decision is None:
        return
    restricted = [call for call in _RING_CALLS if any(not runs(one.action) for one in look.answers(call))]
    having = sorted(
        {name for layer in look.policy.layers() for name in tables.of(layer) if name in {"files", "network"}}
    )
    about = [*(f"[{name}]" for name in having), *restricted]
    if about:
        yield look.finding(
            "E-IO-URING",
            f"io_uring_setup runs, and its rings do without a system call what is not allowed: {listed(about)}",
            "deny io_uring_setup, io_uring_enter and io_uring_register with ENOSYS",
            decision,
        )


TRAPS: Final[tuple[Callable[[Look], Iterator[Finding]], ...]] = (
    _clone3,
    _faccessat2,
    _fallbacks,
    _newer,
    _new_advice,
    _time64,
    _endings,
    _ring,
)
"""Each looks for one."""
