"""What the tables of a policy come to: lists, layers, what is extended, the base set."""

from __future__ import annotations

import re
from errno import EACCES, EPERM
from ipaddress import ip_address
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import PolicyError
from monitor.origin import NOWHERE, Origin
from monitor.policy import text
from monitor.policy.access import CHANGE, CLASSES, READ
from monitor.policy.action import Allow, Ask, Deny, Handle
from monitor.policy.base_set import BASE_SET, USING, is_base
from monitor.policy.deciders import Deciders, PathTable, deciders
from monitor.policy.endpoints import Address, InetAddress, UnixAbstract, UnixPath
from monitor.policy.files import FileAction, Hide
from monitor.policy.model import Policy
from monitor.policy.network import ACCESSES, NetworkAccess, loopback_of
from monitor.policy.spelling import keys_of
from monitor.policy.tables import Files, Network, Written
from tests.policy import plain, plain_tables
from tests.policy.drawn import EXAMPLES
from tests.policy.plain_tables import Answer
from tests.policy.test_addresses import addresses
from tests.policy.test_tables import EXAMPLE
from tests.policy.written import loaded

HEAD = '[policy]\nversion = 1\nknown-as-of = "6.1"\n'


def made(tables: str, presets: dict[str, str] | None = None) -> Deciders:
    def preset(name: str) -> str:
        return HEAD + (presets or {})[name]

    return deciders(text.loads(HEAD + tables, Origin("p.toml"), presets=preset))


def said(decides: Deciders, access: str, name: str) -> tuple[FileAction, str | None]:
    found = decides.path(access, name.encode())
    assert found is not None
    return found.decision.action, None if found.decision.pattern is None else found.decision.pattern.text


def tcp(address: str, port: int) -> InetAddress:
    return InetAddress("tcp", ip_address(address), port)


# ---- one table ----


def test_read_allows_looking_and_write_what_changes_too() -> None:
    decides = made('[files]\nread = ["/r"]\nwrite = ["/w"]\n')

    assert {access for access in CLASSES if said(decides, access, "/r")[0] == Allow()} == READ
    assert {access for access in CLASSES if said(decides, access, "/w")[0] == Allow()} == READ | CHANGE


@pytest.mark.parametrize(("key", "action"), [("deny", Deny(EACCES)), ("hide", Hide()), ("ask", Ask(EACCES))])
def test_what_refuses_is_about_every_class(key: str, action: FileAction) -> None:
    decides = made(f'[files]\nwrite = ["/"]\n{key} = ["/x"]\n')

    assert {said(decides, access, "/x/y") for access in CLASSES} == {(action, "/x")}


@pytest.mark.parametrize(("word", "action"), [("deny", Deny(EACCES)), ("ask", Ask(EACCES)), ("allow", Allow())])
def test_otherwise_is_for_names_that_no_list_covers(word: str, action: FileAction) -> None:
    decides = made(f'[files]\nread = ["/r"]\notherwise = "{word}"\n')

    assert said(decides, "write", "/r") == (action, None)
    assert said(decides, "read", "/x") == (action, None)


def test_a_rule_has_its_errno_its_handler_and_its_classes() -> None:
    decides = made(
        '[files]\nwrite = ["/"]\n'
        '[[files.rules]]\npaths = ["/k"]\naccess = ["delete"]\naction = "deny"\nerrno = "EPERM"\nreason = "keys stay"\n'
        '[[files.rules]]\npaths = ["/h"]\naccess = ["write"]\naction = "handle"\nhandler = "rows"\n'
        "parameters = {a = 1}\n"
        '[[files.rules]]\npaths = ["/n"]\naction = "allow"\n'
    )

    assert said(decides, "delete", "/k") == (Deny(EPERM), "/k")
    assert said(decides, "write", "/k") == (Allow(), "/")
    assert said(decides, "write", "/h") == (Handle("rows", {"a": 1}), "/h")
    assert said(decides, "read", "/h") == (Allow(), "/")  # to handle changes is not to handle looks
    assert said(decides, "mount", "/n") == (Allow(), "/n")
    found = decides.path("delete", b"/k")
    assert found is not None
    assert found.decision.rule is not None
    assert found.decision.rule.reason == "keys stay"


