from __future__ import annotations

from weir.decode.timers import GRAIN, Timers


def test_whom_to_look_at():
    timers = Timers()
    timers.put(b"a", 10 * GRAIN)
    timers.put(b"b", 20 * GRAIN)
    assert timers.take(9 * GRAIN) == []
    assert timers.take(10 * GRAIN + 1) == [b"a"]
    assert timers.take(30 * GRAIN) == [b"b"]
    assert len(timers) == 0


def test_another_time_replaces_the_first():
    timers = Timers()
    timers.put(b"a", 10 * GRAIN)
    timers.put(b"a", 20 * GRAIN)
    timers.put(b"b", 20 * GRAIN)
    timers.put(b"b", 10 * GRAIN)
    assert timers.take(15 * GRAIN) == [b"b"]
    assert timers.take(20 * GRAIN) == [b"a"]


def test_cancelling():
    timers = Timers()
    timers.put(b"a", 10)
    timers.cancel(b"a")
    timers.cancel(b"never there")
    assert timers.take(1 << 62) == []
    assert timers.keys() == []


def test_who_is_put_again_for_now_is_looked_at_next_time():
    timers = Timers()
    timers.put(b"a", 5)
    assert timers.take(6) == [b"a"]
    timers.put(b"a", 7)
    assert timers.take(8) == [b"a"]
