"""Names for places in ELF files: those that nm has, from the file that is mapped, and none from a damaged one."""

from __future__ import annotations

import errno
import mmap
import os
import resource
import shutil
import signal
import socket
import stat
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor import _native
from monitor.cli.frames import Frames
from monitor.cli.mapped import Mapping, mapping_of, opened
from monitor.cli.naming import RSP, UNKNOWN, Found, Rules, Symbol
from monitor.cli.symbolizer import MEMORY, MOST_DEATHS, Reader, Symbolizer
from monitor.cli.symbols import Functions, Image, _Function, debug_file

Compiled = Callable[..., str]

KINDS = {
    "PIE": ("-pie", "-fPIE"),
    "PIE without -g": ("-pie", "-fPIE", "-g0"),
    "non-PIE": ("-no-pie",),
    "static": ("-static",),
    "static PIE": ("-static-pie", "-fPIE"),
    "i386": ("-m32",),
}


@pytest.fixture(autouse=True)
def _dumpable() -> None:
    """A strict supervision in this process closes its /proc/self to an ordinary user, and that is read here."""
    _native.set_dumpable(dumpable=True)


def functions_by_nm(path: str) -> dict[int, set[str]]:
    """Return the names at each address at which nm has a function."""
    found: dict[int, set[str]] = {}
    lines = subprocess.run(["nm", "--defined-only", path], capture_output=True, text=True, check=True).stdout
    for address, kind, name in (line.split() for line in lines.splitlines()):
        if kind in "TtWi":
            found.setdefault(int(address, 16), set()).add(name)
    return found


@contextmanager
def image_of(path: str) -> Iterator[Image]:
    with Path(path).open("rb") as stream:
        yield Image(stream)


def mapping_for(path: str | Path, **changed: Any) -> Mapping:
    """Return a mapping of the file, as if somebody had it."""
    status = Path(path).stat()
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}"
    made = Mapping(
        start=0x1000,
        end=0x2000,
        executable=True,
        offset=0,
        device=device,
        inode=status.st_ino,
        name=os.fsencode(os.path.realpath(path)),
    )
    return attrs.evolve(made, **changed)


def offset_of(path: str, name: str) -> int:
    """Return where in the file the function begins: by nm, and by the program headers as readelf prints them."""
    (address,) = (where for where, names in functions_by_nm(path).items() if name in names)
    headers = subprocess.run(["readelf", "-lW", path], capture_output=True, text=True, check=True).stdout
    for fields in (line.split() for line in headers.splitlines()):
        if fields[:1] == ["LOAD"]:
            offset, start, _, size = (int(one, 16) for one in fields[1:5])
            if start <= address < start + size:
                return offset + address - start
    raise AssertionError(name)


# ---- the names ----


def asked(path: str | Path, offset: int, *, seconds: float = 3.0, debug: str | None = None) -> Found:
    """Return what is told of the file, and have it told within the time that there is."""
    begin = time.monotonic()
    with closing(Symbolizer(Reader(debug), seconds=seconds)) as symbolizer:
        found = symbolizer.at(os.getpid(), mapping_for(path), offset)
    assert time.monotonic() - begin < seconds + 5
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_each_function_has_a_name_that_nm_has_there(compiled: Compiled, kind: str) -> None:
    path = compiled("w_places", *KINDS[kind])
    there = functions_by_nm(path)
    with image_of(path) as image:
        functions = image.functions("SHT_SYMTAB")
        assert functions is not None
        found = {address: functions.at(address) for address in there}

    named = {address: symbol for address, symbol in found.items() if symbol is not None and symbol.into == 0}
    assert {address for address, symbol in named.items() if symbol.name.decode() not in there[address]} == set()
    assert {"load_config", "set_up", "main"} <= {symbol.name.decode() for symbol in named.values()}
    assert len(named) > 0.9 * len(there)  # nm has some that are no functions: their type says so


