"""
Asynchronous I/O: the control blocks of io_submit(2), and io_uring(7).

What it is not: the entries of a ring, which never pass a call.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from monitor.abi.constants import names, values
from monitor.abi.words import word
from monitor.errors import TargetMemoryError
from monitor.notify.render.kinds import Printer, elements, hidden, pointed, vector
from monitor.notify.render.layout import Fields, Layout
from monitor.notify.render.limits import ioprio
from monitor.notify.render.scene import Scene
from monitor.notify.render.signals import sigset
from monitor.notify.render.table import Selector, printers, selectors
from monitor.notify.render.text import address, hexadecimal, structure

# ---- control blocks ----

# Which half of 64 bits the key is hangs on the byte order; so do rw_flags.
_REST: Final = "H:opcode h:reqprio I:fd Q:buf Q:nbytes q:offset Q:_ I:flags I:resfd"
_BLOCK_LITTLE: Final = Layout(f"Q:data I:key I:rw_flags {_REST}")
_BLOCK_BIG: Final = Layout(f"Q:data I:rw_flags I:key {_REST}")


def _block(scene: Scene, start: int) -> Fields:
    return scene.struct(start, _BLOCK_LITTLE if scene.order == "little" else _BLOCK_BIG)


def _head(scene: Scene, fields: Fields) -> list[tuple[str, str]]:
    shown = [("aio_data", hexadecimal(fields["data"]))]
    if fields["key"]:
        shown.append(("aio_key", str(fields["key"])))
    if fields["rw_flags"]:
        shown.append(("aio_rw_flags", word("rwf", fields["rw_flags"], scene.arch)))
    opcode = fields["opcode"]
    name = names("aio_command", scene.arch).get(opcode, f"{opcode} /* IOCB_CMD_??? */")
    shown.append(("aio_lio_opcode", name))
    if fields["flags"] & values("aio_flag", scene.arch)["IOCB_FLAG_IOPRIO"]:
        shown.append(("aio_reqprio", ioprio(fields["reqprio"] % (1 << 16), scene.arch)))
    elif fields["reqprio"]:
        shown.append(("aio_reqprio", str(fields["reqprio"])))
    return [*shown, ("aio_fildes", _fd(scene, fields["fd"]))]


def _fd(scene: Scene, number: int) -> str:
    return scene.fd(number - (1 << 32) if number >> 31 else number)


def _tail(scene: Scene, fields: Fields) -> list[tuple[str, str]]:
    shown: list[tuple[str, str]] = []
    flags, resfd = fields["flags"], fields["resfd"]
    if flags:
        shown.append(("aio_flags", word("aio_flag", flags, scene.arch)))
    if flags & values("aio_flag", scene.arch)["IOCB_FLAG_RESFD"]:
        shown.append(("aio_resfd", _fd(scene, resfd)))
    elif resfd:
        shown.append(("aio_resfd", hexadecimal(resfd)))
    return shown


def _request(scene: Scene, start: int) -> str:
    fields = _block(scene, start)
    shown = _head(scene, fields)
    place, size = fields["buf"], fields["nbytes"]
    sane = place < 1 << 8 * scene.word and size < 1 << 8 * scene.word - 1
    offset = ("aio_offset", str(fields["offset"]))
    match names("aio_command", scene.arch).get(fields["opcode"]):
        case "IOCB_CMD_PREAD" | "IOCB_CMD_PWRITE" as name:
            written = name == "IOCB_CMD_PWRITE" and sane
            data = scene.buffer(place, size) if written else hexadecimal(place)
            shown += [("aio_buf", data), ("aio_nbytes", str(size)), offset, *_tail(scene, fields)]
        case "IOCB_CMD_PREADV" | "IOCB_CMD_PWRITEV" as name:
            if sane:
                shown.append(("aio_buf", _vector(scene, place, size, show_data=name == "IOCB_CMD_PWRITEV")))
            else:
                shown += [("aio_buf", hexadecimal(place)), ("aio_nbytes", str(size))]
            shown += [offset, *_tail(scene, fields)]
        case "IOCB_CMD_POLL":
            shown += [("aio_buf", word("poll", place, scene.arch)), *_tail(scene, fields)]
        case _:
            pass
    return structure(shown)


def _vector(scene: Scene, start: int, count: int, *, show_data: bool) -> str:
    try:
        return vector(scene, start, count, show_data=show_data) if start else "NULL"
    except TargetMemoryError:
        return address(start)


def _cancelled(scene: Scene, start: int) -> str:
    return structure(_head(scene, _block(scene, start)))


def _requests(scene: Scene, index: int) -> str:
    start, count = scene.pointer(index), scene.get("nr")
    return elements(scene, start, count, scene.word, lambda data: _one(scene, data))


def _one(scene: Scene, data: bytes) -> str:
    start = int.from_bytes(data, scene.order)
    try:
        return _request(scene, start)
    except TargetMemoryError:
        return address(start)


_SIGNALS: Final = Layout("P:sigmask P:sigsetsize")


def _signals(scene: Scene, start: int) -> str:
    fields = scene.struct(start, _SIGNALS)
    mask = sigset_or_address(scene, fields["sigmask"], fields["sigsetsize"])
    return structure([("sigmask", mask), ("sigsetsize", str(fields["sigsetsize"]))])


def sigset_or_address(scene: Scene, start: int, size: int) -> str:
    """Write the set of signals that another struct points to."""
    try:
        return sigset(scene, start, size)
    except TargetMemoryError:
        return address(start)


# ---- io_uring ----

_PARAMETERS: Final = Layout("I:sq_entries I:cq_entries I:flags I:cpu I:idle I:features I:wq_fd I:r0 I:r1 I:r2 80s")


def _parameters(scene: Scene, start: int) -> str:
    """Write what io_uring_setup(2) is asked for; the rest is the kernel's answer."""
    fields = scene.struct(start, _PARAMETERS)
    flags = fields["flags"]
    shown = [
        ("flags", word("io_uring_setup", flags, scene.arch)),
        ("sq_thread_cpu", hexadecimal(fields["cpu"])),
        ("sq_thread_idle", str(fields["idle"])),
    ]
    if flags & values("io_uring_setup", scene.arch)["IORING_SETUP_ATTACH_WQ"]:
        shown.append(("wq_fd", _fd(scene, fields["wq_fd"])))
    reserved = [fields[name] for name in ("r0", "r1", "r2")]
    if any(reserved):
        shown.append(("resv", f"[{', '.join(map(hexadecimal, reserved))}]"))
    return structure(shown)


def _wait_argument(scene: Scene, index: int) -> str:
    start = scene.pointer(index)
    return sigset(scene, start, scene.get("argsz")) if start else "NULL"


ARGUMENTS: Final[Mapping[tuple[str, str], Printer]] = printers(
    ("io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_submit", "ctx_id", hidden),
    ("io_cancel", "iocb", pointed(_cancelled)),
    ("io_pgetevents io_pgetevents_time64", "usig", pointed(_signals)),
    ("io_submit", "iocbpp", _requests),
    ("io_uring_enter", "argp", _wait_argument),
    ("io_uring_setup", "p", pointed(_parameters)),
)

SHOWN: Final[Mapping[str, Selector]] = selectors()
