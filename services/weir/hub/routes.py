"""Every route of the API, once: the app serves them and `openapi` describes them."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from weir.archive.api import MAX_GROUPS, MAX_VALUES
from weir.hub.answers import (
    CheckAnswer,
    CompleteAnswer,
    EntriesAnswer,
    FieldsAnswer,
    RenewWish,
    RulesAnswer,
    RuleWish,
    Saved,
    SavedAnswer,
    SavedWish,
    SettingsAnswer,
    StatsAnswer,
    TargetsAnswer,
    ValuesAnswer,
)
from weir.hub.download import MAX_EXPORT
from weir.hub.export import FORMATS
from weir.hub.graph import GROUPINGS, MAX_EDGES, MapAnswer
from weir.hub.health import Health
from weir.hub.selection import Preview, RuleState
from weir.hub.why import Why
from weir.query.filter.syntax import MAX_TEXT as MAX_FILTER
from weir.query.structured import MAX_LIMIT, MAX_QUERY_TEXT, ORDERS

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
    """`part.method`, see `app.PARTS`."""
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
    streams: bool = False
    """Its answer takes as long as somebody reads it."""
    open: bool = False
    """Answered without a token."""


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
ORDER = Param(
    name="order", doc="`failed`: what failed first, the newest of it first, and then the rest",
    schema={"type": "string", "enum": list(ORDERS), "default": "newest"},
)
FIELDS = Param(
    name="fields", doc="Only these fields (names of the filter language), in the contract's form; `id` and `timestamp` "
    "are always there", many=True,
)
PAGING = (
    Param(name="limit", doc="Entries on a page",
          schema={"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": 100}),
    Param(name="cursor", doc="`next` of the page before"),
    ORDER,
)
TAIL = (
    Param(name="format", doc="Form of the messages",
          schema={"type": "string", "enum": ["json", "msgpack"], "default": "json"}),
    Param(name="rate", doc="Entries a second that are shown at most", schema={"type": "integer", "minimum": 1}),
    Param(name="rule", doc="Only conversations with an end that this rule selects now"),
)
NAME = Param(name="name", where="path", doc="The rule's name")
GROUPING = (
    Param(name="group_by", doc="Group by these: names of the filter language, e.g. `src.service`, `dst.service`, "
          "`status_code`, or expressions in it, e.g. `status_code / 100`", many=True),
    Param(name="bucket", doc="Width of time buckets in seconds; 0 for none",
          schema={"type": "integer", "minimum": 0, "maximum": 86400, "default": 0}),
    Param(name="limit", doc="Groups at most, the largest first",
          schema={"type": "integer", "minimum": 1, "maximum": MAX_GROUPS, "default": 1000}),
)

MAP = (
    Param(name="group", doc="What a node stands for",
          schema={"type": "string", "enum": list(GROUPINGS), "default": "service"}),
    Param(name="limit", doc="Edges at most, the busiest first; what else there is is counted in `left_out`",
          schema={"type": "integer", "minimum": 1, "maximum": MAX_EDGES, "default": 500}),
)
EXPORT = (
    Param(name="format", doc="Form of the file", schema={"type": "string", "enum": list(FORMATS), "default": "jsonl"}),
    Param(name="limit", doc="Entries at most",
          schema={"type": "integer", "minimum": 1, "maximum": MAX_EXPORT, "default": 10_000}),
    ORDER, FIELDS,
)
FILTER = Param(name="filter", doc="A text in the filter language, which need not be right",
               schema={"type": "string", "maxLength": 2 * MAX_FILTER})
AT = Param(name="at", doc="Where the cursor stands: characters from the begin; the end if it is left out",
           schema={"type": "integer", "minimum": 0, "maximum": MAX_FILTER})
VALUES = (
    Param(name="prefix", doc="Only values that begin so, in any case"),
    Param(name="limit", doc="Values at most",
          schema={"type": "integer", "minimum": 1, "maximum": MAX_VALUES, "default": 50}),
)
SAVED_NAME = Param(name="name", where="path", doc="The filter's name")

TAIL_DOC = """Live entries over a WebSocket.

The hub sends `{"type": "state", "paused", "filter", "rate"}` first and after each change, and then batches:
`{"type": "entries", "entries": […], "matched": n, "shown": n, "missed": n, "hidden": n}`. `matched` counts what the
filter let through since the message before, `shown` what was chosen under the rate, `missed` what was chosen and
dropped since the reader was too slow, `hidden` what was left out for a tag. The reader may send (as JSON text)
`{"pause": true}`, `{"pause": false}`, `{"rate": 100}` or `{"filter": {"protocol": ["http"], "text": "x"}}`; what
cannot be understood is answered by `{"type": "error", "error", "hint"}` and changes nothing. A browser needs the
cookie, and its Origin is checked."""

EVENTS_DOC = """Live entries as server-sent events, for `curl -N`.

Event `entries` holds a JSON list of entries, `counts` how many matched, were shown, missed and hidden since the event
before, as in the tail. Comments come when nothing else does."""

EXPORT_DOC = """The selected entries as a file.

