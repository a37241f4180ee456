from __future__ import annotations

from weir.bus.changes import ChangeLog


def test_keys_come_once_and_in_the_order_of_the_changes() -> None:
    log = ChangeLog()
    assert log.since(0) == []
    for key in (b"a", b"b", b"a", b"c"):
        log.add(key)
    assert log.version == 4
    assert log.since(0) == [b"a", b"b", b"c"]
    assert log.since(2) == [b"a", b"c"]
    assert log.since(4) == []


def test_who_is_too_far_behind_has_to_look_at_everything() -> None:
    log = ChangeLog(remembered=2)
    for key in (b"a", b"b", b"c"):
        log.add(key)
    assert log.since(0) is None
    assert log.since(1) == [b"b", b"c"]
    assert log.since(-1) is None
