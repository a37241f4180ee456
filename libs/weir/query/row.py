"""The typed view of an entry that queries look at: what the Python predicate sees, and what the archive stores as
columns. Any map gives a row: absent or odd values become typed defaults, long texts are cut, numbers are clamped.
"""

from __future__ import annotations

from typing import Any

import msgspec

from weir.model.entry import EntryMap

MAX_TEXT = 2048
"""Characters of one text that a row keeps; the whole entry is kept apart."""
MAX_NAME = 512
MAX_NS = 4_102_444_800 * 10**9
"""The year 2100: a time beyond is a broken clock, and ClickHouse's hours end in 2106."""
MAX_ELAPSED = (1 << 53) - 1
MAX_SIZE = 1 << 40
"""Bytes; a size beyond is somebody's garbage and would drown every sum."""
MAX_STATUS = (1 << 31) - 1
MAX_VERSION = (1 << 32) - 1
WEIGHT_UNIT = 1000
"""Weights are whole thousandths, so that sums and quantiles are exact and the same in every archive."""
MAX_WEIGHT = 1_000_000 * WEIGHT_UNIT

OK_UNKNOWN, OK_NO, OK_YES = -1, 0, 1
FLOW = "flow"
"""The kind of entries that count a conversation's bytes once more, as a whole."""
MAX_TAGS = 16


class Row(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One entry's common columns."""

    timestamp: int
    id: str
    version: int
    protocol: str
    kind: str
    flow_id: str
    transport: str
    node_name: str
    elapsed_time: int
    """µs; 0 where it is not known."""
    src_ip: str
    src_port: int
    src_name: str
    src_namespace: str
    src_service: str
    src_workload: str
    dst_ip: str
    dst_port: int
    dst_name: str
    dst_namespace: str
    dst_service: str
    dst_workload: str
    method: str
    path: str
    status_code: int
    ok: int
    """1 it went well, 0 it failed, -1 it cannot be told."""
    request_size: int
    """Bytes as on the wire; of a flow, what its client sent."""
    response_size: int
    weight: int
    """How many conversations the entry stands for, in thousandths: 1000 / sample_rate."""
    summary: str
    search: str
    """What a text is looked for in: lower case, parts separated by line feeds."""
    src_role: str
    dst_role: str
    tags: list[str]


FIELDS: tuple[str, ...] = Row.__struct_fields__

_NOTHING: dict[str, Any] = {}


def row_of(entry: EntryMap) -> Row:
    """The row of any map; never raises."""
    get = entry.get
    src, dst = _map(get("src")), _map(get("dst"))
    summary, path, url = _text(get("summary"), MAX_TEXT), _text(get("path"), MAX_TEXT), _text(get("url"), MAX_TEXT)
    status = _number(get("status_code"), -MAX_STATUS, MAX_STATUS)
    method = _text(get("method"), MAX_NAME)
    kind = _text(get("kind"), MAX_NAME)
    here, there = _peer(src), _peer(dst)
    ok = get("ok")
    return Row(
        _number(get("timestamp"), 0, MAX_NS),
        _text(get("id"), MAX_NAME),
        _number(get("version", 1), 0, MAX_VERSION),
        _text(get("protocol"), MAX_NAME),
        kind,
        _text(get("flow_id"), MAX_NAME),
        _text(get("transport", "tcp"), MAX_NAME),
        _text(get("node_name"), MAX_NAME),
        _number(get("elapsed_time"), 0, MAX_ELAPSED),
        *here,
        *there,
        method,
        path,
        status,
        OK_UNKNOWN if not isinstance(ok, bool) else int(ok),
        *_sizes(entry, kind),
        weight_of(get("sample_rate", 1.0)),
        summary,
        _search(summary, method, url or path, str(status) if status else "", here, there),
        _text(src.get("role"), MAX_NAME),
        _text(dst.get("role"), MAX_NAME),
        _tags(get("tags")),
    )


def _sizes(entry: EntryMap, kind: str) -> tuple[int, int]:
    """What client and server sent."""
    get = entry.get
    if kind != FLOW:
        asked, answered = _map(get("request")).get("size"), _map(get("response")).get("size")
    elif "conn_local_bytes" in entry:
        asked, answered = get("conn_local_bytes"), get("conn_remote_bytes")
    else:
        asked, answered = get("flow_local_bytes"), get("flow_remote_bytes")
    return _number(asked, 0, MAX_SIZE), _number(answered, 0, MAX_SIZE)


def weight_of(sample_rate: Any) -> int:
    """Thousandths of conversations that an entry stands for; nonsense counts as one conversation."""
    if type(sample_rate) not in (int, float) or not 0.0 < sample_rate < 1.0:
        return WEIGHT_UNIT
    return int(min(round(WEIGHT_UNIT / max(sample_rate, 1e-9)), MAX_WEIGHT))


_Peer = tuple[str, int, str, str, str, str]


def _peer(peer: dict[str, Any]) -> _Peer:
    get = peer.get
    return (
        _text(get("ip"), MAX_NAME),
        _number(get("port"), 0, 65535),
        _text(get("name"), MAX_NAME),
        _text(get("namespace"), MAX_NAME),
        _text(_map(get("service")).get("name"), MAX_NAME),
        _text(get("workload"), MAX_NAME),
    )


def _search(summary: str, method: str, target: str, status: str, src: _Peer, dst: _Peer) -> str:
    parts = (summary, method, target, status, src[0], src[2], src[3], src[4], src[5],
             dst[0], dst[2], dst[3], dst[4], dst[5])
    return clean("\n".join([part for part in parts if part]).lower())


def clean(text: str) -> str:
    """Text that UTF-8 can carry: lone surrogates become question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _text(value: Any, limit: int) -> str:
    # First what nearly every text is: this is called twenty times for each entry.
    if type(value) is str and len(value) <= limit and value.isascii():
        return value
    if type(value) is not str:
        return ""
    return clean(value if len(value) <= limit else value[:limit])


def _tags(value: Any) -> list[str]:
    if not value or type(value) is not list:
        return []
    return [_text(tag, MAX_NAME) for tag in value[:MAX_TAGS] if type(tag) is str]


def _number(value: Any, low: int, high: int) -> int:
    if type(value) is int and low <= value <= high:
        return value
    if not isinstance(value, int) or isinstance(value, bool):
        return 0
    return max(low, min(value, high))


def _map(value: Any) -> dict[str, Any]:
    return value if type(value) is dict else _NOTHING
