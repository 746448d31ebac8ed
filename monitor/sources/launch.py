"""
Starts a program under a filter: what is to be started, and the process that came of it.

What it is not: the supervision of it (``supervisor``), or the steps between clone and execve,
which are C (``native/launch.c`` tells the protocol).
"""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from errno import EAGAIN, EINVAL, ENOENT
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

import attrs
import trio
from attrs import Attribute, field, frozen, validators

from monitor import _native
from monitor.abi.arch import Arch
from monitor.errors import KernelFeatureError, LaunchError, LaunchStage, PolicyError
from monitor.notify.listener import Listener
from monitor.sources.failures import explained  # not when it failed: there may be no fd left to import with
from monitor.sources.process import Process
from monitor.sources.stdio import HasFileno, Stdio, fileno_of, open_stdio, refuse_closed_fds

if TYPE_CHECKING:
    from monitor.policy.bpf import Program


Namespace: TypeAlias = Literal["user", "pid", "mount", "net", "ipc"]

_NAMESPACE_FLAGS: Final[Mapping[Namespace, int]] = {
    "user": 0x10000000,
    "pid": 0x20000000,
    "mount": 0x00020000,
    "net": 0x40000000,
    "ipc": 0x08000000,
}
"""``CLONE_NEW*``, include/uapi/linux/sched.h."""

DENIALS_VARIABLE: Final = b"SECCOMP_MONITOR_DENIALS"
"""Tells a program from which of its descriptors it can read why its calls were refused."""

_MAX_ID: Final = 0xFFFFFFFE
_ID = validators.optional([validators.instance_of(int), validators.ge(0), validators.le(_MAX_ID)])
"""A user or group id; 0xffffffff is -1, which to the kernel means "leave it"."""


def _to_argv(words: Sequence[str | bytes | os.PathLike[str]]) -> tuple[bytes, ...]:
    if isinstance(words, str | bytes | bytearray | os.PathLike):
        msg = f"the program is a list of words, not {words!r}: a shell would have to split it"
        raise TypeError(msg)
    argv = tuple(os.fsencode(word) for word in words)
    if not argv:
        msg = "the program is an empty list of words"
        raise ValueError(msg)
    if any(b"\0" in word for word in argv):
        msg = f"a word of the program contains a NUL byte: {argv!r}"
        raise ValueError(msg)
    return argv


def _to_env(env: Mapping[str, str] | Mapping[bytes, bytes] | None) -> Mapping[bytes, bytes] | None:
    if env is None:
        return None
    pairs = {os.fsencode(name): os.fsencode(value) for name, value in env.items()}
    for name, value in pairs.items():
        if not name or b"=" in name or b"\0" in name or b"\0" in value:
            msg = f"not an environment variable: {name!r}"
            raise ValueError(msg)
    return pairs


def _to_fds(fds: Mapping[int, int | HasFileno]) -> Mapping[int, int]:
    table = {number: fileno_of(source) for number, source in fds.items()}
    for number in table:
        if not 3 <= number < 1 << 20:  # noqa: PLR2004  # 0 to 2 are stdin, stdout, stderr
            msg = f"fds: {number} is not a number from 3 up; 0 to 2 are stdin, stdout and stderr"
            raise ValueError(msg)
    return table


def _to_cwd(cwd: str | bytes | os.PathLike[str] | None) -> bytes | None:
    return None if cwd is None else os.fsencode(cwd)


def _to_groups(groups: Sequence[int] | None) -> tuple[int, ...] | None:
    for group in groups or ():
        if not isinstance(group, int) or not 0 <= group <= _MAX_ID:  # pyright: ignore[reportUnnecessaryIsInstance]
            msg = f"groups: {group!r} is not a group id"
            raise ValueError(msg)
    return None if groups is None else tuple(groups)


def _to_rlimits(rlimits: Mapping[int, tuple[int, int]]) -> Mapping[int, tuple[int, int]]:
    for limit, pair in rlimits.items():
        words = (limit, *pair)
        if len(words) != 3 or not all(isinstance(word, int) and -1 <= word < 1 << 64 for word in words):  # noqa: PLR2004
            msg = f"rlimits: {limit!r}: {pair!r} is not a limit with a pair (soft, hard)"
            raise ValueError(msg)
    return dict(rlimits)


