"""What an API server tells about its callers: the audit log (who called what), and its metrics (how often)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
from prometheus_client.parser import text_string_to_metric_families

POLICY = """apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
"""
"""One line for a call, two for a watch: when it is answered, and when it ends."""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request of a client."""

    id: str
    user: str
    """Of a service account: `system:serviceaccount:NAMESPACE:NAME`."""
    agent: str
    verb: str
    """get, list, watch, create, update, patch, delete, …; of a path that is no resource: HTTP's, in lower case."""
    resource: str
    """With the subresource: `pods/status`; empty for a path such as /version."""
    namespace: str
    name: str
    code: int
    uri: str
    open: bool
    """A watch that has not ended."""


def calls(log: Path, since: int = 0) -> list[Call]:
    """The calls that were answered after the log was `since` bytes long, each once, in the order of their answers."""
    found: dict[str, Call] = {}
    for call in _lines(log, since):
        found[call.id] = call
    return list(found.values())


def _lines(log: Path, since: int) -> Iterator[Call]:
    if not log.exists():
        return
    with log.open("rb") as file:
        file.seek(since)
        for line in file:
            if not line.endswith(b"\n"):
                return  # being written
            event = json.loads(line)
            reference = event.get("objectRef", {})
            parts = [part for part in (reference.get("resource"), reference.get("subresource")) if part]
            yield Call(
                id=event["auditID"], user=event["user"].get("username", ""), agent=event.get("userAgent", ""),
                verb=event["verb"], resource="/".join(parts), namespace=reference.get("namespace", ""),
                name=reference.get("name", ""), code=event.get("responseStatus", {}).get("code", 0),
                uri=event["requestURI"], open=event["stage"] == "ResponseStarted",
            )  # fmt: skip


def samples(text: str, name: str) -> list[tuple[dict[str, str], float]]:
    """Labels and value of each sample of that name in a page of metrics, e.g. `apiserver_request_total`."""
    return [
        (dict(sample.labels), sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    ]
