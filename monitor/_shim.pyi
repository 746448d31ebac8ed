# The compiled shim, for type checkers: what cffi makes of native/shim.cdef.  Its types are declared
# in _native, whose shim.py is the only importer.

from typing import Any

ffi: Any
lib: Any
