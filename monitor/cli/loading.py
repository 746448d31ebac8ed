"""
Finds the handlers in a user's file or module.

What it is not: a plugin system.  The code is the user's own and runs with the user's rights, once,
before the program starts.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Generator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import cast

from monitor.notify.handler import Handler, HandlerFunction, mark_of


class HandlersNotLoaded(Exception):
    """What the user wrote cannot be used; the message says where and why."""


async def load_handlers(source: str, loaded: AsyncExitStack) -> Sequence[Handler]:
    """
    Return the handlers of *source*, a path (with ``/`` or ``.py``) or a module's dotted name.

    They are every marked function that the module defines, in the order of the source, or what
    its ``handlers`` is: a sequence, or a factory of an async context manager that yields one,
    which is entered on *loaded*.
    """
    module = _load(source)
    given: object = getattr(module, "handlers", None)
    if given is None:
        given = _marked_in(module)
    elif callable(given):
        manager: object = given()
        if not isinstance(manager, AbstractAsyncContextManager):
            msg = f"{source}: handlers() gave {manager!r}, which is no async context manager"
            raise HandlersNotLoaded(msg)
        given = await loaded.enter_async_context(cast("AbstractAsyncContextManager[object]", manager))
    if not isinstance(given, Sequence) or isinstance(given, str):
        msg = f"{source}: handlers is {given!r}, not a sequence of handlers"
        raise HandlersNotLoaded(msg)
    if not given:
        msg = f"{source}: no function in it is marked with @monitor.handles(...), and it has no handlers"
        raise HandlersNotLoaded(msg)
    try:
        several = cast("Sequence[Handler | HandlerFunction]", given)
        return [one if isinstance(one, Handler) else Handler.from_mark(one) for one in several]
    except TypeError as error:
        msg = f"{source}: {error}"
        raise HandlersNotLoaded(msg) from error


def _marked_in(module: ModuleType) -> Sequence[object]:
    """Return the marked functions that *module* itself defines: a dict keeps the order of the source."""
    found = [
        value
        for value in vars(module).values()
        if mark_of(value) is not None and getattr(value, "__module__", None) == module.__name__
    ]
    return list(dict.fromkeys(found))


def _load(source: str) -> ModuleType:
    try:
        if "/" in source or source.endswith(".py"):
            return _load_file(Path(source))
        with _current_directory_first():
            return importlib.import_module(source)
    except SyntaxError as error:
        msg = f"{error.filename}:{error.lineno}: {error.msg}"
        raise HandlersNotLoaded(msg) from error
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:  # whatever the user's module raises is told, not thrown
        raise HandlersNotLoaded(_where(source, error)) from error


@contextmanager
def _current_directory_first() -> Generator[None]:
    """Have modules found as python -m finds them; no longer than that, since a program may soon write there."""
    sys.path.insert(0, "")
    try:
        yield
    finally:
        with suppress(ValueError):  # whoever is imported may do with it what he likes
            sys.path.remove("")


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        msg = f"{path}: no such file" if not path.exists() else f"{path}: not a file"
        raise HandlersNotLoaded(msg)
    name = path.stem if path.stem.isidentifier() and path.stem not in sys.modules else f"handlers_in_{id(path)}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        msg = f"{path}: not a Python file"
        raise HandlersNotLoaded(msg)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _where(source: str, error: BaseException) -> str:
    """Say what went wrong, and in which line of the user's."""
    if isinstance(error, HandlersNotLoaded):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and error.name == source.partition(".")[0]:
        return f"{source}: no module of that name; a file is named with / or .py"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    ours = str(Path(__file__).parents[1])
    own = [frame for frame in frames if not frame.filename.startswith(("<", ours))]
    where = f"{own[-1].filename}:{own[-1].lineno}" if own else source
    return f"{where}: {type(error).__name__}: {error}"
