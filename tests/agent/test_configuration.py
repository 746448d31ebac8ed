"""An agent's configuration: read whole or not at all, and everything that is wrong found at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.agent.configuration import (
    CONTROL,
    SOCKET,
    Configuration,
    ConfigurationError,
    configuration_of,
    read_configuration,
)
from monitor.agent.shapes import AgentShape
from monitor.notify.verdict import Allow, Deny, Kill
from monitor.policy.variables import Variables

POLICY = '[policy]\nversion = 1\nname = "{name}"\nsyscalls-default = "allow"\n'

UID = 1000


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    policies = tmp_path / "policies"
    policies.mkdir()
    for name in ("web", "build", "strict"):
        (policies / f"{name}.toml").write_text(POLICY.format(name=name))
    return tmp_path


def configuration(directory: Path, text: str) -> Configuration:
    path = directory / "agent.toml"
    path.write_text(text)
    return read_configuration(str(path), variables=Variables(), handlers=(), uid=UID)


def wrong(directory: Path, text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        configuration(directory, text)
    return [str(error).replace(f"{directory}/", "") for error in caught.value.errors]


HEAD = '[agent]\nversion = 1\npolicies = "policies"\n'


def test_what_is_not_said_is_as_usual(directory: Path) -> None:
    made = configuration(directory, HEAD)
    assert (made.socket, made.mode, made.control, made.uids) == (SOCKET, 0o600, CONTROL, frozenset({UID}))
    assert sorted(made.choosing.policies) == ["build", "strict", "web"]
    assert (made.choosing.default, made.choosing.annotation_picks, made.choosing.metadata_picks) == (
        None,
        frozenset(),
        None,
    )
    assert set(made.files) == {str(directory / name) for name in ("agent.toml", "policies", *_files())}


def _files() -> list[str]:
    return [f"policies/{name}.toml" for name in ("build", "strict", "web")]


def test_everything_can_be_said(directory: Path) -> None:
    made = configuration(
        directory,
        HEAD
        + 'socket = "/run/a"\nmode = "0660"\nuids = [0, 5]\ncontrol = ""\ndefault = "preset:docker-default"\n'
        + 'sources = ["annotation", "metadata"]\nmetadata-picks = ["web"]\nannotation = "a.b/c"\n'
        + 'annotation-picks = ["web", "build"]\ncontainers = 5\nconnections = 6\n'
        + '[[rules]]\nid = "web-*"\nbundle = "/run/*"\nnamespace = "n"\npod = "p"\ncontainer = "c"\ncgroup = "/k"\n'
        + 'user-namespace = true\npolicy = "web"\n'
        + '[[policies]]\nname = "web"\nobserve = true\non-failure = "continue"\nanswer-seconds = 3\nask-seconds = 4\n'
        + '[[policies]]\nname = "build"\non-failure = "kill"\n[[policies]]\nname = "strict"\non-failure = "EIO"\n',
    )
    assert (made.socket, made.mode, made.control, made.uids) == ("/run/a", 0o660, None, frozenset({0, 5}))
    assert (made.containers, made.connections) == (5, 6)
    choosing = made.choosing
    assert (choosing.default, choosing.sources) == ("preset:docker-default", ["annotation", "metadata"])
    assert (choosing.metadata_picks, choosing.annotation) == (frozenset({"web"}), "a.b/c")
    assert choosing.annotation_picks == {"web", "build"}
    (rule,) = choosing.rules
    assert (rule.policy, rule.user_namespace, rule.origin.line) == ("web", True, 15)
    assert rule.names == {"id": "web-*", "namespace": "n", "pod": "p", "container": "c"}
    assert {key: str(pattern) for key, pattern in rule.paths.items()} == {"bundle": "/run/*", "cgroup": "/k"}
    web = choosing.policies["web"]
    assert (web.observe, web.answer_seconds, web.ask_seconds) == (True, 3.0, 4.0)
    assert isinstance(web.on_failure, Allow)
    assert choosing.policies["build"].on_failure == Kill()
    assert choosing.policies["strict"].on_failure == Deny(5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "agent.toml: 'agent' is missing"),
        ("[agent]\nversion = 2\n", "agent.toml:2: agent.version: 1 is wanted here, not 2"),
        (HEAD + "colour = 1\n", "agent.toml:4: agent.colour: "),
        ("top = 1\n" + HEAD, "agent.toml:1: top: an agent's configuration has no key 'top'"),
        (HEAD + 'default = "nothing"\n', "agent.toml:4: agent.default: there is no policy 'nothing'"),
        (HEAD + 'default = "../web"\n', "agent.toml:4: agent.default: there is no policy '../web'"),
        (HEAD + 'default = "preset:nothing"\n', "preset:nothing: "),
        (HEAD + 'mode = "999"\n', "agent.toml:4: agent.mode: the mode of"),
        (HEAD + "uids = []\n", "agent.toml:4: agent.uids: nobody could"),
        (HEAD + "uids = [-1]\n", "agent.toml:4: agent.uids[0]: the number of a user"),
        (HEAD + "containers = 0\n", "agent.toml:4: agent.containers: a number from 1"),
        (HEAD + "connections = 100000\n", "agent.toml:4: agent.connections: a number from 1"),
        (HEAD + 'sources = ["env"]\n', "agent.toml:4: agent.sources[0]: sources are metadata"),
        (HEAD + 'sources = ["rules", "rules"]\n', "agent.toml:4: agent.sources[1]: sources are metadata"),
        (HEAD + 'annotation-picks = ["x"]\n', "agent.toml:4: agent.annotation-picks[0]: there is no policy 'x'"),
        (HEAD + 'metadata-picks = ["x"]\n', "agent.toml:4: agent.metadata-picks[0]: there is no policy 'x'"),
        (HEAD + '[[rules]]\npolicy = "web"\n', "agent.toml:4: rules[0]: a rule that is about every container"),
        (HEAD + '[[rules]]\nid = "x"\n', "agent.toml:4: rules[0]: 'policy' is missing"),
        (HEAD + '[[rules]]\nid = ""\npolicy = "web"\n', "agent.toml:5: rules[0].id: an empty pattern"),
        (HEAD + '[[rules]]\nid = "x"\npolicy = "x"\n', "agent.toml:6: rules[0].policy: there is no policy 'x'"),
        (HEAD + '[[rules]]\nbundle = "run"\npolicy = "web"\n', "agent.toml:5: rules[0].bundle: "),
        (HEAD + '[[policies]]\nname = "x"\n', "agent.toml:5: policies[0].name: there is no policy 'x'"),
        (HEAD + '[[policies]]\nname = "web"\n' * 2, "agent.toml:5: agent.policies"),
        (HEAD + '[[policies]]\nname = "web"\non-failure = "EWHAT"\n', "agent.toml:6: policies[0].on-failure: "),
        (
            HEAD + '[[policies]]\nname = "web"\non-failure = "continue"\n',
            "agent.toml:6: policies[0].on-failure: continue",
        ),
        (
            HEAD + '[[policies]]\nname = "web"\nanswer-seconds = 0\n',
            "agent.toml:6: policies[0].answer-seconds: a number",
        ),
        (HEAD + '[[policies]]\nname = "web"\nask-seconds = -1\n', "agent.toml:6: policies[0].ask-seconds: a number"),
        ('[agent]\nversion = 1\npolicies = "nowhere"\n', "agent.toml:3: agent.policies: "),
        ("nonsense", "agent.toml:1: no TOML"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(directory: Path, text: str, said: str) -> None:
    if "* 2" in said or text.count("[[policies]]") == 2:
        said = "agent.toml:7: policies[1].name: policy 'web' stands here twice"
    assert any(one.startswith(said) for one in wrong(directory, text)), wrong(directory, text)


def test_everything_that_is_wrong_is_found_at_once(directory: Path) -> None:
    (directory / "policies/web.toml").write_text("wrong")
    (directory / "policies/other.toml").write_text(
        POLICY.format(name="x") + '[[syscalls]]\nnames = ["nothing"]\naction = "deny"\n'
    )
    (directory / "policies/a b.toml").write_text(POLICY.format(name="x"))
    found = wrong(directory, HEAD + 'default = "web"\nmode = "x"\n[[rules]]\nid = "a"\npolicy = "nothing"\n')

    assert [one.partition(": ")[0] for one in found] == [
        "policies/a b.toml",
        "policies/other.toml:6",
        "policies/web.toml:1",
        "agent.toml:8",
        "agent.toml:5",
    ]


def test_a_policy_whose_handler_is_not_there_cannot_be_enforced(directory: Path) -> None:
    text = POLICY.format(name="x") + '[[syscalls]]\nnames = ["mkdir"]\naction = "handle"\nhandler = "gone"\n'
    (directory / "policies/web.toml").write_text(text)
    (found,) = wrong(directory, HEAD)
    assert "no handler is called 'gone'" in found


def test_files_that_are_no_policies_are_left_alone(directory: Path) -> None:
    for name in (".hidden.toml", "README.md", "web.toml~"):
        (directory / "policies" / name).write_text("wrong")
    assert len(configuration(directory, HEAD).choosing.policies) == 3


def test_a_file_that_is_not_there(directory: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"agent\.toml: No such file"):
        read_configuration(str(directory / "agent.toml"), variables=Variables(), handlers=(), uid=UID)


def test_options_say_the_same_without_a_file(directory: Path) -> None:
    shape = AgentShape(version=1, policies=str(directory / "policies"), default="web", mode="660", uids=[7])
    made = configuration_of(shape, variables=Variables(), handlers=(), uid=UID)
    assert (made.choosing.default, made.mode, made.uids) == ("web", 0o660, frozenset({7}))
    with pytest.raises(ConfigurationError, match="there is no policy 'x'; there are: build, strict, web"):
        configuration_of(
            AgentShape(version=1, policies=str(directory / "policies"), default="x"),
            variables=Variables(),
            handlers=(),
            uid=UID,
        )