def test_lists_and_patterns_keep_their_places() -> None:
    decides = made('[files]\nread = [\n  "/a",\n  "/b"]\n\n[[files.rules]]\npaths = ["/c"]\naction = "hide"\n')
    (table,) = decides.files
    by_text = {one.text: (one.origin, rule.origin) for rule in table.own_rules for one in rule.paths.patterns}

    assert {name: (str(one), one.key) for name, (one, _) in by_text.items()} == {
        "/a": ("p.toml:6", "files.read[0]"),
        "/b": ("p.toml:7", "files.read[1]"),
        "/c": ("p.toml:10", "files.rules[0].paths[0]"),
    }
    assert by_text["/b"][1].key == "files.read"
    assert by_text["/c"][1].key == "files.rules[0]"
    assert str(table.origin) == "p.toml:4"


def test_variables_are_in_the_patterns_and_mean_themselves() -> None:
    decides = deciders(loaded(EXAMPLE))

    assert said(decides, "write", "/srv/a*b/x") == (Allow(), r"/srv/a\x2ab")
    assert said(decides, "write", "/srv/ab/x") == (Deny(EACCES), None)
    assert said(decides, "write", "/srv/a*b/.git/hooks/x") == (Deny(EACCES), None)
    assert said(decides, "read", "/home/me/.ssh/id_rsa") == (Hide(), "/home/me/.ssh")


def test_a_pattern_that_was_never_read_has_no_variables() -> None:
    with pytest.raises(PolicyError, match="a pattern starts with"):
        deciders(Policy("p", tables={"files": Files(read=(Written("$PROJECT"),))}))

    decides = deciders(Policy("p", tables={"files": Files(read=(Written("/srv"),))}))
    assert said(decides, "read", "/srv/x") == (Allow(), "/srv")


# ---- [exec] ----


def test_exec_decides_about_programs_and_files_about_everything_else() -> None:
    decides = made('[files]\nread = ["/usr"]\n[exec]\nallow = ["/usr/bin"]\ndeny = ["/usr/bin/sudo"]\nask = ["/opt"]\n')

    assert said(decides, "exec", "/usr/bin/git") == (Allow(), "/usr/bin")
    assert said(decides, "exec", "/usr/bin/sudo") == (Deny(EACCES), "/usr/bin/sudo")
    assert said(decides, "exec", "/opt/x") == (Ask(EACCES), "/opt")
    assert said(decides, "exec", "/usr/lib/x") == (Deny(EACCES), None)
    assert said(decides, "read", "/usr/bin/sudo") == (Allow(), "/usr")


def test_what_files_refuses_in_every_class_is_not_executed() -> None:
    decides = made('[files]\ndeny = ["**/id_rsa"]\nhide = ["/usr/bin/x"]\n[exec]\nallow = ["/usr/bin"]\n')

    assert said(decides, "exec", "/usr/bin/id_rsa") == (Deny(EACCES), "**/id_rsa")
    assert said(decides, "exec", "/usr/bin/x") == (Hide(), "/usr/bin/x")


def test_without_exec_files_decides_unless_programs_are_unverified() -> None:
    assert said(made('[files]\nread = ["/usr"]\n'), "exec", "/usr/bin/git") == (Deny(EACCES), None)
    assert made('[files]\nread = ["/usr"]\nexec = "unverified"\n').path("exec", b"/usr/bin/git") is None
    assert made('[exec]\nallow = ["/usr"]\n').path("read", b"/etc/shadow") is None


# ---- [network] ----


