"""What a ``when`` means, what it refuses and where it points, and how it is spelled."""

from __future__ import annotations

import ctypes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.abi.arch import Arch
from monitor.abi.constants import values
from monitor.abi.syscalls import names, signature_of
from monitor.errors import PolicyError
from monitor.origin import Origin
from monitor.policy.condition import ALWAYS, NEVER, OPERATORS, AllOf, AnyOf, Condition, Not, Test
from monitor.policy.expression import Expression
from monitor.policy.parser import MAX_DEPTH, MAX_LENGTH, parse
from monitor.policy.syntax import (
    Comparison,
    Complement,
    Conjunction,
    Constant,
    Disjunction,
    Integer,
    Membership,
    Negation,
    Operand,
    Range,
    Tree,
    Union,
    Value,
    unparse,
)
from monitor.policy.vocabulary import constants_of

WORD = st.integers(0, (1 << 64) - 1)


def bound(source: str, call: str = "openat", arch: Arch = Arch.X86_64) -> Condition:
    signature = signature_of(arch, call)
    assert signature is not None
    return Expression(source).bind(signature, arch)


def refusal(source: str, call: str = "openat", arch: Arch = Arch.X86_64) -> str:
    with pytest.raises(PolicyError) as caught:
        bound(source, call, arch)
    return str(caught.value)


