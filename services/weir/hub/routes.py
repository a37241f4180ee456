"""Every route of the API, once: the app serves them and `openapi` describes them."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from weir.archive.api import GROUPS, MAX_GROUPS, Statistics
from weir.hub.health import Health
from weir.hub.nodes import NodeRate
from weir.hub.selection import PodRate, Preview, RuleState
from weir.hub.why import Why
from weir.query.filter.syntax import MAX_TEXT as MAX_FILTER
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
    method: Literal["GET", "POST", "PUT", "DELETE"] = "GET"
    handler: str
    """Method of `app.Hub`."""
    doc: str
    params: tuple[Param, ...] = ()
    answer: Any = None
    """Type of the JSON answer; None where it is something else (see `media`)."""
    body: Any = None
    """Type of the JSON that is sent."""
    media: str = "application/json"
    status: int = 200
    not_found: bool = False
    read_only: bool = False
    """What comes from elsewhere is refused."""
    open: bool = False
    """Answered without a token."""


class EntriesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    entries: list[dict[str, Any]]
    """Newest first, in the contract's form; bytes are base64."""
    next: str | None
    """Cursor of the next page, null at the end."""
    hidden: int
    """Entries in the time of this page that are left out for a tag (`probe`, `service-view`)."""


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


class RuleWish(msgspec.Struct, frozen=True, kw_only=True):
    """A rule as it is sent. What is left out does not narrow; either `target` is set or something that selects pods."""

    name: str = ""
    """How the rule is called; one of this name is replaced. Not needed for a preview."""
    target: str = ""
    """For what has no pod: `all`, an address, a network, `port:N`, `host:port`."""
    namespaces: list[str] = []
    exclude_namespaces: list[str] = []
    pod: str = ""
    """Regular expression (RE2) that the whole pod name fits."""
    labels: str = ""
    """Label selector, e.g. `app=web,tier in (a, b)`."""
    workload: str = ""
    """`kind/name`, or a name alone."""
    node: str = ""
    service: str = ""
    """`namespace/name`, or a name alone: its backends."""
    port: int = 0
    exclude: bool = False
    author: str = ""
    """Who asks, e.g. `cli user@host`; empty: the program that asks."""
    for_s: float = 0
    """It is gone after so many seconds unless it is renewed; 0: it stays until it is removed."""


class RenewWish(msgspec.Struct, frozen=True, kw_only=True):
    for_s: float = 0
    """It is gone so many seconds from now; 0: it stays until it is removed."""


class RulesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    rules: list[RuleState]


class TargetsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What is targeted now."""

    says: str
    targets: list[str]
    """Addresses, networks and ports."""
    pods: int
    """Pods that are targeted, by however many rules."""
    listed: list[PodRate]
    """The busiest of them."""
    by_rule: dict[str, list[str]]
    """The first pods of each rule, as `namespace/name`."""
    nodes: list[NodeRate]


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
    Param(name="hidden", doc="Entries that are tagged `probe` or `service-view`, too",
          schema={"type": "string", "enum": ["true", "false", "1", "0"]}),
    Param(name="filter", doc="A condition in the filter language, e.g. `http && status_code >= 500`",
          schema={"type": "string", "maxLength": MAX_FILTER}),
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
    Param(name="rule", doc="Only conversations with an end that this rule selects now"),
)
NAME = Param(name="name", where="path", doc="The rule's name")
GROUPING = (
    Param(name="group_by", doc="Group by these columns: " + ", ".join(GROUPS), many=True),
    Param(name="bucket", doc="Width of time buckets in seconds; 0 for none",
          schema={"type": "integer", "minimum": 0, "maximum": 86400, "default": 0}),
    Param(name="limit", doc="Groups at most, the largest first",
          schema={"type": "integer", "minimum": 1, "maximum": MAX_GROUPS, "default": 1000}),
)

TAIL_DOC = """Live entries over a WebSocket.

The hub sends `{"type": "state", "paused", "filter", "rate"}` first and after each change, and then batches:
`{"type": "entries", "entries": […], "matched": n, "shown": n, "missed": n, "hidden": n}`. `matched` counts what the
filter let through since the message before, `shown` what was chosen under the rate, `missed` what was chosen and
dropped since the reader was too slow, `hidden` what was left out for a tag. The reader may send (as JSON text)
`{"pause": true}`, `{"pause": false}`, `{"rate": 100}` or `{"filter": {"protocol": ["http"], "text": "x"}}`; what
cannot be understood is answered by `{"type": "error", "error", "hint"}` and changes nothing. A browser needs the
cookie, and its Origin is checked."""

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
    Route(path=f"{API}/rules", handler="rules", doc="Every rule, and what it selects now", answer=RulesAnswer),
    Route(path=f"{API}/rules", method="POST", handler="put_rule", doc="Make a rule, or replace the one of this name",
          body=RuleWish, answer=RuleState, read_only=True),
    Route(path=f"{API}/rules/preview", method="POST", handler="preview_rule",
          doc="What a rule would select, and what it would put on the bus; changes nothing",
          body=RuleWish, answer=Preview),
    Route(path=f"{API}/rules/{{name}}", method="PUT", handler="renew_rule", params=(NAME,),
          doc="Let a rule stay for longer: a lease is renewed so", body=RenewWish, answer=RuleState, not_found=True,
          read_only=True),
    Route(path=f"{API}/rules/{{name}}", method="DELETE", handler="remove_rule", doc="Remove a rule", params=(NAME,),
          answer=RuleState, not_found=True, read_only=True),
    Route(path=f"{API}/targets", handler="targets", doc="What is targeted now, by pod, rule and node",
          answer=TargetsAnswer),
    Route(path=f"{API}/why", handler="why", doc="Why the traffic of a pod is shown, or is not", answer=Why,
          params=(Param(name="pod", doc="`NAMESPACE/NAME`"),)),
    Route(path=f"{API}/fields", handler="fields", doc="The protocols' fields, as the dissectors declare them",
          answer=FieldsAnswer),
    Route(path=f"{API}/tail", handler="tail", doc=TAIL_DOC, params=(*CONDITIONS, DETAIL, *TAIL), status=101,
          media=""),
    Route(path=f"{API}/openapi.json", handler="openapi", doc="This document", answer=dict[str, Any]),
    Route(path="/metrics", handler="metrics", doc="Prometheus metrics of this process", media="text/plain"),
    Route(path="/healthz", handler="healthz", doc="Whether this process answers", media="text/plain", open=True),
)
