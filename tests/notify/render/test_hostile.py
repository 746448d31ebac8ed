"""Whatever registers and memory hold: one line of printable ASCII, soon, and never an exception."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.abi import syscalls
from monitor.abi.arch import Arch
from monitor.errors import TargetGone
from monitor.notify.look import Look
from monitor.notify.render import render
from monitor.testing.memory import FakeMemory

CALLS = [(arch, name) for arch in Arch for name in sorted(syscalls.names(arch))]
FIRST = 0x100000
SIZE = 0x2000

SMALL = st.one_of(st.integers(0, 70), st.sampled_from([127, 128, 255, 256, 0x100, 0x1000, 0x4206, 0x4207]))
EDGES = st.sampled_from(
    [(1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, (1 << 64) - 100]
)
PLACES = st.one_of(st.integers(FIRST, FIRST + SIZE - 1), st.sampled_from([0, 1, FIRST + SIZE - 1, FIRST + SIZE]))
REGISTER = st.one_of(SMALL, EDGES, PLACES, PLACES, st.integers(0, (1 << 64) - 1))
FILLING = st.lists(
    st.one_of(
        st.binary(min_size=1, max_size=40),
        st.integers(0, SIZE).map(lambda offset: (FIRST + offset).to_bytes(8, "little")),
        st.integers(0, SIZE).map(lambda offset: (FIRST + offset).to_bytes(4, "little")),
        st.integers(0, SIZE).map(lambda offset: (FIRST + offset).to_bytes(8, "big")),
        SMALL.map(lambda value: value.to_bytes(8, "little")),
        EDGES.map(lambda value: value.to_bytes(8, "little")),
    ),
    min_size=1,
    max_size=40,
)


def filled(pieces: list[bytes]) -> FakeMemory:
    """Return memory with *pieces* over and over."""
    memory = FakeMemory(links={"cwd": b"/\n\33[31m>", "fd/0": b"pipe:[1]\n"})
    row = b"".join(pieces)
    memory.place((row * (SIZE // len(row) + 1))[:SIZE], at=FIRST)
    return memory


@given(st.sampled_from(CALLS), st.tuples(*[REGISTER] * 6), FILLING, st.booleans())
def test_any_call_is_one_printable_line(chosen, registers, pieces, fd_paths):
    arch, name = chosen
    line = str(render(name, arch, registers, filled(pieces), Look(fd_paths=fd_paths)))
    assert line.isascii()
    assert line.isprintable()
    assert len(line) < 1 << 17


@pytest.mark.parametrize("filling", [b"\0", b"\xff", b"\x7f", b"A", b"\0\x10\x10\0\0\0\0\0", b"\n\r\33\x9b"])
@pytest.mark.parametrize(
    "registers", [(FIRST,) * 6, (0,) * 6, ((1 << 64) - 1,) * 6, (1 << 63,) * 6, (3, FIRST, 1 << 40, FIRST, 9, FIRST)]
)
def test_every_call_of_every_abi_is_one_printable_line(filling, registers):
    memory = filled([filling])
    started = time.perf_counter()
    for arch, name in CALLS:
        line = str(render(name, arch, registers, memory, Look()))
        assert line.isascii(), name
        assert line.isprintable(), name
    # Thousands of calls, of which each may ask for 2**63 of something.
    assert time.perf_counter() - started < 60


@pytest.mark.parametrize("registers", [(FIRST,) * 6, (0,) * 6, ((1 << 64) - 1,) * 6, (1, 2, 3, 4, 5, 6)])
def test_of_a_thread_that_is_gone_the_registers_are_left(registers):
    memory = filled([b"text\0"])
    memory.waiting = False
    with pytest.raises(TargetGone):
        memory.read(FIRST, 1)
    for arch, name in CALLS:
        assert str(render(name, arch, registers, memory, Look())).isprintable()


@given(st.sampled_from(CALLS), st.tuples(*[REGISTER] * 6), FILLING, st.integers(0, SIZE))
def test_a_mapping_may_end_anywhere(chosen, registers, pieces, end):
    arch, name = chosen
    memory = filled(pieces)
    memory.pieces[FIRST] = memory.pieces[FIRST][: max(end, 1)]
    assert str(render(name, arch, registers, memory, Look())).isprintable()
