"""What a policy asks is asked once, answered for as much as was said, and denied wherever that goes wrong."""

from __future__ import annotations

import errno
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from attrs import define, field

import monitor
from monitor import Allow, Deny, Kill, Return
from monitor.abi.arch import Arch
from monitor.approve.approvals import MOST_WAITING, Asking
from monitor.approve.approvers import always_says, chain, within
from monitor.approve.question import Answer, Question
from monitor.events.hub import Hub
from monitor.events.observer import HubObserver
from monitor.notify.account import Outcome
from monitor.notify.approval import About, Asks
from monitor.notify.ask import Options
from monitor.notify.decode import Call
from monitor.notify.dispatch import Dispatcher
from monitor.notify.handler import Handler, routes_of
from monitor.notify.verdict import Verdict
from monitor.origin import Origin
from monitor.policy.tables import Grant
from monitor.testing import FakeListener, Response, call

RULE = Origin("agent.toml", line=12)
GRANT = Grant(call="socket", verdict="allow")


class AskingAboutAll:
    """A judge that asks about the registers of every call."""

    def __init__(self) -> None:
        self.refused: Verdict | None = None
        self.allowed = False
        self.rule = RULE
        self.about: tuple[About, ...] | None = None

    def refuses(self, call: Call) -> Outcome | None:
        return None if self.refused is None else Outcome(self.refused, "policy")

    def gives_elsewhere(self, call: Call) -> bool:
        return False

    def asks_before(self, call: Call) -> Outcome | None:
        return None

    def answers(self, call: Call) -> Outcome | None:
        if self.allowed:
            return Outcome(Allow(), "policy")
        outcome = Outcome(Deny(errno.EACCES), "policy")
        outcome.rule = self.rule
        outcome.asks = Asks(Allow(), self.about or (About(self.rule),))
        return outcome


class Somebody:
    """Puts questions into a channel, and waits for answers to them by number."""

    def __init__(self) -> None:
        self.send, self.questions = trio.open_memory_channel[Question](1000)
        self._answers: dict[int, Answer | BaseException | None] = {}
        self._answered: dict[int, trio.Event] = {}
        self.withdrawn: list[int] = []

    async def __call__(self, question: Question) -> Answer | None:
        event = self._answered[question.number] = trio.Event()
        await self.send.send(question)
        try:
            await event.wait()
        except trio.Cancelled:
            self.withdrawn.append(question.number)
            raise
        said = self._answers[question.number]
        if isinstance(said, BaseException):
            raise said
        return said

    def say(self, question: Question, said: Answer | BaseException | None) -> None:
        self._answers[question.number] = said
        self._answered[question.number].set()

    def has_no_question(self) -> bool:
        return self.questions.statistics().current_buffer_used == 0


@define
class Flow:
    listener: FakeListener
    dispatcher: Dispatcher
    judge: AskingAboutAll
    somebody: Somebody
    told: list[monitor.Event] = field(factory=list)
    written: list[Grant] = field(factory=list)
    writing: trio.Event = field(factory=trio.Event)
    """Set: grants are written without a pause."""

    def notify(self, name: str = "socket", *, process: int = 1, exe: bytes = b"/bin/sh", **arguments: Any) -> int:
        made = call(name, thread=process, process=process, **(arguments or {"domain": 2, "type": 1, "protocol": 0}))
        memory = made.target.for_rendering()._memory  # type: ignore[attr-defined]
        if exe:
            memory.links["exe"] = exe
            memory.executable = (1, sum(exe))
        return self.listener.notify(made)

    async def question(self) -> Question:
        return await self.somebody.questions.receive()

    def answered(self) -> list[monitor.CallAnswered]:
        return [event for event in self.told if isinstance(event, monitor.CallAnswered)]


