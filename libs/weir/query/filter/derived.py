"""Variables that are worked out from an entry of whatever shape. Every reader gives a value of its declared type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Reader = Callable[[dict[str, Any]], Any]
_NOTHING: dict[str, Any] = {}


def mapping(value: Any) -> dict[str, Any]:
    return value if type(value) is dict else _NOTHING


def string(value: Any) -> str:
    return value if type(value) is str else ""


def strings(value: Any) -> list[str]:
    """Texts of a list; other items as the text that a person would read."""
    return [item if type(item) is str else str(item) for item in value] if type(value) is list else []


def by_name(value: Any) -> dict[str, str]:
    """Texts by name; other values as the text that a person would read."""
    if type(value) is not dict:
        return {}
    return {k: v if type(v) is str else str(v) for k, v in value.items() if type(k) is str}


def text(*path: str) -> Reader:
    return lambda entry: string(_at(entry, path))


def texts(*path: str) -> Reader:
    return lambda entry: by_name(_at(entry, path))


def failed(entry: dict[str, Any]) -> bool:
    return entry.get("ok") is False


def http2(entry: dict[str, Any]) -> bool:
    return entry.get("http_version") == "2"


def call(entry: dict[str, Any]) -> bool:
    return entry.get("kind") != "flow"


def connection(entry: dict[str, Any]) -> bool:
    return entry.get("kind") == "flow" and entry.get("protocol") == "tcp"


def other_flow(entry: dict[str, Any]) -> bool:
    return entry.get("kind") == "flow" and entry.get("protocol") != "tcp"


def pod(end: str, part: str) -> Reader:
    """KFL2: where there is no pod, the service."""

    def read(entry: dict[str, Any]) -> str:
        peer = mapping(entry.get(end))
        return string(mapping(peer.get("pod")).get(part)) or string(mapping(peer.get("service")).get(part))

    return read


def either(*path: str) -> Reader:
    """The distinct texts at this path of both ends."""

    def read(entry: dict[str, Any]) -> list[str]:
        here, there = (string(_at(mapping(entry.get(end)), path)) for end in ("src", "dst"))
        return [value for value in dict.fromkeys((here, there)) if value]

    return read


def request_cookies(entry: dict[str, Any]) -> dict[str, str]:
    """RFC 6265 section 4.2.1."""
    return _pairs(string(_at(entry, ("request", "headers", "cookie"))).split(";"))


def response_cookies(entry: dict[str, Any]) -> dict[str, str]:
    """RFC 6265 section 4.1.1: one header each, joined with line feeds, without its attributes."""
    headers = string(_at(entry, ("response", "headers", "set-cookie"))).split("\n")
    return _pairs([header.partition(";")[0] for header in headers])


def _pairs(parts: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in parts:
        name, equals, value = part.strip().partition("=")
        if equals and name:
            found.setdefault(name, value)
    return found


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        if type(value) is not dict:
            return None
        value = value.get(key)
    return value
