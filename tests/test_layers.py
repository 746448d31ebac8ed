"""
The house rules that can be read from the source: who imports whom, who prints, how long a module is.

What it is not: a test of behaviour; nothing of the package is imported here.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

PACKAGE: Final = Path(__file__).parent.parent / "monitor"

LINES_AT_MOST: Final = 400

FREE: Final = frozenset({"errors", "origin", "abi"})
"""What every layer may import; ``abi`` itself may import only ``errors``."""

BELOW_THE_ROOF: Final = frozenset(
    {"features", "policy", "notify", "broker", "handlers", "sources", "events", "approve"}
)

MAY_IMPORT: Final[Mapping[str, frozenset[str]]] = {
    "errors": frozenset({"origin"}),
    "origin": frozenset(),
    "abi": frozenset({"errors"}),
    "_native": FREE | {"_shim"},
    "features": FREE | {"_native"},
    "policy": FREE,
    "notify": FREE | {"_native", "features"},
    "broker": FREE | {"notify", "_native", "features"},
    "handlers": FREE | {"notify", "broker"},
    "sources": FREE | {"_native", "features", "notify.listener", "policy"},
    "events": FREE | {"notify"},
    "approve": FREE | {"notify", "events", "policy"},
    "supervisor": FREE | BELOW_THE_ROOF,
    "testing": FREE | BELOW_THE_ROOF | {"supervisor"},
    "agent": FREE | BELOW_THE_ROOF | {"supervisor"},
    "cli": FREE | BELOW_THE_ROOF | {"supervisor", "testing", "agent"},
    "__main__": frozenset({"cli"}),
    "__init__": FREE | BELOW_THE_ROOF | {"supervisor"},
}
"""Layer -> what it may import besides itself: a layer, or one module of a layer."""

SAME_LAYER: Final = {
    "asking": "supervisor",
    "brokering": "supervisor",
    "debugging": "supervisor",
    "deciding": "supervisor",
    "denials": "supervisor",
    "enforce": "supervisor",
    "granting": "supervisor",
    "lifetime": "supervisor",
    "approving": "supervisor",
    "remembering": "supervisor",
    "run": "supervisor",
    "settings": "supervisor",
    "verdicts": "supervisor",
}
"""Modules that belong to a layer whose name they do not have."""

OUTSIDERS: Final[Mapping[str, frozenset[str]]] = {
    "abi": frozenset({"trio", "cffi", "click"}),
    "features": frozenset({"trio", "cffi", "click"}),
    "policy": frozenset({"trio", "cffi", "click"}),
    "notify": frozenset({"cffi", "click"}),
    "broker": frozenset({"cffi", "click"}),
    "handlers": frozenset({"cffi", "click"}),
    "sources": frozenset({"cffi", "click"}),
    "events": frozenset({"cffi", "click"}),
    "approve": frozenset({"cffi", "click"}),
    "supervisor": frozenset({"cffi", "click"}),
    "testing": frozenset({"cffi", "click"}),
}
"""Layer -> what it may not import from outside the package."""


def modules() -> list[Path]:
    return sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


def tree_of(module: Path) -> ast.Module:
    return ast.parse((PACKAGE / module).read_text(), str(module))


def layer_of(parts: tuple[str, ...]) -> str:
    """Return the layer of a module that is named by its parts below ``monitor``."""
    return SAME_LAYER.get(parts[0], parts[0])


def parts_of(module: Path) -> tuple[str, ...]:
    return module.with_suffix("").parts


def exists(parts: tuple[str, ...]) -> bool:
    path = PACKAGE.joinpath(*parts)
    return path.is_dir() or path.with_suffix(".py").exists() or path.with_suffix(".pyi").exists()


def imported(tree: ast.AST) -> Iterator[tuple[str, ...]]:
    """Yield every module that *tree* imports, by its parts; also those under TYPE_CHECKING and in functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute, so that each shows its layer"
            assert node.module is not None
            base = tuple(node.module.split("."))
            for alias in node.names:  # "from monitor.notify import listener" imports a module, not a name
                deeper = (*base, alias.name)
                yield deeper if base[0] == "monitor" and exists(deeper[1:]) else base
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "import_module":
            yield from _named(node)


