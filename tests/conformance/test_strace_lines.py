"""
The comparison sees what is wrong: each fault below is planted in a file that is otherwise equal.

What it is not: a run of any program; all lines here are written by hand.
"""

from __future__ import annotations

import re

import pytest

from monitor.abi.arch import Arch
from tests.conformance.compare import Comparison, compare
from tests.conformance.strace_lines import calls, parse, split, tree

BOTH_MOMENTS = r"""
100   execve("/bin/sh", ["sh", "-c", "a, (b"], 0x7ffd9a2f4b58 /* 12 vars */) = 0
100   openat(AT_FDCWD, "/etc/a \"name\", (odd", O_RDONLY|O_CLOEXEC) = 3
100   newfstatat(3, "", {st_mode=S_IFREG|0644, st_size=9, ...}, AT_EMPTY_PATH) = 0
100   read(3,  <unfinished ...>
100   <... read resumed>"text, (and\"", 4096) = 11
100   mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, 3, 0) = 0x7fb1a3c00000
100   clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD, child_tidptr=0x7f20420da10) = 101
100   wait4(101,  <unfinished ...>
101   dup2(3, 1)                        = 1
101   clone3({flags=CLONE_VM|CLONE_THREAD, exit_signal=0, stack=0x7f9055611000} => {parent_tid=[102]}, 88) = 102
102   write(1, "x", 1 <unfinished ...>
101   ioctl(1, TCGETS, {B38400 opost isig icanon echo ...}) = 0
102   <... write resumed>)              = 1
102   exit(0)                           = ?
102   +++ exited with 0 +++
101   fcntl(1, F_SETLK, {l_type=F_RDLCK, l_whence=SEEK_SET, l_start=0, l_len=1}) = 0
101   exit_group(0)                     = ?
101   +++ exited with 0 +++
100   <... wait4 resumed>[{WIFEXITED(s) && WEXITSTATUS(s) == 0}], 0, NULL) = 101
100   --- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=101, si_uid=0, si_status=0} ---
100   close(3)                          = 0
100   +++ exited with 0 +++
"""
"""A file that tells of entries and of ends."""

ENTRIES_ONLY = r"""
7     execve("/bin/sh", ["sh", "-c", "a, (b"], 0x7ffe12345678 /* 12 vars */) = ?
7     openat(AT_FDCWD, "/etc/a \"name\", (odd", O_RDONLY|O_CLOEXEC) = ?
7     newfstatat(3, "", 0x7ffe12340000, AT_EMPTY_PATH) = ?
7     read(3, 0x55d0c1f2a2a0, 4096) = ?
7     mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, 3, 0) = ?
7     clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD, child_tidptr=0x7f11111111) = ?
7     wait4(8, 0x7ffe12340010, 0, NULL) = ?
8     dup2(3, 1) = ?
8     clone3({flags=CLONE_VM|CLONE_THREAD, exit_signal=0, stack=0x7f9044411000}, 88) = ?
8     ioctl(1, TCGETS, 0x7ffe12340030) = ?
9     write(1, "x", 1) = ?
9     exit(0) = ?
8     fcntl(1, F_SETLK, {l_type=F_RDLCK, l_whence=SEEK_SET, l_start=0, l_len=1}) = ?
8     exit_group(0) = ?
7     close(3) = ?
"""
"""The same program, told at its entries alone."""


def between(first: str, second: str) -> Comparison:
    return compare(calls(first, Arch.X86_64), calls(second, Arch.X86_64))


def test_what_is_told_at_the_entry_is_all_that_is_compared() -> None:
    assert str(between(BOTH_MOMENTS, ENTRIES_ONLY)) == "15 of 15 equal (100.00%)"


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("O_RDONLY|O_CLOEXEC", "O_RDONLY"),
        ("O_RDONLY|O_CLOEXEC", "O_CLOEXEC|O_RDONLY"),
        ("AT_FDCWD", "-100"),
        ("dup2(3, 1)", "dup2(1, 3)"),
        ('write(1, "x", 1)', "write(1, 0x7ffe12340040, 1)"),
        ('write(1, "x", 1)', 'write(1, "y", 1)'),
        ('write(1, "x", 1)', 'write(1, "x")'),
        ('write(1, "x", 1)', 'write(1, "x", 1, 0)'),
        ("(odd", "odd"),
        ("PROT_READ", "PROT_READ|0x80"),
        ("/* 12 vars */", "/* 13 vars */"),
        ("0x7ffe12345678 /* 12 vars */", "NULL"),
        ("wait4(8,", "wait4(9,"),
        ("wait4(8, 0x7ffe12340010,", "wait4(8, NULL,"),
        ("wait4(8, 0x7ffe12340010, 0, NULL)", "wait4(8, 0x7ffe12340010, 0, 0x7ffe12340010)"),
        ("TCGETS", "TCSETS"),
        ("l_len=1", "l_len=2"),
        ("{l_type=F_RDLCK, l_whence=SEEK_SET, l_start=0, l_len=1}", "0x7ffe12340050"),
        ("CLONE_VM|CLONE_THREAD", "CLONE_VM"),
        ("newfstatat(", "fstatat("),
        ("CLONE_CHILD_SETTID|SIGCHLD", "CLONE_CHILD_SETTID|0x11"),
    ],
)
def test_a_wrong_call_is_one_difference(right: str, wrong: str) -> None:
    assert ENTRIES_ONLY.count(right) == 1

    found = between(BOTH_MOMENTS, ENTRIES_ONLY.replace(right, wrong))

    assert (found.equal, found.total) in {(14, 15), (14, 16)}  # 16: under another name it is another call


