"""What ``policy.bpf`` refuses, where ``policy.assembler`` jumps, and what ``policy.interpret`` computes."""

from __future__ import annotations

import struct
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.abi.arch import Arch
from monitor.abi.seccomp import DATA_SIZE, MAX_INSTRUCTIONS, RetValue
from monitor.errors import ProgramTooLongError
from monitor.policy.assembler import Assembler, Label
from monitor.policy.bpf import Instruction, Op, Program, check
from monitor.policy.interpret import Evaluation, evaluate

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

ARGS = (0x11111111_22222222, 0x33333333_44444444, 0, 0, 0, 0xAAAAAAAA_BBBBBBBB)

RETURN_A = Instruction(Op.RET_A)
ALLOW = Instruction(Op.RET_K, RetValue.ALLOW)


def run(*instructions: Instruction, nr: int = 0, little_endian: bool = True) -> int:
    """Return what a program of *instructions* returns."""
    ip = 0x55555555_66666666
    program = Program(instructions)
    return evaluate(program, audit_value=0xC000003E, nr=nr, ip=ip, args=ARGS, little_endian=little_endian).value


class TestInstruction:
    @pytest.mark.parametrize(
        ("fields", "complaint"),
        [
            ({"code": 0x10000}, "code 0x10000 is not in 0..0xffff"),
            ({"code": -1}, "code"),
            ({"code": 0, "k": 1 << 32}, "k 0x100000000 is not in 0..0xffffffff"),
            ({"code": 0, "k": -1}, "k"),
            ({"code": 0, "jt": 256}, "jt 0x100 is not in 0..0xff"),
            ({"code": 0, "jf": -1}, "jf"),
        ],
    )
    def test_field_that_does_not_fit_the_struct_is_refused(self, fields: dict[str, int], complaint: str) -> None:
        with pytest.raises(ValueError, match=complaint):
            Instruction(**fields)

    def test_enum_values_become_plain_numbers(self) -> None:
        assert type(Instruction(Op.RET_K, RetValue.ALLOW).k) is int


class TestCheck:
    @pytest.mark.parametrize(
        ("instructions", "complaint"),
        [
            ((), "at least one"),
            ((Instruction(Op.LD_IMM),), "last instruction is not a return"),
            ((Instruction(0x94, 1), RETURN_A), "opcode 0x94"),
            ((Instruction(0x9C), RETURN_A), "opcode 0x9c"),
            ((Instruction(0x30), RETURN_A), "opcode 0x30"),
            ((Instruction(0x40), RETURN_A), "opcode 0x40"),
            ((Instruction(0xFFFF), RETURN_A), "opcode 0xffff"),
            ((Instruction(Op.LD_ABS, DATA_SIZE), RETURN_A), "load at 64"),
            ((Instruction(Op.LD_ABS, 2), RETURN_A), "load at 2"),
            ((Instruction(Op.LD_ABS, 0xFFFFF000), RETURN_A), "load at"),
            ((Instruction(Op.DIV_K, 0), RETURN_A), "division by the constant zero"),
            ((Instruction(Op.LSH_K, 32), RETURN_A), "shift by 32"),
            ((Instruction(Op.RSH_K, 32), RETURN_A), "shift by 32"),
            ((Instruction(Op.ST, 16), RETURN_A), r"M\[16\] is not"),
            ((Instruction(Op.STX, 16), RETURN_A), r"M\[16\] is not"),
            ((Instruction(Op.LD_MEM, 16), RETURN_A), r"M\[16\] is not"),
            ((Instruction(Op.LDX_MEM, 16), RETURN_A), r"M\[16\] is not"),
            ((Instruction(Op.LD_MEM, 3), RETURN_A), r"M\[3\] is read"),
            ((Instruction(Op.ST, 2), Instruction(Op.LDX_MEM, 3), RETURN_A), r"M\[3\] is read"),
            ((Instruction(Op.JA, 1), RETURN_A), "instruction 0: jump past the end"),
            (
                (Instruction(Op.JA, 0x7FFFFFFF), RETURN_A),
                "instruction 0: jump past the end of the program, by 2147483647",
            ),
            ((RETURN_A, Instruction(Op.JA, 0xFFFFFFFE), RETURN_A), "instruction 1: jump backwards, .* as -2;"),
            ((Instruction(Op.JEQ_K, jt=1), RETURN_A), "jump past the end"),
            ((Instruction(Op.JEQ_K, jf=1), RETURN_A), "jump past the end"),
            ((RETURN_A, Instruction(Op.JSET_X)), "instruction 1: jump past the end"),
        ],
    )
    def test_what_the_kernel_refuses_is_refused(self, instructions: Sequence[Instruction], complaint: str) -> None:
        with pytest.raises(ValueError, match=complaint):
            Program(instructions)

    def test_scratch_memory_written_on_one_of_two_paths_may_not_be_read(self) -> None:
        instructions = (Instruction(Op.JEQ_K, jt=1), Instruction(Op.ST, 0), Instruction(Op.LD_MEM, 0), RETURN_A)

        with pytest.raises(ValueError, match=r"instruction 2: M\[0\]"):
            check(instructions)

    def test_scratch_memory_written_on_both_paths_may_be_read(self) -> None:
        fork = Instruction(Op.JEQ_K, jt=2)
        store, skip = Instruction(Op.ST, 0), Instruction(Op.JA, 1)

        check((fork, store, skip, store, Instruction(Op.LD_MEM, 0), RETURN_A))

    def test_offsets_of_instructions_that_do_not_jump_mean_nothing(self) -> None:
        check((Instruction(Op.LD_IMM, jt=255, jf=255), Instruction(Op.JA, jt=255, jf=255), RETURN_A))

    def test_longest_program_is_accepted(self) -> None:
        assert len(Program([ALLOW] * MAX_INSTRUCTIONS)) == MAX_INSTRUCTIONS

    def test_longer_program_is_refused(self) -> None:
        with pytest.raises(ProgramTooLongError, match="needs 4097 instructions; the kernel takes 4096"):
            Program([ALLOW] * (MAX_INSTRUCTIONS + 1))


