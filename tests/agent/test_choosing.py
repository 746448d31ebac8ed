"""Which policy a container gets: what each source may say, and what becomes of what it may not."""

from __future__ import annotations

import os
from collections.abc import Sequence
from errno import EPERM
from typing import Any

import attrs
import pytest

from monitor.agent.agent import Chosen
from monitor.agent.choosing import Choosing, Rule
from monitor.agent.facts import Facts
from monitor.origin import Origin
from monitor.policy.action import Allow, Deny
from monitor.policy.model import Policy
from monitor.policy.paths import PathPattern
from monitor.sources.state_message import ContainerState, ProcessState

NAMES = ("strict", "web", "build")
POLICIES = {name: Chosen(name=name, why="", policy=Policy(name, Allow())) for name in NAMES}


def facts(metadata: str = "", *, user_namespace: bool | None = False, cgroup: str = "", **state: Any) -> Facts:
    container = ContainerState(**{"id": "c1", **state})
    return Facts(ProcessState(("seccompFd",), container, 5, metadata), user_namespace, cgroup)


def rule(policy: str, *, user_namespace: bool | None = None, bundle: str = "", cgroup: str = "", **names: str) -> Rule:
    paths = {key: PathPattern.parse(text) for key, text in (("bundle", bundle), ("cgroup", cgroup)) if text}
    return Rule(policy, names, paths, user_namespace, Origin("agent.toml", 7))


def choosing(**changes: Any) -> Choosing:
    return Choosing(**{"policies": POLICIES, "default": "strict", **changes})


def said(chosen: Chosen) -> tuple[str, str]:
    return chosen.name, chosen.why


def test_the_metadata_picks_any_policy_that_is_there() -> None:
    assert said(choosing()(facts("policy=web"))) == ("web", "listenerMetadata")
    assert said(choosing()(facts('{"policy": "build"}'))) == ("build", "listenerMetadata")


def test_what_says_nothing_leaves_it_to_the_next_and_at_last_to_the_default() -> None:
    assert said(choosing()(facts(""))) == ("strict", "default")
    assert said(choosing()(facts("mknod=deny"))) == ("strict", "default")
    assert said(choosing(rules=[rule("web", id="c*")])(facts("mknod=deny"))) == ("web", "agent.toml:7")


@pytest.mark.parametrize(
    "name",
    ["", "nothing", "../web", "/etc/web", "web/", ".", "..", "WEB", "web\0", "web\n", "web ", "a" * 5000, "\x1b[2J"],
)
def test_a_name_that_is_none_is_the_default_and_no_other_sources_business(name: str) -> None:
    made = choosing(rules=[rule("build", id="*")], annotation_picks=frozenset(NAMES))
    with_metadata = made(
        facts(f'{{"policy": "{name}"}}' if name.isprintable() and len(name) < 99 else f"policy={name};")
    )
    annotated = made(facts(annotations={"monitor.policy": name}))
    for chosen in (with_metadata, annotated):
        # A blank at the end is no part of what stands in k=v.
        if chosen.name == "web":
            assert name in {"web\n", "web "}
            continue
        assert chosen.name == "strict"
        assert chosen.why.startswith("default: ")
        assert chosen.why.isprintable()
        assert len(chosen.why) < 300


def test_metadata_that_cannot_be_read_is_the_default() -> None:
    chosen = choosing(rules=[rule("build", id="*")])(facts("policy=web;policy=build"))
    assert said(chosen) == ("strict", "default: listenerMetadata cannot be read: it says 'policy' twice")


def test_without_a_default_everything_is_refused() -> None:
    for one in (facts(""), facts("policy=nothing")):
        chosen = choosing(default=None)(one)
        assert chosen.name == "(none)"
        assert chosen.policy.default == Deny(EPERM)
        assert not chosen.policy.rules
        assert not chosen.observe


def test_an_annotation_picks_only_from_its_list() -> None:
    """Annotations are written by whoever starts the container, who may not lower its protection."""
    annotated = facts(annotations={"monitor.policy": "web"})
    assert choosing()(annotated).name == "strict"
    assert said(choosing(annotation_picks=frozenset({"web"}))(annotated)) == ("web", "annotation monitor.policy")
    chosen = choosing(annotation_picks=frozenset({"build"}))(annotated)
    assert said(chosen) == ("strict", "default: annotation monitor.policy names 'web', which it may not pick")
    other = choosing(annotation="example.org/policy", annotation_picks=frozenset({"web"}))
    assert other(annotated).name == "strict"
    assert other(facts(annotations={"example.org/policy": "web"})).name == "web"


