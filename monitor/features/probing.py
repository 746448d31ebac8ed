"""
Features of this kernel and this user, each really tried in a child; the answers.

What it is not: a list of versions.  The step before it is ``native/probe.c``, which tries; those
behind it are ``seccomp-monitor doctor``, which shows, and whoever calls ``require``.
"""

from __future__ import annotations

import enum
import functools
import os
import signal
import threading
from collections.abc import Iterable, Mapping, Sequence
from errno import (
    E2BIG,
    EACCES,
    EAGAIN,
    EBUSY,
    EINVAL,
    EMFILE,
    ENFILE,
    ENODEV,
    ENOENT,
    ENOMEM,
    ENOSPC,
    ENOSYS,
    ENOTTY,
    EOPNOTSUPP,
    EPERM,
    EPROTO,
    EROFS,
    ESRCH,
    EUSERS,
    errorcode,
)
from typing import Final, NamedTuple

from attrs import evolve, frozen

from monitor import _native
from monitor.errors import KernelFeatureError
from monitor.features import surroundings
from monitor.features.abilities import ABILITIES
from monitor.features.blame import YAMA_ADMIN_ONLY, YAMA_SCOPE, advice, lower_yama
from monitor.features.catalogue import CATALOGUE, ENTRIES, Entry, Group

SECONDS_AT_MOST: Final = 1.5
"""What the probes have, all together.  They need a hundredth of it; one that hangs takes it all."""


class State(enum.Enum):
    """What became of a feature."""

    WORKS = "works"
    MISSING = "missing"
    """The kernel does not have it, or what answers in its place says so."""
    FORBIDDEN = "forbidden"
    """It is refused: by rights, a limit, a security module, a filter."""
    TIMED_OUT = "timed out"
    """Its probe hung and was killed."""
    UNKNOWN = "unknown"
    """It could not be tried; the detail says why."""
    NOTED = "noted"
    """A fact about where we are, neither good nor bad."""


@frozen
class Feature:
    """
    One feature, as it was found.

    Attributes:
        required: nothing can be run without it.
        detail: how it works or how it failed: a number, or the errno and the step.
        errno: the positive errno of the step that failed, or None.
        value: the number that its probe brought, or None.
        without: what degrades without it, in one sentence.
        advice: who forbids it and what to do, as far as that can be known.
        needs: the features that it depends on.
    """

    name: str
    group: Group
    state: State
    required: bool
    detail: str
    without: str
    advice: str = ""
    needs: tuple[str, ...] = ()
    errno: int | None = None
    value: int | None = None

    @property
    def available(self) -> bool:
        """Whether one may count on it."""
        return self.state in {State.WORKS, State.NOTED}


class _Answer(NamedTuple):
    """What one probe of native/probe.c said."""

    outcome: str
    step: int
    errno: int
    value: int


_MISSING: Final = frozenset({ENOSYS, EINVAL, ENOTTY, EOPNOTSUPP, E2BIG, ENODEV, ENOENT, ESRCH})
_FORBIDDEN: Final = frozenset({EPERM, EACCES, EBUSY, EROFS, EAGAIN, EMFILE, ENFILE, ENOSPC, ENOMEM, EUSERS})

_CAPABILITIES: Final = "capabilities"
"""The probe behind ``capabilities``, which is no feature."""


@functools.cache
def probe_all() -> tuple[Feature, ...]:
    """
    Try every feature; the answers, in the order of the table.  They are kept for the next caller.

    Sleeps for some ten milliseconds; where a probe hangs, for ``SECONDS_AT_MOST``: inside trio,
    call it with ``trio.to_thread.run_sync``.  Nothing of the calling process changes.
    """
    return tuple(_features(entry.name for entry in CATALOGUE).values())


@functools.cache
def probe(name: str) -> Feature:
    """
    Try one feature and those it needs; the answer is kept for the next caller.

    Raises:
        KeyError: there is no feature of this *name*.
    """
    return _features(_with_needs(name))[name]


def require(name: str) -> None:
    """
    Refuse to go on without one feature.

    Raises:
        KernelFeatureError: it is not available; the message says why, and what to do.
        KeyError: there is no feature of this *name*.
    """
    feature = probe(name)
    if not feature.available:
        raise KernelFeatureError(name, "; ".join(part for part in (feature.detail, feature.advice) if part))


