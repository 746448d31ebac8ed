"""What a runtime passes on: read as it is written, and never more than it says."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.agent.metadata import MetadataError, Names, names, parsed


@pytest.mark.parametrize(
    ("metadata", "found"),
    [
        ("", {}),
        ("policy=web", {"policy": "web"}),
        ("policy=web;mknod=deny", {"policy": "web", "mknod": "deny"}),
        ("policy=web,mknod=deny", {"policy": "web", "mknod": "deny"}),
        ("policy = web \n mknod=deny\n", {"policy": "web", "mknod": "deny"}),
        ("a=b=c", {"a": "b=c"}),
        ("policy=", {"policy": ""}),
        ("somebody else's", {}),
        ("word;policy=web", {"policy": "web"}),
        ('{"policy": "web", "number": 5, "deep": {"policy": "x"}}', {"policy": "web"}),
        (' \n{"policy": "web"}', {"policy": "web"}),
        ("[1]", {}),
    ],
)
def test_keys_and_values_in_either_spelling(metadata: str, found: dict[str, str]) -> None:
    assert parsed(metadata) == found


@pytest.mark.parametrize(
    ("metadata", "why"),
    [
        ("policy=a;policy=b", "twice"),
        ("policy=a;policy=a", "twice"),
        ('{"policy": "a", "policy": "b"}', "twice"),
        ('{"policy": "a"', "is none"),
        ('{"policy": "a"} behind', "is none"),
        ("{" * 4000, "none"),
        ('{"a":' + "[" * 4000, "nested too deeply"),
        ('{"a":' * 4000 + "1" + "}" * 90, "longer than"),
        ("x" * 4097, "longer than"),
    ],
)
def test_what_says_two_things_or_nothing_is_refused(metadata: str, why: str) -> None:
    with pytest.raises(MetadataError, match=why):
        parsed(metadata)


@given(st.text(max_size=200))
def test_any_text_is_either_read_or_refused(text: str) -> None:
    found: Mapping[str, str] = {}
    why = ""
    try:
        found = parsed(text)
    except MetadataError as error:
        why = str(error)
    assert why.isascii()
    assert all(isinstance(value, str) for value in found.values())


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=5))
def test_an_object_is_read_as_json_reads_it(said: dict[str, str]) -> None:
    assert parsed(json.dumps(said)) == said


@pytest.mark.parametrize(
    "annotations",
    [
        {
            "io.kubernetes.cri.sandbox-namespace": "prod",
            "io.kubernetes.cri.sandbox-name": "web-0",
            "io.kubernetes.cri.container-name": "nginx",
        },
        {
            "io.kubernetes.pod.namespace": "prod",
            "io.kubernetes.pod.name": "web-0",
            "io.kubernetes.container.name": "nginx",
        },
        {
            "io.kubernetes.cri-o.Namespace": "prod",
            "io.kubernetes.cri-o.KubeName": "web-0",
            "io.kubernetes.cri-o.ContainerName": "nginx",
        },
    ],
)
def test_the_names_that_kubernetes_gives_are_found_with_each_runtime(annotations: dict[str, str]) -> None:
    assert names(annotations) == Names("prod", "web-0", "nginx")
    assert names({}) == Names("", "", "")


@pytest.mark.parametrize(
    ("own", "foreign"),
    [
        ("io.kubernetes.pod.namespace", "io.kubernetes.cri.sandbox-namespace"),
        ("io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace"),
        ("io.kubernetes.cri.sandbox-namespace", "io.kubernetes.cri-o.Namespace"),
    ],
)
def test_an_annotation_of_another_runtime_gives_nobody_another_name(own: str, foreign: str) -> None:
    """CRI-O passes on what a pod's author writes under containerd's keys, and the other way round."""
    assert names({own: "lab", foreign: "prod"}).namespace == ""
    assert names({own: "lab", foreign: "lab"}).namespace == "lab"
    assert names({own: "lab", foreign: ""}).namespace == ""
