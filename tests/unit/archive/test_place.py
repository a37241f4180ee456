from __future__ import annotations

import pytest

from weir.archive.place import place_of
from weir.archive.schema import filled, migrations, statements_of
from weir.errors import SettingsError


def test_a_full_url() -> None:
    place = place_of("https://me:p%40ss@ch.example:9443/traffic?engine=ReplicatedReplacingMergeTree&cluster=main")
    assert (place.host, place.port, place.secure, place.user, place.password) == (
        "ch.example", 9443, True, "me", "p@ss"
    )
    assert (place.database, place.engine, place.cluster) == ("traffic", "ReplicatedReplacingMergeTree", "main")
    assert "p@ss" not in str(place)
    assert "p%40ss" not in str(place)


def test_defaults() -> None:
    place = place_of("http://ch")
    assert (place.port, place.user, place.password, place.database) == (8123, "default", "", "weir")
    assert place_of("https://ch").port == 8443


@pytest.mark.parametrize("url", [
    "http://", "ftp://x", "http://h:99999/x", "http://h/a b", "http://h/x;DROP", "http://h/x?engine=MergeTree",
    "http://h/x?cluster=a'b", "http://h/x?nonsense=1", "http://h/x?&&", "http://[::1/x",
])
def test_what_is_no_place(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        place_of(url)
    assert refused.value.message.startswith("archive:")


def test_every_statement_of_the_schema_may_be_repeated() -> None:
    found = migrations()
    assert [migration.number for migration in found] == list(range(1, len(found) + 1))
    place = place_of("http://h/db?cluster=main&engine=ReplicatedReplacingMergeTree")
    for migration in found:
        for statement in migration.statements:
            sql = filled(statement, place)
            assert "IF NOT EXISTS" in sql or "IF EXISTS" in sql or "MODIFY SETTING" in sql
            assert "ON CLUSTER 'main'" in sql
            assert "{" not in sql


def test_statements_are_split_at_line_ends_only() -> None:
    assert statements_of("-- a; b\nSELECT ';'\n  , 1;\n\nSELECT 2;") == ("SELECT ';'\n  , 1", "SELECT 2")
