from __future__ import annotations

from typing import Any

import pytest

from weir.directory import Directory
from weir.model.control import EndpointRecord
from weir.testing.packets import address


def record(where: str, name: str, **fields: Any) -> EndpointRecord:
    return EndpointRecord(address=where, uid=name, name=name, **fields)


def directory(*records: EndpointRecord, **options: Any) -> Directory:
    made = Directory(**options)
    for n, r in enumerate(records):
        made.put(b"%d" % n, r)
    return made


def name(found: EndpointRecord | None) -> str | None:
    return found.name if found is not None else None


def test_an_address_at_a_time() -> None:
    d = directory(
        record("10.0.0.1", "first", since_ns=100, until_ns=200), record("10.0.0.1", "second", since_ns=250),
        record("10.0.0.2", "other"),
    )
    asked = {ts: name(d.lookup(address("10.0.0.1"), 80, ts)) for ts in (99, 100, 199, 200, 249, 250, 10**18)}
    assert asked == {
        99: None, 100: "first", 199: "first", 200: None, 249: None, 250: "second", 10**18: "second",
    }
    assert name(d.lookup("10.0.0.2", 0, 0)) == "other"
    assert d.lookup("10.0.0.3", 0, 0) is None


def test_of_two_holders_the_later_one_has_it() -> None:
    d = directory(record("10.0.0.1", "new", since_ns=150), record("10.0.0.1", "old", since_ns=100))
    assert [name(d.lookup("10.0.0.1", 1, ts)) for ts in (149, 150, 120)] == ["old", "new", "old"]


def test_the_most_exact_record_answers() -> None:
    d = directory(
        record("0.0.0.0/0", "internet"), record("10.0.0.0/8", "cluster"), record("10.1.0.0/16", "port of net", port=53),
        record("10.1.0.0/16", "net"), record("10.1.0.1", "address"), record("10.1.0.1", "port", port=8081),
    )
    asked = [
        ("10.1.0.1", 8081), ("10.1.0.1", 80), ("10.1.0.2", 53), ("10.1.0.2", 80), ("10.2.0.1", 53), ("8.8.8.8", 53),
    ]
    assert [name(d.lookup(a, p, 5)) for a, p in asked] == [
        "port", "address", "port of net", "net", "cluster", "internet",
    ]
    assert d.lookup("2001:db8::1", 53, 5) is None


def test_what_has_ended_gives_way_to_the_network() -> None:
    d = directory(record("10.0.0.1", "pod", since_ns=10, until_ns=20), record("10.0.0.0/8", "net", until_ns=30))
    assert [name(d.lookup("10.0.0.1", 1, ts)) for ts in (9, 10, 20, 29, 30, 15, 5)] == [
        "net", "pod", "net", "net", None, "pod", "net",
    ]


def test_ipv6_and_mapped_addresses() -> None:
    d = directory(
        record("2001:db8::/32", "six"), record("2001:DB8::0:1", "host six"), record("10.0.0.1", "four"),
        record("::ffff:10.0.0.2", "mapped"),
    )
    assert name(d.lookup("2001:db8::1", 1, 0)) == "host six"
    assert name(d.lookup("2001:db8::2", 1, 0)) == "six"
    assert name(d.lookup(bytes(10) + b"\xff\xff" + address("10.0.0.1"), 1, 0)) == "four"
    assert name(d.lookup("10.0.0.2", 1, 0)) == "mapped"


def test_put_replaces_and_remove_forgets() -> None:
    d = directory(record("10.0.0.1", "pod", since_ns=10))
    assert name(d.lookup("10.0.0.1", 1, 50)) == "pod"
    d.put(b"0", record("10.0.0.1", "pod", since_ns=10, until_ns=40))
    assert d.lookup("10.0.0.1", 1, 50) is None
    d.put(b"0", record("10.0.0.9", "pod", since_ns=10))
    assert d.lookup("10.0.0.1", 1, 30) is None
    assert name(d.lookup("10.0.0.9", 1, 30)) == "pod"
    d.remove(b"0")
    d.remove(b"never there")
    assert d.lookup("10.0.0.9", 1, 30) is None
    assert len(d) == 0


