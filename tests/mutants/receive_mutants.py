"""
Faults in how a listener is received: descriptors that are left, states that are believed, senders that are waited for.

What it is not: their planting (``test_mutants``).
"""

from __future__ import annotations

from typing import Final

from tests.mutants.mutant import Mutant

STATE: Final = ("tests/sources/test_state_message.py",)
SERVER: Final = ("tests/sources/test_receiving.py",)
RECEIVE: Final = ("tests/sources/test_receive.py",)

RECEIVE_MUTANTS: Final = (
    Mutant(
        "an escaped quote ends a text",
        "monitor/sources/state_message.py",
        '            self._is_escaped = found[0] == b"\\\\"\n            self._in_string = self._is_escaped\n',
        "            self._in_string = False\n",
        STATE,
    ),
    Mutant(
        "what is escaped at the end of a piece is forgotten",
        "monitor/sources/state_message.py",
        "        self._data += piece\n",
        "        self._data += piece\n        self._is_escaped = False\n",
        STATE,
    ),
    Mutant(
        "what stands behind a message is dropped",
        "monitor/sources/state_message.py",
        "    if rest.strip(_BLANK):\n",
        "    if False:\n",
        STATE,
    ),
    Mutant(
        "a message may be as long as it likes",
        "monitor/sources/state_message.py",
        "        if len(self._data) + len(piece) > MOST_BYTES:\n",
        "        if False:\n",
        STATE,
    ),
    Mutant(
        "a message may be as deep as it likes",
        "monitor/sources/state_message.py",
        "                if self._depth > DEEPEST:\n",
        "                if False:\n",
        STATE,
    ),
    Mutant(
        "of two members of a name the last is believed",
        "monitor/sources/state_message.py",
        "    if len(found) != len(pairs):",
        "    if False:",
        STATE,
    ),
    Mutant(
        "true is the number of a process",
        "monitor/sources/state_message.py",
        " or isinstance(said, bool) or",
        " or",
        STATE,
    ),
    Mutant(
        "half of a character is a name",
        "monitor/sources/state_message.py",
        "    except UnicodeEncodeError:  # half of a surrogate pair\n",
        "    except ZeroDivisionError:\n",
        STATE,
    ),
    Mutant(
        "a container's name may have lines",
        "monitor/sources/state_message.py",
        " or not ident.isprintable():\n",
        ":\n",
        STATE,
    ),
    Mutant(
        "a later byte is looked for in all that came before",
        "monitor/sources/state_message.py",
        "        self._looked = len(self._data) if found is None else found.end()\n        if found is not None:\n",
        "        if found is not None:\n            self._looked = found.end()\n",
        STATE,
    ),
    Mutant(
        "descriptors are inherited",
        "monitor/sources/receive.py",
        "socket.MSG_CMSG_CLOEXEC\n",
        "0\n",
        RECEIVE,
    ),
    Mutant(
        "what nobody takes stays open",
        "monitor/sources/receive.py",
        "    ) -> None:\n        self.close()\n",
        "    ) -> None:\n        self._fds.clear()\n",
        RECEIVE,
    ),
    Mutant(
        "the others stay open where one is taken",
        "monitor/sources/receive.py",
        "        taken = self._fds.pop(index)\n        self.close()\n",
        "        taken = self._fds.pop(index)\n        self._fds.clear()\n",
        RECEIVE,
    ),
    Mutant(
        "descriptors that were lost are not missed",
        "monitor/sources/receive.py",
        "    if flags & socket.MSG_CTRUNC:",
        "    if False:",
        RECEIVE,
    ),
    Mutant(
        "descriptors may come with any part of a message",
        "monitor/sources/receive.py",
        "    if len(fds) != before and not is_first:\n",
        "    if False:\n",
        RECEIVE,
    ),
    Mutant(
        "descriptors need no names",
        "monitor/sources/receive.py",
        "        if len(fds) != len(state.fds):\n",
        "        if not len(fds):\n",
        RECEIVE,
    ),
    Mutant(
        "a descriptor that is no listener is left open",
        "monitor/sources/receive.py",
        "            os.close(fd)\n        if isinstance(error, OSError):\n",
        "            pass\n        if isinstance(error, OSError):\n",
        RECEIVE,
    ),
    Mutant(
        "the first descriptor is taken for the listener",
        "monitor/sources/receive.py",
        "fds.take(state.fds.index(LISTENER_NAME))",
        "fds.take(0)",
        RECEIVE,
    ),
    Mutant(
        "who is silent in the middle is waited for",
        "monitor/sources/receive.py",
        "        with trio.move_on_after(message_seconds) as waiting:\n",
        "        with trio.CancelScope() as waiting:\n",
        RECEIVE,
    ),
    Mutant(
        "who is silent at first is not waited for",
        "monitor/sources/receive.py",
        "        if not await _piece(connection, message, fds):\n            return None\n",
        "        with trio.move_on_after(message_seconds):\n            await _piece(connection, message, fds)\n",
        RECEIVE,
    ),
    Mutant(
        "anybody may hand over",
        "monitor/sources/receiving.py",
        "            if peer.uid not in self._uids:\n",
        "            if False:\n",
        SERVER,
    ),
    Mutant(
        "one user may have all connections",
        "monitor/sources/receiving.py",
        "            elif self._connected[peer.uid] >= self._most_per_user:\n",
        "            elif False:\n",
        SERVER,
    ),
    Mutant(
        "a connection that has ended counts for good",
        "monitor/sources/receiving.py",
        "                    self._connected[peer.uid] -= 1\n",
        "                    pass\n",
        SERVER,
    ),
    Mutant(
        "one connection after the other",
        "monitor/sources/receiving.py",
        "                nursery.start_soon(receiving.serve, connection)\n",
        "                await receiving.serve(connection)\n",
        SERVER,
    ),
    Mutant(
        "who hands over nonsense ends the server",
        "monitor/sources/receiving.py",
        "        except NotHandedOver as error:\n",
        "        except ZeroDivisionError as error:\n",
        SERVER,
    ),
    Mutant(
        "without descriptors the server ends",
        "monitor/sources/receiving.py",
        "                if error.errno not in _LACKS:\n",
        "                if True:\n",
        SERVER,
    ),
    Mutant(
        "what nobody could take stays open",
        "monitor/sources/receiving.py",
        "            found.listener.close()\n            raise\n",
        "            raise\n",
        SERVER,
    ),
)
