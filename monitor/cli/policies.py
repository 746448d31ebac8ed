"""
From words on the command line to policies: files of every format we read, presets, variables.

What it is not: a verb, or the reading of a format (``policy.text``, ``policy.formats``).

A word without ``/`` and ``.`` is a preset, never a file; of a file the suffix decides the format.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from pathlib import Path, PurePath
from typing import Any, Final, ParamSpec, cast

import attrs
import click
from attrs import field, frozen

from monitor.abi.arch import Arch
from monitor.abi.constants import values
from monitor.abi.syscalls import Argument, signature_of
from monitor.abi.words import word as constant_text
from monitor.cli import USAGE
from monitor.errors import MonitorError, PolicyError
from monitor.origin import NOWHERE, Origin
from monitor.policy import shipped, text
from monitor.policy.action import Action
from monitor.policy.formats import FormatFinding, Listener, Loaded, docker, oci, spo, systemd
from monitor.policy.formats import content as content_of
from monitor.policy.layout import shown
from monitor.policy.model import Decision, Policy, Version
from monitor.policy.ranges import described
from monitor.policy.spelling import keys_of
from monitor.policy.variables import Variables

P = ParamSpec("P")

PROFILES: Final[tuple[docker.Shipped, ...]] = ("moby", "containers-common")
"""Presets of others: the default profiles of Docker and of Podman, as they ship."""

SUFFIXES: Final = (".toml", ".json", ".yaml", ".yml", ".conf", ".service")
"""Of the files that are policies."""

PROGRAM_SUFFIX: Final = ".bpf"
"""Of a program without a policy: ``disasm`` alone has something to say about one."""

_CONFIG: Final = re.compile(r'"(?:ociVersion|linux)"\s*:')
_VERSION: Final = re.compile(r"([0-9]{1,3})\.([0-9]{1,4})")


@frozen
class Surroundings:
    """
    What a policy may depend on that does not stand in it.

    Attributes:
        variables: for our own files.
        caps: the bounding set of the container, for Docker's profiles.
        kernel: the kernel that it will run on, likewise.
    """

    variables: Variables = field(factory=Variables)
    caps: frozenset[str] = docker.DEFAULT_CAPS
    kernel: Version = docker.OLDEST_KERNEL


@frozen
class Given:
    """
    A policy that somebody named.

    Attributes:
        policy: what it says.
        findings: what its format says that a policy cannot, or that may not be what its author thinks.
        foreign: whether the file is not one of ours.
        listener: for an OCI runtime, whom to ask.
        flags: with which an OCI runtime installs the filter.
    """

    policy: Policy
    findings: tuple[FormatFinding, ...] = ()
    foreign: bool = False
    listener: Listener | None = None
    flags: tuple[str, ...] = ()


def load(word: str, surroundings: Surroundings) -> Given:
    """
    Return the policy that *word* names.

    Raises:
        PolicyError: there is none, or it cannot be read; it says where.
    """
    name = word.removeprefix(shipped.PREFIX)
    if name != word or is_preset(word):
        for profile in PROFILES:
            if name == profile and name not in shipped.names():
                return _given(docker.shipped(profile, caps=surroundings.caps, kernel=surroundings.kernel))
        return Given(text.load(f"{shipped.PREFIX}{name}", variables=surroundings.variables))
    match PurePath(word).suffix:
        case ".toml":
            return Given(text.load(word, variables=surroundings.variables))
        case ".json":
            return _json(Path(word), surroundings)
        case ".conf" | ".service":
            return _given(systemd.load(Path(word)))
        case ".yaml" | ".yml":
            return _given(spo.load(Path(word)))
        case suffix:
            raise PolicyError(_unknown_suffix(suffix), Origin(word))


def load_layers(words: Sequence[str], surroundings: Surroundings) -> Given:
    """
    Return one policy of the layers that *words* name: the first is on top, the others are included by it.

    Raises:
        PolicyError: one of them cannot be read.
        ValueError: *words* is empty.
    """
    if not words:
        message = "no policy is named"
        raise ValueError(message)
    first, *others = (load(word, surroundings) for word in words)
    policy = attrs.evolve(first.policy, includes=(*first.policy.includes, *(one.policy for one in others)))
    findings = tuple(finding for one in (first, *others) for finding in one.findings)
    return attrs.evolve(first, policy=policy, findings=findings)


def is_preset(word: str) -> bool:
    """Whether *word* names a preset and not a file."""
    return "/" not in word and "." not in word


def _json(path: Path, surroundings: Surroundings) -> Given:
    """Return a profile; one in the ``config.json`` of a container was adapted to its host already."""
    if _CONFIG.search(content_of(path)[0]):
        return _given(oci.load(path))
    return _given(docker.load(path, caps=surroundings.caps, kernel=surroundings.kernel))


def _given(loaded: Loaded) -> Given:
    return Given(loaded.policy, loaded.findings, foreign=True, listener=loaded.listener, flags=loaded.flags)


def _unknown_suffix(suffix: str) -> str:
    if suffix == PROGRAM_SUFFIX:
        return "a program, not a policy; disasm prints it"
    known = ", ".join(SUFFIXES)
    found = f"{suffix!r} is none of them" if suffix else "this has none"
    return f"the suffix decides the format ({known}), and {found}; a preset has no / and no ."


# ---- options that several verbs have ----


def about_policies(command: Callable[P, int]) -> Callable[P, int]:
    """Add ``-D``, ``--caps`` and ``--kernel``, which become the parameter *surroundings*."""

    @click.option("-D", "definitions", multiple=True, metavar="NAME=VALUE", help="Set a variable of the policy.")
    @click.option(
        "--caps", metavar="LIST", help="Capabilities of the container: CAP_SYS_ADMIN,... or none; default: Docker's."
    )
    @click.option("--kernel", metavar="VERSION", help="The kernel of the host, for minKernel in Docker's profiles.")
    @wraps(command)
    def with_surroundings(*args: P.args, **kwargs: P.kwargs) -> int:
        words = cast("dict[str, Any]", kwargs)
        definitions, caps, kernel = (words.pop(key) for key in ("definitions", "caps", "kernel"))
        words["surroundings"] = surroundings_of(definitions, caps, kernel)
        return command(*args, **kwargs)

    return with_surroundings


def surroundings_of(definitions: Iterable[str], caps: str | None, kernel: str | None) -> Surroundings:
    """
    Return what the options say.

    Raises:
        PolicyError: one of them says nothing.
    """
    return Surroundings(
        Variables.of(definitions),
        docker.DEFAULT_CAPS if caps is None else _caps(caps),
        docker.OLDEST_KERNEL if kernel is None else _version(kernel),
    )


def _caps(words: str) -> frozenset[str]:
    if words == "none":
        return frozenset()
    known = values("capability", Arch.X86_64)
    if words == "all":
        return frozenset(known)
    found: set[str] = set()
    for word in words.split(","):
        name = word.strip().upper()
        name = name if name.startswith("CAP_") else f"CAP_{name}"
        if name not in known:
            message = f"--caps: {word.strip()!r} is no capability; write CAP_SYS_ADMIN,CAP_BPF or none or all"
            raise PolicyError(message)
        found.add(name)
    return frozenset(found)


def _version(text: str) -> Version:
    match = _VERSION.fullmatch(text)
    if match is None:
        message = f"--kernel: {text!r} is no version of a kernel; write one as 6.1"
        raise PolicyError(message)
    return int(match[1]), int(match[2])


def answering(command: Callable[P, int]) -> Callable[P, int]:
    """Make the user's mistakes one line and exit status 2."""

    @wraps(command)
    def told(*args: P.args, **kwargs: P.kwargs) -> int:
        try:
            return command(*args, **kwargs)
        except MonitorError as error:
            click.echo(f"seccomp-monitor: {error}", err=True)
            return USAGE

    return told


