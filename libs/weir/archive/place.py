"""Where a ClickHouse archive is: its URL, taken apart and checked. Pure."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from weir.errors import SettingsError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}\Z")
_CLUSTER = re.compile(r"[A-Za-z0-9_.{}-]{1,64}\Z")
OPTIONS = frozenset({"engine", "cluster", "verify"})
EXAMPLE = "for example http://user:password@clickhouse:8123/weir"
ENGINES = ("ReplacingMergeTree", "ReplicatedReplacingMergeTree", "SharedReplacingMergeTree")


class Place(msgspec.Struct, frozen=True, kw_only=True):
    host: str
    port: int
    secure: bool = False
    user: str = "default"
    password: str = ""
    database: str = "weir"
    engine: str = "ReplacingMergeTree"
    """Its family decides on replication; the schema is the same."""
    cluster: str = ""
    """Made on every server of this cluster."""
    verify: bool = True

    def __str__(self) -> str:
        """Without the password."""
        scheme = "https" if self.secure else "http"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}/{self.database}"


def place_of(url: str) -> Place:
    """`http[s]://[user[:password]@]host[:port][/database][?engine=…&cluster=…&verify=false]`."""
    try:
        parts = urlsplit(url)
        port = parts.port or (8443 if parts.scheme == "https" else 8123)
        options = {name: values[-1] for name, values in parse_qs(parts.query, strict_parsing=bool(parts.query)).items()}
    except ValueError as error:
        raise SettingsError(f"archive: this URL cannot be read: {error}", hint=EXAMPLE) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError("archive: this URL names no ClickHouse HTTP server", hint=EXAMPLE)
    if unknown := sorted(set(options) - OPTIONS):
        raise SettingsError(f"archive: unknown option {unknown[0]!r} in its URL", hint=", ".join(sorted(OPTIONS)))
    engine = options.get("engine", ENGINES[0])
    if engine not in ENGINES:
        raise SettingsError(f"archive: engine {engine!r} does not fold copies of entries", hint=", ".join(ENGINES))
    cluster = options.get("cluster", "")
    if cluster and not _CLUSTER.match(cluster):
        raise SettingsError(f"archive: {cluster!r} is no name of a cluster")
    return Place(
        host=parts.hostname, port=port, secure=parts.scheme == "https",
        user=unquote(parts.username or "default"), password=unquote(parts.password or ""),
        database=_database(parts.path.strip("/") or "weir"),
        engine=engine, cluster=cluster, verify=options.get("verify", "true") != "false",
    )


def _database(name: str) -> str:
    if not _NAME.match(name):
        raise SettingsError(f"archive: {name!r} is no name of a database", hint="letters, digits and underscores")
    return name
