"""
A copy of the sources in which faults are planted, one at a time, and what tests of it say.

What it is not: the faults, or what is wanted of the tests.

Most of what a fault costs is the start of Python and of the compiler: nothing is compiled twice, objects and bytecode
of what has no fault are kept.
"""

from __future__ import annotations

import compileall
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import cffi

from tests.mutants.mutant import Mutant

ROOT: Final = Path(__file__).parents[2]

SECONDS: Final = 15
"""For a test under a fault: many of them hang."""

NOT_COPIED: Final = shutil.ignore_patterns("__pycache__", "*.so")


class Copy:
    """A copy of the sources with a shim built from them, which an ordinary user can read too."""

    def __init__(self, tree: Path) -> None:
        """Make it in *tree*, which is made."""
        self.tree = tree
        self._objects = tree / "objects"
        self._shim = tree / "monitor" / "_shim.abi3.so"
        self._planted = 0
        tree.mkdir(mode=0o755)
        for name in ("monitor", "native", "tests", "examples"):
            shutil.copytree(ROOT / name, tree / name, ignore=NOT_COPIED)
        shutil.copy(ROOT / "pyproject.toml", tree)
        self._objects.mkdir()
        self._build()
        compileall.compile_dir(tree / "monitor", quiet=2)
        subprocess.run(["chmod", "-R", "a+rX", str(tree)], check=True)

    def _build(self) -> None:
        """Compile the shim, as the package's build does."""
        ffi = cffi.FFI()
        ffi.cdef((self.tree / "native" / "shim.cdef").read_text())
        ffi.set_source("monitor._shim", '#include "shim.h"')
        glue = self.tree / "glue.c"
        ffi.emit_c_code(str(glue))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for done in [pool.submit(self._compile, path) for path in (glue, *self._sources())]:
                done.result()
        self._link({})

    def _sources(self) -> list[Path]:
        return sorted((self.tree / "native").glob("*.c"))

    def _compile(self, source: Path, suffix: str = ".o") -> Path:
        made = self._objects / (source.stem + suffix)
        include = sysconfig.get_paths()["include"]
        command = ["gcc", "-std=gnu11", "-O1", "-fPIC", f"-I{include}", f"-I{self.tree}/native", "-c", str(source)]
        subprocess.run([*command, "-o", str(made)], check=True)
        return made

    def _link(self, instead: dict[str, Path]) -> None:
        """Make the shim of the objects, with those *instead* whose sources they name."""
        names = ["glue", *(path.stem for path in self._sources())]
        objects = [str(instead.get(name, self._objects / f"{name}.o")) for name in names]
        made = self.tree / "shim.so"
        subprocess.run(["gcc", "-shared", "-Wl,-z,now", "-o", str(made), *objects], check=True)
        made.replace(self._shim)

    @contextmanager
    def planted(self, mutant: Mutant) -> Iterator[None]:
        """Have *mutant* in the copy, and nothing of it afterwards."""
        file = self.tree / mutant.file
        text, status = file.read_text(), file.stat()
        assert text.count(mutant.before) == 1, f"{mutant.before!r} does not stand once in {mutant.file}"
        file.write_text(text.replace(mutant.before, mutant.after))
        self._planted += 1
        # Bytecode is told by the second and the size of its source: no other fault has this one.
        os.utime(file, (status.st_atime, int(status.st_mtime) + self._planted))
        try:
            if file.suffix == ".c":
                self._link({file.stem: self._compile(file, ".mutant.o")})
            elif file.suffix != ".py":
                self._build()
            yield
        finally:
            file.write_text(text)
            os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
            if file.suffix == ".c":
                self._link({})
            elif file.suffix != ".py":
                self._build()

    def outcome(self, tests: tuple[str, ...], *, faultless: bool = False) -> tuple[int, str]:
        """Run *tests* until the first failure; pytest's exit status and output.  *faultless*: bytecode may be kept."""
        environment = dict(os.environ, PYTHONPATH=str(self.tree), MONITOR_TEST_SECONDS=str(SECONDS), CI="")
        environment.pop("PYTEST_ADDOPTS", None)  # what holds for who runs us does not hold for what we run
        environment["MONITOR_TEST_PROFILE"] = "dev" if faultless else "planted"
        environment["PYTHONDONTWRITEBYTECODE"] = "" if faultless else "1"
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--tb=line", *tests]
        done = subprocess.run(command, cwd=self.tree, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout[-3000:] + done.stderr[-3000:]