@asynccontextmanager
async def flowing(
    approver: Any = None, *handlers: Handler, remembers: bool = True, **options: Any
) -> AsyncIterator[Flow]:
    somebody = Somebody()
    judge = AskingAboutAll()
    told: list[monitor.Event] = []
    written: list[Grant] = []
    observer = HubObserver(Hub([told.append]))

    async def remember(grants: tuple[Grant, ...]) -> None:
        await trio.lowlevel.checkpoint()
        await flow.writing.wait()
        written.extend(grants)

    approvals = Asking(
        approver or somebody,
        observer=observer,
        remember=remember if remembers else None,
        suggest=lambda call, asks, asker: (GRANT,),
        explain=lambda call, about: f"why {about.rule} asks",
        **options,
    )
    listener = FakeListener()
    given = Options(Deny(errno.EPERM), True, 30.0, "deny", judge, approvals)
    dispatcher = Dispatcher(listener, routes_of(handlers, [Arch.X86_64]), given, observer)
    flow = Flow(listener, dispatcher, judge, somebody, told, written)
    flow.writing.set()
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(dispatcher.run)
            yield flow
            nursery.cancel_scope.cancel()
    finally:
        listener.close()


def once(verdict: Verdict) -> Answer:
    return Answer(verdict)


# ---- an answer becomes a response ----


@pytest.mark.parametrize(
    ("verdict", "error", "value", "continues"),
    [
        (Allow(), 0, 0, True),
        (Deny(errno.ENOENT), -errno.ENOENT, 0, False),
        (Return(7), 0, 7, False),
        (Kill(signal.SIGTERM), -errno.EPERM, 0, False),
    ],
    ids=str,
)
async def test_each_answer_is_one_response(
    autojump_clock: trio.testing.MockClock, verdict: Verdict, error: int, value: int, continues: bool
) -> None:
    async with flowing() as flow:
        ident = flow.notify()
        question = await flow.question()
        await trio.sleep(1000)  # as long as it takes
        flow.somebody.say(question, once(verdict))
        response = await flow.listener.response(ident)

    assert (response.error, response.value, response.continues) == (error, value, continues)
    (event,) = flow.answered()
    assert (event.by, event.scope, event.rule, event.verdict) == ("user", "once", RULE, verdict)
    assert flow.dispatcher.stats.asked == 1


async def test_the_question_says_what_is_asked(autojump_clock: trio.testing.MockClock) -> None:
    async with flowing() as flow:
        flow.notify(process=7, exe=b"/usr/bin/git", domain=2, type=1, protocol=6)
        question = await flow.question()

    assert question.text == "socket(AF_INET, SOCK_STREAM, IPPROTO_TCP)"
    assert (question.call, question.pid, question.exe, question.comm) == ("socket", 7, b"/usr/bin/git", "fake")
    assert question.about == (About(RULE, reason=f"why {RULE} asks"),)
    assert question.otherwise == Deny(errno.EACCES)
    assert question.scopes == ("once", "process", "program", "run", "always")
    assert question.suggestions == (attrs.evolve(GRANT, why=f"why {RULE} asks"),)
    assert not question.emulated


async def test_nothing_is_offered_that_cannot_be_meant(autojump_clock: trio.testing.MockClock) -> None:
    async with flowing(remembers=False) as flow:
        flow.notify(exe=b"")
        first = await flow.question()
        flow.notify(exe=b"/tmp/gone (deleted)", process=0, domain=3, type=1, protocol=0)
        second = await flow.question()

    assert first.scopes == ("once", "process", "run")
    assert second.scopes == ("once", "run")


# ---- where nobody answers, it is denied ----


async def test_nothing_to_say_is_the_policys_denial(autojump_clock: trio.testing.MockClock) -> None:
    async with flowing() as flow:
        ident = flow.notify()
        flow.somebody.say(await flow.question(), None)
        response = await flow.listener.response(ident)

    assert response.error == -errno.EACCES
    assert flow.answered()[0].by == "policy"


async def test_no_answer_in_time_is_a_denial(autojump_clock: trio.testing.MockClock) -> None:
    async with flowing(ask_seconds=10.0) as flow:
        begin = trio.current_time()
        ident = flow.notify()
        response = await flow.listener.response(ident)
        assert 10 <= trio.current_time() - begin < 11

    assert response.error == -errno.EACCES
    assert flow.answered()[0].by == "timeout"
    assert flow.somebody.withdrawn == [1]
    assert flow.dispatcher.stats.timeouts == 1