`Weir-Matched` says how many there are, `Weir-Cut` whether more than `limit` were left out; then the file's name says
so, too, and in HAR the comment of the log. HAR holds HTTP alone. In CSV a text that a spreadsheet would take for a
formula stands behind an apostrophe."""

ROUTES: tuple[Route, ...] = (
    Route(path=f"{API}/entries", handler="history.entries", doc="Entries of the archive",
          params=(*CONDITIONS, *PAGING, DETAIL, FIELDS), answer=EntriesAnswer),
    Route(path=f"{API}/entries/{{id}}", handler="history.entry", doc="One entry, whole", answer=dict[str, Any],
          params=(Param(name="id", where="path", doc="The entry's id"),), not_found=True),
    Route(path=f"{API}/stats", handler="history.stats", answer=StatsAnswer,
          doc="Counts, errors, elapsed times and bytes, weighted by 1 / sample_rate",
          params=(*CONDITIONS, *GROUPING)),
    Route(path=f"{API}/map", handler="history.map", answer=MapAnswer,
          doc="Who calls whom, with counts, errors, elapsed times and bytes, weighted by 1 / sample_rate",
          params=(*CONDITIONS, *MAP)),
    Route(path=f"{API}/health", handler="hub.health", doc="Every process: mode, rates, lag, losses; and what it means",
          answer=Health),
    Route(path=f"{API}/rules", handler="rulings.rules", doc="Every rule, and what it selects now", answer=RulesAnswer),
    Route(path=f"{API}/rules", method="POST", handler="rulings.put_rule",
          doc="Make a rule, or replace the one of this name",
          body=RuleWish, answer=RuleState, read_only=True),
    Route(path=f"{API}/rules/preview", method="POST", handler="rulings.preview_rule",
          doc="What a rule would select, and what it would put on the bus; changes nothing",
          body=RuleWish, answer=Preview),
    Route(path=f"{API}/rules/{{name}}", method="PUT", handler="rulings.renew_rule", params=(NAME,),
          doc="Let a rule stay for longer: a lease is renewed so", body=RenewWish, answer=RuleState, not_found=True,
          read_only=True),
    Route(path=f"{API}/rules/{{name}}", method="DELETE", handler="rulings.remove_rule", doc="Remove a rule",
          params=(NAME,), answer=RuleState, not_found=True, read_only=True),
    Route(path=f"{API}/targets", handler="rulings.targets", doc="What is targeted now, by pod, rule and node",
          answer=TargetsAnswer),
    Route(path=f"{API}/why", handler="rulings.why", doc="Why the traffic of a pod is shown, or is not", answer=Why,
          params=(Param(name="pod", doc="`NAMESPACE/NAME`"),)),
    Route(path=f"{API}/fields", handler="language.fields", answer=FieldsAnswer,
          doc="Every variable of the filter language that weir fills, and which entries carry it"),
    Route(path=f"{API}/fields/{{name}}/values", handler="language.values", answer=ValuesAnswer,
          doc="Values of a field among the newest entries of the selection, the most frequent first",
          params=(Param(name="name", where="path", doc="A name or an expression of the filter language; of a list its "
                        "items are counted, of a map its keys"), *CONDITIONS, *VALUES)),
    Route(path=f"{API}/complete", handler="language.complete", answer=CompleteAnswer, params=(FILTER, AT),
          doc="What may stand at the cursor of a filter that is being typed"),
    Route(path=f"{API}/check", handler="language.check", answer=CheckAnswer, params=(FILTER,),
          doc="Whether a text is a filter; where it is none, what is wrong, and where"),
    Route(path=f"{API}/saved", handler="language.saved", doc="Saved filters and macros", answer=SavedAnswer),
    Route(path=f"{API}/saved/{{name}}", method="PUT", handler="language.put_saved", params=(SAVED_NAME,),
          doc="Save a filter, or replace the one of this name; a macro may be used in every filter",
          body=SavedWish, answer=Saved),
    Route(path=f"{API}/saved/{{name}}", method="DELETE", handler="language.remove_saved", params=(SAVED_NAME,),
          doc="Remove a saved filter", answer=Saved, not_found=True),
    Route(path=f"{API}/tail", handler="following.tail", doc=TAIL_DOC, params=(*CONDITIONS, DETAIL, *TAIL), status=101,
          media="", streams=True),
    Route(path=f"{API}/events", handler="following.events", doc=EVENTS_DOC, params=(*CONDITIONS, DETAIL, *TAIL[1:]),
          media="text/event-stream", streams=True),
    Route(path=f"{API}/export", handler="history.export", doc=EXPORT_DOC, params=(*CONDITIONS, *EXPORT),
          media="application/x-ndjson text/csv application/json", streams=True),
    Route(path=f"{API}/settings", handler="hub.settings_shown", answer=SettingsAnswer,
          doc="Settings in force in the process that answers; secrets are masked"),
    Route(path=f"{API}/openapi.json", handler="hub.openapi", doc="This document", answer=dict[str, Any]),
    Route(path="/metrics", handler="hub.metrics", doc="Prometheus metrics of this process", media="text/plain"),
    Route(path="/healthz", handler="hub.healthz", doc="Whether this process answers", media="text/plain", open=True),
)
