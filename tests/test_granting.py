"""Remembered answers over calls that wait: they answer what is asked, by whoever they name, and lift nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from errno import EACCES, EBUSY, EPERM
from pathlib import Path
from typing import Any, Literal

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.abi.arch import Arch
from monitor.abi.syscalls import number_of
from monitor.deciding import TableDecider
from monitor.enforce import PolicyJudge
from monitor.errors import PolicyError
from monitor.granting import Granting
from monitor.handlers.paths import Ruling, answered
from monitor.notify.account import Outcome, Would
from monitor.notify.decode import Call
from monitor.notify.target import glimpsed
from monitor.notify.verdict import Allow, Deny
from monitor.origin import Origin
from monitor.policy import action as actions
from monitor.policy.compile import compile_policy
from monitor.policy.expression import Expression
from monitor.policy.grants import with_grants
from monitor.policy.model import Policy
from monitor.policy.tables import Grant, Grants, Written
from monitor.policy.text import loads, loads_grants
from monitor.testing import call
from monitor.testing.memory import FakeMemory
from tests.policy import plain, plain_tables
from tests.policy.drawn import CALLS, policies, registers

X86 = Arch.X86_64

HEAD = '[policy]\nversion = 1\nname = "mine"\nknown-as-of = "6.1"\n'

ASKS = HEAD + '[[syscalls]]\nnames = ["mkdir", "socket", "rmdir"]\naction = "ask"\nerrno = "EBUSY"\n'

PYTHON = os.fsencode(os.path.realpath(sys.executable))


def judge(policy: Policy, *, observe: bool = False) -> PolicyJudge:
    def never(*_arguments: object) -> Any:
        raise AssertionError

    return PolicyJudge(policy, compile_policy(policy, [X86], observe=observe).routes, never, never)


def policy(source: str, granted: str = "") -> Policy:
    grants = loads_grants(granted, Origin("grants.toml"))
    return with_grants(loads(source, Origin("mine.toml")), grants, "grants.toml")


def made(name: str, *, exe: bytes = b"", **arguments: Any) -> Call:
    """Return a call of a process that executes *exe*, as its link says; in truth it is this one."""
    one = call(name, thread=os.getpid(), **arguments)
    memory = glimpsed(one.target)
    assert isinstance(memory, FakeMemory)
    memory.links["exe"] = exe
    return one


def said(given: PolicyJudge, one: Call) -> Outcome:
    refused = given.refuses(one)
    found = given.answers(one) if refused is None else refused
    assert found is not None
    return found


def grant(name: str, more: str = "", verdict: str = "allow") -> str:
    return f'[[grants]]\ncall = "{name}"\nverdict = "{verdict}"\n{more}\n'


# ---- rules about calls ----


def test_what_a_rule_asks_a_grant_answers_and_is_named() -> None:
    given = judge(policy(ASKS, grant("mkdir") + grant("rmdir", 'errno = "EPERM"', "deny")))
    allowed, denied, asked = (said(given, made(name)) for name in ("mkdir", "rmdir", "socket"))

    assert (allowed.verdict, allowed.by, str(allowed.rule), allowed.told) == (Allow(), "grant", "grants.toml:1", False)
    assert (denied.verdict, denied.by, str(denied.rule)) == (Deny(EPERM), "grant", "grants.toml:5")
    assert (asked.verdict, asked.by, str(asked.rule)) == (Deny(EBUSY), "policy", "mine.toml:5")


def test_a_denial_has_the_errno_of_the_ask_where_it_has_none() -> None:
    assert said(judge(policy(ASKS, grant("mkdir", verdict="deny"))), made("mkdir")).verdict == Deny(EBUSY)


def test_the_registers_and_the_program_count() -> None:
    granted = grant("socket", f'when = "domain == AF_INET"\nprogram = "{PYTHON.decode()}"')
    given = judge(policy(ASKS, granted))

    assert said(given, made("socket", domain=2, exe=PYTHON)).verdict == Allow()
    assert said(given, made("socket", domain=17, exe=PYTHON)).verdict == Deny(EBUSY)
    assert said(given, made("socket", domain=2, exe=b"/usr/bin/git")).verdict == Deny(EBUSY)


def test_a_program_is_known_by_its_file_and_not_by_its_name_elsewhere() -> None:
    """In a mount namespace of its own it was mounted over another one: it has that name, and is not that file."""
    git = Path("/bin/true").resolve()
    given = judge(policy(ASKS, grant("mkdir", f'program = "{git}"', "deny") + grant("mkdir")))

    outcome = said(given, made("mkdir", exe=os.fsencode(git)))

    assert (outcome.verdict, str(outcome.rule)) == (Allow(), "grants.toml:5")


def test_a_thread_that_is_gone_has_no_program() -> None:
    given = judge(policy(ASKS, grant("mkdir", 'program = "/"')))
    one = made("mkdir", exe=PYTHON)
    memory = glimpsed(one.target)
    assert isinstance(memory, FakeMemory)
    memory.waiting = False

    assert said(given, one).verdict == Deny(EBUSY)


def test_what_a_layer_beneath_hands_to_a_handler_no_grant_lets_past_it() -> None:
    handled = loads(HEAD + '[[syscalls]]\nnames = ["mkdir"]\naction = "handle"\nhandler = "h"\n')
    both = attrs.evolve(policy(ASKS, grant("mkdir")), includes=[handled])

    assert said(
        judge(with_grants(both, Grants((Grant(call="mkdir", verdict="allow"),)), "g")), made("mkdir")
    ).verdict == Deny(EBUSY)


@pytest.mark.parametrize("action", ['"deny"', '"kill"', '"return"\nvalue = 1'])
def test_a_denial_that_is_mutable_is_lifted_by_no_grant(action: str) -> None:
    """It comes to us, as an ask does."""
    source = f'{HEAD}[[syscalls]]\nnames = ["mkdir"]\naction = {action}\nmutable = true\n'
    given = judge(policy(source, grant("mkdir")))
    one = made("mkdir")

    refused, answered = given.refuses(one), given.answers(one)
    assert refused is not None
    assert answered is not None
    assert {(each.by, str(each.rule)) for each in (refused, answered)} == {("policy", "mine.toml:5")}
    assert refused.verdict == answered.verdict != Allow()


def test_what_a_layer_beneath_logs_is_told_of() -> None:
    logged = loads(HEAD + '[[syscalls]]\nnames = ["mkdir"]\naction = "log"\n')
    both = attrs.evolve(loads(ASKS), includes=[logged])
    outcome = said(judge(with_grants(both, Grants((Grant(call="mkdir", verdict="allow"),)), "g")), made("mkdir"))

    assert (outcome.verdict, outcome.told) == (Allow(), True)


def test_a_policy_that_replaces_another_brings_its_own_grants() -> None:
    first, second = policy(ASKS), policy(ASKS, grant("mkdir"))
    routes = compile_policy(first, [X86]).routes
    given = PolicyJudge(
        first,
        routes,
        lambda new: compile_policy(new, [X86]).routes,
        lambda *_arguments: None,  # type: ignore[arg-type]
    )
    before = said(given, made("mkdir")).verdict
    changed = given.replace(second).calls

    assert (before, said(given, made("mkdir")).verdict, changed) == (Deny(EBUSY), Allow(), ())


def test_observed_it_says_what_would_have_been() -> None:
    given = judge(policy(ASKS, grant("mkdir") + grant("rmdir", verdict="deny")), observe=True)
    allowed, denied, asked = (said(given, made(name)) for name in ("mkdir", "rmdir", "socket"))

    assert [isinstance(one.verdict, Allow) for one in (allowed, denied, asked)] == [True, True, True]
    assert (allowed.would, allowed.told, allowed.by) == (None, False, "grant")
    assert (denied.would, denied.told, str(denied.rule)) == (Would("deny", EBUSY), True, "grants.toml:5")
    assert (asked.would, asked.told, asked.by) == (Would("ask", EBUSY), True, "policy")


def test_a_grant_that_was_never_read_is_refused_before_anything_is_asked() -> None:
    bad = Policy("p", tables={"grants": Grants((Grant(call="open", verdict="allow", program=Written("git")),))})

    with pytest.raises(PolicyError, match="a pattern starts with"):
        Granting(bad)


WHENS = st.none() | st.builds("arg0 {} {}".format, st.sampled_from(["==", "!=", "<"]), registers).map(Expression)

NAMED = [name for name in CALLS if name[0] not in "%@"]

VERDICTS = st.sampled_from(["allow", "deny"])

ABOUT_CALLS = st.builds(
    Grant,
    call=st.sampled_from(NAMED),
    verdict=VERDICTS,
    when=WHENS,
    errno=st.none(),
    origin=st.just(Origin("grants.toml", 1)),
)


def with_some(given: Policy, where: Sequence[Grants]) -> Policy:
    """Return *given* with grants of its own, and in a layer beneath."""
    own = attrs.evolve(given, tables={**given.tables, "grants": where[0]})
    return with_grants(own, where[1], "grants.toml")


def grants_of(one: st.SearchStrategy[Grant]) -> st.SearchStrategy[list[Grants]]:
    several = st.lists(one, max_size=4).map(lambda found: Grants(tuple(found)))
    return st.lists(several, min_size=2, max_size=2)


@given(policies(), grants_of(ABOUT_CALLS), st.sampled_from(NAMED), st.tuples(*[registers] * 6))
def test_what_is_decided_about_calls_differs_only_where_the_policy_asks(
    given: Policy, granted: list[Grants], name: str, args: tuple[int, ...]
) -> None:
    nr = number_of(X86, name)
    assert nr is not None
    one = call(name)
    one._raw = (*one._raw[:6], *args)  # type: ignore[assignment]
    before, after = (said(judge(each), one) for each in (given, with_some(given, granted)))
    asks = isinstance(given.decide(X86, nr, args).action, actions.Ask)

    assert after.by in {"policy", "grant"}
    if after.by == "policy" or not asks:
        assert (after.verdict, after.by, after.rule, after.told) == (
            before.verdict, before.by, before.rule, before.told,
        )  # fmt: skip


# ---- tables ----


def decider(given: Policy) -> TableDecider:
    return TableDecider(given, lambda head: head)


def files(lists: str, granted: str = "") -> TableDecider:
    return decider(policy(f"{HEAD}[files]\n{lists}\n", granted))


def asked(given: TableDecider, *accesses: str, name: bytes = b"/a/x") -> Ruling:
    rulings = [given(access, name, directory=False) for access in accesses]
    return rulings[0]._replace(asks=tuple(ruling for ruling in rulings if ruling.asked))


def answer(given: TableDecider, ruling: Ruling) -> Ruling:
    return answered(given, call("openat"), ruling)[0]


def test_what_is_asked_about_a_name_a_grant_answers() -> None:
    granted = grant("openat", 'paths = ["/a"]') + grant("openat", 'paths = ["/b"]', "deny")
    given = files('ask = ["/"]', granted)
    yes, no, nobody = (answer(given, asked(given, "read", name=name)) for name in (b"/a/x", b"/b/x", b"/c/x"))

    assert (yes.errno, yes.asked, yes.granted, str(yes.origin)) == (0, False, True, "grants.toml:1")
    assert (no.errno, no.asked, no.granted, str(no.origin)) == (EACCES, False, True, "grants.toml:5")
    assert (nobody.errno, nobody.asked, nobody.granted) == (EACCES, True, False)


def test_who_may_read_a_name_may_not_write_it() -> None:
    """An open for both asks about both, whichever is looked at first."""
    given = files('ask = ["/"]', grant("openat", 'paths = ["/a"]\naccess = ["read"]'))

    for accesses in (("read", "write"), ("write", "read"), ("write",)):
        ruling = answer(given, asked(given, *accesses))
        assert (ruling.errno, ruling.asked) == (EACCES, True)
    assert answer(given, asked(given, "read")).granted


def test_two_grants_answer_two_questions_and_a_denial_of_one_is_one_of_all() -> None:
    reading = grant("openat", 'paths = ["/a"]\naccess = ["read"]')
    writing = '\npaths = ["/a"]\naccess = ["write"]'
    both = files('ask = ["/"]', reading + grant("openat", writing))
    one = files('ask = ["/"]', reading + grant("openat", writing + '\nerrno = "EPERM"', "deny"))

    assert answer(both, asked(both, "read", "write")).granted
    ruling = answer(one, asked(one, "read", "write"))
    assert (ruling.errno, ruling.granted, ruling.access, str(ruling.origin)) == (EPERM, True, "write", "grants.toml:6")


@pytest.mark.parametrize("lists", ['deny = ["/a"]', 'hide = ["/a"]', ""])
def test_what_a_table_refuses_no_grant_lifts(lists: str) -> None:
    given = files(lists, grant("openat", 'paths = ["/"]'))
    ruling = asked(given, "read")

    assert given.answer(call("openat"), ruling) is ruling
    assert ruling.errno


ABOUT_NAMES = st.builds(
    lambda paths, access, verdict: Grant(call="openat", verdict=verdict, paths=paths, access=access),
    plain_tables.LISTS.filter(lambda found: bool(found) and not found[0].text.startswith("!")),
    st.none() | st.lists(st.sampled_from(plain_tables.ACCESSES), min_size=1, unique=True).map(tuple),
    VERDICTS,
)


@given(plain_tables.POLICIES, grants_of(ABOUT_NAMES), st.sampled_from(plain_tables.ACCESSES), plain.names)
def test_what_is_decided_about_names_differs_only_where_a_table_asks(
    given: Policy, granted: list[Grants], access: Literal["read"], name: bytes
) -> None:
    without, having = decider(given), decider(with_some(given, granted))
    ruling = having(access, name, directory=False)
    answered = having.answer(call("openat"), ruling)

    assert ruling._replace(origin=Origin()) == without(access, name, directory=False)._replace(origin=Origin())
    if not ruling.asked:
        assert answered is ruling
    elif answered is not ruling:
        assert answered.granted
        assert not answered.asked


# ---- the file itself ----


@pytest.mark.parametrize("access", ["create", "write", "rename-target", "link-target", "symlink", "bind"])
def test_nobody_makes_a_file_of_grants_that_is_not_there_yet(tmp_path: Path, access: str) -> None:
    source = f'{HEAD}[files]\nwrite = ["{tmp_path}"]\n'
    given = decider(with_grants(loads(source), Grants(()), str(tmp_path / "grants.toml")))

    assert given(access, os.fsencode(tmp_path / "grants.toml"), directory=False).errno == EACCES
    assert not given(access, os.fsencode(tmp_path / "other.toml"), directory=False).errno


def test_a_file_of_grants_is_protected_by_whatever_name_it_is_changed(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "grants.toml"
    path.parent.mkdir()
    path.write_text("")
    source = f'{HEAD}[files]\nwrite = ["{tmp_path}"]\n'
    given = decider(with_grants(loads(source), Grants(()), str(path)))
    status = path.stat()
    device = os.major(status.st_dev) << 32 | os.minor(status.st_dev)

    assert given.protects("write", device, status.st_ino)
    assert given.protects("rename-source", device, path.parent.stat().st_ino)
    assert not given.protects("read", device, status.st_ino)


def test_what_is_extended_may_have_grants_too() -> None:
    extended = attrs.evolve(loads(ASKS), tables={"grants": Grants((Grant(call="mkdir", verdict="allow"),))})

    assert said(judge(Policy("top", extends=extended)), made("mkdir")).verdict == Allow()