@pytest.mark.parametrize("kind", KINDS)
def test_an_offset_in_the_file_leads_to_the_function_that_addr2line_has(compiled: Compiled, kind: str) -> None:
    path = compiled("w_places", *KINDS[kind])
    into = offset_of(path, "load_config") + 5
    with image_of(path) as image:
        address = image.address_of(into)
        functions = image.functions("SHT_SYMTAB")
        assert address is not None
        assert functions is not None
        assert functions.at(address) == Symbol(b"load_config", 5)
    words = ["addr2line", "-f", "-e", path, f"{address:#x}"]

    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout.startswith("load_config\n")


def test_what_is_stripped_has_the_names_that_it_exports(compiled: Compiled) -> None:
    whole = compiled("w_places", "-rdynamic")
    exporting = compiled("w_places", "-rdynamic", "-s")
    at = {name: offset_of(whole, name) for name in ("load_config", "set_up")}
    found = {name: asked(exporting, at[name]).symbol for name in at}
    bare = [asked(compiled("w_places", "-s"), offset).symbol for offset in at.values()]

    assert bare == [None, None]
    assert found["load_config"] == Symbol(b"load_config", 0)
    assert found["set_up"] is None  # static, and behind what is exported ends there


def test_a_separate_file_has_the_names_of_what_was_stripped(compiled: Compiled, tmp_path: Path) -> None:
    whole = compiled("w_places", "-Wl,--build-id")
    other = compiled("w_places", "-Wl,--build-id", "-O2")
    stripped = str(tmp_path / "stripped")
    subprocess.run(["strip", "-o", stripped, whole], check=True)
    with image_of(stripped) as image:
        name = debug_file(image.build_id(), str(tmp_path))
    assert name is not None
    Path(name).parent.mkdir(parents=True)
    offset = offset_of(whole, "set_up")
    read = [asked(stripped, offset, debug=str(tmp_path)).symbol]
    for one in (other, whole):
        subprocess.run(["objcopy", "--only-keep-debug", one, name], check=True)
        read.append(asked(stripped, offset, debug=str(tmp_path)).symbol)

    assert read == [None, None, Symbol(b"set_up", 0)]  # nothing there; another program's; its own


@pytest.mark.parametrize("ident", ["", "ab", "../../etc/passwd", "abcd/../..", "ABCD"])
def test_a_build_id_that_is_none_leads_nowhere(ident: str) -> None:
    assert debug_file(ident) is None


def function(start: int, size: int, name: bytes, *, end: int = 0, local: bool = False) -> _Function:
    rank = local, len(name) - len(name.lstrip(b"_")), len(name)
    return _Function(start, start + size if size else end, size > 0, rank, name)


def test_a_function_ends_where_it_says_and_one_that_does_not_say_at_the_next() -> None:
    functions = Functions(
        tuple(
            sorted(
                [
                    function(10, 10, b"first"),
                    function(30, 0, b"bare", end=60),
                    function(40, 4, b"inner"),
                    function(70, 20, b"outer"),
                    function(75, 2, b"nested"),
                ]
            )
        )
    )
    claims = {
        9: None, 10: b"first", 19: b"first", 20: None, 29: None, 30: b"bare", 39: b"bare", 40: b"inner", 43: b"inner",
        44: None, 60: None, 74: b"outer", 76: b"nested", 77: b"outer", 90: None,
    }  # fmt: skip

    found = {address: functions.at(address) for address in claims}
    assert {address: symbol and symbol.name for address, symbol in found.items()} == claims


def test_of_several_names_people_know_the_plain_one() -> None:
    names = [(b"__openat64", False), (b"openat64", False), (b"openat", False), (b"op", True)]
    functions = Functions(tuple(sorted(function(10, 5, name, local=local) for name, local in names)))

    assert functions.at(11) == Symbol(b"openat", 1)


# ---- who called ----


