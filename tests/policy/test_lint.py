"""Lint: each trap is found where it is, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable
from errno import EACCES, EINVAL, ENOSYS, EPERM

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.abi.arch import Arch
from monitor.abi.syscalls import name_of, signature_of
from monitor.origin import Origin
from monitor.policy import shipped, tables, text
from monitor.policy.action import Action, Allow, Ask, Audit, Deny, KillProcess, Trap
from monitor.policy.expression import Expression
from monitor.policy.findings import Finding
from monitor.policy.formats import docker
from monitor.policy.lint import RULES, lint
from monitor.policy.model import Policy, Rule
from monitor.policy.tables import Files, Network
from tests.policy.drawn import Caller, policies

X86 = frozenset({Arch.X86_64})
I386 = frozenset({Arch.I386})


def rule(action: Action, *calls: str, when: str | None = None, line: int = 0) -> Rule:
    origin = Origin("p.toml", line)
    return Rule(calls, action, when=None if when is None else Expression(when), origin=origin)


def allowing(*rules: Rule, arches: frozenset[Arch] = X86) -> Policy:
    return Policy("p", Allow(), rules=[rule(Deny(ENOSYS), "io_uring_setup"), *rules], arches=arches)


def found(policy: Policy) -> list[str]:
    return [finding.rule for finding in lint(policy)]


def only(findings: Iterable[Finding], rule_id: str) -> Finding:
    (one,) = [finding for finding in findings if finding.rule == rule_id]
    return one


def test_a_policy_without_traps_has_no_findings() -> None:
    assert lint(allowing()) == []
    assert lint(allowing(rule(Deny(EPERM), "ptrace", "mount"))) == []


def test_every_id_that_is_found_is_explained() -> None:
    everything = Policy("p", KillProcess(), rules=[rule(Allow(), "clone", "faccessat", "io_uring_setup")])

    assert {finding.rule for finding in lint(everything)} <= RULES.keys()


@pytest.mark.parametrize("action", [Deny(EPERM), KillProcess(), Trap()])
@pytest.mark.parametrize(
    ("call", "rule_id"), [("clone3", "E-CLONE3"), ("faccessat2", "E-FACCESSAT2"), ("statx", "E-FALLBACK")]
)
def test_a_call_that_libc_does_without_has_to_look_as_if_it_were_not_there(
    call: str, rule_id: str, action: Action
) -> None:
    assert found(allowing(rule(action, call))) == [rule_id]
    assert found(allowing(rule(Deny(ENOSYS), call))) == []


def test_deny_without_an_errno_is_what_libc_understands() -> None:
    assert found(allowing(Rule(["clone3", "statx"], Deny(), exact_errno=False))) == []


def test_clone3_is_no_trap_where_there_are_no_threads_at_all() -> None:
    assert found(allowing(rule(Deny(EPERM), "clone3", "clone"))) == []


def test_newer_calls_have_to_look_as_if_they_were_not_there() -> None:
    finding = only(lint(Policy("p", Deny(EPERM), arches=X86)), "E-ENOSYS-DEFAULT")

    assert "known-as-of" in finding.hint
    assert "E-ENOSYS-DEFAULT" not in found(Policy("p", Deny(EPERM), known_as_of=(6, 1), arches=X86))
    assert "E-ENOSYS-DEFAULT" not in found(Policy("p", Deny(ENOSYS), arches=X86))


def test_new_advice_has_to_look_as_if_the_kernel_did_not_know_it() -> None:
    known = rule(Allow(), "madvise", when="advice in (MADV_NORMAL..MADV_FREE)")

    finding = only(lint(allowing(known, rule(KillProcess(), "madvise"))), "E-MADVISE-NEW")

    assert "MADV_GUARD_INSTALL" in finding.text or "more" in finding.text
    assert found(allowing(known, rule(Deny(EINVAL), "madvise"))) == []
    assert found(allowing(rule(Deny(EPERM), "madvise"))) == []


def test_calls_with_wide_times_are_missed_on_abis_that_have_them() -> None:
    rules = [rule(Deny(EPERM), "futex_time64", "ppoll_time64")]

    finding = only(lint(allowing(*rules, arches=I386)), "E-TIME64-MISSING")

    assert "futex_time64, ppoll_time64" in finding.text
    assert found(allowing(*rules, rule(Deny(EPERM), "futex", "ppoll"), arches=I386)) == []
    assert found(allowing(rule(Deny(ENOSYS), "futex_time64"), arches=I386)) == []


@pytest.mark.parametrize("action", [Deny(EPERM), Deny(ENOSYS), KillProcess(), Ask()])
def test_a_process_must_be_able_to_end_and_to_return(action: Action) -> None:
    assert found(allowing(rule(action, "exit_group"))) == ["E-NO-EXIT"]
    assert found(allowing(rule(action, "exit"))) == ["E-NO-EXIT"]
    assert found(allowing(rule(action, "rt_sigreturn"))) == ["E-NO-RETURN"]
    assert found(allowing(rule(action, "restart_syscall"))) == ["E-NO-RETURN"]
    assert found(allowing(rule(Audit(), "exit_group"))) == []


def test_a_list_of_what_is_allowed_that_forgets_the_end_is_found() -> None:
    finding = only(
        lint(Policy("p", Deny(EPERM), rules=[rule(Allow(), "@system-service", "!exit_group")], arches=X86)), "E-NO-EXIT"
    )

    assert finding.text == "exit_group is answered with deny EPERM"


# ---- bits ----


def test_bits_that_the_kernel_does_not_look_at_change_no_answer() -> None:
    wide = rule(Deny(EPERM), "socket", when="arg0 == 40", line=7)

    finding = only(lint(allowing(wide)), "E-ARG-SIGN")

    assert finding.origin.line == 7
    assert "deny EPERM becomes allow with 0x100000028" in finding.text
    assert found(allowing(rule(Deny(EPERM), "socket", when="domain == 40"))) == []


def test_a_wide_comparison_that_comes_to_the_same_is_no_trap() -> None:
    assert found(allowing(rule(Deny(EPERM), "socket", when="arg0 & 0xff == 40"))) == []
    assert found(allowing(rule(Deny(EPERM), "read", when="arg2 == 40"))) == []
    assert found(allowing(rule(Deny(EPERM), "socket", when="arg0 == 40", line=1), arches=I386)) == []


def test_a_register_that_the_call_has_not_is_no_ground() -> None:
    finding = only(lint(allowing(rule(Deny(EPERM), "getpid", when="args[4] == 1"))), "E-ARG-SIGN")

    assert "register 4 of getpid" in finding.text


@settings(max_examples=30, deadline=None)
@given(policies(1), st.sampled_from(Arch), st.integers(0, 1 << 32))
def test_no_finding_about_bits_means_that_they_do_not_count(policy: Policy, arch: Arch, seed: int) -> None:
    told = [finding.text for finding in lint(policy, [arch]) if finding.rule == "E-ARG-SIGN"]
    caller = Caller(seed, policy, [arch])
    for _ in range(20):
        nr, registers = caller.known(arch), caller.args()
        name = name_of(arch, nr)
        signature = None if name is None else signature_of(arch, name)
        if signature is None or any(f" of {name}:" in text for text in told):
            continue
        widths = [argument.width for argument in signature.arguments] + [0] * (6 - len(signature.arguments))
        plain = [word & ((1 << width) - 1) for word, width in zip(registers, widths, strict=True)]

        assert policy.decide(arch, nr, registers).action == policy.decide(arch, nr, plain).action


# ---- io_uring ----


def test_rings_do_what_calls_may_not() -> None:
    refusing = Policy("p", Allow(), rules=[rule(Deny(EPERM), "connect", when="addrlen > 16")], arches=X86)

    assert "connect" in only(lint(refusing), "E-IO-URING").text
    assert found(Policy("p", Allow(), arches=X86)) == []


@pytest.mark.parametrize(("name", "table"), [("files", Files()), ("network", Network())])
def test_rings_go_around_tables(name: str, table: object) -> None:
    policy = Policy("p", Allow(), arches=X86, tables={name: table})

    assert found(policy) == ["E-IO-URING"] + ["E-TABLE"] * (name not in tables.enforced)
    assert f"[{name}]" in only(lint(policy), "E-IO-URING").text


# ---- reach ----


def test_a_rule_behind_one_that_covers_it_is_found() -> None:
    policy = allowing(
        rule(Deny(EACCES), "%network", line=1),
        rule(Deny(EACCES), "socket", when="domain == AF_VSOCK", line=2),
        rule(Allow(), "connect", line=3),
    )

    assert [(finding.rule, finding.origin.line) for finding in lint(policy)] == [
        ("E-UNREACHABLE", 2),
        ("E-CONTRADICTION", 3),
    ]
    assert "p.toml:1" in only(lint(policy), "E-CONTRADICTION").text


def test_several_conditions_together_may_cover_one() -> None:
    policy = allowing(
        rule(Deny(EACCES), "socket", when="domain < 10"),
        rule(Deny(EACCES), "socket", when="domain >= 10 && type & 0xff != 3"),
        rule(Allow(), "socket", when="domain == 17 && type == SOCK_DGRAM", line=9),
    )

    assert only(lint(policy), "E-CONTRADICTION").origin.line == 9


def test_a_rule_that_is_reached_for_one_of_its_calls_is_none() -> None:
    assert found(allowing(rule(Deny(EPERM), "socket"), rule(Deny(EACCES), "socket", "connect"))) == []


def test_a_condition_that_never_holds_is_found() -> None:
    finding = only(lint(allowing(rule(Deny(EPERM), "socket", when="domain < 3 && domain > 5"))), "E-UNREACHABLE")

    assert finding.text == "its condition never holds"


def test_a_rule_of_what_is_extended_may_be_covered() -> None:
    below = Policy("below", Allow(), rules=[rule(Allow(), "mount", line=5)], arches=X86)
    policy = Policy("above", Allow(), rules=allowing(rule(Deny(EPERM), "mount")).rules, extends=below, arches=X86)

    assert only(lint(policy), "E-CONTRADICTION").origin.line == 5


# ---- arches, and what ships ----


def test_findings_of_several_abis_are_one() -> None:
    policy = allowing(rule(Deny(EPERM), "clone3"), arches=frozenset(Arch))

    assert [finding.arches for finding in lint(policy)] == [()]
    assert [finding.arches for finding in lint(policy, [Arch.ARM])] == [()]


def test_findings_of_some_abis_say_which() -> None:
    policy = allowing(rule(Deny(EPERM), "socket", when="arg0 == 40"), arches=frozenset({Arch.X86_64, Arch.ARM}))

    assert only(lint(policy), "E-ARG-SIGN").arches == (Arch.X86_64,)


def test_dockers_profile_can_be_walked_around_with_bits_that_the_kernel_ignores() -> None:
    """Known of libseccomp's 64-bit comparisons: socket(AF_ALG | 1 << 32) makes an AF_ALG socket."""
    findings = lint(docker.shipped("moby").policy)

    assert {finding.rule for finding in findings} == {"E-ARG-SIGN"}
    assert any("deny EPERM becomes allow with 0x100000026" in finding.text for finding in findings)


