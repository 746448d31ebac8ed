"""
From the JSON of an OCI seccomp profile, and of its supersets, to rows with a place for each complaint.

What it is not: what the rows mean together (``scmp``), or for which host (``docker``).

Wrong types, unknown actions, operators and ABIs are errors, as they are for runc; keys that nobody
knows are findings, since every runtime goes past them in silence.

Source: opencontainers/runtime-spec, ``config-linux.md``, "Seccomp"; moby/profiles,
``seccomp/seccomp.go``; containers/common, ``pkg/seccomp/types.go``; for defaults and the errnos that
are not given runc, ``libcontainer/seccomp/seccomp_linux.go``, and crun, ``src/libcrun/seccomp.c``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from errno import EPERM
from types import MappingProxyType
from typing import Final, NoReturn, cast

from attrs import evolve, field, frozen

from monitor.abi import constants
from monitor.abi.arch import Arch
from monitor.abi.seccomp import MAX_ERRNO
from monitor.errors import PolicyError
from monitor.origin import Origin
from monitor.policy.action import Action, Allow, Ask, Audit, Deny, KillProcess, KillThread, Trace, Trap
from monitor.policy.formats import FormatFinding, Kind, Listener
from monitor.policy.formats.scmp import ARCHES, OPERATORS, OTHER_ARCHES, WORD, Clause, Comparison
from monitor.policy.model import Version

NATIVE_ARCH: Final = "SCMP_ARCH_NATIVE"

FLAGS: Final = frozenset(f"SECCOMP_FILTER_FLAG_{name}" for name in ("TSYNC", "LOG", "SPEC_ALLOW", "WAIT_KILLABLE_RECV"))
"""Those the runtime specification has."""

LISTENER_GONE: Final = constants.values("errno", Arch.X86_64)["ENOSYS"]
"""What a call gets that a profile gives to an agent which is not there (seccomp_unotify(2))."""

_RETURN_DATA: Final = 0xFFFF

_ACTIONS: Final[Mapping[str, type]] = MappingProxyType(
    {
        "SCMP_ACT_ALLOW": Allow,
        "SCMP_ACT_ERRNO": Deny,
        "SCMP_ACT_KILL": KillThread,
        "SCMP_ACT_KILL_PROCESS": KillProcess,
        "SCMP_ACT_KILL_THREAD": KillThread,
        "SCMP_ACT_LOG": Audit,
        "SCMP_ACT_NOTIFY": Ask,
        "SCMP_ACT_TRACE": Trace,
        "SCMP_ACT_TRAP": Trap,
    }
)


@frozen
class Filter:
    """The ``includes`` or ``excludes`` of a row."""

    caps: tuple[str, ...] = ()
    arches: tuple[str, ...] = ()
    min_kernel: Version | None = None


@frozen
class Row:
    """One element of ``syscalls``."""

    names: tuple[str, ...]
    action: Action
    clauses: tuple[Clause, ...]
    includes: Filter
    excludes: Filter
    comment: str
    origin: Origin


@frozen
class Profile:
    """A profile as it was written, its words checked."""

    default: Action
    rows: tuple[Row, ...]
    architectures: tuple[str, ...] = ()
    arch_map: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """An ABI of a host, and the others that it may use there."""
    flags: tuple[str, ...] = ()
    listener: Listener | None = None
    origin: Origin = field(kw_only=True)


def document(text: str, origin: Origin, findings: list[FormatFinding]) -> object:
    """Return the JSON value that *text* is.  Raises PolicyError where it is none."""

    def unique(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
        result = dict(pairs)
        if len(result) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = _whole(", ".join(sorted(key for key, count in Counter(keys).items() if count > 1)))
            findings.append(
                FormatFinding(f"written more than once in one object: {twice}; the last one counts", origin)
            )
        return result

    try:
        return cast("object", json.loads(text, object_pairs_hook=unique))
    except json.JSONDecodeError as error:
        message = f"no JSON: {error.msg}"
        raise PolicyError(message, Origin(origin.file, error.lineno, error.colno)) from None
    except (RecursionError, ValueError) as error:  # nested a thousand deep; a number of thousands of digits
        message = f"no JSON that can be read: {error}"
        raise PolicyError(message, origin) from None


@frozen
class Place:
    """A value within the document, and where it stands: asks for a shape, complains with the place."""

    value: object
    origin: Origin
    findings: list[FormatFinding] = field(eq=False, repr=False)
    folds: bool = field(default=False, kw_only=True)
    """Whether keys may be written in any case, and the last of them counts: so Go reads JSON (encoding/json)."""

    def fail(self, message: str) -> NoReturn:
        """Raise PolicyError at this place."""
        raise PolicyError(message, self.origin)

    def keys(self, known: Collection[str]) -> None:
        """Check that it is an object; name the keys that are not *known*."""
        value = self.value
        if not isinstance(value, dict):
            self.fail(f"an object was expected, not {_shape(value)}")
        for key in cast("dict[object, object]", value):
            if key not in known:
                near = next((one for one in known if one.lower() == str(key).lower()), None)
                hint = f"; did you mean {near!r}?" if near else ""
                message = f"unknown key {key!r}: no runtime looks at it{hint}"
                if near and self.folds:
                    message = f"key {key!r} is {near!r} to Docker, Podman and runc, and unknown to crun"
                self.findings.append(FormatFinding(message, self.origin, kind=Kind.NOTE))

    def get(self, key: str) -> Place | None:
        """Return what stands under *key*; None for nothing and for null, which are one to a runtime."""
        having = cast("dict[str, object]", self.value)
        value = having.get(key)
        if self.folds:
            alike = [one for written, one in having.items() if written.lower() == key.lower() and one is not None]
            value = alike[-1] if alike else None
        return None if value is None else evolve(self, value=value, origin=self.origin.within(key))

    def elements(self, key: str) -> Iterator[Place]:
        """Yield the elements of the list under *key*; none where there is no list."""
        place = self.get(key)
        if place is None:
            return
        values = place.value
        if not isinstance(values, list):
            place.fail(f"a list was expected, not {_shape(values)}")
        for index, value in enumerate(cast("Iterable[object]", values)):
            yield evolve(self, value=value, origin=Origin(self.origin.file, key=f"{place.origin.key}[{index}]"))

    def text(self) -> str:
        """Return it as the string that it must be."""
        if not isinstance(self.value, str):
            self.fail(f"a string was expected, not {_shape(self.value)}")
        return _whole(self.value)

    def integer(self, most: int) -> int:
        """Return it as the integer, 0 to *most*, that it must be."""
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            self.fail(f"an integer was expected, not {_shape(self.value)}")
        if not 0 <= self.value <= most:
            self.fail(f"{self.value} is not in 0..{most}")
        return self.value

    def texts(self, key: str) -> tuple[str, ...]:
        """Return the strings in the list under *key*."""
        return tuple(element.text() for element in self.elements(key))


def _whole(text: str) -> str:
    """Return *text* without the halves of surrogate pairs that JSON lets stand alone: nothing could print them."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _shape(value: object) -> str:
    words: dict[type, str] = {dict: "an object", list: "a list", str: "a string", bool: "a truth value"}
    return words.get(type(value)) or repr(value)


