"""
What the fuzzers share: inputs by mutation, and what counts as a failure.

What it is not: guided by coverage.  The seeds are valid texts, the words are what a parser looks
for, and most of what comes of mixing them is nearly right, which is where parsers go wrong.

A fuzzer is a module ``tests/fuzz/fuzz_NAME.py`` with a constant ``FUZZER``.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Final

from attrs import field, frozen

from monitor.errors import PolicyError

SLOW: Final = 3.0
"""Seconds of this process's own time after which one input has taken too long."""

LONGEST: Final = 20_000

SEEDS_KEPT: Final = 500


@frozen
class Fuzzer:
    """
    A parser under test.

    Attributes:
        parse: takes an input; may return, or raise one of *refusals*, and nothing else.
        seeds: inputs that are right, or nearly.
        words: what is inserted whole.
        refusals: the exceptions that say no.
    """

    parse: Callable[[bytes], object]
    seeds: tuple[bytes, ...]
    words: tuple[bytes, ...] = ()
    refusals: tuple[type[Exception], ...] = (PolicyError,)


@frozen
class Tried:
    """How many inputs were accepted and refused."""

    accepted: int
    refused: int


class FuzzError(AssertionError):
    """An input that was neither accepted nor refused."""


@frozen
class _Mixer:
    """Makes inputs of other inputs."""

    chance: random.Random
    words: tuple[bytes, ...]
    pool: list[bytes] = field(factory=list[bytes])

    def input(self) -> bytes:
        data = self.chance.choice(self.pool)
        for _ in range(1 + int(self.chance.expovariate(0.5))):
            data = self.chance.choice(_MUTATIONS)(self, data)
        return data[:LONGEST]

    def place(self, data: bytes) -> int:
        return self.chance.randrange(len(data) + 1)

    def piece(self, data: bytes) -> tuple[int, int]:
        begin = self.place(data)
        return begin, min(len(data), begin + 1 + int(self.chance.expovariate(0.1)))


def _flip(mixer: _Mixer, data: bytes) -> bytes:
    at = mixer.place(data)
    return data[:at] + bytes([mixer.chance.randrange(256)]) + data[at + 1 :]


def _delete(mixer: _Mixer, data: bytes) -> bytes:
    begin, end = mixer.piece(data)
    return data[:begin] + data[end:]


def _insert(mixer: _Mixer, data: bytes) -> bytes:
    at = mixer.place(data)
    return data[:at] + mixer.chance.choice(mixer.words or (b" ",)) + data[at:]


def _replace(mixer: _Mixer, data: bytes) -> bytes:
    begin, end = mixer.piece(data)
    return data[:begin] + mixer.chance.choice(mixer.words or (b" ",)) + data[end:]


def _repeat(mixer: _Mixer, data: bytes) -> bytes:
    begin, end = mixer.piece(data)
    return data[:end] + data[begin:end] * mixer.chance.choice((1, 1, 2, 3, 50, 1000)) + data[end:]


def _move(mixer: _Mixer, data: bytes) -> bytes:
    begin, end = mixer.piece(data)
    rest = data[:begin] + data[end:]
    at = mixer.place(rest)
    return rest[:at] + data[begin:end] + rest[at:]


def _splice(mixer: _Mixer, data: bytes) -> bytes:
    other = mixer.chance.choice(mixer.pool)
    return data[: mixer.place(data)] + other[mixer.place(other) :]


def _lines(mixer: _Mixer, data: bytes) -> bytes:
    lines = data.splitlines(keepends=True) + mixer.chance.choice(mixer.pool).splitlines(keepends=True)
    mixer.chance.shuffle(lines)
    return b"".join(lines[: mixer.chance.randrange(len(lines) + 1)])


_MUTATIONS: Final = (_flip, _delete, _insert, _insert, _replace, _replace, _repeat, _move, _splice, _lines)


def fuzz(fuzzer: Fuzzer, seconds: float, seed: int) -> Tried:
    """
    Feed *fuzzer* for *seconds*.

    Raises:
        FuzzError: an input made it fail, or took too long; the message has it, and *seed*.
    """
    mixer = _Mixer(random.Random(seed), fuzzer.words, list(fuzzer.seeds))
    accepted = refused = 0
    for data in fuzzer.seeds:
        _try(fuzzer, data, seed)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        data = mixer.input()
        if _try(fuzzer, data, seed):
            accepted += 1
            # What was accepted is a step further: its children may reach what those of the seeds do not.
            if len(mixer.pool) < SEEDS_KEPT:
                mixer.pool.append(data)
            else:
                mixer.pool[mixer.chance.randrange(len(fuzzer.seeds), SEEDS_KEPT)] = data
        else:
            refused += 1
    return Tried(accepted, refused)


def _try(fuzzer: Fuzzer, data: bytes, seed: int) -> bool:
    """Return whether *data* was accepted."""
    begin = time.process_time()
    try:
        fuzzer.parse(data)
        accepted = True
    except fuzzer.refusals:
        accepted = False
    except Exception as error:
        message = f"{type(error).__name__}: {error}\nfor {data!r}\nwith seed {seed}"
        raise FuzzError(message) from error
    took = time.process_time() - begin
    if took > SLOW:
        message = f"{took:.1f} s for {data!r}\nwith seed {seed}"
        raise FuzzError(message)
    return accepted


def fuzzers() -> dict[str, Fuzzer]:
    """Return every fuzzer by its name."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("fuzz_*.py"))
    return {name.removeprefix("fuzz_"): import_module(f"tests.fuzz.{name}").FUZZER for name in names}
