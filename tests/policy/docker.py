"""Docker's profile as a policy made by hand, for a container without capabilities: the size that has to be borne."""

from __future__ import annotations

from typing import Any

from monitor.abi import tables
from monitor.policy.action import Allow, Deny
from monitor.policy.condition import Test
from monitor.policy.model import Policy, Rule
from tests.policy.drawn import only

CLONE_NEW = 0x7E020000
"""The flags of clone(2) that make namespaces, CLONE_NEWTIME excepted."""


def unconditional() -> tuple[str, ...]:
    """Return the calls that the profile allows to everybody."""
    groups: Any = tables.groups()  # the package itself has no use for the profiles of others
    return tuple(groups["profiles"]["moby"]["allowed_unconditionally"])


def plain() -> Policy:
    """Return those calls, and nothing else, as a list."""
    return Policy("docker's list", Deny(), rules=[Rule(unconditional(), Allow())])


def whole() -> Policy:
    """Return the profile with its conditions on arguments."""
    personalities = (0, 8, 0x20000, 0x20008, 0xFFFFFFFF)
    return Policy(
        "docker",
        Deny(),
        exact_errno=False,
        known_as_of=(6, 12),
        rules=[
            Rule(unconditional(), Allow()),
            Rule(["process_vm_readv", "process_vm_writev", "ptrace"], Allow()),
            only(Test(0, "<", value=38), Allow(), "socket"),
            only(Test(0, "==", value=39), Allow(), "socket"),
            only(Test(0, ">", value=40), Allow(), "socket"),
            *(only(Test(0, "==", value=value), Allow(), "personality") for value in personalities),
            only(Test(0, "==", mask=CLONE_NEW, value=0), Allow(), "clone"),
            Rule(["clone3"], Deny(38)),
        ],
    )
