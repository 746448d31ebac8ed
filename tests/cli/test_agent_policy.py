"""
``examples/agent.toml``: a project is built and looked at under it, by root and by anybody.

An ordinary user runs these too.  What it is not: the example of the documents, which has tables that no
version enforces yet.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import require

EXAMPLE: Final = Path(__file__).parent.parent.parent / "examples" / "agent.toml"

PARTS: Final = 19

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of twenty C files, in git, with the policy in it and what it hides."""
    for program in ("make", "gcc", "git"):
        require(program, shutil.which(program) is not None)
    directory = tmp_path / "project"
    (directory / "keys").mkdir(parents=True)
    objects = " ".join(f"part{number}.o" for number in range(PARTS))
    for number in range(PARTS):
        (directory / f"part{number}.c").write_text(f"int part{number}(void) {{ return {number}; }}\n")
    (directory / "main.c").write_text("int part7(void);\nint main(void) { return part7(); }\n")
    makefile = f"program: main.o {objects}\n\tgcc -o $@ $^\n%.o: %.c\n\tgcc -pipe -O1 -c $<\n"
    (directory / "Makefile").write_text(makefile)
    (directory / ".gitignore").write_text("*.o\nprogram\n")
    (directory / ".env").write_text("SECRET\n")
    (directory / "keys" / "a.pem").write_text("key\n")
    shutil.copy(EXAMPLE, directory / "agent.toml")
    return directory


@pytest.fixture
def run(project: Path, tmp_path: Path) -> Run:
    """Return a function that runs a program in the project, under the policy or natively."""
    (tmp_path / "home" / ".ssh").mkdir(parents=True)
    environment = {
        **os.environ, "HOME": str(tmp_path / "home"), "LC_ALL": "C", "GIT_CONFIG_NOSYSTEM": "1",
        "XDG_CONFIG_HOME": str(project / "no"),
    }  # fmt: skip
    policy = [sys.executable, "-P", "-m", "monitor", "run", "--quiet", "-p", "agent.toml", "--"]

    def under(*command: str, natively: bool = False) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*([] if natively else policy), *command], cwd=project, env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    under("git", "init", "-q", "-b", "main", natively=True)
    return under


def test_make_builds_a_project_of_twenty_files(run: Run, project: Path) -> None:
    done = run("make", "-j4")

    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == PARTS + 2
    assert subprocess.run([project / "program"], check=False).returncode == 7
    assert run("make").stdout == "make: 'program' is up to date.\n"


def test_git_tells_of_the_project(run: Run) -> None:
    assert run("git", "add", "Makefile", "main.c").returncode == 0

    done = run("git", "status", "--short")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[:2] == ["A  Makefile", "A  main.c"]
    assert "?? part7.c" in done.stdout
    assert ".env" not in done.stdout, "it is hidden"
    assert "?? .env" in run("git", "status", "--short", natively=True).stdout
    assert "Changes to be committed" in run("git", "status").stdout


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("cat .env", "No such file"),
        ("ls ~/.ssh", "No such file"),
        ("cat ~/.config/x", "Permission denied"),
        ("cat /etc/shadow", "Permission denied"),
        ("echo x > .git/hooks/pre-commit", "Permission denied"),
        ("rm keys/a.pem", "Operation not permitted"),
        ("echo '[policy]' > agent.toml", "Permission denied"),
        ("echo x > /usr/new", "Permission denied"),
    ],
)
def test_what_it_keeps_it_keeps(run: Run, script: str, said: str) -> None:
    done = run("sh", "-c", script)

    assert done.returncode != 0
    assert said in done.stderr
