"""What a policy asks about a running program is asked, and what was allowed is what is done."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import trio

import monitor
from monitor import Allow, Answer, Deny, Question, Return
from monitor.events.strace import call_text
from monitor.policy.model import Policy
from monitor.policy.text import loads

HEAD = """
[policy]
version = 1
name = "asking"
known-as-of = "6.1"
"""

FILES = """
[files]
read = ["/usr", "/etc", "/proc", "/lib", "/lib64", "/bin"]
write = ["/dev"]
exec = "unverified"
unix = "unmediated"
"""


class Somebody:
    """Answers by the questions' order, and then always as the last time."""

    def __init__(self, *answers: Answer | None) -> None:
        self.answers = list(answers)
        self.questions: list[Question] = []

    async def __call__(self, question: Question) -> Answer | None:
        await trio.lowlevel.checkpoint()
        self.questions.append(question)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def about(self) -> Sequence[set[tuple[str, bytes | None]]]:
        return [{(one.access, one.path) for one in question.about} for question in self.questions]


class Ran:
    def __init__(self, status: int, output: str, told: Sequence[monitor.Event], stats: monitor.Stats) -> None:
        self.status = status
        self.output = output
        self.calls = [event for event in told if isinstance(event, monitor.CallAnswered) and event.told]
        self.stats = stats