class TestProgram:
    def test_packs_into_the_structs_of_this_machine(self) -> None:
        program = Program([Instruction(Op.JEQ_K, 0x01020304, jt=0, jf=1), RETURN_A, ALLOW])

        expected = bytes.fromhex("1500 00 01 04030201 1600 00 00 00000000 0600 00 00 0000ff7f")
        if sys.byteorder == "big":
            expected = bytes.fromhex("0015 00 01 01020304 0016 00 00 00000000 0006 00 00 7fff0000")
        assert program.pack() == expected

    def test_prepended_instructions_run_first_and_fall_through(self) -> None:
        program = Program([ALLOW])
        longer = program.prepended([Instruction(Op.LD_ABS, 0), Instruction(Op.JEQ_K, 7, jt=0, jf=1), RETURN_A])

        assert evaluate(longer, audit_value=0, nr=7) == Evaluation(7, (0, 1, 2))
        assert evaluate(longer, audit_value=0, nr=8) == Evaluation(RetValue.ALLOW, (0, 1, 3))

    def test_prepending_over_the_limit_is_refused(self) -> None:
        with pytest.raises(ProgramTooLongError):
            Program([ALLOW] * MAX_INSTRUCTIONS).prepended([Instruction(Op.LD_IMM)])

    def test_prepending_a_jump_past_the_end_is_refused(self) -> None:
        with pytest.raises(ValueError, match="jump past the end"):
            Program([ALLOW]).prepended([Instruction(Op.JA, 1)])