class TestMeaning:
    @pytest.mark.parametrize(
        ("source", "call", "meaning"),
        [
            ("domain == AF_UNIX", "socket", Test(0, "==", width=32, signed=True, value=1)),
            ("domain == -1", "socket", Test(0, "==", width=32, signed=True, value=-1)),
            ("dirfd == AT_FDCWD", "openat", Test(0, "==", width=32, signed=True, value=-100)),
            ("length > 0x1_0000", "mmap", Test(1, ">", width=64, value=0x10000)),
            ("mode == 0o777", "fchmodat", Test(2, "==", width=16, value=0o777)),
            ("pathname == NULL", "utimensat", Test(1, "==", width=64, value=0)),
            ("arg0 >= 5", "socket", Test(0, ">=", width=64, value=5)),
            ("args[5] != 0b11", "socket", Test(5, "!=", width=64, value=3)),
            ("arg1 == SIGKILL", "prctl", Test(1, "==", width=64, value=9)),
            ("sig == SIGTERM", "kill", Test(1, "==", width=32, signed=True, value=15)),
            ("flags & CSIGNAL == SIGCHLD", "clone", Test(0, "==", width=64, mask=0xFF, value=17)),
            ("optname == TCP_NODELAY", "setsockopt", Test(2, "==", width=32, signed=True, value=1)),
            ("prot == PROT_READ|PROT_EXEC", "mmap", Test(2, "==", width=64, value=5)),
            (
                "type & ~(SOCK_CLOEXEC|SOCK_NONBLOCK) == SOCK_STREAM",
                "socket",
                Test(1, "==", width=32, mask=0xFFFFFFFF ^ 0o2004000, value=1),
            ),
            ("domain in (AF_UNIX)", "socket", AnyOf((Test(0, "==", width=32, signed=True, value=1),))),
            (
                "fd in (-3..-1, 7)",
                "read",
                AnyOf(
                    (
                        AllOf(
                            (
                                Test(0, ">=", width=32, signed=True, value=-3),
                                Test(0, "<=", width=32, signed=True, value=-1),
                            )
                        ),
                        Test(0, "==", width=32, signed=True, value=7),
                    )
                ),
            ),
        ],
    )
    def test_a_condition_has_the_width_and_sign_of_its_argument(
        self, source: str, call: str, meaning: Condition
    ) -> None:
        assert bound(source, call) == meaning

    def test_a_mask_binds_tighter_than_a_comparison(self) -> None:
        expected = Test(2, "==", width=32, mask=3, value=0)

        assert bound("flags & O_ACCMODE == O_RDONLY") == bound("(flags & O_ACCMODE) == O_RDONLY") == expected

    def test_not_binds_looser_than_a_comparison(self) -> None:
        assert bound("!fd == 0", "read") == Not(Test(0, "==", width=32, signed=True, value=0))

    def test_or_binds_loosest(self) -> None:
        a, b, c = (Test(n, "==", value=n) for n in range(3))

        assert bound("arg0 == 0 && arg1 == 1 || !arg2 == 2", "read") == AnyOf((AllOf((a, b)), Not(c)))
        assert bound("arg0 == 0 && (arg1 == 1 || arg2 == 2)", "read") == AllOf((a, AnyOf((b, c))))

    def test_a_constant_is_worth_what_it_is_on_that_arch(self) -> None:
        on_x86 = bound("flags & O_DIRECTORY != 0")
        on_arm = bound("flags & O_DIRECTORY != 0", arch=Arch.AARCH64)

        assert (on_x86, on_arm) == (
            Test(2, "!=", width=32, mask=0o200000, value=0),
            Test(2, "!=", width=32, mask=0o40000, value=0),
        )

    def test_an_argument_is_where_that_arch_has_it(self) -> None:
        """The stack of clone(2) comes first on s390x."""
        assert bound("flags == 0", "clone") == Test(0, "==", width=64, value=0)
        assert bound("flags == 0", "clone", Arch.S390X) == Test(1, "==", width=64, value=0)

    def test_bits_that_the_kernel_ignores_decide_nothing(self) -> None:
        condition = bound("domain == AF_INET", "socket")

        assert condition.holds((0xDEADBEEF_00000002, 0, 0, 0, 0, 0))

    @given(WORD, st.integers(-(1 << 31), (1 << 31) - 1), st.sampled_from(sorted(OPERATORS)))
    def test_a_signed_comparison_is_that_of_c(self, register: int, value: int, operator: str) -> None:
        found = ctypes.c_int(register & 0xFFFFFFFF).value

        holds = bound(f"domain {operator} {value}", "socket").holds((register, 0, 0, 0, 0, 0))

        assert holds == OPERATORS[operator](found, value)  # type: ignore[index]

    def test_every_constant_of_every_argument_can_be_written(self) -> None:
        """What a group has and the register cannot hold would be an error that no user can help."""
        unfit = [
            (arch.table, call, argument.name, name)
            for arch in (Arch.X86_64, Arch.I386, Arch.AARCH64)
            for call in names(arch)
            for index, argument in enumerate((signature_of(arch, call) or pytest.fail(call)).arguments)
            for name, value in constants_of(call, argument, arch).items()
            if not -(1 << (argument.width - 1)) <= value < 1 << argument.width
        ]

        assert {name for *_, name in unfit if name in values("open", Arch.X86_64)} == set()
        assert [one for one in unfit if not one[3].startswith(("SECCOMP_RET", "S_IF", "CLONE_", "AT_"))] == []