def test_the_metadata_may_be_held_to_a_list_too() -> None:
    made = choosing(metadata_picks=frozenset({"web"}))
    assert made(facts("policy=web")).name == "web"
    assert said(made(facts("policy=build"))) == (
        "strict",
        "default: listenerMetadata names 'build', which it may not pick",
    )


@pytest.mark.parametrize(
    ("sources", "name"),
    [
        (("metadata", "annotation", "rules"), "web"),
        (("annotation", "metadata", "rules"), "build"),
        (("rules", "metadata", "annotation"), "strict"),
        (("annotation",), "build"),
        ((), "strict"),
    ],
)
def test_the_first_source_that_says_something_counts(sources: Sequence[Any], name: str) -> None:
    made = choosing(sources=sources, annotation_picks=frozenset({"build"}), rules=[rule("strict", id="c1")])
    assert made(facts("policy=web", annotations={"monitor.policy": "build"})).name == name


@pytest.mark.parametrize(
    ("one", "fitting", "other"),
    [
        (rule("web", id="web-?"), facts(id="web-1"), facts(id="web-10")),
        (rule("web", bundle="/run/containers"), facts(bundle="/run/containers/c1"), facts(bundle="/run/containersx")),
        (rule("web", bundle="/run/*/c1"), facts(bundle="/run/a/c1"), facts(bundle="/run/a/b")),
        (rule("web", bundle="/"), facts(bundle="/x"), facts(bundle=".")),
        (rule("web", bundle="/run"), facts(bundle="/run/x"), facts(bundle="/run/../etc")),
        (rule("web", cgroup="/kubepods"), facts(cgroup="/kubepods/x"), facts(cgroup="")),
        (rule("web", user_namespace=True), facts(user_namespace=True), facts(user_namespace=False)),
        (rule("web", user_namespace=False), facts(user_namespace=False), facts(user_namespace=None)),
        (
            rule("web", namespace="prod"),
            facts(annotations={"io.kubernetes.cri.sandbox-namespace": "prod"}),
            facts(annotations={"io.kubernetes.cri.sandbox-namespace": "production"}),
        ),
        (
            rule("web", pod="web-*", container="nginx"),
            facts(annotations={"io.kubernetes.pod.name": "web-0", "io.kubernetes.container.name": "nginx"}),
            facts(annotations={"io.kubernetes.pod.name": "web-0", "io.kubernetes.container.name": "shell"}),
        ),
        (rule("web", namespace="*"), facts(annotations={"io.kubernetes.pod.namespace": "a"}), facts()),
    ],
)
def test_a_rule_is_about_containers_of_which_all_of_it_is_true(one: Rule, fitting: Facts, other: Facts) -> None:
    made = choosing(rules=[one])
    assert said(made(fitting)) == ("web", "agent.toml:7")
    assert said(made(other)) == ("strict", "default")


def test_the_first_rule_that_fits_counts() -> None:
    made = choosing(rules=[rule("build", id="b*"), rule("web", id="c*"), rule("strict", id="*")])
    assert made(facts()).name == "web"


def test_how_a_policy_is_enforced_comes_with_it() -> None:
    watched = attrs.evolve(POLICIES["web"], observe=True, answer_seconds=3.0)
    chosen = choosing(policies={**POLICIES, "web": watched})(facts("policy=web"))
    assert (chosen.observe, chosen.answer_seconds) == (True, 3.0)


def test_a_cgroup_that_is_no_text_is_compared_as_the_bytes_that_it_is() -> None:
    """Whoever may make cgroups calls them as they like (cgroups(7)), and proc_pid_cgroup(5) tells it as it is."""
    odd = facts(cgroup=os.fsdecode(b"/kubepods/\xff"))
    assert choosing(rules=[rule("web", cgroup="/kubepods")])(odd).name == "web"
    assert choosing(rules=[rule("web", cgroup="/kubepods/x")])(odd).name == "strict"


def test_a_path_with_a_nul_or_a_way_up_fits_no_rule() -> None:
    made = choosing(rules=[rule("web", bundle="/run", cgroup="/a")])
    assert made(facts(bundle="/run/x", cgroup="/a/b")).name == "web"
    for bundle, cgroup in (("/run/x\0", "/a"), ("/run/x", "/a/../b"), ("run/x", "/a"), ("/run/x", "")):
        assert made(facts(bundle=bundle, cgroup=cgroup)).name == "strict"