def lacking(ability: str, features: Iterable[Feature]) -> tuple[Feature, ...]:
    """Return those *features* for want of which *ability* (a key of ``ABILITIES``) does not work; none: it does."""
    return tuple(feature for feature in features if feature.name in ABILITIES[ability] and not feature.available)


@functools.cache
def capabilities() -> tuple[str, ...] | None:
    """Return those of our capabilities that matter to a supervisor; None where not even that can be asked."""
    answer = _try([_CAPABILITIES])[_CAPABILITIES]
    if _failed(answer):
        return None
    return tuple(name for name, bit in surroundings.CAPABILITIES.items() if answer.value >> bit & 1)


# ---- asking ----


def _with_needs(name: str) -> tuple[str, ...]:
    """Return *name* and all it needs, in the order of the table."""
    wanted = {ENTRIES[name].name}
    for entry in reversed(CATALOGUE):  # what is needed stands above
        if entry.name in wanted:
            wanted.update(entry.depends_on)
    return tuple(entry.name for entry in CATALOGUE if entry.name in wanted)


def _try(names: Sequence[str]) -> Mapping[str, _Answer]:
    """Run the probes of these *names*."""
    cgroup = surroundings.own_cgroup()
    # A name that nobody else has: it is made, and removed whatever happens.
    place = None if cgroup is None else os.fsencode(cgroup / f"seccomp-monitor-probe-{os.getpid()}")
    try:
        answers = _native.probe(names, place, int(SECONDS_AT_MOST * 1000))
    except OSError as error:  # not even the first child could be made
        return dict.fromkeys(names, _Answer("NOT_STARTED", 0, error.errno or EAGAIN, 0))
    return {name: _Answer(*answer) for name, answer in zip(names, answers, strict=True)}


def _failed(answer: _Answer) -> bool:
    return answer.outcome != "DONE" or answer.errno != 0


# ---- judging ----


def _features(names: Iterable[str]) -> dict[str, Feature]:
    """Try these features, each of which stands behind those it needs."""
    entries = [ENTRIES[name] for name in names]
    probed = [entry.name for entry in entries if entry.probed]
    answers: Mapping[str, _Answer] = _try(probed) if probed else {}
    found: dict[str, Feature] = {}
    for entry in entries:
        found[entry.name] = _judge(entry, answers.get(entry.name), found)
    return found


def _judge(entry: Entry, answer: _Answer | None, found: Mapping[str, Feature]) -> Feature:
    """Say what an answer means; a feature that fails for want of another one is unknown."""
    if answer is None or entry.name == "own seccomp":
        feature = _fact(entry, answer)
    else:
        feature = _works(entry, answer) if not _failed(answer) else _fails(entry, answer)
    wanting = [need for need in entry.depends_on if need in found and not found[need].available]
    if feature.available or not wanting:
        return feature
    return evolve(feature, state=State.UNKNOWN, detail=f"needs {' and '.join(wanting)}", advice="", errno=None)


def _feature(entry: Entry, state: State, detail: str, **more: object) -> Feature:
    return Feature(
        name=entry.name,
        group=entry.group,
        state=state,
        required=entry.name in ABILITIES["run"],
        detail=detail,
        without=entry.without,
        needs=entry.depends_on,
        **more,  # type: ignore[arg-type]  # advice, errno and value
    )


def _works(entry: Entry, answer: _Answer) -> Feature:
    match entry.name:
        case "no_new_privs":
            detail = "already set in this process" if answer.value else ""
        case "cgroup":
            detail = f"{surroundings.own_cgroup()}{', can be killed as one' if answer.value else ''}"
        case _:
            detail = entry.unit.format(answer.value) or entry.note
    return _feature(entry, State.WORKS, detail, value=answer.value if entry.unit else None)


