"""The program of a policy says what the policy says, of every call of every ABI; the rest is in its routes."""

from __future__ import annotations

from collections.abc import Mapping
from errno import EACCES, EBUSY, ENOSYS, EPERM

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.abi.arch import Arch
from monitor.abi.seccomp import ACTION_MASK, MAX_INSTRUCTIONS, OFFSET_ARCH, OFFSET_ARGS, OFFSET_NR, RetValue
from monitor.abi.syscalls import call_table, number_of
from monitor.errors import ProgramTooLongError
from monitor.origin import Origin
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
    is_refusal,
)
from monitor.policy.answers import answer, value_of
from monitor.policy.bpf import BRANCHES, Instruction, Op, Program
from monitor.policy.compile import RESERVED, CompiledPolicy, compile_policy
from monitor.policy.condition import ALWAYS, NEVER, AllOf, AnyOf, Condition, Not, Test, cut
from monitor.policy.model import Decision, Policy, Rule
from monitor.policy.numbers import EVERY, Numbers, owner
from monitor.sources.prologue import new_cookie, prologue
from tests.policy.drawn import (
    EXAMPLES,
    MINUS_ONE,
    NO_ARGS,
    X32_BIT,
    Args,
    Caller,
    conditions,
    machines,
    numbers_for,
    numbers_of,
    only,
    policies,
    registers,
    run,
)

NOTIFY, ALLOW, KILL = RetValue.USER_NOTIF.value, RetValue.ALLOW.value, RetValue.KILL_PROCESS.value
NO_SUCH_CALL = RetValue.ERRNO | ENOSYS
BUSY = RetValue.ERRNO | EBUSY
REFUSING = {RetValue.KILL_PROCESS, RetValue.KILL_THREAD, RetValue.TRAP, RetValue.ERRNO}

WRITTEN_DOWN: list[tuple[Action, int]] = [
    (KillProcess(), 0x80000000),
    (KillThread(), 0x00000000),
    (Trap(7), 0x00030007),
    (Deny(13), 0x0005000D),
    (Deny(0), 0x00050000),
    (Return(0), 0x00050000),
    (Return(1), 0x7FC00000),
    (Ask(), 0x7FC00000),
    (Handle("x"), 0x7FC00000),
    (Trace(9), 0x7FF00009),
    (Audit(), 0x7FFC0000),
    (Log(), 0x7FC00000),
    (Allow(), 0x7FFF0000),
]

NATIVE = [Arch.X86_64]
AUDIT = Arch.X86_64.audit_value


def number(name: str, arch: Arch = Arch.X86_64) -> int:
    found = number_of(arch, name)
    assert found is not None
    return found


def returned(compiled: CompiledPolicy, name: str, args: Args = NO_ARGS, arch: Arch = Arch.X86_64) -> int:
    """Return what the program returns for a call."""
    return run(compiled.program, arch.audit_value, number(name, arch), args).value


@pytest.mark.parametrize(("action", "value"), WRITTEN_DOWN)
def test_each_action_is_what_the_kernel_calls_it(action: Action, value: int) -> None:
    assert value_of(action) == value
    assert returned(compile_policy(Policy("p", action), NATIVE), "read") == value
    assert returned(compile_policy(Policy("p", rules=[Rule(["read"], action)]), NATIVE), "read") == value


def test_a_default_keeps_its_own_parameters() -> None:
    """To Python 1 and true are equal, and what is worked out for one policy serves for an equal one."""
    for value in (1, True, 1.0):
        routes = compile_policy(Policy("p", Handle("x", {"n": value})), NATIVE).routes
        action = routes.of(AUDIT, number("read")).decide(NO_ARGS).action

        assert isinstance(action, Handle)
        assert type(action.parameters["n"]) is type(value)


CALLS_EACH = 40

seeds = st.integers(0, (1 << 64) - 1)


