"""
The public names: which there are, that each says what it is, and what importing them costs.

What it is not: what they mean; tests/typing/api.py uses them as a user would, for the type checkers.
"""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import attrs
import pytest

import monitor
from monitor import testing

ROOT: Final = Path(__file__).parent.parent

PUBLIC: Final = [
    "About", "Allow", "Answer", "Approver", "Arch", "Arguments", "Call", "CallAnswered",
    "ContainerEnded", "ContainerStarted", "Deny", "Dropped",
    "Emulate", "Event", "GrantFailed", "GrantWritten", "Handler", "HandlerError", "HandlerFailed",
    "HandlerFunction", "InjectFd", "JsonLines", "KernelFeatureError", "Kill", "Launch", "LaunchError",
    "LaunchStage", "Listener", "Look", "MonitorError", "OutOfFds", "Pass", "Policy", "PolicyError",
    "PolicyNotLoosenable", "PolicyReplaced", "ProcessRun", "ProgramTooLongError", "Question", "RacyAllow",
    "Rendered", "Return", "Run", "Sink", "SlowHandler", "Stats", "Subscription", "SupervisionFailed",
    "SupervisorError", "Target", "TargetExited", "TargetGone", "TargetMemoryError", "TargetPath",
    "TargetStarted", "Verdict", "Wish", "Would", "always_says", "chain", "handles", "load_policy", "supervise",
    "within",
]  # fmt: skip

ALIASES: Final = {"Approver", "Event", "HandlerFunction", "Sink", "Verdict"}
"""Types that are unions or callables: what they mean stands below them in the source."""


def test_the_public_names_are_these() -> None:
    """A name is added or taken away on purpose: here, and in CHANGELOG.md."""
    assert monitor.__all__ == PUBLIC
    assert sorted(PUBLIC) == PUBLIC


def test_every_public_name_is_there() -> None:
    assert [name for name in PUBLIC if not hasattr(monitor, name)] == []


def test_nothing_public_is_left_out() -> None:
    """What can be had from ``monitor`` without an underscore is public, or a module."""
    found = {name for name, value in vars(monitor).items() if not name.startswith("_") and not inspect.ismodule(value)}

    assert found <= set(PUBLIC)


@pytest.mark.parametrize("name", sorted(set(PUBLIC) - ALIASES))
def test_every_public_name_says_what_it_is(name: str) -> None:
    """A docstring of its own: attrs and enum make none up, and none is inherited."""
    value = getattr(monitor, name)

    assert inspect.cleandoc(vars(value).get("__doc__") or "" if inspect.isclass(value) else value.__doc__ or "")


@pytest.mark.parametrize("name", [name for name in PUBLIC if inspect.isclass(getattr(monitor, name))])
def test_every_public_method_and_property_says_what_it_does(name: str) -> None:
    owner = getattr(monitor, name)
    silent = [
        attribute
        for attribute, value in vars(owner).items()
        if not attribute.startswith("_")
        and (inspect.isfunction(value) or isinstance(value, property | classmethod | staticmethod))
        and not inspect.getdoc(value)
    ]

    assert silent == []


def _functions() -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for name in PUBLIC:
        value = getattr(monitor, name)
        if inspect.isclass(value):
            # attrs writes it from typed fields, and of a protocol there is none.
            written = set[str]() if attrs.has(value) or getattr(value, "_is_protocol", False) else {"__init__"}
            members = {key: getattr(value, key) for key in vars(value) if not key.startswith("_") or key in written}
            found += [(f"{name}.{key}", member) for key, member in members.items() if inspect.isroutine(member)]
        elif inspect.isfunction(value):
            found.append((name, value))
    return found + [(f"testing.{name}", getattr(testing, name)) for name in ("call", "decide")]


@pytest.mark.parametrize(("name", "function"), _functions(), ids=[name for name, _ in _functions()])
def test_every_public_function_is_typed(name: str, function: object) -> None:
    assert callable(function)
    signature = inspect.signature(function)
    untyped = [
        parameter.name
        for parameter in signature.parameters.values()
        if parameter.annotation is inspect.Parameter.empty and parameter.name not in {"self", "cls"}
    ]

    assert untyped == [], name
    assert signature.return_annotation is not inspect.Signature.empty or name.endswith("__init__"), name


def test_the_package_says_that_it_is_typed() -> None:
    assert (ROOT / "monitor" / "py.typed").exists()


def test_the_version_is_said_twice_alike() -> None:
    assert f'\nversion = "{monitor.__version__}"\n' in (ROOT / "pyproject.toml").read_text()
    assert f"## {monitor.__version__}" in (ROOT / "CHANGELOG.md").read_text()


LOOK: Final = """
import json, sys, trio  # trio asks ldconfig for libpthread: not ours to judge
opened, started = [], []

def look(event, args):
    if event == "open":
        opened.append(str(args[0]))
    elif event in {"subprocess.Popen", "os.fork", "os.exec", "os.posix_spawn"}:
        started.append(event)

sys.addaudithook(look)
CODE
json.dump({"modules": sorted(sys.modules), "opened": opened, "started": started}, sys.stdout)
"""


def what_happens(code: str) -> dict[str, list[str]]:
    """Run *code* in a fresh interpreter; the modules it loaded, the files it opened, the processes it started."""
    command = [sys.executable, "-c", LOOK.replace("CODE", code)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    loaded: dict[str, list[str]] = json.loads(done.stdout)
    return loaded


NOT_AT_IMPORT: Final = {
    *("asyncio", "cattrs", "click", "elftools", "hypothesis", "pytest", "rich", "tomlkit", "tomllib"),
    *("monitor.cli", "monitor.features", "monitor.testing"),
}


PROGRAM: Final = "from monitor import Allow, Call, Deny, handles, supervise"
"""What most programs have of ours."""


def test_import_loads_only_what_every_use_needs() -> None:
    assert set(what_happens(PROGRAM)["modules"]) & NOT_AT_IMPORT == set()


def test_the_package_alone_loads_nothing_of_it() -> None:
    loaded = [name for name in what_happens("import monitor")["modules"] if name.startswith("monitor.")]

    assert loaded == []


@pytest.mark.parametrize("verb", ["check", "convert", "diff", "disasm", "groups", "presets", "show", "why"])
def test_a_question_about_a_policy_does_not_pay_for_a_scheduler(verb: str) -> None:
    code = f"import sys, monitor.cli.{verb}; print('trio' in sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"


def test_import_reads_no_table_and_starts_nothing() -> None:
    """The tables are a megabyte of JSON; they are read when a name is looked up."""
    happened = what_happens(PROGRAM)

    assert [path for path in happened["opened"] if path.endswith(".json")] == []
    assert happened["started"] == []


def test_a_table_is_read_when_a_name_is_looked_up() -> None:
    """The claim above can fail: the hook sees the tables being opened."""
    code = "import monitor; from monitor.abi import syscalls; syscalls.number_of(monitor.Arch.X86_64, 'read')"

    happened = what_happens(code)

    assert any(path.endswith("syscalls.json") for path in happened["opened"])


def test_running_a_program_loads_only_what_that_needs() -> None:
    """``seccomp-monitor run`` pays for nothing that other verbs need."""
    code = """
from monitor.cli import main
sys.argv = ["seccomp-monitor", "run", "--", "true"]
try:
    main()
except SystemExit as leaving:
    assert leaving.code == 0, leaving.code
"""

    assert set(what_happens(code)["modules"]) & (NOT_AT_IMPORT - {"click", "monitor.cli"}) == set()
