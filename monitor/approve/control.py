"""
The control socket: clients see questions, answer them, look at who waits, and hear what happens.

What it is not: the words of the protocol (``wire``), or a client.  It is an ``Approver``: the first answer
counts, and the other clients are told of it.

Who may connect: processes of our own user, and none of the supervised.  A target that could answer what is
asked about it would need no permission at all; that it is the same user's is the common case.

A client that reads too slowly is sent away, and never waited for.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from errno import EMFILE, ENFILE, ENOBUFS, ENOMEM
from functools import partial
from typing import Final, Protocol, TypeAlias

import trio
from attrs import evolve

from monitor.approve.inspect import LOOKS, look
from monitor.approve.peers import bound, refusal, take_away, who
from monitor.approve.question import Answer, Question
from monitor.approve.wire import (
    MAX_LINE,
    MOST_TOLD,
    VERSION,
    Json,
    WireError,
    answer_of,
    flag_of,
    line_of,
    number_of,
    parsed,
    question_fields,
)
from monitor.events.fields import text_of
from monitor.events.hub import Subscription
from monitor.events.jsonl import record_of
from monitor.events.strace import event_text

MOST_CLIENTS: Final = 16

MOST_UNSENT: Final = 1024
"""Lines that a client may leave unread."""

MOST_UNSENT_BYTES: Final = 1 << 22
"""And how much: the names in a question are the target's, and what a request is called is the client's."""

_PATIENT: Final = MOST_UNSENT // 2
_PATIENT_BYTES: Final = MOST_UNSENT_BYTES // 4
"""With so much unread no event is told and no request read: a question has room behind all of that."""

_NO_ROOM: Final = frozenset({EMFILE, ENFILE, ENOBUFS, ENOMEM})
"""A connection cannot be accepted now; later it may."""

_NO_ROOM_SECONDS: Final = 0.1


Command: TypeAlias = Callable[[Mapping[str, Json]], Json]


class Supervised(Protocol):
    """What a socket is about: a run."""

    def supervises(self, pid: int) -> bool:
        """Whether process *pid* is one of its targets."""
        ...

    def events(self, capacity: int = ..., *, refusals_only: bool = ...) -> Subscription:
        """Subscribe to what happens."""
        ...

    def kill(self) -> None:
        """End it."""
        ...


class _Open:
    """A question that nobody has answered yet."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.done = trio.Event()
        self.answer: Answer | None = None


class _Client:
    """One connection: the lines that it is to be sent."""

    def __init__(self, number: int, who: str) -> None:
        self.number = number
        self.who = who
        self.send, self.unsent = trio.open_memory_channel[bytes](MOST_UNSENT)
        self.held = 0
        """Bytes of what is unsent."""
        self._sent = trio.Event()
        self.gone = trio.CancelScope()
        self.events: Subscription | None = None

    def tell(self, fields: Mapping[str, Json]) -> None:
        """Queue a line; who does not read is sent away."""
        self.put(line_of(fields))

    def put(self, line: bytes) -> None:
        """Queue *line* likewise."""
        if self.held + len(line) > MOST_UNSENT_BYTES:
            self.gone.cancel()
            return
        try:
            self.send.send_nowait(line)
        except trio.WouldBlock:
            self.gone.cancel()
        except trio.ClosedResourceError:  # the run is over
            pass
        else:
            self.held += len(line)

    def sent(self, line: bytes) -> None:
        """Note that *line* is unsent no more."""
        self.held -= len(line)
        self._sent.set()

    async def has_room(self) -> None:
        """Wait until so much was read that there is room for what only this client waits for."""
        await trio.lowlevel.checkpoint()
        while self.held > _PATIENT_BYTES or self.unsent.statistics().current_buffer_used >= _PATIENT:
            self._sent = trio.Event()
            await self._sent.wait()


