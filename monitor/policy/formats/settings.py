"""
From systemd's ``SystemCallFilter=`` and its relatives to a policy: unit files, drop-ins, or the bare settings.

What it is not: the other settings with a filter behind them (``RestrictNamespaces=`` and so on), which are named;
or the way out (``unit``).

Facts, of systemd 247 to 258 (systemd.exec(5); ``src/core/load-fragment.c``,
``config_parse_syscall_filter``; ``src/shared/seccomp-util.c``, ``seccomp_parse_syscall_filter``,
``seccomp_load_syscall_filter_set_raw``; ``src/core/exec-invoke.c``, ``apply_syscall_filter``):

* The first ``SystemCallFilter=`` that is not empty decides: with ``~`` it lists what is refused, else what is
  allowed.  Later ones of the same kind add, of the other kind take away; an empty one resets it all.
* A list of allowed calls begins with ``@default``.
* ``name:errno`` stands in a ``~`` line only, ``kill`` for an errno too; in a list of allowed calls it adds a
  refusal.  An errno on an allowed call is an error.
* What is refused gets ``SystemCallErrorNumber=``, or kills the process.
* Unknown calls, groups and errnos are gone past with a warning.
* Every ABI of the machine is filtered; ``SystemCallArchitectures=`` adds that calls of others than those
  listed and the machine's own kill the thread.
* Rules are libseccomp's, without comparisons (``scmp``): one about ``socket`` is one about ``socketcall`` too.
* ``SystemCallLog=`` is a filter of its own: the calls listed are logged by the kernel, or with ``~`` all others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

from attrs import define, evolve, field

from monitor.abi import tables
from monitor.abi.arch import Arch
from monitor.abi.constants import values
from monitor.abi.seccomp import MAX_ERRNO
from monitor.abi.syscalls import names
from monitor.errors import PolicyError
from monitor.origin import Origin
from monitor.policy.action import Action, Allow, Audit, Deny, KillProcess
from monitor.policy.formats import FormatFinding, Kind, Loaded, content
from monitor.policy.formats.oci import name_of
from monitor.policy.formats.scmp import NATIVE, Line, is_known, rules_of
from monitor.policy.model import Policy

Answer: TypeAlias = int | Literal["kill"] | None
"""What was written behind a call: an errno, ``kill``, or nothing."""

ARCHES: Final[Mapping[str, Arch]] = MappingProxyType(
    {
        "x86-64": Arch.X86_64,
        "x86": Arch.I386,
        "x32": Arch.X32,
        "arm64": Arch.AARCH64,
        "arm": Arch.ARM,
        "riscv64": Arch.RISCV64,
        "ppc64-le": Arch.PPC64LE,
        "s390x": Arch.S390X,
        "loongarch64": Arch.LOONGARCH64,
    }
)
"""``seccomp_arch_from_string`` (src/shared/seccomp-util.c)."""

OTHER_SETTINGS: Final = frozenset(
    {
        "LockPersonality", "MemoryDenyWriteExecute", "PrivateDevices", "ProtectClock", "ProtectControlGroups",
        "ProtectHostname", "ProtectKernelLogs", "ProtectKernelModules", "ProtectKernelTunables",
        "RestrictAddressFamilies", "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID",
    }
)  # fmt: skip
"""Settings that install filters of their own (src/core/exec-invoke.c, ``exec_invoke``)."""

_BLANKS: Final = " \t\r\n"
"""``WHITESPACE`` (src/basic/string-util.h): no other sign parts lines or words."""

VERSION: Final = 262
"""Whose groups are in the tables."""

_HEADER: Final = re.compile(r"\[[^\[\]]*\]")

_NUMBER: Final = re.compile(r"\+?(?:0[xX][0-9a-fA-F]{1,3}|0[bB][01]{1,12}|0[oO]?[0-7]{0,4}|[1-9][0-9]{0,3})")
"""As C reads it, a leading 0 for octal, and as systemd does besides (src/basic/parse-util.c, ``safe_atoi``)."""

_SECTIONS: Final = frozenset({"", "Service", "Socket", "Mount", "Swap"})
"""Those that have execution settings (systemd.exec(5)); "" is a text without sections."""


class Setting(NamedTuple):
    """One assignment."""

    key: str
    value: str
    origin: Origin


@define
class _CallList:
    """The state that assignments of one list of calls build up."""

    allows: bool | None = None
    """Whether it lists what is allowed; None: nothing has been assigned."""
    calls: dict[str, Answer] = field(factory=dict[str, Answer])

    def assign(self, setting: Setting, findings: list[FormatFinding], *, base: str) -> None:
        """Read one assignment; a list of allowed calls begins with group *base*."""
        if not setting.value:
            self.allows = None
            self.calls.clear()
            return
        inverted = setting.value.startswith("~")
        if self.allows is None:
            self.allows = not inverted
            if self.allows and base:
                self._put(base, None, setting, [], inverted=False)
        for word in _words(setting.value.removeprefix("~")):
            name, _, written = word.partition(":")
            answer = _answer(written) if ":" in word else None
            if answer == "unknown":
                message = f"{word!r}: no errno; systemd goes past the word"
                findings.append(FormatFinding(message, setting.origin))
            else:
                self._put(name, answer, setting, findings, inverted=inverted)

    def _put(
        self, name: str, answer: Answer, setting: Setting, findings: list[FormatFinding], *, inverted: bool
    ) -> None:
        if not inverted and answer is not None:
            message = f"{setting.key}={name}:{answer}: only what is refused has an errno; systemd refuses the unit"
            raise PolicyError(message, setting.origin)
        for call in _calls(name, setting, findings):
            if inverted != self.allows or (inverted and answer is not None):
                self.calls[call] = answer
            else:
                self.calls.pop(call, None)


def load(source: Path | str | bytes, *, name: str = "") -> Loaded:
    """
    Return what the settings in *source*, a path or the text itself, mean.

    Raises:
        PolicyError: systemd would refuse the unit, or it sets none of these settings.
    """
    text, origin = content(source)
    findings: list[FormatFinding] = []
    calls, logged = _CallList(), _CallList()
    refusal: Action = KillProcess()
    arches: set[Arch] = set()
    seen = False
    for setting in settings(text, origin):
        match setting.key:
            case "SystemCallFilter":
                calls.assign(setting, findings, base="@default")
            case "SystemCallLog":
                logged.assign(setting, findings, base="")
            case "SystemCallErrorNumber":
                refusal = _refusal(setting, refusal, findings)
            case "SystemCallArchitectures":
                arches = _arches(setting, arches, findings)
            case other:
                if other in OTHER_SETTINGS and setting.value.lower() not in {"", "no", "false", "0", "off", "n", "f"}:
                    message = f"{other}= has a filter of its own, which is left out"
                    findings.append(FormatFinding(message, setting.origin))
                continue
        seen = True
    if not seen:
        message = "has no SystemCallFilter=, SystemCallArchitectures= or SystemCallLog="
        raise PolicyError(message, origin)
    policy = _policy(calls, refusal, frozenset(arches), evolve(origin), name or name_of(origin), findings)
    if logged.allows is not None:
        policy = evolve(policy, includes=(_log_layer(logged, origin, policy.name, findings),))
    return Loaded(policy, tuple(findings))


def settings(text: str, origin: Origin) -> Iterator[Setting]:
    """
    Yield the assignments of *text* in sections that have execution settings (systemd.syntax(7)).

    A line that ends with a backslash goes on in the next that is no comment; the two are joined by a blank.
    """
    section, held, start = "", "", 0
    lines = [*text.split("\n"), ""]  # at its end a text has no more to go on with
    has_sections = any(_HEADER.fullmatch(line.strip(_BLANKS)) for line in lines)
    for number, raw in enumerate(lines, start=1):
        line = raw.strip(_BLANKS)
        if line.startswith(("#", ";")) or (not line and not held):
            continue
        start = start if held else number
        held += line.removesuffix("\\") + (" " if line.endswith("\\") else "")
        if line.endswith("\\"):
            continue
        whole, held = held.strip(_BLANKS), ""
        if _HEADER.fullmatch(whole):
            section = whole[1:-1]
        elif whole.startswith("["):
            message = f"{whole!r} is no header of a section; systemd refuses the unit"
            raise PolicyError(message, Origin(origin.file, start))
        elif section in _SECTIONS and (section or not has_sections):  # before the first header systemd reads nothing
            key, equals, value = whole.partition("=")
            if equals:
                key = key.strip(_BLANKS)
                yield Setting(key, value.strip(_BLANKS), Origin(origin.file, start, key=key))


def _words(value: str) -> list[str]:
    return re.findall(rf"[^{_BLANKS}]+", value)


def _answer(written: str) -> Answer | Literal["unknown"]:
    """Return the errno or "kill" that *written* is (``seccomp_parse_errno_or_action``)."""
    if written == "kill":
        return "kill"
    known = values("errno", Arch.X86_64)
    if written in known:
        return known[written]
    if _NUMBER.fullmatch(written) is None or written.lower().endswith("o"):
        return "unknown"
    octal = re.fullmatch(r"\+?0[0-7]+", written) is not None
    number = int(written, 8 if octal else 0)
    return number if number <= MAX_ERRNO else "unknown"


def _refusal(setting: Setting, before: Action, findings: list[FormatFinding]) -> Action:
    if not setting.value:
        return KillProcess()
    answer = _answer(setting.value)
    if answer == "kill":
        return KillProcess()
    if isinstance(answer, int) and answer > 0:
        return Deny(answer)
    findings.append(FormatFinding(f"{setting.value!r}: no errno; systemd goes past it", setting.origin))
    return before


def _arches(setting: Setting, before: set[Arch], findings: list[FormatFinding]) -> set[Arch]:
    if not setting.value:
        return set()
    found = set(before) | NATIVE  # libseccomp's filter always has the machine's own
    for word in _words(setting.value):
        if word in ARCHES:
            found.add(ARCHES[word])
        elif word != "native":
            findings.append(FormatFinding(f"ABI {word!r} has no table here; its calls kill", setting.origin))
    return found


def groups() -> Mapping[str, Sequence[str]]:
    """Return systemd's groups; ``@known`` is every call that we know."""
    result = {name: tuple(group["expanded"]) for name, group in tables.groups()["systemd"]["groups"].items()}
    result["@known"] = tuple(sorted({name for arch in Arch for name in names(arch)}))
    return result


