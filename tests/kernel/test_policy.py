"""A policy decides about a running program: what it refuses, what it leaves to handlers, what it only watches."""

from __future__ import annotations

import errno
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import trio

import monitor
from monitor.events.record import CallAnswered
from monitor.events.strace import call_text
from monitor.origin import Origin
from monitor.policy.action import Allow, Ask, Audit, Deny, Handle, KillProcess, Log, Return, Trap
from monitor.policy.model import Policy, Rule
from monitor.policy.text import loads


def policy(*rules: Rule, **rest: Any) -> Policy:
    return Policy("test", Allow(), rules=rules, **rest)


def rule(action: Any, *names: str, line: int = 1, **rest: Any) -> Rule:
    return Rule(names, action, origin=Origin("test.toml", line), **rest)


class Ran:
    """A program that has ended, and what was told of it."""

    def __init__(self, status: int, output: str, told: Sequence[monitor.Event], stats: monitor.Stats) -> None:
        self.status = status
        self.output = output
        self.calls = [event for event in told if isinstance(event, CallAnswered)]
        self.stats = stats

    def lines(self) -> list[str]:
        """Return what a person would read, of what a policy had a part in."""
        return [call_text(call) for call in self.calls if call.by == "policy" and call.rule is not None and call.told]


async def ran(script: str, given: Policy, **options: Any) -> Ran:
    told: list[monitor.Event] = []
    launch = monitor.Launch(["sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    async with monitor.supervise(launch, policy=given, events=told.append, **options) as run:
        output = b"".join([chunk async for chunk in run.stdout]).decode()
        status = await run.wait()
    return Ran(status, output, told, run.stats)


# ---- what it refuses ----


async def test_what_a_policy_refuses_costs_no_notification(tmp_path: Path) -> None:
    done = await ran(f"mkdir {tmp_path}/made", policy(rule(Deny(errno.EBUSY), "mkdir")))

    assert done.status == 1
    assert "Device or resource busy" in done.output
    assert done.stats.received == 0
    assert not (tmp_path / "made").exists()


async def test_what_is_refused_mutably_is_refused_by_us_with_the_rule(tmp_path: Path) -> None:
    done = await ran(f"mkdir {tmp_path}/made", policy(rule(Deny(errno.EBUSY), "mkdir", line=7, mutable=True)))

    assert done.lines() == [
        f'mkdir("{tmp_path}/made", 0777) = -1 EBUSY (Device or resource busy) <denied: test.toml:7>'
    ]
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("mutable", [False, True])
async def test_no_handler_lifts_what_a_policy_refuses(tmp_path: Path, mutable: bool) -> None:
    @monitor.handles("mkdir")
    def lift(_call: monitor.Call) -> monitor.Verdict:
        return monitor.Allow()

    done = await ran(f"mkdir {tmp_path}/made", policy(rule(Deny(), "mkdir", mutable=mutable)), handlers=[lift])

    assert done.status == 1
    assert not (tmp_path / "made").exists()


async def test_a_handler_may_refuse_what_a_policy_allows(tmp_path: Path) -> None:
    @monitor.handles("mkdir")
    def refuse(_call: monitor.Call) -> monitor.Verdict:
        return monitor.Deny(errno.EXDEV)

    done = await ran(f"mkdir {tmp_path}/made", policy(rule(Allow(), "mkdir")), handlers=[refuse])

    assert "cross-device" in done.output


@pytest.mark.parametrize(
    ("action", "status"),
    [
        (KillProcess(), 128 + signal.SIGSYS),
        (Trap(), 128 + signal.SIGSYS),
        (Return(0), 0),
        (Return(5), 1),
        (Ask(errno.EROFS), 1),
        (Audit(), 0),
        (Log(), 0),
    ],
)
async def test_each_action_has_its_effect(tmp_path: Path, action: Any, status: int) -> None:
    done = await ran(f"exec mkdir {tmp_path}/made", policy(rule(action, "mkdir")))

    assert done.status == status
    assert (tmp_path / "made").exists() is isinstance(action, Audit | Log)


async def test_what_is_logged_runs_and_is_told_with_its_rule(tmp_path: Path) -> None:
    done = await ran(f"mkdir {tmp_path}/made", policy(rule(Log(), "mkdir", line=3)))

    assert done.status == 0
    assert done.lines() == [f'mkdir("{tmp_path}/made", 0777) = ? <allowed: test.toml:3>']


async def test_an_ask_without_anybody_to_ask_is_a_recorded_denial(tmp_path: Path) -> None:
    done = await ran(f"mkdir {tmp_path}/made", policy(rule(Ask(errno.EROFS), "mkdir", line=4)))

    assert done.lines() == [f'mkdir("{tmp_path}/made", 0777) = -1 EROFS (Read-only file system) <denied: test.toml:4>']


async def test_a_layer_can_only_tighten(tmp_path: Path) -> None:
    beneath = policy(rule(Deny(errno.EBUSY), "mkdir"))
    done = await ran(f"mkdir {tmp_path}/made", policy(rule(Allow(), "mkdir"), includes=[beneath]))

    assert "busy" in done.output


# ---- handlers that rules name ----


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_rule_gives_its_call_to_a_handler_with_parameters(tmp_path: Path, asynchronous: bool) -> None:
    def decide(call: monitor.Call, *, word: str) -> monitor.Verdict:
        return monitor.Deny(errno.EXDEV) if call.read("pathname").endswith(word.encode()) else monitor.Return(0)

    async def later(call: monitor.Call, *, word: str) -> monitor.Verdict:
        return decide(call, word=word)

    function: Any = later if asynchronous else decide
    handler = monitor.Handler.of("getpgrp", function, name="guard")
    given = policy(rule(Handle("guard", {"word": "secret"}), "mkdir"))
    done = await ran(f"mkdir {tmp_path}/secret; mkdir {tmp_path}/other; ls {tmp_path}", given, handlers=[handler])

    assert "cross-device" in done.output
    assert list(tmp_path.iterdir()) == []
    assert done.stats.failures == 0


async def test_a_rule_that_names_no_handler_is_an_error_with_its_place() -> None:
    with pytest.raises(monitor.PolicyError, match=r"test\.toml:9.*no handler is called 'guard'"):
        await ran("true", policy(rule(Handle("guard"), "mkdir", line=9)))


# ---- observing ----


async def test_an_observed_policy_refuses_nothing_and_says_what_it_would(tmp_path: Path) -> None:
    given = policy(
        rule(Deny(errno.EBUSY), "mkdir", line=2),
        rule(KillProcess(), "rmdir", line=3),
        rule(Return(7), "sync", line=4),
    )
    script = f"mkdir {tmp_path}/made && rmdir {tmp_path}/made && sync && echo done"
    done = await ran(script, given, observe=True, strict=False)

    assert (done.status, done.output) == (0, "done\n")
    assert done.lines() == [
        f'mkdir("{tmp_path}/made", 0777) = ? <observed: would deny with EBUSY: test.toml:2>',
        f'rmdir("{tmp_path}/made") = ? <observed: would kill with SIGKILL: test.toml:3>',
        "sync() = ? <observed: would return 7: test.toml:4>",
    ]


async def test_observing_refuses_nothing_even_after_a_look_and_strict(tmp_path: Path) -> None:
    """Strict refuses to continue after a look; who observes has asked for no refusal at all."""
    seen = []

    @monitor.handles("mkdir")
    def looks(call: monitor.Call) -> monitor.Verdict:
        seen.append(str(call))
        return monitor.Pass()

    given = policy(rule(Handle("looks"), "mkdir"), rule(Deny(errno.EBUSY), "rmdir"))
    done = await ran(f"mkdir {tmp_path}/made && rmdir {tmp_path}/made", given, handlers=[looks], observe=True)

    assert done.status == 0
    assert seen == [f'mkdir("{tmp_path}/made", 0777)']


async def test_a_default_that_refuses_is_observed_by_name() -> None:
    shut = Policy("shut", Deny(), rules=[rule(Allow(), "all", "!mkdir")])
    done = await ran("mkdir /proc/made", shut, observe=True, strict=False)

    assert done.lines() == ['mkdir("/proc/made", 0777) = ? <observed: would deny with EPERM: shut (default)>']


async def test_observing_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="give a policy"):
        monitor.supervise(["true"], observe=True)


async def test_a_table_that_is_not_enforced_is_an_error() -> None:
    given = loads('[policy]\nversion = 1\nname = "net"\n[network]\nconnect = ["tcp://127.0.0.1:*"]\n')
    with pytest.raises(monitor.PolicyError, match=r"\[network\] is not enforced by this version"):
        await ran("true", given)


# ---- replacing ----


ASKS = """
    while read -r word; do mkdir "$word" 2>/dev/null && echo made || echo refused; done
"""


async def test_a_mutable_rule_can_be_replaced_while_the_program_runs(tmp_path: Path) -> None:
    shut = policy(rule(Deny(), "mkdir", mutable=True))
    launch = monitor.Launch(["sh", "-c", ASKS], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    async with monitor.supervise(launch, policy=shut) as run:
        answers: list[bytes] = []
        for given in (shut, policy(), shut):
            changed = run.replace_policy(given)
            assert run.policy is given
            await run.stdin.send_all(f"{len(answers)}\n".encode())
            answers.append(await run.stdout.receive_some(20))
            if answers[1:]:
                assert changed == ("i386 mkdir", "mkdir", "x32 mkdir")
        await run.stdin.aclose()
        await run.wait()

    assert answers == [b"refused\n", b"made\n", b"refused\n"]


async def test_what_the_installed_program_decides_alone_cannot_be_replaced() -> None:
    first = policy(rule(Deny(), "mkdir"), rule(Deny(), "rmdir", mutable=True))
    async with monitor.supervise(["sleep", "30"], policy=first) as run:
        with pytest.raises(monitor.PolicyNotLoosenable) as caught:
            run.replace_policy(policy(rule(Deny(), "sync")))

        assert caught.value.calls == tuple(
            sorted(["mkdir", "sync", "i386 mkdir", "i386 sync", "x32 mkdir", "x32 sync"])
        )
        assert run.policy is first
        assert run.replace_policy(policy(rule(Deny(), "mkdir"))) == ("i386 rmdir", "rmdir", "x32 rmdir")


async def test_the_same_policy_in_other_words_changes_nothing() -> None:
    first = policy(rule(Deny(), "mkdir", "rmdir"))
    second = policy(rule(Deny(), "mkdir", line=5), rule(Deny(), "rmdir", line=6))
    async with monitor.supervise(["true"], policy=first) as run:
        assert run.replace_policy(second) == ()
        assert run.policy is second


async def test_calls_that_wait_are_decided_again(tmp_path: Path) -> None:
    """The handler still thinks about the call that the new policy refuses."""
    asked = trio.Event()

    @monitor.handles("mkdir")
    async def think(_call: monitor.Call) -> monitor.Verdict:
        asked.set()
        await trio.sleep_forever()
        raise AssertionError

    launch = monitor.Launch(["mkdir", str(tmp_path / "made")], stderr=subprocess.DEVNULL)
    open_one = policy(rule(Log(), "mkdir", mutable=True))
    async with monitor.supervise(launch, policy=open_one, handlers=[think]) as run:
        await asked.wait()
        run.replace_policy(policy(rule(Deny(errno.EBUSY), "mkdir")))
        assert await run.wait() == 1

    (refused,) = run.denials
    assert (refused.verdict, refused.by) == (monitor.Deny(errno.EBUSY), "policy")


async def test_without_a_policy_there_is_nothing_to_replace() -> None:
    async with monitor.supervise(["true"]) as run:
        assert run.policy is None
        with pytest.raises(RuntimeError, match="without a policy"):
            run.replace_policy(policy())
