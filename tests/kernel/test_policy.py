"""A policy decides about a running program: what it refuses, what it leaves to handlers, what it only watches."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import trio

import monitor
from monitor.events.record import CallAnswered
from monitor.events.strace import call_text
from monitor.notify.handler import no_opinion
from monitor.origin import Origin
from monitor.policy.action import Allow, Ask, Audit, Deny, Handle, KillProcess, KillThread, Log, Return, Trace, Trap
from monitor.policy.expression import Expression
from monitor.policy.formats import oci
from monitor.policy.model import Policy, Rule
from monitor.policy.text import loads
from tests.conftest import require


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


@pytest.mark.parametrize(
    ("action", "status", "told"),
    [(Ask(errno.EROFS), 0, False), (Audit(), 0, True), (Log(), 0, True), (Trace(), 1, True)],
)
async def test_what_becomes_of_an_action_where_a_handler_wants_to_see_the_call(
    tmp_path: Path, action: Any, status: int, told: bool
) -> None:
    """A handler that allows answers what is asked; what it leaves open is as without it, but for the kernel's log."""

    @monitor.handles("mkdir")
    def sees(_call: monitor.Call) -> monitor.Verdict:
        return monitor.Allow() if isinstance(action, Ask) else monitor.Pass()

    done = await ran(f"mkdir {tmp_path}/made", policy(rule(action, "mkdir")), handlers=[sees])

    assert done.status == status
    assert bool(done.lines()) is told


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


async def test_a_handler_that_names_the_call_itself_has_the_parameters_of_the_rule(tmp_path: Path) -> None:
    """As people write it: the function is marked for the call that the rule gives to it."""

    @monitor.handles("mkdir", name="guard")
    def decide(call: monitor.Call, *, word: str = "") -> monitor.Verdict:
        return monitor.Deny(errno.EXDEV) if word and word.encode() in call.read("pathname") else monitor.Return(0)

    given = policy(rule(Handle("guard", {"word": "secret"}), "mkdir"))
    done = await ran(f"mkdir {tmp_path}/secret && echo made", given, handlers=[decide])

    assert "cross-device" in done.output
    assert done.stats.failures == 0


async def test_a_handler_that_names_calls_itself_decides_those_that_no_rule_gives_it_without_parameters(
    tmp_path: Path,
) -> None:
    words: list[tuple[str, str]] = []

    @monitor.handles("mkdir", "rmdir", name="guard")
    def decide(call: monitor.Call, *, word: str = "none") -> monitor.Verdict:
        words.append((call.name, word))
        return monitor.Pass()

    given = policy(rule(Handle("guard", {"word": "given"}), "rmdir"))
    done = await ran(f"mkdir {tmp_path}/made && rmdir {tmp_path}/made", given, handlers=[decide])

    assert words == [("mkdir", "none"), ("rmdir", "given")]
    assert done.status == 1  # of rmdir: a call that is given to a handler, and of which it says nothing, is denied


async def test_of_layers_that_give_a_call_to_handlers_the_first_counts_and_the_others_are_not_asked(
    tmp_path: Path,
) -> None:
    asked: list[str] = []

    def handler(name: str, verdict: monitor.Verdict) -> monitor.Handler:
        def decide(_call: monitor.Call) -> monitor.Verdict:
            asked.append(name)
            return verdict

        return monitor.Handler.of("getpgrp", decide, name=name)

    handlers = [handler("first", monitor.Pass()), handler("second", monitor.Return(0))]
    beneath = policy(rule(Handle("second"), "mkdir"))
    given = policy(rule(Handle("first"), "mkdir", line=6), includes=[beneath])
    done = await ran(f"mkdir {tmp_path}/made", given, handlers=handlers)

    assert asked == ["first"]
    assert done.lines() == [
        f'mkdir("{tmp_path}/made", 0777) = -1 EPERM (Operation not permitted) <denied: test.toml:6>'
    ]


async def test_handlers_that_name_the_call_are_asked_before_the_one_that_a_rule_names(tmp_path: Path) -> None:
    asked: list[str] = []

    @monitor.handles("mkdir")
    def own(_call: monitor.Call) -> monitor.Verdict:
        asked.append("own")
        return monitor.Pass()

    def decide(_call: monitor.Call, *, value: int) -> monitor.Verdict:
        asked.append("named")
        return monitor.Return(value)

    named = monitor.Handler.of("getpgrp", decide, name="named")
    seen = monitor.Handler.of("mkdir", no_opinion, name="-e")
    given = policy(rule(Handle("named", {"value": 0}), "mkdir"))
    done = await ran(f"mkdir {tmp_path}/made", given, handlers=[named, seen, own])

    assert (done.status, asked) == (0, ["own", "named"])