class TestRefusals:
    @pytest.mark.parametrize(
        ("source", "call", "complaint"),
        [
            ("", "socket", "an empty condition"),
            ("domian == 1", "socket", "socket has no argument 'domian'; did you mean 'domain'?"),
            ("flags == 1", "openat2", "only registers can be compared, not what pathname or how points to"),
            ('pathname == "/etc"', "openat", "only registers can be compared"),
            ("how->flags == 1", "openat2", "only registers can be compared"),
            ("how.flags == 1", "openat2", "only registers can be compared"),
            ("*how == 1", "openat2", "only registers can be compared"),
            ("pathname == SECRET", "openat", "only registers can be compared"),
            ("domain == AF_UNX", "socket", "'AF_UNX' is no constant for domain of socket; did you mean 'AF_UNIX'?"),
            ("flags & O_CREAT != 0", "mmap", "it belongs to: open"),
            ("flags & MAP_SHARED == MAP_ANONYMOUS", "mmap", "they are never equal"),
            ("flags & 0 == 0", "mmap", "a mask of no bits"),
            ("oldfd == newfd", "dup3", "'newfd' is an argument"),
            ("domain == 4294967296", "socket", "domain has 32 bits, signed, and is in -2147483648..2147483647"),
            ("arg0 == -1", "socket", "arg0 has 64 bits, unsigned"),
            ("arg0 == 0x1_0000_0000_0000_0000", "socket", "does not fit"),
            ("domain == " + "9" * 5000, "socket", "no register holds so large a number"),
            ("domain in (5..3)", "socket", "nothing in it"),
            ("domain in ()", "socket", "a list of no values"),
            ("domain", "socket", "a comparison is missing"),
            ("flags & O_CREAT", "openat", "for any of these bits: `!= 0`"),
            ("type & SOCK_CLOEXEC|SOCK_NONBLOCK == 0", "socket", "needs parentheses"),
            ("1 < domain", "socket", "an argument stands on the left"),
            ("1 < domain < 3", "socket", "an argument stands on the left"),
            ("domain < 3 < 4", "socket", "comparisons do not chain"),
            ("domain = 1", "socket", "write =="),
            ("domain == 1 and type == 1", "socket", "write && for 'and'"),
            ("not domain == 1", "socket", "write ! for 'not'"),
            ("domain == 1 & type == 1", "socket", "write && for `and`"),
            ("(domain == 1", "socket", "')' is missing"),
            ("domain == 1)", "socket", "')' is not expected here"),
            ("mode == 0777", "fchmodat", "write 0o777"),
            ("domain == 12ab", "socket", "'12ab' is no number"),
            ("domain == 1__0", "socket", "'1__0' is no number"),
            ("args[6] == 1", "socket", "registers are args[0] to args[5]"),
            ("arg2 == 1", "prctl", "'arg2' is ambiguous: prctl calls its argument 1 so; write args[1]"),
            ("domain == 1 $", "socket", "'$' has no meaning here"),
            ("(" * 4000, "socket", f"nested more than {MAX_DEPTH} deep"),
            ("!" * 4000, "socket", f"nested more than {MAX_DEPTH} deep"),
            ("arg0 == " + "~" * 4000, "socket", f"nested more than {MAX_DEPTH} deep"),
            (" " * (MAX_LENGTH + 1), "socket", f"at most {MAX_LENGTH} are read"),
        ],
    )
    def test_what_cannot_be_meant_is_refused_with_a_reason(self, source: str, call: str, complaint: str) -> None:
        assert complaint in refusal(source, call)

    def test_a_constant_of_another_arch_says_where_it_exists(self) -> None:
        assert "aarch64 has no MAP_32BIT; it exists on x86_64" in refusal("flags == MAP_32BIT", "mmap", Arch.AARCH64)

    @pytest.mark.parametrize("call", ["prctl", "keyctl"])
    def test_a_register_can_be_named_where_a_name_cannot(self, call: str) -> None:
        assert bound("args[1] == 7", call) == Test(1, "==", value=7)

    def test_the_caret_stands_below_the_word(self) -> None:
        message = refusal("domain == AF_UNIX ||\n  domain == AF_INOT6 && type == 1", "socket")

        assert message.splitlines()[1:] == [
            "      domain == AF_INOT6 && type == 1",
            "                ^^^^^^^^",
        ]

    def test_of_a_long_line_the_part_with_the_word_is_shown(self) -> None:
        message = refusal("arg0 == 1 || " * 200 + "arg0 == WRONG" + " || arg0 == 1" * 200, "socket")

        text, carets = message.splitlines()[1:]
        assert len(text) < 120
        assert text[carets.index("^") : carets.rindex("^") + 1] == "WRONG"

    def test_the_error_knows_the_place_of_the_condition(self) -> None:
        origin = Origin("agent.toml", 12, key="syscalls[2].when")

        with pytest.raises(PolicyError, match=r"^agent\.toml:12: syscalls\[2\]\.when: ") as caught:
            Expression("domain =", origin=origin)

        assert caught.value.origin == origin