def _calls(name: str, setting: Setting, findings: list[FormatFinding]) -> Iterable[str]:
    if not name.startswith("@"):
        if is_known(name):
            return (name,)
        message = f"unknown call {name!r}; systemd goes past it, too"
        findings.append(FormatFinding(message, setting.origin, kind=Kind.UNKNOWN_CALL))
        return ()
    found = groups().get(name)
    if found is None:
        message = f"unknown group {name!r}: it is not among those of systemd {VERSION}"
        findings.append(FormatFinding(message, setting.origin))
        return ()
    return [call for call in found if is_known(call)]


def _policy(
    calls: _CallList, refusal: Action, arches: frozenset[Arch], origin: Origin, name: str, findings: list[FormatFinding]
) -> Policy:
    default = refusal if calls.allows else Allow()
    usual = Allow() if calls.allows else refusal
    by_action: dict[Action, list[str]] = {}
    for call, answer in calls.calls.items():
        action = usual if answer is None else KillProcess() if answer == "kill" else Deny(answer)
        by_action.setdefault(action, []).append(call)
    lines = [
        Line(tuple(listed), action, reason="SystemCallFilter=", origin=origin.within("SystemCallFilter"))
        for action, listed in by_action.items()
    ]
    if default in by_action:
        message = "refuses single calls as it refuses all others: libseccomp takes no such rule, and the unit fails"
        findings.append(FormatFinding(message, origin, kind=Kind.NOTE))
    rules, _ = rules_of(lines, default, arches or frozenset(Arch))
    return Policy(name, default, rules=list(rules), arches=arches or None, origin=origin)


def _log_layer(logged: _CallList, origin: Origin, name: str, findings: list[FormatFinding]) -> Policy:
    listed, rest = (Audit(), Allow()) if logged.allows else (Allow(), Audit())
    line = Line(tuple(logged.calls), listed, reason="SystemCallLog=", origin=origin.within("SystemCallLog"))
    rules, found = rules_of([line] if logged.calls else [], rest, frozenset(Arch))
    findings.extend(found)
    return Policy(f"{name} (log)", rest, rules=list(rules), origin=line.origin)
