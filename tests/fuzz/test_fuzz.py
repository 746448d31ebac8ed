"""A few seconds of each fuzzer; .ci/run gives them more, and .ci/nightly/fuzz a minute."""

from __future__ import annotations

import random

import pytest

from tests.fuzz.frame import Fuzzer, FuzzError, fuzz, fuzzers

FUZZERS = fuzzers()


@pytest.mark.parametrize("name", FUZZERS)
def test_a_parser_accepts_or_refuses_and_does_nothing_else(name: str) -> None:
    tried = fuzz(FUZZERS[name], 2, random.randrange(1 << 32))

    assert tried.accepted
    assert tried.refused


def test_a_fault_of_a_parser_is_found() -> None:
    """The control: a parser that fails for one byte among the mutations of a short text."""

    def parse(data: bytes) -> None:
        if b"\xff" in data:
            raise KeyError(data)

    with pytest.raises(FuzzError, match=r"(?s)KeyError.*with seed 1"):
        fuzz(Fuzzer(parse, (b"some text",)), 20, 1)