class ControlSocket:
    """
    Who is asked over a socket.  Made by ``listening``.

    Clients that connect are told the questions that are open.  While nobody is connected there is nobody to
    ask, and so nothing to say; with *patient*, a question waits for somebody to come.
    """

    def __init__(self, listener: trio.SocketListener, nursery: trio.Nursery, *, program: str, patient: bool) -> None:
        """Tell clients that it is about *program*; the rest is borrowed."""
        self._listener = listener
        self._nursery = nursery
        self._program = program
        self._patient = patient
        self._run: Supervised | None = None
        self._commands: Mapping[str, Command] = {}
        self._clients: dict[int, _Client] = {}
        self._open: dict[int, _Open] = {}
        self._count = 0

    def attend(self, run: Supervised, commands: Mapping[str, Command] | None = None) -> None:
        """
        Let clients in, from now on: it is about *run*, of which nobody may be a client.

        *commands* are what they can ask for besides, by the words they use; they may raise WireError.
        """
        assert self._run is None
        self._run = run
        self._commands = commands or {}
        self._nursery.start_soon(self._serve)

    def close(self) -> None:
        """Let nobody in any more, and send everybody away who is there: the run is over."""
        self.give_up()
        for client in self._clients.values():
            client.send.close()  # what is queued is sent

    def give_up(self) -> None:
        """Wait for nobody any more: without a client there is nobody to ask."""
        self._patient = False
        if not self._clients:
            self._leave_unanswered()

    def _leave_unanswered(self) -> None:
        for asked in self._open.values():
            asked.done.set()

    @property
    def has_clients(self) -> bool:
        """Whether there is anybody to ask."""
        return bool(self._clients)

    async def __call__(self, question: Question) -> Answer | None:
        """Put *question* to everybody who is connected, and wait for the first answer."""
        await trio.lowlevel.checkpoint()
        if not self._clients and not self._patient:
            return None
        asked = self._open[question.number] = _Open(question)
        self._tell_all(question_fields(question))
        try:
            await asked.done.wait()
        finally:
            del self._open[question.number]
            if asked.answer is None:
                self._tell_all({"withdrawn": question.number})
        return asked.answer

    def _tell_all(self, fields: Mapping[str, Json]) -> None:
        for client in self._clients.values():
            client.tell(fields)

    # ---- connections ----

    async def _serve(self) -> None:
        """Serve everybody who connects, until cancelled."""
        while True:
            try:
                stream = await self._listener.accept()
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    raise
                await trio.sleep(_NO_ROOM_SECONDS)
            else:
                self._nursery.start_soon(self._serve_one, stream)

    async def _serve_one(self, stream: trio.SocketStream) -> None:
        async with stream:
            assert self._run is not None  # or nobody would be listened to
            refused = refusal(stream.socket, self._run.supervises) or self._fullness()
            if refused:
                with suppress(trio.BrokenResourceError):
                    await stream.send_all(line_of({"error": refused}))
                return
            self._count += 1
            client = self._clients[self._count] = _Client(self._count, who(stream.socket))
            try:
                await self._attend(client, stream)
            finally:
                del self._clients[client.number]
                if client.events is not None:
                    client.events.close()
                if not self._clients and not self._patient:
                    self._leave_unanswered()

    def _fullness(self) -> str:
        return f"{MOST_CLIENTS} are connected already" if len(self._clients) >= MOST_CLIENTS else ""

    async def _attend(self, client: _Client, stream: trio.SocketStream) -> None:
        client.tell({"control": VERSION, "pid": os.getpid(), "program": text_of(self._program)})
        for asked in self._open.values():
            client.tell(question_fields(asked.question))
        with client.gone:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_send_lines, client, stream)
                with suppress(trio.BrokenResourceError):
                    async with aclosing(_lines(stream)) as lines:
                        async for line in lines:
                            client.put(self._reply(client, line, nursery))
                            await client.has_room()
                client.gone.cancel()

    # ---- requests ----

    def question(self, said: Mapping[str, Json]) -> Question:
        """Return the question whose number a request names.  Raises WireError: it is not open."""
        return self._asked(said).question

    def _reply(self, client: _Client, line: bytes, nursery: trio.Nursery) -> bytes:
        """Do what *line* says; the line that is replied."""
        ident: Json = None
        try:
            try:
                said = parsed(line)
                ident = said.get("id")
                reply = line_of({"id": ident, "ok": self._do(client, said, nursery)})
            except WireError as error:
                return line_of({"id": ident, "error": str(error)})
        except RecursionError:
            return line_of({"id": None, "error": "that is nested too deeply"})
        if len(reply) > MOST_TOLD:
            return line_of({"id": ident, "error": f"that would be a line of more than {MOST_TOLD} bytes"})
        return reply

    def _do(self, client: _Client, said: Mapping[str, Json], nursery: trio.Nursery) -> Json:
        word = said.get("do")
        match word:
            case "answer":
                return self._answer(client, said)
            case "list":
                return [question_fields(asked.question) for asked in self._open.values()]
            case "events":
                return self._send_events(client, said, nursery)
            case str() if word in self._commands:
                return self._commands[word](said)
            case "kill":
                return self._kill()
            case str() if word in LOOKS:
                return self._look(word, said)
            case _:
                message = f"do is one of answer, list, events, kill, {', '.join((*LOOKS, *self._commands))}"
                raise WireError(message)

    def _asked(self, said: Mapping[str, Json]) -> _Open:
        number = number_of(said, "question")
        asked = self._open.get(number)
        if asked is None or asked.done.is_set():
            message = f"question {number} is not open"
            raise WireError(message)
        return asked

    def _answer(self, client: _Client, said: Mapping[str, Json]) -> Json:
        asked = self._asked(said)
        answer = answer_of(said, asked.question)
        asked.answer = evolve(answer, who=client.who)
        asked.done.set()
        for other in self._clients.values():
            if other is not client:
                other.tell({"answered": asked.question.number, "by": client.who})
        return asked.question.number

    def _look(self, word: str, said: Mapping[str, Json]) -> Json:
        asked = self._asked(said)
        if asked.question.memory is None:
            message = "this question's thread cannot be looked at"
            raise WireError(message)
        return look(word, asked.question.memory, said)

    def _send_events(self, client: _Client, said: Mapping[str, Json], nursery: trio.Nursery) -> Json:
        assert self._run is not None  # or nobody would have been let in
        refusals_only = flag_of(said, "refusals_only")
        if client.events is None:
            client.events = self._run.events(MOST_UNSENT, refusals_only=refusals_only)
            nursery.start_soon(partial(_send_events, client, client.events, lines=flag_of(said, "lines")))
        return True

    def _kill(self) -> Json:
        assert self._run is not None  # likewise
        self._run.kill()
        return True