@pytest.mark.parametrize(
    "said", [ValueError("no"), "yes", Answer(Allow(), "process")], ids=["raises", "no answer", "scope not offered"]
)
async def test_an_approver_that_fails_denies_and_is_told(autojump_clock: trio.testing.MockClock, said: Any) -> None:
    async with flowing() as flow:
        ident = flow.notify(process=0)
        flow.somebody.say(await flow.question(), said)
        response = await flow.listener.response(ident)

    assert response.error == -errno.EACCES
    assert flow.answered()[0].by == "error"
    assert [event.handler for event in flow.told if isinstance(event, monitor.HandlerFailed)] == ["the approver"]


async def test_an_interrupt_in_an_approver_ends_the_run(autojump_clock: trio.testing.MockClock) -> None:
    with pytest.raises(BaseExceptionGroup) as raised:
        async with flowing() as flow:
            ident = flow.notify()
            flow.somebody.say(await flow.question(), KeyboardInterrupt())
            await trio.sleep_forever()
    assert raised.group_contains(KeyboardInterrupt)
    assert (await flow.listener.response(ident)).error == -errno.EPERM


async def test_at_the_end_what_waits_is_denied(autojump_clock: trio.testing.MockClock) -> None:
    async with flowing() as flow:
        ident = flow.notify()
        await flow.question()

    assert (await flow.listener.response(ident)).error == -errno.EPERM
    assert flow.somebody.withdrawn == [1]


async def test_a_handler_that_looked_cannot_have_its_look_allowed(autojump_clock: trio.testing.MockClock) -> None:
    """The kernel would read again what the handler has read."""

    def look(call: Call) -> monitor.Verdict:
        call.read("pathname")
        return monitor.Pass()

    async with flowing(None, Handler.of("mkdir", look)) as flow:
        ident = flow.notify("mkdir", pathname=b"/x")
        flow.somebody.say(await flow.question(), once(Allow()))
        response = await flow.listener.response(ident)

    assert response.error == -errno.EPERM
    assert any(isinstance(event, monitor.RacyAllow) for event in flow.told)


# ---- for how much an answer holds ----


SAME: dict[str, Any] = {"process": 1, "exe": b"/bin/sh"}
OTHER_PROCESS: dict[str, Any] = {"process": 2, "exe": b"/bin/sh"}
OTHER_PROGRAM: dict[str, Any] = {"process": 2, "exe": b"/bin/cat"}
EXECED: dict[str, Any] = {"process": 1, "exe": b"/bin/cat"}


@pytest.mark.parametrize(
    ("scope", "held", "asked_again"),
    [
        ("once", [], [SAME, OTHER_PROCESS, OTHER_PROGRAM]),
        ("process", [SAME], [OTHER_PROCESS, OTHER_PROGRAM, EXECED]),
        ("program", [SAME, OTHER_PROCESS], [OTHER_PROGRAM, EXECED]),
        ("run", [SAME, OTHER_PROCESS, OTHER_PROGRAM], []),
        ("always", [SAME, OTHER_PROCESS], [OTHER_PROGRAM]),  # the grant itself is the policy's
    ],
)
async def test_an_answer_holds_for_its_scope_and_no_more(
    autojump_clock: trio.testing.MockClock, scope: Any, held: list[dict[str, Any]], asked_again: list[dict[str, Any]]
) -> None:
    async with flowing() as flow:
        ident = flow.notify(**SAME)
        flow.somebody.say(await flow.question(), Answer(Return(5) if scope != "always" else Allow(), scope))
        await flow.listener.response(ident)
        for asker in held:
            response = await flow.listener.response(flow.notify(**asker))
            assert response.continues if scope == "always" else response.value == 5
        assert flow.somebody.has_no_question()
        for asker in asked_again:
            ident = flow.notify(**asker)
            flow.somebody.say(await flow.question(), once(Return(6)))
            assert (await flow.listener.response(ident)).value == 6