async def test_a_stricter_layer_is_not_asked_of_a_handler(tmp_path: Path) -> None:
    def never(_call: monitor.Call) -> monitor.Verdict:
        raise AssertionError

    handlers = [monitor.Handler.of("getpgrp", never, name="never")]
    given = policy(rule(Handle("never"), "mkdir"), includes=[policy(rule(Ask(errno.EROFS), "mkdir"))])
    done = await ran(f"mkdir {tmp_path}/made", given, handlers=handlers)

    assert "Read-only file system" in done.output
    assert done.stats.failures == 0


async def test_a_default_may_give_every_call_to_a_handler() -> None:
    """Numbers without a name, too: the default is about them as well."""
    asked: list[int] = []

    def decide(call: monitor.Call, *, errno: int) -> monitor.Verdict:
        asked.append(call.nr)
        return monitor.Deny(errno) if call.name == "mkdir" or call.nr == 1000 else monitor.Allow()

    handlers = [monitor.Handler.of("getpgrp", decide, name="all-else")]
    given = Policy("test", Handle("all-else", {"errno": errno.EXDEV}))
    script = "import ctypes; print(ctypes.CDLL(None, use_errno=True).syscall(1000), ctypes.get_errno())"
    done = await ran(f"mkdir /proc/made; exec {sys.executable} -c '{script}'", given, handlers=handlers)

    assert "cross-device" in done.output
    assert f"-1 {errno.EXDEV}" in done.output


async def test_a_default_that_names_no_handler_is_an_error() -> None:
    with pytest.raises(monitor.PolicyError, match="no handler is called 'guard'"):
        await ran("true", Policy("test", Handle("guard")))


async def test_two_handlers_of_one_name_cannot_be_told_apart() -> None:
    handlers = [monitor.Handler.of("mkdir", lambda _call: monitor.Pass(), name="guard") for _ in range(2)]
    with pytest.raises(monitor.PolicyError, match=r"test\.toml:9.*more than one handler is called 'guard'"):
        await ran("true", policy(rule(Handle("guard"), "mkdir", line=9)), handlers=handlers)


async def test_parameters_that_a_handler_does_not_take_are_an_error_with_their_place() -> None:
    def decide(_call: monitor.Call, *, seed: int) -> monitor.Verdict:
        return monitor.Return(seed)

    handlers = [monitor.Handler.of("mkdir", decide, name="seeded")]
    with pytest.raises(monitor.PolicyError, match=r"test\.toml:9.*not made for these parameters: .*'seed'"):
        await ran("true", policy(rule(Handle("seeded", {"sed": 7}), "mkdir", line=9)), handlers=handlers)


@pytest.fixture
def program_of_i386(compiled: Any) -> Path:
    probe = subprocess.run(
        ["gcc", "-m32", "-static", "-nostdlib", "-x", "c", "-o", "/dev/null", "-"],
        input=b"void _start(void) {}",
        capture_output=True,
        check=False,
    )
    require("gcc -m32", probe.returncode == 0)
    return Path(compiled("k_i386", "-m32", "-static", "-nostdlib", "-ffreestanding"))


async def test_a_rule_gives_calls_of_other_abis_to_its_handler_too(tmp_path: Path, program_of_i386: Path) -> None:
    asked: list[tuple[str, monitor.Arch | None]] = []

    def decide(call: monitor.Call) -> monitor.Verdict:
        asked.append((call.name, call.arch))
        return monitor.Deny(errno.ENOSYS)

    handlers = [monitor.Handler.of("getpgrp", decide, name="guard")]
    done = await ran(
        f"cd {tmp_path}; exec {program_of_i386}", policy(rule(Handle("guard"), "mkdir")), handlers=handlers
    )

    assert done.status == 128 + signal.SIGILL  # as it says ENOSYS
    assert asked == [("mkdir", monitor.Arch.I386)]


async def test_a_policy_for_i386_alone_runs_a_program_of_i386(program_of_i386: Path) -> None:
    given = policy(rule(Deny(errno.ENOSYS), "mkdir"), arches=frozenset({monitor.Arch.I386}))
    async with monitor.supervise([program_of_i386], policy=given) as run:
        assert await run.wait() == 128 + signal.SIGILL


# ---- what cannot be run ----


