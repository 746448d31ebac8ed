"""
From the text of a file to its shape: what cattrs refuses, said of a place in the file.

What it is not: the list of keys (``shapes``), or their meaning (``text``).  Nothing is converted on
the way: a number is no string, and 1 is not true.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from difflib import get_close_matches
from math import inf
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Final, Literal, TypeAlias, TypeVar, Union, cast, get_args, get_origin

import attrs
from attrs import field, frozen
from cattrs import Converter
from cattrs.cols import list_structure_factory
from cattrs.errors import (
    AttributeValidationNote,
    BaseValidationError,
    ForbiddenExtraKeysError,
    IterableValidationNote,
)
from cattrs.gen import make_dict_structure_fn, override

from monitor.errors import PolicyError
from monitor.origin import Origin
from monitor.policy.positions import MAX_PARTS, Path, Position, long_key, path_text, positions
from monitor.policy.shapes import ARRAYS, TABLES

Shape = TypeVar("Shape")


@frozen
class Places:
    """Where the keys of one file stand."""

    file: str
    positions: Mapping[Path, Position] = field(factory=dict[Path, Position])

    def origin(self, path: Path) -> Origin:
        """Return the place of *path*, or of the nearest thing around it that is written."""
        written = path
        while written and written not in self.positions:
            written = written[:-1]
        position = self.positions.get(written, Position(0, 0))
        return Origin(self.file, *position, key=path_text(path))


def read(text: str, shape: type[Shape], file: str) -> tuple[Shape, Places]:
    """
    Return what *text* says, and where.

    Raises:
        PolicyError: it is no TOML, or has keys or types that *shape* has not.
    """
    if (place := long_key(text)) is not None:
        message = f"a key of more than {MAX_PARTS} parts"
        raise PolicyError(message, Origin(file, *place))
    try:
        data = tomllib.loads(text)
        places = Places(file, positions(text))
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(str(error), text, file) from None
    except ValueError as error:  # of int(), for a number of thousands of digits
        raise PolicyError(str(error), Origin(file)) from None
    except RecursionError:
        message = "nested too deeply"
        raise PolicyError(message, Origin(file)) from None
    try:
        return _CONVERTER.structure(data, shape), places
    except BaseValidationError as error:
        problems = list(_problems(error, ()))
        path, message = min(problems, key=lambda problem: _place(problem, places))
        raise PolicyError(message, places.origin(path)) from None


def _place(problem: tuple[Path, str], places: Places) -> tuple[float, int]:
    origin = places.origin(problem[0])
    # What is missing from the file as a whole stands nowhere; what is there and wrong says more.
    return origin.line or inf, origin.column


_LINE: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def _syntax_error(message: str, text: str, file: str) -> PolicyError:
    match = _LINE.search(message)
    what = message if match is None else message[: match.start()]
    if text.startswith("\ufeff"):
        what = "a byte order mark stands before the text; save the file without one"
    if match is not None and match[1] is not None:
        return PolicyError(f"no TOML: {what}", Origin(file, int(match[1]), int(match[2])))
    return PolicyError(f"no TOML: {what}, at its end", Origin(file, text.count("\n", 0, len(text.rstrip())) + 1))


# What cattrs says, as a path and a sentence.


def _problems(error: BaseException, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(error, ForbiddenExtraKeysError):
        for key in sorted(error.extra_fields):
            yield (*path, key), _unknown_key(key, path, error.cl)
    elif isinstance(error, BaseValidationError):
        for inner in error.exceptions:
            yield from _problems(inner, (*path, *_step(inner)))
    elif isinstance(error, KeyError):
        name = str(path[-1])
        yield path[:-1], f"{_header(name) if len(path) == 1 and name in TABLES else repr(name)} is missing"
    else:
        yield path, str(error)


def _step(error: BaseException) -> Path:
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            return (_key(note.name),)
        if isinstance(note, IterableValidationNote):
            return (cast("int", note.index),)
    return ()


def _key(attribute: str) -> str:
    return attribute.replace("_", "-")


def _keys(shape: type) -> list[str]:
    return [_key(attribute.name) for attribute in attrs.fields(cast("type[attrs.AttrsInstance]", shape))]


def _header(name: str) -> str:
    return f"[[{name}]]" if name in ARRAYS else f"[{name}]"


A_POLICY: Final = "a policy file"
"""What a file is called whose shape does not say it in ``CALLED``."""


def _unknown_key(key: str, path: Path, shape: type) -> str:
    """Return what is wrong with *key*; TOML gives every key below a header to that header's table."""
    here = ".".join(part for part in path if isinstance(part, str))
    where = _header(here) if here in TABLES else path_text(path) or cast("str", getattr(shape, "CALLED", A_POLICY))
    message = f"{where} has no key {key!r}"
    homes = [_header(name) for name, keys in TABLES.items() if key in _keys(keys) and name != here]
    if key in TABLES and here:
        return f"{message}; it is a table of its own: write it as {_header(key)}, not inside of {where}"
    if homes:
        why = ", and TOML gives a key to the header above it" if path else ""
        return f"{message}; it belongs to {' or '.join(homes)}{why}: move it there"
    near = get_close_matches(key, _keys(shape), n=1)
    return f"{message}; did you mean {near[0]!r}?" if near else f"{message}; it has: {', '.join(_keys(shape))}"


