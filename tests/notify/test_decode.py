"""A call as a handler sees it: names, widths and signs; what the registers hold besides is noise."""

from __future__ import annotations

import copy
import errno
import os
import struct

import pytest

from monitor import Arch, TargetMemoryError
from monitor.notify.decode import Arguments, Call, name_of
from monitor.notify.look import Look
from monitor.notify.target import glimpsed
from monitor.testing import FakeListener, call

AT_FDCWD = -100
NOISE = 0xDEAD_BEEF << 32


def test_an_int_is_as_wide_and_signed_as_its_declaration() -> None:
    made = call("openat", dirfd=NOISE | 0xFFFF_FF9C, flags=NOISE | os.O_CLOEXEC, mode=NOISE | 0o644)

    assert made.args.dirfd == AT_FDCWD
    assert made.args.flags == os.O_CLOEXEC
    assert made.args.mode == 0o644
    assert made.registers[0] == NOISE | 0xFFFF_FF9C


@pytest.mark.parametrize("offset", [0, -1, -(1 << 40), (1 << 63) - 1])
def test_an_offset_has_64_bits_and_a_sign(offset: int) -> None:
    assert call("lseek", offset=offset).args.offset == offset


def test_a_pointer_is_an_address() -> None:
    assert call("openat", pathname=(1 << 64) - 1).args.pathname == (1 << 64) - 1


def test_i386_has_registers_of_32_bits_and_ids_of_16() -> None:
    made = call("openat", Arch.I386, dirfd=AT_FDCWD, pathname=NOISE | 0xFFFF_FFFF)

    assert made.arch is Arch.I386
    assert made.nr == 295
    assert made.args.dirfd == AT_FDCWD
    assert made.args.pathname == 0xFFFF_FFFF
    assert call("chown", Arch.I386, owner=0x1_FFFF).args.owner == 0xFFFF
    assert call("chown", owner=0x1_FFFF).args.owner == 0x1_FFFF


def test_arguments_are_found_by_name_by_word_and_by_number() -> None:
    args = call("openat", dirfd=3, flags=7).args

    assert args.dirfd == args["dirfd"] == args[0] == args.get("dirfd") == 3
    assert (args.get("nothing"), args.get("nothing", 5)) == (None, 5)
    assert list(args) == ["dirfd", "pathname", "flags", "mode"]
    assert args.as_mapping() == {"dirfd": 3, "pathname": 0, "flags": 7, "mode": 0}
    assert len(args) == 4
    assert "flags" in args
    assert "fd" not in args
    assert repr(args) == "openat(dirfd=3, pathname=0, flags=7, mode=0)"


def test_an_unknown_name_lists_the_names_there_are() -> None:
    args = call("openat").args

    with pytest.raises(AttributeError, match="no argument 'fd'; it has: dirfd, pathname, flags, mode"):
        _ = args.fd
    with pytest.raises(KeyError, match="it has: dirfd, pathname"):
        args["fd"]
    for number in (-1, 4, 6):
        with pytest.raises(KeyError, match="it has: dirfd"):
            args[number]


def test_a_call_without_arguments_says_that_it_has_none() -> None:
    with pytest.raises(KeyError, match="it has: none"):
        call("getppid").args[0]


def test_arguments_can_be_copied() -> None:
    """A copy asks its half-made self for methods by name: that must not look for an argument."""
    args = call("openat", flags=7).args

    assert copy.copy(args).flags == copy.deepcopy(args).flags == 7


def unknown(nr: int, arch: Arch | None) -> Call:
    raw = (0, 1, 0, nr, 0xC000003E, 0, (1 << 64) - 1, 2, 3, 4, 5, 6)
    listener = FakeListener()
    listener.close()
    return Call(raw, name_of(arch, nr), arch, listener)


@pytest.mark.parametrize("arch", [Arch.X86_64, None])
def test_a_call_that_no_table_knows_has_six_words_and_a_number_for_a_name(arch: Arch | None) -> None:
    made = unknown(0x7777, arch)

    assert made.name == "syscall_0x7777"
    assert [made.args[index] for index in range(6)] == [(1 << 64) - 1, 2, 3, 4, 5, 6]
    assert len(made.args) == 6
    assert list(made.args) == []
    with pytest.raises(AttributeError, match="only numbers, 0 to 5"):
        _ = made.args.fd
    assert "0xffffffffffffffff" in repr(made)


def test_a_negative_number_is_shown_as_the_kernel_has_it() -> None:
    assert name_of(Arch.X86_64, -1) == "syscall_0xffffffff"


def test_x32_calls_have_names_of_their_own() -> None:
    assert Arch.of_call(0xC000003E, 0x40000101) is Arch.X32
    assert name_of(Arch.X32, 0x40000101) == "openat"