@pytest.mark.parametrize("number", range(512, 517))
async def test_errnos_that_restart_a_call_are_refused_with_their_place(number: int) -> None:
    """What a filter does that returns one depends on signals: see test_kernel_facts_filter.py."""
    for given in (policy(rule(Deny(number), "mkdir", line=9)), policy(rule(Ask(number), "mkdir", line=9))):
        with pytest.raises(monitor.PolicyError, match=rf"test\.toml:9: errno {number} restarts a call"):
            await ran("true", given)


async def test_the_errnos_of_a_foreign_profile_are_refused_by_name(tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    profile.write_text(
        '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls":'
        ' [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 512}]}'
    )
    with pytest.raises(monitor.PolicyError, match=r"profile\.json.*syscalls\[0\].*errno 512 restarts a call"):
        await ran("true", oci.load(profile).policy, observe=True)


@pytest.mark.parametrize("action", [KillThread(), Trap(), Trace(), Audit()])
def test_what_only_a_filter_does_cannot_be_mutable(action: Any) -> None:
    with pytest.raises(monitor.PolicyError, match=r"test\.toml:1: '.*' cannot be mutable"):
        rule(action, "mkdir", mutable=True)


# ---- refusals that are notified ----


async def test_refusals_can_be_notified_so_that_they_are_told_and_counted(tmp_path: Path) -> None:
    given = policy(rule(Deny(errno.EBUSY), "mkdir", line=7), rule(KillProcess(), "rmdir", line=8))
    done = await ran(f"mkdir {tmp_path}/made; rmdir {tmp_path}; true", given, notify_refusals=True)

    assert done.lines() == [
        f'mkdir("{tmp_path}/made", 0777) = -1 EBUSY (Device or resource busy) <denied: test.toml:7>',
        f'rmdir("{tmp_path}") = ? <killed with SIGKILL: test.toml:8>',
    ]
    assert (done.stats.denied, done.stats.killed) == (1, 1)


async def test_what_is_not_there_is_no_refusal_to_tell_of(tmp_path: Path) -> None:
    given = policy(rule(Deny(errno.ENOSYS), "mkdir"), rule(Trap(), "rmdir"))
    done = await ran(f"mkdir {tmp_path}/made; rmdir {tmp_path}; true", given, notify_refusals=True)

    assert "Function not implemented" in done.output
    assert done.stats.received == 0


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
        f'rmdir("{tmp_path}/made") = ? <observed: would kill the process: test.toml:3>',
        "sync() = ? <observed: would return 7: test.toml:4>",
    ]


@pytest.mark.parametrize(
    ("action", "intention"),
    [
        (KillProcess(), "kill the process"),
        (KillThread(), "kill the thread"),
        (Trap(3), "trap with SIGSYS"),
        (Deny(errno.EROFS), "deny with EROFS"),
        (Deny(0), "return 0"),
        (Return(7), "return 7"),
        (Ask(errno.EROFS), "ask, without an answer deny with EROFS"),
        (Trace(5), "tell a tracer, without one deny with ENOSYS"),
        (Audit(), None),
        (Log(), None),
        (Allow(), None),
    ],
)
async def test_each_action_is_observed_as_what_it_does(tmp_path: Path, action: Any, intention: str | None) -> None:
    done = await ran(f"exec mkdir {tmp_path}/made", policy(rule(action, "mkdir")), observe=True)

    assert done.status == 0
    assert [line.partition("<observed: ")[2] for line in done.lines() if "<observed: " in line] == (
        [] if intention is None else [f"would {intention}: test.toml:1>"]
    )


