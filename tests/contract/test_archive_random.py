"""Random entries and questions: every archive answers as the contract says."""

from __future__ import annotations

import random
from typing import Any

import pytest

from weir.archive import questions
from weir.archive.api import Archive
from weir.archive.memory import MemoryArchive
from weir.query.match import predicate
from weir.query.row import row_of
from weir.query.structured import Query
from weir.testing.archives import BASE, every_page

WORDS = ["cart", "checkout", "Ärger", "x_y", "50%", "", "a'b", "Payments", "ünit"]


def random_entry(chance: random.Random, number: int) -> dict[str, Any]:
    def peer() -> dict[str, Any]:
        return {
            "ip": f"10.0.0.{chance.randrange(4)}", "port": chance.randrange(3), "name": chance.choice(WORDS),
            "namespace": chance.choice(["shop", "pay", ""]), "service": {"name": chance.choice(WORDS)},
        }

    made = {
        "v": 1, "id": f"{chance.randrange(60):03}", "timestamp": BASE + chance.randrange(40) * 250_000_000,
        "version": chance.randrange(1, 4), "protocol": chance.choice(["http", "dns", "grpc"]),
        "kind": chance.choice(["exchange", "flow"]), "flow_id": f"f{chance.randrange(3)}", "src": peer(), "dst": peer(),
        "elapsed_time": chance.choice([0, 1, 5, 999, chance.randrange(10**6)]), "method": chance.choice(["GET", "PUT"]),
        "path": "/" + chance.choice(WORDS), "status_code": chance.choice([0, 200, 404, 500]),
        "ok": chance.choice([True, False, None]), "summary": " ".join(chance.choices(WORDS, k=3)),
        "sample_rate": chance.choice([1.0, 0.5, 0.3, 0.01]), "request": {"size": chance.randrange(10**6)},
        "response": {"size": chance.randrange(10**6)}, "number": number, "conn_local_bytes": chance.randrange(10**6),
        "tags": chance.choice([[], [], [], ["probe"], ["service-view"], ["other"], ["other", "probe"]]),
    }
    for name in chance.sample(sorted(set(made) - {"id", "timestamp"}), chance.randrange(4)):
        del made[name]
    return made


def random_query(chance: random.Random) -> Query:
    def some(values: list[str]) -> tuple[str, ...]:
        return tuple(chance.sample(values, chance.randrange(1, 3))) if chance.random() < 0.3 else ()

    at = BASE + chance.randrange(40) * 250_000_000
    return Query(
        protocols=some(["http", "dns", "grpc", "none"]), kinds=some(["exchange", "flow"]),
        since_ns=at if chance.random() < 0.3 else 0, until_ns=at + 10**9 if chance.random() < 0.3 else 0,
        text=chance.choice([*WORDS, "CART", "10.0.0.1", "404", "/50", "t\nc"]) if chance.random() < 0.4 else "",
        flow_id="f1" if chance.random() < 0.2 else "", names=some(WORDS), namespaces=some(["shop", "pay", ""]),
        ok=chance.choice([None, None, True, False]), hidden=chance.random() < 0.5, limit=chance.choice([7, 20, 1000]),
    )


def truth(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What an archive holds after these inserts, newest first, by the contract's words alone."""
    kept: dict[str, dict[str, Any]] = {}
    for one in entries:
        old = kept.get(one["id"])
        if old is None or (one.get("version", 1), -one["timestamp"]) > (old.get("version", 1), -old["timestamp"]):
            kept[one["id"]] = one
    return sorted(kept.values(), key=lambda one: (one["timestamp"], one["id"]), reverse=True)


@pytest.mark.parametrize("seed", range(6))
async def test_random_entries_and_questions_agree_with_the_contract(
    archive: Archive, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Half of the time there are more copies than are named one by one.
    monkeypatch.setattr(questions, "MAX_COPIES", 3 if seed % 2 else 4000)
    chance = random.Random(seed)
    # Copies that are equal in everything that decides must be equal in everything, as they are on the wire.
    unique = {
        (one["id"], one["timestamp"], one.get("version", 1)): one
        for one in (random_entry(chance, number) for number in range(150))
    }
    entries = [*unique.values(), *chance.choices(list(unique.values()), k=40)]
    chance.shuffle(entries)
    reference = MemoryArchive()
    await reference.insert(entries)
    for start in range(0, len(entries), 50):
        await archive.insert(entries[start : start + 50])
    held = truth(entries)
    for _ in range(25):
        query = random_query(chance)
        wanted = predicate(query)
        expected = [one for one in held if wanted(row_of(one))]
        assert await every_page(archive, query) == expected, query
        assert await archive.count(query) == len(expected), query
        group_by = chance.sample(["protocol", "status_code", "ok", "dst_name", "method"], chance.randrange(3))
        bucket = chance.choice([0, 10**9])
        found = await archive.statistics(query, group_by=group_by, bucket_ns=bucket)
        assert found == await reference.statistics(query, group_by=group_by, bucket_ns=bucket), query
        assert sum(group.entries for group in found) == len(expected)