@pytest.mark.parametrize(
    "other",
    [
        {"domain": 3, "type": 1, "protocol": 0},
        {"domain": 2, "type": 2, "protocol": 0},
        {"domain": 2, "type": 1, "protocol": 1},
    ],
    ids=str,
)
async def test_other_values_are_another_question(autojump_clock: trio.testing.MockClock, other: dict[str, Any]) -> None:
    async with flowing() as flow:
        ident = flow.notify(domain=2, type=1, protocol=0)
        flow.somebody.say(await flow.question(), Answer(Allow(), "run"))
        await flow.listener.response(ident)
        flow.notify(**other)

        assert (await flow.question()).number == 2


async def test_the_number_of_a_descriptor_makes_no_other_question(autojump_clock: trio.testing.MockClock) -> None:
    async with flowing() as flow:
        ident = flow.notify("fchmod", fd=3, mode=0o600)
        flow.somebody.say(await flow.question(), Answer(Allow(), "run"))
        await flow.listener.response(ident)
        assert (await flow.listener.response(flow.notify("fchmod", fd=9, mode=0o600))).continues
        flow.notify("fchmod", fd=3, mode=0o666)

        assert (await flow.question()).number == 2


async def test_another_rule_or_name_or_class_is_another_question(autojump_clock: trio.testing.MockClock) -> None:
    async with flowing() as flow:
        for number, about in enumerate(
            [
                (About(RULE, "read", b"/a"),),
                (About(RULE, "read", b"/b"),),
                (About(RULE, "write", b"/a"),),
                (About(RULE, "read", b"/a"), About(RULE, "write", b"/a")),
                (About(RULE),),
                (About(Origin("agent.toml", line=13)),),
            ],
            start=1,
        ):
            flow.judge.about = about
            ident = flow.notify()
            question = await flow.question()
            assert question.number == number
            flow.somebody.say(question, Answer(Allow(), "run"))
            await flow.listener.response(ident)


async def test_a_grant_says_what_was_answered(autojump_clock: trio.testing.MockClock) -> None:
    mine = Grant(call="socket", verdict="allow", why="mine")
    async with flowing() as flow:
        for domain, answer in enumerate(
            [
                Answer(Allow(), "always"),
                Answer(Deny(errno.ENOENT), "always", why="not this"),
                Answer(Allow(), "always", mine),
            ]
        ):
            ident = flow.notify(domain=domain, type=1, protocol=0)
            flow.somebody.say(await flow.question(), answer)
            await flow.listener.response(ident)
        await trio.testing.wait_all_tasks_blocked()

    assert flow.written == [
        attrs.evolve(GRANT, why=f"why {RULE} asks"),
        Grant(call="socket", verdict="deny", errno=errno.ENOENT, why="not this"),
        mine,
    ]


async def test_nobody_runs_on_before_the_grant_is_written(autojump_clock: trio.testing.MockClock) -> None:
    async with flowing() as flow:
        flow.writing = trio.Event()
        ident = flow.notify()
        flow.somebody.say(await flow.question(), Answer(Allow(), "always"))
        await trio.testing.wait_all_tasks_blocked()
        with trio.move_on_after(100) as waiting:
            await flow.listener.response(ident)
        assert (waiting.cancelled_caught, flow.written) == (True, [])
        flow.writing.set()
        await flow.listener.response(ident)

    assert len(flow.written) == 1


# ---- equal questions are asked once ----


async def test_equal_questions_are_asked_once_and_all_get_the_answer(autojump_clock: trio.testing.MockClock) -> None:
    async with flowing() as flow:
        idents = [flow.notify(process=number) for number in range(1, 201)]
        question = await flow.question()
        await trio.testing.wait_all_tasks_blocked()
        assert flow.somebody.has_no_question()
        flow.somebody.say(question, once(Return(3)))
        responses = [await flow.listener.response(ident) for ident in idents]

    assert {response.value for response in responses} == {3}