async def test_observing_refuses_nothing_even_after_a_look_and_strict(tmp_path: Path) -> None:
    """Strict refuses to continue after a look; who observes has asked for no refusal at all."""
    seen: list[str] = []

    @monitor.handles("mkdir")
    def looks(call: monitor.Call) -> monitor.Verdict:
        seen.append(str(call))
        return monitor.Pass()

    given = policy(rule(Handle("looks"), "mkdir"), rule(Deny(errno.EBUSY), "rmdir"))
    done = await ran(f"mkdir {tmp_path}/made && rmdir {tmp_path}/made", given, handlers=[looks], observe=True)

    assert done.status == 0
    assert seen == [f'mkdir("{tmp_path}/made", 0777)']


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize(
    ("answer", "intention"),
    [
        (lambda: monitor.Deny(errno.EXDEV), "deny with EXDEV"),
        (monitor.Kill, "kill the process"),
        (lambda: monitor.Return(3), "return 3"),
        (lambda: monitor.InjectFd(os.open("/", os.O_RDONLY), close_on_exec=True), "inject a descriptor"),
        (monitor.Pass, "deny with EPERM"),
        (monitor.Allow, None),
    ],
)
async def test_what_a_rule_s_handler_says_is_observed_and_not_done(
    tmp_path: Path, answer: Any, intention: str | None, asynchronous: bool
) -> None:
    """Also where it has looked at memory, after which nobody may allow."""

    def decide(call: monitor.Call) -> monitor.Verdict:
        call.read("pathname")
        return answer()

    async def later(call: monitor.Call) -> monitor.Verdict:
        return decide(call)

    handlers = [monitor.Handler.of("getpgrp", later if asynchronous else decide, name="guard")]
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    done = await ran(
        f"exec mkdir {tmp_path}/made", policy(rule(Handle("guard"), "mkdir")), handlers=handlers, observe=True
    )

    assert done.status == 0
    assert (tmp_path / "made").exists()
    assert [line.partition("<observed: ")[2] for line in done.lines()] == (
        [] if intention is None else [f"would {intention}: test.toml:1>"]
    )
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


async def test_a_handler_that_names_the_call_itself_decides_in_earnest_while_a_policy_is_observed(
    tmp_path: Path,
) -> None:
    @monitor.handles("mkdir")
    def refuse(_call: monitor.Call) -> monitor.Verdict:
        return monitor.Deny(errno.EXDEV)

    done = await ran(f"mkdir {tmp_path}/made", policy(), handlers=[refuse], observe=True)

    assert "cross-device" in done.output


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


