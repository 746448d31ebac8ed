"""Profiles of the Security Profiles Operator: YAML where PyYAML is, JSON everywhere, and out without a library."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest

from monitor.abi.arch import Arch
from monitor.abi.syscalls import names, number_of
from monitor.errors import PolicyError
from monitor.policy.action import Action, Allow, Deny
from monitor.policy.condition import Test
from monitor.policy.expression import Expression
from monitor.policy.formats import Listener, Loaded, spo
from monitor.policy.model import Policy, Rule
from monitor.policy.text import load as preset
from tests.conftest import require

yaml: Any = import_module("yaml") if find_spec("yaml") else None  # it has no types

RESOURCE = """\
---
apiVersion: security-profiles-operator.x-k8s.io/v1
kind: SeccompProfile
metadata:
  name: web
  annotations:
    description: "Allows little"
spec:
  defaultAction: SCMP_ACT_ERRNO
  architectures: [SCMP_ARCH_X86_64]
  syscalls:
  - action: SCMP_ACT_ALLOW
    names:
    - openat
    - socket
    args:
    - index: 0
      op: SCMP_CMP_LT
      value: 40
"""


@pytest.fixture
def _pyyaml() -> None:
    require("PyYAML", yaml is not None)


def decided(loaded: Loaded, call: str, *args: int) -> Action:
    nr = number_of(Arch.X86_64, call)
    assert nr is not None
    return loaded.policy.decide(Arch.X86_64, nr, (*args, *(0,) * (6 - len(args)))).action


@pytest.mark.usefixtures("_pyyaml")
def test_a_resource_is_read() -> None:
    loaded = spo.load(RESOURCE.encode())

    assert loaded.policy.name == "web"
    assert loaded.findings == ()
    assert decided(loaded, "openat", 3) == Allow()
    assert decided(loaded, "openat", 40) == Deny(1)
    assert str(loaded.policy.rules[-1].origin) == "policy (spec.syscalls[0])"


@pytest.mark.usefixtures("_pyyaml")
def test_of_several_one_is_named() -> None:
    text = (RESOURCE + RESOURCE.replace("web", "db") + "---\nkind: ConfigMap\n--- 7\n").encode()

    assert spo.load(text, name="db").policy.name == "db"
    with pytest.raises(PolicyError, match=r"has 2 profiles \(web, db\); say which"):
        spo.load(text)
    with pytest.raises(PolicyError, match="has no SeccompProfile called 'mail'"):
        spo.load(text, name="mail")


@pytest.mark.usefixtures("_pyyaml")
@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("kind: [", "no YAML"),
        ("kind: SeccompProfile\n", "no spec"),
        ("kind: SeccompProfile\nspec: 7\n", "no object"),
        ("kind: SeccompProfile\nspec: {syscalls: []}\n", "no defaultAction"),
        ("kind: ConfigMap\n", "has no SeccompProfile"),
        ("a: 2001-99-99\n", "no YAML"),
        ("[" * 5000, "no YAML"),
        ("? {a: b}\n: c\n", "no"),
        ("!!python/object:os.system x\n", "no YAML"),
    ],
)
def test_what_is_no_profile_is_an_error(text: str, complaint: str) -> None:
    with pytest.raises(PolicyError) as raised:
        spo.load(text.encode())

    assert complaint in str(raised.value)


@pytest.mark.usefixtures("_pyyaml")
def test_an_error_of_yaml_has_its_line() -> None:
    with pytest.raises(PolicyError) as raised:
        spo.load(b"kind: SeccompProfile\nspec: }\n")

    assert raised.value.origin is not None
    assert raised.value.origin.line == 2


def as_json(**spec: object) -> bytes:
    return json.dumps({"kind": "SeccompProfile", "spec": {"defaultAction": "SCMP_ACT_ALLOW", **spec}}).encode()


def test_what_the_operator_alone_knows_is_named() -> None:
    loaded = spo.load(as_json(baseProfileName="runc-v1", disabled=True))

    assert [(finding.origin.key, finding.lost) for finding in loaded.findings] == [
        ("spec.baseProfileName", True),
        ("spec.disabled", False),
    ]


def test_without_pyyaml_json_is_read_and_yaml_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)

    assert spo.load(as_json()).policy.default == Allow()
    with pytest.raises(PolicyError, match=r"pip install 'seccomp-monitor\[yaml\]'"):
        spo.load(RESOURCE.encode())


@pytest.mark.usefixtures("_pyyaml")
@pytest.mark.parametrize("name", ["docker-default", "containers-default", "no-network", "hardening"])
def test_presets_go_out_and_come_back(name: str) -> None:
    policy = preset(f"preset:{name}")
    dumped = spo.dump(policy, machine=Arch.X86_64)
    loaded = spo.load(dumped.text.encode(), machine=Arch.X86_64)
    zeros = (0,) * 6

    assert loaded.policy.name == name
    for call in names(Arch.X86_64):
        assert decided(loaded, call) == policy.decide(Arch.X86_64, number_of(Arch.X86_64, call) or 0, zeros).action


@pytest.mark.usefixtures("_pyyaml")
def test_words_that_yaml_takes_for_something_else_are_quoted() -> None:
    policy = Policy("Yes, No!", Allow(), rules=[Rule(("read",), Deny(1))], arches=frozenset({Arch.X86_64}))
    dumped = spo.dump(policy, listener=Listener("/var/run/security-profiles-operator/agent", "on: [1]\n"))
    resource = yaml.safe_load(dumped.text)

    assert resource["metadata"]["name"] == "yes-no"
    assert resource["spec"]["listenerMetadata"] == "on: [1]\n"
    assert dumped.findings == ()


def test_what_the_operator_refuses_is_named() -> None:
    large = Expression.of(Test(0, "==", value=1 << 63))
    rules = [Rule(("read",), Deny(1), when=large), Rule(("close",), Deny(0))]
    policy = Policy("one", Allow(), rules=rules, arches=frozenset({Arch.LOONGARCH64}))
    text = "\n".join(map(str, spo.dump(policy, listener=Listener("/run/agent")).findings))

    for word in ("signed", "errno of 0", "SCMP_ARCH_LOONGARCH64", "/run/agent"):
        assert word in text