@pytest.mark.parametrize("name", ["hardening", "no-network", "system-service"])
def test_our_own_presets_have_no_findings(name: str) -> None:
    assert name in shipped.names()
    assert lint(text.load(f"preset:{name}")) == []


def test_an_abi_that_one_layer_refuses_as_a_whole_has_no_traps() -> None:
    """Its calls fail with ENOSYS one and all, as they do where nothing was built for it."""
    beneath = Policy("beneath", Allow(), arches=X86, other_arch="enosys")

    assert lint(Policy("p", Allow(), rules=[rule(Deny(ENOSYS), "io_uring_setup")], includes=[beneath])) == []


def test_an_errno_that_restarts_a_call_is_found() -> None:
    finding = only(lint(allowing(rule(Deny(512), "ptrace", line=7))), "E-RESTART")

    assert finding.origin.line == 7
    assert "E-RESTART" in found(Policy("p", Deny(514), arches=X86, rules=[rule(Allow(), "exit_group")]))


def test_what_lies_beneath_a_table_is_looked_at_and_what_is_lifted_of_it_is_found() -> None:
    def with_files(*rules: Rule) -> Policy:
        return Policy("p", Allow(), arches=X86, known_as_of=(6, 12), rules=rules, tables={"files": Files()})

    assert found(with_files()) == []
    finding = only(lint(with_files(rule(Allow(), "io_uring_setup", "getpid", line=5))), "E-LIFTED")
    assert finding.origin.line == 5
    assert finding.text.startswith("io_uring_setup is lifted")
