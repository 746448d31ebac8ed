"""Every planted fault turns a test red; without a fault the same tests are green."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import cffi
import pytest
from mutants import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
SECONDS = 15
"""For a test under a fault: many of them hang."""

pytestmark = pytest.mark.root


def build_shim(tree: Path) -> None:
    """Compile the shim of *tree* into it, as the package's build does."""
    ffi = cffi.FFI()
    ffi.cdef((tree / "native" / "shim.cdef").read_text())
    ffi.set_source("monitor._shim", '#include "shim.h"')
    ffi.emit_c_code(str(tree / "glue.c"))
    sources = [str(path) for path in sorted((tree / "native").glob("*.c"))]
    include = sysconfig.get_paths()["include"]
    command = ["gcc", "-std=gnu11", "-O1", "-fPIC", "-shared", "-Wl,-z,now", f"-I{include}", f"-I{tree}/native"]
    subprocess.run(
        [*command, "-o", str(tree / "monitor" / "_shim.abi3.so"), str(tree / "glue.c"), *sources], check=True
    )


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the sources with a shim built from them."""
    copy = tmp_path_factory.mktemp("mutants") / "tree"
    copy.mkdir()
    for name in ("monitor", "native", "tests", "examples"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    build_shim(copy)
    yield copy


def outcome(tree: Path, tests: tuple[str, ...]) -> tuple[int, str]:
    """Run *tests* of *tree* until the first failure; pytest's exit status and output."""
    environment = dict(
        os.environ, PYTHONPATH=str(tree), MONITOR_TEST_SECONDS=str(SECONDS), PYTHONDONTWRITEBYTECODE="1", CI=""
    )
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--tb=line", *tests]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout[-3000:] + done.stderr[-3000:]


def test_the_copy_is_what_is_tested(tree: Path) -> None:
    command = [sys.executable, "-c", "import monitor; print(monitor.__file__)"]
    done = subprocess.run(command, cwd=tree, env=dict(os.environ, PYTHONPATH=str(tree)), capture_output=True, text=True, check=True)

    assert done.stdout.startswith(str(tree))


@pytest.mark.seconds(600)
def test_without_a_fault_all_of_them_are_green(tree: Path) -> None:
    tests = tuple(sorted({test for mutant in MUTANTS for test in mutant.tests}))

    status, shown = outcome(tree, tests)

    assert status == 0, shown


@pytest.mark.seconds(240)
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_fault_turns_a_test_red(tree: Path, mutant: Mutant) -> None:
    file = tree / mutant.file
    text = file.read_text()
    assert text.count(mutant.before) == 1, f"{mutant.before!r} stands {text.count(mutant.before)} times in {mutant.file}"
    file.write_text(text.replace(mutant.before, mutant.after))
    try:
        if mutant.file.endswith(".c"):
            build_shim(tree)
        status, shown = outcome(tree, mutant.tests)
    finally:
        file.write_text(text)
        if mutant.file.endswith(".c"):
            build_shim(tree)

    assert status == 1, shown
