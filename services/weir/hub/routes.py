"""Every route of the API, once: the app serves them and `openapi` describes them."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from weir.archive.api import GROUPS, MAX_GROUPS, Statistics
from weir.hub.health import Health
from weir.query.structured import MAX_LIMIT, MAX_QUERY_TEXT

API = "/api/v1"


class Param(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    doc: str
    where: Literal["query", "path"] = "query"
    schema: dict[str, Any] = msgspec.field(default_factory=lambda: {"type": "string", "maxLength": MAX_QUERY_TEXT})
    many: bool = False
    """May be repeated, or hold several values joined by commas."""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    path: str
    handler: str
    """Method of `app.Hub`."""
    doc: str
    params: tuple[Param, ...] = ()
    answer: Any = None
    """Type of the JSON answer; None where it is something else (see `media`)."""
    media: str = "application/json"
    status: int = 200
    not_found: bool = False
    open: bool = False
    """Answered without a token."""


class EntriesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    entries: list[dict[str, Any]]
    """Newest first, in the contract's form; bytes are base64."""
    next: str | None
    """Cursor of the next page, null at the end."""


class StatsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    group_by: list[str]
    bucket_ns: int
    groups: list[Statistics]


class FieldAnswer(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    type: str
    """`str`, `int`, `bool`, `float`, `list` or `dict`."""
    doc: str
    column: str = ""
    """Heading, if lists show it."""
    protocols: list[str]


class FieldsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    fields: list[FieldAnswer]


class ErrorAnswer(msgspec.Struct, frozen=True, kw_only=True):
    error: str
    hint: str = ""


_TIME = "ns since 1970, an ISO 8601 time with zone, or an age such as `15m`"

CONDITIONS = (
    Param(name="protocol", doc="Only these protocols, e.g. `http`", many=True),
    Param(name="kind", doc="Only these kinds: exchange, message, flow, handshake", many=True),
    Param(name="since", doc=f"Entries of this time and later: {_TIME}"),
    Param(name="until", doc=f"Entries before this time: {_TIME}"),
    Param(name="text", doc="Somewhere in summary, method, URL or path, status, addresses and names, in any case"),
    Param(name="flow_id", doc="Only this conversation"),
    Param(name="name", doc="Pod, service or host name of either end", many=True),
    Param(name="namespace", doc="Namespace of either end", many=True),
    Param(name="ok", doc="Whether it went well", schema={"type": "string", "enum": ["true", "false"]}),
)
DETAIL = Param(
    name="detail", doc="`summary` leaves out headers, trailers, bodies and labels",
    schema={"type": "string", "enum": ["full", "summary"], "default": "full"},
)
PAGING = (
    Param(name="limit", doc="Entries on a page",
          schema={"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": 100}),
    Param(name="cursor", doc="`next` of the page before"),
)
TAIL = (
    Param(name="format", doc="Form of the messages",
          schema={"type": "string", "enum": ["json", "msgpack"], "default": "json"}),
    Param(name="rate", doc="Entries a second that are shown at most", schema={"type": "integer", "minimum": 1}),
)
GROUPING = (
    Param(name="group_by", doc="Group by these columns: " + ", ".join(GROUPS), many=True),
    Param(name="bucket", doc="Width of time buckets in seconds; 0 for none",
          schema={"type": "integer", "minimum": 0, "maximum": 86400, "default": 0}),
    Param(name="limit", doc="Groups at most, the largest first",
          schema={"type": "integer", "minimum": 1, "maximum": MAX_GROUPS, "default": 1000}),
)

TAIL_DOC = """Live entries over a WebSocket.

The hub sends `{"type": "state", "paused", "filter", "rate"}` first and after each change, and then batches:
`{"type": "entries", "entries": […], "matched": n, "shown": n, "missed": n}`. `matched` counts what the filter let
through since the message before, `shown` what was chosen under the rate, `missed` what was chosen and dropped since
the reader was too slow. The reader may send (as JSON text) `{"pause": true}`, `{"pause": false}`, `{"rate": 100}` or
`{"filter": {"protocol": ["http"], "text": "x"}}`; what cannot be understood is answered by
`{"type": "error", "error", "hint"}` and changes nothing. A browser needs the cookie, and its Origin is checked."""

ROUTES: tuple[Route, ...] = (
    Route(path=f"{API}/entries", handler="entries", doc="Entries of the archive, newest first",
          params=(*CONDITIONS, *PAGING, DETAIL), answer=EntriesAnswer),
    Route(path=f"{API}/entries/{{id}}", handler="entry", doc="One entry, whole", answer=dict[str, Any],
          params=(Param(name="id", where="path", doc="The entry's id"),), not_found=True),
    Route(path=f"{API}/stats", handler="stats", answer=StatsAnswer,
          doc="Counts, errors, elapsed times and bytes, weighted by 1 / sample_rate",
          params=(*CONDITIONS, *GROUPING)),
    Route(path=f"{API}/health", handler="health", doc="Every process: mode, rates, lag, losses; and what it means",
          answer=Health),
    Route(path=f"{API}/fields", handler="fields", doc="The protocols' fields, as the dissectors declare them",
          answer=FieldsAnswer),
    Route(path=f"{API}/tail", handler="tail", doc=TAIL_DOC, params=(*CONDITIONS, DETAIL, *TAIL), status=101,
          media=""),
    Route(path=f"{API}/openapi.json", handler="openapi", doc="This document", answer=dict[str, Any]),
    Route(path="/metrics", handler="metrics", doc="Prometheus metrics of this process", media="text/plain"),
    Route(path="/healthz", handler="healthz", doc="Whether this process answers", media="text/plain", open=True),
)
