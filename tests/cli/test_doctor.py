"""``seccomp-monitor doctor`` as a user meets it: the table, the JSON, the exit status, the document."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

DOCTOR = [sys.executable, "-m", "monitor", "doctor"]
DOCUMENT = Path(__file__).parents[2] / "docs" / "doctor.md"

STATES = "works|missing|forbidden|timed out|unknown|noted"
ROW = re.compile(rf"  (?P<state>{STATES}) +(?P<name>\S.*?)(?P<required> \*)?(?:  +(?P<detail>\S.*))?")


def doctor(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*DOCTOR, *words], capture_output=True, text=True, check=False, **options)


def on_a_terminal(columns: int, **environment: str) -> str:
    """Run the doctor on a terminal of so many columns; what it wrote there."""
    ours, its = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm", **environment}
    with subprocess.Popen(DOCTOR, stdout=its, stderr=its, env=environment) as process:
        os.close(its)
        written = b""
        while chunk := _read(ours):
            written += chunk
    os.close(ours)
    assert process.returncode == 0
    return written.decode().replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # EIO: nobody has its other end open any more
        return b""


@pytest.fixture(scope="module")
def table() -> str:
    return doctor().stdout


@pytest.fixture(scope="module")
def answer() -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(doctor("--json").stdout)
    return parsed


def rows_of(text: str) -> dict[str, re.Match[str]]:
    found = (ROW.fullmatch(line) for line in text.splitlines())
    return {match["name"]: match for match in found if match}


def test_it_ends_well_and_soon_where_run_works() -> None:
    began = time.monotonic()
    done = doctor()
    taken = time.monotonic() - began

    assert (done.returncode, done.stderr) == (0, "")
    assert taken < 3


def test_the_table_and_the_json_say_the_same(table: str, answer: dict[str, Any]) -> None:
    rows = rows_of(table)
    features = {feature["name"]: feature for feature in answer["features"]}

    assert rows.keys() == features.keys()
    for name, feature in features.items():
        assert rows[name]["state"] == feature["state"]
        assert bool(rows[name]["required"]) == feature["required"]
        assert feature["detail"].startswith(rows[name]["detail"] or "")


def test_what_is_not_there_has_its_consequence_below_it(table: str, answer: dict[str, Any]) -> None:
    text = " ".join(table.split())
    missing = [feature for feature in answer["features"] if feature["state"] not in {"works", "noted"}]

    assert missing, "no kernel has a second listener"
    for feature in missing:
        assert f"{feature['detail']} {feature['advice']}".strip() in text
        assert f"Without it: {feature['without']}" in text


def test_no_line_is_wider_than_eighty_columns(table: str) -> None:
    assert max(map(len, table.splitlines())) <= 80


def test_the_verdict_is_the_last_word(table: str) -> None:
    last = " ".join(table.rpartition("\n\n")[2].split())

    assert last.startswith("* Nothing can be run without it. run works; strict works; memory ")


def test_the_json_has_a_schema_and_all_that_a_program_may_ask(answer: dict[str, Any]) -> None:
    assert answer["schema"] == 1
    assert answer["kernel"] == {"release": os.uname().release, "machine": os.uname().machine}
    assert answer["user"]["uid"] == os.geteuid()
    assert answer["abilities"]["run"] == {"works": True, "lacking": []}
    second = next(feature for feature in answer["features"] if feature["name"] == "second listener")
    assert second == {
        "name": "second listener",
        "group": "Its listener",
        "state": "missing",
        "required": False,
        "detail": "EBUSY at a second one in the same process",
        "errno": 16,
        "errno_name": "EBUSY",
        "value": None,
        "without": second["without"],
        "advice": "no kernel up to 6.18 gives a second one",
        "needs": ["listener"],
    }


@pytest.mark.parametrize("words", [["--no-such-option"], ["argument"]])
def test_a_usage_error_is_2_and_says_so(words: list[str]) -> None:
    done = doctor(*words)

    assert done.returncode == 2
    assert "Usage: seccomp-monitor doctor" in done.stderr


def test_it_is_among_the_verbs() -> None:
    done = subprocess.run([sys.executable, "-m", "monitor", "--help"], capture_output=True, text=True, check=True)

    assert re.search(r"^  doctor  +Try what", done.stdout, re.MULTILINE)


# ---- colour and width ----


def test_colour_is_for_terminals_that_want_it(table: str) -> None:
    assert "\x1b[" not in table
    assert "\x1b[" in on_a_terminal(80)
    assert "\x1b[" not in on_a_terminal(80, NO_COLOR="1")


@pytest.mark.parametrize(("columns", "width"), [(40, 80), (90, 90), (200, 100)])
def test_the_table_is_as_wide_as_the_terminal_within_reason(columns: int, width: int) -> None:
    widest = max(map(len, on_a_terminal(columns, NO_COLOR="1").splitlines()))

    assert width - 12 < widest <= width


def test_a_closed_pipe_is_no_failure() -> None:
    script = f"{sys.executable} -m monitor doctor | head -1"

    done = subprocess.run(["bash", "-o", "pipefail", "-c", script], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


# ---- the document ----


def documented() -> str:
    (text,) = re.findall(r"<!-- output -->\n```text\n(.*?)^```$", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)
    return str(text)


def shape(text: str) -> list[tuple[str, bool]]:
    """Return the headings and the rows, without what differs from machine to machine."""
    lines = text.splitlines()
    rows = [match for line in lines if (match := ROW.fullmatch(line))]
    headings = [line for before, line in zip(["", *lines], lines, strict=False) if not before and line[:1].isalpha()]
    return [(line, False) for line in headings[1:]] + [(row["name"], bool(row["required"])) for row in rows]


def test_the_document_shows_the_table_as_it_is(table: str) -> None:
    """Rows, headings and what is required; states and details are those of the machine that wrote it."""
    assert shape(documented()) == shape(table)
    assert len(shape(table)) > 40


def test_the_document_says_of_what_is_missing_there_what_the_program_says(answer: dict[str, Any]) -> None:
    text = " ".join(documented().split())
    shown = [name for name, row in rows_of(documented()).items() if row["state"] not in {"works", "noted"}]

    assert shown
    for feature in answer["features"]:
        assert (f"Without it: {feature['without']}" in text) == (feature["name"] in shown)
