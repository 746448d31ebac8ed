"""Flag words and enumerations in names: every value can be read back from its text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.abi import tables
from monitor.abi.arch import Arch
from monitor.abi.constants import values
from monitor.abi.words import flags_word, word

GROUPS = sorted(name for name, group in tables.constants()["groups"].items() if group["type"] != "mask")

TEXT = re.compile(r"(\w+)( /\* [\w?]+ \*/)?(\|(\w+)( /\* [\w?]+ \*/)?)*")

MIXED = [name for name in GROUPS if tables.constants()["groups"][name]["type"] == "mixed"]

groups = st.sampled_from(GROUPS)
arches = st.sampled_from(list(Arch))
words = st.one_of(
    st.integers(0, (1 << 64) - 1),
    st.integers(0, (1 << 32) - 1),
    st.integers(0, 1 << 10),
    st.lists(st.integers(0, 63), max_size=4).map(lambda bits: sum(1 << bit for bit in set(bits))),
)


def meanings(group: str, arch: Arch) -> dict[str, int]:
    """Return what each name of *group* stands for, as an unsigned number."""
    shape = tables.constants()["groups"][group]
    known = dict(values(group, arch))
    borrowed = shape.get("enum_set")
    if borrowed is not None:
        known |= values(borrowed, arch)
    known |= {"O_ACCMODE": 3}
    return {name: value % (1 << 32) if value < 0 else value for name, value in known.items()}


def read_back(text: str, group: str, arch: Arch) -> int:
    """Return the value that *text* says."""
    known = meanings(group, arch)
    value = 0
    for part in re.sub(r" /\*.*?\*/", "", text).split("|"):
        value |= known[part] if part in known else int(part, 0)
    return value


@given(groups, words, arches)
def test_what_is_written_can_be_read_back(group, value, arch):
    assert read_back(word(group, value, arch), group, arch) == value


@given(groups, st.data(), arches)
def test_names_of_the_group_can_be_read_back_together(group, data, arch):
    known = meanings(group, arch)
    chosen = data.draw(st.lists(st.sampled_from(sorted(known)), max_size=4))
    value = 0
    for name in chosen:
        value |= known[name]
    assert read_back(word(group, value, arch), group, arch) == value


@given(groups, words, arches)
def test_the_text_has_names_and_hex_only(group, value, arch):
    text = word(group, value, arch)
    assert TEXT.fullmatch(text)
    parts = re.sub(r" /\*.*?\*/", "", text).split("|")
    assert all(part in meanings(group, arch) or part == "0" or re.fullmatch("0x[0-9a-f]+", part) for part in parts)
    assert len(parts) == len(set(parts))


@given(
    st.sampled_from([name for name in GROUPS if tables.constants()["groups"][name]["type"] == "mixed"]), words, arches
)
def test_flags_of_a_mixed_group_can_be_read_back_without_its_enumeration(group, value, arch):
    assert read_back(flags_word(group, value, arch), group, arch) == value


@pytest.mark.parametrize("group", GROUPS)
def test_every_name_is_shown_by_its_value_or_another_name_has_it(group):
    for arch in Arch:
        for value in meanings(group, arch).values():
            assert read_back(word(group, value, arch), group, arch) == value


@pytest.mark.parametrize(
    ("group", "value", "expected"),
    [
        # Nothing set: a name for 0, else 0 itself.
        ("access_mode", 0, "F_OK"),
        ("mmap_prot", 0, "PROT_NONE"),
        ("open", 0, "O_RDONLY"),
        ("clone", 0, "0"),
        ("unshare", 0, "0"),
        ("clock", 0, "CLOCK_REALTIME"),
        # A name for several bits wins over those for fewer of them.
        ("open", 0o4010000, "O_RDONLY|O_SYNC"),
        ("open", 0o10000, "O_RDONLY|O_DSYNC"),
        ("open", 0o20200000, "O_RDONLY|O_TMPFILE"),
        ("open", 0o200000, "O_RDONLY|O_DIRECTORY"),
        ("open", 0o20000000, "O_RDONLY|__O_TMPFILE"),
        ("open", 3, "O_ACCMODE"),
        # The part that is an enumeration stands in front; clone(2)'s signal behind.
        ("open", 0o102, "O_RDWR|O_CREAT"),
        ("mmap_flags", 0x22, "MAP_PRIVATE|MAP_ANONYMOUS"),
        ("mmap_flags", 0x20, "MAP_FILE|MAP_ANONYMOUS"),
        ("mmap_flags", 0x2F, "0xf /* MAP_??? */|MAP_ANONYMOUS"),
        ("clone", 0x111, "CLONE_VM|SIGCHLD"),
        # Where nothing has a name, a comment says what was looked for.
        ("clock", 99, "0x63 /* CLOCK_??? */"),
        ("unshare", 1, "0x1 /* CLONE_??? */"),
        ("mmap_prot", 0x10, "0x10 /* PROT_??? */"),
        ("mmap_prot", 0x11, "PROT_READ|0x10"),
        # Negative numbers of the headers are ints.
        ("rusage", 0xFFFFFFFF, "RUSAGE_CHILDREN"),
        ("rusage", 5, "0x5 /* RUSAGE_??? */"),
    ],
)
def test_words_of_x86_64(group, value, expected):
    assert word(group, value, Arch.X86_64) == expected


def test_words_are_those_of_the_abi():
    assert word("open", 0o40000, Arch.X86_64) == "O_RDONLY|O_DIRECT"
    assert word("open", 0o40000, Arch.AARCH64) == "O_RDONLY|O_DIRECTORY"
    assert word("mlockall", 1, Arch.PPC64LE) == "0x1 /* MCL_??? */"
