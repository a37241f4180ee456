"""What entries of every HTTP version have in common: declared fields, and what is derived from a target and headers.

Cookies are not repeated as fields: they are in the headers, where they are masked, and can be told apart there.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from weir.dissect.api import Field
from weir.model.entry import Message

HTTP_FIELDS = (
    Field("method", str, "Method of the request, as sent", "Method"),
    Field("url", str, "Whole URL as far as it is known: scheme, host, path and query"),
    Field("host", str, "Host that was asked for, with its port if one was given"),
    Field("path", str, "Path of the URL, without the query", "Path"),
    Field("query_string", dict, "Parameters of the query by name, decoded; repeated ones are joined with `, `"),
    Field("status_code", int, "Status of the response", "Status"),
    Field("reason", str, "Reason phrase of the response (HTTP/1)"),
    Field("http_version", str, "`1.0`, `1.1`, `2` or `3`; the request's where both are known"),
    Field("user_agent", str, "User-Agent of the request"),
    Field("content_type", str, "Media type of the response's body, without parameters, in lower case"),
    Field("request_headers_size", int, "Bytes of the request's head on the wire, the request line included"),
    Field("request_body_size", int, "Bytes of the request's body, transfer coding undone, content coding not"),
    Field("response_headers_size", int, "Bytes of the response's head on the wire, the status line included"),
    Field("response_body_size", int, "Bytes of the response's body, transfer coding undone, content coding not"),
    Field("interim_responses", list, "Responses of status 1xx before the final one: status_code, timestamp, headers"),
)

INTERIM = 8
"""Interim responses that are kept of one exchange, and"""
INTERIM_HEAD = 4096
"""bytes of header fields that one of them may have to be kept with them: somebody could send them without end."""

_SHORT = 256
"""Characters of a name or value of a query whose decoded form is remembered."""
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)(.*)", re.DOTALL)


class Upgraded(msgspec.Struct, kw_only=True):
    """`Leave.carry` of an HTTP/1.1 Upgrade: the request that the new protocol answers (RFC 7540 §3.2: on stream 1)."""

    protocol: str
    """The protocol that the response names in Upgrade, in lower case."""
    offset: int
    """Stream offset of the request's first byte."""
    request: Message
    fields: dict[str, Any]
    """Declared fields of the request: `method`, `url`, `path`, …"""


def request_fields(method: str, target: str, headers: dict[str, str], scheme: str = "http") -> dict[str, Any]:
    """Fields of a request. `target` in any of the four forms of RFC 9112 §3.2; `headers` by lower-case name, with
    `host` filled from `:authority` where there is one."""
    host = headers.get("host", "")
    if target.startswith("/"):
        url = f"{scheme}://{host}{target}" if host else target
        location = target
    elif absolute := _ABSOLUTE.match(target):
        url, host, location = target, absolute[1].rpartition("@")[2] or host, absolute[2]
    elif method == "CONNECT":
        url, host, location = target, target, ""
    else:
        url = f"{scheme}://{host}" if host else target
        location = target
    path, mark, query = location.partition("?")
    fields: dict[str, Any] = {"method": method, "url": url, "path": path}
    if host:
        fields["host"] = host
    if mark:
        fields["query_string"] = query_map(query.partition("#")[0])
    if agent := headers.get("user-agent"):
        fields["user_agent"] = agent
    return fields


def response_fields(status: int, headers: dict[str, str]) -> dict[str, Any]:
    """Fields of a response; `headers` by lower-case name, Set-Cookie lines joined with a line feed."""
    fields: dict[str, Any] = {"status_code": status}
    if kind := headers.get("content-type"):
        fields["content_type"] = kind.partition(";")[0].rstrip().lower()
    return fields


def interim_response(status: int, timestamp: int, headers: dict[str, str]) -> dict[str, Any]:
    """An element of the field `interim_responses` (RFC 9110 section 15.2), in the words of messages."""
    shown: dict[str, Any] = {"status_code": status, "timestamp": timestamp}
    if headers:
        shown["headers"] = headers
    return shown


def query_map(query: str) -> dict[str, str]:
    """`a=1&b=x%20y` as a map. Bytes that are no UTF-8 when decoded become U+FFFD."""
    found: dict[str, str] = {}
    for pair in query.split("&"):
        if not pair:
            continue
        name, _, value = pair.partition("=")
        name, value = _unquote(name), _unquote(value)
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _unquote(text: str) -> str:
    if "+" in text:
        text = text.replace("+", " ")
    if "%" not in text:
        return text
    return _remembered(text) if len(text) <= _SHORT else _decoded(text)


def _decoded(text: str) -> str:
    return unquote_to_bytes(text).decode("utf-8", "replace")


_remembered = lru_cache(1024)(_decoded)
"""The same few values come again and again, and undoing %xx is slow. Short ones only: that bounds the memory."""
