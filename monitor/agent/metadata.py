"""
What a runtime passes on about a container: ``listenerMetadata``, and the annotations by which others name it.

What it is not: the choice of a policy (``choosing``).

The metadata stands in the seccomp profile, which is written by who runs the machine.  Annotations are written by
whoever starts a container, except for those that a runtime adds itself; nothing in them is believed here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, cast

_LONGEST: Final = 4096
"""Characters of metadata that are looked at."""

_SEPARATORS: Final = re.compile(r"[;,\n]")

_POD: Final[Mapping[str, tuple[str, ...]]] = {
    "namespace": (
        "io.kubernetes.cri.sandbox-namespace",
        "io.kubernetes.pod.namespace",
        "io.kubernetes.cri-o.Namespace",
    ),
    "pod": ("io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name", "io.kubernetes.cri-o.KubeName"),
    "container": (
        "io.kubernetes.cri.container-name",
        "io.kubernetes.container.name",
        "io.kubernetes.cri-o.ContainerName",
    ),
}
"""
What it is -> the annotations that containerd, the kubelet, CRI-O and Podman say it with.
(containerd pkg/cri/annotations, cri-o pkg/annotations, podman pkg/annotations.)
"""


class MetadataError(ValueError):
    """What was passed on does not say what it seems to; the text says why, and is safe to log."""


def parsed(metadata: str) -> Mapping[str, str]:
    """
    Return the keys and values of *metadata*: ``k=v`` separated by ``;``, ``,`` or newlines, or a JSON object.

    A word without ``=`` is somebody else's business and left out.

    Raises:
        MetadataError: it is neither, or says a key twice.
    """
    if len(metadata) > _LONGEST:
        _refuse(f"it is longer than {_LONGEST} characters")
    if metadata.lstrip().startswith("{"):
        return _object(metadata)
    found: dict[str, str] = {}
    for word in _SEPARATORS.split(metadata):
        key, is_given, value = word.partition("=")
        if is_given:
            _add(found, key.strip(), value.strip())
    return found


def _object(text: str) -> Mapping[str, str]:
    def pairs(given: list[tuple[str, object]]) -> dict[str, object]:
        found: dict[str, object] = {}
        for key, value in given:
            _add(found, key, value)
        return found

    said: object = None
    try:
        said = json.loads(text, object_pairs_hook=pairs)
    except RecursionError:
        _refuse("it is nested too deeply")
    except MetadataError:
        raise
    except ValueError:
        _refuse("it begins as a JSON object, and is none")
    if not isinstance(said, dict):
        return {}
    return {key: value for key, value in cast("dict[str, object]", said).items() if isinstance(value, str)}


def _add(found: dict[str, str] | dict[str, object], key: str, value: object) -> None:
    if key in found:
        _refuse(f"it says {key!a} twice")
    cast("dict[str, object]", found)[key] = value


def _refuse(why: str) -> None:
    raise MetadataError(why)


class Names(NamedTuple):
    """How others call a container; empty: they do not."""

    namespace: str
    pod: str
    container: str


def names(annotations: Mapping[str, str]) -> Names:
    """
    Return how Kubernetes calls a container of these *annotations*; where they disagree it has no name.

    Each runtime writes its own and passes the others on as they came: those are the pod's author's.
    """
    return Names(**{what: _agreed(annotations, keys) for what, keys in _POD.items()})


def _agreed(annotations: Mapping[str, str], keys: Sequence[str]) -> str:
    said = {annotations[key] for key in keys if key in annotations}
    return said.pop() if len(said) == 1 else ""
