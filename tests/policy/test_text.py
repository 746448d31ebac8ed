"""Files of policies: read, refused with a place, written, and what stands between them: includes and variables."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from errno import EACCES, EAFNOSUPPORT, ENOSYS
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.abi.arch import Arch
from monitor.abi.syscalls import number_of
from monitor.errors import PolicyError
from monitor.origin import Origin
from monitor.policy import shipped, text
from monitor.policy.action import (
    Allow,
    Ask,
    Audit,
    Deny,
    Handle,
    KillProcess,
    KillThread,
    Log,
    Return,
    Trace,
    Trap,
)
from monitor.policy.layout import block
from monitor.policy.model import Policy, Rule
from monitor.policy.positions import Path as Keys
from monitor.policy.positions import positions
from monitor.policy.tables import refuse_unenforced
from monitor.policy.variables import Variables
from monitor.policy.verify import verify
from tests.policy.written import PARAMETERS, POLICIES, TABLED, VARIABLES, loaded, placeless

HEAD = "[policy]\nversion = 1\n"


def rule_of(keys: str) -> Rule:
    (rule,) = loaded(f'{HEAD}[[syscalls]]\nnames = ["openat"]\n{keys}\n').rules
    return rule


def refusal(source: str) -> str:
    with pytest.raises(PolicyError) as caught:
        loaded(source)
    return str(caught.value)


@pytest.mark.seconds(180)
@given(POLICIES | TABLED)
def test_a_policy_is_what_its_text_says(policy: Policy) -> None:
    again = loaded(text.dumps(policy))

    assert placeless(again) == placeless(policy)
    assert text.dumps(again) == text.dumps(policy)


@given(PARAMETERS)
def test_whatever_toml_can_hold_is_written_as_toml(values: dict[str, object]) -> None:
    assert tomllib.loads(block("[a]", values)) == {"a": values}


def places(value: object, path: Keys) -> Iterator[Keys]:
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, (*path, index))


class TestPositions:
    @given(POLICIES | TABLED, st.sampled_from(["\n", "\r\n"]))
    def test_every_key_and_element_has_one(self, policy: Policy, newline: str) -> None:
        source = text.dumps(policy).replace("\n", newline)

        found = positions(source)

        assert set(found) == set(places(tomllib.loads(source), ())) - {()}

    def test_they_are_where_the_keys_are(self) -> None:
        source = (
            "# c\n\"q.x\".'y z' = [1, \"]\", [2, {b = 3, \"c\" = '''\n'''}],\n  4, # ]\n]\n"
            '[t]\ns = """a\\"\n""""\n  [[t.a]]\nk = 1979-05-27\n[[t.a]]\nm . n = true\n'
        )

        found = {path: tuple(place) for path, place in positions(source).items()}

        assert found == {
            ("q.x",): (2, 1),
            ("q.x", "y z"): (2, 7),
            ("q.x", "y z", 0): (2, 16),
            ("q.x", "y z", 1): (2, 19),
            ("q.x", "y z", 2): (2, 24),
            ("q.x", "y z", 2, 0): (2, 25),
            ("q.x", "y z", 2, 1): (2, 28),
            ("q.x", "y z", 2, 1, "b"): (2, 29),
            ("q.x", "y z", 2, 1, "c"): (2, 36),
            ("q.x", "y z", 3): (4, 3),
            ("t",): (6, 1),
            ("t", "s"): (7, 1),
            ("t", "a"): (9, 3),
            ("t", "a", 0): (9, 3),
            ("t", "a", 0, "k"): (10, 1),
            ("t", "a", 1): (11, 1),
            ("t", "a", 1, "m"): (12, 1),
            ("t", "a", 1, "m", "n"): (12, 5),
        }


class TestRules:
    @pytest.mark.parametrize(
        ("keys", "action", "exact"),
        [
            ('action = "allow"', Allow(), True),
            ('action = "log"', Log(), True),
            ('action = "audit"', Audit(), True),
            ('action = "deny"', Deny(), False),
            ('action = "deny"\nerrno = "EACCES"', Deny(EACCES), True),
            ('action = "deny"\nerrno = 0', Deny(0), True),
            ('action = "return"\nvalue = 7', Return(7), True),
            ('action = "kill"', KillProcess(), True),
            ('action = "kill-thread"', KillThread(), True),
            ('action = "trap"\ndata = 5', Trap(5), True),
            ('action = "trace"', Trace(0), True),
            ('action = "ask"\nerrno = 13', Ask(EACCES), True),
            ('action = "handle"\nhandler = "h"\nparameters = { a = 1 }', Handle("h", {"a": 1}), True),
        ],
    )
    def test_actions(self, keys: str, action: object, exact: bool) -> None:
        rule = rule_of(keys)

        assert (rule.action, rule.exact_errno) == (action, exact)

    def test_a_rule_knows_its_line(self) -> None:
        rule = rule_of('when = "dirfd == 3"\naction = "deny"\narches = ["x86_64"]\nmutable = true\nreason = "so"')

        assert rule.origin == Origin("p.toml", 3, 1, "syscalls[0]")
        assert (rule.arches, rule.mutable, rule.reason) == (frozenset({Arch.X86_64}), True, "so")

    @pytest.mark.parametrize("action", ["kill-thread", "trap", "trace", "audit"])
    def test_what_only_a_filter_does_cannot_be_mutable(self, action: str) -> None:
        with pytest.raises(
            PolicyError, match=rf"p\.toml:6: syscalls\[0\]\.mutable: '{action}' cannot be mutable: .* only a filter"
        ):
            rule_of(f'action = "{action}"\nmutable = true')

    def test_without_an_errno_calls_with_a_fallback_fail_with_enosys(self) -> None:
        policy = loaded(f'{HEAD}[[syscalls]]\nnames = ["clone3", "ptrace"]\naction = "deny"\n')

        denied = [
            policy.decide(Arch.X86_64, number_of(Arch.X86_64, name) or 0, (0,) * 6) for name in ("clone3", "ptrace")
        ]
        assert [decision.action for decision in denied] == [Deny(ENOSYS), Deny()]


class TestRefusals:
    @pytest.mark.parametrize(
        ("source", "complaint"),
        [
            ("", "p.toml: [policy] is missing"),
            (
                "version = 1\n",
                "p.toml:1: version: a policy file has no key 'version'; it belongs to [policy]",
            ),
            ("[policy]\n", "p.toml:1: policy: 'version' is missing"),
            ("[policy]\nversion = 2\n", "p.toml:2: policy.version: 1 is wanted here, not 2"),
            ("[policy]\nversion = true\n", "p.toml:2: policy.version: 1 is wanted here, not true"),
            (
                f"{HEAD}incldue = []\n",
                "p.toml:3: policy.incldue: [policy] has no key 'incldue'; did you mean 'include'?",
            ),
            (f"{HEAD}include = 'x'\n", "p.toml:3: policy.include: a list of strings is wanted here, not 'x'"),
            (f"{HEAD}include = ['a', 3]\n", "p.toml:3: policy.include[1]: a string is wanted here, not 3"),
            (f"{HEAD}files = 1\n", "it is a table of its own: write it as [files]"),
            (f"{HEAD}[netwrk]\n", "p.toml:3: netwrk: a policy file has no key 'netwrk'; did you mean 'network'?"),
            (f"{HEAD}[syscalls]\nnames = []\n", "p.toml:3: syscalls: a list of tables is wanted here, not a table"),
            (
                f'{HEAD}[[syscalls]]\nnames = ["open"]\naction = "deny"\nknown-as-of = "6.1"\n',
                (
                    "p.toml:6: syscalls[0].known-as-of: [[syscalls]] has no key 'known-as-of'; it belongs to [policy],"
                    " and TOML gives a key to the header above it: move it there"
                ),
            ),
            (f"{HEAD}[files]\nbase = 1\n", "p.toml:4: files.base: true or false is wanted here, not 1"),
            (f"{HEAD}known-as-of = 6.1\n", "policy.known-as-of: a string is wanted here, not 6.1"),
            (f'{HEAD}known-as-of = "six"\n', "'six' is no version of a kernel"),
            (
                f'{HEAD}arches = ["x86-64"]\n',
                "p.toml:3: policy.arches[0]: unknown ABI 'x86-64'; did you mean 'x86_64'?",
            ),
            (f'{HEAD}arches = "x86_64"\n', "'all' or a list of ABIs"),
            (f"{HEAD}arches = []\n", "no ABI is named"),
            (f'{HEAD}syscalls-default = "dney"\n', "'dney' is no action; did you mean 'deny'?"),
            (f'{HEAD}syscalls-default = "handle"\n', "needs more than a word"),
            (f'{HEAD}syscalls-default = {{ action = "trap", dta = 1 }}\n', "has no key 'dta'; did you mean 'data'?"),
            (f'{HEAD}[files]\nread = ["/usr"]\n', "p.toml:3: files: [files] needs known-as-of"),
            (f"{HEAD}version = 1\n", "p.toml:3: no TOML: Cannot overwrite a value"),
            (f"{HEAD}name = \n", "p.toml:3: no TOML: Invalid value"),
            (f"{HEAD}name = [\n", "p.toml:3: no TOML: Invalid value, at its end"),
            (f"{HEAD}name = {'[' * 5000}\n", "p.toml: nested too deeply"),
            (f"{HEAD}{'a.' * 100_000}b = 1\n", "p.toml:3: a key of more than 32 parts"),
            (f"{HEAD}[x]\n" + "'a' . \"b\" ." * 16 + "c = 1\n", "p.toml:4: a key of more than 32 parts"),
            (f"{HEAD}name = {'9' * 5000}\n", "p.toml: Exceeds the limit"),
            (f"\ufeff{HEAD}", "p.toml:1: no TOML: a byte order mark"),
            (
                f"{HEAD}include = ['preset:none']\n",
                "p.toml:3: policy.include[0]: preset:none: there is no preset 'none'",
            ),
            (f"{HEAD}extends = 'missing.toml'\n", "missing.toml: cannot be read: No such file or directory"),
            (f'{HEAD}include = ["a\\u0000b"]\n', "is no name of a file"),
            (f"{HEAD}include = ['/']\n", "/: cannot be read: Is a directory"),
            (
                f"{HEAD}include = ['$NO/x']\n",
                "p.toml:3: policy.include[0]: variable $NO is not set; set it with -D NO=VALUE",
            ),
        ],
    )
    def test_what_no_policy_says(self, source: str, complaint: str) -> None:
        assert complaint in refusal(source)

    @pytest.mark.parametrize(
        ("keys", "complaint"),
        [
            ('action = "dny"', "p.toml:5: syscalls[0].action: 'allow' or 'log'"),
            (
                'action = "allow"\nerrno = 1',
                "p.toml:6: syscalls[0].errno: 'errno' means nothing beside action = 'allow'",
            ),
            ('action = "return"', "p.toml:5: syscalls[0].action: action = 'return' needs 'value'"),
            ('action = "return"\nvalue = -1', "syscalls[0].value: -1 is not in 0..9223372036854775807"),
            ('action = "handle"', "needs 'handler'"),
            ('action = "handle"\nhandler = ""', "the name of a handler is missing"),
            ('action = "trap"\ndata = 65536', "65536 is not in 0..65535"),
            ('action = "deny"\nerrno = 512', "syscalls[0].errno: errno 512 restarts a call"),
            ('action = "deny"\nerrno = 516', "restarts a call"),
            ('action = "deny"\nerrno = 4096', "errno 4096 is not in 0..4095"),
            ('action = "ask"\nerrno = 0', "errno 0 is not in 1..4095"),
            ('action = "deny"\nerrno = "EPREM"', "'EPREM' is no errno; did you mean 'EPERM'?"),
            ('action = "deny"\nerrno = true', "a whole number or a string is wanted here, not true"),
            ('action = "deny"\nwhen = 3', "syscalls[0].when: a string is wanted here, not 3"),
            (
                'action = "deny"\nwhen = "flags & O_CREATE != 0"',
                "p.toml:6: syscalls[0].when: 'O_CREATE' is no constant",
            ),
            ('action = "deny"\nwhen = "flags =="', "p.toml:6: syscalls[0].when: a number or a constant is missing"),
            ('action = "deny"\nnames2 = []', "did you mean 'names'?"),
            ('action = "deny"\narches = ["vax"]', "p.toml:6: syscalls[0].arches[0]: unknown ABI 'vax'"),
        ],
    )
    def test_what_no_rule_says(self, keys: str, complaint: str) -> None:
        assert complaint in refusal(f'{HEAD}[[syscalls]]\nnames = ["openat"]\n{keys}\n')

    @pytest.mark.parametrize(
        ("names", "complaint"),
        [
            ("[]", "p.toml:4: syscalls[0].names: no call is named"),
            ('["openat",\n"opnat"]', "p.toml:5: syscalls[0].names[1]: unknown call 'opnat'; did you mean 'openat'?"),
            ('["%fil"]', "unknown class '%fil'; did you mean '%file'?"),
            ('["file-system"]', "did you mean '@file-system'?"),
            ('["!open"]', "write 'all' beside it"),
            ('["openat", "!openat"]', "names no call"),
        ],
    )
    def test_names_that_name_nothing(self, names: str, complaint: str) -> None:
        assert complaint in refusal(f'{HEAD}[[syscalls]]\nnames = {names}\naction = "deny"\n')

    @pytest.mark.parametrize(
        ("rules", "complaint"),
        [
            (('["open"]', "deny", ""), ('["open"]', "deny", "")),
            (('["%file"]', "deny", ""), ('["open", "stat"]', "deny", "")),
            (('["open"]', "deny", "arg0 == 1"), ('["open"]', "deny", "arg0  ==  1")),
            (('["open"]', "deny", ""), ('["open"]', "deny", "arg0 == 1")),
        ],
    )
    def test_a_rule_that_says_again_what_an_earlier_one_says(
        self, rules: tuple[str, str, str], complaint: tuple[str, str, str]
    ) -> None:
        assert "syscalls[1]: says again what an earlier rule (p.toml:3) says" in refusal(both(rules, complaint))

    def test_a_rule_that_contradicts_an_earlier_one(self) -> None:
        source = both(('["all"]', "deny", ""), ('["open"]', "allow", ""))

        assert "p.toml:6: syscalls[1]: contradicts an earlier rule (p.toml:3), and the first match wins" in refusal(
            source
        )

    def test_a_rule_of_which_something_is_left_is_none_of_those(self) -> None:
        assert loaded(both(('["open"]', "deny", ""), ('["open", "openat"]', "allow", "")))
        assert loaded(both(('["open"]', "deny", "arg0 == 1"), ('["open"]', "allow", "")))

    def test_a_condition_that_one_abi_can_have_is_no_mistake(self) -> None:
        """MAP_32BIT exists on x86 alone; who names other ABIs is told."""
        source = f'{HEAD}[[syscalls]]\nnames = ["mmap"]\nwhen = "flags & MAP_32BIT != 0"\naction = "deny"\n'

        assert loaded(source)
        assert "aarch64 has no MAP_32BIT" in refusal(f'{source}arches = ["x86_64", "aarch64"]\n')

    def test_a_rule_for_abis_that_the_policy_is_not_for(self) -> None:
        source = f'{HEAD}arches = ["x86_64"]\n[[syscalls]]\nnames = ["open"]\naction = "deny"\narches = ["arm"]\n'

        assert "none of those the policy is for" in refusal(source)

    def test_the_first_of_several_mistakes_is_told(self) -> None:
        assert refusal(f"{HEAD}b = 1\na = 2\n").startswith("p.toml:3: policy.b")


def both(first: tuple[str, str, str], second: tuple[str, str, str]) -> str:
    blocks = [
        f'[[syscalls]]\nnames = {names}\naction = "{action}"\n' + (f'when = "{when}"\n' if when else "")
        for names, action, when in (first, second)
    ]
    return HEAD + "".join(blocks)


def write(path: Path, source: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    return path


class TestFiles:
    def test_what_a_file_includes_is_looked_for_beside_it(self, tmp_path: Path) -> None:
        write(tmp_path / "b" / "base.toml", f'{HEAD}syscalls-default = "kill"\n')
        write(tmp_path / "b" / "mid.toml", f'{HEAD}include = ["base.toml"]\nsyscalls-default = "log"\n')
        path = write(tmp_path / "a.toml", f'{HEAD}include = ["b/mid.toml"]\n')

        policy = text.load(path)

        assert [layer.name for layer in policy.layers()] == ["a", "mid", "base"]
        assert policy.decide(Arch.X86_64, 0, (0,) * 6).action == KillProcess()

    def test_extends_takes_rules_and_default_and_what_else_is_not_said(self) -> None:
        policy = loaded(f'{HEAD}extends = "preset:base"\n[[syscalls]]\nnames = ["write"]\naction = "deny"\n')

        assert (policy.default, policy.known_as_of, policy.other_arch) == (KillProcess(), (5, 4), "enosys")
        assert policy.arches == frozenset({Arch.X86_64, Arch.I386})
        assert [type(policy.decide(Arch.X86_64, nr, (0,) * 6).action) for nr in (0, 1, 2)] == [Allow, Deny, KillProcess]

    def test_what_is_extended_can_be_taken_back(self) -> None:
        policy = loaded(
            f'{HEAD}extends = "preset:base"\nsyscalls-default = "allow"\nknown-as-of = "none"\narches = "all"\n'
            'other-arch = "kill"\n'
        )

        assert (policy.default, policy.known_as_of, policy.arches, policy.other_arch) == (Allow(), None, None, "kill")

    @pytest.mark.parametrize("key", ["include = ['{}']", "extends = '{}'"])
    def test_a_cycle_is_told_with_its_files(self, tmp_path: Path, key: str) -> None:
        write(tmp_path / "b.toml", f"{HEAD}\n{key.format('./a.toml')}\n")
        path = write(tmp_path / "a.toml", f"{HEAD}\n{key.format('b.toml')}\n")

        with pytest.raises(PolicyError, match=r"b\.toml:4: .*includes itself: .*a\.toml -> .*b\.toml -> .*a\.toml"):
            text.load(path)

    def test_a_preset_that_includes_itself(self) -> None:
        with pytest.raises(PolicyError, match="preset:x -> preset:x"):
            text.load("preset:x", presets=lambda _name: f'{HEAD}include = ["preset:x"]\n')

    def test_a_preset_includes_no_file(self) -> None:
        with pytest.raises(PolicyError, match=r"preset:x:3: .*a preset includes presets alone"):
            text.load("preset:x", presets=lambda _name: f'{HEAD}include = ["/etc/x.toml"]\n')

    def test_there_is_an_end_to_depth(self) -> None:
        def deeper(name: str) -> str:
            return f'{HEAD}include = ["preset:{int(name) + 1}"]\n'

        with pytest.raises(PolicyError, match=f"more than {text.MAX_DEPTH} files deep"):
            text.load("preset:0", presets=deeper)

    def test_there_is_an_end_to_width(self) -> None:
        def wider(name: str) -> str:
            below = int(name) + 1
            return f'{HEAD}include = ["preset:{below}", "preset:{below}"]\n' if below < 10 else HEAD

        with pytest.raises(PolicyError, match=f"more than {text.MAX_LAYERS} files"):
            text.load("preset:0", presets=wider)

    def test_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(PolicyError, match=r"none\.toml: cannot be read: No such file"):
            text.load(tmp_path / "none.toml")

    def test_a_huge_file(self) -> None:
        with pytest.raises(PolicyError, match=r"^/dev/zero: longer than 1048576 bytes"):
            text.load("/dev/zero")

    def test_a_huge_text(self) -> None:
        with pytest.raises(PolicyError, match="longer than"):
            text.loads("#" * (text.MAX_BYTES + 1))

    def test_a_file_that_is_no_text(self, tmp_path: Path) -> None:
        path = tmp_path / "x.toml"
        path.write_bytes(b"[policy]\nversion = 1 # \xff\n")

        with pytest.raises(PolicyError, match=r"x\.toml:2: not UTF-8: byte 0xff; in a pattern .* \\xff"):
            text.load(path)

    def test_a_file_that_may_not_be_read_says_so(self, tmp_path: Path) -> None:
        (tmp_path / "loop.toml").symlink_to("loop.toml")

        with pytest.raises(PolicyError, match=r"cannot be read: Too many levels"):
            text.load(tmp_path / "loop.toml")

    def test_the_name_is_the_file_s(self, tmp_path: Path) -> None:
        assert text.load(write(tmp_path / "agent.toml", HEAD)).name == "agent"
        assert loaded(HEAD).name == "p.toml"

    def test_a_policy_of_no_file_cannot_be_named(self) -> None:
        with pytest.raises(PolicyError, match="came from no file"):
            text.dumps(Policy("a", includes=(Policy("b"),)))

    def test_project_is_the_directory_of_the_file_that_was_asked_for(self, tmp_path: Path) -> None:
        grants = '[[grants]]\ncall = "openat"\nverdict = "allow"\npaths = ["$PROJECT/x"]\n'
        write(tmp_path / "lib" / "other.toml", HEAD + grants)
        policy = text.load(write(tmp_path / "a.toml", f'{HEAD}include = ["lib/other.toml"]\n'))

        (included,) = policy.includes

        assert str(included.tables["grants"]).count(f"expanded='{tmp_path}/x'") == 1


class TestVariables:
    def test_values_are_literal_in_patterns(self) -> None:
        from monitor.policy.paths import PathPattern, escape  # noqa: PLC0415

        expanded = VARIABLES.expand("!$PROJECT/*", escape=escape)

        pattern = PathPattern.parse(expanded)
        assert pattern.covers(b"/srv/a*b/x")
        assert not pattern.covers(b"/srv/axb/x")

    @pytest.mark.parametrize(
        ("written", "expanded"),
        [
            ("~", "/home/me"),
            ("~/.ssh", "/home/me/.ssh"),
            ("!~/x", "!/home/me/x"),
            ("unix:~/s", "unix:/home/me/s"),
            ("/a~", "/a~"),
            ("${X}/$X", "sub dir/sub dir"),
            ("/a\\x24b", "/a\\x24b"),
        ],
    )
    def test_what_stands_for_what(self, written: str, expanded: str) -> None:
        assert VARIABLES.expand(written) == expanded

    @pytest.mark.parametrize(
        ("written", "complaint"),
        [
            ("$Y", r"variable \$Y is not set; set it with -D Y=VALUE"),
            ("$HOME/x", r"variable \$HOME is not set; write ~"),
            ("/a$", r"a \$ in a path is \\x24"),
            ("${}", r"a \$ in a path is \\x24"),
            ("${a b}", r"a \$ in a path is \\x24"),
            ("$1", r"a \$ in a path is \\x24"),
            ("~root/x", "~root is not known here"),
        ],
    )
    def test_what_stands_for_nothing(self, written: str, complaint: str) -> None:
        with pytest.raises(PolicyError, match=complaint):
            VARIABLES.expand(written)

    def test_definitions(self) -> None:
        assert dict(Variables.of(["A=1", "B=x=y", "C="]).values) == {"A": "1", "B": "x=y", "C": ""}

    @pytest.mark.parametrize(
        ("definitions", "complaint"),
        [
            (["A"], "a value is missing"),
            (["A=1", "A=2"], "A is set already, to '1'"),
            (["1A=2"], "no name"),
            (["=2"], "no name"),
        ],
    )
    def test_definitions_that_are_none(self, definitions: list[str], complaint: str) -> None:
        with pytest.raises(PolicyError, match=complaint):
            Variables.of(definitions)

    def test_a_value_that_no_path_has(self) -> None:
        with pytest.raises(PolicyError, match="NUL"):
            Variables({"A": "\0"})


def test_verify_is_what_makes_a_built_policy_loadable() -> None:
    policy = Policy("p", rules=(Rule(["openat"], Deny(EAFNOSUPPORT)), Rule(["openat"], Allow())))

    with pytest.raises(PolicyError, match=r"^contradicts an earlier rule, and the first match wins"):
        verify(policy)


def test_the_errors_that_the_page_of_the_policy_file_prints() -> None:
    page = (Path(__file__).parents[2] / "docs" / "policy.md").read_text()
    example, *_ = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    mistyped, unenforced, *_ = re.findall(r"```text\n(.*?)\n```", page, re.DOTALL)

    with pytest.raises(PolicyError) as caught:
        text.loads(example.replace("AF_UNIX ", "AF_UNX "), Origin("agent.toml"))
    assert str(caught.value) == mistyped
    with pytest.raises(PolicyError) as caught:
        refuse_unenforced(text.loads(example, Origin("agent.toml")))
    assert str(caught.value) == unenforced


@pytest.mark.parametrize("name", ["", "../x", "A", "a_b", "no-such"])
def test_presets_that_are_none(name: str) -> None:
    with pytest.raises(PolicyError, match="there is no preset"):
        shipped.text(name)


def test_nothing_of_this_is_loaded_by_who_has_no_policy() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", "from monitor import handles, supervise; import sys; print(sorted(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ,
    )

    assert not re.search(r"cattrs|tomllib|monitor\.policy\.(model|text|expression)", done.stdout)


@pytest.mark.parametrize("string", ['"{}"', "'{}'", '"""\n{}"""', "'''\n{}'''", '"" # {}'])
def test_what_looks_like_a_long_key_and_is_a_string_or_a_comment_is_none(string: str) -> None:
    assert text.loads(f"{HEAD}reason = {string.format('a.' * 40)}\n").name == "policy"