@pytest.mark.parametrize("kind", ["PIE", "non-PIE", "static", "static PIE"])
def test_the_frame_of_a_leaf_that_pushed_nothing_is_above_its_return_address(compiled: Compiled, kind: str) -> None:
    path = compiled("w_places", *KINDS[kind])
    with image_of(path) as image:
        address = image.address_of(offset_of(path, "load_config"))
        assert address is not None
        assert Frames(image).rules_at(address) == Rules(RSP, 8, -8, None, keeps_rbp=True)


def test_another_machines_registers_are_not_followed(compiled: Compiled) -> None:
    path = compiled("w_places", "-m32")
    with image_of(path) as image:
        address = image.address_of(offset_of(path, "load_config"))
        assert address is not None
        assert Frames(image).rules_at(address) is None


# ---- the file that is mapped ----


@contextmanager
def waiting(path: Path) -> Iterator[tuple[int, Mapping]]:
    """Run *path* until it waits for a line; its number, and what it has mapped of its code."""
    words = [str(path), "/", "wait"]
    with subprocess.Popen(words, stdin=subprocess.PIPE) as process:
        try:
            found: list[Mapping] = []
            while not found:  # exec has happened when the map says so
                lines = Path(f"/proc/{process.pid}/maps").read_bytes().splitlines()
                found = [one for one in map(mapping_of, lines) if one.executable and one.name == os.fsencode(path)]
            yield process.pid, found[0]
        finally:
            process.kill()


@pytest.fixture
def program(compiled: Compiled, tmp_path: Path) -> Path:
    made = Path(os.path.realpath(tmp_path)) / "program"
    shutil.copy(compiled("w_places", *KINDS["PIE"]), made)
    return made


def by_name(mapping: Mapping) -> Mapping:
    """Return *mapping* with a range that nobody has: the file is found by its name alone."""
    return attrs.evolve(mapping, end=mapping.end + 0x1000)


@pytest.mark.parametrize("way", [by_name, lambda one: one])
def test_the_mapped_file_is_opened(program: Path, way: Callable[[Mapping], Mapping]) -> None:
    with waiting(program) as (pid, mapping):
        fd = opened(pid, way(mapping))
        assert fd is not None
        with os.fdopen(fd, "rb") as file:
            assert file.read() == program.read_bytes()


def replaced_by_another(path: Path) -> None:
    other = path.with_name("other")
    shutil.copy(path, other)
    other.rename(path)


def replaced_by_a_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def replaced_by_a_link(path: Path) -> None:
    path.rename(path.with_name("moved"))
    path.symlink_to(path.with_name("moved"))


@pytest.mark.parametrize("replace", [replaced_by_another, replaced_by_a_fifo, replaced_by_a_link, Path.unlink])
def test_what_has_taken_the_files_place_is_not_read(program: Path, replace: Callable[[Path], None]) -> None:
    with waiting(program) as (pid, mapping):
        whole = program.read_bytes()
        replace(program)
        assert opened(pid, by_name(mapping)) is None
        fd = opened(pid, mapping)  # the kernel's own link leads to the file itself, for who may follow it
        if fd is not None:
            with os.fdopen(fd, "rb") as file:
                assert file.read() == whole
                assert os.fstat(fd).st_ino == mapping.inode
                assert stat.S_ISREG(os.fstat(fd).st_mode)