def _named(node: ast.Call) -> Iterator[tuple[str, ...]]:
    """Yield what ``import_module("monitor...")`` names, as far as it can be read; f-strings by their beginning."""
    word = node.args[0]
    if isinstance(word, ast.JoinedStr):
        word = word.values[0]
    if isinstance(word, ast.Constant) and isinstance(word.value, str):
        yield tuple(part for part in word.value.split(".") if part)


def allowed(layer: str, parts: tuple[str, ...]) -> bool:
    """Whether a module of *layer* may import the module of ours with these *parts*."""
    heads = [tuple(name.split(".")) for name in named(layer)]
    return layer_of(parts) == layer or any(parts[: len(head)] == head for head in heads)


def named(layer: str) -> Iterator[str]:
    for name in MAY_IMPORT[layer]:
        yield name
        yield from (module for module, home in SAME_LAYER.items() if home == name)


@pytest.mark.parametrize("module", modules(), ids=str)
def test_imports_point_downwards(module: Path) -> None:
    """A module imports its own layer, and those that the table lets it."""
    layer = layer_of(parts_of(module))
    ours = [parts[1:] for parts in imported(tree_of(module)) if parts[0] == "monitor" and len(parts) > 1]

    assert [".".join(parts) for parts in ours if not allowed(layer, parts)] == []


@pytest.mark.parametrize("module", modules(), ids=str)
def test_outsiders_stay_where_they_belong(module: Path) -> None:
    """Facts and policies know no event loop, and only the front door knows click."""
    forbidden = OUTSIDERS.get(layer_of(parts_of(module)), frozenset())

    assert forbidden & {parts[0] for parts in imported(tree_of(module))} == set()


def test_the_front_door_does_not_import_itself_through_the_back() -> None:
    """``import monitor`` from inside, the package itself, would pull everything in and make a circle."""
    circles = [str(module) for module in modules() if ("monitor",) in imported(tree_of(module))]

    assert circles == []


def test_only_the_door_imports_the_shim() -> None:
    importers = [str(module) for module in modules() if ("monitor", "_shim") in imported(tree_of(module))]

    assert importers == ["_native/shim.py"]


def test_the_table_knows_every_layer_and_no_other() -> None:
    layers = {layer_of(parts_of(module)) for module in modules()}

    assert layers == MAY_IMPORT.keys()


def test_an_upward_import_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule bites: what it must refuse is refused, in each way of writing it."""
    ways = [
        "import monitor.supervisor",
        "from monitor.supervisor import supervise",
        "from monitor import supervisor, lifetime",
        "def later():\n    from monitor.lifetime import block",
        "if TYPE_CHECKING:\n    from monitor.supervisor import Run",
        "importlib.import_module('monitor.supervisor')",
    ]

    for way in ways:
        found = [parts[1:] for parts in imported(ast.parse(way)) if parts[0] == "monitor"]
        assert found, way
        assert not any(allowed("notify", parts) for parts in found), way


@pytest.mark.parametrize("module", [one for one in modules() if one.parts[0] not in {"cli", "__main__.py"}], ids=str)
def test_only_the_command_line_prints_or_exits(module: Path) -> None:
    forbidden = {"print", "input", "exit", "quit", "sys.exit", "os._exit", "sys.stdout.write", "sys.stderr.write"}
    calls = {ast.unparse(node.func) for node in ast.walk(tree_of(module)) if isinstance(node, ast.Call)}
    raised = {
        ast.unparse(node.exc).partition("(")[0]
        for node in ast.walk(tree_of(module))
        if isinstance(node, ast.Raise) and node.exc is not None
    }

    assert calls & forbidden == set()
    assert "SystemExit" not in raised


@pytest.mark.parametrize("module", modules(), ids=str)
def test_every_module_says_what_it_is_and_what_it_is_not(module: Path) -> None:
    docstring = ast.get_docstring(tree_of(module)) or ""

    assert docstring
    if docstring.count("\n") or module.name != "__init__.py":  # a folder of one idea needs one line
        assert " not" in docstring.lower() or "nothing" in docstring.lower()


@pytest.mark.parametrize("module", modules(), ids=str)
def test_no_module_is_longer_than_can_be_read_at_once(module: Path) -> None:
    assert len((PACKAGE / module).read_text().splitlines()) <= LINES_AT_MOST
