"""A program that goes out alone says what its policy says where nobody is asked: to us, to the kernel and to bwrap."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from errno import EACCES, EPERM, EXDEV
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.abi.arch import Arch
from monitor.abi.seccomp import ACTION_MASK, MAX_ERRNO, MAX_INSTRUCTIONS, RetValue
from monitor.abi.syscalls import number_of
from monitor.errors import ProgramTooLongError
from monitor.origin import Origin
from monitor.policy.action import Action, Allow, Ask, Audit, Deny, Handle, Log, Return, rank
from monitor.policy.answers import value_of
from monitor.policy.blob import ByteOrder, read_blob
from monitor.policy.compile import RESERVED
from monitor.policy.condition import Test
from monitor.policy.formats import Kind
from monitor.policy.formats.program import dump
from monitor.policy.model import Policy, Rule
from monitor.policy.numbers import owner
from tests.conftest import require
from tests.policy.children import in_child, install, raw_syscall
from tests.policy.drawn import EXAMPLES, NO_ARGS, Args, Caller, Fixed, policies, run
from tests.policy.test_kernel_policy import HARMLESS, random_policy

NATIVE = Arch.native()
CALLS_EACH = 40


def in_words(action: Action) -> int:
    """Return what a filter has to return for *action* where nobody answers."""
    match action:
        case Ask(errno):
            return RetValue.ERRNO | errno
        case Handle():
            return RetValue.ERRNO | EPERM
        case Return(value) if value:
            return RetValue.ERRNO | EPERM
        case Log():
            return RetValue.LOG.value
        case _:
            return value_of(action)


def expected(policy: Policy, machine: Arch, audit_value: int, nr: int, args: Args) -> int:
    arch = owner(audit_value, nr)
    if arch is None or arch not in machine.family():
        said = [layer.decide_elsewhere() for layer in policy.layers()]
        return in_words(max(said, key=lambda decision: rank(decision.action)).action)
    return in_words(policy.decide(arch, nr, args).action)


def order_of(machine: Arch) -> ByteOrder:
    return "little" if machine.little_endian else "big"


@settings(max_examples=200)  # that a program is its policy has a property of its own
@given(policy=policies(1), machine=st.sampled_from(Arch), seed=st.integers(0, (1 << 64) - 1))
def test_a_program_alone_is_the_policy_with_nobody_there(policy: Policy, machine: Arch, seed: int) -> None:
    EXAMPLES[f"a program alone is the policy with nobody there, {CALLS_EACH} calls each"] += 1
    program = read_blob(dump(policy, machine=machine).data, order_of(machine))
    caller = Caller(seed, policy, sorted(machine.family(), key=list(Arch).index))

    for _ in range(CALLS_EACH):
        (audit_value, nr), args = caller.call(), caller.args()
        value = run(program, audit_value, nr, args).value
        assert value == expected(policy, machine, audit_value, nr, args)
        assert value & ACTION_MASK != RetValue.USER_NOTIF


def test_a_refusal_that_stands_for_an_ask_wins_over_nothing_that_the_ask_would_have_lost_to() -> None:
    """An ask of one layer would be EACCES here, were it not for the other layer, which refuses with EXDEV."""
    layers = [Policy("b", rules=[Rule(["getuid"], Deny(EXDEV))]), Policy("c", rules=[Rule(["getgid"], Handle("x"))])]
    policy = Policy("a", rules=[Rule(["getuid", "getgid"], Ask(EACCES))], includes=layers)
    program = read_blob(dump(policy, machine=Arch.X86_64).data, "little")

    def value(name: str) -> int:
        nr = number_of(Arch.X86_64, name)
        assert nr is not None
        return run(program, Arch.X86_64.audit_value, nr).value

    assert value("getuid") == RetValue.ERRNO | EXDEV
    assert value("getgid") == RetValue.ERRNO | EACCES


def test_everything_that_a_program_cannot_say_is_named_once_with_its_place() -> None:
    lost: dict[Action, str] = {
        Ask(EACCES): "with EACCES",
        Handle("x"): "'x' is not there",
        Log(): "of ours",
        Return(5): "returns 5",
    }
    kept: list[Action] = [Allow(), Audit(), Deny(5), Return(0)]
    rules = [Rule(["read"], action, origin=Origin("p", line)) for line, action in enumerate([*lost, *kept], start=1)]
    rules.append(Rule(["write"], Allow(), mutable=True, origin=Origin("p", 20)))
    above = Policy("above", Ask(), origin=Origin("above"))
    policy = Policy("p", rules=rules, extends=above, tables={"files": None}, origin=Origin("p"))

    findings = dump(policy, machine=NATIVE).findings

    found = {finding.origin.line: finding for finding in findings if finding.origin.line}
    assert sorted(found) == [1, 2, 3, 4, 20]
    for line, words in enumerate(lost.values(), start=1):
        assert words in found[line].message
        assert found[line].kind is Kind.LOST
    assert [(one.kind, one.message.split()[0]) for one in findings if not one.origin.line] == [
        (Kind.LOST, "[files]"),
        (Kind.NOTE, "names,"),
    ]
    assert (found[20].kind, "mutable" in found[20].message) == (Kind.NOTE, True)


def rule_at(value: int) -> Rule:
    return Rule(["read"], Deny(7), when=Fixed(Test(0, "==", width=32, value=value)))


def test_a_program_may_have_every_instruction_that_the_kernel_takes() -> None:
    """Nothing is put before it, so that nothing is left free for that."""
    rules = [rule_at(value) for value in range(0, 8120, 2)]
    policy = Policy("many", rules=rules)

    assert MAX_INSTRUCTIONS - RESERVED < len(dump(policy, machine=Arch.RISCV64).data) // 8 <= MAX_INSTRUCTIONS
    with pytest.raises(ProgramTooLongError):
        dump(Policy("more", rules=rules + [rule_at(value) for value in range(8160, 8320, 2)]), machine=Arch.RISCV64)


@pytest.mark.parametrize("seed", range(3))
def test_the_kernel_does_with_it_what_the_policy_says(seed: int) -> None:
    rng = random.Random(f"alone {seed}")
    numbers = [nr for name in HARMLESS if (nr := number_of(NATIVE, name)) is not None]
    seen: set[int] = set()
    for _ in range(30):
        policy = random_policy(rng)
        data = dump(policy, machine=NATIVE).data
        caller = Caller(rng.getrandbits(64), policy, [NATIVE])
        cases = [(rng.choice(numbers), caller.args()) for _ in range(100)]

        def ask(data: bytes = data, cases: list[tuple[int, Args]] = cases) -> list[int]:
            return [install(data), *(raw_syscall(nr, args) for nr, args in cases)]

        values = [expected(policy, NATIVE, NATIVE.audit_value, nr, args) for nr, args in cases]
        wanted = [min(value & 0xFFFF, MAX_ERRNO) if value & ACTION_MASK == RetValue.ERRNO else 0 for value in values]
        assert in_child(ask) == [0, *wanted]
        seen |= set(wanted)
    assert {0, EPERM, 5, 7} <= seen


def test_bwrap_installs_it(tmp_path: Path) -> None:
    """What ``bwrap --seccomp FD`` reads is such a file."""
    require("bubblewrap", shutil.which("bwrap") is not None)
    rules = [Rule(["getppid"], Deny(EXDEV)), Rule(["getuid"], Ask(EACCES)), Rule(["getgid"], Return(0))]
    path = tmp_path / "filter.bpf"
    path.write_bytes(dump(Policy("p", rules=rules), machine=NATIVE).data)
    script = "import ctypes, sys; libc = ctypes.CDLL(None, use_errno=True)\n" + "".join(
        f"print(libc.syscall({number_of(NATIVE, name)}), ctypes.get_errno(), flush=True); ctypes.set_errno(0)\n"
        for name in ("getppid", "getuid", "getgid")
    )

    with path.open("rb") as file:
        os.set_inheritable(file.fileno(), True)
        command = ["bwrap", "--bind", "/", "/", "--dev", "/dev", "--seccomp", str(file.fileno())]
        done = subprocess.run(
            [*command, sys.executable, "-I", "-c", script],
            pass_fds=[file.fileno()],
            capture_output=True,
            text=True,
            check=False,
        )

    assert done.stderr == ""
    assert done.stdout.split("\n") == [f"-1 {EXDEV}", f"-1 {EACCES}", "0 0", ""]


def test_a_listener_of_its_own_is_the_policys_to_refuse() -> None:
    """Under a supervisor no program makes one; here nothing is notified, and so there is nothing to take over."""
    program = read_blob(dump(Policy("p"), machine=Arch.AARCH64).data, "little")
    nr = number_of(Arch.AARCH64, "seccomp")
    assert nr is not None

    assert run(program, Arch.AARCH64.audit_value, nr, (1, 8, *NO_ARGS[2:])).value == RetValue.ALLOW