ARCH_NAMES: Final = click.Choice([arch.table for arch in Arch])
"""What may stand behind ``--arch``."""


def arches_named(names: Iterable[str]) -> list[Arch]:
    """Return the ABIs called *names*, each once, in their order."""
    known = {arch.table: arch for arch in Arch}
    return [known[name] for name in dict.fromkeys(names)]


# ---- wording ----


def action_text(action: Action) -> str:
    """Return *action* in a few words: ``deny EPERM``, ``handle files``."""
    keys = keys_of(action)
    return " ".join(str(value) for key, value in keys.items() if key != "parameters")


def decision_text(decision: Decision) -> str:
    """Return what decided: a rule by its place, or a default."""
    if decision.rule is None:
        return f"the default of {shown(decision.policy.name)}"
    return described(decision.rule)


def arguments_text(arch: Arch, call: str | None, args: Sequence[int]) -> str:
    """Return the arguments of a call that are not zero, by name; the first, where all are."""
    signature = None if call is None else signature_of(arch, call)
    declared = () if signature is None else signature.arguments
    shown = [index for index, word in enumerate(args) if word] or [0]
    return ", ".join(_argument_text(arch, declared, index, args[index]) for index in shown)


def _argument_text(arch: Arch, declared: Sequence[Argument], index: int, word: int) -> str:
    if index >= len(declared):
        return f"args[{index}]={word:#x}"
    argument = declared[index]
    value = argument.value(word)
    if word not in {value, value % (1 << argument.width), value % (1 << 64)}:
        return f"{argument.name}={word:#x}"  # bits that the kernel does not look at, and a filter does
    if argument.constants is not None:
        return f"{argument.name}={constant_text(argument.constants, value % (1 << argument.width), arch)}"
    return f"{argument.name}={value}" if -_DECIMAL < value < _DECIMAL else f"{argument.name}={word:#x}"


_DECIMAL: Final = 1 << 16
"""Numbers below it are written as people count."""


def place(origin: Origin, fallback: str) -> str:
    """Return where something was written, or *fallback* where nobody knows."""
    return fallback if origin == NOWHERE else str(origin)
