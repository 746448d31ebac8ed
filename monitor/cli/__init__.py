"""
The command line: one module per verb, imported when the verb is called.

What it is not: anything a library user needs.  It is the only place that prints or exits.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Mapping
from typing import Final

import click

OUR_FAILURE: Final = 125
"""The exit status of every failure of ours, for verbs that run something (as docker and timeout have it)."""

INTERRUPTED: Final = 130
"""128 + SIGINT, as a shell says it."""

USAGE: Final = 2
"""The exit status of a usage error where there is no verb that runs something."""

VERBS: Final[Mapping[str, str]] = {
    "run": "Run a program; Python handlers decide its system calls.",
    "trace": "Run a program and print its system calls in the look of strace.",
    "debug": "Run a program and decide on the terminal what its policy refuses or asks.",
    "check": "Find what makes no sense in a policy, and the traps that profiles fall into.",
    "why": "Say which rule of a policy decides about a call.",
    "show": "Print a policy with all it includes, or its answer to each call.",
    "diff": "Say which calls two policies answer differently.",
    "convert": "Write a policy in another format.",
    "disasm": "Print the program of a policy, or a raw one.",
    "grants": "List or revoke remembered answers.",
    "groups": "List the words that stand for several calls.",
    "presets": "List the policies that ship, or print one.",
    "agent": "Decide the calls of containers: the OCI seccomp agent of runc, crun and Podman.",
    "doctor": "Try what this kernel, user and container allow.",
}
"""Verb -> one line of help.  The module of a verb has its name, and a click command called ``command``."""

RUN_NOTHING: Final = frozenset(
    {"check", "why", "show", "diff", "convert", "disasm", "grants", "groups", "presets", "doctor"}
)
"""The verbs that start no program: 0 clean, 1 findings, 2 usage."""


class _Verbs(click.Group):
    """A group that knows its verbs by name and imports only the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Return the verbs."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # likewise
        """Import and return one verb."""
        if cmd_name not in VERBS:
            return None
        command = importlib.import_module(f"monitor.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        gc.freeze()  # of what was imported nothing is garbage
        gc.enable()
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # likewise
        """Write the list of verbs without importing them."""
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="seccomp-monitor", prog_name="seccomp-monitor")
def seccomp_monitor() -> None:
    """Supervise Linux processes through seccomp user notification."""


def main() -> int:
    """Run the command line; its exit status."""
    _hold_standard_streams()
    # What the program does with a closed pipe is its business; we say what we have to say or not.
    try:
        status = seccomp_monitor.main(prog_name="seccomp-monitor", standalone_mode=False)
    except click.exceptions.Exit as leaving:
        status = leaving.exit_code
    except click.ClickException as error:
        error.show(sys.stderr)
        status = OUR_FAILURE if _runs_something(error) else USAGE
    except (click.Abort, KeyboardInterrupt):  # before the program ran: afterwards ^C is the program's
        status = INTERRUPTED
    _flush()
    return status if isinstance(status, int) else 0


def _hold_standard_streams() -> None:
    """
    Put nothing where a standard stream was closed: else the next thing that we open gets its number.

    Our reports would then be written to a listener, or to whatever it is.  The program still finds it closed.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, and close-on-exec
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115  # a number; it stays open
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115  # likewise


def _runs_something(error: click.ClickException) -> bool:
    context = getattr(error, "ctx", None)
    return isinstance(context, click.Context) and context.info_name in VERBS.keys() - RUN_NOTHING


def _flush() -> None:
    """Write what is left; a standard output that nobody reads any more is no failure of the program's."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
