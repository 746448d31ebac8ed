"""
A raw notification becomes a ``Call`` with named, typed arguments; pointers stay addresses.

What it is not: rendering, or a look into memory before somebody asks for it.  Takes what
``listener`` received, gives what ``dispatch`` hands to handlers.

Everything here is made when it is asked for: most calls are answered after a look at one or two
arguments, and the rest would be work for nobody.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

import trio

from monitor._native import RawNotification
from monitor.abi import syscalls
from monitor.abi.arch import Arch
from monitor.abi.syscalls import Argument, Signature
from monitor.errors import TargetMemoryError
from monitor.notify.listener import AnyListener
from monitor.notify.memory import NoMemory
from monitor.notify.target import PATH_MAX, Target
from monitor.notify.verdict import Emulate

if TYPE_CHECKING:
    from monitor.notify.emulation import Broker, TargetPath
    from monitor.notify.look import Look
    from monitor.notify.render import Rendered

_ID: Final = 0
_TID: Final = 1
_NR: Final = 3
_ARCH: Final = 4
_IP: Final = 5
_REGISTERS: Final = 6

_INT: Final = struct.Struct("=i")
_STRINGS: Final = frozenset({"path", "string"})
_SIZED: Final = frozenset({"buffer_in", "buffer_inout", "sockaddr"})


class Arguments:
    """
    The arguments of one call, by name, by number, or by ``get``.

    Each is an int of its declared width and sign: a C ``int`` is signed 32 bits wide whatever
    the other half of its register holds, a pointer is an address.  A call whose signature is not
    known has six 64-bit words, by number only.  A name the call does not have raises with the
    names it has: as AttributeError for ``args.name``, as KeyError for ``args["name"]``.
    """

    __slots__ = ("_call_name", "_registers", "_signature")

    def __init__(self, call_name: str, signature: Signature | None, registers: tuple[int, ...]) -> None:
        """Read *registers*, six 64-bit words, by *signature*."""
        self._call_name = call_name
        self._signature = signature
        self._registers = registers

    def __getattr__(self, name: str) -> int:
        """Return the argument called *name*."""
        if name.startswith("_"):  # no argument is; and of a copy in the making there is nothing to look in yet
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(error.args[0]) from None

    def __getitem__(self, key: str | int) -> int:
        """Return the argument of that name, or at that place (0 to 5)."""
        index = self.index_of(key)
        if self._signature is None:
            return self._registers[index]
        return self._signature.arguments[index].value(self._registers[index])

    def get(self, name: str, default: int | None = None) -> int | None:
        """Return the argument called *name*, or *default* where the call has none of that name."""
        return self[name] if name in self else default  # noqa: SIM401  # this is that method

    def __contains__(self, name: object) -> bool:
        """Whether the call has an argument called *name*."""
        return any(argument == name for argument in self)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, in the order of the registers."""
        return iter(() if self._signature is None else [argument.name for argument in self._signature.arguments])

    def __len__(self) -> int:
        """Return the number of arguments; six where the signature is not known."""
        return len(self._registers) if self._signature is None else len(self._signature.arguments)

    def __repr__(self) -> str:
        """Show names and numbers."""
        shown = [f"{name}={self[name]}" for name in self] or [f"{word:#x}" for word in self._registers]
        return f"{self._call_name}({', '.join(shown)})"

    def index_of(self, key: str | int) -> int:
        """Return the register an argument is in; KeyError with the names there are."""
        if isinstance(key, int):
            if 0 <= key < len(self):
                return key
        else:
            for index, name in enumerate(self):
                if name == key:
                    return index
        names = ", ".join(self) or f"only numbers, 0 to {len(self) - 1}" if len(self) else "none"
        msg = f"{self._call_name} has no argument {key!r}; it has: {names}"
        raise KeyError(msg)

    def declaration(self, key: str | int) -> Argument | None:
        """Return what is known of an argument; None where the signature is not known."""
        index = self.index_of(key)
        return None if self._signature is None else self._signature.arguments[index]

    def as_mapping(self) -> Mapping[str, int]:
        """Return names and values; empty where the signature is not known."""
        return {name: self[name] for name in self}