# Types, strictly.

_NAMES: Final[Mapping[type, str]] = MappingProxyType(
    {
        str: "a string",
        int: "a whole number",
        bool: "true or false",
        date: "a date",
        list: "a list",
        dict: "a table",
        NoneType: "nothing",
    }
)


def _called(kind: object) -> str:
    """Return how a message calls values of the type *kind*."""
    if kind in _NAMES:
        return _NAMES[cast("type", kind)]
    if get_origin(kind) is Literal:
        return " or ".join(repr(one) if isinstance(one, str) else str(one) for one in get_args(kind))
    if get_origin(kind) in {Union, UnionType}:
        return " or ".join(dict.fromkeys(_called(one) for one in get_args(kind) if one is not NoneType))
    if get_origin(kind) is list:
        (element,) = get_args(kind)
        return f"a list of {_PLURALS.get(element, 'tables')}"
    return "a table" if get_origin(kind) is dict or attrs.has(cast("type", kind)) else str(kind)


_PLURALS: Final[Mapping[object, str]] = MappingProxyType({str: "strings", int: "numbers"})


def _found(value: object) -> str:
    if isinstance(value, str):
        return repr(value if len(value) <= _SHOWN else f"{value[:_SHOWN]}...")
    if isinstance(value, int | float):
        return str(value).lower() if isinstance(value, bool) else str(value)
    return next((name for kind, name in _NAMES.items() if isinstance(value, kind)), type(value).__name__)


_SHOWN: Final = 60


def _mismatch(value: object, kind: object) -> TypeError:
    near = ""
    if get_origin(kind) is Literal and isinstance(value, str):
        matches = get_close_matches(value, [one for one in get_args(kind) if isinstance(one, str)], n=1)
        near = f"; did you mean {matches[0]!r}?" if matches else ""
    return TypeError(f"{_called(kind)} is wanted here, not {_found(value)}{near}")


def _fits(value: object, kind: object) -> bool:
    """Whether *value* is of the type *kind* on its surface: what is inside is looked at when it is structured."""
    if get_origin(kind) is Literal:
        return any(value == one and type(value) is type(one) for one in get_args(kind))
    surface = get_origin(kind) or kind
    if attrs.has(cast("type", surface)):
        return isinstance(value, dict)
    # bool is an int, and a datetime a date; the first is no number here, the second is as good as a date.
    return isinstance(value, cast("type", surface)) and (surface is bool or not isinstance(value, bool))


def _exactly(value: Any, kind: Any) -> Any:  # noqa: ANN401  # cattrs' own signature
    if not _fits(value, kind):
        raise _mismatch(value, kind)
    return value


def _one_of(value: Any, kind: Any) -> Any:  # noqa: ANN401  # cattrs' own signature
    for one in get_args(kind):
        if one is not NoneType and _fits(value, one):
            return _CONVERTER.structure(value, one)
    raise _mismatch(value, kind)


def _table_hook(shape: Any, converter: Converter) -> Callable[[Any, Any], Any]:  # noqa: ANN401
    """Return what structures the attrs class *shape*: no key beyond its own, an underscore is a dash."""
    names: dict[str, Any] = {name: override(rename=_key(name)) for name in attrs.fields_dict(shape)}
    return make_dict_structure_fn(shape, converter, _cattrs_forbid_extra_keys=True, **names)


_Hook: TypeAlias = Callable[[Any, Any], Any]


_LISTS: Final[frozenset[object]] = frozenset({list})


def _is_list(kind: object) -> bool:
    return get_origin(kind) in _LISTS


def _surface_first(factory: Callable[[Any, Converter], _Hook]) -> Callable[[Any, Converter], _Hook]:
    """Return *factory*, whose hooks look at the type of a value before they look into it."""

    def checked(kind: Any, converter: Converter) -> _Hook:  # noqa: ANN401
        inner = factory(kind, converter)
        return lambda value, wanted: inner(_exactly(value, wanted), wanted)

    return checked


def _strict() -> Converter:
    converter = Converter(detailed_validation=True)
    converter.register_structure_hook_factory(attrs.has, _surface_first(_table_hook))
    converter.register_structure_hook_factory(_is_list, _surface_first(list_structure_factory))
    for kind in (str, int, bool, date):
        converter.register_structure_hook(kind, _exactly)
    converter.register_structure_hook_func(lambda kind: get_origin(kind) in {Literal, dict}, _exactly)
    converter.register_structure_hook_func(lambda kind: get_origin(kind) in {Union, UnionType}, _one_of)
    return converter


_CONVERTER: Final = _strict()
