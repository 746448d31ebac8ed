"""
Supervise Linux processes through seccomp user notification: Python handlers decide their calls.

The map of the house, from the front door down.  Nothing imports upwards; a test checks it.

    cli/         one module per verb; the only place that prints or exits
    supervisor   joins a source, handlers and events into one run (run: what its body sees;
                 lifetime: who lives how long)
    testing      handlers without a kernel
    approve/     who is asked, what was answered, and for how much it holds
    events/      what happened, as records, and who is told
    handlers/    what a policy's tables say of names, asked on the long way and on the fast path
    broker/      a path is looked up once, and its call is done for the program
    sources/     where listeners come from: launch a program
    notify/      a notification becomes a response:
                     listener -> decode -> dispatch (ask -> verdict -> respond) -> listener
    policy/      what a user wants becomes a program for the kernel
    features/    what this kernel and user allow, each feature really tried
    _native      the door to C: native/shim.h is its contract
    abi/         facts about Linux

What a handler can rely on, and what it cannot, is told where it is decided: ``notify.verdict``
for the answers, ``notify.dispatch`` for the invariants, ``notify.target`` for memory.
"""

import importlib as _importlib
from typing import TYPE_CHECKING as _TYPE_CHECKING

if _TYPE_CHECKING:
    from monitor.abi.arch import Arch
    from monitor.approve.approvers import always_says, chain, within
    from monitor.approve.question import Answer, Approver, Question
    from monitor.errors import (
        HandlerError,
        KernelFeatureError,
        LaunchError,
        LaunchStage,
        MonitorError,
        PolicyError,
        PolicyNotLoosenable,
        ProgramTooLongError,
        SupervisorError,
        TargetGone,
        TargetMemoryError,
    )
    from monitor.events.hub import Sink, Subscription, Wish
    from monitor.events.jsonl import JsonLines
    from monitor.events.record import (
        CallAnswered,
        ContainerEnded,
        ContainerStarted,
        Dropped,
        Event,
        GrantFailed,
        GrantWritten,
        HandlerFailed,
        OutOfFds,
        PolicyReplaced,
        RacyAllow,
        SlowHandler,
        SupervisionFailed,
        TargetExited,
        TargetStarted,
    )
    from monitor.notify.account import Stats, Would
    from monitor.notify.approval import About
    from monitor.notify.decode import Arguments, Call
    from monitor.notify.emulation import TargetPath
    from monitor.notify.handler import Handler, HandlerFunction, handles
    from monitor.notify.listener import Listener
    from monitor.notify.look import Look
    from monitor.notify.render import Rendered
    from monitor.notify.target import Target
    from monitor.notify.verdict import Allow, Deny, Emulate, InjectFd, Kill, Pass, Return, Verdict
    from monitor.policy.model import Policy
    from monitor.policy.text import load as load_policy
    from monitor.run import ProcessRun, Run
    from monitor.sources.launch import Launch
    from monitor.supervisor import supervise

__version__ = "0.1.0"

_HOMES = {
    "abi.arch": ("Arch",),
    "approve.approvers": ("always_says", "chain", "within"),
    "approve.question": ("Answer", "Approver", "Question"),
    "errors": (
        "HandlerError",
        "KernelFeatureError",
        "LaunchError",
        "LaunchStage",
        "MonitorError",
        "PolicyError",
        "PolicyNotLoosenable",
        "ProgramTooLongError",
        "SupervisorError",
        "TargetGone",
        "TargetMemoryError",
    ),
    "events.hub": ("Sink", "Subscription", "Wish"),
    "events.jsonl": ("JsonLines",),
    "events.record": (
        "CallAnswered",
        "ContainerEnded",
        "ContainerStarted",
        "Dropped",
        "Event",
        "GrantFailed",
        "GrantWritten",
        "HandlerFailed",
        "OutOfFds",
        "PolicyReplaced",
        "RacyAllow",
        "SlowHandler",
        "SupervisionFailed",
        "TargetExited",
        "TargetStarted",
    ),
    "notify.account": ("Stats", "Would"),
    "notify.approval": ("About",),
    "notify.decode": ("Arguments", "Call"),
    "notify.emulation": ("TargetPath",),
    "notify.handler": ("Handler", "HandlerFunction", "handles"),
    "notify.listener": ("Listener",),
    "notify.look": ("Look",),
    "notify.render": ("Rendered",),
    "notify.target": ("Target",),
    "notify.verdict": ("Allow", "Deny", "Emulate", "InjectFd", "Kill", "Pass", "Return", "Verdict"),
    "policy.model": ("Policy",),
    "policy.text:load": ("load_policy",),
    "run": ("ProcessRun", "Run"),
    "sources.launch": ("Launch",),
    "supervisor": ("supervise",),
}
"""
Module -> the public names of it; after a colon, the name it has there.

They are loaded when they are first asked for: a question about a policy does not pay for trio, nor
a file of handlers for what launches programs.
"""

_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """Load one of the names above."""
    if name not in _HOME:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    module, _, attribute = _HOME[name].partition(":")
    value = getattr(_importlib.import_module(f"{__name__}.{module}"), attribute or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names, loaded or not."""
    return sorted({*globals(), *__all__})


__all__ = [
    "About",
    "Allow",
    "Answer",
    "Approver",
    "Arch",
    "Arguments",
    "Call",
    "CallAnswered",
    "ContainerEnded",
    "ContainerStarted",
    "Deny",
    "Dropped",
    "Emulate",
    "Event",
    "GrantFailed",
    "GrantWritten",
    "Handler",
    "HandlerError",
    "HandlerFailed",
    "HandlerFunction",
    "InjectFd",
    "JsonLines",
    "KernelFeatureError",
    "Kill",
    "Launch",
    "LaunchError",
    "LaunchStage",
    "Listener",
    "Look",
    "MonitorError",
    "OutOfFds",
    "Pass",
    "Policy",
    "PolicyError",
    "PolicyNotLoosenable",
    "PolicyReplaced",
    "ProcessRun",
    "ProgramTooLongError",
    "Question",
    "RacyAllow",
    "Rendered",
    "Return",
    "Run",
    "Sink",
    "SlowHandler",
    "Stats",
    "Subscription",
    "SupervisionFailed",
    "SupervisorError",
    "Target",
    "TargetExited",
    "TargetGone",
    "TargetMemoryError",
    "TargetPath",
    "TargetStarted",
    "Verdict",
    "Wish",
    "Would",
    "always_says",
    "chain",
    "handles",
    "load_policy",
    "supervise",
    "within",
]
