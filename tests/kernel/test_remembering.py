"""An answer for always is a grant in a file, in force at once, and nobody is asked again; nor in the next run."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

import monitor
from monitor import Allow, Answer, Deny
from monitor.policy.text import load_grants, loads
from tests.kernel.test_asking import FILES, HEAD, Somebody, asking_about, place, ran

__all__ = ["place"]


async def test_it_is_written_and_nobody_is_asked_again(place: Path) -> None:
    somebody = Somebody(Answer(Allow(), "always"))
    grants = place.parent / f"{place.name}.toml"
    script = f"cat {place}/secret; cat {place}/secret"
    done = await ran(["sh", "-c", script], asking_about(place), somebody, grants=grants)
    again = await ran(["cat", f"{place}/secret"], asking_about(place), None, grants=grants)

    assert (done.output, len(somebody.questions)) == ("told\n" * 2, 1)
    assert (again.output, again.status) == ("told\n", 0)
    (grant,) = load_grants(grants).entries
    assert (grant.call, grant.verdict, grant.access) == ("openat", "allow", ("read",))
    assert grant.program is not None
    assert grant.program.text == os.path.realpath("/usr/bin/cat")


async def test_what_is_denied_for_always_is_denied_the_next_time(place: Path) -> None:
    grants = place.parent / f"{place.name}.toml"
    await ran(
        ["cat", f"{place}/secret"], asking_about(place), Somebody(Answer(Deny(errno.EIO), "always")), grants=grants
    )
    again = await ran(["cat", f"{place}/secret"], asking_about(place), None, grants=grants)

    assert "Input/output error" in again.output


@pytest.mark.parametrize("other", ["echo x >{place}/secret", "head {place}/secret", "cat {place}/other"])
async def test_it_is_about_that_program_that_name_and_that_class_alone(place: Path, other: str) -> None:
    grants = place.parent / f"{place.name}.toml"
    (place / "other").write_text("no\n")
    await ran(["cat", f"{place}/secret"], asking_about(place), Somebody(Answer(Allow(), "always")), grants=grants)
    again = await ran(["sh", "-c", other.format(place=place)], asking_about(place), None, grants=grants)

    assert "Permission denied" in again.output


async def test_about_a_rule_it_is_about_those_values_alone(place: Path) -> None:
    policy = loads(HEAD + '[[syscalls]]\nnames = ["socket"]\naction = "ask"\n')
    grants = place / "grants.toml"
    code = "import socket; socket.socket(socket.AF_INET, socket.SOCK_{})"
    python = os.path.realpath("/usr/bin/python3")
    somebody = Somebody(Answer(Allow(), "always"))
    await ran([python, "-c", code.format("STREAM")], policy, somebody, grants=grants)
    same = await ran([python, "-c", code.format("STREAM")], policy, None, grants=grants)
    other = await ran([python, "-c", code.format("DGRAM")], policy, None, grants=grants)

    assert (same.status, other.status) == (0, 1)


async def test_a_question_about_two_names_leaves_a_grant_for_each(place: Path) -> None:
    somebody = Somebody(Answer(Allow(), "always"))
    grants = place.parent / f"{place.name}.toml"
    script = f"import os; os.rename('{place}/secret', '{place}/moved')"
    python = os.path.realpath("/usr/bin/python3")
    done = await ran([python, "-c", script], asking_about(place), somebody, grants=grants)
    (place / "moved").rename(place / "secret")
    again = await ran([python, "-c", script], asking_about(place), None, grants=grants)
    back = await ran(
        [python, "-c", f"import os; os.rename('{place}/moved', '{place}/secret')"],
        asking_about(place),
        None,
        grants=grants,
    )

    assert (done.status, again.status, len(somebody.questions)) == (0, 0, 1)
    assert back.status == 1
    assert "Permission denied" in back.output
    first, second = load_grants(grants).entries
    assert {first.paths[0].text, second.paths[0].text} == {f"{place}/secret", f"{place}/moved"}
    assert first.access != second.access
    asked = somebody.about()[0]
    for grant in (first, second):
        path = os.fsencode(grant.paths[0].text)
        assert set(grant.access or ()) == {access for access, name in asked if name == path}


async def test_a_question_says_why_its_rule_asks(place: Path) -> None:
    why = "what others made is theirs"
    policy = loads(
        f'{HEAD}{FILES}[[files.rules]]\npaths = ["{place}"]\naccess = ["read"]\naction = "ask"\nreason = "{why}"\n'
        '[[syscalls]]\nnames = ["socket"]\naction = "ask"\nreason = "no network here"\n'
    )
    somebody = Somebody(None)
    await ran(["cat", f"{place}/secret"], policy, somebody)
    await ran(["/usr/bin/python3", "-c", "import socket; socket.socket()"], policy, somebody)

    assert [{one.reason for one in question.about} for question in somebody.questions] == [{why}, {"no network here"}]


async def test_a_file_that_cannot_be_written_is_told_and_the_answer_holds(place: Path) -> None:
    told: list[monitor.Event] = []
    somebody = Somebody(Answer(Allow(), "always"))
    script = f"cat {place}/secret; cat {place}/secret"
    grants = "/proc/nowhere/grants.toml"
    policy = asking_about(place)
    async with monitor.supervise(
        ["sh", "-c", script], policy=policy, approver=somebody, grants=grants, events=told.append
    ) as run:
        assert await run.wait() == 0

    assert len(somebody.questions) == 1
    (failed,) = [event for event in told if isinstance(event, monitor.GrantFailed)]
    assert failed.file == grants


async def test_what_was_written_is_told_as_a_difference(place: Path) -> None:
    told: list[monitor.Event] = []
    grants = place.parent / f"{place.name}.toml"
    async with monitor.supervise(
        ["cat", f"{place}/secret"],
        policy=asking_about(place),
        approver=Somebody(Answer(Allow(), "always")),
        grants=grants,
        events=told.append,
    ) as run:
        await run.wait()
        await run.wait_all()

    (written,) = [event for event in told if isinstance(event, monitor.GrantWritten)]
    assert "+[[grants]]" in written.difference


async def test_grants_without_a_policy_make_no_sense(place: Path) -> None:
    with pytest.raises(ValueError, match="give a policy"):
        monitor.supervise(["true"], grants=place / "x.toml")