async def ran(argv: Sequence[str], policy: Policy, approver: monitor.Approver | None, **options: Any) -> Ran:
    told: list[monitor.Event] = []
    launch = monitor.Launch(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    async with monitor.supervise(launch, policy=policy, approver=approver, events=told.append, **options) as run:
        output = b"".join([chunk async for chunk in run.stdout]).decode()
        status = await run.wait()
    return Ran(status, output, told, run.stats)


@pytest.fixture
def place(public_directory: Path) -> Path:
    """A directory that is asked about; a file in it."""
    directory = Path(os.path.realpath(public_directory)) / f"asked-{os.urandom(4).hex()}"
    directory.mkdir()
    (directory / "secret").write_text("told\n")
    return directory


def asking_about(place: Path, rest: str = "") -> Policy:
    return loads(f'{HEAD}{FILES}ask = ["{place}"]\n{rest}')


# ---- registers ----


@pytest.mark.parametrize(
    ("answer", "status"), [(Answer(Allow()), 0), (Answer(Deny(errno.ENOENT)), 1), (None, 1)], ids=str
)
async def test_what_a_rule_asks_runs_if_it_is_allowed(answer: Answer | None, status: int) -> None:
    policy = loads(HEAD + '[[syscalls]]\nnames = ["socket"]\naction = "ask"\nerrno = "EMFILE"\n')
    somebody = Somebody(answer)
    done = await ran(["/usr/bin/python3", "-c", "import socket; socket.socket()"], policy, somebody)

    assert done.status == status
    assert len(somebody.questions) == 1
    question = somebody.questions[0]
    python = os.fsencode(os.path.realpath("/usr/bin/python3"))
    assert (question.call, question.exe, question.emulated) == ("socket", python, False)
    (call,) = [call for call in done.calls if call.name == "socket"]
    assert (call.by, call.scope) == (("user", "once") if answer else ("policy", ""))
    if answer is None:
        assert call.verdict == Deny(errno.EMFILE)


async def test_without_anybody_to_ask_it_is_denied_at_once(place: Path) -> None:
    policy = asking_about(place, '[[syscalls]]\nnames = ["socket"]\naction = "ask"\n')
    done = await ran(["cat", f"{place}/secret"], policy, None)

    assert done.status == 1
    assert "Permission denied" in done.output


async def test_a_name_that_is_swapped_is_the_one_that_was_asked_about(
    compiled: Callable[..., str], place: Path
) -> None:
    """A rule asks about mkdir, and no table about names: what is shown is still what is made."""
    policy = loads(HEAD + '[[syscalls]]\nnames = ["mkdir"]\naction = "ask"\n')
    target = compiled("q_swap")
    for number in range(20):
        asked: list[Question] = []

        async def approver(question: Question, asked: list[Question] = asked) -> Answer:
            asked.append(question)
            await trio.sleep(0.005)
            return Answer(Allow())

        names = [place / f"{word}-{number}" for word in ("one", "two")]
        done = await ran([target, *map(str, names)], policy, approver)

        assert done.output == "0\n"
        assert asked[0].emulated
        made = [name for name in names if name.exists()]
        (call,) = [call for call in done.calls if call.name == "mkdir"]
        assert call.result == 0
        assert len(made) == 1
        assert asked[0].about[0].path == os.fsencode(made[0])


# ---- names ----


async def test_a_file_that_is_asked_about_is_opened_if_it_is_allowed(place: Path) -> None:
    somebody = Somebody(Answer(Allow()))
    done = await ran(["cat", f"{place}/secret"], asking_about(place), somebody)

    assert (done.status, done.output) == (0, "told\n")
    assert somebody.about() == [{("read", os.fsencode(place / "secret"))}]
    assert somebody.questions[0].emulated
    assert [call_text(call) for call in done.calls] == [
        f'openat(AT_FDCWD, "{place}/secret", O_RDONLY) = 3 <asked: once>'
    ]


@pytest.mark.parametrize(
    ("answer", "said"),
    [(Answer(Deny(errno.ENOENT)), "No such file"), (None, "Permission denied"), (Answer(Return(0)), "")],
    ids=str,
)
async def test_what_is_not_allowed_is_not_opened(place: Path, answer: Answer | None, said: str) -> None:
    done = await ran(["cat", f"{place}/secret"], asking_about(place), Somebody(answer))

    assert "told" not in done.output
    assert said in done.output


async def test_each_class_of_a_call_is_in_the_question(place: Path) -> None:
    somebody = Somebody(Answer(Allow()))
    done = await ran(["sh", "-c", f"echo new >{place}/made; exec 3<>{place}/secret"], asking_about(place), somebody)

    made, secret = os.fsencode(place / "made"), os.fsencode(place / "secret")
    assert done.status == 0
    assert somebody.about() == [{("create", made), ("write", made)}, {("read", secret), ("write", secret)}]
    assert (place / "made").read_text() == "new\n"


async def test_both_names_of_a_rename_are_in_one_question(place: Path) -> None:
    somebody = Somebody(Answer(Allow()))
    code = f"import os; os.rename('{place}/secret', '{place}/other')"
    done = await ran(["/usr/bin/python3", "-c", code], asking_about(place), somebody)

    assert done.status == 0
    assert {path for _, path in somebody.about()[-1]} == {os.fsencode(place / "secret"), os.fsencode(place / "other")}
    assert (place / "other").exists()


async def test_what_is_refused_on_one_side_is_not_asked_on_the_other(place: Path) -> None:
    somebody = Somebody(Answer(Allow()))
    code = f"import os; os.rename('{place}/secret', '/etc/secret-{place.name}')"
    done = await ran(["/usr/bin/python3", "-c", code], asking_about(place), somebody)

    assert "Permission denied" in done.output
    assert not any(question.call.startswith("rename") for question in somebody.questions)


async def test_a_rule_and_a_table_ask_together(place: Path) -> None:
    somebody = Somebody(Answer(Allow()))
    policy = asking_about(place, '[[syscalls]]\nnames = ["mkdir"]\naction = "ask"\n')
    done = await ran(["mkdir", f"{place}/made"], policy, somebody)

    made = os.fsencode(place / "made")
    assert done.status == 0
    assert somebody.about()[-1] == {("", made), ("mkdir", made)}


async def test_an_answer_for_the_run_is_asked_once(place: Path) -> None:
    somebody = Somebody(Answer(Allow(), "run"))
    done = await ran(["sh", "-c", f"for i in 1 2 3; do cat {place}/secret; done"], asking_about(place), somebody)

    assert done.output == "told\n" * 3
    assert len(somebody.questions) == 1
    assert done.stats.asked == 3


async def test_what_a_handler_would_have_done_is_asked_all_the_same(place: Path) -> None:
    def do_it(call: monitor.Call) -> monitor.Verdict:
        return call.emulate()

    somebody = Somebody(Answer(Deny(errno.EROFS)))
    handler = monitor.Handler.of("mkdir", do_it)
    done = await ran(["mkdir", f"{place}/made"], asking_about(place), somebody, handlers=[handler])

    assert "Read-only file system" in done.output
    assert not (place / "made").exists()


async def test_a_handler_may_answer_what_would_be_asked(place: Path) -> None:
    somebody = Somebody(Answer(Allow()))
    handler = monitor.Handler.of("mkdir", lambda call: Deny(errno.EROFS))
    done = await ran(["mkdir", f"{place}/made"], asking_about(place), somebody, handlers=[handler])

    assert "Read-only file system" in done.output
    assert not any(question.call == "mkdir" for question in somebody.questions)


async def test_what_changes_while_somebody_thinks_is_asked_anew(place: Path) -> None:
    """The file is there when somebody allows to make it: that is another question."""
    asked: list[Question] = []

    async def approver(question: Question) -> Answer:
        asked.append(question)
        await trio.lowlevel.checkpoint()
        if len(asked) == 1:
            (place / "made").write_text("theirs\n")
        return Answer(Allow())

    done = await ran(["sh", "-c", f"echo new >{place}/made"], asking_about(place), approver)

    made = os.fsencode(place / "made")
    assert done.status == 0
    assert [{one.access for one in question.about} for question in asked] == [
        {"create", "write"},
        {"truncate", "write"},
    ]
    assert {one.path for question in asked for one in question.about} == {made}


# ---- a program that does not wait ----


async def test_a_question_ends_with_its_program(place: Path) -> None:
    withdrawn = trio.Event()
    pids: list[int] = []

    async def approver(question: Question) -> Answer | None:
        pids.append(question.pid)
        os.kill(question.pid, signal.SIGKILL)
        try:
            await trio.sleep_forever()
        finally:
            withdrawn.set()

    done = await ran(["cat", f"{place}/secret"], asking_about(place), approver)

    assert done.status == 128 + signal.SIGKILL
    assert withdrawn.is_set()


async def test_others_run_on_while_somebody_thinks(place: Path) -> None:
    order: list[str] = []

    async def approver(question: Question) -> Answer:
        while not (place / "later").exists():  # made by the other one
            await trio.sleep(0.01)
        order.append("answered")
        return Answer(Allow())

    given = loads(
        HEAD + FILES.replace('write = ["/dev"]', f'write = ["/dev", "{place}"]') + f'ask = ["{place}/secret"]\n'
    )
    done = await ran(["sh", "-c", f"cat {place}/secret & touch {place}/later; wait"], given, approver)

    assert (done.status, done.output, order) == (0, "told\n", ["answered"])
