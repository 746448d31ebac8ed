"""The launcher's prologue: two calls pass with the whole cookie, and nothing else is changed by it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.abi.arch import Arch
from monitor.abi.seccomp import RetValue
from monitor.abi.syscalls import number_of
from monitor.policy.bpf import Program
from monitor.policy.interpret import evaluate
from monitor.policy.notify_program import compile_notify
from monitor.policy.numbers import EVERY
from monitor.sources.prologue import CALLS, Cookie, new_cookie, prologue

ARCH = Arch.X86_64
WORDS = st.integers(0, 2**64 - 1)
COOKIES = st.tuples(WORDS, WORDS, WORDS)
EVERYTHING = compile_notify({ARCH: EVERY})


def answer(program: Program, nr: int, args: tuple[int, ...], audit_value: int = ARCH.audit_value) -> int:
    return evaluate(program, audit_value=audit_value, nr=nr, args=args).value


def guarded(cookie: Cookie) -> Program:
    return EVERYTHING.prepended(prologue(ARCH, cookie))


def number(name: str) -> int:
    found = number_of(ARCH, name)
    assert found is not None
    return found


@given(cookie=COOKIES, args=st.tuples(WORDS, WORDS, WORDS))
@pytest.mark.parametrize("name", CALLS)
def test_the_launchers_calls_pass_with_the_cookie(name: str, cookie: Cookie, args: tuple[int, int, int]) -> None:
    assert answer(guarded(cookie), number(name), (*args, *cookie)) == RetValue.ALLOW


@given(cookie=COOKIES, place=st.integers(0, 2), bit=st.integers(0, 63))
@pytest.mark.parametrize("name", CALLS)
def test_one_wrong_bit_anywhere_and_they_are_notified(name: str, cookie: Cookie, place: int, bit: int) -> None:
    wrong = list(cookie)
    wrong[place] ^= 1 << bit

    assert answer(guarded(cookie), number(name), (0, 0, 0, *wrong)) == RetValue.USER_NOTIF


@given(cookie=COOKIES, nr=st.integers(0, 2**32 - 1), audit=st.sampled_from([*(arch.audit_value for arch in Arch), 0]))
def test_every_other_call_is_what_the_program_behind_says(cookie: Cookie, nr: int, audit: int) -> None:
    """Even with the cookie in its registers."""
    args = (1, 8, 0, *cookie)
    if audit == ARCH.audit_value and nr in {number(name) for name in CALLS}:
        return

    assert answer(guarded(cookie), nr, args, audit) == answer(EVERYTHING, nr, args, audit)


def test_arguments_are_loaded_for_the_two_numbers_alone() -> None:
    """Else the kernel could not keep "allow" for a number in its bitmap."""
    program = guarded((1, 2, 3))

    seen = evaluate(program, audit_value=ARCH.audit_value, nr=number("getppid"))
    loads = [program.instructions[place].k for place in seen.path if program.instructions[place].code == 0x20]

    assert set(loads) <= {0, 4}


def test_cookies_are_new_each_time() -> None:
    assert len({word for _ in range(50) for word in new_cookie()}) == 150
