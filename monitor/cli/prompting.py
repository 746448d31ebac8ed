"""
Who is asked on the terminal: another process of ours, started when there is something to ask.

What it is not: that process (``debugger``, ``prompt``), or what is asked.  It talks over a control socket in a
directory that only we may enter.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import click
import trio

from monitor.events.record import Event, GrantFailed, GrantWritten

if TYPE_CHECKING:
    from monitor.approve.control import ControlSocket, Supervised
    from monitor.approve.question import Answer, Question

_LEAVE_SECONDS: Final = 2.0
"""For whoever has the terminal to give it back."""


async def show(path: str, control: ControlSocket, verb: Literal["debug", "run"]) -> None:
    """
    Run the debugger, or the prompt of ``run``, on the terminal, in a process group of its own.

    When it leaves, nobody is asked any more.
    """
    # -P: no module comes from the current directory, where the program may write.
    words = [sys.executable, "-P", "-m", "monitor", "debug", "--started", verb, "--connect", path]
    try:
        process = await trio.lowlevel.open_process(words, process_group=0, stdin=subprocess.DEVNULL)
        try:
            await process.wait()
        finally:
            process.terminate()  # it may wait for somebody to type, and has the terminal
            with trio.move_on_after(_LEAVE_SECONDS, shield=True):
                await process.wait()
            process.kill()
    finally:
        control.give_up()


def mind_the_terminal() -> None:
    """
    Have us go on while somebody else of our session has the terminal.

    Who of the program reads meanwhile is stopped, with its whole process group, which we are of.
    """
    for number in (signal.SIGTTIN, signal.SIGTTOU):
        signal.signal(number, lambda _number, _frame: None)  # and no SIG_IGN, which the program would inherit


class Prompt:
    """
    The approver of ``run``: whoever sits at the terminal, if the program is in its foreground.

    Asked in the background it has nothing to say: a job there must not take the terminal from another.
    """

    def __init__(self, program: str, nursery: trio.Nursery) -> None:
        """Ask for *program*, once ``attend`` was called, by a task of *nursery*.  Made by ``prompting``."""
        self._program = program
        self._nursery = nursery
        self._asking = trio.CancelScope()
        self._attending = trio.Event()
        self._starting = trio.Lock()
        self._control: ControlSocket | None = None
        self._run: Supervised | None = None

    def attend(self, run: Supervised) -> None:
        """Ask, from now on: it is about *run*."""
        self._run = run
        self._attending.set()

    def close(self) -> None:
        """Give the terminal back, and ask nobody any more: the run is over."""
        self._asking.cancel()

    async def __call__(self, question: Question) -> Answer | None:
        """Ask; None: there is nobody, or he has left."""
        await self._attending.wait()
        if not self._is_in_foreground(question.pid):
            return None
        async with self._starting:
            if self._control is None:
                self._control = await self._nursery.start(self._serve)
        assert self._control is not None
        return await self._control(question)

    def _is_in_foreground(self, pid: int) -> bool:
        """Whether the terminal is the program's, of which process *pid* asks, or ours for it."""
        assert self._run is not None
        with suppress(OSError):
            terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
            try:
                group = os.tcgetpgrp(terminal)
            finally:
                os.close(terminal)
            return group == os.getpgrp() or self._is_asking(group) or self._is_of_program(group, pid)
        return False

    def _is_of_program(self, group: int, pid: int) -> bool:
        assert self._run is not None
        with suppress(OSError):
            if pid and os.getpgid(pid) == group:
                return True
        return self._run.supervises(group) or any(map(self._run.supervises, _members(group)))

    def _is_asking(self, group: int) -> bool:
        """Whether *group* is that of the process that asks already."""
        with suppress(OSError, ValueError, IndexError):
            parent = int(Path(f"/proc/{group}/stat").read_bytes().rpartition(b")")[2].split()[1])
            return parent == os.getpid()
        return False

    async def _serve(self, task_status: trio.TaskStatus[ControlSocket]) -> None:
        assert self._run is not None
        import tempfile  # noqa: PLC0415  # most policies ask nothing

        from monitor.approve.control import listening  # noqa: PLC0415  # likewise

        mind_the_terminal()
        with tempfile.TemporaryDirectory(prefix="seccomp-monitor-") as directory:
            path = str(Path(directory, "control"))
            async with listening(path, program=self._program, patient=True) as control:
                control.attend(self._run)
                task_status.started(control)
                with self._asking:
                    await show(path, control, "run")
                    await trio.sleep_forever()  # nobody comes any more, and the socket has nothing to say


@asynccontextmanager
async def prompting(program: str) -> AsyncGenerator[Prompt, None]:
    """Have a prompt for *program*, for the length of the block."""
    async with trio.open_nursery() as nursery:
        yield Prompt(program, nursery)
        nursery.cancel_scope.cancel()


def _members(group: int) -> Iterator[int]:
    """Yield the processes of a process group; its leader may be gone."""
    for entry in Path("/proc").iterdir():
        with suppress(ValueError, OSError):
            if os.getpgid(pid := int(entry.name)) == group:
                yield pid


def tell_of_grants(event: Event) -> None:
    """Show what was written into a file, or why nothing was: a sink."""
    if isinstance(event, GrantWritten | GrantFailed):
        from monitor.events.strace import trouble_text  # noqa: PLC0415  # most runs write nothing

        click.echo(trouble_text(event), err=True)
