"""What is said about patterns: which never decide and what would let them, which name nothing, which have two names."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.origin import Origin
from monitor.policy import text
from monitor.policy.deciders import deciders
from monitor.policy.findings import Finding
from monitor.policy.lint import lint
from monitor.policy.model import Policy
from monitor.policy.patterns import covered, missing, two_names
from monitor.policy.variables import Variables
from tests.policy import plain, plain_tables
from tests.policy.drawn import EXAMPLES
from tests.policy.test_tables import EXAMPLE
from tests.policy.written import loaded

HEAD = '[policy]\nversion = 1\nknown-as-of = "6.1"\n'


def policy_of(tables: str) -> Policy:
    return text.loads(HEAD + tables, Origin("p.toml"), variables=Variables(home="/home/u"))


def told(tables: str) -> list[tuple[str, str, str]]:
    found = list(covered(policy_of(tables)))
    assert {finding.rule for finding in found} <= {"E-COVERED"}
    return [(finding.text, finding.hint, str(finding.origin)) for finding in found]


# ---- covered ----


def test_what_is_refused_above_never_decides_until_it_is_carved_out() -> None:
    tables = '[files]\nread = ["/home/u/p", "/srv"]\ndeny = ["/home"]\n'

    assert told(tables) == [
        (
            "/home/u/p never decides: /home (p.toml:6, files.deny[0]) covers it",
            'write "!/home/u/p" at the end of the list of files.deny, or leave it out',
            "p.toml:5",
        )
    ]
    assert told(tables.replace('["/home"]', '["/home", "!/home/u/p"]')) == []


@pytest.mark.parametrize(
    ("tables", "text", "hint"),
    [
        ('[files]\ndeny = ["/a/b"]\nhide = ["/a"]\n', "/a/b never decides: /a", '"!/a/b" at the end of the list of'),
        ('[files]\nread = ["/a", "/b", "!/a/c", "/a"]\n', "!/a/c never decides: /a", "write it behind /a"),
        ('[files]\nread = ["/a", "!/b"]\n', "!/b never decides: nothing in its list", "leave it out"),
        ('[exec]\nallow = ["/opt/x"]\ndeny = ["/opt"]\n', "/opt/x never decides: /opt", '"!/opt/x" at the end'),
        (
            '[files]\nhide = ["/opt"]\n[exec]\nallow = ["/opt/x"]\n',
            "/opt/x never decides: /opt (p.toml:5, files.hide[0])",
            '"!/opt/x" at the end of the list of files.hide',
        ),
        (
            '[network]\nconnect = ["tcp://10.1.0.0/16:443"]\ndeny = ["10.0.0.0/8:*"]\n',
            "tcp://10.1.0.0/16:443 never decides: 10.0.0.0/8:*",
            '"!tcp://10.1.0.0/16:443" at the end of the list of network.deny',
        ),
        (
            '[network]\nconnect = ["unix:/run/x"]\nask = ["unix:/run"]\n',
            "unix:/run/x never decides: unix:/run",
            '"!unix:/run/x" at the end',
        ),
        (
            '[files]\nread = ["/k"]\n[[files.rules]]\npaths = ["/k"]\naction = "deny"\n',
            "/k never decides: /k (p.toml:7, files.rules[0].paths[0])",
            '"!/k" at the end of the list of files.rules[0]',
        ),
    ],
)  # fmt: skip
def test_a_pattern_that_never_decides_is_told(tables: str, text: str, hint: str) -> None:
    ((found, advice, _),) = told(tables)

    assert found.startswith(text)
    assert hint in advice


@pytest.mark.parametrize(
    "tables",
    [
        '[files]\nread = ["/p/x", "/p"]\nwrite = ["/p/x"]\n',  # it only says so again
        '[files]\nwrite = ["/p", "!/p/hooks"]\ndeny = ["/p/hooks"]\n',
        '[files]\nread = ["/dev/null", "/etc/hosts"]\n',  # so does the base set
        '[files]\ndeny = ["/dev", "/etc", "/usr"]\n',  # nobody wrote the base set
        '[files]\ndeny = ["/opt"]\nread = ["/"]\n[exec]\nallow = ["/usr"]\n',
        '[files]\nwrite = ["/a"]\n[[files.rules]]\npaths = ["/"]\naccess = ["delete"]\naction = "deny"\n',
    ],
)
def test_a_pattern_that_decides_or_only_says_so_again_is_not_told(tables: str) -> None:
    assert told(tables) == []


def test_what_each_layer_says_is_looked_at_by_itself() -> None:
    inner = f'{HEAD}[files]\ndeny = ["/a"]\nread = ["/a/b"]\n'
    policy = text.loads(
        f'{HEAD}include = ["preset:inner"]\n[files]\nread = ["/a"]\n', Origin("p.toml"), presets=lambda _name: inner
    )

    assert [str(finding.origin) for finding in covered(policy)] == ["preset:inner:6"]


def test_what_is_extended_stands_in_the_same_table() -> None:
    beneath = f'{HEAD}[files]\ndeny = ["/a"]\n'
    policy = text.loads(
        f'{HEAD}extends = "preset:beneath"\n[files]\nread = ["/a"]\n', Origin("p.toml"), presets=lambda _name: beneath
    )

    assert [finding.text for finding in covered(policy)] == [
        "/a never decides: /a (preset:beneath:5, files.deny[0]) covers it"
    ]


def test_the_printed_example_has_none() -> None:
    assert list(covered(loaded(EXAMPLE))) == []


def test_lint_tells_them() -> None:
    assert "E-COVERED" in {finding.rule for finding in lint(policy_of('[exec]\nallow = ["/a"]\ndeny = ["/"]\n'))}


@pytest.mark.seconds(600)
@given(
    policy=plain_tables.POLICIES,
    names=st.lists(plain.names, min_size=1, max_size=8),
)
def test_a_covered_pattern_decides_about_no_path(policy: Policy, names: list[bytes]) -> None:
    EXAMPLES["a covered pattern decides about no path"] += 1
    decides = deciders(policy)
    idle = {finding.origin for finding in covered(policy)}

    deciding = {
        one.table.decide(access, name).origin
        for access in plain_tables.ACCESSES
        for name in names
        for one in decides.about(access)
    }

    assert not idle & deciding


def many(count: int) -> str:
    def written(*kinds: str) -> str:
        return ", ".join(f'"{kind.format(number)}"' for kind in kinds for number in range(count // 12))

    return (
        f"[files]\nread = [{written('/srv/app{}', '/opt/*/v{}', '**/.cache{}')}]\n"
        f"write = [{written('/srv/app{}/data', '!/srv/app{}/data/keys')}]\n"
        f"deny = [{written('**/key{}*', '/etc/secret{}/*')}]\n"
        f"[exec]\nallow = [{written('/opt/tool{}/bin', '/srv/app{}/bin/*')}]\n"
        f"[network]\nconnect = [{written('tcp://*.h{}.example.org:443', 'unix:/run/app{}/*.sock')}]\n"
        f"deny = [{written('unix:/run/*/admin{}')}]\n"
    )


def test_three_hundred_patterns_are_checked_in_less_than_two_seconds() -> None:
    policy = policy_of(many(300))

    started = time.process_time()
    found = lint(policy)
    seconds = time.process_time() - started

    assert [finding for finding in found if finding.rule == "E-COVERED"] == []
    assert seconds < 2


# ---- missing ----


def test_literal_paths_that_are_not_there_are_told() -> None:
    policy = policy_of(
        '[files]\nread = ["/usr", "/nowhere", "/*/x", "!/usr/gone"]\nhide = ["~/.ssh", "/proc/self/x"]\n'
        '[exec]\nallow = ["/usr/bin/nothing"]\n[network]\nconnect = ["unix:/run/nobody"]\n'
    )

    found = list(missing(policy, lambda name: name == b"/usr"))

    assert [finding.text for finding in found] == [
        "there is no /home/u/.ssh on this machine",
        "there is no /nowhere on this machine",
        "there is no /usr/gone on this machine",
        "there is no /usr/bin/nothing on this machine",
    ]
    assert found[1] == Finding("E-NO-SUCH-PATH", found[1].text, found[1].hint, found[1].origin)
    assert found[1].origin.key == "files.read[1]"


def test_the_base_set_may_be_missing() -> None:
    assert list(missing(policy_of("[files]\n"), lambda _name: False)) == []


# ---- two names ----


def test_patterns_whose_heads_are_links_have_two_names() -> None:
    policy = policy_of(
        '[files]\nread = ["/lib/*/x", "/usr", "!/lib/a/x"]\n[exec]\nallow = ["/bin"]\n'
        '[network]\nconnect = ["unix:/run/a", "tcp://*:1"]\ndeny = ["unix:/var/run", "!unix:/var/run/a"]\n'
    )
    links = {b"/lib": b"/usr/lib", b"/lib/a/x": b"/usr/lib/a/x", b"/bin": b"/usr/bin",
             b"/var/run": b"/run", b"/var/run/a": b"/run/a"}  # fmt: skip

    found = list(two_names(policy, lambda head: links.get(head, head)))

    assert [(one.pattern, one.other, one.origin.key) for one in found] == [
        ("/lib/*/x", "/usr/lib/*/x", "files.read[0]"),
        ("!/lib/a/x", "!/usr/lib/a/x", "files.read[2]"),
        ("/bin", "/usr/bin", "exec.allow[0]"),
        ("unix:/var/run", "unix:/run", "network.deny[0]"),
        ("!unix:/var/run/a", "!unix:/run/a", "network.deny[1]"),
    ]