@pytest.mark.parametrize(
    ("access", "address", "action", "pattern"),
    [
        ("connect", tcp("127.0.0.1", 80), Allow(), "tcp://127.0.0.1:*"),
        ("bind", tcp("127.0.0.1", 80), Ask(EACCES), None),
        ("bind", tcp("127.0.0.1", 0), Allow(), "tcp://127.0.0.1:0"),
        ("connect", UnixPath(b"/run/docker.sock"), Deny(EACCES), "unix:/run/docker.sock"),
        ("connect", UnixAbstract(b"abstract"), Allow(), "unix:@abstract"),
        ("connect", tcp("8.8.8.8", 53), Ask(EACCES), None),
    ],
)
def test_addresses_are_decided_about(
    access: NetworkAccess, address: Address, action: object, pattern: str | None
) -> None:
    found = deciders(loaded(EXAMPLE)).address(access, address)

    assert found is not None
    assert (found.decision.action, found.decision.pattern and found.decision.pattern.text) == (action, pattern)


def test_to_bind_a_name_is_to_make_it() -> None:
    network = '[network]\nbind = ["unix:/run"]\n'

    def bound(tables: str) -> object:
        found = made(tables).address("bind", UnixPath(b"/run/x"))
        assert found is not None
        return found.decision.action

    assert bound(network) == Allow()
    assert bound(f"[files]\n{network}") == Deny(EACCES)
    assert bound(f'[files]\nwrite = ["/run"]\n{network}') == Allow()
    assert bound(f'[files]\nunix = "unmediated"\n{network}') == Allow()
    assert made("[files]\n").address("connect", UnixPath(b"/run/x")) is None


# ---- layers, and what is extended ----


def test_of_layers_the_most_restrictive_answer_wins_and_is_named() -> None:
    strict = '[files]\nread = ["/usr"]\nask = ["/usr/share"]\nbase = false\n'
    decides = made('include = ["preset:strict"]\n[files]\nread = ["/"]\nhide = ["/usr/share/x"]\n', {"strict": strict})

    def by(name: str) -> tuple[FileAction, str]:
        found = decides.path("read", name.encode())
        assert found is not None
        return found.decision.action, found.by.layer.name

    assert by("/usr/bin/x") == (Allow(), "p.toml")
    assert by("/usr/share") == (Ask(EACCES), "strict")
    assert by("/usr/share/x") == (Hide(), "p.toml")
    assert by("/dev/null") == (Deny(EACCES), "strict")


def test_a_layer_without_the_table_says_nothing() -> None:
    decides = made('include = ["preset:other"]\n[files]\nread = ["/usr"]\n', {"other": '[exec]\nallow = ["/usr"]\n'})

    assert said(decides, "read", "/usr/x") == (Allow(), "/usr")
    assert made("").path("read", b"/") is None
    assert made("").address("connect", tcp("::1", 1)) is None


def test_the_rules_of_an_extended_table_follow_and_the_rest_is_ones_own() -> None:
    beneath = '[files]\nread = ["/usr"]\ndeny = ["/usr/x"]\notherwise = "allow"\nbase = false\n'
    decides = made('extends = "preset:beneath"\n[files]\nread = ["/usr", "!/usr/lib"]\n', {"beneath": beneath})

    assert said(decides, "read", "/usr/x") == (Deny(EACCES), "/usr/x")
    assert said(decides, "read", "/usr/lib/y") == (Allow(), "/usr")  # by the other list: carving is for one's own
    assert said(decides, "read", "/dev/null") == (Allow(), "/dev/null")
    assert said(decides, "read", "/srv") == (Deny(EACCES), None)
    found = decides.path("read", b"/usr/share")
    assert found is not None
    assert str(found.decision.origin) == "p.toml:6"


def test_without_a_table_of_ones_own_the_extended_one_is_taken_over() -> None:
    beneath = '[files]\nread = ["/usr"]\notherwise = "allow"\nbase = false\n[network]\notherwise = "ask"\n'
    decides = made('extends = "preset:beneath"\n', {"beneath": beneath})

    assert said(decides, "read", "/srv") == (Allow(), None)
    (table,) = decides.files
    assert (table.layer.name, str(table.origin)) == ("p.toml", "preset:beneath:4")
    assert decides.network[0].table.otherwise == Ask(EACCES)


