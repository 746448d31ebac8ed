"""Remembered answers: which question each answers, which remembers an answer and nothing else, and its words."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal, NoReturn

import attrs
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from monitor.abi.arch import Arch
from monitor.abi.syscalls import Argument, names, signature_of
from monitor.errors import PolicyError
from monitor.origin import Origin
from monitor.policy import tables, text
from monitor.policy.access import CLASSES
from monitor.policy.action import Allow, Deny, KillProcess
from monitor.policy.expression import Expression
from monitor.policy.grants import answering, described, files_of_grants, suggested, with_grants
from monitor.policy.layout import block
from monitor.policy.model import Policy, Rule
from monitor.policy.paths import PathList
from monitor.policy.tables import Grant, Grants, Written
from monitor.policy.vocabulary import is_pointer
from monitor.policy.writing import grant_keys
from tests.policy.drawn import registers
from tests.policy.written import GRANT, loaded

X86 = Arch.X86_64
NOW = datetime(2027, 1, 1, 12, tzinfo=UTC).astimezone()
GIT = b"/usr/bin/git"

NAMES = st.lists(
    st.binary(min_size=1, max_size=8).filter(lambda part: part not in {b".", b".."} and not set(part) & set(b"/\0")),
    max_size=4,
).map(lambda parts: b"/" + b"/".join(parts))
"""Canonical names, of bytes that mean something in a pattern and of such as are no text."""

PROGRAMS = NAMES.filter(lambda name: not name.endswith(b" (deleted)"))

NUMBERS = st.tuples(*[registers] * 6)

ACCESSES = st.frozensets(st.sampled_from(sorted(CLASSES)), min_size=1, max_size=3)


def grants(source: str) -> Grants:
    """Return the grants that stand in a file of a policy."""
    found = loaded(f"[policy]\nversion = 1\n{source}").tables["grants"]
    assert isinstance(found, Grants)
    return found


def grant(call: str, more: str = "", verdict: str = "allow") -> Grant:
    return grants(f'[[grants]]\ncall = "{call}"\nverdict = "{verdict}"\n{more}\n').entries[0]


def again(one: Grant) -> Grant:
    """Return *one* as it is read back from a file of grants."""
    (found,) = text.loads_grants(block("[[grants]]", grant_keys(one)), Origin("g.toml")).entries
    return found


def nobody() -> NoReturn:
    raise AssertionError("nobody wanted to know the program")


def fits(one: Grant, *args: int, call: str | None = None, exe: bytes | None = None, **more: Any) -> bool:
    given = (*args, *[0] * (6 - len(args)))
    asked = nobody if exe is None else lambda: exe
    options: dict[str, Any] = {"arch": X86, "now": NOW, **more}
    return answering([one], call=call or one.call, registers=given, exe=asked, **options) is one


# ---- which question a grant answers ----


def test_the_first_that_fits_answers() -> None:
    several = grants(
        '[[grants]]\ncall = "socket"\nwhen = "domain == AF_INET"\nverdict = "deny"\n'
        '[[grants]]\ncall = "socket"\nverdict = "allow"\n'
        '[[grants]]\ncall = "socket"\nverdict = "deny"\n'
    ).entries

    def answered(domain: int) -> Grant | None:
        return answering(several, call="socket", arch=X86, registers=(domain, 1, 0, 0, 0, 0), exe=nobody)

    assert answered(2) is several[0]
    assert answered(17) is several[1]


def test_an_answer_about_one_kind_of_socket_opens_no_other() -> None:
    inet = grant("socket", 'when = "domain == AF_INET"')

    assert fits(inet, 2, 1)
    assert fits(inet, 2 | 1 << 32, 1)  # the kernel looks at no more of the register
    assert not fits(inet, 17, 3)


def test_a_condition_without_a_meaning_on_an_abi_answers_nothing_there() -> None:
    only_x86 = grant("mmap", 'when = "flags & MAP_32BIT != 0"')

    assert fits(only_x86, 0, 0, 0, 0x40)
    assert not fits(only_x86, 0, 0, 0, 0x40, arch=Arch.AARCH64)
    assert not fits(only_x86, 0, 0, 0, 0x40, arch=None)


def test_on_an_abi_that_has_no_such_call_a_condition_answers_nothing() -> None:
    assert not fits(grant("open", 'when = "flags == 0"'), arch=Arch.AARCH64)


def test_a_grant_with_paths_is_about_names_and_one_without_about_calls() -> None:
    about_names = grant("openat", 'paths = ["/a"]')
    about_calls = grant("openat")
    about_addresses = grant("connect", 'addresses = ["tcp://127.0.0.1:*"]')

    assert fits(about_names, path=b"/a/b", access="read")
    assert not fits(about_names)
    assert fits(about_calls)
    assert not fits(about_calls, path=b"/a/b", access="read")
    assert not fits(about_addresses)
    assert not fits(about_addresses, path=b"/a/b", access="read")


def test_a_grant_is_about_the_classes_that_it_names_and_no_bundle() -> None:
    reading = grant("openat", 'paths = ["/a"]\naccess = ["read", "stat"]')
    writing = grant("openat", 'paths = ["/a"]\naccess = ["write"]')

    assert [one for one in sorted(CLASSES) if fits(reading, path=b"/a", access=one)] == ["read", "stat"]
    assert [one for one in sorted(CLASSES) if fits(writing, path=b"/a", access=one)] == ["write"]
    assert all(fits(grant("openat", 'paths = ["/a"]'), path=b"/a", access=one) for one in CLASSES)


def test_a_carve_out_in_the_paths_of_a_grant_is_heeded() -> None:
    one = grant("openat", 'paths = ["/a", "!/a/keys", "/a/keys/public"]')

    assert fits(one, path=b"/a/x", access="read")
    assert not fits(one, path=b"/a/keys/secret", access="read")
    assert fits(one, path=b"/a/keys/public", access="read")


@pytest.mark.parametrize("name", [b"", b"a", b"/a/../b", b"/a//b", b"pipe:[12]", b"/a" + b"/x" * 2100])
def test_what_is_no_canonical_name_is_answered_by_none(name: bytes) -> None:
    assert not fits(grant("openat", 'paths = ["/"]'), path=name, access="read")


def test_the_program_is_compared() -> None:
    one = grant("mkdir", 'program = "/usr/bin/git"')

    assert fits(one, exe=GIT)
    assert not fits(one, exe=b"/usr/bin/vi")


@pytest.mark.parametrize("exe", [b"", b"git", b"/usr/bin/git (deleted)", b"/memfd:git (deleted)", b"/usr/bin/../git"])
def test_a_program_that_is_gone_or_has_no_name_is_none(exe: bytes) -> None:
    assert not fits(grant("mkdir", 'program = "/"'), exe=exe)


def test_the_program_is_looked_up_once_and_only_if_it_matters() -> None:
    looked: list[bytes] = []

    def exe() -> bytes:
        looked.append(b"")
        return b"/bin/c"

    several = [grant("mkdir", f'program = "/bin/{name}"') for name in "abc"]
    others = [grant("rmdir", 'program = "/bin/c"'), grant("mkdir", 'when = "mode == 7"\nprogram = "/bin/c"')]
    no_args: Sequence[int] = (0,) * 6

    assert answering(others, call="mkdir", arch=X86, registers=no_args, exe=exe) is None
    assert looked == []
    assert answering(several, call="mkdir", arch=X86, registers=no_args, exe=exe) is several[2]
    assert len(looked) == 1


@pytest.mark.parametrize(
    ("expires", "now", "answers"),
    [
        ("2027-01-02", "2027-01-01T23:59", True),
        ("2027-01-02", "2027-01-02T00:00", False),
        ("2027-01-01T12:00", "2027-01-01T11:59:59", True),
        ("2027-01-01T12:00", "2027-01-01T12:00", False),
        ("2027-01-01T12:00+11:00", "2027-01-01T00:59Z", True),
        ("2027-01-01T12:00+11:00", "2027-01-01T01:00Z", False),
        ("9999-12-31T23:59", "2027-01-01T00:00", True),
        ("9999-12-31T23:59-11:00", "2027-01-01T00:00", True),
        ("0001-01-01T00:00", "2027-01-01T00:00", False),
        ("0001-01-01T00:00+11:00", "2027-01-01T00:00", False),
    ],
)
def test_what_has_expired_answers_nothing(expires: str, now: str, *, answers: bool) -> None:
    moment = date.fromisoformat(expires) if "T" not in expires else datetime.fromisoformat(expires)
    one = Grant(call="mkdir", verdict="allow", expires=moment)

    assert fits(one, now=datetime.fromisoformat(now).astimezone()) is answers
    assert fits(Grant(call="mkdir", verdict="allow"), now=datetime.fromisoformat(now).astimezone())


def test_what_expired_yesterday_is_over_by_the_clock_of_the_machine() -> None:
    today = datetime.now(UTC).astimezone().date()

    assert tables.is_over(today)
    assert not tables.is_over(today + timedelta(days=2))
    assert tables.is_over(datetime.now(UTC) - timedelta(seconds=1))


def test_patterns_are_made_ready_once() -> None:
    one = grant("openat", 'paths = ["/a"]\nprogram = "/b"')

    assert one.path_list is one.path_list
    assert one.program_pattern is one.program_pattern
    assert isinstance(one.path_list, PathList)


# ---- the file ----


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ('call = "socket"\nwhen = "domian == 2"', "p.toml:5: grants[0].when: socket has no argument 'domian'"),
        ('call = "socket"\nwhen = "domain = 2"', "p.toml:5: grants[0].when: "),
        (
            'call = "openat"\npaths = ["/a"]\naccess = ["red"]',
            "p.toml:6: grants[0].access: 'red' is no class of access",
        ),
        ('call = "openat"\npaths = ["/a"]\naccess = []', "p.toml:6: grants[0].access: no class of access is named"),
        ('call = "openat"\naccess = ["read"]', "p.toml:5: grants[0].access: 'access' says what is done to a path"),
        ('call = "openat"\npaths = []', "p.toml:5: grants[0].paths: nothing is named"),
        ('call = "connect"\naddresses = []', "p.toml:5: grants[0].addresses: nothing is named"),
        ('call = "%file"', "p.toml:4: grants[0].call: one call is wanted here, and '%file' is none"),
        ('call = "all"', "p.toml:4: grants[0].call: one call is wanted here, and 'all' is none"),
        ('call = "opneat"', "did you mean 'openat'?"),
    ],
)
def test_mistakes_are_told_with_their_places(source: str, complaint: str) -> None:
    with pytest.raises(PolicyError) as caught:
        grants(f'[[grants]]\n{source}\nverdict = "allow"\n')

    assert complaint in str(caught.value)


def test_a_condition_needs_a_meaning_on_one_abi_alone() -> None:
    assert grant("mmap", 'when = "flags & MAP_32BIT != 0"').when is not None


@given(GRANT)
def test_a_grant_is_read_back_as_it_was(one: Grant) -> None:
    written = block("[[grants]]", grant_keys(one))
    (found,) = loaded(f"[policy]\nversion = 1\n{written}").tables["grants"].entries  # type: ignore[attr-defined]

    assert found == one


# ---- the narrowest ----


def is_scalar(argument: Argument) -> bool:
    """Whether an argument is a number and nothing else, as the tables say."""
    no_number = ("fd", "dirfd", "pointer", "string", "argv", "envp", "buffer_in", "buffer_out", "buffer_inout")
    return not is_pointer(argument) and argument.kind not in no_number


CALLS = st.sampled_from([(arch, name) for arch in Arch for name in sorted(names(arch))])
EVERY_CALL = [(arch, name) for arch in (Arch.X86_64, Arch.I386) for name in sorted(names(arch))]

EDGE = (0, 1, 2, 9, 0x80000000, 0xFFFFFFFF, (1 << 64) - 1, 1 << 32, 0x5401, 4095, 4096)


def remembered(
    call: str, arch: Arch, args: Sequence[int], verdict: Literal["allow", "deny"] = "allow", **more: Any
) -> Grant:
    found = suggested(call=call, arch=arch, registers=args, verdict=verdict, **{"exe": GIT, **more})
    assert found is not None
    return again(found)


@pytest.mark.parametrize("value", EDGE)
def test_for_every_call_a_suggestion_fits_its_own_question_and_stands_in_a_file(value: int) -> None:
    args = (value,) * 6
    for arch, call in EVERY_CALL:
        one = suggested(call=call, arch=arch, registers=args, exe=GIT, verdict="allow")
        assert one is not None, call
        assert fits(one, *args, arch=arch, exe=GIT), (arch, call)
        assert one.when is None or Expression(one.when.source) == one.when


@given(CALLS, NUMBERS, PROGRAMS, st.sampled_from([None, 1, 13, 512, 4095]), st.text())
def test_a_suggestion_about_a_call_fits_it_and_is_read_back(
    named: tuple[Arch, str], args: Sequence[int], exe: bytes, errno: int | None, why: str
) -> None:
    arch, call = named
    for verdict in ("allow", "deny"):
        one = remembered(call, arch, args, verdict, exe=exe, errno=errno, today=date(2026, 11, 22), why=why)

        assert fits(one, *args, arch=arch, exe=exe)
        assert (one.verdict, one.when_granted) == (verdict, date(2026, 11, 22))


SCALARS = st.sampled_from(
    [
        (arch, call, place)
        for arch in Arch
        for call in sorted(names(arch))
        if (signature := signature_of(arch, call)) is not None
        for place, argument in enumerate(signature.arguments)
        if is_scalar(argument)
    ]
)


@given(SCALARS, NUMBERS, registers)
def test_a_suggestion_fits_no_call_that_differs_in_a_scalar(
    named: tuple[Arch, str, int], args: Sequence[int], other: int
) -> None:
    arch, call, place = named
    signature = signature_of(arch, call)
    assert signature is not None
    argument = signature.arguments[place]
    assume(argument.value(args[place]) != argument.value(other))
    changed = [*args]
    changed[place] = other

    assert not fits(remembered(call, arch, args), *changed, arch=arch, exe=GIT)


@given(CALLS, NUMBERS, st.integers(0, 5), registers)
def test_a_suggestion_fits_whatever_fds_and_addresses_the_call_has(
    named: tuple[Arch, str], args: Sequence[int], place: int, other: int
) -> None:
    arch, call = named
    signature = signature_of(arch, call)
    assert signature is not None
    declared = signature.arguments[place] if place < len(signature.arguments) else None
    assume(declared is None or (not is_scalar(declared) and declared.kind != "pointer"))
    changed = [*args]
    changed[place] = other

    assert fits(remembered(call, arch, args), *changed, arch=arch, exe=GIT)


def test_an_unclear_argument_counts_as_far_as_it_is_no_address() -> None:
    """The second of prctl(2) is a signal or a buffer, as the first one says."""
    death = remembered("prctl", X86, (1, 9, 0x7F0000001000, 0, 0, 0))

    assert fits(death, 1, 9, 0x7F0000002000, exe=GIT)
    assert not fits(death, 1, 15, 0x7F0000001000, exe=GIT)
    assert not fits(remembered("prctl", X86, (0x59616D61, 5000, 0, 0, 0, 0)), 0x59616D61, 5001, exe=GIT)
    assert not fits(remembered("fcntl", X86, (3, 4, 0x4800, 0, 0, 0)), 3, 4, 0x800, exe=GIT)
    assert fits(remembered("ioctl", X86, (3, 0x5401, 0x7F0000001000, 0, 0, 0)), 4, 0x5401, 0x7F0000002000, exe=GIT)


@given(NAMES, ACCESSES, PROGRAMS, NUMBERS)
@example(b"/a*b/!c/~d/$e/\\x41/\xff\n\x1b", frozenset({"read"}), b"/x y", (0,) * 6)
@example(b"/", frozenset({"list"}), b"/", (0,) * 6)
@example(b"/" + b"x" * 4094, frozenset({"read"}), GIT, (0,) * 6)
@example(b"/" + b"x" * 4092, frozenset({"read"}), GIT, (0,) * 6)
def test_a_suggestion_about_a_name_fits_it_and_is_read_back(
    path: bytes, access: frozenset[str], exe: bytes, args: Sequence[int]
) -> None:
    one = remembered("openat", X86, args, path=path, access=access, exe=exe)

    assert all(fits(one, *args, path=path, access=each, exe=exe) for each in access)
    assert not any(fits(one, *args, path=path, access=each, exe=exe) for each in CLASSES - access)
    assert not fits(one, *args, exe=exe)


@given(NAMES, NAMES)
@example(b"/a*", b"/ab")
@example(b"/a", b"/a/b")
@example(b"/**", b"/x/y")
@example(b"/\\x41", b"/A")
@example(b"/", b"/a")
def test_a_suggestion_fits_no_other_name(path: bytes, other: bytes) -> None:
    assume(path != other)

    assert not fits(remembered("openat", X86, (0,) * 6, path=path, access={"read"}), path=other, access="read", exe=GIT)


@given(PROGRAMS, PROGRAMS)
@example(b"/bin/*", b"/bin/sh")
def test_a_suggestion_fits_no_other_program(exe: bytes, other: bytes) -> None:
    """A program is a file, so that none lies below another."""
    assume(other != exe and not other.startswith(exe.rstrip(b"/") + b"/"))

    assert not fits(remembered("mkdir", X86, (0,) * 6, exe=exe), exe=other)


@pytest.mark.parametrize(
    "question",
    [
        {"exe": b"/usr/bin/git (deleted)"},
        {"exe": b""},
        {"call": "syscall_0x1b2"},
        {"arch": None},
        {"call": "open", "arch": Arch.AARCH64},
        {"path": b"pipe:[12]", "access": {"read"}},
        {"path": b"/a", "access": ()},
        {"path": b"/" + b"x" * 4095, "access": {"read"}},
    ],
)
def test_what_no_file_could_say_as_narrowly_is_not_remembered(question: dict[str, Any]) -> None:
    asked: dict[str, Any] = {"call": "openat", "arch": X86, "exe": GIT, "registers": (0,) * 6, **question}

    assert suggested(verdict="allow", **asked) is None


# ---- in words ----


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (
            remembered("openat", X86, (0,) * 6, path=b"/home/u/.config/git/config", access={"read"}),
            "allow openat to read /home/u/.config/git/config, by /usr/bin/git, until revoked",
        ),
        (
            remembered("socket", X86, (2, 0x80001, 0, 0, 0, 0), "deny", errno=97),
            (
                "deny socket with EAFNOSUPPORT where domain == AF_INET && type == SOCK_STREAM|SOCK_CLOEXEC"
                " && protocol == IPPROTO_IP, by /usr/bin/git, until revoked"
            ),
        ),
        (
            grant("openat", 'paths = ["~/.config", "!~/.config/gh", "**/x y"]\nexpires = 2027-01-01'),
            (
                "allow openat to use /home/me/.config and below, but not /home/me/.config/gh and below"
                ', "**/x y" and below, by any program, until 2027-01-01'
            ),
        ),
        (
            grant("rename", 'paths = ["/a"]\naccess = ["rename-source", "delete", "create"]', "deny"),
            "deny rename to rename-source, delete or create /a and below, by any program, until revoked",
        ),
        (
            grant("connect", 'addresses = ["tcp://127.0.0.1:*", "unix:@a b"]\nexpires = 2027-01-01T10:00:00Z'),
            'allow connect at tcp://127.0.0.1:* or "unix:@a b", by any program, until 2027-01-01 10:00:00+00:00',
        ),
        (
            remembered("mkdir", X86, (0, 0o755, 0, 0, 0, 0)),
            "allow mkdir where mode == 0o755, by /usr/bin/git, until revoked",
        ),
        (remembered("sync", X86, (0,) * 6), "allow sync, by /usr/bin/git, until revoked"),
    ],
)
def test_a_grant_in_words(one: Grant, words: str) -> None:
    assert described(one) == words


@given(GRANT | st.builds(lambda name, exe: remembered("openat", X86, (0,) * 6, path=name, access={"read"}, exe=exe),
                         NAMES, PROGRAMS))  # fmt: skip
def test_whatever_it_says_a_grant_is_one_line_that_no_terminal_obeys(one: Grant) -> None:
    words = described(one)

    assert words.isprintable()
    assert not any(unicodedata.category(char).startswith("C") for char in words)


@pytest.mark.parametrize("name", [b"/x, by /usr/bin/safe, until revoked", b'/x", by y', b"/x y\n"])
def test_a_name_cannot_be_taken_for_the_rest_of_the_line(name: bytes) -> None:
    one = remembered("openat", X86, (0,) * 6, path=name, access={"read"})
    quoted = described(one).removeprefix("allow openat to read ").removesuffix(", by /usr/bin/git, until revoked")

    assert quoted[0] == quoted[-1] == '"'
    assert '"' not in quoted[1:-1].replace('\\"', "")


# ---- a file of them, as a part of a policy ----


ONE = Grants((Grant(call="mkdir", verdict="allow"),))


def test_grants_of_a_file_come_behind_the_policy_s_own() -> None:
    first, second = Grant(call="a", verdict="deny"), Grant(call="b", verdict="deny")
    extended = Policy("x", tables={"grants": Grants((second,))})
    policy = Policy("p", includes=[Policy("q")], extends=extended, tables={"grants": Grants((first,))})

    assert tables.remembered(with_grants(policy, ONE, "g.toml")) == (first, second, *ONE.entries)


def test_grants_of_a_file_replace_those_it_had_before() -> None:
    once = with_grants(Policy("p"), ONE, "g.toml")
    twice = with_grants(with_grants(once, ONE, "other.toml"), Grants(()), "g.toml")

    assert tables.remembered(twice) == ONE.entries
    assert sorted(files_of_grants(twice)) == ["g.toml", "other.toml"]


@pytest.mark.parametrize("other_arch", ["kill", "enosys"])
def test_a_file_of_grants_decides_about_no_call(other_arch: Literal["kill", "enosys"]) -> None:
    policy = Policy("p", Deny(1), rules=[Rule(["read"], Allow())], other_arch=other_arch, arches=frozenset({X86}))
    whole = with_grants(policy, ONE, "g.toml")

    for arch, nr in ((X86, 0), (X86, 1), (Arch.I386, 3)):
        said, before = whole.decide(arch, nr, [0] * 6), policy.decide(arch, nr, [0] * 6)
        assert said.action == before.action
        assert said.policy.name == "p"
    elsewhere = [layer.decide_elsewhere().action for layer in whole.layers()]
    assert elsewhere[0] == (KillProcess() if other_arch == "kill" else Deny(38))
    assert elsewhere[1] == Deny(38)


def test_a_grant_that_was_never_read_is_refused_when_it_is_made_ready() -> None:
    made = Grant(call="openat", verdict="allow", paths=(Written("$HOME"),))

    with pytest.raises(PolicyError, match="a pattern starts with"):
        _ = made.path_list
    assert attrs.evolve(made, paths=(Written("/a"),)).path_list.covers(b"/a/b")