@pytest.mark.seconds(900)
@given(data=st.data(), policy=policies(1), machine=machines, seed=seeds, observe=st.booleans(), handled=st.booleans())
def test_program_and_routes_agree_with_the_meaning(
    data: st.DataObject, policy: Policy, machine: list[Arch], seed: int, observe: bool, handled: bool
) -> None:
    EXAMPLES[f"a program and its routes agree with the meaning, {CALLS_EACH} calls each"] += 1
    notified = {arch: data.draw(numbers_for(arch)) for arch in machine} if handled else {}
    compiled = compile_policy(policy, machine, notified=notified, observe=observe)
    caller = Caller(seed, policy, machine)

    for _ in range(CALLS_EACH):
        (audit_value, nr), args = caller.call(), caller.args()
        value = run(compiled.program, audit_value, nr, args).value
        assert value == answer(policy, machine, audit_value, nr, args, notified=notified, observe=observe)
        check_route(compiled, policy, notified, (audit_value, nr, args), is_notified=value == NOTIFY)
        if observe:  # nothing is refused but a listener, which is ours to refuse and not the policy's
            assert value in {NOTIFY, ALLOW, RetValue.LOG, BUSY}
            assert value != BUSY or nr in {number_of(arch, "seccomp") for arch in machine}


def check_route(
    compiled: CompiledPolicy,
    policy: Policy,
    notified: Mapping[Arch, Numbers],
    call: tuple[int, int, Args],
    *,
    is_notified: bool,
) -> None:
    """What the supervisor learns of a route is what the policy says, whether BPF could have known it or not."""
    audit_value, nr, args = call
    route, arch = compiled.routes.of(audit_value, nr), owner(audit_value, nr)
    decision = route.decide(args)
    assert route.notified or not is_notified
    if arch not in compiled.routes.others:
        assert (route.arch, route.name) == (None, None)
        assert is_refusal(decision.action)
        return
    assert arch is not None
    meant, numbers = policy.decide(arch, nr, args), notified.get(arch, frozenset())
    assert decision.action == meant.action
    assert decision.rule is meant.rule
    assert decision.policy is meant.policy
    assert (route.arch, route.name) == (arch, call_table(arch).get(nr))
    assert route.wanted == (numbers is EVERY or nr in numbers)


def without_mutable(policy: Policy) -> Policy:
    """Return *policy* with every rule fixed."""
    return attrs.evolve(
        policy,
        rules=[attrs.evolve(rule, mutable=False) for rule in policy.rules],
        includes=[without_mutable(each) for each in policy.includes],
        extends=policy.extends and without_mutable(policy.extends),
    )


@pytest.mark.seconds(900)
@given(drawn=policies(), machine=machines, seed=seeds)
def test_program_agrees_with_decide(drawn: Policy, machine: list[Arch], seed: int) -> None:
    """Without handlers and rules that may change, the value is that of the policy's own decision and nothing else."""
    EXAMPLES[f"a program agrees with Policy.decide, {CALLS_EACH} calls each"] += 1
    policy = without_mutable(drawn)
    program = compile_policy(policy, machine).program
    caller = Caller(seed, policy, machine)

    for _ in range(CALLS_EACH):
        arch, args = caller.arch(), caller.args()
        nr = caller.known(arch)
        value = run(program, arch.audit_value, nr, args).value
        meant = value_of(policy.decide(arch, nr, args).action)
        if nr == number_of(arch, "seccomp") and meant & ACTION_MASK not in REFUSING:
            assert value == (BUSY if args[0] & MINUS_ONE == 1 and args[1] & 8 else meant)
        else:
            assert value == meant


@pytest.mark.seconds(900)
@given(condition=conditions, arch=st.sampled_from(Arch), seed=seeds)
def test_a_condition_means_the_same_in_a_program(condition: Condition, arch: Arch, seed: int) -> None:
    EXAMPLES[f"a condition means the same in a program, {CALLS_EACH} calls each"] += 1
    policy = Policy("p", Allow(), rules=[only(condition, Deny(7), "read")])
    program = compile_policy(policy, [arch]).program
    caller = Caller(seed, policy, [arch])

    for _ in range(CALLS_EACH):
        args = caller.args()
        seen = [each & MINUS_ONE for each in args] if arch.register_bits == 32 else args
        value = run(program, arch.audit_value, number("read", arch), args).value
        assert value == (RetValue.ERRNO | 7 if condition.holds(seen) else ALLOW)


@given(condition=conditions, low=st.lists(registers, min_size=6, max_size=6), high=st.lists(registers, min_size=6))
def test_a_register_of_32_bits_has_no_upper_half(condition: Condition, low: list[int], high: list[int]) -> None:
    words = [each & MINUS_ONE for each in low]
    baited = [word | (bait & MINUS_ONE) << 32 for word, bait in zip(words, high, strict=False)]

    assert cut(condition, 32).holds(words) == condition.holds(words)
    assert cut(condition, 32).holds(baited) == condition.holds(words)
    assert cut(condition, 64) == condition


