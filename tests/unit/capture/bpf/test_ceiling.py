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


@given(st.lists(st.tuples(st.integers(0, 10**12), st.floats(0, 100), st.floats(0, 1)), max_size=50))
def test_the_share_stays_a_share(steps: list[tuple[int, float, float]]) -> None:
    ceiling = Ceiling(20e6)
    assert all(0 < ceiling.step(*step) <= 1 for step in steps)


def test_a_bus_that_is_half_full_lowers_the_share_until_it_has_room_again() -> None:
    for limit in (0, 20e6):
        ceiling = Ceiling(limit)
        assert ceiling.step(1000, 1.0, 0.5) == 1.0
        assert not ceiling.full
        assert ceiling.step(1000, 1.0, 0.4) == 0.8
        assert ceiling.full
        assert ceiling.step(1000, 1.0, 0.0) == 0.2
        assert ceiling.step(1000, 1.0, 0.6) == 0.2, "neither full nor roomy"
        assert ceiling.step(1000, 1.0, 0.75) == 0.25
        while ceiling.share < 1.0:
            ceiling.step(1000, 1.0, 1.0)


def test_above_the_limit_it_falls_however_much_room_there_is() -> None:
    ceiling = Ceiling(20e6)
    ceiling.step(0, 1.0, 0.1)
    before = ceiling.share
    assert ceiling.step(40_000_000, 1.0, 1.0) < before
    assert not ceiling.full
