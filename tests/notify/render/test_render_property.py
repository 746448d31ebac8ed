"""
Structs that a number chooses: whatever is in them, one printable line, and a bounded look at memory.

Random registers seldom name a request of ioctl(2) or an option of a socket; here each is one that is known.
"""

from __future__ import annotations

from typing import Final

from attrs import define
from hypothesis import given
from hypothesis import strategies as st

from monitor.abi import syscalls
from monitor.abi.arch import Arch
from monitor.abi.constants import values
from monitor.notify.render import Look, render
from monitor.testing.memory import FakeMemory

FIRST: Final = 0x100000
SIZE: Final = 0x3000

MOST_READS: Final = 20_000
MOST_BYTES: Final = 1 << 22
"""Far more than any call needs: what is caught is a walk that does not end."""


@define
class CountedMemory(FakeMemory):
    """Memory that knows how much of it was looked at."""

    reads: int = 0
    bytes_read: int = 0

    def read(self, address: int, size: int) -> bytes:
        data = super().read(address, size)
        self.reads += 1
        self.bytes_read += len(data)
        return data


def numbers(*groups: str) -> list[int]:
    return sorted({value for group in groups for value in values(group, Arch.X86_64).values()})


FAMILIES = numbers("address_family")
LEVELS = [*numbers("sol"), 40]
OPTIONS = sorted({*range(1, 120), *numbers("so", "packet_option", "netlink_option")})

places = st.integers(FIRST, FIRST + SIZE - 1)
lengths = st.one_of(st.integers(0, 200), st.sampled_from([1 << 31, (1 << 32) - 1, 1 << 63, (1 << 64) - 1]))
anything = st.one_of(places, lengths, st.integers(0, (1 << 64) - 1))


def chosen(name: str, *strategies: st.SearchStrategy[int]) -> st.SearchStrategy[tuple[str, tuple[int, ...]]]:
    rest = [anything] * (6 - len(strategies))
    return st.tuples(st.just(name), st.tuples(*strategies, *rest))


fds = st.integers(0, 9)
calls = st.one_of(
    chosen("ioctl", fds, st.sampled_from(numbers("ioctl", "ioctl_x86")), anything),
    chosen("fcntl", fds, st.sampled_from(numbers("fcntl")), anything),
    chosen("fcntl64", fds, st.sampled_from(numbers("fcntl")), anything),
    chosen("setsockopt", fds, st.sampled_from(LEVELS), st.sampled_from(OPTIONS), places, lengths),
    chosen("getsockopt", fds, st.sampled_from(LEVELS), st.sampled_from(OPTIONS), places, places),
    chosen("socket", st.sampled_from(FAMILIES), anything, anything),
    chosen("socketcall", st.sampled_from(numbers("socketcall")), places),
    chosen("select", anything, places, places, places, places),
    chosen("pselect6", st.integers(0, 1 << 20), places, places, places, places, places),
    chosen("poll", places, lengths, anything),
    chosen("bind", fds, places, lengths),
    chosen("sendto", fds, places, lengths, anything, places, lengths),
    chosen("sendmsg", fds, places, anything),
    chosen("recvmsg", fds, places, anything),
    chosen("sendmmsg", fds, places, lengths, anything),
    chosen("quotactl", st.sampled_from([number << 8 | 1 for number in numbers("quota")]), places, anything, places),
    chosen("fsconfig", fds, st.sampled_from(numbers("fsconfig")), places, places, anything),
    chosen("mount", places, places, places, anything, places),
    chosen("open_by_handle_at", fds, places, anything),
    chosen("epoll_ctl", fds, st.integers(1, 3), fds, places),
    chosen("mount_setattr", fds, places, anything, places, lengths),
    chosen("utimensat", fds, places, places, anything),
)

word = st.one_of(
    places,
    lengths,
    st.sampled_from(FAMILIES),
    # A level and a type of a control message, side by side.
    st.tuples(st.sampled_from([0, 1, 41]), st.integers(0, 70)).map(lambda pair: pair[0] | pair[1] << 32),
    st.integers(0, (1 << 64) - 1),
)
fillings = st.lists(
    st.one_of(word.map(lambda value: value.to_bytes(8, "little")), st.binary(min_size=1, max_size=12)),
    min_size=1,
    max_size=60,
)


@given(
    arch=st.sampled_from(Arch),
    call=calls,
    pieces=fillings,
    string_limit=st.sampled_from([0, 32, 1 << 16]),
    fds=st.booleans(),
)
def test_a_struct_of_a_known_kind_is_one_printable_line(arch, call, pieces, string_limit, fds) -> None:
    name, registers = call
    memory = CountedMemory(links={"fd/0": b"pipe:[1]\n\x1b", "cwd": b"/>"})
    row = b"".join(pieces)
    memory.place((row * (SIZE // len(row) + 1))[:SIZE], at=FIRST)
    if name not in syscalls.names(arch):
        arch = Arch.I386

    line = str(render(name, arch, registers, memory, Look(string_limit=string_limit, fd_paths=fds)))

    assert line.isascii()
    assert line.isprintable()
    assert memory.reads < MOST_READS
    assert memory.bytes_read < MOST_BYTES