@pytest.mark.seconds(900)
@given(policy=policies(1), machine=machines, seed=seeds)
def test_no_handler_lifts_a_refusal(policy: Policy, machine: list[Arch], seed: int) -> None:
    EXAMPLES[f"no handler lifts a refusal, {CALLS_EACH} calls each"] += 1
    numbers: dict[Arch, Numbers] = dict.fromkeys(machine, EVERY)
    plain, handled = compile_policy(policy, machine).program, compile_policy(policy, machine, notified=numbers).program
    caller = Caller(seed, policy, machine)

    for _ in range(CALLS_EACH):
        (audit_value, nr), args = caller.call(), caller.args()
        value = run(plain, audit_value, nr, args).value
        expected = value if value & ACTION_MASK in REFUSING else NOTIFY
        assert run(handled, audit_value, nr, args).value == expected


X86 = [Arch.X86_64, Arch.X32, Arch.I386]
LISTENING: Args = (1, 8, 0, 0, 0, 0)


@pytest.mark.parametrize("arch", Arch)
@pytest.mark.parametrize("default", [Allow(), Log(), Audit(), Ask(), Trace(), Handle("x"), Return(5)])
def test_a_listener_of_the_targets_own_is_refused(arch: Arch, default: Action) -> None:
    compiled = compile_policy(Policy("p", default), [arch])

    for args in (LISTENING, (1 | 7 << 32, 0xF | 1 << 63, 1, 2, 3, 4)):
        assert returned(compiled, "seccomp", args, arch) == BUSY
    for args in (NO_ARGS, (1, 0, 0, 0, 0, 0), (2, 8, 0, 0, 0, 0), (1 << 32, 8, 0, 0, 0, 0), (1, 8 << 32, 0, 0, 0, 0)):
        assert returned(compiled, "seccomp", args, arch) == value_of(default)


@pytest.mark.parametrize("default", [KillProcess(), KillThread(), Trap(), Deny(EACCES), Return(0)])
def test_a_stricter_policy_says_itself_what_becomes_of_a_listener(default: Action) -> None:
    assert returned(compile_policy(Policy("p", default), NATIVE), "seccomp", LISTENING) == value_of(default)
    observed = compile_policy(Policy("p", default), NATIVE, observe=True)
    assert returned(observed, "seccomp", LISTENING) == BUSY


def test_other_abis_are_killed_or_unknown_as_the_policy_says() -> None:
    strangers = [
        (Arch.I386.audit_value, 5), (Arch.AARCH64.audit_value, 56), (0, 0), (AUDIT, X32_BIT), (AUDIT, MINUS_ONE - 1),
    ]  # fmt: skip
    kills = compile_policy(Policy("p"), NATIVE).program
    knows_not = compile_policy(Policy("p", other_arch="enosys"), NATIVE).program
    stacked = compile_policy(Policy("p", other_arch="enosys", includes=[Policy("q")]), NATIVE).program

    for audit_value, nr in strangers:
        assert run(kills, audit_value, nr).value == KILL
        assert run(knows_not, audit_value, nr).value == NO_SUCH_CALL
        assert run(stacked, audit_value, nr).value == KILL
    for program in (kills, knows_not, stacked):
        assert run(program, AUDIT, MINUS_ONE).value == ALLOW


def test_a_layer_without_an_abi_refuses_it_and_the_others_stay() -> None:
    policy = Policy("p", arches=frozenset({Arch.X86_64}), other_arch="enosys", rules=[Rule(["read"], Deny(EACCES))])
    compiled = compile_policy(policy, X86)

    assert returned(compiled, "read") == RetValue.ERRNO | EACCES
    assert returned(compiled, "read", arch=Arch.I386) == NO_SUCH_CALL
    assert returned(compiled, "write", arch=Arch.X32) == NO_SUCH_CALL


