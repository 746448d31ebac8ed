"""
``seccomp-monitor agent``: the OCI seccomp agent, and questions to one that runs.

What it is not: any of its parts, each of which is a module that only its own sub-command imports.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Final

import click

SUBCOMMANDS: Final[Mapping[str, str]] = {
    "serve": "Supervise the containers whose runtimes connect.",
    "list": "List the containers that are supervised.",
    "show": "Show all that is known of one container.",
    "tail": "Print what happens in containers, as it happens.",
    "kill": "End a container.",
    "check": "Play a runtime's side, and say what an agent does.",
    "profile": "Write the seccomp profile of containers under a policy.",
}
"""Sub-command -> one line of help.  Each is ``NAME_command`` of a module."""

_MODULES: Final[Mapping[str, str]] = {
    "serve": "agent_serve",
    "list": "agent_clients",
    "show": "agent_clients",
    "tail": "agent_clients",
    "kill": "agent_clients",
    "check": "agent_check",
    "profile": "agent_profile",
}


class _Subcommands(click.Group):
    """A group that imports only what is called; ``agent`` alone, or with options, is ``agent serve``."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Return the sub-commands."""
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # likewise
        """Import and return one of them."""
        if cmd_name not in SUBCOMMANDS:
            return None
        found = getattr(importlib.import_module(f"monitor.cli.{_MODULES[cmd_name]}"), f"{cmd_name}_command")
        assert isinstance(found, click.Command)
        return found

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take options that are not of the group for those of ``serve``."""
        if not args or (args[0].startswith("-") and args[0] not in {"-h", "--help"}):
            args = ["serve", *args]
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # likewise
        """Write the list without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(SUBCOMMANDS.items()))


@click.group("agent", cls=_Subcommands)
def command() -> None:
    """
    Decide the calls of containers: the OCI seccomp agent of runc, crun and Podman.

    Without a sub-command it serves: see "agent serve --help".
    """
