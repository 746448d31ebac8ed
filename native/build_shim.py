"""
Builds ``monitor._shim`` from ``shim.cdef`` and the C files beside it.

What it is not: part of the installed package.  setuptools finds it through ``cmdclass`` in
pyproject.toml; cffi writes the glue, the compiler fills in constants and layouts.
"""

from __future__ import annotations

from pathlib import Path

import cffi
from setuptools import Extension
from setuptools.command.build_ext import build_ext

HERE = Path(__file__).parent


class BuildShim(build_ext):
    """The standard ``build_ext``, with cffi's generated C added to the sources."""

    def build_extension(self, ext: Extension) -> None:
        """Write the glue into the build directory, then compile it with our files."""
        ffi = cffi.FFI()
        ffi.cdef((HERE / "shim.cdef").read_text())
        ffi.set_source(ext.name, '#include "shim.h"')
        glue = Path(self.build_temp) / "_shim_glue.c"
        glue.parent.mkdir(parents=True, exist_ok=True)
        ffi.emit_c_code(str(glue))
        ext.sources = [str(glue), *ext.sources]
        super().build_extension(ext)