def test_calls_newer_than_the_policy_do_not_exist_unless_a_rule_names_them() -> None:
    policy = Policy("p", known_as_of=(5, 10), rules=[Rule(["openat2", "mseal"], Deny(EACCES))])
    compiled = compile_policy(policy, NATIVE)

    assert returned(compiled, "landlock_restrict_self") == NO_SUCH_CALL
    assert returned(compiled, "mseal") == RetValue.ERRNO | EACCES
    assert returned(compiled, "read") == ALLOW
    assert run(compiled.program, AUDIT, 5000).value == NO_SUCH_CALL


def test_a_refusal_from_which_libc_must_fall_back_is_enosys_unless_its_errno_was_written() -> None:
    condition = Test(0, "==", value=3)
    rules = [
        Rule(["clone3"], Deny(EPERM), exact_errno=False),
        only(condition, Deny(EPERM), "openat2", exact_errno=False),
        only(condition, Deny(EPERM), "statx"),
    ]
    compiled = compile_policy(Policy("p", Deny(EPERM), exact_errno=False, rules=rules), NATIVE)

    assert returned(compiled, "clone3") == NO_SUCH_CALL
    assert returned(compiled, "openat2", (3, 0, 0, 0, 0, 0)) == NO_SUCH_CALL
    assert returned(compiled, "statx", (3, 0, 0, 0, 0, 0)) == RetValue.ERRNO | EPERM
    assert returned(compiled, "statx") == NO_SUCH_CALL
    assert returned(compiled, "read") == RetValue.ERRNO | EPERM


def test_the_most_restrictive_layer_wins_and_of_equals_the_first() -> None:
    high = Test(0, ">", value=10)
    first = only(high, Deny(1), "read")
    second = only(Not(Test(1, "==", value=5)), Deny(2), "read")
    policy = Policy("p", rules=[first], includes=[Policy("q", rules=[second]), Policy("r", Log())])
    compiled = compile_policy(policy, NATIVE)

    assert returned(compiled, "read", (11, 5, 0, 0, 0, 0)) == RetValue.ERRNO | 1
    assert returned(compiled, "read", (11, 6, 0, 0, 0, 0)) == RetValue.ERRNO | 1
    assert returned(compiled, "read", (10, 6, 0, 0, 0, 0)) == RetValue.ERRNO | 2
    assert returned(compiled, "read", (10, 5, 0, 0, 0, 0)) == NOTIFY


class TestRulesThatMayChange:
    def test_what_they_say_is_not_said_by_the_program(self) -> None:
        for action, _ in WRITTEN_DOWN:
            if isinstance(action, KillThread | Trap | Trace | Audit):
                continue  # these cannot be mutable
            rules = [Rule(["read"], action, mutable=True)]
            compiled = compile_policy(Policy("p", rules=rules), NATIVE)

            assert returned(compiled, "read") == NOTIFY
            assert returned(compiled, "write") == ALLOW

    def test_they_are_asked_wherever_they_stand_in_the_stack(self) -> None:
        below = Policy("q", rules=[Rule(["read"], Allow(), mutable=True)])

        assert returned(compile_policy(Policy("p", includes=[below]), NATIVE), "read") == NOTIFY

    def test_a_refusal_of_another_layer_outlives_us(self) -> None:
        below = Policy("q", rules=[Rule(["read"], Allow(), mutable=True)])
        policy = Policy("p", rules=[Rule(["read"], Deny(EACCES))], includes=[below])

        assert returned(compile_policy(policy, NATIVE), "read") == RetValue.ERRNO | EACCES


class TestWhatIsRefused:
    def test_no_arch_at_all(self) -> None:
        with pytest.raises(ValueError, match="no arch at all"):
            compile_policy(Policy("p"), [])

    def test_handlers_of_an_abi_that_the_program_is_not_for(self) -> None:
        with pytest.raises(ValueError, match="want calls of I386, and the program is made for X86_64"):
            compile_policy(Policy("p"), NATIVE, notified={Arch.I386: EVERY})

    def test_numbers_that_no_call_can_have(self) -> None:
        with pytest.raises(ValueError, match="is not the number of a call of X86_64"):
            compile_policy(Policy("p"), NATIVE, notified={Arch.X86_64: frozenset({X32_BIT})})

    def test_a_program_that_is_too_long_and_what_made_it_so(self) -> None:
        many = AnyOf(tuple(Test(0, "==", value=value << 32 | value) for value in range(1, 3000)))
        few = AnyOf(tuple(Test(1, "==", value=value << 32 | value) for value in range(1, 30)))
        rules = [
            only(many, Deny(), "ioctl", origin=Origin("agent.toml", 12)),
            only(few, Deny(), "socket", "read", "write", "close"),
        ]

        with pytest.raises(ProgramTooLongError) as caught:
            compile_policy(Policy("agent", rules=rules), [Arch.X86_64, Arch.I386])

        assert str(caught.value).startswith("policy 'agent' needs ")
        assert f"{MAX_INSTRUCTIONS - RESERVED} are left of the kernel's {MAX_INSTRUCTIONS} (" in str(caught.value)
        assert "(x86_64: " in str(caught.value)
        assert "most of the tests are those of agent.toml:12 (" in str(caught.value)
        assert "the rule for socket, read, write, ... (" in str(caught.value)