_KEYS: Final = frozenset(
    {"defaultAction", "defaultErrnoRet", "architectures", "flags", "listenerPath", "listenerMetadata", "syscalls"}
)
_ROW_KEYS: Final = frozenset({"names", "action", "errnoRet", "args"})
_WIDER_KEYS: Final = frozenset({"defaultErrno", "archMap"})
_WIDER_ROW_KEYS: Final = frozenset({"name", "comment", "includes", "excludes", "errno"})


def read(place: Place, *, wider: bool) -> Profile:
    """
    Return the profile that *place* is.

    *wider*: it may have what Docker and containers-common add to the specification.

    Raises:
        PolicyError: it is none; the message says where.
    """
    place.keys(_KEYS | _WIDER_KEYS if wider else _KEYS)
    default = place.get("defaultAction")
    if default is None or not default.text():
        place.fail("no defaultAction: a runtime takes such a profile for none at all")
    architectures = tuple(_arch(element) for element in place.elements("architectures"))
    arch_map = tuple(_mapped(element) for element in place.elements("archMap")) if wider else ()
    if architectures and arch_map:
        place.fail("has both architectures and archMap: runtimes want one of them")
    return Profile(
        default=_action(default, _errno(place, "defaultErrno", "defaultErrnoRet", wider=wider)),
        rows=tuple(_row(element, wider=wider) for element in place.elements("syscalls")),
        architectures=architectures,
        arch_map=arch_map,
        flags=tuple(_flag(element) for element in place.elements("flags")),
        listener=_listener(place),
        origin=place.origin,
    )


