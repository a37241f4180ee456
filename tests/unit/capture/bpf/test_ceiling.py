from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from weir.capture.bpf.ceiling import Ceiling


def settled(offered: float, limit: float, steps: int = 60) -> list[float]:
    """Rates over time of a load that is offered evenly."""
    ceiling, rates = Ceiling(limit), []
    for _ in range(steps):
        rates.append(offered * ceiling.share)
        ceiling.step(int(offered * ceiling.share), 1.0)
    return rates


def test_a_cut_is_made_at_once_and_holds() -> None:
    rates = settled(100e6, 20e6)
    assert rates[0] == 100e6
    assert all(0.7 * 20e6 <= rate <= 20e6 for rate in rates[1:])


def test_what_fits_is_not_touched() -> None:
    assert settled(19e6, 20e6) == [19e6] * 60


def test_the_share_comes_back_when_the_load_is_gone() -> None:
    ceiling = Ceiling(20e6)
    assert ceiling.step(2_000_000_000, 1.0) < 0.01
    steps = 0
    while ceiling.share < 1.0:
        ceiling.step(0, 1.0)
        steps += 1
        assert steps < 60
    assert ceiling.step(0, 1.0) == 1.0


def test_no_limit_sheds_nothing() -> None:
    assert Ceiling(0).step(10**12, 1.0) == 1.0


@given(st.lists(st.tuples(st.integers(0, 10**12), st.floats(0, 100)), max_size=50))
def test_the_share_stays_a_share(steps: list[tuple[int, float]]) -> None:
    ceiling = Ceiling(20e6)
    assert all(0 < ceiling.step(passed, seconds) <= 1 for passed, seconds in steps)
