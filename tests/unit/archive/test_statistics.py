from __future__ import annotations

import math
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from weir.archive.statistics import LEVELS, quantiles


def test_no_values_give_zeros() -> None:
    assert quantiles(Counter()) == (0, 0, 0)


def test_a_heavy_value_pulls() -> None:
    assert quantiles(Counter({1: 1, 100: 98, 1000: 1})) == (100, 100, 100)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=200))
def test_unweighted_quantiles_are_order_statistics(values: list[int]) -> None:
    ordered = sorted(values)
    assert quantiles(Counter(values)) == tuple(ordered[math.ceil(len(values) * level) - 1] for level in LEVELS)
