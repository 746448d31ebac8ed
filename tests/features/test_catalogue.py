"""The table of features: it hangs together, and agrees with the probes in C."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

import pytest

from monitor.features.abilities import ABILITIES
from monitor.features.catalogue import CATALOGUE, ENTRIES, Entry

PROBES = Path(__file__).parents[2] / "native" / "probe.c"


def test_each_probe_in_c_is_a_row_and_each_row_that_is_probed_has_a_probe() -> None:
    in_c = re.findall(r'^\t\{"([^"]+)", probe_\w+\},$', PROBES.read_text(), re.MULTILINE)

    assert len(in_c) == len(set(in_c))
    assert set(in_c) - {"capabilities"} == {entry.name for entry in CATALOGUE if entry.probed}


def test_no_name_stands_twice() -> None:
    assert len(ENTRIES) == len(CATALOGUE)


def test_rows_of_a_group_stand_together() -> None:
    groups = [group for group, _ in groupby(entry.group for entry in CATALOGUE)]

    assert len(groups) == len(set(groups))


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.name)
def test_what_is_needed_stands_above(entry: Entry) -> None:
    """So one pass over the table judges everything."""
    above = [other.name for other in CATALOGUE[: CATALOGUE.index(entry)]]

    assert set(entry.depends_on) <= set(above)


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.name)
def test_a_row_says_in_one_sentence_what_degrades(entry: Entry) -> None:
    assert re.fullmatch(r"[a-zA-Z0-9][^.]+\.", entry.without)


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.name)
def test_every_step_of_a_probe_has_a_name(entry: Entry) -> None:
    assert bool(entry.steps) == entry.probed
    assert all(entry.steps[:1] + entry.steps[3:])


def test_every_ability_begins_with_running_and_names_features() -> None:
    for features in ABILITIES.values():
        assert ABILITIES["run"] <= features <= ENTRIES.keys()


def test_what_a_required_feature_needs_is_required() -> None:
    for name in ABILITIES["run"]:
        assert set(ENTRIES[name].depends_on) <= ABILITIES["run"]