async def _send_events(client: _Client, events: Subscription, *, lines: bool) -> None:
    count = 0
    async for event in events:
        told: dict[str, Json] = {"record": record_of(event, count)}
        client.tell({**told, "line": event_text(event)} if lines else told)
        count += 1
        await client.has_room()  # what comes faster is dropped by the subscription, which says so


async def _send_lines(client: _Client, stream: trio.SocketStream) -> None:
    try:
        async for line in client.unsent:
            await stream.send_all(line)
            client.sent(line)
    except trio.BrokenResourceError:
        pass
    client.gone.cancel()


async def _lines(stream: trio.SocketStream) -> AsyncGenerator[bytes, None]:
    """Yield each whole line; who sends one that is too long is not listened to any more."""
    left = b""
    async for data in stream:
        *whole, left = (left + data).split(b"\n")
        for line in whole:
            yield line
        if len(left) >= MAX_LINE:
            return


@asynccontextmanager
async def listening(path: str, *, program: str, patient: bool = False) -> AsyncGenerator[ControlSocket, None]:
    """
    Have a new socket at *path*, mode 0600, for the length of the block; it is taken away afterwards.

    A socket at *path* that nobody listens to any more is replaced; anything else there stays.  Nobody is let
    in before ``attend``.

    Raises:
        OSError: it cannot be made; EADDRINUSE where somebody listens, or what is there is no socket.
    """
    made, inode = bound(path)
    try:
        async with (
            trio.SocketListener(trio.socket.from_stdlib_socket(made)) as listener,
            trio.open_nursery() as nursery,
        ):
            yield ControlSocket(listener, nursery, program=program, patient=patient)
            nursery.cancel_scope.cancel()
    finally:
        take_away(path, inode)