def _to_namespaces(namespaces: Iterable[Namespace]) -> frozenset[Namespace]:
    kinds = frozenset(namespaces)
    if unknown := kinds - _NAMESPACE_FLAGS.keys():
        msg = f"unknown namespaces {sorted(unknown)}; there are {sorted(_NAMESPACE_FLAGS)}"
        raise ValueError(msg)
    return kinds


def _has_a_gid(launch: Launch, _attribute: object, uid: int | None) -> None:
    if uid is not None and launch.gid is None:
        msg = "uid without gid would leave the program the supervisor's group: give both"
        raise ValueError(msg)


def _is_not_stdout(_instance: object, attribute: Attribute[Stdio], value: Stdio) -> None:
    if value == subprocess.STDOUT:
        msg = f"{attribute.name} cannot be subprocess.STDOUT; only stderr can"
        raise ValueError(msg)


@frozen(kw_only=True)
class Launch:
    """
    A program to be started, and in what surroundings.

    Every fd that is not named here is closed in it.
    """

    argv: tuple[bytes, ...] = field(converter=_to_argv, kw_only=False)
    """The program and its arguments; without a slash it is looked for in ``PATH`` of *env*."""
    env: Mapping[bytes, bytes] | None = field(default=None, converter=_to_env)
    """The whole environment; None: the supervisor's."""
    cwd: bytes | None = field(default=None, converter=_to_cwd)
    stdin: Stdio = field(default=None, validator=_is_not_stdout)
    stdout: Stdio = field(default=None, validator=_is_not_stdout)
    stderr: Stdio = None
    """As stdin; also ``subprocess.STDOUT``: the same as stdout."""
    fds: Mapping[int, int] = field(factory=dict[int, int], converter=_to_fds)
    """Further descriptors: number in the program -> ours, borrowed until the program runs."""
    uid: int | None = field(default=None, validator=[_ID, _has_a_gid])
    gid: int | None = field(default=None, validator=_ID)
    groups: tuple[int, ...] | None = field(default=None, converter=_to_groups)
    """Supplementary groups; None with a *uid*: none at all."""
    rlimits: Mapping[int, tuple[int, int]] = field(factory=dict[int, tuple[int, int]], converter=_to_rlimits)
    """``resource.RLIMIT_*`` -> (soft, hard); -1 is infinity."""
    new_session: bool = False
    """setsid(2): no controlling terminal, and ^C does not reach it."""
    no_new_privs: bool = True
    """prctl(2): set-uid programs gain nothing.  Without it the filter needs CAP_SYS_ADMIN, and a set-uid program
    runs with rights that its supervisor may lack: for observation, not for sandboxes."""
    other_abis: bool = False
    """Let calls by the machine's other ABIs (i386 and x32 on x86_64) through, those that handlers name to the
    handlers.  Otherwise they fail with ENOSYS."""
    namespaces: frozenset[Namespace] = field(factory=frozenset[Namespace], converter=_to_namespaces)
    """New ones of these kinds.  In a new user namespace ids are what they are outside."""
    landlock: bool = False
    """A second wall (landlock(7)): the program itself can write, make, rename or remove no file, only what the
    supervisor injects.  Linux 5.13."""
    end_with_supervisor: bool = True
    """Kill the whole tree when the supervisor is gone, even by SIGKILL."""
    denials: bool = False
    """Let the program read why its calls were refused, as JSON Lines, from the descriptor that its variable
    ``SECCOMP_MONITOR_DENIALS`` names; all that it starts share that.  What a policy refuses comes to the supervisor
    then, as with ``notify_refusals``."""
    handover: Literal["auto", "cookie"] = "auto"
    """How the listener is fetched: with pidfd_getfd(2), or sent by the child where that is forbidden."""


class Started(NamedTuple):
    """What a launch gives: the process and its listener, both the caller's to close."""

    process: Process
    listener: Listener
    path: bytes
    """What was executed."""
    variables: int
    """The size of its environment."""