# ---- the base set ----


def test_the_base_set_is_there_unless_it_is_refused() -> None:
    for access, name in (("write", "/dev/null"), ("truncate", "/dev/tty"), ("read", "/proc/self/maps")):
        found = made("[files]\n").path(access, name.encode())
        assert found is not None
        assert found.decision.action == Allow()
        assert str(found.decision.origin).startswith("base set (")
        assert said(made("[files]\nbase = false\n"), access, name) == (Deny(EACCES), None)


@pytest.mark.parametrize("name", ["/dev/pts/3", "/dev/null", "/dev/ptmx"])
def test_a_device_is_used_and_its_name_stays(name: str) -> None:
    decides = made("[files]\n")

    assert {access for access in CLASSES if said(decides, access, name)[0] == Allow()} == USING


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("/usr/lib/x86_64-linux-gnu/libc.so.6", True),
        ("/lib/ld-musl-x86_64.so.1", True),
        ("/usr/lib64/ld-linux-x86-64.so.2", True),
        ("/usr/lib/python3/dist-packages/x.py", False),
        ("/usr/lib/x86_64-linux-gnu/gconv/gconv-modules.cache", True),
        ("/usr/lib/locale/C.utf8/LC_CTYPE", True),
        ("/usr/share/zoneinfo/Europe/Berlin", True),
        ("/etc/ssl/certs/ca-certificates.crt", True),
        ("/etc/ssl/private/key.pem", False),
        ("/etc/resolv.conf", True),
        ("/etc/passwd", False),
        ("/etc/shadow", False),
        ("/proc/self/status", True),
        ("/proc/1/status", False),
        ("/proc/selfish", False),
        ("/dev/mem", False),
        ("/dev/pts", False),
        ("/dev/shm/x", False),
    ],
)
def test_the_base_set_is_what_programs_need_and_no_more(name: str, allowed: bool) -> None:
    decides = made("[files]\n")

    assert (said(decides, "read", name)[0] == Allow()) == allowed
    assert said(decides, "exec", name)[0] != Allow()
    assert name.startswith("/dev/") or said(decides, "write", name)[0] != Allow()


def test_what_is_refused_stays_refused_and_what_is_allowed_is_named_by_ones_own_list() -> None:
    decides = made('[files]\nread = ["/dev"]\ndeny = ["/dev/tty"]\n')

    assert said(decides, "read", "/dev/tty") == (Deny(EACCES), "/dev/tty")
    assert said(decides, "read", "/dev/null") == (Allow(), "/dev")
    assert [rule for table in decides.files for rule in table.own_rules if is_base(rule.origin)] == []


def test_every_part_of_the_base_set_has_a_reason_and_a_place_of_its_own() -> None:
    assert all(part.reason for part in BASE_SET)
    assert len({part.origin for part in BASE_SET}) == len(BASE_SET)
    paths = [path for part in BASE_SET for path in part.paths]
    assert len(paths) == len(set(paths))


def test_the_page_of_the_policy_file_lists_the_base_set() -> None:
    page = (Path(__file__).parents[2] / "docs" / "policy.md").read_text()

    for part in BASE_SET:
        (row,) = re.findall(rf"^\| {part.name} \| (.*) \| (.*) \|$", page, re.MULTILINE)
        assert (re.findall(r"`([^`]*)`", row[0]), row[1]) == (list(part.paths), part.reason)


# ---- two names ----


