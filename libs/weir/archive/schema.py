"""The schema's migrations: numbered SQL files, applied in order, each recorded once it is whole.

Several processes may apply them at once: every statement is idempotent (`IF NOT EXISTS`), so that what one has half
done another repeats without harm. ClickHouse has no transactional DDL and no locks to do better.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from importlib import resources
from typing import Any

import msgspec

from weir.archive.place import Place

_FILE = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql\Z")

RECORD = """CREATE TABLE IF NOT EXISTS {database}.migrations{cluster}
(number UInt32, name String, applied DateTime DEFAULT now()) ENGINE = {engine} ORDER BY number"""

Command = Callable[[str], Awaitable[Any]]
Applied = Callable[[], Awaitable[set[int]]]


class Migration(msgspec.Struct, frozen=True):
    number: int
    name: str
    statements: tuple[str, ...]


def migrations() -> list[Migration]:
    """All of them, in order."""
    found = []
    for file in resources.files("weir.archive").joinpath("migrations").iterdir():
        if match := _FILE.match(file.name):
            found.append(Migration(int(match[1]), match[2], statements_of(file.read_text(encoding="utf-8"))))
    return sorted(found, key=lambda one: one.number)


def statements_of(text: str) -> tuple[str, ...]:
    """Statements of a file: ended by a semicolon at the end of a line; comment lines are left out."""
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
    return tuple(part.strip() for part in re.split(r";[ \t]*(?:\n|\Z)", code) if part.strip())


def filled(sql: str, place: Place) -> str:
    """A statement for this place; the names in it were checked when the place was read."""
    cluster = f" ON CLUSTER '{place.cluster}'" if place.cluster else ""
    return sql.format(database=place.database, cluster=cluster, engine=place.engine)


async def migrate(place: Place, command: Command, applied: Applied) -> None:
    """Bring a database to this schema; one that is newer is left as it is."""
    cluster = f" ON CLUSTER '{place.cluster}'" if place.cluster else ""
    await command(f"CREATE DATABASE IF NOT EXISTS {place.database}{cluster}")
    await command(filled(RECORD, place))
    done = await applied()
    for migration in migrations():
        if migration.number not in done:
            for statement in migration.statements:
                await command(filled(statement, place))
            await command(
                f"INSERT INTO {place.database}.migrations (number, name) VALUES "
                f"({migration.number}, '{migration.name}')"
            )
