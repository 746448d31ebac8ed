"""
What is asked of a kernel and a user: each feature, what it takes, and what is lost without it.

What it is not: an answer; ``probing`` gets those.  The names are those of the probes in
``native/probe.c``, for all but the few that ``surroundings`` reads.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

from attrs import frozen


class Group(enum.Enum):
    """Rows that stand together; the value is their heading."""

    LAUNCH = "Starting a program"
    LISTENER = "Its listener"
    INSIGHT = "Looking into it"
    WALLS = "Confining it"
    TRACING = "Attaching and inspecting"
    FILES = "Acting on its files"
    ENTRIES = "Other ways into the kernel"
    SURROUNDINGS = "Where we are"


@frozen
class Entry:
    """
    One feature.

    Attributes:
        takes: the kernel that has it, and its configuration; empty where every kernel has it.
        without: what degrades without it, in one sentence.
        needs: the features that its probe, and everybody else, cannot do without; every probe
            needs a process, too, see ``depends_on``.
        steps: what the steps of its probe are, for messages.
        note: what to know about it when it works.
        unit: what its value is, for one that has a value worth showing.
        probed: whether native/probe.c has a probe of this name.
    """

    name: str
    group: Group
    takes: str
    without: str
    needs: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    note: str = ""
    unit: str = ""
    probed: bool = True

    @property
    def depends_on(self) -> tuple[str, ...]:
        """Return the features without which this one cannot be tried."""
        root = "processes"
        return self.needs or ((root,) if self.probed and self.name != root else ())


_TRAP = ("installing a listener", "receiving a call", "", "the result of the call")
"""The steps that probe_notify.c has in common; the third is what each is about."""


def _trap(use: str) -> tuple[str, ...]:
    return tuple(step or use for step in _TRAP)


_LAUNCH = Group.LAUNCH
_LISTENER = Group.LISTENER
_INSIGHT = Group.INSIGHT
_WALLS = Group.WALLS
_TRACING = Group.TRACING
_FILES = Group.FILES
_ENTRIES = Group.ENTRIES
_SURROUNDINGS = Group.SURROUNDINGS

CATALOGUE: Final = (
    Entry("processes", _LAUNCH, "", "nothing can be started.", steps=("clone",)),
    Entry(
        "open files",
        _LAUNCH,
        "",
        "a launch fails with EMFILE: it needs about twenty descriptors.",
        steps=("opening 18 descriptors",),
        unit="limit {}",
    ),
    Entry(
        "/proc",
        _LAUNCH,
        "",
        "nothing can be started: the tree could not be ended, nor memory looked into.",
        steps=("readlink /proc/self",),
    ),
    Entry(
        "/proc/PID/children",
        _LAUNCH,
        "CONFIG_PROC_CHILDREN",
        "nothing can be started: the tree could not be ended.",
        needs=("/proc",),
        steps=("reading /proc/thread-self/children",),
    ),
    Entry(
        "no_new_privs",
        _LAUNCH,
        "Linux 3.5",
        "nothing can be started: programs are launched with it, so that no set-uid program escapes.",
        steps=("prctl PR_SET_NO_NEW_PRIVS",),
    ),
    Entry(
        "close_range",
        _LAUNCH,
        "Linux 5.9",
        "nothing can be started: the program would inherit what the supervisor has open.",
        steps=("close_range",),
    ),
    Entry(
        "clone3",
        _LAUNCH,
        "Linux 5.5",
        "nothing is lost if it is ENOSYS that says so; whatever else does, libc may start no thread then.",
        steps=("clone3 CLONE_CLEAR_SIGHAND",),
    ),
    Entry(
        "pidfd_open",
        _LAUNCH,
        "Linux 5.4",
        "nothing can be started: a process could be taken for a later one with its number.",
        steps=("pidfd_open", "pidfd_send_signal", "poll", "waitid P_PIDFD"),
    ),
    Entry(
        "pidfd_getfd",
        _LAUNCH,
        "Linux 5.6",
        "the child sends its listener over a socket, by a call that the prologue of its filter lets pass.",
        needs=("pidfd_open",),
        steps=("pidfd_open", "pidfd_getfd"),
    ),
    Entry(
        "listener",
        _LISTENER,
        "Linux 5.0 with CONFIG_SECCOMP_FILTER",
        "nothing can be supervised.",
        needs=("no_new_privs",),
        steps=("seccomp SECCOMP_FILTER_FLAG_NEW_LISTENER",),
    ),
    Entry(
        "receive",
        _LISTENER,
        "Linux 5.0",
        "nothing can be supervised: a trapped call is never seen.",
        needs=("listener",),
        steps=_trap(""),
    ),
    Entry(
        "id valid",
        _LISTENER,
        "Linux 5.0",
        "nothing can be supervised: it could not be told whether a thread still waits.",
        needs=("receive",),
        steps=_trap("ioctl NOTIF_ID_VALID"),
    ),
    Entry(
        "respond",
        _LISTENER,
        "Linux 5.0",
        "nothing can be supervised: a trapped call is never answered.",
        needs=("receive",),
        steps=_trap("ioctl NOTIF_SEND"),
    ),
    Entry(
        "continue",
        _LISTENER,
        "Linux 5.5",
        "no call can be allowed once it is trapped: a verdict of Allow fails.",
        needs=("respond",),
        steps=_trap("ioctl NOTIF_SEND with CONTINUE"),
    ),
    Entry(
        "add fd",
        _LISTENER,
        "Linux 5.9",
        "no descriptor can be handed to a program.",
        needs=("receive",),
        steps=_trap("ioctl NOTIF_ADDFD"),
    ),
    Entry(
        "add fd and respond",
        _LISTENER,
        "Linux 5.14",
        "a verdict of InjectFd fails: handing over and answering in two steps would leak descriptors.",
        needs=("add fd",),
        steps=_trap("ioctl NOTIF_ADDFD with SEND"),
    ),
    Entry(
        "wait killable",
        _LISTENER,
        "Linux 5.19",
        "a signal takes a received call away, and it may come again: a handler may run twice for one call.",
        needs=("respond",),
        steps=_trap("a signal to the waiting thread"),
    ),
    Entry(
        "sync wake-up",
        _LISTENER,
        "Linux 6.6",
        "each trapped call takes about half as long again.",
        needs=("respond",),
        steps=_trap("ioctl NOTIF_SET_FLAGS"),
    ),
    Entry(
        "all threads",
        _LISTENER,
        "Linux 5.7",
        "a process with several threads could not be attached to.",
        needs=("listener",),
        steps=("seccomp with TSYNC, TSYNC_ESRCH and NEW_LISTENER",),
    ),
    Entry(
        "second listener",
        _LISTENER,
        "",
        "a supervised program cannot supervise in its turn: its own listener is refused with EBUSY.",
        needs=("listener",),
        steps=("installing a listener", "receiving a call", "a second one in the same process"),
    ),
    Entry(
        "/proc/PID/mem",
        _INSIGHT,
        "",
        "handlers cannot read what a call points to: paths and buffers are refused to them.",
        needs=("/proc",),
        steps=("opening it", "reading", "writing"),
    ),
    Entry(
        "process_vm_readv",
        _INSIGHT,
        "Linux 3.2 with CONFIG_CROSS_MEMORY_ATTACH",
        "nothing is lost: memory is read through /proc/PID/mem.",
        steps=("process_vm_readv",),
    ),
    Entry(
        "PIDFD_THREAD",
        _INSIGHT,
        "Linux 6.9",
        "a thread is known by its process: one that has a table of descriptors of its own cannot be told apart.",
        needs=("pidfd_open",),
        steps=("clone CLONE_THREAD", "pidfd_open PIDFD_THREAD"),
    ),
    Entry(
        "YAMA",
        _INSIGHT,
        "",
        "only CAP_SYS_PTRACE looks into other processes; calls whose memory cannot be read are denied.",
        needs=("/proc",),
        probed=False,
    ),
    Entry(
        "dumpable",
        _WALLS,
        "",
        "strict fails: processes of the same user could take the listener from the supervisor.",
        steps=("prctl PR_SET_DUMPABLE 0", "prctl PR_SET_DUMPABLE 1"),
    ),
    Entry(
        "Landlock",
        _WALLS,
        "Linux 5.13 with landlock among the active LSMs",
        "Launch(landlock=True) fails: there is no second wall behind the filter.",
        needs=("no_new_privs",),
        steps=("landlock_create_ruleset", "landlock_restrict_self", "the refusal"),
        unit="ABI {}",
    ),
    Entry(
        "Landlock signals",
        _WALLS,
        "Linux 6.12",
        "a program behind the second wall can still signal the supervisor, as its user may.",
        needs=("Landlock",),
        steps=("landlock_create_ruleset with a scope", "landlock_restrict_self", "the refusal"),
    ),
    Entry(
        "user namespaces",
        _WALLS,
        "Linux 3.8 with CONFIG_USER_NS",
        "a launch in a user namespace fails, and for an ordinary user a launch in any other namespace too.",
        needs=("/proc",),
        steps=("clone CLONE_NEWUSER", "writing its maps", "unshare CLONE_NEWNS inside"),
    ),
    Entry(
        "cgroup",
        _WALLS,
        "a mounted cgroup version 2",
        "programs stay in the supervisor's control group; trees are ended by a guard process all the same.",
        needs=("/proc",),
        steps=("mkdir in our own group",),
    ),
    Entry(
        "ptrace seize",
        _TRACING,
        "Linux 3.4",
        "a running process cannot be attached to.",
        steps=("PTRACE_SEIZE", "PTRACE_INTERRUPT"),
    ),
    Entry(
        "suspend seccomp",
        _TRACING,
        "Linux 4.3 with CONFIG_CHECKPOINT_RESTORE",
        "calls made in a stopped thread go through its filters, which may trap them.",
        needs=("ptrace seize",),
        steps=("a filtered child", "PTRACE_O_SUSPEND_SECCOMP", "a call that the filter would refuse"),
    ),
    Entry(
        "filter dump",
        _TRACING,
        "Linux 4.4 with CONFIG_CHECKPOINT_RESTORE",
        "the filters of a running process can be counted, not shown.",
        needs=("ptrace seize",),
        steps=("a filtered child", "seizing it", "PTRACE_SECCOMP_GET_FILTER"),
    ),
    Entry(
        "openat2",
        _FILES,
        "Linux 5.6",
        "a path cannot be resolved inside a target's root in one step.",
        steps=("openat2 RESOLVE_IN_ROOT",),
    ),
    Entry(
        "RESOLVE_CACHED",
        _FILES,
        "Linux 5.12",
        "every resolution may sleep, so each takes a thread.",
        needs=("openat2",),
        steps=("openat2 RESOLVE_CACHED",),
    ),
    Entry(
        "fchmodat2",
        _FILES,
        "Linux 6.6",
        "the mode of a file that is held by a path descriptor is changed through /proc/self/fd.",
        steps=("fchmodat2 AT_EMPTY_PATH",),
    ),
    Entry(
        "statx mount id",
        _FILES,
        "Linux 5.8",
        "a name read back from a descriptor cannot be told from a forged one in another mount.",
        steps=("statx STATX_MNT_ID",),
    ),
    Entry(
        "i386 entry",
        _ENTRIES,
        "CONFIG_IA32_EMULATION",
        "32-bit programs do not run; there is one way less around a filter.",
        steps=("getpid by int 0x80",),
        note="refused to launched programs by default",
    ),
    Entry(
        "x32 entry",
        _ENTRIES,
        "CONFIG_X86_X32_ABI",
        "x32 programs do not run; there is one way less around a filter.",
        steps=("getpid with the bit of x32",),
        note="refused to launched programs by default",
    ),
    Entry(
        "io_uring",
        _ENTRIES,
        "Linux 5.1",
        "programs fall back to plain calls; there is one way less around a filter.",
        steps=("io_uring_setup",),
        note="files are opened and sockets connected unseen: a handler must refuse io_uring_setup",
    ),
    Entry(
        "own seccomp",
        _SURROUNDINGS,
        "",
        "filters above ours stay in force; of two answers to a call the more restrictive wins.",
        steps=("prctl PR_GET_SECCOMP",),
    ),
    Entry(
        "security modules",
        _SURROUNDINGS,
        "securityfs at /sys/kernel/security",
        "who forbids what is forbidden can only be guessed.",
        probed=False,
    ),
    Entry(
        "container",
        _SURROUNDINGS,
        "",
        "its profile and its namespaces may be what forbids.",
        probed=False,
    ),
)
"""Every feature, in the order of the table."""

ENTRIES: Final[Mapping[str, Entry]] = {entry.name: entry for entry in CATALOGUE}