def test_a_resolver_gives_patterns_their_second_name() -> None:
    links = {b"/lib": b"/usr/lib", b"/var/run": b"/run"}
    policy = loaded(
        f'{HEAD}[files]\nread = ["/lib/*", "/proc/self/x"]\nbase = false\n[exec]\nallow = ["/lib"]\n'
        '[network]\nconnect = ["unix:/var/run"]\n'
    )

    def resolve(head: bytes) -> bytes:
        assert not head.startswith(b"/proc/self"), "that is the target's"
        return links.get(head, head)

    decides = deciders(policy, resolve)

    for name in ("/lib/x", "/usr/lib/x"):
        assert said(decides, "read", name) == (Allow(), "/lib/*")
        assert said(decides, "exec", name) == (Allow(), "/lib")
    for socket in (b"/run/x", b"/var/run/x"):
        found = decides.address("connect", UnixPath(socket))
        assert found is not None
        assert found.decision.action == Allow()
    assert said(deciders(policy), "read", "/usr/lib/x") == (Deny(EACCES), None)


# ---- the plain reading ----


def answer_of(found: object) -> Answer | None:
    if found is None:
        return None
    decision = found.decision  # type: ignore[attr-defined]
    action = "hide" if isinstance(decision.action, Hide) else str(keys_of(decision.action)["action"])
    errno = decision.action.errno if action == "deny" and decision.pattern is not None else None
    return Answer(action, decision.pattern and decision.pattern.text, errno)


@pytest.mark.seconds(600)
@given(
    policy=plain_tables.POLICIES,
    asked=st.lists(st.tuples(st.sampled_from(plain_tables.ACCESSES), plain.names), min_size=1, max_size=8),
)
def test_tables_decide_about_paths_as_their_lists_read(policy: Policy, asked: list[tuple[str, bytes]]) -> None:
    EXAMPLES["tables decide about paths as their lists read"] += 1
    decides = deciders(policy)

    for access, name in asked:
        wanted = plain_tables.most_restrictive(
            [plain_tables.decide_alone(layer, access, name) for layer in policy.layers()]
        )
        assert answer_of(decides.path(access, name)) == wanted


@pytest.mark.seconds(600)
@given(
    policy=plain_tables.POLICIES,
    asked=st.lists(st.tuples(st.sampled_from(sorted(ACCESSES)), addresses), min_size=1, max_size=8),
)
def test_tables_decide_about_addresses_as_their_lists_read(
    policy: Policy, asked: list[tuple[NetworkAccess, Address]]
) -> None:
    EXAMPLES["tables decide about addresses as their lists read"] += 1
    decides = deciders(policy)

    for access, address in asked:
        loopback = loopback_of(address) if access == "connect" else None
        answers = [
            plain_tables.most_restrictive(
                [
                    plain_tables.decide_address_alone(layer, access, one)
                    for one in (address, loopback)
                    if one is not None
                ]
            )
            for layer in policy.layers()
        ]
        if access == "bind" and isinstance(address, UnixPath):
            answers += [plain_tables.decide_alone(layer, "bind", address.name) for layer in policy.layers()]
        found, wanted = answer_of(decides.address(access, address)), plain_tables.most_restrictive(answers)
        assert found and found[:2] == (wanted and wanted[:2]) if wanted else found is None


@pytest.mark.seconds(300)
@given(files=plain_tables.FILES, asked=st.lists(st.tuples(st.sampled_from(plain_tables.ACCESSES), plain.names)))
def test_the_long_form_of_a_table_decides_as_it_does(files: Files, asked: list[tuple[str, bytes]]) -> None:
    EXAMPLES["the long form of a table decides as it does"] += 1
    longer = attrs.evolve(files, hide=(), deny=(), ask=(), read=(), write=(), rules=files.long_form())
    short, long = (deciders(Policy("p", tables={"files": one})) for one in (files, longer))

    for access, name in asked:
        assert answer_of(short.path(access, name)) == answer_of(long.path(access, name))


def test_the_tables_of_a_layer_know_it() -> None:
    policy = Policy("p", tables={"files": Files(), "network": Network()})
    decides = deciders(policy)

    assert [decides.files[0].layer, decides.network[0].layer] == [policy, policy]
    assert decides.exec == decides.files
    assert isinstance(decides.files[0], PathTable)
    assert decides.files[0].origin == NOWHERE
