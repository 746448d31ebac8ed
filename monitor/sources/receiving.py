"""
The server that OCI runtimes hand their listeners to: every connection by itself, and none of them waited for.

What it is not: one connection (``receive``), or the file of the socket, which whoever has it opens and removes.

A runtime may connect long before it sends, so that one silent connection must not keep the next container from
being registered, nor a thousand of them from one user those of another.  Nothing that comes over a connection ends
the server: what was wrong is told, and the connection closed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from errno import EMFILE, ENFILE, ENOBUFS, ENOMEM
from typing import Final, TypeAlias

import trio

from monitor.sources.receive import MESSAGE_SECONDS, HandedOver, NotHandedOver, Peer, handed_over, peer_of

MOST_PER_USER: Final = 1024
"""Connections of one user at once: one for each container that it starts, and for each crun that lives as long."""

_LACKS: Final = frozenset({EMFILE, ENFILE, ENOBUFS, ENOMEM})

_PAUSE_SECONDS: Final = 0.1
"""Before the next accept, where we have nothing left to accept with."""

Take: TypeAlias = Callable[[HandedOver], None]
"""Owns what was handed over from then on.  Must not block."""

Refused: TypeAlias = Callable[[Peer | None, str], None]
"""Is told what was wrong with whom; None: nobody had connected yet.  The text is safe to log."""


async def receive_all(
    server: trio.socket.SocketType,
    take: Take,
    refused: Refused,
    *,
    uids: Collection[int],
    most_per_user: int = MOST_PER_USER,
    message_seconds: float = MESSAGE_SECONDS,
) -> None:
    """
    Accept connections on *server*, which listens and is borrowed, until cancelled.

    Those of users in *uids* are read, *most_per_user* of each at once; all others are closed.  What was begun when it
    is cancelled is closed, and so is what *take* raises about.  Raises OSError: the server is none.
    """
    receiving = _Receiving(take, refused, frozenset(uids), most_per_user, message_seconds)
    async with trio.open_nursery() as nursery:
        while True:
            try:
                connection, _ = await server.accept()
            except OSError as error:
                if error.errno not in _LACKS:
                    raise
                refused(None, f"nobody can be let in for now: {error.strerror}")
                await trio.sleep(_PAUSE_SECONDS)
            else:
                nursery.start_soon(receiving.serve, connection)


class _Receiving:
    """What all connections share."""

    def __init__(
        self, take: Take, refused: Refused, uids: frozenset[int], most_per_user: int, message_seconds: float
    ) -> None:
        self._take = take
        self._refused = refused
        self._uids = uids
        self._most_per_user = most_per_user
        self._message_seconds = message_seconds
        self._connected: Counter[int] = Counter()

    async def serve(self, connection: trio.socket.SocketType) -> None:
        """Read one connection, and close it: nothing is ever said on it, and crun keeps its end without reading."""
        with connection:
            peer = peer_of(connection)
            if peer.uid not in self._uids:
                self._refused(peer, "this user may hand nothing over")
            elif self._connected[peer.uid] >= self._most_per_user:
                self._refused(peer, f"{self._most_per_user} connections of this user are open already")
            else:
                self._connected[peer.uid] += 1
                try:
                    await self._receive(connection, peer)
                finally:
                    self._connected[peer.uid] -= 1

    async def _receive(self, connection: trio.socket.SocketType, peer: Peer) -> None:
        try:
            found = await handed_over(connection, message_seconds=self._message_seconds)
        except NotHandedOver as error:
            self._refused(peer, str(error))
            return
        if found is None:
            return  # a container that could not be started
        try:
            self._take(found)
        except BaseException:
            found.listener.close()
            raise
