"""Remembered answers and real programs: what they answer, while it runs, too, and that no program answers itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

import monitor
from monitor.events.record import CallAnswered
from monitor.events.strace import call_text
from monitor.origin import Origin
from monitor.policy.grants import suggested, with_grants
from monitor.policy.grants_file import GrantsFile
from monitor.policy.tables import Grants
from monitor.policy.text import loads, loads_grants
from tests.kernel.test_files import HEAD as FILES
from tests.kernel.test_files import SYSTEM, Ran, ran

CALLS = '[policy]\nversion = 1\n[[syscalls]]\nnames = ["mkdir", "socket"]\naction = "ask"\nerrno = "EBUSY"\n'

SECONDS = 20


def policy(source: str, granted: str) -> monitor.Policy:
    given = loads(source, Origin("test.toml"))
    return with_grants(given, loads_grants(granted, Origin("grants.toml")), "/nowhere/grants.toml")


def grant(call: str, more: str = "", verdict: str = "allow") -> str:
    return f'[[grants]]\ncall = "{call}"\nverdict = "{verdict}"\n{more}\n'


def by_grant(done: Ran) -> list[CallAnswered]:
    return [call for call in done.calls if call.by == "grant"]


# ---- what is answered ----


async def test_a_rule_that_asks_is_answered_for_the_program_that_was_granted(tmp_path: Path) -> None:
    program = shutil.which("mkdir")
    assert program is not None
    given = policy(CALLS, grant("mkdir", f'program = "{Path(program).resolve()}"'))
    python = f"{sys.executable} -c 'import os; os.mkdir(\"{tmp_path}/b\")'"
    done = await ran(given, f"mkdir {tmp_path}/a; {python}; ls {tmp_path}")

    assert done.output.endswith("a\n")
    assert "Device or resource busy" in done.output
    (one,) = by_grant(done)
    assert (one.verdict, str(one.rule), one.name) == (monitor.Allow(), "grants.toml:1", "mkdir")


async def test_an_answer_about_one_kind_of_socket_opens_no_other() -> None:
    given = policy(CALLS, grant("socket", 'when = "domain == AF_INET"'))
    each = "  try: socket.socket(family); print('made')\n  except OSError as e: print(e.errno)"
    script = f"import socket\nfor family in 2, 10:\n{each}"
    done = await ran(given, f'{sys.executable} -c "{script}"')

    assert done.output.split() == ["made", "16"]


async def test_a_suggestion_of_what_was_refused_is_enough_the_next_time(tmp_path: Path) -> None:
    """A program runs, is refused, and what would remember an answer to each refusal is all that it needs."""
    path = tmp_path / "note"
    path.write_text("old\n")
    source = FILES + SYSTEM.replace(", READ", "") + f'ask = ["{tmp_path}"]\n'
    script = f"cat {path}"
    first = await ran(policy(source, ""), script)
    refused = [
        call for call in first.calls if call.path == os.fsencode(path) and isinstance(call.verdict, monitor.Deny)
    ]
    found = [
        suggested(
            call=call.name, arch=call.arch, registers=call.args, exe=os.fsencode(os.path.realpath("/bin/cat")),
            path=call.path, access={call.access}, verdict="allow",
        )
        for call in refused
    ]  # fmt: skip
    grants = Grants(tuple(one for one in found if one is not None))
    second = await ran(with_grants(policy(source, ""), grants, "/nowhere/g.toml"), f"{script}; head -1 {path}")

    assert "Permission denied" in first.output
    assert second.output.startswith("old\n")
    assert second.output.count("Permission denied") == 1  # that of head(1)


async def test_who_may_read_a_file_may_not_open_it_for_both(tmp_path: Path) -> None:
    path = tmp_path / "note"
    path.write_text("old\n")
    source = FILES + SYSTEM.replace(", READ", "") + f'ask = ["{tmp_path}"]\n'
    given = policy(source, grant("openat", f'paths = ["{path}"]\naccess = ["read"]'))
    done = await ran(given, f"cat < {path}; (echo new <> {path} >&0) ; cat < {path}")

    assert done.output.replace("old\n", "").count("Permission denied") == 1
    assert path.read_text() == "old\n"
    assert {(str(call.rule), call.access) for call in by_grant(done)} == {("grants.toml:1", "read")}
    (refusal,) = done.refused(path)
    assert "<denied: test.toml:" in refusal


async def test_an_answer_about_a_call_is_none_about_what_it_is_used_on(tmp_path: Path) -> None:
    """A rule asks about mkdir(2), and a table about a name; both have to be answered."""
    for name in ("mine", "asked", "other"):
        (tmp_path / name).mkdir()
    system = SYSTEM.replace(", READ", "")
    tables = f'{FILES}{system}write = ["{tmp_path}/mine"]\nask = ["{tmp_path}/asked"]\n'
    source = f'{tables}[[syscalls]]\nnames = ["mkdir"]\naction = "ask"\n'
    script = f"for each in mine asked other; do mkdir {tmp_path}/$each/made; done"
    about_calls, about_names = grant("mkdir"), grant("mkdir", f'paths = ["{tmp_path}/asked"]')
    made = {}
    for granted in ("", about_calls, about_names, about_calls + about_names):
        done = await ran(policy(source, granted), script)
        made[granted] = sorted(one.parent.name for one in tmp_path.glob("*/made"))
        for one in tmp_path.glob("*/made"):
            one.rmdir()

    assert list(made.values()) == [[], ["mine"], [], ["asked", "mine"]]
    by_name = {Path(os.fsdecode(one.path or b"")).parent.name: str(one.rule) for one in by_grant(done)}
    assert by_name == {"mine": "grants.toml:1", "asked": "grants.toml:5"}


async def test_observed_an_ask_is_told_as_one_and_what_a_grant_answers_as_what_it_is(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(f"{name}\n")
    source = FILES + SYSTEM.replace(", READ", "") + f'ask = ["{tmp_path}"]\n'
    granted = grant("openat", f'paths = ["{tmp_path}/a"]') + grant("openat", f'paths = ["{tmp_path}/b"]', "deny")
    done = await ran(policy(source, granted), f"cd {tmp_path}; cat < a; cat < b; cat < c", observe=True)

    assert done.output == "a\nb\nc\n"
    said = {name: [call_text(call) for call in done.of(tmp_path / name) if call.name == "openat"] for name in "abc"}
    assert not any("would" in line for line in said["a"])
    assert any("<observed: would deny with EACCES: grants.toml:5, read " in line for line in said["b"])
    assert any("<observed: would ask" in line for line in said["c"])


@pytest.mark.root
async def test_a_program_that_was_mounted_over_another_one_is_not_that_one(tmp_path: Path) -> None:
    """In a mount namespace of its own a program has any name it likes; what executes there has that name here, too."""
    cat, mkdir = Path("/bin/cat").resolve(), Path("/bin/mkdir").resolve()
    given = policy(CALLS, grant("mkdir", f'program = "{cat}"'))
    script = (
        f"unshare -m sh -c 'mount --bind {mkdir} {cat} && readlink -f {cat} && {cat} {tmp_path}/made'; ls {tmp_path}"
    )
    done = await ran(given, script)

    assert done.output.startswith(f"{cat}\n")
    assert "Device or resource busy" in done.output
    assert not (tmp_path / "made").exists()


# ---- while it runs ----


@contextmanager
def running(*words: str | Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "monitor", "run", *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def trying(made: Sequence[str], *, seconds: float) -> list[str]:
    """Return a shell that tries to do what *made* says again and again, says when it began, and when it could."""
    again = f"n=$((n+1)); [ $n -gt {int(seconds * 10)} ] && exit 9; sleep 0.1"
    return ["/bin/sh", "-c", f"echo began; n=0; until {' '.join(made)} 2>/dev/null; do {again}; done; echo could"]


@pytest.fixture
def asking(tmp_path: Path) -> Path:
    """A policy under which files below one directory may be written, and another is asked about."""
    for name in ("project", "asked"):
        (tmp_path / name).mkdir()
    (tmp_path / "asked" / "note").write_text("read me\n")
    path = tmp_path / "policy.toml"
    system = SYSTEM.replace(", READ", "")
    path.write_text(f'{FILES}{system}write = ["{tmp_path}/project"]\nask = ["{tmp_path}/asked"]\n')
    return path


def test_a_grant_that_is_added_while_a_program_runs_answers_it(asking: Path) -> None:
    note, given = asking.parent / "asked" / "note", asking.parent / "project" / "grants.toml"
    program = os.path.realpath("/bin/cat")
    with running("-p", asking, "--grants", given, "--", *trying(["/bin/cat", str(note)], seconds=SECONDS)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "began\n"
        time.sleep(0.3)
        for call in ("openat", "open"):
            one = suggested(
                call=call, arch=monitor.Arch.native(), registers=(0,) * 6, exe=os.fsencode(program), verdict="allow",
                path=os.fsencode(note), access={"read"},
            )  # fmt: skip
            if one is not None:
                GrantsFile(given).add(one)
        assert process.stdout.read() == "read me\ncould\n"
        assert process.wait() == 0


def test_no_program_makes_or_changes_the_file_that_answers_for_it(asking: Path) -> None:
    """It may write the directory where the file is, or will be."""
    project = asking.parent / "project"
    note, given = asking.parent / "asked" / "note", project / "grants.toml"
    text = grant("openat", f'paths = ["{note}"]').replace('"', '\\"')
    for there in (False, True):
        if there:
            given.write_text("")
        tries = (
            f'cd {project}; (echo "{text}" > other) && for i in 1 2; do cat other > grants.toml; mv other grants.toml;'
        )
        tries += f" ln -sf other grants.toml; ln other grants.toml; mv {project} {project}2; done"
        loop = trying(["/bin/cat", str(note)], seconds=4)[2]
        with running("-p", asking, "--grants", given, "--", "/bin/sh", "-c", f"{tries}; {loop}") as process:
            out, err = process.communicate(timeout=SECONDS)

        assert out == "began\n", err
        assert process.returncode == 9
        assert given.exists() is there
        assert not there or given.read_text() == ""


def test_without_files_a_program_that_writes_the_file_answers_nothing(tmp_path: Path) -> None:
    policy_file, given, made = tmp_path / "policy.toml", tmp_path / "grants.toml", tmp_path / "made"
    policy_file.write_text(CALLS)
    given.write_text("")
    text = grant("mkdir").replace('"', '\\"')
    loop = trying(["mkdir", str(made)], seconds=4)[2]
    script = f'echo "{text}" > {given}; {loop}'
    with running("-p", policy_file, "--grants", given, "--", "/bin/sh", "-c", script) as process:
        out, err = process.communicate(timeout=SECONDS)

    assert (out, process.returncode) == ("began\n", 9)
    assert 'call = "mkdir"' in given.read_text()
    assert err.count(f"{given}: not read again: the program has our rights") == 1
    assert not made.exists()
