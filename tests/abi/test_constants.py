"""Names of values."""

from __future__ import annotations

import errno
import signal

import pytest

from monitor.abi import tables
from monitor.abi.arch import Arch
from monitor.abi.constants import errno_name, signal_name, values


@pytest.mark.parametrize(("number", "name"), [(13, "EACCES"), (11, "EAGAIN"), (2, "ENOENT"), (9999, "9999"), (0, "0")])
def test_errno_name(number: int, name: str) -> None:
    assert errno_name(number) == name


def test_errno_names_agree_with_the_library_where_it_has_them() -> None:
    for number, name in errno.errorcode.items():
        assert getattr(errno, errno_name(number)) == getattr(errno, name)


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (9, "SIGKILL"),
        (6, "SIGABRT"),
        (29, "SIGIO"),
        (32, "SIGRTMIN"),
        (34, "SIGRT_2"),
        (64, "SIGRT_32"),
        (65, "65"),
        (0, "0"),
    ],
)
def test_signal_name(number: int, name: str) -> None:
    assert signal_name(number) == name


def test_signal_names_agree_with_the_library() -> None:
    for one in signal.Signals:
        if one < signal.SIGRTMIN:
            assert getattr(signal, signal_name(one)) is one


def test_values_differ_by_abi_where_the_kernel_does() -> None:
    assert values("open", Arch.X86_64)["O_DIRECTORY"] == 0o200000
    assert values("open", Arch.AARCH64)["O_DIRECTORY"] == 0o40000
    assert "MAP_32BIT" in values("mmap_flags", Arch.X86_64)
    assert "MAP_32BIT" not in values("mmap_flags", Arch.AARCH64)
    assert "PROT_BTI" in values("mmap_prot", Arch.AARCH64)


@pytest.mark.parametrize("arch", Arch)
def test_every_group_can_be_had_for_every_abi(arch: Arch) -> None:
    for group in tables.constants()["groups"]:
        # The one that may be empty: ppc64le has a number for map_shadow_stack, and no shadow stack.
        assert values(group, arch) or (arch, group) == (Arch.PPC64LE, "shadow_stack")


@pytest.mark.parametrize("arch", Arch)
def test_a_name_in_two_groups_has_one_value(arch: Arch) -> None:
    seen: dict[str, int] = {}
    for group in tables.constants()["groups"]:
        for name, value in values(group, arch).items():
            assert seen.setdefault(name, value) == value, name


def test_unknown_group_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="no_such_group"):
        values("no_such_group", Arch.X86_64)
