"""The ``when`` language: any text, bound to a call with integers, pointers, flags and a mode."""

from __future__ import annotations

from monitor.abi.arch import Arch
from monitor.abi.syscalls import signature_of
from monitor.errors import PolicyError
from monitor.policy.expression import Expression
from tests.fuzz.frame import Fuzzer

CALLS = (("openat", Arch.X86_64), ("clone", Arch.S390X), ("prctl", Arch.I386), ("socket", Arch.AARCH64))


def parse(data: bytes) -> None:
    expression = Expression(data.decode("utf-8", "replace"))
    canonical = str(expression)
    assert str(Expression(canonical)) == canonical
    for call, arch in CALLS:
        signature = signature_of(arch, call)
        assert signature is not None
        try:
            condition = expression.bind(signature, arch)
        except PolicyError:
            continue
        assert condition == Expression(canonical).bind(signature, arch)
        condition.holds((0, 1, 2, (1 << 64) - 1, 1 << 31, 0))


FUZZER = Fuzzer(
    parse,
    seeds=(
        b"flags & O_ACCMODE == O_RDONLY && dirfd == AT_FDCWD",
        b"domain != AF_UNIX && domain != AF_INET && domain != AF_INET6",
        b"type & ~(SOCK_CLOEXEC|SOCK_NONBLOCK) in (SOCK_STREAM, SOCK_DGRAM, 3..5)",
        b"!(mode & 0o111 != 0 || arg0 >= 0xffffffff) && args[3] < 1_000",
        b"flags & 0xff == SIGCHLD || op == PR_SET_PDEATHSIG && !!args[1] == 9",
        b"dirfd in (-100, 0..0b11)",
    ),
    words=(
        b" && ", b" || ", b"!", b"(", b")", b" == ", b" != ", b" <= ", b">", b" in ", b"..", b",", b"&", b"|",
        b"~", b"-", b"flags", b"arg0", b"arg5", b"args[2]", b"O_CREAT", b"AF_UNIX", b"0",
        b"18446744073709551615", b"0x", b"08",
        b"9" * 5000, b"\xff", b"\0", b"\n", b'"x"', b"->", b"=", b"((((", b"~~~~", b"!!!!",
    ),
)  # fmt: skip
