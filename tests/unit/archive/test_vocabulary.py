from __future__ import annotations

import pytest

from weir.archive import questions
from weir.archive.place import place_of
from weir.archive.schema import RECORD, filled, migrations
from weir.archive.vocabulary import refused
from weir.query.group import groupings, values_of
from weir.query.structured import ORDERS, Position, Query

PLACE = place_of("http://h/weir")
FULL = Query(
    protocols=("http",), kinds=("flow",), since_ns=1, until_ns=2, text="x", flow_id="f", names=("a",),
    namespaces=("b",), ok=True,
)
KEYS = groupings(["src_name", "method", "grpc_method", "status_code / 100"])
OURS = [
    questions.candidates("weir.entries", FULL, Position(1, "a"), 10).sql,
    *(
        questions.candidates("weir.entries", Query(order=order), Position(1, "a"), 10, failed=True).sql
        for order in ORDERS
    ),
    questions.best("weir.entries", ["a"]).sql,
    questions.best("weir.entries", ["a"], [1]).sql,
    questions.values("weir.entries", FULL, values_of("request.headers"), 10, 10).sql,
    questions.values("weir.entries", FULL, values_of("namespaces"), 10, 10).sql,
    questions.copies("weir.entries", FULL).sql,
    questions.count("weir.entries", FULL, []).sql,
    questions.count("weir.entries", FULL, [1]).sql,
    questions.count("weir.entries", FULL, [1] * 10_000).sql,
    questions.statistics("weir.entries", FULL, [1] * 10_000, KEYS, 10, 10).sql,
    filled(RECORD, PLACE),
    *(filled(statement, PLACE) for migration in migrations() for statement in migration.statements),
    "SELECT version(), timezone()",
    questions.count("weir.entries", FULL, []).sql + " SETTINGS max_execution_time = 0.5",
    "SELECT name, value, readonly FROM system.settings LIMIT 10000",
    "ALTER TABLE weir.entries DROP PARTITION ID '1700000000'",
    "INSERT INTO weir.entries (`timestamp`, `id`)",
]


@pytest.mark.parametrize("sql", OURS)
def test_what_the_archive_asks_is_answered(sql: str) -> None:
    assert refused(sql) == ""


@pytest.mark.parametrize("sql", [
    "SYSTEM SHUTDOWN", " system shutdown", "SELECT 1; SYSTEM SHUTDOWN", "SELECT * FROM file('/etc/passwd')",
    "SELECT * FROM FILE ('/etc/passwd')", "SELECT * FROM url('http://x')", "WITH x AS (SELECT * FROM s3('x')) SELECT 1",
    "SELECT * FROM weir.entries INTO OUTFILE '/tmp/x'", "INSERT INTO FUNCTION file('x') SELECT 1",
    "INSERT INTO weir.entries FROM INFILE '/etc/passwd' FORMAT LineAsString", "SELECT executable('x')",
    "CREATE TABLE weir.x (a String) ENGINE = URL('http://x')", "CREATE TABLE weir.x (a String) ENGINE=File(CSV)",
    "CREATE DICTIONARY d (a String) SOURCE(HTTP(url 'x'))", "DROP TABLE weir.entries", "KILL QUERY WHERE 1",
    "ATTACH TABLE x", "SET x = 1", "", "SELECT * FROM remote('127.0.0.1', system.one)", "SELECT * FROM python('x')",
    "SELECT * FROM fileCluster('c', 'x')", "SELECT * FROM urlCluster('c', 'x')", "SELECT/**/1 FROM file/**/('x')",
    "SELECT * FROM `file`('x')", 'SELECT * FROM "url"(\'x\')', "SELECT * FROM file -- \n ('x')",
])
def test_what_reaches_beyond_entries_is_not(sql: str) -> None:
    assert refused(sql)
