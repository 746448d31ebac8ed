"""
The compiled shim, for type checkers: what cffi makes of native/shim.cdef.

What it is not: its types.  ``_native`` declares those, and is the only importer.
"""

from typing import Any

ffi: Any
lib: Any