# ---- what pointers point to ----


def test_reading_a_path_is_a_look_and_its_absence_is_none() -> None:
    made = call("openat", pathname=b"/etc/shadow")
    assert not made.looked

    assert made.read("pathname") == b"/etc/shadow"

    assert made.looked


def test_reading_registers_is_no_look() -> None:
    made = call("openat", pathname=b"/etc/shadow")
    assert (made.args.flags, made.tid, made.pid, made.nr, repr(made)) is not None
    assert made.target is not None
    assert not made.looked


def test_a_buffer_is_as_long_as_the_call_says() -> None:
    assert call("write", fd=1, buf=b"hello").read("buf") == b"hello"
    assert call("write", fd=1, buf=b"hello", count=2).read("buf") == b"hello"[:2]
    assert call("bind", sockfd=3, addr=b"\1\0/run/x").read("addr") == b"\1\0/run/x"


def test_a_length_behind_a_pointer_is_followed() -> None:
    """accept(2) and its like: the length is an int in memory, and its address no length."""
    made = call("accept", sockfd=3, addr=b"\1\0/run/x")

    assert made.read("addr") == b"\1\0/run/x"


def test_an_iovec_array_is_read_in_order() -> None:
    made = call("writev", fd=1, iov=[b"one", b"", b"two"])

    assert made.args.iovcnt == 3
    assert made.read("iov") == b"onetwo"
    assert call("writev", Arch.I386, fd=1, iov=[b"a", b"b"]).read("iov") == b"ab"


def test_an_argument_list_is_read_as_strings() -> None:
    for arch in (Arch.X86_64, Arch.I386):
        made = call("execve", arch, pathname=b"/bin/true", argv=[b"true", b"", b"x"], envp=[])

        assert made.read_strings("argv") == [b"true", b"", b"x"]
        assert made.read_strings("envp") == []


def test_any_pointer_is_read_with_a_size() -> None:
    made = call("ioctl", fd=1, request=0x5401, arg=struct.pack("=2I", 1, 2))

    assert made.target.read_struct(made.args.arg, struct.Struct("=2I")) == (1, 2)
    assert made.read("arg", 4) == b"\1\0\0\0"
    with pytest.raises(TypeError, match="size="):
        made.read("arg")
    with pytest.raises(KeyError, match="it has"):
        made.read("pathname")


@pytest.mark.parametrize(
    ("made", "argument", "number"),
    [
        (call("openat", pathname=0), "pathname", errno.EFAULT),
        (call("openat", pathname=b"x" * 4096), "pathname", errno.ENAMETOOLONG),
        (call("write", buf=b"abc", count=4), "buf", errno.EFAULT),
        (call("write", buf=b"abc", count=1 << 40), "buf", errno.ENOMEM),
        (call("setsockopt", optval=b"abc", optlen=0xFFFF_FFFF), "optval", errno.EINVAL),
        (call("writev", iov=[b"a"], iovcnt=1025), "iov", errno.EINVAL),
    ],
    ids=["null", "no end", "short", "endless", "negative", "too many"],
)
def test_memory_that_cannot_be_read_has_the_kernels_errno(made: Call, argument: str, number: int) -> None:
    with pytest.raises(TargetMemoryError) as caught:
        made.read(argument)

    assert caught.value.errno == number


def test_arguments_of_a_call_without_a_signature_have_no_mapping() -> None:
    assert Arguments("x", None, (1, 2, 3, 4, 5, 6)).as_mapping() == {}


# ---- in words ----


def test_a_call_is_shown_in_straces_words_and_that_is_a_look() -> None:
    """A handler that decides by what it shows decides by memory, which can change."""
    made = call("openat", dirfd=-100, pathname=b"/etc/passwd", flags=os.O_RDONLY | os.O_CLOEXEC)

    assert str(made) == 'openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC)'
    assert made.render().strings == {"pathname": b"/etc/passwd"}
    assert made.looked


def test_a_call_that_is_all_registers_is_shown_without_a_look() -> None:
    made = call("close", fd=3)

    assert str(made) == "close(3)"
    assert not made.looked


def test_a_call_of_a_thread_that_is_gone_is_shown_by_its_registers() -> None:
    made = call("mkdir", pathname=0x1000, mode=0o755)
    made._listener.close()  # as when the supervision has ended

    assert str(made) == "mkdir(0x1000, 0755)"


def test_the_words_have_as_much_as_is_wanted() -> None:
    made = call("write", fd=1, buf=b"hello")
    glimpsed(made.target).links["fd/1"] = b"/dev/tty"  # type: ignore[attr-defined]

    assert str(made.render(Look(string_limit=2, fd_paths=True))) == 'write(1</dev/tty>, "he"..., 5)'
