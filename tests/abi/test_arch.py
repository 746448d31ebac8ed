"""Which ABI a call was made by."""

from __future__ import annotations

import os
import sys
from subprocess import run

import pytest

from monitor.abi import tables
from monitor.abi.arch import Arch
from monitor.errors import KernelFeatureError

X86_64_AUDIT_VALUE = 0xC000003E


def test_the_table_and_the_members_name_the_same_abis() -> None:
    assert {arch.table for arch in Arch} == set(tables.syscalls()["numbers"])


@pytest.mark.parametrize("arch", Arch)
def test_the_facts_written_out_are_those_of_the_table(arch: Arch) -> None:
    row = tables.syscalls()["abis"][arch.table]

    assert arch.audit_value == row["audit_arch"]
    assert arch.pointer_bits == row["bits"]
    assert arch.register_bits == row["register_bits"]
    assert arch.little_endian == (row["endian"] == "little")
    assert arch.nr_bit == row.get("nr_bit", 0)
    # x32 has no machine of its own: uname(2) says x86_64 there.
    assert list(arch.machines) == ([] if arch is Arch.X32 else row["uname_machine"])


@pytest.mark.parametrize("arch", Arch)
def test_every_call_of_an_abi_is_recognised_as_its_own(arch: Arch) -> None:
    for nr in tables.syscalls()["numbers"][arch.table].values():
        assert Arch.of_call(arch.audit_value, nr) is arch


@pytest.mark.parametrize("nr", [-1, 0xFFFFFFFF])
def test_minus_one_is_no_x32_call(nr: int) -> None:
    assert Arch.of_call(X86_64_AUDIT_VALUE, nr) is Arch.X86_64


@pytest.mark.parametrize("nr", [0x40000000, 0x40000207, 0xFFFFFFFE, -2])
def test_bit_30_makes_an_x32_call(nr: int) -> None:
    assert Arch.of_call(X86_64_AUDIT_VALUE, nr) is Arch.X32


def test_bit_30_means_nothing_on_another_arch() -> None:
    assert Arch.of_call(Arch.I386.audit_value, 0x40000001) is Arch.I386


def test_unknown_audit_value_is_no_arch() -> None:
    assert Arch.of_call(0x12345678, 0) is None


@pytest.mark.parametrize(
    ("machine", "arch"),
    [
        ("x86_64", Arch.X86_64),
        ("aarch64", Arch.AARCH64),
        ("armv7l", Arch.ARM),
        ("i686", Arch.I386),
        ("s390x", Arch.S390X),
    ],
)
def test_native_follows_the_machine(machine: str, arch: Arch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "host", "6.18", "", machine)))

    assert Arch.native() is arch


def test_unknown_machine_is_said_with_those_that_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "host", "6.18", "", "mips64")))

    with pytest.raises(KernelFeatureError, match=r"machine mips64 .*x86_64.*loongarch64"):
        Arch.native()


def test_importing_the_floor_parses_no_table() -> None:
    modules = "arch, constants, groups, seccomp, syscalls"
    program = f"from monitor.abi import {modules}; import sys; sys.exit('json' in sys.modules)"

    assert run([sys.executable, "-c", program], check=False).returncode == 0
