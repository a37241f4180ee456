from __future__ import annotations

from typing import Any

import pytest

from weir.dissect.httpfields import HTTP_FIELDS, query_map, request_fields, response_fields

TARGETS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "origin form": (
        "GET", "/a/b?x=1",
        {"url": "http://shop/a/b?x=1", "path": "/a/b", "host": "shop", "query_string": {"x": "1"}},
    ),
    "origin form with a URL in it": (
        "GET", "/to?u=http://x/y",
        {"url": "http://shop/to?u=http://x/y", "path": "/to", "host": "shop", "query_string": {"u": "http://x/y"}},
    ),
    "absolute form": (
        "GET", "https://me:pw@other:8443/a?x=1",
        {
            "url": "https://me:pw@other:8443/a?x=1", "path": "/a", "host": "other:8443", "query_string": {"x": "1"},
        },
    ),
    "absolute form without a path": (
        "GET", "http://other?x=1", {"url": "http://other?x=1", "path": "", "host": "other", "query_string": {"x": "1"}},
    ),
    "authority form": ("CONNECT", "other:443", {"url": "other:443", "path": "", "host": "other:443"}),
    "asterisk form": ("OPTIONS", "*", {"url": "http://shop", "path": "*", "host": "shop"}),
}


@pytest.mark.parametrize(("method", "target", "expected"), TARGETS.values(), ids=TARGETS)
def test_targets(method: str, target: str, expected: dict[str, Any]) -> None:
    assert request_fields(method, target, {"host": "shop"}) == {"method": method, **expected}


def test_without_a_host_the_url_is_the_target() -> None:
    assert request_fields("GET", "/a", {}) == {"method": "GET", "url": "/a", "path": "/a"}


def test_scheme_and_user_agent() -> None:
    fields = request_fields("GET", "/", {"host": "shop", "user-agent": "curl"}, scheme="https")
    assert fields["url"] == "https://shop/"
    assert fields["user_agent"] == "curl"


def test_query() -> None:
    assert query_map("a=1&b=x%20y+z&a=2&c&&=d&e=%ff%zz") == {
        "a": "1, 2", "b": "x y z", "c": "", "": "d", "e": "\ufffd%zz",
    }
    assert request_fields("GET", "/?a=1#b=2", {})["query_string"] == {"a": "1"}


def test_response() -> None:
    assert response_fields(200, {"content-type": "Text/HTML ; charset=utf-8"}) == {
        "status_code": 200, "content_type": "text/html",
    }
    assert response_fields(404, {}) == {"status_code": 404}


def test_every_field_is_declared() -> None:
    declared = {field.name: field.type for field in HTTP_FIELDS}
    headers = {"host": "shop", "user-agent": "curl", "content-type": "a/b"}
    for name, value in {**request_fields("GET", "/?a", headers), **response_fields(200, headers)}.items():
        assert declared[name] is type(value)
