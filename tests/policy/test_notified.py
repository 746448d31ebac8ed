"""The profile of a container under an agent: what that has to see is notified, and nothing runs that was not to."""

from __future__ import annotations

import json
from errno import EACCES, ENOSYS, EROFS
from typing import Any

import pytest

from monitor.abi.arch import Arch
from monitor.abi.syscalls import names, number_of
from monitor.errors import PolicyError
from monitor.policy.action import Action, Allow, Ask, Deny, Handle, KillProcess, Log, Return
from monitor.policy.expression import Expression
from monitor.policy.formats import Listener, oci
from monitor.policy.formats.notified import EXECS, RINGS, SIBLINGS, notified
from monitor.policy.model import Policy, Rule
from monitor.policy.text import loads

NATIVE = Arch.native()


def said(policy: Policy, call: str, *args: int) -> Action:
    number = number_of(NATIVE, call)
    assert number is not None
    return policy.decide(NATIVE, number, (*args, *[0] * (6 - len(args)))).action


def read_back(policy: Policy, **options: Any) -> Policy:
    """What a runtime reads in the profile of *policy*."""
    dumped = oci.dump(notified(policy, **options).policy, machine=NATIVE, listener=Listener("/run/a", "policy=x"))
    return oci.load(dumped.text.encode()).policy


EACH: dict[str, Action] = {
    "mkdir": Deny(EROFS),
    "rmdir": Ask(),
    "chdir": Handle("h"),
    "getcwd": Log(),
    "getpid": Return(7),
    "getuid": Return(0),
    "kill": KillProcess(),
    "getppid": Allow(),
}

POLICY = Policy("x", Allow(), rules=[Rule((call,), action) for call, action in EACH.items()])


@pytest.mark.parametrize(
    ("call", "plain", "told"),
    [
        ("mkdir", Deny(EROFS), Ask()),
        ("rmdir", Ask(), Ask()),
        ("chdir", Ask(), Ask()),
        ("getcwd", Ask(), Ask()),
        ("getpid", Ask(), Ask()),
        ("getuid", Return(0), Return(0)),
        ("kill", KillProcess(), KillProcess()),
        ("getppid", Allow(), Allow()),
        ("execve", Ask(), Ask()),
        ("execveat", Ask(), Ask()),
    ],
)
def test_what_somebody_has_to_be_there_for_is_notified(call: str, plain: Action, told: Action) -> None:
    for refusals, wanted in ((False, plain), (True, told)):
        found = said(read_back(POLICY, refusals=refusals), call)
        assert type(found) is type(wanted) or {found, wanted} <= {Return(0), Deny(0)}, (found, wanted)
        if isinstance(wanted, Deny):
            assert found == wanted


@pytest.mark.parametrize("refusals", [False, True])
@pytest.mark.parametrize("default", [Allow(), Deny(EACCES), Ask(), Log(), KillProcess()])
def test_nothing_is_let_run_that_the_agent_would_not_let_run(default: Action, refusals: bool) -> None:
    """Of every call: where the profile allows, the policy does, too."""
    rules = [Rule(("read", "execve"), Allow()), Rule(("openat",), Ask(), when=Expression("flags & O_CREAT != 0"))]
    policy = Policy("x", default, rules=rules)
    profile = read_back(policy, refusals=refusals)
    for call in names(NATIVE):
        for flags in (0, 0o100):
            found, wanted = said(profile, call, 0, 0, flags), said(policy, call, 0, 0, flags)
            if isinstance(found, Allow):
                assert isinstance(wanted, Allow) or (call == "write" and isinstance(wanted, Log)), call
            if isinstance(wanted, Ask) and call != "write":
                assert isinstance(found, Ask), call
            if not isinstance(wanted, Allow | Ask | Log) and not refusals:
                assert found in {wanted, Deny(ENOSYS)}, call  # runc says that of calls which a profile cannot know


def test_no_runtime_is_asked_to_notify_write_or_everything() -> None:
    for default in (Ask(), Log()):
        made = notified(Policy("x", default, rules=[Rule(("write",), Ask(EACCES))]))
        text = oci.dump(made.policy, listener=Listener("/run/a")).text
        shape = json.loads(text)
        assert shape["defaultAction"] != "SCMP_ACT_NOTIFY"
        for row in shape["syscalls"]:
            assert row["action"] != "SCMP_ACT_NOTIFY" or "write" not in row["names"]
        assert said(oci.load(text.encode()).policy, "write") == Deny(EACCES)
        assert any(
            "write is left out: runc refuses to notify it; instead of ask it is deny" in str(one)
            for one in made.findings
        )


def test_a_call_by_which_runtimes_hand_over_is_told_of() -> None:
    made = notified(Policy("x", Allow(), rules=[Rule(("sendmsg", "fcntl"), Ask())]))
    text = "\n".join(map(str, made.findings))
    assert "sendmsg is notified: crun before 1.6 hangs" in text
    assert "fcntl is notified: some pre-releases of runc 1.2 hang" in text
    assert notified(Policy("x", Allow())).findings == ()


@pytest.mark.parametrize("call", sorted(set(SIBLINGS) - set(EXECS)))
def test_what_does_the_same_as_a_call_with_a_rule_is_closed(call: str) -> None:
    made = notified(Policy("x", Allow(), rules=[Rule((call,), Ask())]))
    for sibling in (*SIBLINGS[call], *RINGS):
        if sibling not in EXECS:
            assert said(made.policy, sibling) == Deny(ENOSYS)
            assert sibling in str(made.findings[0])
    assert isinstance(said(made.policy, call), Ask)


def test_a_sibling_that_has_a_rule_keeps_it() -> None:
    rules = [Rule(("mkdir",), Deny()), Rule(("mkdirat",), Allow()), Rule(RINGS, Allow())]
    made = notified(Policy("x", Allow(), rules=rules))
    assert isinstance(said(made.policy, "mkdirat"), Allow)
    assert made.findings == ()


def test_files_are_not_for_containers() -> None:
    policy = loads('[policy]\nversion = 1\nknown-as-of = "6.1"\n[files]\nread = ["/"]\n')
    with pytest.raises(PolicyError, match="not for containers"):
        notified(policy)