def _arch(place: Place) -> str:
    name = place.text()
    if name not in ARCHES and name not in OTHER_ARCHES and name != NATIVE_ARCH:
        place.fail(f"unknown ABI {name!r}")
    if name in OTHER_ARCHES:
        message = f"{name} has no table here: its calls are refused with those of every ABI that is not listed"
        place.findings.append(FormatFinding(message, place.origin))
    return name


def _mapped(place: Place) -> tuple[str, tuple[str, ...]]:
    place.keys({"architecture", "subArchitectures"})
    arch = place.get("architecture")
    if arch is None:
        place.fail("no architecture")
    # The ABIs of other hosts are not missed: this map is about hosts.
    quiet = Place(arch.value, arch.origin, [])
    elements = place.elements("subArchitectures")
    return _arch(quiet), tuple(_arch(Place(element.value, element.origin, [])) for element in elements)


def _flag(place: Place) -> str:
    flag = place.text()
    if flag not in FLAGS:
        place.fail(f"unknown flag {flag!r}")
    message = f"{flag} is for whoever installs the filter, and no part of a policy"
    place.findings.append(FormatFinding(message, place.origin, kind=Kind.NOTE))
    return flag


def _listener(place: Place) -> Listener | None:
    path, metadata = place.get("listenerPath"), place.get("listenerMetadata")
    if path is None or not path.text():
        if metadata is not None and metadata.text():
            metadata.fail("listenerMetadata without a listenerPath")
        return None
    message = f"calls are asked of whoever supervises, not of the agent at {path.text()}"
    place.findings.append(FormatFinding(message, path.origin, kind=Kind.NOTE))
    return Listener(path.text(), "" if metadata is None else metadata.text())


def _errno(place: Place, name_key: str, value_key: str, *, wider: bool) -> Place | None:
    """Return the errno of an action: a name or digits under *name_key* win over a number under *value_key*."""
    named = place.get(name_key) if wider else None
    value = place.get(value_key)
    if named is None or not named.text():
        return value
    known = constants.values("errno", Arch.X86_64)
    text = named.text()
    if text.isascii() and text.isdigit():
        return Place(int(text[:20]), named.origin, place.findings)
    if text not in known:
        named.fail(f"unknown errno {text!r}")
    return Place(known[text], named.origin, place.findings)


def _action(place: Place, errno: Place | None) -> Action:
    """Return the action that *place* names; EPERM where it wants an errno and has none, as runc and crun do."""
    name = place.text()
    if name not in _ACTIONS:
        place.fail(f"unknown action {name!r}; there are {', '.join(_ACTIONS)}")
    made = _ACTIONS[name]
    given = None if errno is None else errno.integer((1 << 32) - 1)
    if made is Ask:
        return Ask(LISTENER_GONE)
    if made is Deny:
        return Deny(EPERM if given is None else _errno_value(given, errno))
    if made is Trace:
        return Trace(EPERM if given is None else given & _RETURN_DATA)
    if errno is not None:
        message = f"{name} has no errno: crun refuses the profile, runc does not look at it"
        place.findings.append(FormatFinding(message, errno.origin, kind=Kind.NOTE))
    return cast("Action", made())


