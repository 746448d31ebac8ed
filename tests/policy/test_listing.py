"""What a listing says of each instruction, and that it claims nothing it cannot know."""

from __future__ import annotations

import re

import pytest
from hypothesis import given

from monitor.abi.arch import Arch
from monitor.abi.seccomp import RetValue
from monitor.origin import Origin
from monitor.policy.action import Allow, Deny, Handle, Log
from monitor.policy.blob import read_blob, write_blob
from monitor.policy.bpf import Instruction, Op, Program
from monitor.policy.compile import compile_policy
from monitor.policy.condition import Test
from monitor.policy.listing import lines, lines_of, listing, return_name
from monitor.policy.model import Policy, Rule
from monitor.policy.notify_program import compile_notify
from monitor.policy.numbers import EVERY
from tests.policy.drawn import only, policies

RETURN_A = Instruction(Op.RET_A)
ALLOW = Instruction(Op.RET_K, RetValue.ALLOW)


def texts(*instructions: Instruction, arch: Arch | None = None) -> list[str]:
    return [line.text for line in lines(Program(instructions), arch=arch)]


@pytest.mark.parametrize(
    ("instruction", "text"),
    [
        (Instruction(Op.LD_ABS, 0), "ld [0] nr"),
        (Instruction(Op.LD_ABS, 4), "ld [4] arch"),
        (Instruction(Op.LD_ABS, 8), "ld [8] ip first half"),
        (Instruction(Op.LD_ABS, 20), "ld [20] args[0] second half"),
        (Instruction(Op.LD_ABS, 60), "ld [60] args[5] second half"),
        (Instruction(Op.LD_IMM, 7), "ld #7"),
        (Instruction(Op.LDX_IMM, 0x12345678), "ldx #0x12345678"),
        (Instruction(Op.LD_LEN), "ld len"),
        (Instruction(Op.LDX_LEN), "ldx len"),
        (Instruction(Op.ST, 3), "st M[3]"),
        (Instruction(Op.STX, 3), "stx M[3]"),
        (Instruction(Op.ADD_K, 1), "add #1"),
        (Instruction(Op.ADD_X), "add x"),
        (Instruction(Op.AND_K, 0xFF), "and #255"),
        (Instruction(Op.RSH_X), "rsh x"),
        (Instruction(Op.NEG), "neg"),
        (Instruction(Op.TAX), "tax"),
        (Instruction(Op.TXA), "txa"),
        (Instruction(Op.JA, 0), "jmp next"),
        (Instruction(Op.JSET_X), "jset x, next, next"),
    ],
)
def test_each_instruction_has_its_text(instruction: Instruction, text: str) -> None:
    assert texts(instruction, RETURN_A) == [text, "ret a"]


@pytest.mark.parametrize("op", Op)
def test_no_instruction_is_without_a_text(op: Op) -> None:
    before = [Instruction(Op.ST, 1), Instruction(op, 0 if op is Op.LD_ABS else 1)]

    assert all(re.fullmatch(r"[a-z]+( .+)?", text) for text in texts(*before, ALLOW, ALLOW, ALLOW))


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (0x80000000, "KILL_PROCESS"),
        (0x00000000, "KILL_THREAD"),
        (0x00030007, "TRAP 7"),
        (0x00050001, "ERRNO EPERM"),
        (0x00050026, "ERRNO ENOSYS"),
        (0x00050000, "ERRNO 0"),
        (0x00050FFF, "ERRNO 4095"),
        (0x7FC00000, "USER_NOTIF"),
        (0x7FF00009, "TRACE 9"),
        (0x7FFC0000, "LOG"),
        (0x7FFF0000, "ALLOW"),
        (0x12340000, "KILL_PROCESS (no such action)"),
    ],
)
def test_returns_are_named_as_the_kernel_names_them(value: int, name: str) -> None:
    assert return_name(value) == name


def test_numbers_are_named_where_the_arch_is_known() -> None:
    head = [Instruction(Op.LD_ABS, 4), Instruction(Op.JEQ_K, Arch.I386.audit_value, jt=0, jf=3), Instruction(Op.LD_ABS)]
    body = [Instruction(Op.JEQ_K, 5), Instruction(Op.JGE_K, 11)]

    assert texts(*head, *body, ALLOW)[3:5] == ["jeq #5 open, next, next", "jge #11 execve, next, next"]
    assert texts(Instruction(Op.LD_ABS), *body, ALLOW)[1:3] == ["jeq #5, next, next", "jge #11, next, next"]
    assert texts(Instruction(Op.LD_ABS), *body, ALLOW, arch=Arch.AARCH64)[1] == "jeq #5 setxattr, next, next"


def test_a_number_of_x32_has_the_name_of_x32() -> None:
    body = [Instruction(Op.LD_ABS), Instruction(Op.JEQ_K, 0x40000000 | 520), ALLOW]

    assert texts(*body, arch=Arch.X86_64)[1] == "jeq #0x40000208 execve, next, next"


def test_halves_are_named_where_the_byte_order_is_known() -> None:
    assert texts(Instruction(Op.LD_ABS, 16), ALLOW, arch=Arch.X86_64)[0] == "ld [16] args[0] low half"
    assert texts(Instruction(Op.LD_ABS, 16), ALLOW, arch=Arch.S390X)[0] == "ld [16] args[0] high half"