TREES_DEEP = 4


def integers() -> st.SearchStrategy[Integer]:
    return st.builds(Integer, st.integers(-(1 << 63), (1 << 64) - 1), st.sampled_from([2, 8, 10, 16]))


NAMES = st.sampled_from(["A", "O_RDONLY", "flags", "_x1", "inn", "arg9"])


def values_of(depth: int) -> st.SearchStrategy[Value]:
    leaves: st.SearchStrategy[Value] = integers() | st.builds(Constant, NAMES)
    if not depth:
        return leaves
    inner = values_of(depth - 1)
    unions = st.builds(Union, st.lists(inner, min_size=2, max_size=3).map(tuple))
    return leaves | unions | st.builds(Complement, inner)


OPERANDS = st.builds(Operand, NAMES, st.none(), st.none() | values_of(2)) | st.builds(
    Operand, st.just("args"), st.integers(0, 5), st.none() | values_of(2)
)
ITEMS = st.lists(values_of(1) | st.builds(Range, values_of(1), values_of(1)), min_size=1, max_size=3).map(tuple)
TESTS: st.SearchStrategy[Tree] = st.builds(
    Comparison, OPERANDS, st.sampled_from(sorted(OPERATORS)), values_of(2)
) | st.builds(Membership, OPERANDS, ITEMS)


def trees(depth: int = TREES_DEEP) -> st.SearchStrategy[Tree]:
    if not depth:
        return TESTS
    inner = trees(depth - 1)
    parts = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return TESTS | st.builds(Conjunction, parts) | st.builds(Disjunction, parts) | st.builds(Negation, inner)


@given(trees())
def test_the_text_of_a_tree_is_that_tree(tree: Tree) -> None:
    assert parse(unparse(tree)) == tree


REGISTER_TESTS = st.one_of(
    st.builds(
        lambda width, **more: Test(width=width, **more),
        argument=st.integers(0, 5),
        operator=st.sampled_from(sorted(OPERATORS)),
        width=st.just(64),
        value=WORD,
        mask=st.none() | WORD,
    ),
    st.builds(
        Test,
        st.integers(0, 5),
        st.sampled_from(sorted(OPERATORS)),
        width=st.just(32),
        signed=st.just(value=True),
        value=st.integers(-(1 << 31), (1 << 31) - 1),
    ),
)

CONDITIONS: st.SearchStrategy[Condition] = st.recursive(
    REGISTER_TESTS,
    lambda inner: (
        st.builds(AllOf, st.lists(inner, max_size=3))
        | st.builds(AnyOf, st.lists(inner, max_size=3))
        | st.builds(Not, inner)
    ),
    max_leaves=6,
)


@given(CONDITIONS, st.lists(WORD, min_size=6, max_size=6), st.sampled_from(["prctl", "openat", "sync"]))
def test_a_condition_on_registers_can_be_written_for_any_call(condition: Condition, args: list[int], call: str) -> None:
    expression = Expression.of(condition, [call])

    again = bound(expression.source, call)

    assert again.holds(args) == condition.holds(args)
    assert str(expression) == expression.source


@pytest.mark.parametrize("always", [ALWAYS, NEVER])
def test_what_always_or_never_holds_can_be_written(always: Condition) -> None:
    assert bound(Expression.of(always).source).holds((0,) * 6) == always.holds((0,) * 6)


def test_equal_texts_are_equal_and_hash_alike() -> None:
    one, other = Expression("arg0 == 1", origin=Origin("a", 1)), Expression("arg0 == 1", origin=Origin("b", 2))

    assert (one, hash(one)) == (other, hash(other))
    assert one != Expression("arg0 ==  1")