async def test_equal_questions_of_other_programs_are_their_own(autojump_clock: trio.testing.MockClock) -> None:
    async with flowing() as flow:
        for exe in (b"/bin/a", b"/bin/b", b""):
            flow.notify(exe=exe)

        assert {(await flow.question()).exe for _ in range(3)} == {b"/bin/a", b"/bin/b", b""}


async def test_who_asked_first_may_go_and_the_others_are_answered(autojump_clock: trio.testing.MockClock) -> None:
    async with flowing() as flow:
        first, second = flow.notify(process=1), flow.notify(process=2)
        question = await flow.question()
        flow.listener.interrupt(first)
        await trio.sleep(2)
        flow.somebody.say(question, once(Return(4)))

        assert (await flow.listener.response(second)).value == 4
        assert flow.somebody.withdrawn == []


async def test_a_question_that_nobody_waits_for_is_withdrawn(autojump_clock: trio.testing.MockClock) -> None:
    async with flowing() as flow:
        ident = flow.notify()
        await flow.question()
        flow.listener.interrupt(ident)
        await trio.sleep(2)
        assert flow.somebody.withdrawn == [1]

        flow.notify()
        assert (await flow.question()).number == 2, "and is asked anew"


async def test_above_the_cap_it_fails_with_eagain_and_later_there_is_room(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with flowing() as flow:
        idents = [flow.notify(process=number) for number in range(1, MOST_WAITING + 1)]
        question = await flow.question()
        await trio.testing.wait_all_tasks_blocked()
        assert (await flow.listener.response(flow.notify(process=999))).error == -errno.EAGAIN
        flow.somebody.say(question, once(Return(0)))
        for ident in idents:
            await flow.listener.response(ident)
        flow.notify(process=999)
        assert (await flow.question()).number == 2


# ---- a policy that is replaced meanwhile ----


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda judge: setattr(judge, "allowed", True), Response(1, flags=1)),
        (lambda judge: setattr(judge, "refused", Deny(errno.EBUSY)), Response(1, error=-errno.EBUSY)),
    ],
    ids=["allows", "refuses"],
)
async def test_what_waits_is_decided_again(
    autojump_clock: trio.testing.MockClock, change: Callable[[AskingAboutAll], None], expected: Response
) -> None:
    async with flowing() as flow:
        ident = flow.notify()
        await flow.question()
        change(flow.judge)
        flow.dispatcher.replace(routes_of((), [Arch.X86_64]))
        response = await flow.listener.response(ident)

    assert (response.error, response.continues) == (expected.error, expected.continues)
    assert flow.somebody.withdrawn == [1]


async def test_what_still_has_to_be_asked_is_asked_again(autojump_clock: trio.testing.MockClock) -> None:
    async with flowing() as flow:
        ident = flow.notify()
        await flow.question()
        flow.judge.rule = Origin("agent.toml", line=99)
        flow.dispatcher.replace(routes_of((), [Arch.X86_64]))
        question = await flow.question()
        assert (question.number, question.about[0].rule.line) == (2, 99)
        flow.somebody.say(question, once(Allow()))

        assert (await flow.listener.response(ident)).continues


# ---- approvers made of others ----


async def test_a_chain_asks_until_somebody_answers(autojump_clock: trio.testing.MockClock) -> None:
    async def nothing(question: Question) -> Answer | None:
        return None

    async with flowing(chain(nothing, within(5, Somebody()), always_says(once(Return(8))))) as flow:
        begin = trio.current_time()
        assert (await flow.listener.response(flow.notify())).value == 8
        assert 5 <= trio.current_time() - begin < 6


def test_what_cannot_be_meant_cannot_be_made() -> None:
    for wrong in (
        lambda: Answer(monitor.Pass()),
        lambda: Answer(Return(1), "always"),
        lambda: Answer(Kill(), "always"),
        lambda: Answer(Allow(), "run", GRANT),
        lambda: Answer(Allow(racy="no")),
        lambda: Answer(Allow(), "for ever"),  # type: ignore[arg-type]
        lambda: always_says(Answer(Allow(), "process")),
        chain,
        lambda: within(0, Somebody()),
    ):
        with pytest.raises((TypeError, ValueError)):
            wrong()