def _fails(entry: Entry, answer: _Answer) -> Feature:
    match answer.outcome:
        case "NOT_STARTED":
            detail = f"{errorcode.get(answer.errno, answer.errno)}: no process could be made to try it in"
            state = State.FORBIDDEN if entry.name == "processes" else State.UNKNOWN
            return _feature(
                entry, state, detail, advice=advice(ENTRIES["processes"], answer.errno, 0), errno=answer.errno
            )
        case "KILLED" if answer.value == signal.SIGSYS:
            detail, who = f"killed at {_step(entry, answer)}", "a seccomp filter kills whoever tries it"
            return _feature(entry, State.FORBIDDEN, detail, advice=who)
        case "KILLED":
            return _feature(entry, State.UNKNOWN, f"signal {answer.value} at {_step(entry, answer)}")
        case "TIMED_OUT":
            return _feature(entry, State.TIMED_OUT, f"no end at {_step(entry, answer)}")
        case _ if entry.name == "clone3" and (answer.errno == ENOSYS or _threads_start()):
            detail = f"{errorcode.get(answer.errno, answer.errno)}: clone(2) serves in its place"
            return _feature(entry, State.NOTED, detail, errno=answer.errno)
        case _:
            who = advice(entry, answer.errno, answer.step)
            return _feature(entry, _state(entry, answer), _how(entry, answer), advice=who, errno=answer.errno)


def _threads_start() -> bool:
    """
    Whether a thread can be started.

    glibc (2.34 and later) makes threads with clone3(2), and goes back to clone(2) for ENOSYS alone.
    """
    thread = threading.Thread(target=bool)
    try:
        thread.start()
    except RuntimeError:
        return False
    thread.join()
    return True


def _state(entry: Entry, answer: _Answer) -> State:
    if entry.name == "second listener" and answer.errno == EBUSY:  # that is how the kernel says it has none
        return State.MISSING
    if answer.errno in _MISSING:
        return State.MISSING
    return State.FORBIDDEN if answer.errno in _FORBIDDEN else State.UNKNOWN


def _how(entry: Entry, answer: _Answer) -> str:
    if answer.errno == EPROTO:
        return f"no error, and no effect: {_step(entry, answer)}"
    return f"{errorcode.get(answer.errno, answer.errno)} at {_step(entry, answer)}"


def _step(entry: Entry, answer: _Answer) -> str:
    return entry.steps[min(answer.step, len(entry.steps) - 1)]


# ---- facts ----


def _fact(entry: Entry, answer: _Answer | None) -> Feature:
    """Say what can be read about where we are."""
    match entry.name:
        case "YAMA":
            return _yama(entry)
        case "own seccomp":
            assert answer is not None
            return _own_seccomp(entry, answer)
        case "security modules":
            modules = surroundings.security_modules()
            if modules is None:
                return _feature(entry, State.UNKNOWN, "/sys/kernel/security/lsm cannot be read")
            return _feature(entry, State.NOTED, modules.replace(",", ", "))
        case _:
            return _feature(entry, State.NOTED, ", ".join(surroundings.container()) or "none seen")


def _yama(entry: Entry) -> Feature:
    """Judge the scope by whether it stands in our way."""
    scope = surroundings.sysctl(YAMA_SCOPE)
    if scope is None:
        readable = (surroundings.PROC / "sys" / "kernel").is_dir()
        return _feature(entry, *((State.NOTED, "not there") if readable else (State.UNKNOWN, "cannot be read")))
    detail = f"{YAMA_SCOPE} is {scope}"
    if scope < YAMA_ADMIN_ONLY:  # 1: descendants, which is what everything launched is
        return _feature(entry, State.NOTED, detail, value=scope)
    if scope == YAMA_ADMIN_ONLY and "CAP_SYS_PTRACE" in (capabilities() or ()):
        return _feature(entry, State.NOTED, f"{detail}, and we have CAP_SYS_PTRACE", value=scope)
    return _feature(entry, State.FORBIDDEN, detail, advice=lower_yama(scope), value=scope)


def _own_seccomp(entry: Entry, answer: _Answer) -> Feature:
    if _failed(answer):
        return _fails(entry, answer)
    count = surroundings.filters()
    if answer.value == 0:
        return _feature(entry, State.NOTED, "no filter", value=0)
    how_many = "filtered" if count is None else f"{count} filter{'s' if count > 1 else ''}"
    return _feature(entry, State.NOTED, f"{how_many}, in force above those of launched programs", value=count)