def test_the_launcher_finds_room_for_its_prologue() -> None:
    assert len(prologue(Arch.native(), new_cookie())) <= RESERVED


@pytest.mark.parametrize("arch", [Arch.X86_64, Arch.S390X])
def test_thousands_of_tests_are_reached_over_long_jumps(arch: Arch) -> None:
    rules = [only(Test(0, "==", value=base), Deny(base % 100 + 1), "read") for base in range(600)]
    rules += [only(Test(1, "<", value=5, signed=True), Deny(102), "write")]
    compiled = compile_policy(Policy("p", rules=rules), [arch])

    assert len(compiled.program) > 600
    for value in (0, 1, 299, 599, 600):
        meant = RetValue.ERRNO | value % 100 + 1 if value < 600 else ALLOW
        assert returned(compiled, "read", (value, 0, 0, 0, 0, 0), arch) == meant
    assert returned(compiled, "write", (0, (1 << 64) - 1, 0, 0, 0, 0), arch) == RetValue.ERRNO | 102


def constant_answer(program: Program, audit_value: int, nr: int) -> int | None:
    """
    Return what the kernel knows to be the answer for a number without any register, if it does.

    kernel/seccomp.c, ``seccomp_is_const_allow``, instruction by instruction.
    """
    accumulator, pc = 0, 0
    while True:
        code, k = program.instructions[pc].code, program.instructions[pc].k
        if code == Op.LD_ABS and k == OFFSET_NR:
            accumulator = nr
        elif code == Op.LD_ABS and k == OFFSET_ARCH:
            accumulator = audit_value
        elif code == Op.RET_K:
            return k
        elif code == Op.JA:
            pc += k
        elif code in {Op.JEQ_K, Op.JGE_K, Op.JGT_K, Op.JSET_K}:
            pc += _taken(program.instructions[pc], accumulator)
        elif code == Op.AND_K:
            accumulator &= k
        else:
            return None
        pc += 1


def _taken(jump: Instruction, accumulator: int) -> int:
    holds = {
        Op.JEQ_K: accumulator == jump.k,
        Op.JGE_K: accumulator >= jump.k,
        Op.JGT_K: accumulator > jump.k,
        Op.JSET_K: bool(accumulator & jump.k),
    }[Op(jump.code)]
    return jump.jt if holds else jump.jf


@pytest.mark.seconds(900)
@given(drawn=policies(1), machine=machines, seed=seeds)
def test_the_kernel_sees_what_is_always_allowed(drawn: Policy, machine: list[Arch], seed: int) -> None:
    """A number whose calls all layers allow, on no condition, is one that the kernel keeps in its bitmap."""
    policy = allowing(drawn)
    program = compile_policy(policy, machine).program
    caller = Caller(seed, policy, machine)

    for _ in range(CALLS_EACH):
        arch = caller.arch()
        nr = caller.known(arch)
        name = call_table(arch).get(nr, "")
        if name != "seccomp" and _always_allowed(policy, arch, nr, name):
            EXAMPLES["numbers that are always allowed, and that the kernel sees to be"] += 1
            assert constant_answer(program, arch.audit_value, nr) == ALLOW


def allowing(policy: Policy) -> Policy:
    """Return *policy* with everything allowed that no rule names."""
    return attrs.evolve(
        policy,
        default=Allow(),
        arches=None,
        includes=[allowing(each) for each in policy.includes],
        extends=policy.extends and allowing(policy.extends),
    )