def test_where_two_ways_disagree_nothing_is_claimed() -> None:
    """The second number is reached from two arches, and the third with something else loaded."""
    instructions = [
        Instruction(Op.LD_ABS, 4),
        Instruction(Op.JEQ_K, Arch.X86_64.audit_value, jt=1, jf=0),
        Instruction(Op.JEQ_K, Arch.I386.audit_value, jt=0, jf=3),
        Instruction(Op.LD_ABS, 0),
        Instruction(Op.JEQ_K, 5),
        Instruction(Op.AND_K, 7),
        Instruction(Op.JEQ_K, 0xC000003E),
        ALLOW,
    ]

    found = texts(*instructions)
    assert found[1] == "jeq #0xc000003e x86_64/x32, L3, next"
    assert found[4] == "jeq #5, next, next"
    assert found[6] == "jeq #0xc000003e, next, next"


def test_what_a_mask_leaves_is_no_number() -> None:
    body = [Instruction(Op.LD_ABS), Instruction(Op.AND_K, 0xFF), Instruction(Op.JEQ_K, 1), ALLOW]
    whole = [Instruction(Op.LD_ABS), Instruction(Op.AND_K, 0xFFFFFFFF), Instruction(Op.JEQ_K, 1), ALLOW]

    assert texts(*body, arch=Arch.X86_64)[2] == "jeq #1, next, next"
    assert texts(*whole, arch=Arch.X86_64)[2] == "jeq #1 write, next, next"


LISTED = """\
 0                 ld [4] arch
 1                 jeq #0xc000003e x86_64/x32, x86_64, next
 2                 ret #0x80000000 KILL_PROCESS          ; the default of agent
 3  x86_64:        ld [0] nr
 4                 jge #42 connect, L8, next
 5                 jge #2 open, L7, next
 6                 jge #1 write, USER_NOTIF, ALLOW       ; agent.toml:9
 7  L7:            jge #41 socket, socket, ALLOW         ; agent.toml:12
 8  L8:            jge #318 getrandom, L10, next
 9                 jge #317 seccomp, seccomp, ALLOW      ; the default of agent
10  L10:           jge #0x40000000 read, next, ALLOW     ; the default of agent
11                 jge #0xffffffff, ALLOW, KILL_PROCESS  ; the default of agent
12  seccomp:       ld [16] args[0] low half
13                 jeq #1, next, ALLOW
14                 ld [24] args[1] low half
15                 jset #8, ERRNO EBUSY, ALLOW
16  socket:        ld [16] args[0] low half              ; agent.toml:12
17                 xor #0x80000000                       ; agent.toml:12
18                 jge #0x80000003, ERRNO EACCES, next   ; agent.toml:12
19  ALLOW:         ret #0x7fff0000 ALLOW                 ; the default of agent, agent.toml:12
20  USER_NOTIF:    ret #0x7fc00000 USER_NOTIF            ; agent.toml:9
21  KILL_PROCESS:  ret #0x80000000 KILL_PROCESS          ; the default of agent
22  ERRNO EBUSY:   ret #0x00050010 ERRNO EBUSY
23  ERRNO EACCES:  ret #0x0005000d ERRNO EACCES          ; agent.toml:12
"""

AGENT = Policy(
    "agent",
    rules=[
        Rule(["write"], Log(), origin=Origin("agent.toml", 9)),
        only(Test(0, ">=", width=32, signed=True, value=3), Deny(13), "socket", origin=Origin("agent.toml", 12)),
    ],
)


def test_a_policy_is_listed_with_its_rules() -> None:
    found = listing(lines_of(compile_policy(AGENT, [Arch.X86_64])))

    assert found == LISTED


def test_a_rule_without_a_place_is_named_by_its_calls() -> None:
    rules = [Rule(["read", "write", "close", "lseek"], Handle("x")), Rule(["%memory"], Deny())]
    notes = {line.note for line in lines_of(compile_policy(Policy("p", Allow(), rules=rules), [Arch.X86_64]))}

    assert {"the rule for read, write, close, ...", "the rule for %memory"} <= notes


def test_what_leads_to_many_rules_names_some() -> None:
    rules = [Rule([name], Log()) for name in ("read", "open", "stat", "poll", "mmap")]
    found = lines_of(compile_policy(Policy("p", rules=rules), [Arch.X86_64]))

    assert any(line.note.endswith(" and 2 more") for line in found)


def test_a_program_from_elsewhere_is_listed_as_well() -> None:
    program = read_blob(write_blob(compile_notify({Arch.X86_64: frozenset({257}), Arch.I386: EVERY})))
    found = listing(lines(program))

    assert "jeq #0xc000003e x86_64/x32, " in found
    assert "#257 openat" in found
    assert "ERRNO ENOSYS:  ret #0x00050026 ERRNO ENOSYS" in found


@given(policy=policies(1))
def test_every_policy_has_a_listing(policy: Policy) -> None:
    compiled = compile_policy(policy, [Arch.X86_64, Arch.S390X])
    found = lines_of(compiled)

    assert len(found) == len(compiled.program)
    labels = [label for line in found for label in line.labels]
    assert len(labels) == len(set(labels))
    assert len(listing(found).splitlines()) == len(found)
