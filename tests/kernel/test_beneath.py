"""Under a [files] table every call that takes a path is done by the broker, or refused by a rule that says why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from monitor.abi import syscalls
from monitor.abi.arch import Arch
from monitor.broker.families import FAMILIES, HELD
from monitor.origin import Origin
from monitor.policy.action import Allow, Deny
from monitor.policy.beneath import BROKERED, LISTINGS, SIZES, brokered, with_beneath
from monitor.policy.model import Decision, Policy
from monitor.policy.text import loads

# Of a kernel with every call that the tables know: then nothing is refused for being newer than the policy.
HEAD = """
[policy]
version = 1
known-as-of = "7.1"
syscalls-default = "allow"
[files]
"""

ARCH: Final = Arch.native()

ANY: Final = (0,) * 6
"""Registers of which no condition of a rule is true: what is refused with them is refused whatever they hold."""

STARTS_PROGRAMS: Final = {"execve", "execveat"}
"""What a table that says exec = "unverified" lets pass, with its eyes open."""

AF_UNIX: Final = 1

BY_ADDRESS: Final = {"connect", "bind", "sendto", "sendmsg", "sendmmsg"}
"""A path may stand in the address: of an AF_UNIX socket, and there are none, nor datagram pairs (``unix``)."""


def layered(words: str = 'exec = "unverified"\nunix = "unmediated"') -> Policy:
    """Return a policy that has nothing but its tables, and what they bring with them."""
    return with_beneath(loads(HEAD + words, Origin("test.toml")))


def with_paths() -> Iterator[str]:
    """Yield every call of this machine that has a path in a register."""
    for name in sorted(syscalls.names(ARCH)):
        signature = syscalls.signature_of(ARCH, name)
        if signature is not None and any(argument.path for argument in signature.arguments):
            yield name


def decided(policy: Policy, name: str, *args: int) -> Decision:
    """Return what *policy* says to the call *name*."""
    number = syscalls.number_of(ARCH, name)
    assert number is not None
    return policy.decide(ARCH, number, (*args, *ANY)[:6])


def refused(policy: Policy, name: str) -> bool:
    """Whether *policy* refuses every such call, by a rule that says why."""
    decision = decided(policy, name)
    return isinstance(decision.action, Deny) and decision.rule is not None and bool(decision.rule.reason)


def test_no_call_with_a_path_passes() -> None:
    policy = layered()
    passing = {name for name in with_paths() if name not in BROKERED and not refused(policy, name)}

    assert passing == STARTS_PROGRAMS


def test_there_are_as_many_calls_with_paths_as_the_manual_pages_have() -> None:
    """Were the facts lost, the tests here would say nothing."""
    names = set(with_paths())

    assert names > BROKERED - HELD.keys()
    assert len(names) > 60
    assert {"open_tree", "mount", "uselib", "acct", "quotactl", "rename", "setxattrat", "inotify_add_watch"} < names


def test_programs_are_started_only_where_the_word_is_said() -> None:
    assert all(refused(layered(""), name) for name in STARTS_PROGRAMS)


def test_no_socket_with_a_name_is_made_unless_the_word_is_said() -> None:
    """Nor is a path in an address a way to a file, then."""
    policy = layered("")

    assert isinstance(decided(policy, "socket", AF_UNIX, 1).action, Deny)
    assert isinstance(decided(policy, "socketpair", AF_UNIX, 2).action, Deny)
    assert all(isinstance(decided(policy, name).action, Allow) for name in BY_ADDRESS)


@pytest.mark.parametrize(
    ("flags", "passes"),
    [(0, False), (0x200, True), (0xE00, True), (0x204, False), (0x208, False), (0x280, False), (0x4200, False)],
)
def test_a_group_of_fanotify_may_tell_and_do_nothing_else(flags: int, *, passes: bool) -> None:
    assert isinstance(decided(layered(), "fanotify_init", flags, 0).action, Allow) is passes


@pytest.mark.parametrize("name", ["open_by_handle_at", "fspick", "fsmount", "move_mount", "io_uring_setup", "setns"])
def test_ways_to_files_without_a_path_are_refused(name: str) -> None:
    assert refused(layered(), name)


def test_what_is_brokered_is_what_the_broker_can_do_but_listings_and_sizes() -> None:
    assert set(FAMILIES) == BROKERED | LISTINGS | SIZES
    assert not BROKERED & (LISTINGS | SIZES)


@pytest.mark.parametrize(
    ("rule", "needs"),
    [
        ('action = "deny"\naccess = ["truncate"]', True),
        ('action = "deny"\naccess = ["write"]', False),
        ('action = "deny"', False),
        ('action = "allow"\naccess = ["read", "truncate"]', True),
        ('action = "ask"\naccess = ["create"]', False),
    ],
)
def test_ftruncate_is_brokered_where_a_rule_tells_emptying_from_writing(rule: str, *, needs: bool) -> None:
    policy = layered(f'[[files.rules]]\npaths = ["/srv"]\n{rule}\n')

    assert ("ftruncate" in brokered(policy)) is needs


@pytest.mark.parametrize("name", sorted(BROKERED | LISTINGS | SIZES))
def test_nothing_that_is_brokered_is_refused_beneath(name: str) -> None:
    """It would never get to the broker."""
    assert isinstance(decided(layered(), name).action, Allow)


@pytest.mark.parametrize("name", sorted(BROKERED - HELD.keys()))
def test_the_broker_knows_the_register_of_the_path(name: str) -> None:
    """As the facts about system calls have it."""
    signature = syscalls.signature_of(ARCH, name)
    assert signature is not None

    assert [index for index, argument in enumerate(signature.arguments) if argument.path] == [*FAMILIES[name].registers]
