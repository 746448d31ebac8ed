"""
What a hostile program tries does not succeed, once; and would, were it not for the broker.

    MONITOR_ATTACK_TRIES=100000 python -m pytest tests/attacks
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

from tests.attacks.kit import ATTACKS, HERE, PAGE, Attack, Programs, line, names_in

TRIES: Final = int(os.environ.get("MONITOR_ATTACK_TRIES", "10000" if os.environ.get("CI") else "1000"))


@pytest.fixture(scope="module")
def programs(public_directory: Path) -> Programs:
    """The compiled C files."""
    return Programs(public_directory)


@pytest.mark.seconds(60 + TRIES // 100)
@pytest.mark.parametrize(
    "attack", [pytest.param(one, marks=[pytest.mark.root] * one.root, id=one.name) for one in ATTACKS]
)
async def test_an_attack_does_not_succeed_and_its_control_does(attack: Attack, programs: Programs) -> None:
    assert (await line(attack, programs, TRIES)).red == ""


def test_every_attack_is_in_the_table_and_no_other() -> None:
    """``python -m tests.attacks --write`` makes it anew."""
    assert names_in(PAGE.read_text(encoding="utf-8")) == [attack.name for attack in ATTACKS]


def test_every_program_is_used() -> None:
    assert {attack.program for attack in ATTACKS} == {source.stem for source in HERE.glob("*.c")}