@pytest.mark.parametrize("name", ["read", "dup2", "write", "close"])
def test_a_missing_call_is_one_difference(name: str) -> None:
    without = re.sub(rf"\n\d+ +{name}\(.*", "", ENTRIES_ONLY)

    found = between(BOTH_MOMENTS, without)

    assert (found.equal, found.total, found.differences[0].second) == (14, 15, None)


def test_a_call_too_many_is_one_difference() -> None:
    found = between(BOTH_MOMENTS, ENTRIES_ONLY + "7     close(3) = ?\n")

    assert (found.equal, found.total, found.differences[0].first) == (15, 16, None)


def test_calls_in_another_order_are_different() -> None:
    first = "\n8     fcntl(1, F_SETLK, {l_type=F_RDLCK, l_whence=SEEK_SET, l_start=0, l_len=1}) = ?"
    second = "\n8     exit_group(0) = ?"

    found = between(BOTH_MOMENTS, ENTRIES_ONLY.replace(first + second, second + first))

    assert (found.equal, found.total) == (14, 16)


def test_a_call_of_another_thread_is_different() -> None:
    found = between(BOTH_MOMENTS, ENTRIES_ONLY.replace("9     write", "8     write"))

    assert (found.equal, found.total) == (14, 16)


def test_in_which_order_two_threads_are_told_does_not_matter() -> None:
    lines = ENTRIES_ONLY.splitlines(keepends=True)
    sorted_by_thread = sorted(lines, key=lambda line: line[:1])

    assert sorted_by_thread != lines
    assert between(BOTH_MOMENTS, "".join(sorted_by_thread)).share == 1


def test_thread_numbers_that_start_again_from_low_ones_keep_their_order() -> None:
    numbers = [32766, 32767, 300, 301]
    text = "32766 fork() = ?\n" * 3 + "".join(f"{number} close({number}) = ?\n" for number in numbers)

    assert tree(parse(text)) == {32766: "1", 32767: "1.1", 300: "1.2", 301: "1.3"}


@pytest.mark.parametrize(
    ("text", "arguments", "behind"),
    [
        (") = 0", [], " = 0"),
        ("1, 2) = 0", ["1", "2"], " = 0"),
        (r'"a\"),", [{"b", 1}, {}]) = 0', [r'"a\"),"', '[{"b", 1}, {}]'], " = 0"),
        ('"a, b"..., 0xff /* a, (b */)', ['"a, b"...', "0xff /* a, (b */"], ""),
        ("{a=1, b=[2, 3]}, f(x, y))", ["{a=1, b=[2, 3]}", "f(x, y)"], ""),
        ("3, ", ["3"], ""),
    ],
)
def test_arguments_are_split_where_they_end(text: str, arguments: list[str], behind: str) -> None:
    assert split(text) == (arguments, behind)


def test_a_program_that_is_not_relocatable_has_its_own_addresses_compared() -> None:
    text = "1 close(1) = ?\n1 brk(0x4bc000) = ?\n1 brk(0x7f00deadb000) = ?\n"

    assert [call.text for call in calls(text, Arch.X86_64, relocatable=False)][1:] == ["brk(0x4bc000)", "brk(ADDRESS)"]
    assert [call.text for call in calls(text, Arch.X86_64)][1:] == ["brk(ADDRESS)", "brk(ADDRESS)"]


def test_addresses_are_one_word_and_long_numbers_that_are_none_stay() -> None:
    text = (
        "1 mmap(0x7f00deadb000, 4096, PROT_READ, 0x7 /* MAP_??? */, -1, 0) = ?\n1 lseek(3, 78187493520, SEEK_SET) = ?\n"
    )

    assert [call.text for call in calls(text, Arch.X86_64)] == [
        "mmap(ADDRESS, 4096, PROT_READ, 0x7 /* MAP_??? */, -1, 0)",
        "lseek(3, 78187493520, SEEK_SET)",
    ]
