"""Words for sets of calls."""

from __future__ import annotations

from subprocess import run
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.abi import tables
from monitor.abi.arch import Arch
from monitor.abi.groups import ALIASES, expand
from monitor.abi.syscalls import names
from monitor.errors import PolicyError

CLASSES = sorted(f"%{name}" for name in (*tables.classes()["classes"], *tables.classes()["aliases"]))
GROUPS = sorted(tables.groups()["systemd"]["groups"])
WORDS = st.sampled_from([*CLASSES, *GROUPS, *sorted(names(Arch.X86_64))])


def test_a_name_is_itself() -> None:
    assert expand(["openat", "read"], Arch.X86_64) == {"openat", "read"}


def test_all_is_every_call_of_the_arch() -> None:
    assert expand(["all"], Arch.AARCH64) == names(Arch.AARCH64)


def test_class_has_the_calls_that_the_arch_has() -> None:
    assert {"open", "openat", "execve"} <= expand(["%file"], Arch.X86_64)
    assert "open" not in expand(["%file"], Arch.AARCH64)
    assert "openat" not in expand(["%network"], Arch.X86_64)


def test_doubled_percent_is_another_class() -> None:
    assert expand(["%stat"], Arch.X86_64) == {"stat"}
    assert expand(["%%stat"], Arch.X86_64) == {"stat", "lstat", "fstat", "newfstatat", "statx"}


def test_net_is_network() -> None:
    assert expand(["%net"], Arch.X86_64) == expand(["%network"], Arch.X86_64)


def test_group_of_systemd_includes_its_spellings() -> None:
    assert "_llseek" in expand(["@basic-io"], Arch.I386)
    assert "newfstatat" in expand(["@file-system"], Arch.X86_64)


def test_what_is_taken_away_is_gone_wherever_it_stands() -> None:
    assert expand(["!open", "open", "openat"], Arch.X86_64) == {"openat"}
    assert expand(["all", "!%file", "!@network-io"], Arch.X86_64).isdisjoint(
        expand(["%file", "@network-io"], Arch.X86_64)
    )


@given(st.lists(WORDS, min_size=1, max_size=4), st.lists(WORDS, max_size=4))
def test_expansion_is_a_difference_of_unions(added: list[str], removed: list[str]) -> None:
    def union(words: list[str]) -> set[str]:
        return {call for word in words for call in (set[str](expand([word], Arch.X86_64)) if has_calls(word) else ())}

    def has_calls(word: str) -> bool:
        return word[:1] not in "%@" or any(call in names(Arch.X86_64) for call in calls_listed(word))

    expected = union(added) - union(removed)
    words = [*(f"!{word}" for word in removed), *added]
    if expected:
        assert expand(words, Arch.X86_64) == expected
    else:
        with pytest.raises(PolicyError, match="names no call"):
            expand(words, Arch.X86_64)


def calls_listed(word: str) -> list[str]:
    if word.startswith("@"):
        return tables.groups()["systemd"]["groups"][word]["expanded"]
    table = tables.classes()
    return table["classes"][table["aliases"].get(word[1:], word[1:])]


@pytest.mark.parametrize(
    ("word", "arch", "call"),
    [
        ("pread", Arch.X86_64, "pread64"),
        ("umount", Arch.X86_64, "umount2"),
        ("umount", Arch.I386, "umount"),
        ("fstatat", Arch.X86_64, "newfstatat"),
        ("fstatat", Arch.I386, "fstatat64"),
        ("newstat", Arch.X86_64, "stat"),
        ("fadvise64_64", Arch.ARM, "arm_fadvise64_64"),
        ("fadvise64_64", Arch.I386, "fadvise64_64"),
    ],
)
def test_other_spellings(word: str, arch: Arch, call: str) -> None:
    assert expand([word], arch) == {call}


def test_every_alias_means_a_call_of_some_abi() -> None:
    everywhere = frozenset[str]().union(*(names(arch) for arch in Arch))
    for meant in ALIASES.values():
        assert everywhere.issuperset(meant)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("opennat", "unknown call 'opennat'; did you mean 'openat'?"),
        ("%fil", "unknown class '%fil'; did you mean '%file'?"),
        ("@networkio", "unknown group '@networkio'; did you mean '@network-io'?"),
        ("file", "unknown call 'file'; did you mean '%file'?"),
        ("!opennat", "unknown call 'opennat'; did you mean 'openat'?"),
        ("xyzzy", "unknown call 'xyzzy'"),
        ("", "unknown call ''"),
    ],
)
@pytest.mark.parametrize("missing_ok", [False, True])
def test_unknown_word_is_refused_with_the_nearest(*, word: str, message: str, missing_ok: bool) -> None:
    with pytest.raises(PolicyError) as caught:
        expand(["all", word], Arch.X86_64, missing_ok=missing_ok)

    assert str(caught.value) == message


def test_call_of_another_arch_is_refused_with_the_arches_that_have_it() -> None:
    with pytest.raises(PolicyError, match="aarch64 has no call 'open'; it exists on x86_64, x32, i386, arm"):
        expand(["open", "openat"], Arch.AARCH64)


def test_call_of_another_arch_may_be_missing_when_that_is_said() -> None:
    assert expand(["open", "openat"], Arch.AARCH64, missing_ok=True) == {"openat"}


@pytest.mark.parametrize("words", [[], ["open", "!open"], ["%file", "!all"]])
def test_nothing_left_is_refused(words: list[str]) -> None:
    with pytest.raises(PolicyError, match="names no call"):
        expand(words, Arch.X86_64)


def test_only_taking_away_is_refused_with_advice() -> None:
    with pytest.raises(PolicyError, match="write 'all' beside it"):
        expand(["!open"], Arch.X86_64)


def test_every_call_in_a_class_is_known_to_some_abi() -> None:
    everywhere = frozenset[str]().union(*(names(arch) for arch in Arch))
    for name, calls in tables.classes()["classes"].items():
        assert everywhere.issuperset(calls), name


@pytest.mark.parametrize("group", GROUPS)
def test_every_call_in_a_group_is_known_or_of_an_abi_we_lack(group: str) -> None:
    """No group of systemd is out of reach: each has a call on one of the nine ABIs."""
    assert any(expand([group, "read"], arch) - {"read"} for arch in Arch)


def test_strace_knows_every_class() -> None:
    ours = {"%descriptor"}
    words = ",".join(word for word in CLASSES if word not in ours)

    done = run(
        ["strace", "-o", "/dev/null", "-e", f"trace={words}", "true"], capture_output=True, text=True, check=False
    )

    assert "invalid system call" not in done.stderr


def test_a_word_that_is_written_again_and_again_is_looked_up_once() -> None:
    begun = process_time()

    assert expand(["@system-service"] * 40_000, Arch.X86_64) == expand(["@system-service"], Arch.X86_64)
    assert process_time() - begun < 5