def test_a_name_that_leads_to_no_file_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To open a device does something; what is found by its name is looked at before."""
    opens: list[str] = []
    plain = os.open

    def counted(path: Any, flags: int, *more: Any) -> int:
        if not flags & os.O_PATH:
            opens.append(str(path))
        return plain(path, flags, *more)

    monkeypatch.setattr(os, "open", counted)
    (tmp_path / "file").write_text("there")
    os.mkfifo(tmp_path / "fifo")
    fds = [opened(os.getpid(), mapping_for(path)) for path in ("/dev/zero", tmp_path / "fifo", tmp_path / "file")]
    for fd in fds:
        if fd is not None:
            os.close(fd)

    assert [fd is not None for fd in fds] == [False, False, True]
    assert len(opens) == 1


def test_a_file_system_whose_device_stat_does_not_say_is_known_by_its_maps(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As btrfs and overlayfs are."""
    with waiting(program) as (pid, mapping):
        other = attrs.evolve(mapping, inode=mapping.inode + 1)
        elsewhere = attrs.evolve(mapping, device="ff:ff")
        monkeypatch.setattr(os, "major", lambda _device: 0xABC)
        fds = [opened(pid, one) for one in (mapping, by_name(mapping), other, elsewhere)]
        for fd in fds:
            if fd is not None:
                os.close(fd)

    assert [fd is not None for fd in fds] == [True, True, False, False]


def test_a_line_of_a_map_is_read_whole() -> None:
    line = b"7f00-8f00 r-xp 00002000 fe:0f 12                      /a b/c\\012d (deleted)"

    assert mapping_of(line) == Mapping(0x7F00, 0x8F00, True, 0x2000, "fe:0f", 12, b"/a b/c\\012d (deleted)")
    assert mapping_of(b"7f00-8f00 rw-p 00000000 00:00 0").place(0x7F10) == "[anonymous]+0x10"
    assert mapping_of(b"7f00-8f00 rw-p 00000000 00:00 0  [vdso]").place(0x7F10) == "[vdso]+0x10"
    assert not mapping_of(b"7f00-8f00 rw-p 00000000 00:00 0  [vdso]").is_file
    with pytest.raises(ValueError, match="no line"):
        mapping_of(b"nonsense")


# ---- a file that is there to harm ----


def test_a_whole_file_is_read_and_the_last_ones_are_kept(program: Path) -> None:
    offset = offset_of(str(program), "load_config")
    with closing(Symbolizer()) as symbolizer:
        found = [symbolizer.at(os.getpid(), mapping_for(program), offset + into) for into in range(4)]

    assert [one.symbol for one in found] == [Symbol(b"load_config", into) for into in range(4)]
    assert asked(program, offset) == found[0]


@settings(max_examples=150)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.integers(0, 63), st.integers(0, 1 << 16)),
            st.sampled_from([b"\0", b"\xff", b"\x7f", bytes(8), b"\xff" * 8, b"\xff" * 7 + b"\x7f", b"\x01"]),
            st.booleans(),
        ),
        min_size=1,
        max_size=6,
    ),
    st.one_of(st.none(), st.integers(0, 1 << 14)),
)
def test_a_damaged_file_ends_nobody(
    compiled: Compiled, public_directory: Path, damages: list[tuple[int, bytes, bool]], cut: int | None
) -> None:
    path = compiled("w_places", *KINDS["PIE"])
    data = bytearray(Path(path).read_bytes())
    for at, what, from_the_end in damages:
        place = len(data) - 1 - at if from_the_end else at
        data[max(0, place) : max(0, place) + len(what)] = what
    damaged = public_directory / "damaged"
    damaged.write_bytes(data[:cut])

    found = asked(damaged, offset_of(path, "load_config"))
    assert found.symbol is None or isinstance(found.symbol.name, bytes)


HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
SECTION = struct.Struct("<IIQQQQIIQQ")
SEGMENT = struct.Struct("<IIQQQQQQ")


def elf(sections: list[tuple[int, ...]], *, count: int | None = None, segments: int = 1, kind: int = 1) -> bytes:
    """Return a file of x86-64 with one segment that is all of it, of *kind* PT_LOAD, and these sections."""
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    number = len(sections) if count is None else count
    header = HEADER.pack(ident, 3, 62, 1, 0, HEADER.size, 0x200, 0, 64, SEGMENT.size, segments, 64, number, 0)
    loaded = SEGMENT.pack(kind, 5, 0, 0, 0, 1 << 40, 1 << 40, 4)
    return (header + loaded).ljust(0x200, b"\0") + b"".join(SECTION.pack(*one) for one in sections)