def _always_allowed(policy: Policy, arch: Arch, nr: int, name: str) -> bool:
    for layer in policy.layers():
        decision: Decision | None = layer.decide_alone(arch, nr, NO_ARGS)
        about = [rule for rule in layer.all_rules() if name in rule.calls(arch)]
        if any(rule.when or rule.mutable for rule in about) or not isinstance(decision and decision.action, Allow):
            return False
    return True


LOADS_FOR_SECCOMP = 2


def loads_of_arguments(program: Program) -> int:
    return sum(each.code == Op.LD_ABS and each.k >= OFFSET_ARGS for each in program.instructions)


def test_no_register_is_loaded_that_is_loaded_already() -> None:
    """What an argument may be is one load and one comparison for each value."""
    values = AnyOf(tuple(Test(0, "==", width=32, value=value) for value in range(0, 100, 2)))
    program = compile_policy(Policy("p", rules=[only(values, Deny(), "socket")]), NATIVE).program

    assert loads_of_arguments(program) == 1 + LOADS_FOR_SECCOMP
    assert len(program) < 50 + 30


def test_flags_of_one_register_are_looked_at_with_one_load() -> None:
    flags = AllOf(tuple(Test(0, "!=", mask=1 << bit, value=0) for bit in (3, 9, 20)))
    program = compile_policy(Policy("p", rules=[only(flags, Deny(), "clone")]), NATIVE).program

    assert loads_of_arguments(program) == 1 + LOADS_FOR_SECCOMP


def test_what_does_not_matter_is_not_looked_at() -> None:
    rules = [
        only(ALWAYS, Allow(), "read"),
        only(NEVER, Deny(), "write"),
        only(Test(0, ">=", value=0), Allow(), "close"),
        only(Test(0, "==", value=7), Allow(), "openat"),
    ]
    conditional, plain = compile_policy(Policy("p", rules=rules), NATIVE), compile_policy(Policy("p"), NATIVE)

    assert conditional.program == plain.program


def test_equal_conditions_of_neighbours_are_one_range() -> None:
    neighbours = [name for nr, name in sorted(call_table(Arch.X86_64).items()) if 40 <= nr < 56]
    one = compile_policy(Policy("p", rules=[only(Test(0, ">", value=3), Deny(), neighbours[0])]), NATIVE)
    many = compile_policy(Policy("p", rules=[only(Test(0, ">", value=3), Deny(), *neighbours)]), NATIVE)

    assert len(many.program) <= len(one.program) + 1


def test_layers_with_many_conditions_grow_by_their_sum() -> None:
    """Ten layers of ten conditions each have 10^10 ways through them, and few hundred instructions."""
    layers = [
        Policy(f"layer {index}", rules=[
            only(Test(index % 6, "==", value=value), Deny(value + 1), "read") for value in range(10)
        ])
        for index in range(10)
    ]  # fmt: skip
    policy = Policy("p", includes=layers)
    program = compile_policy(policy, NATIVE).program

    assert len(program) < 2500
    for args in (NO_ARGS, (3, 99, 0, 4, 5, 6), (99, 98, 97, 96, 95, 94), (99, 99, 99, 9, 99, 99)):
        meant = value_of(policy.decide(Arch.X86_64, 0, args).action)
        assert run(program, AUDIT, 0, args).value == meant


def test_notes_say_for_which_rule_an_instruction_is_there() -> None:
    rule = only(Test(2, "==", value=5), Deny(), "ioctl")
    compiled = compile_policy(Policy("p", rules=[rule]), NATIVE)
    tests = [note for note in compiled.notes if note.tests_registers and note.behind]

    assert len(compiled.notes) == len(compiled.program)
    assert tests
    assert all(note.behind == (rule,) for note in tests)
    assert ("ioctl",) in compiled.labels.values()
    assert sum(each.code in BRANCHES for each in compiled.program.instructions) > 3


@pytest.mark.parametrize("arch", Arch)
def test_every_number_of_the_table_is_decided_once(arch: Arch) -> None:
    denied = [name for nr, name in call_table(arch).items() if nr % 3 == 0]
    policy = Policy("p", rules=[Rule(denied, Deny(5))])
    program = compile_policy(policy, [arch]).program

    for nr in sorted(numbers_of(arch) | set(range(arch.nr_bit, arch.nr_bit + 600))):
        assert run(program, arch.audit_value, nr).value == value_of(policy.decide(arch, nr, NO_ARGS).action)
