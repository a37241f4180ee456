"""The whole of weir from many seeds: whatever happens to its processes, the entries are those of an undisturbed run.

WEIR_SIM_SEEDS=5000 runs so many seeds, WEIR_SIM_SEED=1234 replays one and tells what was done to whom.

Where two nodes show the same packets (their clocks differ), which copy came first decides about times and the node
named; everything else has to be the same there, too (`simulation_traffic.FREE`).
"""

from __future__ import annotations

import os
import random

import pytest

from weir.testing.simulation import simulate
from weir.testing.simulation_traffic import differences, scenario, undisturbed

SEEDS = int(os.environ.get("WEIR_SIM_SEEDS", "200"))
GROUP = 20
ONE = os.environ.get("WEIR_SIM_SEED")
FIRST = range(int(ONE), int(ONE) + 1) if ONE else range(0, SEEDS, GROUP)


def wrong(seed: int) -> str:
    """Empty if the disturbed run of this seed made what it should, else a report."""
    outcome = simulate(seed)
    lines = outcome.problems + differences(outcome.expected, outcome.found)
    if not lines:
        return ""
    told = [line[:1000] for line in lines[:20]]
    return "\n".join([f"replay with WEIR_SIM_SEED={seed}: {len(lines)} differences", *told, *outcome.story])


@pytest.mark.parametrize("first", FIRST)
def test_the_entries_are_those_of_an_undisturbed_run(first: int) -> None:
    for seed in range(first, first + 1 if ONE else min(first + GROUP, SEEDS)):
        report = wrong(seed)
        assert not report, report


def test_the_seeds_cover_what_there_is() -> None:
    kinds: set[tuple[object, ...]] = set()
    longest = 0
    twice = 0
    for seed in range(60):
        given = scenario(random.Random(seed))
        entries = undisturbed(given)
        twice += given.twice
        kinds |= {(entry["protocol"], entry["kind"]) for entry in entries}
        longest = max([longest, *(entry.get("elapsed_time", 0) for entry in entries)])
    assert kinds >= {
        ("http", "exchange"), ("grpc", "exchange"), ("dns", "exchange"), ("tls", "handshake"), ("tcp", "flow"),
        ("udp", "flow"),
    }
    assert longest > 3_400_000_000
    assert 5 < twice < 40


def test_a_seed_repeats_itself() -> None:
    one, other = simulate(3), simulate(3)
    assert one.story == other.story
    assert one.found == other.found