async def test_a_replacement_that_names_a_handler_that_is_not_there_changes_nothing(tmp_path: Path) -> None:
    first = policy(rule(Deny(errno.EBUSY), "mkdir", mutable=True))
    launch = monitor.Launch(["sh", "-c", ASKS], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    async with monitor.supervise(launch, policy=first) as run:
        with pytest.raises(monitor.PolicyError, match=r"test\.toml:9.*no handler is called 'guard'"):
            run.replace_policy(policy(rule(Handle("guard"), "mkdir", line=9)))
        assert run.policy is first
        await run.stdin.send_all(b"one\n")
        assert await run.stdout.receive_some(20) == b"refused\n"
        await run.stdin.aclose()
        await run.wait()
    assert [denied.verdict for denied in run.denials] == [monitor.Deny(errno.EBUSY)]


async def test_a_call_that_is_newly_given_to_a_handler_reaches_it_with_the_new_parameters(tmp_path: Path) -> None:
    def decide(_call: monitor.Call, *, value: int) -> monitor.Verdict:
        return monitor.Return(0) if value else monitor.Deny(errno.EXDEV)

    handlers = [monitor.Handler.of("getpgrp", decide, name="guard")]
    launch = monitor.Launch(["sh", "-c", ASKS], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    async with monitor.supervise(launch, policy=policy(rule(Log(), "mkdir")), handlers=handlers) as run:
        answers: list[bytes] = []
        for value in (1, 0, 1):
            run.replace_policy(policy(rule(Handle("guard", {"value": value}), "mkdir")))
            await run.stdin.send_all(b"made\n")
            answers.append(await run.stdout.receive_some(20))
        run.replace_policy(policy(rule(Log(), "mkdir")))
        await run.stdin.send_all(b"made\n")
        answers.append(await run.stdout.receive_some(20))
        await run.stdin.aclose()
        await run.wait()

    assert answers == [b"made\n", b"refused\n", b"made\n", b"made\n"]
    assert (tmp_path / "made").exists()  # by the last alone: the others were emulated


async def test_a_call_that_bpf_decides_cannot_be_given_to_a_handler() -> None:
    handlers = [monitor.Handler.of("getpgrp", lambda _call: monitor.Return(0), name="guard")]
    async with monitor.supervise(["sleep", "30"], policy=policy(), handlers=handlers) as run:
        with pytest.raises(monitor.PolicyNotLoosenable, match="mkdir"):
            run.replace_policy(policy(rule(Handle("guard"), "mkdir")))


async def test_what_other_abis_get_cannot_be_replaced_in_silence() -> None:
    async with monitor.supervise(["sleep", "30"], policy=policy()) as run:
        with pytest.raises(monitor.PolicyNotLoosenable, match="calls of other ABIs"):
            run.replace_policy(policy(other_arch="enosys"))


async def test_a_mutable_rule_with_a_condition_can_be_replaced(tmp_path: Path) -> None:
    shut = policy(rule(Deny(), "mkdir", when=Expression("mode == 0o777"), mutable=True))
    launch = monitor.Launch(["sh", "-c", ASKS], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    async with monitor.supervise(launch, policy=shut) as run:
        run.replace_policy(policy())
        await run.stdin.send_all(b"one\n")
        assert await run.stdout.receive_some(20) == b"made\n"
        await run.stdin.aclose()
        await run.wait()


async def test_a_call_that_waits_goes_to_the_handler_that_it_is_newly_given_to(tmp_path: Path) -> None:
    """Two replacements before the first handler notices: the last one counts."""
    asked: list[str] = []
    waits = trio.Event()

    def handler(name: str) -> monitor.Handler:
        async def think(_call: monitor.Call, *, word: str) -> monitor.Verdict:
            asked.append(f"{name} {word}")
            waits.set()
            if word == "wait":
                await trio.sleep_forever()
            return monitor.Return(0)

        return monitor.Handler.of("getpgrp", think, name=name)

    def given(name: str, word: str) -> Policy:
        return policy(rule(Handle(name, {"word": word}), "mkdir"))

    launch = monitor.Launch(["mkdir", str(tmp_path / "made")], stderr=subprocess.DEVNULL)
    handlers = [handler("first"), handler("second")]
    async with monitor.supervise(launch, policy=given("first", "wait"), handlers=handlers) as run:
        await waits.wait()
        run.replace_policy(policy(rule(Deny(), "mkdir")))
        run.replace_policy(given("second", "go"))
        with trio.fail_after(10):
            assert await run.wait() == 0

    assert asked == ["first wait", "second go"]
    assert (run.stats.returned, run.stats.timeouts, run.stats.denied) == (1, 0, 0)


async def test_a_call_that_waits_is_not_asked_about_twice_where_nothing_changes_for_it(tmp_path: Path) -> None:
    asked: list[str] = []
    waits, go_on = trio.Event(), trio.Event()

    async def think(call: monitor.Call) -> monitor.Verdict:
        asked.append(call.name)
        waits.set()
        await go_on.wait()
        return monitor.Return(0)

    handlers = [monitor.Handler.of("getpgrp", think, name="guard")]
    first = policy(rule(Handle("guard"), "mkdir"), rule(Deny(), "rmdir", mutable=True))
    async with monitor.supervise(["mkdir", str(tmp_path / "made")], policy=first, handlers=handlers) as run:
        await waits.wait()
        run.replace_policy(policy(rule(Handle("guard"), "mkdir")))
        go_on.set()
        assert await run.wait() == 0

    assert asked == ["mkdir"]


async def test_replacements_of_two_tasks_while_calls_come_leave_one_of_the_two_in_force(tmp_path: Path) -> None:
    """Neither sees half of the other: each call is answered by one policy, and the last one stays."""
    one = policy(rule(Deny(errno.EBUSY), "mkdir", mutable=True))
    other = policy(rule(Deny(errno.EROFS), "mkdir", mutable=True))
    script = f"for _ in 1 2 3 4 5 6 7 8 9 10; do mkdir {tmp_path}/made; done"
    launch = monitor.Launch(["sh", "-c", script], stderr=subprocess.DEVNULL)
    async with monitor.supervise(launch, policy=one) as run, trio.open_nursery() as nursery:

        async def replace(given: Policy) -> None:
            while True:
                run.replace_policy(given)
                assert run.policy is given
                await trio.sleep(0.001)

        nursery.start_soon(replace, one)
        nursery.start_soon(replace, other)
        await run.wait()
        nursery.cancel_scope.cancel()

    assert run.stats.denied == 10
    assert {denied.verdict for denied in run.denials} <= {monitor.Deny(errno.EBUSY), monitor.Deny(errno.EROFS)}


async def test_what_is_observed_can_be_replaced_and_still_refuses_nothing(tmp_path: Path) -> None:
    told: list[monitor.Event] = []
    launch = monitor.Launch(["sh", "-c", ASKS], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    first = policy(rule(Deny(), "mkdir"))
    async with monitor.supervise(launch, policy=first, observe=True, events=told.append) as run:
        run.replace_policy(policy(rule(Trap(), "mkdir", line=5)))
        await run.stdin.send_all(b"one\n")
        assert await run.stdout.receive_some(20) == b"made\n"
        await run.stdin.aclose()
        await run.wait()

    assert [event.would.action for event in told if isinstance(event, CallAnswered) and event.would] == ["trap"]


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
