"""Raw programs are read and written in both byte orders; what is none is refused with its place."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.abi.seccomp import MAX_INSTRUCTIONS, RetValue
from monitor.errors import PolicyError, ProgramTooLongError
from monitor.policy.blob import ByteOrder, read_blob, write_blob
from monitor.policy.bpf import Instruction, Op, Program
from monitor.policy.interpret import evaluate
from monitor.policy.listing import lines, listing
from tests.policy.drawn import EXAMPLES

ORDERS: tuple[ByteOrder, ...] = ("little", "big")
ALLOW = Instruction(Op.RET_K, RetValue.ALLOW)
SMALL = Program([Instruction(Op.LD_ABS, 4), Instruction(Op.JEQ_K, 0xC000003E, jt=1, jf=0), ALLOW, ALLOW])


def raw(*instructions: tuple[int, int, int, int]) -> bytes:
    return b"".join(struct.pack("<HBBI", *each) for each in instructions)


@pytest.mark.parametrize("order", ORDERS)
def test_what_was_written_is_read(order: ByteOrder) -> None:
    assert read_blob(write_blob(SMALL, order), order) == SMALL


def test_this_machine_gets_what_the_kernel_takes() -> None:
    assert write_blob(SMALL) == SMALL.pack()
    assert write_blob(SMALL, "little")[:8] == bytes.fromhex("2000 00 00 04000000")
    assert write_blob(SMALL, "big")[:8] == bytes.fromhex("0020 00 00 00000004")


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "x.bpf: empty: a program has at least one instruction"),
        (raw((6, 0, 0, 0))[:-1], "x.bpf: 7 bytes: instruction 0 has 7 bytes of 8"),
        (raw((6, 0, 0, 0)) + b"abc", "x.bpf: 11 bytes: instruction 1 has 3 bytes of 8"),
        (raw((0x30, 0, 0, 0), (6, 0, 0, 0)), "x.bpf: instruction 0: opcode 0x30 is not one that seccomp admits"),
        (raw((0x20, 0, 0, 66), (6, 0, 0, 0)), "x.bpf: instruction 0: load at 66: "),
        (
            raw((0x20, 0, 0, 0), (0x15, 0, 7, 1), (6, 0, 0, 0)),
            "x.bpf: instruction 1: jump past the end of the program, by 7",
        ),
        (
            raw((0x20, 0, 0, 0), (0x05, 0, 0, 0xFFFFFFFE), (6, 0, 0, 0)),
            "x.bpf: instruction 1: jump backwards, if its offset is read as -2; offsets are unsigned",
        ),
        (raw((0x20, 0, 0, 0)), "x.bpf: the last instruction is not a return"),
        (raw((0x60, 0, 0, 3), (6, 0, 0, 0)), "x.bpf: instruction 0: M[3] is read and may not have been written"),
    ],
)
def test_what_is_no_program_is_refused_with_its_place(data: bytes, complaint: str) -> None:
    with pytest.raises(PolicyError) as caught:
        read_blob(data, "little", name="x.bpf")

    assert str(caught.value).startswith(complaint)
    assert "\n" not in str(caught.value)


def test_the_other_byte_order_is_recognised() -> None:
    with pytest.raises(PolicyError, match=r"0: opcode 0x2000 .*; its opcodes are those of a big-endian machine"):
        read_blob(write_blob(SMALL, "big"), "little")


def test_a_program_that_is_too_long_is_refused_before_it_is_looked_at() -> None:
    data = b"\xff" * 8 * (MAX_INSTRUCTIONS + 1)

    with pytest.raises(ProgramTooLongError, match="4097 instructions; the kernel takes 4096"):
        read_blob(data)
    assert len(read_blob(write_blob(Program([ALLOW] * MAX_INSTRUCTIONS)))) == MAX_INSTRUCTIONS


opcodes = st.sampled_from(list(Op)) | st.integers(0, 0xFFFF)
constants = st.sampled_from([0, 1, 4, 16, 60, 62, 64, 31, 32, 0x7FFF0000, 0xFFFFFFFF]) | st.integers(0, 0xFFFFFFFF)
offsets = st.integers(0, 6) | st.integers(0, 255)
structured = st.lists(st.tuples(opcodes, offsets, offsets, constants), max_size=12).map(
    lambda drawn: raw(*drawn, (6, 0, 0, 0x7FFF0000))
)


@given(data=st.binary(max_size=200) | structured, order=st.sampled_from(ORDERS))
@example(data=raw((5, 0, 0, 0xFFFFFFFF), (6, 0, 0, 0)), order="little")
def test_fuzzed_bytes_are_a_program_or_our_error(data: bytes, order: ByteOrder) -> None:
    EXAMPLES["fuzzed bytes are a program or our error"] += 1
    try:
        program = read_blob(data, order)
    except PolicyError:
        return

    assert write_blob(program, order) == data
    assert evaluate(program, audit_value=0xC000003E, nr=1, args=(1, 2, 3, 4, 5, 6)).path
    assert listing(lines(program)).count("\n") == len(program)


def test_a_file_of_another_tool_is_read(tmp_path: Path) -> None:
    """What bwrap(1) takes with --seccomp is such a file, in the byte order of the machine."""
    path = tmp_path / "filter.bpf"
    path.write_bytes(write_blob(SMALL))

    assert read_blob(path.read_bytes(), sys.byteorder, name=str(path)) == SMALL
