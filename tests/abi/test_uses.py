"""What a call does to what it names: by its registers where they are known, anything it could where they are not."""

from __future__ import annotations

import pytest

from monitor.abi import tables
from monitor.abi.arch import Arch
from monitor.abi.constants import values
from monitor.abi.syscalls import names, signature_of
from monitor.abi.uses import _NARROWED, ADDRESS_CALLS, PathUse, path_uses

ARCHES = [Arch.X86_64, Arch.AARCH64, Arch.I386]


def flags_of(group: str, arch: Arch, words: str) -> int:
    result = 0
    for word in words.split("|"):
        result |= values(group, arch)[word]
    return result


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize(
    ("words", "classes"),
    [
        ("O_RDONLY", {"read"}),
        ("O_WRONLY", {"write"}),
        ("O_RDWR|O_APPEND", {"read", "write"}),
        ("O_WRONLY|O_CREAT|O_TRUNC", {"write", "create", "truncate"}),
        ("O_RDONLY|O_CREAT|O_EXCL", {"read", "create"}),
        ("O_RDONLY|O_TRUNC", {"read", "truncate"}),
        ("O_RDONLY|O_DIRECTORY", {"read"}),
        ("O_WRONLY|O_TMPFILE", {"write", "create"}),
        ("O_PATH", set()),
        ("O_PATH|O_RDWR|O_CREAT", set()),
    ],
)
def test_an_open_does_what_its_flags_say(arch: Arch, words: str, classes: set[str]) -> None:
    flags = flags_of("open", arch, words)

    (use,) = path_uses(arch, "openat", {2: flags | 1 << 40})  # of which the kernel sees 32 bits

    assert use == PathUse("pathname", frozenset(classes), frozenset(classes))


def test_the_fourth_access_mode_asks_for_both() -> None:
    assert path_uses(Arch.X86_64, "openat", {2: 3})[0].certain == {"read", "write"}


@pytest.mark.parametrize("call", ["openat", "openat2"])
def test_without_its_flags_an_open_may_do_anything_and_must_do_nothing(call: str) -> None:
    (use,) = path_uses(Arch.X86_64, call, {})

    assert use == PathUse("pathname", frozenset(), frozenset({"read", "write", "create", "truncate"}))


def test_unlinkat_removes_a_file_or_a_directory() -> None:
    assert path_uses(Arch.X86_64, "unlinkat", {2: 0})[0].certain == {"delete"}
    assert path_uses(Arch.X86_64, "unlinkat", {2: 0x200})[0].certain == {"rmdir"}
    assert path_uses(Arch.X86_64, "unlinkat", {}) == (PathUse("pathname", frozenset(), frozenset({"delete", "rmdir"})),)


def test_to_exchange_two_names_is_to_move_both() -> None:
    every = {"rename-source", "delete", "rename-target", "create"}

    plain, exchange, unknown = (path_uses(Arch.X86_64, "renameat2", known) for known in ({4: 1}, {4: 2}, {}))

    assert [use.certain for use in plain] == [{"rename-source", "delete"}, {"rename-target", "create"}]
    assert [use.certain for use in exchange] == [every, every]
    assert [use.certain for use in unknown] == [use.certain for use in plain]
    assert [use.possible for use in unknown] == [every, every]
    assert [use.argument for use in plain] == ["oldpath", "newpath"]


@pytest.mark.parametrize(
    ("call", "classes"),
    [
        ("creat", {"write", "create", "truncate"}),
        ("mkdir", {"mkdir"}),
        ("execve", {"exec"}),
        ("uselib", {"exec", "read"}),
        ("faccessat2", {"stat"}),
    ],
)
def test_other_calls_do_the_same_whatever_their_registers(call: str, classes: set[str]) -> None:
    (use,) = path_uses(Arch.X86_64, call, {})

    assert use.certain == use.possible == classes


def test_calls_without_a_path_have_no_use() -> None:
    assert path_uses(Arch.X86_64, "read", {}) == ()
    assert path_uses(Arch.AARCH64, "open", {}) == ()  # it has none


def test_every_call_with_a_path_of_every_abi_has_one() -> None:
    for arch in Arch:
        for call in names(arch):
            signature = signature_of(arch, call)
            assert signature is not None
            uses = path_uses(arch, call, {})
            assert [use.argument for use in uses] == [one.name for one in signature.arguments if one.path is not None]
            assert all(use.certain <= use.possible and use.possible for use in uses)
            known = dict.fromkeys(range(6), 0)
            assert all(use.certain for use in path_uses(arch, call, known) if call != "openat2")


def test_every_way_in_which_the_tables_narrow_is_known() -> None:
    signatures = tables.syscalls()["signatures"].values()
    ways = {one["path"].get("access_by") for shape in signatures for one in shape["args"] if "path" in one}

    assert ways == {None, "open_how", *_NARROWED}


def test_the_calls_with_addresses_are_those_that_read_one() -> None:
    """``recvmsg`` writes one, and ``bpf`` has none; ``socketcall`` hides all of them."""
    signatures = tables.syscalls()["signatures"]
    reading = {
        call
        for call, shape in signatures.items()
        for one in shape["args"]
        if (one["kind"] in {"sockaddr", "msghdr"} and one.get("dir") == "in")
        or (one["kind"] == "struct:mmsghdr" and call.startswith("send"))
    }

    assert reading == set(ADDRESS_CALLS)
