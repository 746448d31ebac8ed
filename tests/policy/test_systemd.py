"""SystemCallFilter= and its relatives: how lines merge, what systemd goes past, and the way out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.abi.arch import Arch
from monitor.abi.syscalls import names, number_of
from monitor.errors import PolicyError
from monitor.policy.action import (
    Action,
    Allow,
    Ask,
    Audit,
    Deny,
    Handle,
    KillProcess,
    KillThread,
    Log,
    Return,
    Trace,
    Trap,
)
from monitor.policy.condition import Test
from monitor.policy.expression import Expression
from monitor.policy.formats import Loaded, systemd
from monitor.policy.model import Policy, Rule
from monitor.policy.text import load as preset

KILL = KillProcess()


def load(*lines: str) -> Loaded:
    return systemd.load("\n".join(lines).encode())


def decided(loaded: Loaded | Policy, call: str, *args: int, arch: Arch = Arch.X86_64) -> Action:
    nr = number_of(arch, call)
    assert nr is not None
    policy = loaded.policy if isinstance(loaded, Loaded) else loaded
    return policy.decide(arch, nr, (*args, *(0,) * (6 - len(args)))).action


# ---- in ----


def test_an_allow_list_kills_the_rest_and_begins_with_the_default_group() -> None:
    loaded = load("[Service]", "SystemCallFilter=openat")

    assert decided(loaded, "openat") == Allow()
    assert decided(loaded, "mount") == KILL
    for call in ("execve", "exit", "exit_group", "rt_sigreturn", "getrlimit", "clock_gettime", "nanosleep"):
        assert decided(loaded, call) == Allow()
    assert decided(loaded, "sigreturn", arch=Arch.I386) == Allow()


def test_a_deny_list_lets_the_rest_run() -> None:
    loaded = load("SystemCallFilter=~@mount ptrace")

    assert decided(loaded, "mount") == KILL
    assert decided(loaded, "ptrace") == KILL
    assert decided(loaded, "openat") == Allow()


def test_the_errno_is_the_one_of_the_call_then_the_one_of_the_unit() -> None:
    loaded = load(
        "SystemCallErrorNumber=EACCES", "SystemCallFilter=~mount:ENOSYS ptrace reboot:kill acct:0 quotactl:22"
    )

    assert decided(loaded, "mount") == Deny(38)
    assert decided(loaded, "ptrace") == Deny(13)
    assert decided(loaded, "reboot") == KILL
    assert decided(loaded, "acct") == Deny(0)
    assert decided(loaded, "quotactl") == Deny(22)


@pytest.mark.parametrize(("value", "action"), [("", KILL), ("kill", KILL), ("EPERM", Deny(1)), ("13", Deny(13))])
def test_the_last_errno_of_the_unit_counts(value: str, action: Action) -> None:
    loaded = load("SystemCallErrorNumber=EUCLEAN", f"SystemCallErrorNumber={value}", "SystemCallFilter=read")

    assert decided(loaded, "mount") == action


@pytest.mark.parametrize("value", ["EWHAT", "0", "4096", "-1"])
def test_what_is_no_errno_of_the_unit_is_gone_past(value: str) -> None:
    loaded = load("SystemCallErrorNumber=EPERM", f"SystemCallErrorNumber={value}", "SystemCallFilter=read")

    assert decided(loaded, "mount") == Deny(1)
    assert value in str(loaded.findings[0])


def test_the_first_list_decides_and_the_other_kind_takes_away() -> None:
    """The example of systemd.exec(5)."""
    loaded = load("SystemCallFilter=read write", "SystemCallFilter=~write")

    assert decided(loaded, "read") == Allow()
    assert decided(loaded, "write") == KILL
    loaded = load("SystemCallFilter=~read write", "SystemCallFilter=write")
    assert decided(loaded, "read") == KILL
    assert decided(loaded, "write") == Allow()


def test_an_errno_in_an_allow_list_refuses_with_it() -> None:
    loaded = load("SystemCallFilter=@system-service", "SystemCallFilter=~@privileged:EPERM kill:ENOSYS")

    assert decided(loaded, "chown") == Deny(1)
    assert decided(loaded, "kill") == Deny(38)
    assert decided(loaded, "openat") == Allow()


def test_an_empty_assignment_takes_all_back_the_kind_too() -> None:
    loaded = load("SystemCallFilter=read", "SystemCallFilter=", "SystemCallFilter=~mount")

    assert decided(loaded, "openat") == Allow()
    assert decided(loaded, "mount") == KILL


def test_a_later_answer_for_a_call_replaces_the_earlier() -> None:
    loaded = load("SystemCallFilter=~mount:EPERM", "SystemCallFilter=~mount:EACCES")

    assert decided(loaded, "mount") == Deny(13)


def test_what_systemd_goes_past_is_named_with_its_line() -> None:
    loaded = load("[Service]", "SystemCallFilter=~mount frobnicate @nothing ptrace:EWHAT")

    assert decided(loaded, "mount") == KILL
    assert decided(loaded, "ptrace") == Allow()
    assert [finding.origin.line for finding in loaded.findings] == [2, 2, 2]
    assert all(finding.lost for finding in loaded.findings)


def test_an_errno_on_an_allowed_call_is_an_error() -> None:
    with pytest.raises(PolicyError, match="only what is refused has an errno"):
        load("SystemCallFilter=read:EPERM")


def test_other_abis_are_filtered_too_unless_only_some_may_be_used() -> None:
    loaded = load("SystemCallFilter=~mount")
    assert decided(loaded, "mount", arch=Arch.I386) == KILL
    assert decided(loaded, "openat", arch=Arch.I386) == Allow()

    loaded = load("SystemCallFilter=~mount", "SystemCallArchitectures=native")
    assert decided(loaded, "openat", arch=Arch.I386) == KILL
    assert decided(loaded, "openat") == Allow()

    loaded = load("SystemCallArchitectures=x86", "SystemCallArchitectures=", "SystemCallArchitectures=x32 vax")
    assert loaded.policy.arches is not None
    assert {Arch.X86_64, Arch.X32} <= loaded.policy.arches
    assert Arch.I386 not in loaded.policy.arches
    assert "vax" in str(loaded.findings[0])


def test_a_socket_is_found_behind_socketcall() -> None:
    loaded = load("SystemCallFilter=~socket")

    assert decided(loaded, "socketcall", 1, arch=Arch.I386) == KILL
    assert decided(loaded, "socketcall", 2, arch=Arch.I386) == Allow()


def test_a_name_is_the_call_of_that_name() -> None:
    assert decided(load("SystemCallFilter=~umount"), "umount2") == Allow()


def test_calls_may_be_logged_besides() -> None:
    loaded = load("SystemCallFilter=~mount", "SystemCallLog=openat mount")
    assert decided(loaded, "openat") == Audit()
    assert decided(loaded, "mount") == KILL
    assert decided(loaded, "close") == Allow()

    loaded = load("SystemCallLog=~openat")
    assert decided(loaded, "openat") == Allow()
    assert decided(loaded, "close") == Audit()


def test_all_known_calls_are_a_group() -> None:
    loaded = load("SystemCallErrorNumber=ENOSYS", "SystemCallFilter=@known")

    assert decided(loaded, "mount") == Allow()
    assert loaded.policy.decide(Arch.X86_64, 9999, (0,) * 6).action == Deny(38)


def test_a_unit_file_is_read_with_its_comments_sections_and_long_lines(tmp_path: Path) -> None:
    path = tmp_path / "web.service"
    path.write_text(
        "# comment\n[Unit]\nSystemCallFilter=acct\n\n[Service]\nExecStart=/bin/true\n"
        "SystemCallFilter = openat \\\n; comment within\n    close\\\n  \nRestrictNamespaces=yes\nLockPersonality=no\n"
    )
    loaded = systemd.load(path)

    assert loaded.policy.name == "web"
    assert decided(loaded, "close") == Allow()
    assert decided(loaded, "acct") == KILL
    (finding,) = loaded.findings
    assert (finding.origin.line, "RestrictNamespaces=" in finding.message) == (11, True)


def test_a_text_without_any_of_the_settings_is_an_error() -> None:
    with pytest.raises(PolicyError, match="has no SystemCallFilter="):
        load("[Service]", "ExecStart=/bin/true")


def test_a_refusal_that_is_the_default_is_named() -> None:
    loaded = load("SystemCallErrorNumber=EPERM", "SystemCallFilter=@system-service", "SystemCallFilter=~kill:EPERM")

    assert "the unit fails" in str(loaded.findings[0])
    assert decided(loaded, "kill") == Deny(1)


# ---- out ----

calls = st.sampled_from(["openat", "read", "mount", "execve", "exit", "socket", "clock_gettime", "ptrace"])
actions = st.sampled_from([Allow(), Deny(1), Deny(38), KILL, Audit(), Deny(0)])
defaults = st.sampled_from([Allow(), Deny(1), Deny(38), KILL, Audit()])


@given(said=st.dictionaries(calls, actions), default=defaults, arches=st.sampled_from([None, frozenset({Arch.X86_64})]))
def test_what_goes_out_comes_back(said: Mapping[str, Action], default: Action, arches: frozenset[Arch] | None) -> None:
    policy = Policy("one", default, rules=[Rule((call,), action) for call, action in said.items()], arches=arches)
    dumped = systemd.dump(policy, machine=Arch.X86_64)
    loaded = systemd.load(dumped.text.encode())

    assert [finding for finding in loaded.findings if finding.lost] == []
    for call in names(Arch.X86_64):
        assert decided(loaded, call) == decided(policy, call), dumped.text


def test_registers_have_no_place_in_a_drop_in() -> None:
    when = Expression.of(Test(0, "==", value=40))
    dumped = systemd.dump(
        Policy("one", Allow(), rules=[Rule(("socket",), Deny(97), when=when)], arches=frozenset({Arch.X86_64}))
    )

    assert decided(systemd.load(dumped.text.encode()), "socket", 2) == Deny(97)
    assert any("socket is decided by what registers hold" in str(finding) for finding in dumped.findings)


def test_what_depends_on_the_abi_is_named() -> None:
    rule = Rule(("read",), Deny(5), arches=frozenset({Arch.I386}))

    assert any("the ABI" in str(finding) for finding in systemd.dump(Policy("one", Allow(), rules=[rule])).findings)


@pytest.mark.parametrize(
    ("action", "there", "word"),
    [
        (Ask(13), Deny(13), "nobody can be asked"),
        (Handle("devices"), Deny(1), "'devices'"),
        (Return(7), Deny(1), "returns 7"),
        (Return(0), Deny(0), ""),
        (Log(), Audit(), "kernel's log"),
        (KillThread(), KILL, "not the thread alone"),
        (Trap(), KILL, "trap"),
        (Trace(1), Deny(38), "tracer"),
    ],
)
def test_actions_that_systemd_lacks_become_the_nearest_refusal(action: Action, there: Action, word: str) -> None:
    dumped = systemd.dump(Policy("one", Allow(), rules=[Rule(("mknod",), action)], arches=frozenset({Arch.X86_64})))

    assert decided(systemd.load(dumped.text.encode()), "mknod") == there
    assert word in "\n".join(map(str, dumped.findings))


def test_what_is_not_about_calls_is_named() -> None:
    policy = Policy(
        "one", Deny(0), tables={"files": {}}, other_arch="enosys", known_as_of=(6, 1), arches=frozenset({Arch.X86_64})
    )
    text = "\n".join(map(str, systemd.dump(policy).findings))

    for word in ("[files]", "other ABIs", "no table names", "every call succeed"):
        assert word in text


@pytest.mark.parametrize("name", ["system-service", "strict-mode-1", "hardening", "docker-default"])
def test_presets_go_out_no_looser_than_they_are(name: str) -> None:
    policy = preset(f"preset:{name}")
    dumped = systemd.dump(policy, machine=Arch.X86_64)
    loaded = systemd.load(dumped.text.encode())
    loose = {
        call
        for call in names(Arch.X86_64)
        if isinstance(decided(loaded, call), Allow) and not isinstance(decided(policy, call), Allow)
    }

    assert loose == set()
    assert max(map(len, dumped.text.splitlines())) <= 110


@pytest.mark.parametrize(
    ("number", "errno"),
    [("38", 38), ("046", 38), ("0x26", 38), ("+38", 38), ("0b100110", 38), ("0o46", 38), ("4095", 4095)],
)
def test_an_errno_is_a_number_as_c_reads_it(number: str, errno: int) -> None:
    text = f"SystemCallFilter=~ptrace:{number}\nSystemCallErrorNumber={number}\nSystemCallFilter=~mount"
    loaded = systemd.load(text.encode())

    assert {rule.action for rule in loaded.policy.rules} == {Deny(errno)}


@pytest.mark.parametrize(
    "number", ["4096", "0x1000", "08", "0o", "0x", "-1", "1_0", "\N{ARABIC-INDIC DIGIT THREE}", "1 "]
)
def test_what_is_no_number_to_c_is_no_errno(number: str) -> None:
    loaded = systemd.load(f"SystemCallErrorNumber={number or ''}x\nSystemCallFilter=~mount:{number}".encode())

    assert len(loaded.findings) >= 1


def test_what_stands_before_the_first_section_is_not_read() -> None:
    loaded = systemd.load(b"SystemCallFilter=~mount\n[Service]\nSystemCallFilter=~ptrace")

    assert [rule.names for rule in loaded.policy.rules] == [("ptrace",)]


def test_a_line_goes_on_to_the_end_of_the_text() -> None:
    loaded = systemd.load(b"[Service]\nSystemCallFilter=~ptrace \\")

    assert [rule.names for rule in loaded.policy.rules] == [("ptrace",)]


def test_a_header_that_does_not_close_refuses_the_unit() -> None:
    with pytest.raises(PolicyError, match="systemd refuses"):
        systemd.load(b"[Service\nSystemCallFilter=~ptrace")
