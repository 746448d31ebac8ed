"""What a policy refuses, and what reaches a breakpoint, can be decided otherwise by a person, and by nobody else."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import monitor
from monitor import Allow, Answer, Deny, Return
from monitor.debugging import BREAKPOINT, Breakpoints
from monitor.notify.handler import no_opinion
from monitor.policy.text import loads
from tests.kernel.test_asking import FILES, HEAD, Somebody, place, ran

__all__ = ["place"]

MKDIR = '[[syscalls]]\nnames = ["mkdir"]\naction = "deny"\nerrno = "EROFS"\n'
ALL = monitor.Handler.of("all", no_opinion)


async def test_what_a_rule_refuses_is_done_if_somebody_says_so(place: Path) -> None:
    somebody = Somebody(Answer(Allow()))
    done = await ran(
        ["mkdir", f"{place}/made"],
        loads(HEAD + MKDIR),
        somebody,
        breakpoints=Breakpoints(),
        notify_refusals=True,
    )

    assert done.status == 0
    (question,) = somebody.questions
    assert (question.refused, question.emulated, question.otherwise) == (True, True, Deny(errno.EROFS))
    assert "always" not in question.scopes
    assert (place / "made").is_dir()


async def test_where_nobody_says_so_it_stays_refused(place: Path) -> None:
    done = await ran(
        ["mkdir", f"{place}/made"], loads(HEAD + MKDIR), Somebody(None), breakpoints=Breakpoints(), notify_refusals=True
    )

    assert "Read-only file system" in done.output
    assert not (place / "made").exists()


async def test_what_a_table_refuses_is_opened_if_somebody_says_so(place: Path) -> None:
    somebody = Somebody(Answer(Allow()))
    done = await ran(["cat", f"{place}/secret"], loads(HEAD + FILES), somebody, breakpoints=Breakpoints())

    assert (done.status, done.output) == (0, "told\n")
    assert somebody.questions[-1].refused
    assert somebody.about()[-1] == {("read", os.fsencode(place / "secret"))}


async def test_no_handler_sees_what_is_refused(place: Path) -> None:
    seen: list[str] = []

    def allow(call: monitor.Call) -> monitor.Verdict:
        seen.append(call.name)
        return Allow()

    done = await ran(
        ["mkdir", f"{place}/made"],
        loads(HEAD + MKDIR),
        Somebody(None),
        breakpoints=Breakpoints(),
        handlers=[monitor.Handler.of("mkdir", allow)],
        notify_refusals=True,
    )

    assert seen == []
    assert "Read-only file system" in done.output


async def test_a_call_stops_at_its_breakpoint_and_goes_on_as_the_policy_says(place: Path) -> None:
    breakpoints = Breakpoints()
    breakpoints.add("mkdir", "", lambda call: True)
    breakpoints.add("openat", "", lambda call: False)
    somebody = Somebody(None)
    done = await ran(
        ["mkdir", f"{place}/made"],
        loads(HEAD + 'syscalls-default = "allow"\n'),
        somebody,
        breakpoints=breakpoints,
        handlers=[ALL],
    )

    assert done.status == 0
    assert (place / "made").is_dir()
    (question,) = somebody.questions
    assert (question.call, question.refused, question.otherwise) == ("mkdir", False, Allow())
    assert question.about[0].rule == BREAKPOINT


async def test_at_a_breakpoint_anything_can_be_answered(place: Path) -> None:
    breakpoints = Breakpoints()
    breakpoints.add("mkdir", "", lambda call: True)
    done = await ran(
        ["mkdir", f"{place}/made"], loads(HEAD), Somebody(Answer(Return(0))), breakpoints=breakpoints, handlers=[ALL]
    )

    assert done.status == 0
    assert not (place / "made").exists()


async def test_a_brokered_call_reaches_its_breakpoint_and_is_done_with_the_name_that_was_shown(place: Path) -> None:
    breakpoints = Breakpoints()
    breakpoints.add("openat", "", lambda call: call.args.flags & os.O_ACCMODE == os.O_WRONLY)
    somebody = Somebody(Answer(Allow()))
    policy = loads(HEAD + FILES.replace('write = ["/dev"]', f'write = ["/dev", "{place}"]'))
    done = await ran(
        ["sh", "-c", f"echo new >{place}/made; cat {place}/made"],
        policy,
        somebody,
        breakpoints=breakpoints,
        handlers=[ALL],
    )

    assert done.output == "new\n"
    hit = [question for question in somebody.questions if not question.refused]
    assert [{one.path for one in question.about} for question in hit] == [{os.fsencode(place / "made")}]


async def test_what_is_refused_is_never_remembered(place: Path) -> None:
    somebody = Somebody(None)
    grants = place.parent / f"{place.name}.toml"
    await ran(
        ["mkdir", f"{place}/made"],
        loads(HEAD + MKDIR),
        somebody,
        breakpoints=Breakpoints(),
        notify_refusals=True,
        grants=grants,
    )

    (question,) = somebody.questions
    assert question.suggestions == ()
    assert "always" not in question.scopes


def test_breakpoints_come_and_go_by_number() -> None:
    breakpoints = Breakpoints()
    first = breakpoints.add("read", "", lambda call: True)
    second = breakpoints.add("write", "fd == 1", lambda call: True)

    assert [one.number for one in breakpoints.all()] == [1, 2]
    assert breakpoints.remove(first.number)
    assert not breakpoints.remove(first.number)
    assert breakpoints.all() == (second,)
    assert breakpoints.add("read", "", lambda call: True).number == 3