class TestAssembler:
    @pytest.mark.parametrize("distance", [0, 1, 254, 255, 256, 257, 1000])
    @pytest.mark.parametrize("nr", [5, 6])
    def test_a_jump_finds_its_label_at_any_distance(self, distance: int, nr: int) -> None:
        assembler, near, far = Assembler(), Label("near"), Label("far")
        assembler.load_nr()
        assembler.jump_equal(5, true=far, false=near)
        assembler.place(near)
        for _ in range(distance):
            assembler.mask(0)
        assembler.ret(1)
        assembler.place(far)
        assembler.ret(2)

        assert evaluate(assembler.assemble(), audit_value=0, nr=nr).value == (2 if nr == 5 else 1)

    def test_a_jump_within_reach_is_one_instruction(self) -> None:
        assembler, far = Assembler(), Label("far")
        assembler.jump_equal(5, true=far)
        for _ in range(255):
            assembler.ret(1)
        assembler.place(far)
        assembler.ret(2)

        assert len(assembler.assemble()) == 257

    def test_long_jumps_to_one_label_share_their_first_step(self) -> None:
        assembler = Assembler()
        far = assembler.shared_return(2)
        for k in range(100):
            assembler.jump_equal(k, true=far)
        for _ in range(300):
            assembler.ret(1)
        jumps = [each for each in assembler.assemble().instructions if each.code == Op.JA]

        assert len(jumps) == 1

    @given(st.integers(2, 400), st.randoms(use_true_random=False), st.lists(st.integers(0, 9), min_size=1))
    def test_a_program_of_random_jumps_goes_where_its_labels_say(
        self, size: int, rng: random.Random, numbers: list[int]
    ) -> None:
        nodes = [(rng.choice("egjsar"), rng.randrange(10), i + rng.randint(1, size - i)) for i in range(size)]
        others = [i + rng.randint(1, size - i) for i in range(size)]
        program = assemble_nodes(nodes, others)

        for nr in numbers:
            assert evaluate(program, audit_value=0, nr=nr).value == walk_nodes(nodes, others, nr)

    def test_both_words_of_an_argument_are_found_in_each_byte_order(self) -> None:
        for arch in (Arch.X86_64, Arch.S390X):
            assert run_load(arch, "low") == 0xBBBBBBBB
            assert run_load(arch, "high") == 0xAAAAAAAA

    @pytest.mark.parametrize("index", [-1, 6])
    def test_an_argument_that_no_call_has_is_refused(self, index: int) -> None:
        with pytest.raises(ValueError, match=rf"argument index {index} is not in 0\.\.5"):
            Assembler().load_argument_low(index, Arch.X86_64)

    def test_a_label_that_is_not_placed_is_refused(self) -> None:
        assembler = Assembler()
        assembler.jump_above(1, true=Label("nowhere"))
        assembler.ret(0)

        with pytest.raises(ValueError, match="'nowhere' is not placed behind"):
            assembler.assemble()

    def test_a_jump_backwards_is_refused(self) -> None:
        assembler, start = Assembler(), Label("start")
        assembler.place(start)
        assembler.jump(start)
        assembler.ret(0)

        with pytest.raises(ValueError, match="'start' is not placed behind"):
            assembler.assemble()

    def test_a_label_is_placed_once(self) -> None:
        assembler, label = Assembler(), Label("twice")
        assembler.place(label)

        with pytest.raises(ValueError, match="'twice' is placed twice"):
            assembler.place(label)

    def test_a_label_behind_the_last_instruction_is_refused(self) -> None:
        assembler, end = Assembler(), Label("end")
        assembler.jump_any_set(1, true=end)
        assembler.ret(0)
        assembler.place(end)

        with pytest.raises(ValueError, match="jump past the end"):
            assembler.assemble()

    def test_one_return_is_shared_by_all_who_ask_for_it(self) -> None:
        assembler = Assembler()
        assembler.jump_equal(0, true=assembler.shared_return(7), false=assembler.shared_return(7))

        assert assembler.assemble().instructions == (Instruction(Op.JEQ_K), Instruction(Op.RET_K, 7))


def run_load(arch: Arch, half: str) -> int:
    """Return what the loads of the last argument give on *arch*."""
    assembler = Assembler()
    if half == "low":
        assembler.load_argument_low(5, arch)
    else:
        assembler.load_argument_high(5, arch)
    assembler.ret(0)
    load = assembler.assemble().instructions[0]
    return run(load, RETURN_A, little_endian=arch.little_endian)


def assemble_nodes(nodes: Sequence[tuple[str, int, int]], others: Sequence[int]) -> Program:
    """Assemble *nodes*: a kind, a constant and where to go; *others* are where to go if a condition fails."""
    assembler = Assembler()
    labels = [Label(str(index)) for index in range(len(nodes) + 1)]
    assembler.load_nr()
    for index, (kind, k, target) in enumerate(nodes):
        true, false = (labels[target], None if others[index] == index + 1 else labels[others[index]])
        assembler.place(labels[index])
        match kind:
            case "e":
                assembler.jump_equal(k, true, false)
            case "g":
                assembler.jump_at_least(k, true, false)
            case "j":
                assembler.jump_above(k, true, false)
            case "s":
                assembler.jump_any_set(k, true, false)
            case "a":
                assembler.jump(true)
            case _:
                assembler.ret(index)
    assembler.place(labels[-1])
    assembler.ret(len(nodes))
    return assembler.assemble()


def walk_nodes(nodes: Sequence[tuple[str, int, int]], others: Sequence[int], nr: int) -> int:
    """Return at which node the same walk ends by a plain reading."""
    index = 0
    while index < len(nodes) and nodes[index][0] != "r":
        kind, k, target = nodes[index]
        holds = {"e": nr == k, "g": nr >= k, "j": nr > k, "s": nr & k != 0, "a": True}[kind]
        index = target if holds else others[index]
    return index


