"""What a program is told of a refusal, and of which it is told nothing."""

from __future__ import annotations

import json
from errno import EACCES, ENOENT
from typing import Any

import pytest

from monitor import testing
from monitor.denials import Explainer
from monitor.events.denials import DenialLines, Explained
from monitor.events.opening import Opened
from monitor.events.record import CallAnswered, TargetExited
from monitor.notify.verdict import Allow, Deny, Kill, Return
from monitor.origin import Origin
from monitor.policy.model import Policy
from monitor.policy.text import loads
from tests.events.made import answered

TEXT = """
[policy]
version = 1
known-as-of = "6.1"
[[syscalls]]
names = ["socket"]
action = "deny"
reason = "no network"
[files]
read = ["/usr"]
exec = "unverified"
unix = "unmediated"
"""
POLICY = loads(TEXT)


def told(event: Any, explained: Explained | None = None) -> list[dict[str, Any]]:
    taken: list[bytes] = []

    def write(data: Any) -> int:
        taken.append(bytes(data))
        return len(data)

    lines = DenialLines(Opened(-1, "the program", write, lambda: None), with_tids=True)
    if explained is not None:
        lines.explain = lambda _event: explained
    lines(event)
    return [json.loads(line) for line in b"".join(taken).splitlines()]


@pytest.mark.parametrize(
    "event",
    [
        answered(verdict=Allow()),
        answered(verdict=Return(0)),
        answered(delivered=False),
        answered(hidden=True),
        answered(verdict=Deny(ENOENT), by="policy", path=b"/secret"),
        TargetExited(pid=1, status=0, killed_by=0),
    ],
    ids=["allowed", "emulated", "to nobody", "hidden", "said not to be there", "another event"],
)
def test_of_what_is_no_refusal_to_it_a_program_is_told_nothing(event: Any) -> None:
    assert told(event) == []


def test_of_a_refusal_it_is_told_what_it_got_and_of_a_kill_that_it_was_one() -> None:
    (denied,) = told(answered(verdict=Deny(ENOENT)), Explained("syscalls[0]", "why", None, "", ("a",), 3))
    (killed,) = told(answered(verdict=Kill()))

    assert (denied["verdict"], denied["errno_name"], denied["rule"], denied["reason"]) == (
        "deny",
        "ENOENT",
        "syscalls[0]",
        "why",
    )
    assert (denied["allowed"], denied["more"]) == (["a"], 3)
    assert (killed["verdict"], killed["errno"]) == ("kill", None)


def test_an_address_with_a_name_of_our_network_is_told_in_registers_alone() -> None:
    """Interfaces have numbers in the program's network, and names in ours."""
    plain = testing.call("connect", sockfd=3, addr=bytes.fromhex("02000050 7f000001 0000000000000000")).render()
    named = plain._replace(
        texts=tuple(
            text.replace("}", ', sin6_scope_id=if_nametoindex("ours")}') if text.startswith("{") else text
            for text in plain.texts
        )
    )
    (known,), (hidden,) = (told(answered(name="connect", nr=42, rendered=one)) for one in (plain, named))

    assert known["address"].startswith("{sa_family=AF_INET")
    assert hidden["address"] is None
    assert "ours" not in json.dumps(hidden)


def test_a_refusal_is_explained_by_the_policy_that_is_in_force_then() -> None:
    in_force = [POLICY]
    explain = Explainer(lambda: in_force[0])
    assert explain(refused_by(POLICY)) == Explained("syscalls[0]", "no network", None, "", (), 0)
    in_force[0] = loads(TEXT.replace("no network", "another reason"), Origin("another", line=1))

    assert explain(refused_by(in_force[0])) == Explained("syscalls[0]", "another reason", None, "", (), 0)


def refused_by(policy: Policy) -> CallAnswered:
    return answered(name="socket", nr=41, by="policy", rule=policy.rules[0].origin, rendered=None)


def test_what_no_rule_in_force_says_about_a_name_is_not_told_and_about_a_call_without_the_rule() -> None:
    explain = Explainer(lambda: POLICY)
    gone = Origin("a policy that was replaced", line=7)
    socket: CallAnswered = answered(name="socket", nr=41, by="policy", rule=POLICY.rules[0].origin, rendered=None)
    name = answered(by="policy", rule=gone, access="read", path=b"/etc/shadow", verdict=Deny(EACCES))
    call = answered(name="socket", nr=41, by="policy", rule=gone, rendered=None)

    assert explain(socket) == Explained("syscalls[0]", "no network", None, "", (), 0)
    assert explain(name) is None
    assert explain(call) == Explained()