def _errno_value(given: int, place: Place | None) -> int:
    # SECCOMP_RET_DATA has 16 bits, and the kernel cuts what is above MAX_ERRNO (kernel/seccomp.c, __seccomp_filter).
    value = min(given & _RETURN_DATA, MAX_ERRNO)
    if value != given and place is not None:
        message = f"errno {given} does not fit; programs see {value}"
        place.findings.append(FormatFinding(message, place.origin, kind=Kind.NOTE))
    return value


def _row(place: Place, *, wider: bool) -> Row:
    place.keys(_ROW_KEYS | _WIDER_ROW_KEYS if wider else _ROW_KEYS)
    names, action = place.texts("names"), place.get("action")
    if wider and (name := place.get("name")) is not None and name.text():
        if names:
            name.fail("has both name and names: runtimes want one of them")
        names = (name.text(),)
    if not names or "" in names:
        place.fail("names no call")
    if action is None:
        place.fail("no action")
    comment = place.get("comment") if wider else None
    return Row(
        names=names,
        action=_action(action, _errno(place, "errno", "errnoRet", wider=wider)),
        clauses=_clauses(place),
        includes=_filter(place.get("includes") if wider else None),
        excludes=_filter(place.get("excludes") if wider else None),
        comment="" if comment is None else comment.text(),
        origin=place.origin,
    )


def _clauses(place: Place) -> tuple[Clause, ...]:
    """
    Return the comparisons of a row: all of them must hold, each of another register.

    Where two are of the same register each one alone is enough, those of other registers too: runc
    (``matchCall``) and crun (``libcrun_generate_seccomp``) then add a rule for each comparison.
    """
    comparisons = [_comparison(element) for element in place.elements("args")]
    indices = [comparison.index for comparison in comparisons]
    if len(set(indices)) == len(indices):
        return (tuple(comparisons),)
    message = "compares one register twice: runtimes then match where any of the comparisons holds, not all"
    place.findings.append(FormatFinding(message, place.origin, kind=Kind.NOTE))
    if len(comparisons) > 6:  # noqa: PLR2004  (registers)
        message = f"{len(comparisons)} comparisons: crun looks at the first six, runc at all"
        place.findings.append(FormatFinding(message, place.origin, kind=Kind.NOTE))
    return tuple((comparison,) for comparison in comparisons)


def _comparison(place: Place) -> Comparison:
    place.keys({"index", "value", "valueTwo", "op"})
    index, operation = place.get("index"), place.get("op")
    if operation is None:
        place.fail("no op")
    if operation.text() not in OPERATORS:
        operation.fail(f"unknown operator {operation.text()!r}; there are {', '.join(OPERATORS)}")
    value, value_two = place.get("value"), place.get("valueTwo")
    return Comparison(
        0 if index is None else index.integer(5),
        operation.text(),
        0 if value is None else value.integer(WORD),
        0 if value_two is None else value_two.integer(WORD),
    )


def _filter(place: Place | None) -> Filter:
    if place is None:
        return Filter()
    place.keys({"caps", "arches", "minKernel"})
    min_kernel = place.get("minKernel")
    version = None if min_kernel is None or not min_kernel.text() else _version(min_kernel)
    return Filter(place.texts("caps"), place.texts("arches"), version)


def _version(place: Place) -> Version:
    """Return a kernel version, "4.8": two numbers, not both 0 (moby/profiles, ``KernelVersion.UnmarshalJSON``)."""
    parts = place.text().split(".")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and len(part) <= 3 for part in parts):  # noqa: PLR2004
        place.fail(f"{place.text()!r} is no kernel version such as 4.8")
    major, minor = (int(part) for part in parts)
    if (major, minor) == (0, 0):
        place.fail("kernel version 0.0")
    return major, minor
