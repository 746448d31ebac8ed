"""Who made a call: on a terminal with real programs, and from stacks that are there to mislead."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from monitor.approve.wire import Json, WireError
from monitor.cli.debugger import Debugger
from monitor.cli.mapped import Mapping as Mapped
from monitor.cli.naming import RBP, RSP, UNKNOWN, Found, Rules, Symbol
from monitor.cli.places import MOST, places
from monitor.cli.symbolizer import Symbolizer
from tests.cli.test_symbols import KINDS, offset_of
from tests.terminal import Session

Compiled = Callable[..., str]
Debug = Callable[..., Session]

PLACE = re.compile(r"^ *(at|from) (.+?)\+0x([0-9a-f]+)(?: \((\S+)\+0x([0-9a-f]+)\))?\r?$", re.MULTILINE)


@pytest.fixture
def debug() -> Iterator[Debug]:
    made: list[Session] = []

    def begin(*argv: str) -> Session:
        made.append(Session([sys.executable, "-m", "monitor", "debug", "-b", "mkdir", "--", *argv], "/"))
        made[-1].hear("--- question 1")
        return made[-1]

    yield begin
    for session in made:
        session.close()


def shown(session: Session, typed: str = "") -> list[tuple[str, str, int, str, int]]:
    """Return the places up to the next prompt: how, in what, at which offset, the function, and how far into it."""
    if typed:
        session.say(typed)
    found = PLACE.findall(session.hear("(debug) "))
    return [(how, file, int(offset, 16), name, int(into or "0", 16)) for how, file, offset, name, into in found]


def answered(session: Session) -> None:
    session.say("deny\n")
    session.status()


# ---- real programs ----


@pytest.mark.parametrize("kind", ["PIE", "non-PIE", "static", "static PIE"])
def test_a_call_is_shown_with_the_functions_that_led_to_it(compiled: Compiled, debug: Debug, kind: str) -> None:
    """Each at the line of its source that addr2line has."""
    path = compiled("w_places", "-O2", *KINDS[kind])
    session = debug(path, "/tmp/never-made")
    first = shown(session)
    whole = shown(session, "where\n")
    answered(session)

    assert [(how, name) for how, _, _, name, _ in first] == [
        ("at", "mkdir"), ("from", "load_config"), ("from", "set_up"),
    ]  # fmt: skip
    assert whole[:3] == first
    assert whole[3][3] == "main"
    assert "libc.so.6" in first[0][1] or "static" in kind
    for _, file, offset, name, into in whole[1:4]:
        assert file == os.path.realpath(path)
        assert offset - into == offset_of(path, name)
    assert source_line(path, whole[1]) == "return mkdir(name, 0700) + 1;"
    assert source_line(path, whole[2]) == "return load_config(name) * 2;"


def source_line(path: str, place: tuple[str, str, int, str, int]) -> str:
    """Return the line of the source behind *place*, a return address, as addr2line has it by section and offset."""
    _, _, _, name, into = place
    nm = subprocess.run(["nm", path], capture_output=True, text=True, check=True).stdout
    (start,) = (int(line.split()[0], 16) for line in nm.splitlines() if line.split()[-1] == name)
    words = ["addr2line", "-e", path, f"{start + into - 1:#x}"]
    file, _, line = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()[0].partition(":")
    return Path(file).read_text().splitlines()[int(line) - 1].strip()


def test_a_function_that_keeps_its_frame_in_a_register_that_nobody_tells_ends_it(
    compiled: Compiled, debug: Debug
) -> None:
    session = debug(compiled("w_places", "-O0", "-fno-omit-frame-pointer"), "/tmp/never-made")
    found = shown(session, "")
    whole = shown(session, "whe\n")
    answered(session)

    assert [name for *_, name, _ in found] == ["mkdir", "load_config"]
    assert whole == found


def test_what_is_stripped_is_shown_by_its_offset(compiled: Compiled, debug: Debug) -> None:
    path = compiled("w_places", "-O2", "-s")
    session = debug(path, "/tmp/never-made")
    found = shown(session)
    answered(session)

    assert [(file, name) for _, file, _, name, _ in found[1:]] == [(os.path.realpath(path), "")] * 2


def test_the_registers_have_the_stack_pointer(compiled: Compiled, debug: Debug) -> None:
    session = debug(compiled("w_places"), "/tmp/never-made")
    session.hear("(debug) ")
    session.say("regs\n")
    pointer = int(re.findall(r"sp   (0x[0-9a-f]+)", session.hear("(debug) "))[0], 16)
    session.say("maps\n")
    stack = re.findall(r"([0-9a-f]+)-([0-9a-f]+) .*\[stack\]", session.hear("(debug) "))[0]
    answered(session)

    assert int(stack[0], 16) <= pointer < int(stack[1], 16)


def test_a_program_that_was_replaced_meanwhile_gets_no_names_of_another(
    compiled: Compiled, debug: Debug, tmp_path: Path
) -> None:
    path = tmp_path / "program"
    path.write_bytes(Path(compiled("w_places", "-O2", *KINDS["PIE"])).read_bytes())
    path.chmod(0o755)
    script = f"{path} /tmp/never-made wait"
    other = tmp_path / "other"
    other.write_bytes(Path(compiled("t_hello")).read_bytes())
    made = Session([sys.executable, "-m", "monitor", "debug", "-b", "mkdir", "--", "sh", "-c", script], "/")
    try:
        while b"/program\n" not in b"".join(maps_of_children(made.pid)):
            pass
        other.rename(path)
        made.say("\n")
        made.hear("--- question 1")
        found = shown(made)
        answered(made)
    finally:
        made.close()

    assert [name for *_, name, _ in found][1:] in (["load_config", "set_up"], [""])  # who may follow map_files has it


def maps_of_children(pid: int) -> Iterator[bytes]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                session = int((entry / "stat").read_text().rpartition(")")[2].split()[3])
                if session == pid:
                    yield (entry / "maps").read_bytes()
            except OSError:
                continue


def test_what_reads_elf_files_is_loaded_by_nobody_who_supervises_or_types() -> None:
    code = "import sys, monitor.cli.debug, monitor.cli.debugger, monitor.cli.ruling; print('elftools' in sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"


def test_who_has_had_enough_of_places_is_asked_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_arguments: Any) -> Iterator[str]:
        yield "at /code+0x100"
        raise KeyboardInterrupt

    said: list[str] = []
    debugger = Debugger.__new__(Debugger)
    monkeypatch.setattr("monitor.cli.debugger.places", slow)
    monkeypatch.setattr(Debugger, "_say", lambda _self, text: said.append(text))
    monkeypatch.setattr(debugger, "_symbolizer", None, raising=False)
    debugger._say_places({}, 3, "  ")

    assert said == ["  at /code+0x100", ""]


# ---- stacks that mislead ----

CODE = "1000-2000 r-xp 00000000 08:01 5 /code"
DATA = "3000-4000 rw-p 00000000 08:01 5 /code"


class Thread:
    """What the supervisor would tell of a thread."""

    def __init__(self, stack: dict[int, int], *, start: int = 0x1100, pointer: int = 0x8000) -> None:
        self.stack = stack
        self.place: Json = {"instruction_pointer": hex(start), "stack_pointer": hex(pointer)}
        self.lines = [CODE, DATA, "5000-6000 r-xp 00000000 00:00 0"]
        self.looks = 0

    def __call__(self, word: str, number: int, **fields: Json) -> Json:
        self.looks += 1
        if word == "place":
            return self.place
        address = fields["address"]
        assert isinstance(address, int)
        if word == "maps":
            ranges = [[int(one, 16) for one in line.split()[0].split("-")] for line in self.lines]
            return [line for line, (low, high) in zip(self.lines, ranges, strict=True) if low <= address < high]
        assert (word, fields["length"]) == ("mem", 8)
        if address not in self.stack:
            message = "nothing there"
            raise WireError(message)
        return (self.stack[address] % (1 << 64)).to_bytes(8, "little").hex()


def walked(thread: Thread, rules: Mapping[int, Rules | None], **question: Any) -> list[str]:
    """Return what is shown where *rules* hold, by offset; where there are none the function is not known either."""

    def read(_tid: int, _mapping: Mapped, offset: int) -> Found:
        return Found(Symbol(b"f\x1b", offset), rules[offset]) if offset in rules else UNKNOWN

    with closing(Symbolizer(read)) as symbolizer:
        return list(places(thread, symbolizer, {"question": 1, "tid": 7, "arch": "x86_64", **question}))


LEAF = Rules(RSP, 8, -8, None, keeps_rbp=True)


def test_names_are_escaped() -> None:
    assert walked(Thread({}), {0xFF: LEAF}) == [r"at /code+0x100 (f\33+0x100)"]


def test_a_stack_that_leads_back_to_itself_ends_after_so_many() -> None:
    thread = Thread(dict.fromkeys(range(32768, 36864, 8), 4352))

    assert len(walked(thread, {0xFF: LEAF})) == MOST == 16
    assert thread.looks < 4 * MOST


@pytest.mark.parametrize(
    "rules",
    [
        Rules(RSP, 0, -8, None, keeps_rbp=True),  # a frame that is where the last one is
        Rules(RSP, -64, -8, None, keeps_rbp=True),  # ... or below it
        Rules(RSP, 1 << 70, -8, None, keeps_rbp=True),  # ... or nowhere
        Rules(RSP, 8, -(1 << 70), None, keeps_rbp=True),
        Rules(RBP, 16, -8, None, keeps_rbp=True),  # a register that nobody tells
        None,
    ],
)
def test_a_frame_that_cannot_be_is_not_followed(rules: Rules | None) -> None:
    thread = Thread(dict.fromkeys(range(28672, 36864, 8), 4352))

    assert len(walked(thread, {0xFF: rules})) == 1


@pytest.mark.parametrize("back", [0, 1, 0x3100, 0x7000, (1 << 64) - 1])
def test_only_code_is_shown_as_what_called(back: int) -> None:
    assert len(walked(Thread({0x8000: back}), {0xFF: LEAF})) == 1


def test_code_of_no_file_is_shown_as_such_and_ends_it() -> None:
    found = walked(Thread({0x8000: 0x5100, 0x8008: 0x1100}), {0xFF: LEAF})

    assert found[1:] == ["from [anonymous]+0x100"]


def test_a_register_that_lies_on_the_stack_is_followed_from_there() -> None:
    """One function saves it and calls with another frame; the next counts its own frame from it."""
    pushes = Rules(RSP, 16, -8, -16, keeps_rbp=False)
    counts = Rules(RBP, 16, -8, -16, keeps_rbp=False)
    stack = {0x8000: 0x8100, 0x8008: 0x1200, 0x8100: 0x8200, 0x8108: 0x1300, 0x8208: 0x1400}
    rules = {0xFF: pushes, 0x1FF: counts, 0x2FF: counts}
    loses = {**rules, 0x1FF: Rules(RBP, 16, -8, None, keeps_rbp=False)}

    assert [one.split(" (")[0] for one in walked(Thread(stack), rules)] == [
        "at /code+0x100", "from /code+0x200", "from /code+0x300", "from /code+0x400",
    ]  # fmt: skip
    assert len(walked(Thread(stack), loses)) == 3


def test_of_another_abi_nothing_but_the_place_is_shown() -> None:
    assert len(walked(Thread({0x8000: 0x1200}), {0xFF: LEAF}, arch="i386")) == 1


def test_a_place_that_is_not_mapped_is_shown_as_a_number() -> None:
    assert walked(Thread({}, start=0x9999), {}) == ["at 0x9999"]
    assert walked(Thread({}, start=0), {}) == ["at 0x0"]
