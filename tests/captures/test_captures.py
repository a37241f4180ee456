"""The project's own captures: each gives exactly the entries that were written down and read for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from weir.testing.golden import CAPTURE, cases, expected, found
from weir.testing.reading import read_files

HERE = Path(__file__).parent
CASES = cases(HERE)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.relative_to(HERE).as_posix())
def test_case(case: Path) -> None:
    got, want = found(case), expected(case)
    assert [entry["summary"] for entry in got] == [entry["summary"] for entry in want]
    for entry, wanted in zip(got, want, strict=True):
        assert entry == wanted, "`make golden` writes it anew, if this is right"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.relative_to(HERE).as_posix())
def test_rings_change_nothing(case: Path) -> None:
    one, four = read_files(case / CAPTURE).newest(), read_files(case / CAPTURE, capture_rings=4).newest()
    if case.name == "fragments":
        # Fragments are sorted by their addresses, so that the directions of a conversation may lie in two rings: how
        # long it lasted is then told by the one that has its first packet.
        for entry in (*one.values(), *four.values()):
            if entry["kind"] == "flow":
                entry.pop("elapsed_time", None)
    assert four == one


def test_there_are_cases_and_each_tells_how_it_came_about() -> None:
    assert len(CASES) >= 45
    assert [case for case in CASES if not (case / "about.md").exists()] == []
