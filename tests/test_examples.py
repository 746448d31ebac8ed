"""
Every example runs, and prints what it promises.

What it is not: a test of the package's details.  An example is a user's program: it is started as
one, from another directory.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

EXAMPLES: Final = Path(__file__).parent.parent / "examples"

LINES_AT_MOST: Final = 80

PRINTED: Final = {
    "answer.py": "my parent is 4711\nhello from the supervisor\n1 returned, 1 injected\n",
    "ask_async.py": "0 sent\nTERM refused\nUSR1 refused\n1 allowed, 2 denied, 1 of them by the deadline\n",
    "count.py": "status 0\nchdir 2, mkdir 3, rmdir 3\n",
    "log_opens.py": "opens /etc/hostname\nopens /etc/hostname\nlooks for /etc/no\n",
    "redirect.py": "somewhere-else\nsomewhere-else\nsomewhere-else\nstatus 0, 3 redirected\n",
    "refuse.py": "plain\nstatus 0, 1 allowed, 1 denied\n",
    "synthetic.py": "made of nothing\nsealed\n2 injected\n",
}
"""Example -> its standard output."""

COMPLAINED: Final = {"refuse.py": "mkdir: cannot create directory 'secret': Permission denied\n"}
"""Example -> its standard error; the others have none."""

AS_HANDLERS: Final = {
    "answer.py": (["sh", "-c", "echo $PPID; cat /monitor/hello"], "4711\nhello from the supervisor\n"),
    "ask_async.py": (["sh", "-c", "kill -0 $$; kill -TERM $$ 2>/dev/null; echo alive"], "alive\n"),
    "count.py": (["sh", "-c", "mkdir one && rmdir one"], "mkdir 1, rmdir 1\n"),
    "log_opens.py": (["sh", "-c", "read -r name < /etc/hostname"], "opens /etc/hostname\n"),
    "redirect.py": (["cat", "/etc/hostname"], "somewhere-else\n"),
    "synthetic.py": (["cat", "/etc/monitor/motd"], "made of nothing\n"),
    "refuse.py": (["sh", "-c", "mkdir plain secret 2>/dev/null; ls; rmdir plain"], "plain\n"),
}
"""Example -> a program under its handlers, and what is printed."""


POLICIES: Final = {"agent.toml", "containers"}
"""Which tests/cli/test_agent_policy.py and tests/agent/test_serving.py try."""


def run(arguments: list[str], directory: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=directory, env=environment, capture_output=True, text=True, check=False
    )


def test_every_example_is_run_here_in_both_ways() -> None:
    names = {path.name for path in EXAMPLES.iterdir() if path.name != "__pycache__"}

    assert names - POLICIES == PRINTED.keys() == AS_HANDLERS.keys()
    assert names >= POLICIES


@pytest.mark.parametrize("name", PRINTED)
def test_example_prints_what_it_promises(name: str, tmp_path: Path) -> None:
    done = run(["-P", str(EXAMPLES / name)], tmp_path)

    assert (done.stdout, done.stderr) == (PRINTED[name], COMPLAINED.get(name, ""))
    assert done.returncode == 0


@pytest.mark.parametrize("name", AS_HANDLERS)
def test_example_is_a_handlers_file_too(name: str, tmp_path: Path) -> None:
    command, printed = AS_HANDLERS[name]

    done = run(["-P", "-m", "monitor", "run", "--handlers", str(EXAMPLES / name), "--", *command], tmp_path)

    assert done.stdout == printed
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", PRINTED)
def test_example_fits_a_screen_and_says_what_to_run(name: str) -> None:
    text = (EXAMPLES / name).read_text()
    docstring = ast.get_docstring(ast.parse(text)) or ""

    assert len(text.splitlines()) < LINES_AT_MOST
    assert f"python examples/{name}" in docstring
    assert f"--handlers examples/{name}" in docstring
    assert "You will see" in docstring
    assert "What it is not" in docstring


def test_examples_share_nothing() -> None:
    """Each is complete: it can be copied away and still runs."""
    shared = [
        f"{name}: {ast.unparse(node)}"
        for name in PRINTED
        for node in ast.walk(ast.parse((EXAMPLES / name).read_text()))
        if isinstance(node, ast.ImportFrom) and (node.level or str(node.module).split(".")[0] in {"examples", "tests"})
    ]

    assert shared == []
