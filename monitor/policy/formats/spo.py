"""
The ``SeccompProfile`` of the Kubernetes Security Profiles Operator, in and out: a resource as YAML or JSON.

What it is not: a reader of YAML.  That is PyYAML's, which this format alone imports; without it a
resource as JSON, which is YAML too, can be read.  What goes out is YAML that needs no library.

Its ``spec`` is an OCI profile with three things of its own: ``baseProfileName`` adds the rules of
another profile, which is not at hand here; numbers are signed; and a listener has its place given.

Source: kubernetes-sigs/security-profiles-operator, ``api/seccompprofile/v1/seccompprofile_types.go``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Final, cast

from monitor.abi.arch import Arch
from monitor.errors import PolicyError
from monitor.origin import Origin
from monitor.policy.formats import Dumped, FormatFinding, Kind, Listener, Loaded, content
from monitor.policy.formats.hosts import Runtime, loaded
from monitor.policy.formats.oci import as_shape, name_of
from monitor.policy.formats.profile import Place, read
from monitor.policy.model import Policy

API_VERSION: Final = "security-profiles-operator.x-k8s.io/v1"

_KIND: Final = "SeccompProfile"
_LARGEST: Final = (1 << 63) - 1
_LISTENER: Final = re.compile(r"/var/run/security-profiles-operator/[a-zA-Z0-9_\-.]+")
_UNKNOWN_ARCHES: Final = frozenset({"SCMP_ARCH_LOONGARCH64"})
_OWN_KEYS: Final = frozenset({"baseProfileName", "disabled", "partial"})


def load(
    source: Path | str | bytes, *, machine: Arch | None = None, runtime: Runtime = "runc", name: str = ""
) -> Loaded:
    """
    Return what the profile in *source*, a path or the text itself, means on host *machine*.

    With *name* the one of that name is read, which a text with several needs.  *machine* and *runtime*
    are as for ``oci.load``.

    Raises:
        PolicyError: it is no profile, or it is YAML and PyYAML is not installed.
    """
    text, origin = content(source)
    findings: list[FormatFinding] = []
    found = {_name(one) or name_of(origin): one for one in _resources(_documents(text, origin), origin, findings)}
    if name:
        found = {each: one for each, one in found.items() if each == name}
    if len(found) != 1:
        there = f"{len(found)} profiles ({', '.join(found)}); say which" if found else f"no {_KIND}"
        message = f"has {there}" if not name or found else f"has no {_KIND} called {name!r}"
        raise PolicyError(message, origin)
    ((called, place),) = found.items()
    spec = place.get("spec")
    if spec is None:
        place.fail("no spec")
    profile = read(_without_own_keys(spec), wider=False)
    return loaded(profile, findings, name=called, machine=machine, runtime=runtime)


def _documents(text: str, origin: Origin) -> Sequence[object]:
    try:
        return [cast("object", json.loads(text))]
    except (ValueError, RecursionError):
        pass
    try:
        yaml = import_module("yaml")
    except ImportError:
        message = "is no JSON; to read YAML, install PyYAML: pip install 'seccomp-monitor[yaml]'"
        raise PolicyError(message, origin) from None
    load_all = cast("Callable[[str], Iterator[object]]", yaml.safe_load_all)
    try:
        return list(load_all(text))
    # PyYAML lets pass what Python says of a date that is none, a number that is too long, or a depth without end.
    except (cast("type[Exception]", yaml.YAMLError), ValueError, OverflowError, RecursionError) as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        first = str(error).partition("\n")[0]
        place = origin if line is None else Origin(origin.file, cast("int", line) + 1)
        message = f"no YAML: {first}"
        raise PolicyError(message, place) from None


def _resources(documents: Iterable[object], origin: Origin, findings: list[FormatFinding]) -> Iterator[Place]:
    for document in documents:
        if isinstance(document, dict):
            place = Place(cast("object", document), origin, findings)
            kind = place.get("kind")
            if kind is not None and kind.value == _KIND:
                yield place


def _name(place: Place) -> str:
    metadata = place.get("metadata")
    if metadata is None or not isinstance(metadata.value, dict):
        return ""
    name = metadata.get("name")
    return "" if name is None else name.text()


def _without_own_keys(spec: Place) -> Place:
    """Return *spec* as an OCI profile; name what it says besides."""
    value = spec.value
    if not isinstance(value, dict):
        spec.fail("no object")
    base, disabled = spec.get("baseProfileName"), spec.get("disabled")
    if base is not None:
        message = f"the rules of {base.text()!r}, which it adds to, are not at hand and left out"
        spec.findings.append(FormatFinding(message, base.origin))
    if disabled is not None and disabled.value is True:
        message = "is disabled: nothing installs it"
        spec.findings.append(FormatFinding(message, disabled.origin, kind=Kind.NOTE))
    kept = {key: one for key, one in cast("dict[object, object]", value).items() if key not in _OWN_KEYS}
    return Place(kept, spec.origin, spec.findings)


def dump(
    policy: Policy, *, machine: Arch | None = None, listener: Listener | None = None, flags: Sequence[str] = ()
) -> Dumped:
    """Return *policy* as a resource; the parameters are those of ``oci.dump``."""
    shape, found = as_shape(policy, machine=machine, listener=listener, flags=flags)
    findings = list(found)
    spec = dict(shape)
    arches = cast("list[str]", spec["architectures"])
    spec["architectures"] = [arch for arch in arches if arch not in _UNKNOWN_ARCHES]
    unknown = sorted(_UNKNOWN_ARCHES.intersection(arches))
    findings += [FormatFinding(f"the operator does not know {arch}", policy.origin) for arch in unknown]
    if any(row.get("errnoRet") == 0 for row in cast("list[Mapping[str, object]]", spec["syscalls"])):
        message = "an errno of 0 is none to the operator, which leaves it out: such calls fail with EPERM"
        findings.append(FormatFinding(message, policy.origin))
    if listener is not None and _LISTENER.fullmatch(listener.path) is None:
        message = f"the operator takes a listener below /var/run/security-profiles-operator/ only, not {listener.path}"
        findings.append(FormatFinding(message, policy.origin))
    if any(number > _LARGEST for number in _numbers(spec)):
        message = f"a number above {_LARGEST} is compared with: the operator's are signed, and it refuses the profile"
        findings.append(FormatFinding(message, policy.origin))
    resource = {"apiVersion": API_VERSION, "kind": _KIND, "metadata": {"name": _resource_name(policy)}, "spec": spec}
    return Dumped("---\n" + "\n".join(_yaml(resource, "")) + "\n", tuple(findings))


def _resource_name(policy: Policy) -> str:
    """Return the name of *policy* as Kubernetes has names: lower case, digits, dashes and dots (RFC 1123)."""
    name = re.sub(r"[^a-z0-9.-]+", "-", policy.name.lower()).strip("-.")
    return name[:253].strip("-.") or "policy"


def _numbers(value: object) -> Iterator[int]:
    if isinstance(value, int):
        yield value
    elif isinstance(value, Mapping):
        for one in cast("Mapping[str, object]", value).values():
            yield from _numbers(one)
    elif isinstance(value, list):
        for one in cast("list[object]", value):
            yield from _numbers(one)


def _yaml(value: object, indent: str) -> Iterator[str]:
    """Yield the lines of *value* as a block; strings that are not plain words are quoted as in JSON."""
    if isinstance(value, Mapping):
        for key, one in cast("Mapping[str, object]", value).items():
            yield from _entry(f"{indent}{key}:", one, indent)
    else:
        for one in cast("Iterable[object]", value):
            lines = list(_entry("", one, indent + "  "))
            if isinstance(one, Mapping):
                lines = lines[1:]
            yield f"{indent}- {lines[0].strip()}"
            yield from lines[1:]


def _entry(head: str, value: object, indent: str) -> Iterator[str]:
    if isinstance(value, Mapping) or (isinstance(value, list) and value):
        yield head
        yield from _yaml(cast("object", value), indent + ("  " if head and isinstance(value, Mapping) else ""))
    elif isinstance(value, list):
        yield f"{head} []"
    else:
        yield f"{head} {_scalar(value)}".strip() if not head else f"{head} {_scalar(value)}"


_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_WORDS: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
"""What YAML 1.1 takes for something else than a string."""


def _scalar(value: object) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value)