@trio.lowlevel.enable_ki_protection
async def start(launch: Launch, program: Program) -> Started:
    """
    Start *launch* under *program*, and fetch the listener.

    Waits until the program runs: milliseconds, in a worker thread.  Cancelled, it kills what it
    started.  Nothing is trapped before this returns, and the launch's own execve(2) never is.
    An interrupt waits until the launch is over, so that none can hit between a process and its owner.

    Raises:
        LaunchError: a step failed; nothing is left.
        KernelFeatureError: this kernel lacks a feature that is required, or was asked for.
        ProgramTooLongError: *program* leaves no room for the launcher's prologue.
    """
    # Here and not above: whoever supervises a listener from elsewhere pays for no filter.
    from monitor.sources.prologue import new_cookie, prologue  # noqa: PLC0415

    refuse_closed_fds((launch.stdin, launch.stdout, launch.stderr), launch.fds)
    cookie = new_cookie()
    guarded = program.prepended(prologue(Arch.native(), cookie))
    with ExitStack() as borrowed, ExitStack() as ours:
        child, streams = open_stdio((launch.stdin, launch.stdout, launch.stderr), borrowed, ours)
        request = _request(launch, guarded, cookie, child)
        launched = await _run(launch, request)
        try:
            listener = Listener(launched.listener, wait_killable=launched.wait_killable)
        except OSError as error:
            await _discard(launched)
            raise LaunchError(LaunchStage.LISTENER, error.errno or EINVAL) from error
        ours.pop_all()
    process = Process(launched, streams, tied=launch.end_with_supervisor)
    return Started(process, listener, launched.path, len(request.envp))


async def _run(launch: Launch, request: _native.LaunchRequest) -> _native.Launched:
    """Call the shim in a thread, and have it give up when we are cancelled."""
    try:
        cancel_fd = os.eventfd(0, os.EFD_CLOEXEC)
    except OSError as error:
        raise LaunchError(LaunchStage.PREPARE, error.errno or EINVAL) from error
    launched: _native.Launched | None = None
    try:
        launched = await _in_thread(
            lambda: _native.launch(request, cancel_fd), give_up=lambda: os.eventfd_write(cancel_fd, 1)
        )
        await trio.lowlevel.checkpoint_if_cancelled()
    except LaunchError as error:
        await trio.lowlevel.checkpoint_if_cancelled()

        raise explained(error, launch.argv[0], launch.namespaces) from None
    except BaseException:
        if launched is not None:  # it ran, and the cancellation came too late to stop it
            await _discard(launched)
        raise
    finally:
        os.close(cancel_fd)
    return launched


async def _in_thread(function: Callable[[], _native.Launched], give_up: Callable[[], object]) -> _native.Launched:
    """
    Return what *function* returns in a thread; cancelled, call *give_up* and still wait for it.

    ``trio.to_thread`` tells its thread of a cancellation only when that asks, and this one sleeps in C.
    """
    await trio.lowlevel.checkpoint_if_cancelled()
    task, token = trio.lowlevel.current_task(), trio.lowlevel.current_trio_token()

    def abort(_raise_cancel: object) -> trio.lowlevel.Abort:
        give_up()
        return trio.lowlevel.Abort.FAILED  # the next checkpoint raises it

    try:
        trio.lowlevel.start_thread_soon(
            function, lambda outcome: token.run_sync_soon(trio.lowlevel.reschedule, task, outcome)
        )
    except RuntimeError as error:  # "can't start new thread"
        raise LaunchError(LaunchStage.PREPARE, EAGAIN) from error
    launched: _native.Launched = await trio.lowlevel.wait_task_rescheduled(abort)
    return launched


async def _discard(launched: _native.Launched) -> None:
    """End what was launched and has no other owner."""
    os.close(launched.listener)
    with trio.CancelScope(shield=True):
        await Process(launched, {}, tied=True).discard()


