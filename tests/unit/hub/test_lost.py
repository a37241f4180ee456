from __future__ import annotations

from typing import Any

from weir.hub.lost import KEPT, LossLog, Lost
from weir.model.health import Heartbeat

SECOND = 10**9


def beat(at_s: float, lost: dict[str, int], process: str = "a", started_s: float = 0, **more: Any) -> Heartbeat:
    return Heartbeat(
        process=process, stages=["capture"], started_ns=int(started_s * SECOND), sent_ns=int(at_s * SECOND), lost=lost,
        **more,
    )


def told(log: LossLog) -> list[tuple[float, float, str, int]]:
    return [(mark.from_ns / SECOND, mark.to_ns / SECOND, mark.what, mark.count) for mark in log.marks()]


def test_what_is_lost_between_two_heartbeats_has_their_times() -> None:
    log = LossLog()
    log.take([beat(10, {"capture.kernel": 100})])
    assert told(log) == []  # nobody knows when
    log.take([beat(12, {"capture.kernel": 130, "capture.bus": 5})])
    log.take([beat(12, {"capture.kernel": 130, "capture.bus": 5})])
    assert told(log) == [(10, 12, "capture.bus", 5), (10, 12, "capture.kernel", 30)]


def test_what_is_being_lost_at_the_first_look_is_of_the_last_interval() -> None:
    log = LossLog()
    log.take([beat(10, {"capture.kernel": 100}, rates={"lost.capture.kernel": 4.0}, interval_s=2.0)])
    assert told(log) == [(8, 10, "capture.kernel", 8)]


def test_counts_begin_anew_with_their_process() -> None:
    log = LossLog()
    log.take([beat(10, {"capture.kernel": 100})])
    log.take([beat(20, {"capture.kernel": 7}, started_s=15), beat(20, {"store.no_id": 2}, "b", started_s=18)])
    assert told(log) == [(15, 20, "capture.kernel", 7), (18, 20, "store.no_id", 2)]


def test_what_goes_on_is_one_mark_a_minute() -> None:
    log = LossLog()
    for second in range(0, 202, 2):
        log.take([beat(second, {"capture.kernel": second}), beat(second, {"capture.kernel": second}, "b")])
    assert [(begin, end) for begin, end, *_ in told(log)] == [(0, 60), (60, 120), (120, 180), (180, 200)]
    assert sum(count for *_, count in told(log)) == 2 * 200


def test_the_newest_are_kept() -> None:
    log = LossLog()
    for number in range(2 * KEPT + 2):
        log.take([beat(10 * number, {"capture.kernel": number // 2})])
    assert len(log.marks()) == KEPT
    assert log.marks()[-1] == Lost(
        from_ns=20 * KEPT * SECOND - 10 * SECOND, to_ns=20 * KEPT * SECOND, what="capture.kernel", count=1
    )