class TestEvaluate:
    @pytest.mark.parametrize(
        ("op", "a", "b", "expected"),
        [
            (Op.ADD_K, 0xFFFFFFFF, 2, 1),
            (Op.SUB_K, 1, 2, 0xFFFFFFFF),
            (Op.MUL_K, 0x10001, 0x10000, 0x10000),
            (Op.DIV_K, 0xFFFFFFFF, 2, 0x7FFFFFFF),
            (Op.AND_K, 12, 10, 8),
            (Op.OR_K, 12, 10, 14),
            (Op.XOR_K, 12, 10, 6),
            (Op.LSH_K, 3, 31, 0x80000000),
            (Op.RSH_K, 0x80000000, 31, 1),
        ],
    )
    def test_arithmetic_is_that_of_unsigned_words(self, op: Op, a: int, b: int, expected: int) -> None:
        with_x = Op(op | 0x08)

        assert run(Instruction(Op.LD_IMM, a), Instruction(op, b), RETURN_A) == expected
        assert run(Instruction(Op.LDX_IMM, b), Instruction(Op.LD_IMM, a), Instruction(with_x), RETURN_A) == expected

    @pytest.mark.parametrize(
        ("op", "a", "b", "holds"),
        [
            (Op.JEQ_K, 5, 5, True),
            (Op.JEQ_K, 5, 6, False),
            (Op.JGE_K, 0x80000000, 0x7FFFFFFF, True),
            (Op.JGE_K, 5, 5, True),
            (Op.JGE_K, 4, 5, False),
            (Op.JGT_K, 5, 5, False),
            (Op.JGT_K, 0xFFFFFFFF, 5, True),
            (Op.JSET_K, 6, 2, True),
            (Op.JSET_K, 6, 9, False),
        ],
    )
    def test_comparisons_are_unsigned(self, op: Op, a: int, b: int, *, holds: bool) -> None:
        ends = (Instruction(Op.RET_K, 1), Instruction(Op.RET_K, 0))
        setup = (Instruction(Op.LDX_IMM, b), Instruction(Op.LD_IMM, a))

        assert run(*setup, Instruction(op, b, jt=0, jf=1), *ends) == holds
        assert run(*setup, Instruction(op | 0x08, jt=0, jf=1), *ends) == holds

    def test_negation_is_modulo_two_to_the_32(self) -> None:
        assert run(Instruction(Op.LD_IMM, 1), Instruction(Op.NEG), RETURN_A) == 0xFFFFFFFF

    def test_a_shift_by_x_looks_at_five_bits(self) -> None:
        setup = (Instruction(Op.LDX_IMM, 33), Instruction(Op.LD_IMM, 4))

        assert run(*setup, Instruction(Op.LSH_X), RETURN_A) == 8
        assert run(*setup, Instruction(Op.RSH_X), RETURN_A) == 2

    def test_a_division_by_zero_ends_the_run_with_zero(self) -> None:
        assert run(Instruction(Op.LD_IMM, 7), Instruction(Op.DIV_X), ALLOW) == 0

    def test_words_move_between_accumulators_and_scratch_memory(self) -> None:
        body = (
            Instruction(Op.LD_IMM, 5),
            Instruction(Op.ST, 0),  # M[0] = 5
            Instruction(Op.LDX_MEM, 0),  # X = 5
            Instruction(Op.LD_LEN),  # A = 64
            Instruction(Op.ADD_X),  # A = 69
            Instruction(Op.STX, 15),  # M[15] = 5
            Instruction(Op.TAX),  # X = 69
            Instruction(Op.LD_MEM, 15),  # A = 5
            Instruction(Op.SUB_X),  # A = -64
            Instruction(Op.LDX_LEN),  # X = 64
            Instruction(Op.ADD_X),  # A = 0
            Instruction(Op.TXA),  # A = 64
        )

        assert run(*body, RETURN_A) == DATA_SIZE

    def test_both_accumulators_start_as_zero(self) -> None:
        assert run(RETURN_A) == 0
        assert run(Instruction(Op.TXA), RETURN_A) == 0

    def test_a_long_jump_leaves_out_what_it_says(self) -> None:
        assert run(Instruction(Op.JA, 1), Instruction(Op.RET_K, 1), Instruction(Op.RET_K, 2)) == 2

    @pytest.mark.parametrize("little_endian", [True, False])
    def test_loads_see_struct_seccomp_data(self, *, little_endian: bool) -> None:
        order = "<" if little_endian else ">"
        data = struct.pack(f"{order}iIQ6Q", -2, 0xC000003E, 0x55555555_66666666, *ARGS)

        for offset in range(0, DATA_SIZE, 4):
            loaded = run(Instruction(Op.LD_ABS, offset), RETURN_A, nr=-2, little_endian=little_endian)
            assert loaded == struct.unpack_from(f"{order}I", data, offset)[0]

    def test_a_call_has_six_arguments(self) -> None:
        with pytest.raises(ValueError, match="5 arguments given"):
            evaluate(Program([ALLOW]), audit_value=0, nr=0, args=(0,) * 5)
