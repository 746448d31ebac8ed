"""Values that cannot be meant cannot be built."""

from __future__ import annotations

import errno
import os
import signal
import tempfile
from collections.abc import Callable
from typing import Any

import pytest

from monitor import Allow, Deny, InjectFd, Kill, Pass, Return


@pytest.mark.parametrize("number", [1, errno.EPERM, errno.ENOSYS, 4095])
def test_deny_takes_every_errno_of_the_kernel(number: int) -> None:
    assert Deny(number).errno == number


@pytest.mark.parametrize("value", [0, -1, -errno.EPERM, 512, 516, 4096, 5000])
def test_deny_takes_no_number_that_is_no_errno(value: int) -> None:
    with pytest.raises(ValueError, match="errno"):
        Deny(value)


@pytest.mark.parametrize("value", [True, None, "EPERM", 1.0])
def test_deny_takes_numbers_only(value: Any) -> None:
    with pytest.raises(TypeError):
        Deny(value)


def test_deny_shows_the_name_of_its_errno() -> None:
    assert str(Deny(errno.EACCES)) == "Deny(EACCES)"
    assert str(Deny(4000)) == "Deny(4000)"


@pytest.mark.parametrize("value", [0, 1, (1 << 64) - 4096, (1 << 63) - 1, -(1 << 63), -4096])
def test_return_takes_every_register_that_is_no_errno(value: int) -> None:
    assert Return(value).value == value


@pytest.mark.parametrize("value", [-1, -5, -4095, (1 << 64) - 1, (1 << 64) - 4095])
def test_return_takes_no_errno_whichever_way_it_is_written(value: int) -> None:
    with pytest.raises(ValueError, match=r"use Deny\(\d+\)"):
        Return(value)


@pytest.mark.parametrize("value", [1 << 64, -(1 << 63) - 1])
def test_return_takes_64_bits(value: int) -> None:
    with pytest.raises(ValueError, match="value"):
        Return(value)


@pytest.mark.parametrize("value", [True, None, "0", 0.0])
def test_return_takes_numbers_only(value: Any) -> None:
    with pytest.raises(TypeError):
        Return(value)


def test_inject_fd_takes_no_file_object_because_it_closes_its_fd() -> None:
    with tempfile.TemporaryFile() as file, pytest.raises(TypeError, match="detach"):
        InjectFd(file, close_on_exec=True)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: InjectFd(-1, close_on_exec=True), ValueError),
        (lambda: InjectFd(True, close_on_exec=True), TypeError),
        (lambda: InjectFd("3", close_on_exec=True), TypeError),
        (lambda: InjectFd(3), TypeError),  # type: ignore[call-arg]
        (lambda: InjectFd(3, close_on_exec=True, at=-1), ValueError),
        (lambda: InjectFd(3, close_on_exec=True, at=1 << 31), ValueError),
        (lambda: InjectFd(3, close_on_exec=True, at=True), TypeError),
    ],
)
def test_inject_fd_takes_fds_only(make: Callable[[], InjectFd], error: type[Exception]) -> None:
    with pytest.raises(error):
        make()


def test_inject_fd_takes_the_flag_of_the_call_itself() -> None:
    assert InjectFd(3, close_on_exec=os.O_CLOEXEC & os.O_CLOEXEC).close_on_exec is True
    assert InjectFd(3, close_on_exec=os.O_RDWR & os.O_CLOEXEC).close_on_exec is False


def test_kill_is_sigkill_unless_another_signal_is_named() -> None:
    assert Kill().signal is signal.SIGKILL
    assert Kill(15).signal is signal.SIGTERM


@pytest.mark.parametrize("value", [0, -9, 1000, "SIGKILL", None])
def test_kill_takes_no_number_that_is_no_signal(value: Any) -> None:
    with pytest.raises(ValueError, match="Signals"):
        Kill(value)


def test_kill_takes_no_bool() -> None:
    with pytest.raises(TypeError, match="signal"):
        Kill(True)


@pytest.mark.parametrize("reason", ["", "  ", "\n"])
def test_a_reason_for_a_race_says_something(reason: str) -> None:
    with pytest.raises(ValueError, match="racy"):
        Allow(racy=reason)


@pytest.mark.parametrize("reason", [True, b"why", 1])
def test_a_reason_for_a_race_is_text(reason: Any) -> None:
    with pytest.raises(TypeError):
        Allow(racy=reason)


def test_verdicts_are_values() -> None:
    assert Deny(1) == Deny(1) != Deny(2)
    assert len({Allow(), Allow(), Pass(), Pass(), Return(1), Kill(), Kill()}) == 4
    with pytest.raises(AttributeError):
        Deny(1).errno = 2  # type: ignore[misc]