class Call:
    """
    One intercepted system call, whose thread waits for the verdict.

    Valid until it is answered: afterwards its registers can still be read, its target cannot.
    """

    __slots__ = (
        "_args",
        "_listener",
        "_paths",
        "_raw",
        "_target",
        "arch",
        "broker",
        "hides",
        "injecting",
        "lent",
        "name",
        "ruling",
        "settle",
    )

    def __init__(self, raw: RawNotification, name: str, arch: Arch | None, listener: AnyListener) -> None:
        """Wrap *raw*; nothing is decoded yet."""
        self._raw = raw
        self._listener = listener
        self._args: Arguments | None = None
        self._target: Target | None = None
        self._paths: dict[int, TargetPath] | None = None
        self.broker: Broker | None = None
        """Who looks paths up and does calls for their targets, as dispatch has it."""
        self.hides: Callable[[bytes], bool] | None = None
        """Whether a listing has no entry of this name, where a policy hides some."""
        self.lent = False
        """Whether a worker has what was looked up, and closes it when it has done with it."""
        self.injecting = False
        """
        Whether a worker has begun to put an fd into the target, after which it does not sleep any more.

        Meanwhile the kernel says of a thread which is there that nobody waits (``seccomp_notify_id_valid``).
        """
        self.settle: Callable[[], None] | None = None
        """Called when the answer has arrived, for who would remember it otherwise."""
        self.ruling: object = None
        """What a policy said about its paths, for when that policy is asked again."""
        self.name = name
        """The kernel's name of the call; ``syscall_0x...`` where the tables have none."""
        self.arch = arch
        """The ABI the call was made by; None for one the tables do not know."""

    @property
    def id(self) -> int:
        """The kernel's cookie of this notification, 64 bits."""
        return self._raw[_ID]

    @property
    def tid(self) -> int:
        """The number of the *thread* in our pid namespace; 0 when it has none there."""
        return self._raw[_TID]

    @property
    def pid(self) -> int:
        """The number of the thread's process in our pid namespace (a look into /proc).  Raises TargetGone."""
        return self.target.pid

    @property
    def nr(self) -> int:
        """The system call number of ``arch``; x32 numbers include their bit."""
        return self._raw[_NR]

    @property
    def audit_arch(self) -> int:
        """The ``AUDIT_ARCH_*`` value that the kernel gave."""
        return self._raw[_ARCH]

    @property
    def instruction_pointer(self) -> int:
        """The address after the instruction that made the call."""
        return self._raw[_IP]

    @property
    def registers(self) -> tuple[int, ...]:
        """The six argument registers as unsigned 64-bit words."""
        return self._raw[_REGISTERS:]

    @property
    def args(self) -> Arguments:
        """The arguments by name: ``call.args.flags``, ``call.args["from"]``, ``call.args[0]``."""
        if self._args is None:
            signature = None if self.arch is None else syscalls.signature_of(self.arch, self.name)
            self._args = Arguments(self.name, signature, self._raw[_REGISTERS:])
        return self._args

    @property
    def target(self) -> Target:
        """The waiting thread, to look into."""
        if self._target is None:
            self._target = self._listener.target(self._raw[_ID], self._raw[_TID])
        return self._target

    @property
    def looked(self) -> bool:
        """Whether memory was read through this call: then a plain ``Allow`` is refused."""
        return self._target is not None and self._target.looked

    def read(self, argument: str | int, size: int | None = None) -> bytes:
        """
        Return what a pointer argument points to, as bytes of our own.

        A path or another string: the bytes before its NUL (ENAMETOOLONG without one in 4096).
        A buffer, a socket address, a struct iovec array: as many bytes as the call's own size
        argument says.  Any pointer: *size* bytes.

        The target can change its memory right afterwards: a verdict that depends on these bytes
        cannot be a plain ``Allow``.

        Raises:
            TargetMemoryError: it cannot be read; let pass, it answers with the kernel's errno.
            TargetGone: the thread no longer waits.
            TypeError: the argument is no pointer, or of unknown size and *size* is not given.
        """
        address = self.args[argument]
        declared = self.args.declaration(argument)
        if size is not None:
            return self.target.read(address, size)
        if declared is not None and declared.kind in _STRINGS:
            return self.target.read_string(address, PATH_MAX)
        if declared is not None and declared.len_arg is not None:
            length = self._length(declared.len_arg)
            if declared.kind == "iovec":
                return self.target.read_gathered(address, length, word=self._word())
            if declared.kind in _SIZED:
                if length < 0:
                    raise TargetMemoryError(address, 22, f"read {length} bytes")
                return self.target.read(address, length)
        msg = f"{self.name}: the size of what {argument!r} points to is not known: give it as size="
        raise TypeError(msg)

    def read_strings(self, argument: str | int) -> list[bytes]:
        """Return the strings of an argument such as execve's argv."""
        return list(self.target.read_strings(self.args[argument], word=self._word()))

    def path(self, argument: str | int) -> TargetPath:
        """
        Return what a path argument leads to, looked up once: what ``emulate`` will use.

        No look in the sense of ``looked``: whatever the target writes there now, the call is done
        with what was found.  A plain ``Allow`` would have the kernel read it again, and is refused
        after this too.

        Raises:
            TargetMemoryError: the path cannot be read; let pass, it answers with the kernel's errno.
            TargetGone: the thread no longer waits.
            TypeError: the argument is no path, or nobody looks paths up here.
        """
        index = self.args.index_of(argument)
        self.target.looked = True
        return self.looked_up(index)

    def looked_up(self, index: int) -> TargetPath:
        """Return what the path in register *index* leads to, for who does not decide by memory: a policy, a broker."""
        found = None if self._paths is None else self._paths.get(index)
        if found is None:
            if self.broker is None:
                msg = "nobody looks paths up here"
                raise TypeError(msg)
            found = self.broker.path(self, index)
            self.keep(index, found)
        return found

    def has_looked_up(self, index: int) -> bool:
        """Whether what the path in register *index* leads to is kept."""
        return self._paths is not None and index in self._paths

    def keep(self, index: int, path: TargetPath) -> None:
        """Keep what the path in register *index* leads to, until the call is answered."""
        if self._paths is None:
            self._paths = {}
        self._paths[index] = path

    def close(self) -> None:
        """Give back what was looked up; dispatch does so when the call is answered."""
        if self.lent:
            return
        paths, self._paths = self._paths, None
        for path in (paths or {}).values():
            path.close()

    def close_lent(self) -> None:
        """Give it back on behalf of a worker, for which nobody waits any more."""
        self.lent = False
        self.close()

    def emulate(self) -> Emulate:
        """
        Return the verdict that does this call on the target's behalf; nothing happens before it is returned.

        Raises:
            TypeError: nobody can do this call for its target, which may have other rights or another view.
            TargetGone: the thread no longer waits.
            OSError: we have no fd to look at it with.
        """
        if self.broker is None or not self.broker.can(self):
            msg = f"{self.name} cannot be done on a target's behalf"
            raise TypeError(msg)
        return Emulate()

    def render(self, look: Look | None = None) -> Rendered:
        """
        Return the call as strace writes it, its memory included, as far as *look* wants it.

        In a handler it is a look at memory like any other, if memory had to be read: what it says
        may have changed when the kernel reads it.  Never raises; of a thread that is gone, what its
        registers hold is left.
        """
        # Most programs never show a call.
        from monitor.notify.look import DEFAULT_LOOK  # noqa: PLC0415
        from monitor.notify.render import render  # noqa: PLC0415

        try:
            memory = self.target.for_rendering()
        except trio.ClosedResourceError:
            memory = NoMemory()
        return render(self.name, self.arch, self._raw[_REGISTERS:], memory, look or DEFAULT_LOOK)

    def __str__(self) -> str:
        """Return ``openat(AT_FDCWD, "/etc/passwd", O_RDONLY)``; see ``render``."""
        return str(self.render())

    def _length(self, index: int) -> int:
        """Return a size or count; accept(2) and its like have it behind a pointer, as an int."""
        declared = self.args.declaration(index)
        if declared is None or declared.direction is None:
            return self.args[index]
        return int(self.target.read_struct(self.args[index], _INT)[0])

    def _word(self) -> int:
        return 8 if self.arch is None else self.arch.pointer_bits // 8

    def __repr__(self) -> str:
        """Show the call with its arguments as numbers; memory is not read."""
        return f"<Call {self.args!r} of thread {self.tid}>"


def name_of(arch: Arch | None, nr: int) -> str:
    """Return the name of call *nr* of *arch*, or ``syscall_0x...`` as strace writes unknown ones."""
    name = None if arch is None else syscalls.name_of(arch, nr)
    return f"syscall_{nr & 0xFFFFFFFF:#x}" if name is None else name
