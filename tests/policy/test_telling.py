"""What a program may be told of a rule: its key, its reason, what would be allowed, and nothing of what is hidden."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from monitor.abi.arch import Arch
from monitor.origin import NOWHERE, Origin
from monitor.policy.model import Policy
from monitor.policy.telling import MOST, Teller, Telling
from monitor.policy.text import loads

HEAD = """
[policy]
version = 1
name = "told"
syscalls-default = "allow"
known-as-of = "6.1"
"""

SOCKETS = """
[[syscalls]]
names = ["socket"]
when = "domain == AF_UNIX"
action = "allow"

[[syscalls]]
names = ["socket"]
when = "domain == AF_NETLINK"
action = "kill"

[[syscalls]]
names = ["socket", "mkdir"]
action = "deny"
reason = "no sockets"
"""


def policy(text: str) -> Policy:
    return loads(HEAD + text, Origin("/somewhere/secret/file.toml"))


def teller(text: str) -> Teller:
    return Teller(policy(text), lambda head: head)


def test_a_rule_of_registers_says_what_other_rules_let_run() -> None:
    told = teller(SOCKETS)
    rule = told.policy.rules[2]

    assert told.of_call(rule.origin, Arch.X86_64, "socket") == Telling(
        "syscalls[2]", "no sockets", None, ("domain == AF_UNIX",), 0
    )
    assert told.of_call(rule.origin, Arch.X86_64, "mkdir") == Telling("syscalls[2]", "no sockets", None, (), 0)
    assert told.of_call(rule.origin, None, "socket") == Telling("syscalls[2]", "no sockets", None, (), 0)


def test_its_own_condition_is_told_and_no_other_that_refuses() -> None:
    told = teller(SOCKETS)

    assert told.of_call(told.policy.rules[1].origin, Arch.X86_64, "socket") == Telling(
        "syscalls[1]", "", "domain == AF_NETLINK", ("domain == AF_UNIX",), 0
    )


def test_a_default_has_no_reason() -> None:
    told = Teller(loads(HEAD.replace('"allow"', '"deny"') + SOCKETS, NOWHERE), lambda head: head)

    assert told.of_call(Origin("told", key="default"), Arch.X86_64, "chdir") == Telling("default", "")


def test_what_is_no_rule_is_not_told() -> None:
    told = teller(SOCKETS)

    assert told.of_call(NOWHERE, Arch.X86_64, "socket") is None
    assert told.of_call(Origin("elsewhere", 3), Arch.X86_64, "socket") is None
    assert told.of_path(NOWHERE, "read") is None
    assert told.of_path(Origin("no name that can be believed"), "read") is None


FILES = """
[files]
read = ["/usr", "/home/me/.ssh/known_hosts", "/etc", "!/etc/private", "/srv/*/public", "/etc/shadow-not"]
write = ["/tmp"]
deny = ["/etc/shadow*"]
hide = ["/home/me/.ssh", "**/.env"]
ask = ["/tmp/asked"]
exec = "unverified"
unix = "unmediated"

[[files.rules]]
paths = ["/tmp/*.pem"]
access = ["delete"]
action = "deny"
reason = "keys stay"
"""


def test_a_name_is_told_which_others_allow_the_same() -> None:
    """Whole names alone: what is hidden, taken out or refused among them is not."""
    told = teller(FILES)
    (table,) = told._deciders.files
    rules = {rule.origin.key: rule for rule in table.own_rules}

    assert told.of_path(rules["files.deny"].paths.patterns[0].origin, "read") == Telling(
        "files.deny[0]", "", None, ("/usr", "/etc", "/tmp"), 0
    )
    assert told.of_path(table.origin, "write") == Telling("files.otherwise", "", None, ("/tmp",), 0)
    assert told.of_path(rules["files.rules[0]"].origin, "delete") == Telling(
        "files.rules[0]", "keys stay", None, ("/tmp",), 0
    )


def test_many_are_counted() -> None:
    names = ", ".join(f'"/srv/{number}"' for number in range(MOST + 4))
    told = teller(f'[files]\nread = [{names}]\nexec = "unverified"\nunix = "unmediated"\n')
    (table,) = told._deciders.files
    found = told.of_path(table.origin, "read")

    assert found is not None
    assert (len(found.allowed), found.more) == (MOST, 4)


NAMES = st.lists(st.sampled_from(["/a", "/a/b", "/a/b/c", "/d", "/d/e"]), unique=True, min_size=1)


@given(allowed=NAMES, hidden=NAMES, access=st.sampled_from(["read", "stat", "list"]))
def test_no_name_is_told_that_is_hidden(allowed: list[str], hidden: list[str], access: str) -> None:
    told = teller(
        f'[files]\nread = {allowed}\nhide = {hidden}\nexec = "unverified"\nunix = "unmediated"\n'.replace("'", '"')
    )
    (table,) = told._deciders.files
    found = told.of_path(table.origin, access)

    assert found is not None
    for name in found.allowed:
        assert name in allowed
        assert not any(Path(name).is_relative_to(above) for above in hidden)


def test_nothing_that_is_told_says_where_the_policy_stands() -> None:
    told = teller(SOCKETS + FILES)
    (table,) = told._deciders.files
    everything = [told.of_call(rule.origin, Arch.X86_64, "socket") for rule in told.policy.rules]
    everything += [told.of_path(rule.origin, "read") for rule in table.own_rules]

    assert None not in everything
    assert "secret" not in repr(everything)
    assert ".toml" not in repr(everything)
