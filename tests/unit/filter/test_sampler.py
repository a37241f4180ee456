from __future__ import annotations

import pytest

from weir.filter.sampler import Sampler

KEYS = [b"conversation %d" % n for n in range(2000)]


def test_everything_is_kept_by_default() -> None:
    sampler = Sampler()
    assert {sampler.share(key) for key in KEYS} == {1.0}


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_the_share_is_kept(rate: float) -> None:
    sampler = Sampler(rate=rate)
    kept = [key for key in KEYS if sampler.share(key)]
    assert abs(len(kept) / len(KEYS) - rate) < 0.04
    assert {sampler.share(key) for key in kept} == {rate}
    assert [key for key in KEYS if Sampler(rate=rate).share(key)] == kept


def test_nothing_is_kept_at_0() -> None:
    sampler = Sampler(rate=0.0)
    assert {sampler.share(key) for key in KEYS} == {0.0}


def test_a_smaller_share_keeps_part_of_a_larger_one() -> None:
    small, large = Sampler(rate=0.2), Sampler(rate=0.6)
    assert all(large.share(key) for key in KEYS if small.share(key))


def test_a_decision_is_kept_when_the_share_changes() -> None:
    sampler = Sampler()
    sampler.share(KEYS[0])
    sampler.rate = 0.0
    assert sampler.share(KEYS[0]) == 1.0
    assert sampler.share(KEYS[1]) == 0.0
    sampler.rate = 1.0
    assert sampler.share(KEYS[1]) == 0.0


def test_memory_is_bounded_and_forgets_what_is_idle() -> None:
    sampler = Sampler(sticky=10)
    sampler.share(KEYS[0])
    sampler.rate = 0.0
    for key in KEYS[1:]:
        sampler.share(key)
        assert sampler.share(KEYS[0]) == 1.0
        assert len(sampler) <= 10
