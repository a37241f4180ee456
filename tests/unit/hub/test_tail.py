from __future__ import annotations

from typing import Any

import msgspec

from weir.hub.tail import Item, Limits, Tail, listed
from weir.query.structured import Query

LIMITS = Limits(rows_per_s=1000, queue=100, queue_bytes=1 << 20)


def entry(number: int = 0, **more: Any) -> dict[str, Any]:
    return {"id": f"e{number}", "timestamp": number, "protocol": "http", "kind": "exchange", "flow_id": "f"} | more


def taken(tail: Tail) -> dict[str, Any]:
    data = tail.take()
    assert data is not None
    decode = msgspec.json.decode if tail.form == "json" else msgspec.msgpack.decode
    message: dict[str, Any] = decode(data)
    return message


def counts(message: dict[str, Any]) -> tuple[int, int, int, int]:
    return len(message["entries"]), message["matched"], message["shown"], message["missed"]


def test_nothing_to_tell() -> None:
    assert Tail(Query(), LIMITS, "json", "full").take() is None


def test_entries_arrive_in_order_in_both_forms() -> None:
    for form in ("json", "msgpack"):
        tail = Tail(Query(), LIMITS, form, "full")
        for number in range(3):
            tail.offer(Item(entry(number, data=b"\xff")), 0.0)
        message = taken(tail)
        assert [one["id"] for one in message["entries"]] == ["e0", "e1", "e2"]
        assert message["entries"][0]["data"] == ("/w==" if form == "json" else b"\xff")
        assert counts(message) == (3, 3, 3, 0)
        assert tail.take() is None


def test_only_what_the_filter_lets_through() -> None:
    tail = Tail(Query(protocols=("dns",)), LIMITS, "json", "full")
    tail.offer(Item(entry(1)), 0.0)
    tail.offer(Item(entry(2, protocol="dns")), 0.0)
    assert counts(taken(tail)) == (1, 1, 1, 0)
    tail.offer(Item(entry(3, protocol="dns")), 0.0)
    tail.filter(Query())
    assert tail.take() is None


def test_above_the_rate_entries_are_counted_and_not_shown() -> None:
    tail = Tail(Query(), msgspec.structs.replace(LIMITS, rows_per_s=10), "json", "full")
    for number in range(100):
        tail.offer(Item(entry(number)), 50.0)
    assert counts(taken(tail)) == (10, 100, 10, 0)
    for number in range(100):
        tail.offer(Item(entry(number)), 50.5)
    assert counts(taken(tail)) == (5, 100, 5, 0)
    tail.offer(Item(entry(1)), 50.5)
    assert counts(taken(tail)) == (0, 1, 0, 0)


def test_a_slow_reader_misses_the_oldest_and_is_told_how_many() -> None:
    tail = Tail(Query(), msgspec.structs.replace(LIMITS, queue=10), "json", "full")
    for number in range(35):
        tail.offer(Item(entry(number)), 0.0)
    message = taken(tail)
    assert counts(message) == (10, 35, 35, 25)
    assert message["entries"][0]["id"] == "e25"


def test_large_entries_fill_the_queue_by_bytes() -> None:
    tail = Tail(Query(), msgspec.structs.replace(LIMITS, queue_bytes=25_000), "json", "full")
    for number in range(10):
        tail.offer(Item(entry(number, text="x" * 10_000)), 0.0)
    assert counts(taken(tail)) == (2, 10, 10, 8)
    tail.offer(Item(entry(text="x" * 100_000)), 1.0)
    assert counts(taken(tail)) == (1, 1, 1, 0)


def test_a_paused_tail_hears_nothing() -> None:
    tail = Tail(Query(), LIMITS, "json", "full")
    tail.offer(Item(entry()), 0.0)
    tail.pause(True)
    tail.offer(Item(entry()), 0.0)
    assert tail.take() is None
    tail.pause(False)
    tail.offer(Item(entry()), 0.0)
    assert counts(taken(tail)) == (1, 1, 1, 0)


def test_lists_need_no_bodies() -> None:
    whole = entry(
        request={"size": 5, "headers": {"a": "b"}, "body": {"text": "x"}}, response={"trailers": {}, "timestamp": 3},
        src={"ip": "10.0.0.1", "labels": {"a": "b"}}, dst="odd",
    )
    short = listed(whole)
    assert short["request"] == {"size": 5}
    assert short["response"] == {"timestamp": 3}
    assert short["src"] == {"ip": "10.0.0.1"}
    assert short["dst"] == "odd"
    assert whole["request"]["body"] == {"text": "x"}


def test_hostile_entries_are_inert() -> None:
    tail = Tail(Query(), LIMITS, "json", "full")
    tail.offer(Item(entry(text="</script>\u2028\ud800", number=float("nan"), big=2**80, odd={1: {b"x": set()}})), 0.0)
    assert counts(taken(tail)) == (1, 1, 1, 0)