def test_only_a_change_is_a_new_version() -> None:
    d = directory(record("10.0.0.1", "pod"))
    before = d.version
    d.put(b"0", record("10.0.0.1", "pod"))
    d.remove(b"other")
    assert d.version == before
    d.put(b"0", record("10.0.0.1", "pod", targeted=True))
    assert d.version > before


def test_it_follows_a_table() -> None:
    a, b, c = record("10.0.0.1", "a"), record("10.0.0.2", "b"), record("10.0.0.3", "c")
    d = Directory()
    d.follow({b"a": a, b"b": b}.items())
    assert [name(d.lookup(f"10.0.0.{n}", 1, 0)) for n in (1, 2, 3)] == ["a", "b", None]
    version = d.version
    d.follow({b"a": a, b"b": b}.items())
    assert d.version == version
    d.follow({b"b": b, b"c": c}.items())
    assert [name(d.lookup(f"10.0.0.{n}", 1, 0)) for n in (1, 2, 3)] == [None, "b", "c"]


@pytest.mark.parametrize("nonsense", ["", "pod-1", "10.0.0.1/99", "10.0.0.256", "fe80::1%eth0/64"])
def test_what_is_no_address_is_refused(nonsense: str) -> None:
    d = directory(record(nonsense, "x"), record("10.0.0.1", "y"))
    assert (len(d), d.refused) == (1, 1)


def test_it_is_bounded_and_forgets_the_past_first() -> None:
    d = Directory(max_records=20)
    for n in range(60):
        ended = n % 2 == 0
        d.put(b"%d" % n, record(f"10.0.0.{n}", f"pod {n}", since_ns=n, until_ns=n + 5 if ended else 0))
        assert len(d) <= 20
    assert d.refused > 0
    assert [name(d.lookup(f"10.0.0.{n}", 1, 1000)) for n in (1, 3)] == ["pod 1", "pod 3"]


def test_the_cache_is_bounded() -> None:
    d = directory(record("10.0.0.0/8", "net"), max_cached=10)
    assert {name(d.lookup(f"10.0.{n}.1", n, 0)) for n in range(100)} == {"net"}
    assert sum(len(answers) for answers in d._cache.values()) <= 10


def test_ports_that_no_record_names_share_an_answer() -> None:
    d = directory(record("10.0.0.1", "pod"))
    assert {name(d.lookup("10.0.0.1", port, 0)) for port in range(1000)} == {"pod"}
    assert sum(len(answers) for answers in d._cache.values()) == 1
    d.put(b"80", record("10.0.0.1", "web", port=80))
    assert [name(d.lookup("10.0.0.1", port, 0)) for port in (79, 80)] == ["pod", "web"]
    d.remove(b"80")
    assert name(d.lookup("10.0.0.1", 80, 0)) == "pod"


def test_a_change_of_one_address_leaves_the_answers_about_others() -> None:
    d = directory(record("10.0.0.1", "a"), record("10.0.0.2", "b"))
    for n in (1, 2):
        d.lookup(f"10.0.0.{n}", 1, 0)
    d.apply([(b"2", record("10.0.0.3", "c")), (b"1", None)])
    assert set(d._cache) == {address("10.0.0.1")}
    assert [name(d.lookup(f"10.0.0.{n}", 1, 0)) for n in (1, 2, 3)] == ["a", None, "c"]
    assert d.get(b"2") == record("10.0.0.3", "c")
    assert d.get(b"1") is None


def test_who_is_known_holds_the_very_address() -> None:
    d = directory(
        record("10.0.0.0/8", "net"), record("10.0.0.1", "pod", since_ns=10, until_ns=20),
        record("10.0.0.2", "web", port=80), record("2001:db8::1", "six"),
    )
    assert [d.known(address("10.0.0.1"), 1, ts) for ts in (9, 10, 19, 20)] == [False, True, True, False]
    assert [d.known(address("10.0.0.2"), port, 0) for port in (80, 81)] == [True, False]
    assert not d.known(address("10.0.0.3"), 1, 0)
    assert d.known(address("2001:db8::1"), 1, 0)
    assert d.known(address("::ffff:10.0.0.1"), 1, 10)
