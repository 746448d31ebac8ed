"""The fd in reserve: given up for one look, taken back, and told of."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from errno import EACCES, EMFILE

import pytest

from monitor.notify.reserve import FdReserve


@pytest.fixture
def reserve() -> Iterator[FdReserve]:
    made = FdReserve()
    yield made
    made.close()


def exhausted(times: int) -> Callable[[], str]:
    """Return a look that fails for want of an fd so many times."""
    left = [times]

    def look() -> str:
        if left[0]:
            left[0] -= 1
            raise OSError(EMFILE, os.strerror(EMFILE))
        return "seen"

    return look


def test_a_look_that_succeeds_leaves_it_alone(reserve: FdReserve) -> None:
    assert reserve.with_fd(exhausted(0)) == "seen"
    assert reserve.needed == 0


def test_it_is_given_up_for_the_second_try_and_taken_back(reserve: FdReserve, open_fds: Callable[[], set[str]]) -> None:
    before = open_fds()

    assert reserve.with_fd(exhausted(1)) == "seen"
    assert reserve.needed == 1
    assert len(open_fds()) == len(before)


def test_a_look_that_fails_twice_fails(reserve: FdReserve) -> None:
    with pytest.raises(OSError, match=os.strerror(EMFILE)):
        reserve.with_fd(exhausted(2))
    assert reserve.with_fd(exhausted(1)) == "seen"


def test_other_errors_are_not_its_business(reserve: FdReserve) -> None:
    def look() -> str:
        raise OSError(EACCES, os.strerror(EACCES))

    with pytest.raises(PermissionError):
        reserve.with_fd(look)
    assert reserve.needed == 0


def test_lost_to_somebody_else_it_is_taken_back_later(reserve: FdReserve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the second try and the taking back another thread opened a file."""

    def refuse(*_words: object) -> int:
        raise OSError(EMFILE, os.strerror(EMFILE))

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        assert reserve.with_fd(exhausted(1)) == "seen"
        with pytest.raises(OSError, match=os.strerror(EMFILE)):
            reserve.with_fd(exhausted(1))

    assert reserve.with_fd(exhausted(0)) == "seen"  # there are fds again
    assert reserve.with_fd(exhausted(1)) == "seen"


def test_closed_it_is_never_opened_again(open_fds: Callable[[], set[str]]) -> None:
    before = open_fds()
    reserve = FdReserve()

    reserve.close()
    reserve.with_fd(exhausted(0))

    assert open_fds() == before