NONE = (0,) * 10
HUGE = 1 << 62

HOSTILE = {
    "no bytes": b"",
    "one section without end": elf([(0, 0, 0, 0, 0, HUGE, 0, 0, 0, 0)], count=0),
    "a table of symbols without end": elf([NONE, (0, 2, 0, 0, 0, HUGE, 1, 0, 0, 24)]),
    "names that are nowhere": elf([NONE, (0, 2, 0, 0, 0x200, 240, 9, 0, 0, 24)]),
    "names that are themselves": elf([NONE, (0, 2, 0, 0, 0x200, 240, 1, 0, 0, 24)]),
    "names that are zeros without end": elf(
        [NONE, (0, 11, 0, 0, 0x200, 240, 2, 0, 0, 24), (0, 8, 0, 0, 0, HUGE, 0, 0, 0, 0)]
    ),
    "a compressed table": elf([NONE, (0, 2, 1 << 11, 0, 0x200, 240, 1, 0, 0, 24)]),
    "more segments than there are": elf([NONE], segments=0xFFFE),
    "segments counted in a section": elf([(0, 0, 0, 0, 0, 0, 0, 0xFFFFFFFF, 0, 0)], segments=0xFFFF),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_was_made_to_harm_has_no_names(public_directory: Path, name: str) -> None:
    path = public_directory / "hostile"
    path.write_bytes(HOSTILE[name])

    assert asked(path, 0x210).symbol is None


def test_a_file_of_a_terabyte_has_no_names(public_directory: Path) -> None:
    """Its notes are zeros for ever, and so are its symbols."""
    path = public_directory / "sparse"
    path.write_bytes(elf([NONE, (0, 2, 0, 0, 0x1000, 1 << 39, 0, 0, 0, 24)], kind=4))  # PT_NOTE
    os.truncate(path, 1 << 40)
    try:
        assert asked(path, 0x210, seconds=0.5) == UNKNOWN
    finally:
        path.unlink()


def never_ends(_tid: int, _mapping: Mapping, _offset: int) -> Found:
    while True:
        pass


def eats(_tid: int, _mapping: Mapping, _offset: int) -> Found:
    data = bytearray(1 << 20)
    while True:
        data += data


def recurses(_tid: int, _mapping: Mapping, _offset: int) -> Found:
    return recurses(_tid, _mapping, _offset)


def dies(_tid: int, _mapping: Mapping, _offset: int) -> Found:
    os.abort()


def closes(_tid: int, _mapping: Mapping, _offset: int) -> Found:
    with socket.socket(fileno=3) as told:
        told.sendall(b"nonsense\n")
    return UNKNOWN


@pytest.mark.parametrize("harm", [never_ends, eats, recurses, dies, closes])
def test_whatever_the_reader_dies_of_costs_one_file_its_names(program: Path, harm: Callable[..., Found]) -> None:
    good = mapping_for(program)
    bad = attrs.evolve(good, inode=1)

    def read(tid: int, mapping: Mapping, offset: int) -> Found:
        return harm(tid, mapping, offset) if mapping.inode == 1 else Reader()(tid, mapping, offset)

    offset = offset_of(str(program), "load_config")
    with closing(Symbolizer(read, seconds=1.0)) as symbolizer:
        assert symbolizer.at(os.getpid(), bad, offset) == UNKNOWN
        begin = time.monotonic()
        assert symbolizer.at(os.getpid(), bad, offset) == UNKNOWN  # and nobody waits for it once more
        assert time.monotonic() - begin < 0.5
        assert symbolizer.at(os.getpid(), good, offset).symbol == Symbol(b"load_config", 0)


def test_after_so_many_files_to_die_of_none_is_read_any_more(program: Path) -> None:
    with closing(Symbolizer(dies)) as symbolizer:
        for number in range(1, MOST_DEATHS + 1):
            assert symbolizer.at(os.getpid(), mapping_for(program, inode=number), 0) == UNKNOWN
        symbolizer._read = Reader()
        offset = offset_of(str(program), "load_config")
        assert symbolizer.at(os.getpid(), mapping_for(program), offset) == UNKNOWN


def test_a_file_of_another_kind_is_not_one_to_die_of(program: Path, tmp_path: Path) -> None:
    with closing(Symbolizer()) as symbolizer:
        for number in range(2 * MOST_DEATHS):
            other = tmp_path / f"other-{number}"
            other.write_bytes(b"MZ" + bytes(number))
            assert symbolizer.at(os.getpid(), mapping_for(other), 0) == UNKNOWN
        offset = offset_of(str(program), "load_config")
        assert symbolizer.at(os.getpid(), mapping_for(program), offset).symbol == Symbol(b"load_config", 0)


def test_where_no_process_can_be_made_there_are_no_names_and_later_there_are(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> int:
        raise OSError(errno.EAGAIN, "no more processes")

    offset = offset_of(str(program), "load_config")
    with closing(Symbolizer()) as symbolizer:
        with monkeypatch.context() as patched:
            patched.setattr(os, "fork", none)
            assert symbolizer.at(os.getpid(), mapping_for(program), offset) == UNKNOWN
        assert symbolizer.at(os.getpid(), mapping_for(program), offset).symbol == Symbol(b"load_config", 0)


def test_who_does_not_want_to_wait_need_not(program: Path) -> None:
    def read(_tid: int, _mapping: Mapping, _offset: int) -> Found:
        os.kill(os.getppid(), signal.SIGINT)
        return never_ends(_tid, _mapping, _offset)

    with closing(Symbolizer(read, seconds=30)) as symbolizer:
        with pytest.raises(KeyboardInterrupt):
            symbolizer.at(os.getpid(), mapping_for(program), 0)
        symbolizer._read = Reader()
        offset = offset_of(str(program), "load_config")
        assert symbolizer.at(os.getpid(), mapping_for(program), offset).symbol == Symbol(b"load_config", 0)


def test_the_reader_has_no_more_memory_than_it_is_given(program: Path) -> None:
    def read(_tid: int, _mapping: Mapping, _offset: int) -> Found:
        return Found(Symbol(b"limit", resource.getrlimit(resource.RLIMIT_AS)[0]))

    with closing(Symbolizer(read)) as symbolizer:
        found = symbolizer.at(os.getpid(), mapping_for(program), 0).symbol
    assert found is not None
    assert 0 < found.into - MEMORY < 1 << 40


def test_the_reader_has_room_however_much_the_debugger_takes(program: Path) -> None:
    """Each thread takes some 70 MiB of addresses: its stack, and malloc's arena (mallopt(3), M_ARENA_MAX)."""

    def read(_tid: int, _mapping: Mapping, _offset: int) -> Found:
        return Found(Symbol(b"bytes", len(bytearray(MEMORY // 4))))

    with mmap.mmap(-1, 2 * MEMORY, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ), closing(Symbolizer(read)) as ours:
        assert ours.at(os.getpid(), mapping_for(program), 0).symbol == Symbol(b"bytes", MEMORY // 4)


def test_the_reader_has_none_of_the_debuggers_descriptors_and_ends_with_it(program: Path) -> None:
    def read(_tid: int, _mapping: Mapping, _offset: int) -> Found:
        there = sorted(os.listdir("/proc/self/fd"), key=int)  # noqa: PTH208
        return Found(Symbol(" ".join(there[:-1]).encode(), os.getpid()))

    ours, theirs = socket.socketpair()
    with ours, theirs, closing(Symbolizer(read)) as symbolizer:
        found = symbolizer.at(os.getpid(), mapping_for(program), 0).symbol
    assert found is not None
    assert found.name == b"0 1 2 3"
    assert not Path(f"/proc/{found.into}").exists()
