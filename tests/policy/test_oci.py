"""OCI profiles, in and out: what is wrong has a place, what goes out comes back, and libseccomp agrees."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import attrs
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
    rank,
)
from monitor.policy.condition import OPERATORS, AllOf, AnyOf, Condition, Not, Test
from monitor.policy.expression import Expression
from monitor.policy.formats import Listener, Loaded, oci
from monitor.policy.formats.cubes import comparisons_of, cubes_of
from monitor.policy.formats.regions import TooManyClausesError, alternatives
from monitor.policy.formats.scmp import Comparison
from monitor.policy.model import Policy, Rule
from monitor.policy.text import load as preset
from tests.conftest import require
from tests.policy import libseccomp

X86 = frozenset({Arch.X86_64, Arch.I386, Arch.X32})
ENOSYS = 38


def profile(*rows: dict[str, Any], **keys: Any) -> bytes:
    return json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rows} | keys).encode()


def row(action: str, *calls: str, **keys: Any) -> dict[str, Any]:
    return {"names": calls or ("read",), "action": f"SCMP_ACT_{action}", **keys}


def arg(index: int, op: str, value: int, value_two: int = 0) -> dict[str, Any]:
    return {"index": index, "op": f"SCMP_CMP_{op}", "value": value, "valueTwo": value_two}


def decided(loaded: Loaded, call: str, *args: int, arch: Arch = Arch.X86_64) -> Action:
    nr = number_of(arch, call)
    assert nr is not None
    return loaded.policy.decide(arch, nr, (*args, *(0,) * (6 - len(args)))).action


# ---- in ----


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("ALLOW", Allow()),
        ("ERRNO", Deny(1)),
        ("KILL", KillThread()),
        ("KILL_THREAD", KillThread()),
        ("KILL_PROCESS", KillProcess()),
        ("TRAP", Trap()),
        ("TRACE", Trace(1)),
        ("LOG", Audit()),
        ("NOTIFY", Ask(ENOSYS)),
    ],
)
def test_each_action_of_the_specification(name: str, action: Action) -> None:
    loaded = oci.load(profile(row(name), defaultAction="SCMP_ACT_ERRNO", defaultErrnoRet=13))

    assert decided(loaded, "read") == action
    assert loaded.policy.default == Deny(13)


@pytest.mark.parametrize(
    ("given_errno", "action"), [(0, Deny(0)), (22, Deny(22)), (5000, Deny(4095)), (0x10001, Deny(1))]
)
def test_an_errno_is_what_a_program_would_see(given_errno: int, action: Deny) -> None:
    loaded = oci.load(profile(row("ERRNO", errnoRet=given_errno), defaultErrnoRet=13))

    assert decided(loaded, "read") == action
    assert bool(loaded.findings) == (action.errno != given_errno)


def test_an_errno_of_an_action_without_one_is_named() -> None:
    loaded = oci.load(profile(row("ALLOW", errnoRet=1)))

    assert decided(loaded, "read") == Allow()
    assert "crun refuses" in str(loaded.findings[0])


def test_comparisons_of_different_registers_must_all_hold() -> None:
    loaded = oci.load(profile(row("ALLOW", "socket", args=[arg(0, "EQ", 2), arg(1, "EQ", 1)])))

    assert decided(loaded, "socket", 2, 1) == Allow()
    assert decided(loaded, "socket", 2, 2) == Deny(1)


def test_of_two_comparisons_of_one_register_each_is_enough_and_so_is_every_other() -> None:
    args = [arg(0, "EQ", 2), arg(0, "EQ", 10), arg(1, "EQ", 5)]
    loaded = oci.load(profile(row("ALLOW", "socket", args=args)))

    assert [decided(loaded, "socket", *one) for one in ((2, 1), (10, 1), (3, 5))] == [Allow()] * 3
    assert decided(loaded, "socket", 3, 1) == Deny(1)
    assert any("any of the comparisons" in finding.message for finding in loaded.findings)


def test_a_rule_of_the_default_action_is_left_out_as_runtimes_do() -> None:
    loaded = oci.load(profile(row("ERRNO", "socket", args=[arg(0, "EQ", 40)]), row("ALLOW", "socket")))

    assert decided(loaded, "socket", 40) == Allow()


def test_unknown_calls_are_named_and_the_rest_of_their_row_stands() -> None:
    loaded = oci.load(profile(row("ALLOW", "read", "raed", "frobnicate")))

    assert decided(loaded, "read") == Allow()
    assert [(finding.origin.key, finding.lost) for finding in loaded.findings] == [("syscalls[0]", True)]
    assert "raed, frobnicate" in loaded.findings[0].message


def test_the_hosts_own_abi_is_always_among_those_listed() -> None:
    loaded = oci.load(profile(row("ALLOW"), architectures=["SCMP_ARCH_X86"]), machine=Arch.X86_64)

    assert loaded.policy.arches == frozenset({Arch.X86_64, Arch.I386})
    assert oci.load(profile(row("ALLOW")), machine=Arch.ARM).policy.arches == frozenset({Arch.ARM})


def test_runc_answers_enosys_above_the_highest_number_and_crun_the_default() -> None:
    text = profile(row("ALLOW", "openat"))

    assert decided(oci.load(text), "clone3") == Deny(ENOSYS)
    assert decided(oci.load(text), "close") == Deny(1)
    assert decided(oci.load(text, runtime="crun"), "clone3") == Deny(1)
    assert oci.load(text).policy.decide(Arch.X86_64, 9999, (0,) * 6).action == Deny(ENOSYS)
    assert oci.load(profile(defaultAction="SCMP_ACT_LOG")).policy.known_as_of is None


def test_whom_to_ask_and_flags_are_kept_and_named() -> None:
    loaded = oci.load(
        profile(
            row("NOTIFY", "mknod"),
            listenerPath="/run/agent",
            listenerMetadata="one",
            flags=["SECCOMP_FILTER_FLAG_LOG"],
        )
    )

    assert (loaded.listener, loaded.flags) == (Listener("/run/agent", "one"), ("SECCOMP_FILTER_FLAG_LOG",))
    assert [finding.origin.key for finding in loaded.findings] == ["flags[0]", "listenerPath"]


def test_a_whole_config_is_read(tmp_path: Path) -> None:
    path = tmp_path / "web.json"
    path.write_text(json.dumps({"ociVersion": "1.2.0", "linux": {"seccomp": json.loads(profile(row("ALLOW")))}}))
    loaded = oci.load(path)

    assert loaded.policy.name == "web"
    assert str(loaded.policy.rules[-1].origin) == f"{path} (linux.seccomp.syscalls[0])"


def test_keys_that_no_runtime_knows_and_keys_written_twice_are_named() -> None:
    text = b'{"defaultAction":"SCMP_ACT_ALLOW","syscall":[],"defaultAction":"SCMP_ACT_KILL"}'
    loaded = oci.load(text)

    assert loaded.policy.default == KillThread()
    assert ["more than once" in loaded.findings[0].message, "syscall" in loaded.findings[1].message] == [True, True]
    assert "did you mean 'names'" in oci.load(profile(row("ALLOW", NAMES=[])), runtime="crun").findings[0].message


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b"", "no JSON"),
        (b"\xff", "no UTF-8 at byte 0"),
        (b"[" * 100_000, "no JSON that can be read"),
        (b"[]", "an object was expected, not a list"),
        (b"{}", "no defaultAction"),
        (b'{"linux":{}}', "no seccomp"),
        (b'{"linux":[]}', "linux is no object"),
        (profile(defaultAction="ALLOW"), "unknown action 'ALLOW'"),
        (profile(defaultAction=7), "a string was expected, not 7"),
        (profile(row("ALLOW", errnoRet=-1)), "-1 is not in 0..4294967295"),
        (profile(row("ERRNO", errnoRet=True)), "an integer was expected, not a truth value"),
        (profile(row("ALLOW", args=[arg(6, "EQ", 1)])), "6 is not in 0..5"),
        (profile(row("ALLOW", args=[arg(0, "LIKE", 1)])), "unknown operator"),
        (profile(row("ALLOW", args=[arg(0, "EQ", 1 << 64)])), "is not in 0.."),
        (profile(row("ALLOW", args=[{"index": 0}])), "no op"),
        (profile(row("ALLOW", args=7)), "a list was expected, not 7"),
        (profile({"action": "SCMP_ACT_ALLOW"}), "names no call"),
        (profile({"names": ["read"]}), "no action"),
        (profile(architectures=["SCMP_ARCH_VAX"]), "unknown ABI 'SCMP_ARCH_VAX'"),
        (profile(flags=["FAST"]), "unknown flag 'FAST'"),
        (profile(listenerMetadata="x"), "listenerMetadata without a listenerPath"),
    ],
)
def test_what_is_no_profile_is_an_error_with_a_place(text: bytes, complaint: str) -> None:
    with pytest.raises(PolicyError) as raised:
        oci.load(text)

    assert complaint in str(raised.value)


@pytest.mark.parametrize("path", ["/nonexistent/profile.json", "\0", "/"])
def test_a_file_that_cannot_be_read_is_an_error(path: str) -> None:
    with pytest.raises(PolicyError):
        oci.load(path)


# ---- out ----

words = st.sampled_from([0, 1, 2, 3, 5, 0x7F, 0x80, 0xFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x1_00000000, 2**64 - 1])


@st.composite
def drawn_tests(draw: st.DrawFn) -> Test:
    width = draw(st.sampled_from([8, 16, 32, 64]))
    signed = draw(st.booleans())
    mask = draw(st.none() | words.filter(lambda mask: mask < 1 << width))
    low = -(1 << (width - 1)) if signed and mask is None else 0
    value = draw(
        st.sampled_from([0, 1, 2, 5, 0x7F, low, low + (1 << width) - 1]).filter(lambda one: one - low < 1 << width)
    )
    return Test(
        draw(st.integers(0, 1)),
        draw(st.sampled_from(sorted(OPERATORS))),
        width=width,
        signed=signed,
        mask=mask,
        value=value,
    )


conditions = st.recursive(
    drawn_tests(),
    lambda parts: (
        st.lists(parts, min_size=1, max_size=2).map(AllOf)
        | st.lists(parts, min_size=1, max_size=2).map(AnyOf)
        | st.builds(Not, parts)
    ),
    max_leaves=3,
)
registers = st.tuples(words, words)


@given(test=drawn_tests(), word=words | st.integers(0, 2**64 - 1))
def test_cubes_hold_exactly_where_the_test_does(test: Test, word: int) -> None:
    args = [word] * 6

    assert any(word & cube.mask == cube.value for cube in cubes_of(test)) == test.holds(args)


@given(condition=conditions, args=registers)
def test_clauses_and_their_comparisons_hold_exactly_where_the_condition_does(
    condition: Condition, args: tuple[int, int]
) -> None:
    registers_of = (*args, 0, 0, 0, 0)
    clauses = alternatives(condition)
    held = condition.holds(registers_of)

    assert any(all(test.holds(registers_of) for test in clause) for clause in clauses) == held
    try:
        rows = [row for clause in clauses for row in comparisons_of(clause)]
    except TooManyClausesError:
        return  # the caller writes the strictest action, and says so
    asked = [[one.test(Arch.X86_64) for one in row] for row in rows]
    assert any(all(test is None or test.holds(registers_of) for test in row) for row in asked) == held


def policy_of(*rules: Rule, default: Action = Deny(13), **rest: Any) -> Policy:
    return Policy("one", default, rules=rules, **({"arches": frozenset({Arch.X86_64})} | rest))


def back(policy: Policy) -> tuple[Loaded, Sequence[str]]:
    dumped = oci.dump(policy, machine=Arch.X86_64, listener=Listener("/run/agent"))
    lost = [finding.message for finding in dumped.findings if finding.lost]
    return oci.load(dumped.text.encode(), machine=Arch.X86_64, runtime="crun"), lost


actions = st.sampled_from([Allow(), Deny(1), KillProcess(), Audit(), Deny(13)])
simple = drawn_tests().filter(lambda test: test.mask is None or test.mask.bit_count() < 4)
rules = st.builds(
    lambda condition, action: Rule(("socket",), action, when=None if condition is None else Expression.of(condition)),
    st.none() | simple,
    actions,
)


@given(
    own=st.lists(rules, max_size=3),
    beneath=st.lists(rules, max_size=2),
    default=actions,
    args=registers,
)
def test_what_goes_out_comes_back_with_the_same_meaning(
    own: list[Rule], beneath: list[Rule], default: Action, args: tuple[int, int]
) -> None:
    layer = Policy("beneath", Allow(), rules=beneath)
    policy = policy_of(*own, default=default, includes=(layer,))
    loaded, lost = back(policy)
    nr = number_of(Arch.X86_64, "socket")
    assert nr is not None

    wanted = policy.decide(Arch.X86_64, nr, (*args, 0, 0, 0, 0)).action
    if not lost:
        assert loaded.policy.decide(Arch.X86_64, nr, (*args, 0, 0, 0, 0)).action == wanted


@pytest.mark.parametrize("name", ["hardening", "no-network", "system-service", "docker-default", "containers-default"])
def test_presets_go_out_and_come_back_for_one_machine(name: str) -> None:
    policy = preset(f"preset:{name}")
    dumped = oci.dump(policy, machine=Arch.X86_64)
    loaded = oci.load(dumped.text.encode(), machine=Arch.X86_64)
    differing = {
        (call, first)
        for call in names(Arch.X86_64)
        for first in (0, 1, 2, 8, 16, 40, 0x10000000, 0x5412, 0xFFFFFFFF)
        if decided(loaded, call, first, first)
        != policy.decide(Arch.X86_64, number_of(Arch.X86_64, call) or 0, (first, first, 0, 0, 0, 0)).action
    }

    assert differing == set()


def test_what_a_profile_cannot_say_is_named_and_the_stricter_is_written() -> None:
    policy = policy_of(
        Rule(("getpid",), Return(7)),
        Rule(("mknod",), Handle("devices")),
        Rule(("open",), Log()),
        Rule(("close",), Return(0)),
        Rule(("read",), Deny(5), arches=frozenset({Arch.I386})),
        Rule(("read",), Allow()),
        arches=X86,
        other_arch="enosys",
        tables={"files": {}},
    )
    dumped = oci.dump(policy)
    text = "\n".join(str(finding) for finding in dumped.findings)

    for word in (
        "returns 7",
        "handler 'devices'",
        "the kernel's log",
        "read is decided otherwise",
        "[files]",
        "ENOSYS",
    ):
        assert word in text
    loaded = oci.load(dumped.text.encode(), runtime="crun")
    assert decided(loaded, "getpid") == Deny(1)
    assert decided(loaded, "mknod") == Ask(ENOSYS)
    assert decided(loaded, "open") == Audit()
    assert decided(loaded, "close") == Deny(0)
    assert decided(loaded, "read") == Deny(5)


def test_an_ask_without_a_listener_is_named() -> None:
    assert any("listenerPath" in str(finding) for finding in oci.dump(policy_of(Rule(("read",), Ask()))).findings)
    kept = oci.dump(
        policy_of(Rule(("read",), Ask())), listener=Listener("/run/a", "m"), flags=["SECCOMP_FILTER_FLAG_LOG"]
    )
    assert {
        "listenerPath": "/run/a",
        "listenerMetadata": "m",
        "flags": ["SECCOMP_FILTER_FLAG_LOG"],
    }.items() <= json.loads(kept.text).items()


@given(own=st.lists(rules, min_size=1, max_size=2), args=registers)
def test_libseccomp_compiles_what_goes_out_to_what_was_meant(own: list[Rule], args: tuple[int, int]) -> None:
    require("libseccomp", libseccomp.library() is not None)
    policy = policy_of(*own)
    dumped = oci.dump(policy, machine=Arch.X86_64)
    shape = json.loads(dumped.text)
    loaded = oci.load(json.dumps(shape).encode(), machine=Arch.X86_64, runtime="crun")

    @cache
    def action(name: str, errno: int | None) -> Action:
        row = {"names": ["socket"], "action": name} | ({} if errno is None else {"errnoRet": errno})
        return decided(oci.load(json.dumps(shape | {"syscalls": [row]}).encode(), runtime="crun"), "socket")

    rows = [
        libseccomp.Rule(
            name,
            action(one["action"], one.get("errnoRet")),
            tuple(
                Comparison(each["index"], each["op"], each["value"], each.get("valueTwo", 0))
                for each in one.get("args", [])
            ),
        )
        for one in shape["syscalls"]
        for name in one["names"]
    ]
    program = libseccomp.compiled(loaded.policy.default, rows, [])
    nr = number_of(Arch.X86_64, "socket")
    assert nr is not None

    wanted = policy.decide(Arch.X86_64, nr, (*args, 0, 0, 0, 0)).action
    if any("too many" in finding.message for finding in dumped.findings):
        assert rank(loaded.policy.decide(Arch.X86_64, nr, (*args, 0, 0, 0, 0)).action) >= rank(wanted)
        return
    assert libseccomp.answer(program, Arch.X86_64, nr, (*args, 0, 0, 0, 0)) == libseccomp.return_value(wanted)


def test_keys_are_read_in_any_case_where_go_reads_them_and_the_last_counts() -> None:
    row = '{"Names": ["read"], "action": "SCMP_ACT_ALLOW", "Action": "SCMP_ACT_LOG"}'
    text = f'{{"DefaultAction": "SCMP_ACT_ERRNO", "syscalls": [{row}]}}'.encode()

    loaded = oci.load(text, machine=Arch.X86_64)

    assert loaded.policy.decide(Arch.X86_64, 0, (0,) * 6).action == Audit()
    assert ["unknown to crun" in finding.message for finding in loaded.findings] == [True] * 3
    with pytest.raises(PolicyError, match="no defaultAction"):
        oci.load(text, machine=Arch.X86_64, runtime="crun")


def test_half_a_surrogate_pair_is_no_word_that_cannot_be_printed() -> None:
    row = '{"names": ["read", "\\ud800"], "action": "SCMP_ACT_ALLOW", "\\udfff": 1, "\\udfff": 2}'

    loaded = oci.load(f'{{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{row}]}}'.encode())

    assert len("\n".join(map(str, loaded.findings)).encode()) > 0
    assert len(loaded.findings) == 3


@pytest.mark.parametrize("arches", [{Arch.X32}, X86])
def test_what_x32_decides_by_bits_that_libseccomp_does_not_look_at_is_never_looser(arches: set[Arch]) -> None:
    wide = Rule(("prctl",), Deny(1), when=Expression("args[1] != 5"))
    narrow = Rule(("socket",), Deny(1), when=Expression("domain != AF_UNIX"))
    policy = Policy("one", Allow(), rules=[wide, narrow], arches=frozenset(arches))
    dumped = oci.dump(policy)

    loaded = oci.load(dumped.text.encode(), machine=Arch.X86_64, runtime="crun")

    nr = number_of(Arch.X32, "prctl")
    assert nr is not None
    assert any("looks at 32" in finding.message and finding.lost for finding in dumped.findings)
    assert policy.decide(Arch.X32, nr, (0, 1 << 32 | 5, 0, 0, 0, 0)).action == Deny(1)
    assert loaded.policy.decide(Arch.X32, nr, (0, 1 << 32 | 5, 0, 0, 0, 0)).action in {Deny(1), KillProcess()}
    assert not any(
        "looks at 32" in finding.message for finding in oci.dump(attrs.evolve(policy, rules=[narrow])).findings
    )