def _request(
    launch: Launch, program: Program, cookie: tuple[int, int, int], stdio: Mapping[int, int]
) -> _native.LaunchRequest:
    """Take every decision that is left; what remains is done in C."""
    env = dict(os.environb) if launch.env is None else dict(launch.env)
    if launch.env is None:
        env.pop(DENIALS_VARIABLE, None)  # of who supervises us: the descriptor that it names is not passed on
    return _native.LaunchRequest(
        paths=_candidates(launch.argv[0], env),
        argv=launch.argv,
        envp=[name + b"=" + value for name, value in env.items()],
        program=program.pack(),
        cookie=cookie,
        fds={**launch.fds, **stdio},
        directory=launch.cwd,
        namespaces=sum(_NAMESPACE_FLAGS[kind] for kind in launch.namespaces),
        **_id_maps(launch),
        limits=[(limit, *(value % (1 << 64) for value in pair)) for limit, pair in launch.rlimits.items()],  # type: ignore[misc]
        groups=() if launch.groups is None and launch.uid is not None else launch.groups,
        uid=launch.uid,
        gid=launch.gid,
        new_session=launch.new_session,
        no_new_privs=launch.no_new_privs,
        end_with_supervisor=launch.end_with_supervisor,
        landlock=_second_wall() if launch.landlock else (0, 0, 0),
        use_cookie=launch.handover == "cookie",
    )


def _candidates(program: bytes, env: Mapping[bytes, bytes]) -> Sequence[bytes]:
    """Return the paths to try, as execvp(3) does with the program's own ``PATH``."""
    if b"/" in program:
        return [program]
    path = env.get(b"PATH", os.fsencode(os.defpath))
    if not program or not path:
        raise LaunchError(LaunchStage.FIND, ENOENT, os.fsdecode(program))
    return [os.path.join(directory or b".", program) for directory in path.split(b":")]  # noqa: PTH118  # bytes


def _id_maps(launch: Launch) -> dict[str, Any]:
    """Return the maps of a new user namespace in which ids are what they are outside."""
    if "user" not in launch.namespaces:
        return {}
    if os.geteuid() == 0:
        return {"uid_map": _identity("uid_map"), "gid_map": _identity("gid_map"), "deny_setgroups": False}
    uid, gid = os.geteuid(), os.getegid()
    return {"uid_map": b"%d %d 1\n" % (uid, uid), "gid_map": b"%d %d 1\n" % (gid, gid), "deny_setgroups": True}


def _identity(leaf: str) -> bytes:
    """Return a map of every id that is mapped here to itself, user_namespaces(7)."""
    lines = (map(int, line.split()) for line in Path("/proc/self", leaf).read_text().splitlines())
    return b"".join(b"%d %d %d\n" % (inside, inside, count) for inside, _outside, count in lines)


def walled(launch: Launch, *, second_wall: bool) -> Launch:
    """
    Return *launch* for a program whose files are opened for it: with a *second_wall*, where there is Landlock.

    Core dumps are off: they would be written into whatever directory is current, by nobody's call.

    Raises:
        PolicyError: the program would have calls, or rights, that nobody knows.
    """
    for what, asked in (
        ("calls of other ABIs", launch.other_abis),
        ("set-uid programs (no_new_privs=False)", not launch.no_new_privs),
    ):
        if asked:
            message = f"{what} are not possible under [files]"
            raise PolicyError(message)
    return attrs.evolve(
        launch,
        landlock=launch.landlock or (second_wall and _native.landlock_abi() > 0),
        rlimits={**launch.rlimits, resource.RLIMIT_CORE: (0, 0)},
    )


_LANDLOCK_WRITES: Final = 0b1_1111_1111_0010
"""WRITE_FILE, REMOVE_DIR, REMOVE_FILE and the seven MAKE_*: all of ABI 1 but execute, read file and read directory."""

_LANDLOCK_LATER: Final = ((2, 1 << 13), (3, 1 << 14), (5, 1 << 15))
"""(ABI, right): REFER, TRUNCATE, IOCTL_DEV."""

_LANDLOCK_SCOPES: Final = 0b11
"""Abstract UNIX sockets and signals, ABI 6."""


def _second_wall() -> tuple[int, int, int]:
    """Return the rights that the domain handles, and grants nowhere: (files, network, scopes)."""
    abi = _native.landlock_abi()
    if abi == 0:
        feature = "Landlock"
        raise KernelFeatureError(feature, "it takes Linux 5.13 with landlock among the active LSMs")
    files = _LANDLOCK_WRITES | sum(right for since, right in _LANDLOCK_LATER if abi >= since)
    return (files, 0, _LANDLOCK_SCOPES if abi >= 6 else 0)  # noqa: PLR2004  # the ABI of the scopes
