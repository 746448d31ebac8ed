"""
System V IPC and message queues: keys, permissions, operations on semaphores, messages.

What it is not: pipes and sockets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from monitor.abi.arch import Arch
from monitor.abi.constants import names, values
from monitor.abi.words import flags_word, word
from monitor.notify.render.kinds import Printer, elements, hexed, path, pointed
from monitor.notify.render.layout import Fields, Layout
from monitor.notify.render.scene import Scene
from monitor.notify.render.table import Multiplexer, Selector, printers, selectors
from monitor.notify.render.text import address, hexadecimal, octal, structure

_PERMISSIONS: Final = 0o777

# ---- get ----


def _key(scene: Scene, index: int) -> str:
    return word("ipc_key", scene.bits(index), scene.arch)


def _get_flags(scene: Scene, index: int) -> str:
    value = scene.bits(index)
    mode = value & _PERMISSIONS
    flags = value - mode
    return f"{word('ipc_create', flags, scene.arch)}|{octal(mode)}" if flags else octal(mode)


def _memory_flags(scene: Scene, index: int) -> str:
    """Write the flags of shmget(2): six bits of them are the size of a huge page, as for mmap(2)."""
    value = scene.bits(index)
    masks = values("masks", scene.arch)
    place = masks["MAP_HUGE_SHIFT"]
    huge = value >> place & masks["MAP_HUGE_MASK"]
    mode = value & _PERMISSIONS
    flags = value & ~(masks["MAP_HUGE_MASK"] << place | _PERMISSIONS)
    parts = [word("shm_get", flags, scene.arch)] if flags else []
    if huge:
        parts.append(f"{huge}<<SHM_HUGE_SHIFT")
    return "|".join([*parts, octal(mode)])


# ---- control ----


def _command(group: str) -> Printer:
    """Return the printer of a command, whose flag says on some ABIs that the structs are those of today."""

    def printer(scene: Scene, index: int) -> str:
        value = scene.bits(index)
        text = word(group, value & ~_NEW_STRUCTS, scene.arch)
        return f"IPC_64|{text}" if value & _NEW_STRUCTS else text

    return printer


_NEW_STRUCTS: Final = 0x100
"""``IPC_64`` (include/uapi/linux/ipc.h)."""


def _sets(scene: Scene) -> bool:
    """Whether the command is IPC_SET, the only one that reads a struct."""
    return scene.get("cmd") & ~_NEW_STRUCTS == values("msg_cmd", scene.arch)["IPC_SET"]


_PERMISSION: Final = Layout("i:key I:uid I:gid I:cuid I:cgid I:mode")
_SHORT_MODE: Final = frozenset({Arch.ARM, Arch.I386})
"""The ABIs on which the mode in struct ipc64_perm has 16 bits, before a hole of as many."""


def _permission(scene: Scene, start: int) -> str:
    fields = scene.struct(start, _PERMISSION)
    mode = fields["mode"] & 0xFFFF if scene.arch in _SHORT_MODE else fields["mode"]
    ids = [(name, "-1" if fields[name] == _NOBODY else str(fields[name])) for name in ("uid", "gid")]
    return structure([*ids, ("mode", octal(mode))])


_NOBODY: Final = 0xFFFFFFFF


def _set_or_address(name: str) -> Printer:
    """Return the printer of a struct of which IPC_SET reads the permissions."""

    def reader(scene: Scene, start: int) -> str:
        return structure([(name, _permission(scene, start))]) if _sets(scene) else address(start)

    return pointed(reader)


def _semaphore_argument(scene: Scene, index: int) -> str:
    """Write what semctl(2) is given; ipc(2) has a pointer to it, which strace shows by brackets."""
    start = scene.pointer(index)
    if _sets(scene) and start:
        return structure([("sem_perm", _permission(scene, start))])
    through_ipc = scene.registers[5] == _THROUGH_IPC
    asks = names("sem_cmd", scene.arch).get(scene.get("cmd") & ~_NEW_STRUCTS, "") in _SEMAPHORE_ANSWERS
    return f"[{address(start)}]" if through_ipc and not asks else address(start)


_SEMAPHORE_ANSWERS: Final = frozenset({"IPC_INFO", "IPC_STAT", "SEM_INFO", "SEM_STAT", "SEM_STAT_ANY"})


def _queue(scene: Scene, start: int) -> str:
    if not _sets(scene):
        return address(start)
    permission = _permission(scene, start)
    # struct msqid64_ds: the permissions, three times (in halves where a long has 32 bits) and two numbers come first.
    wide = scene.arch.register_bits == 64  # noqa: PLR2004  # x32 has the struct of x86_64
    size = scene.integer(start + (88 if wide else 68), 8 if wide else 4)
    return structure([("msg_perm", permission), ("msg_qbytes", str(size))])


# ---- semaphores ----

_OPERATION: Final = Layout("H:sem_num h:sem_op H:sem_flg")


def _operations(scene: Scene, index: int) -> str:
    start, count = scene.pointer(index), scene.get("nsops") % (1 << 32)
    return elements(scene, start, count, _OPERATION.size(scene.arch), lambda data: _operation(scene, data))


def _operation(scene: Scene, data: bytes) -> str:
    fields = _OPERATION.read(data, scene.arch)
    flags = word("semop", fields["sem_flg"], scene.arch)
    return structure([("sem_num", str(fields["sem_num"])), ("sem_op", str(fields["sem_op"])), ("sem_flg", flags)])


# ---- messages ----


def _message(scene: Scene, start: int) -> str:
    width = scene.arch.register_bits // 8  # a __kernel_long_t, which on x32 is wider than a pointer
    kind = scene.integer(start, width, signed=True)
    return structure([("mtype", str(kind)), ("mtext", scene.buffer(start + width, scene.get("msgsz")))])


# ---- POSIX queues ----

# A __kernel_long_t, as wide as a time_t of the same age: x32 has 64 bits.
_ATTRIBUTES: Final = Layout("t:mq_flags t:mq_maxmsg t:mq_msgsize t:mq_curmsgs")


def _mq_open(scene: Scene) -> Sequence[str]:
    created = values("open", scene.arch)["O_CREAT"] & scene.get("oflag")
    return ("name", "oflag", "mode", "attr") if created else ("name", "oflag")


def _creation_attributes(scene: Scene, start: int) -> str:
    """Write the attributes of a new queue, of which the flags do not count (mq_open(3))."""
    fields = scene.struct(start, _ATTRIBUTES)
    return _attributes_text(fields, hexadecimal(fields["mq_flags"] % (1 << scene.arch.register_bits)))


def _attributes(scene: Scene, start: int) -> str:
    fields = scene.struct(start, _ATTRIBUTES)
    return _attributes_text(
        fields, flags_word("open", fields["mq_flags"] % (1 << scene.arch.register_bits), scene.arch)
    )


def _attributes_text(fields: Fields, flags: str) -> str:
    return structure([("mq_flags", flags), *((name, str(value)) for name, value in list(fields.items())[1:])])


# ---- ipc, the one call for all of them on some ABIs ----

_BEHIND: Final[Mapping[str, tuple[int, ...]]] = MappingProxyType(
    {
        "SEMOP": (1, 4, 2),
        "SEMGET": (1, 2, 3),
        "SEMCTL": (1, 2, 3, 4),
        "SEMTIMEDOP": (1, 4, 2, 5),
        "MSGSND": (1, 4, 2, 3),
        "MSGRCV": (1, 4, 2, 5, 3),
        "MSGGET": (1, 2),
        "MSGCTL": (1, 2, 4),
        "SHMAT": (1, 4, 2),
        "SHMDT": (4,),
        "SHMGET": (1, 2, 3),
        "SHMCTL": (1, 2, 4),
    }
)
"""Call of ipc(2) -> where its arguments are: after the first one come three numbers, a pointer and one more."""

_VERSION_PLACE: Final = 16
_THROUGH_IPC: Final = 1 << 64
"""In a register that semctl(2) has no use for: no program can put it there."""


def _behind(scene: Scene) -> tuple[str, tuple[int, ...]] | None:
    """Return the call that ipc(2) stands for, with its arguments as that call has them."""
    name = names("ipc_call", scene.arch).get(scene.registers[0] & 0xFFFF)
    if name is None:
        return None
    # s390 has no sixth argument: the fourth is there for it.
    given = (*scene.registers[:5], scene.registers[3]) if scene.arch is Arch.S390X else scene.registers
    registers = [*(given[place] for place in _BEHIND[name]), 0, 0, 0, 0, 0][:6]
    words = scene.words(scene.pointer(4), 2) if name in {"SEMCTL", "MSGRCV"} else []
    if name == "SEMCTL" and words:
        registers[3], registers[5] = words[0], _THROUGH_IPC
    elif name == "MSGRCV" and not scene.registers[0] >> _VERSION_PLACE & 0xFFFF and len(words) == 2:  # noqa: PLR2004  # the pair
        registers[1], registers[3] = words
    return name.lower(), tuple(registers)


def _call_number(scene: Scene, index: int) -> str:
    """Write the first argument of ipc(2) where no call is behind it: a version above the number."""
    version, number = divmod(scene.bits(index), 1 << _VERSION_PLACE)
    return f"{version}<<16|{number}" if version else str(number)


BEHIND: Final[Mapping[str, Multiplexer]] = MappingProxyType({"ipc": _behind})

ARGUMENTS: Final[Mapping[tuple[str, str], Printer]] = printers(
    ("ipc", "call", _call_number),
    ("ipc", "first", hexed),
    ("ipc", "second", hexed),
    ("ipc", "third", hexed),
    ("ipc", "ptr", hexed),
    ("ipc", "fifth", hexed),
    ("mq_getsetattr", "newattr", pointed(_attributes)),
    ("mq_open", "attr", pointed(_creation_attributes)),
    ("mq_open mq_unlink", "name", path),
    ("msgget semget shmget", "key", _key),
    ("msgget", "msgflg", _get_flags),
    ("semget", "semflg", _get_flags),
    ("shmget", "shmflg", _memory_flags),
    ("msgctl", "cmd", _command("msg_cmd")),
    ("semctl", "cmd", _command("sem_cmd")),
    ("shmctl", "cmd", _command("shm_cmd")),
    ("msgctl", "buf", pointed(_queue)),
    ("semctl", "arg", _semaphore_argument),
    ("shmctl", "buf", _set_or_address("shm_perm")),
    ("msgsnd", "msgp", pointed(_message)),
    ("semop semtimedop semtimedop_time64", "sops", _operations),
)

SHOWN: Final[Mapping[str, Selector]] = selectors(("mq_open", _mq_open))
