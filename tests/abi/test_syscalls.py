"""Names, numbers, and what the registers mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.abi import constants, tables
from monitor.abi.arch import Arch
from monitor.abi.syscalls import Argument, Signature, call_table, name_of, names, number_of, signature_of, since

REGISTERS = st.integers(min_value=0, max_value=2**64 - 1)
TYPES = st.tuples(st.sampled_from([16, 32, 64]), st.booleans())


def signature(arch: Arch, name: str) -> Signature:
    found = signature_of(arch, name)
    assert found is not None
    return found


def argument(arch: Arch, name: str, argument_name: str) -> Argument:
    found = signature(arch, name)
    return found.arguments[found.index_of(argument_name)]


@pytest.mark.parametrize("arch", Arch)
def test_numbers_and_names_are_each_others_inverse(arch: Arch) -> None:
    for name in names(arch):
        nr = number_of(arch, name)
        assert nr is not None
        assert name_of(arch, nr) == name == call_table(arch)[nr]
    assert len(call_table(arch)) == len(names(arch))


def test_numbers_that_everybody_knows() -> None:
    assert number_of(Arch.X86_64, "openat") == 257
    assert number_of(Arch.I386, "openat") == 295
    assert number_of(Arch.AARCH64, "openat") == 56
    assert number_of(Arch.X32, "execve") == 0x40000000 + 520


def test_unknown_names_and_numbers_are_none() -> None:
    assert number_of(Arch.AARCH64, "open") is None
    assert name_of(Arch.X86_64, 100_000) is None
    assert signature_of(Arch.AARCH64, "open") is None
    assert signature_of(Arch.X86_64, "no_such_call") is None


@pytest.mark.parametrize("arch", Arch)
def test_every_call_has_a_signature_that_holds_together(arch: Arch) -> None:
    """A type for each argument, distinct names, and every reference to another argument in range."""
    for name in names(arch):
        found = signature(arch, name)
        count = len(found.arguments)
        assert count <= 6
        assert len({one.name for one in found.arguments}) == count
        for one in found.arguments:
            assert one.width in (16, 32, 64)
            assert one.width <= arch.register_bits
            assert one.len_arg is None or one.len_arg < count
            assert (one.kind == "path") == (one.path is not None)
            assert one.constants is None or constants.values(one.constants, arch) is not None


def test_types_match_the_arguments_in_length() -> None:
    shapes, types = tables.syscalls(), tables.types()

    assert {name: len(row["args"]) for name, row in shapes["signatures"].items()} == {
        name: len(row) for name, row in types["types"].items()
    }
    for abi, own in shapes["abi_signatures"].items():
        for name, row in own.items():
            assert len(types["abi_types"][abi][name]) == len(row["args"]), (abi, name)


def test_override_of_a_type_never_stands_for_a_call_the_abi_lacks() -> None:
    for abi, own in tables.types()["abi_types"].items():
        assert own.keys() <= tables.syscalls()["numbers"][abi].keys()


def test_signature_is_the_same_object_each_time() -> None:
    assert signature_of(Arch.X86_64, "openat") is signature_of(Arch.X86_64, "openat")


def test_openat_as_the_kernel_declares_it() -> None:
    found = signature(Arch.X86_64, "openat")

    assert [(one.name, one.kind, one.width, one.signed) for one in found.arguments] == [
        ("dirfd", "dirfd", 32, True),
        ("pathname", "path", 64, False),
        ("flags", "flags", 32, True),
        ("mode", "mode", 16, False),
    ]
    assert found.returns == "fd"
    path = found.arguments[1].path
    assert path is not None
    assert path.dirfd == 0
    assert path.follow
    assert path.nofollow_flag == "O_NOFOLLOW"
    assert path.access_by == "open"


def test_own_signature_of_an_abi_replaces_the_common_one() -> None:
    assert signature(Arch.X86_64, "clone").index_of("tls") == 4
    assert signature(Arch.AARCH64, "clone").index_of("tls") == 3
    assert len(signature(Arch.I386, "mmap").arguments) == 1


def test_old_user_ids_have_16_bits_on_i386_only() -> None:
    assert argument(Arch.I386, "setuid", "uid").width == 16
    assert argument(Arch.X86_64, "setuid", "uid").width == 32
    assert argument(Arch.I386, "setuid32", "uid").width == 32


def test_x32_pointers_take_the_whole_register() -> None:
    """The kernel takes an address from all 64 bits, whatever the program's own pointers have."""
    assert argument(Arch.X32, "openat", "pathname").width == 64
    assert argument(Arch.I386, "openat", "pathname").width == 32


def test_descriptors_and_pids_are_signed_halves_everywhere() -> None:
    for arch in Arch:
        for name in names(arch):
            for one in signature(arch, name).arguments:
                if one.kind in ("fd", "dirfd", "pid"):
                    assert (one.width, one.signed) == (32, True), (arch, name, one.name)


def test_unknown_argument_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(KeyError, match="openat has no argument 'path'; its arguments: dirfd, pathname, flags, mode"):
        signature(Arch.X86_64, "openat").index_of("path")


@pytest.mark.parametrize(
    ("width", "signed", "register", "value"),
    [
        (32, True, 0xFFFFFF9C, -100),
        (32, True, 0xFFFFFFFFFFFFFF9C, -100),
        (32, True, 0xDEADBEEF00000003, 3),
        (32, True, 0x7FFFFFFF, 2**31 - 1),
        (32, False, 0xFFFFFFFFFFFFFFFF, 2**32 - 1),
        (16, False, 0x1_01FF, 0o777),
        (16, True, 0x8000, -(2**15)),
        (64, True, 0xFFFFFFFFFFFFFFFF, -1),
        (64, False, 0xFFFFFFFFFFFFFFFF, 2**64 - 1),
    ],
)
def test_value_is_what_the_kernel_sees_of_the_register(*, width: int, signed: bool, register: int, value: int) -> None:
    assert Argument("x", "int", width, signed).value(register) == value


@given(REGISTERS, TYPES)
def test_value_fits_its_type_and_keeps_the_low_bits(register: int, c_type: tuple[int, bool]) -> None:
    width, signed = c_type
    value = Argument("x", "int", width, signed).value(register)

    low, high = (-(1 << (width - 1)), 1 << (width - 1)) if signed else (0, 1 << width)
    assert low <= value < high
    assert (value - register) % (1 << width) == 0


@given(REGISTERS, REGISTERS, TYPES)
def test_bits_above_the_type_never_count(register: int, noise: int, c_type: tuple[int, bool]) -> None:
    width, signed = c_type
    one = Argument("x", "int", width, signed)

    assert one.value(register) == one.value((register ^ noise << width) & (2**64 - 1))


@pytest.mark.parametrize(
    ("call", "version"),
    [("membarrier", (4, 3)), ("pkey_alloc", (4, 9)), ("pkey_mprotect", (4, 9)), ("riscv_hwprobe", (6, 4))],
)
def test_the_first_kernel_of_a_call_is_the_one_that_was_released_with_it(call: str, version: tuple[int, int]) -> None:
    """syscalls(2) has the release before, or nothing."""
    assert since(call) == version
