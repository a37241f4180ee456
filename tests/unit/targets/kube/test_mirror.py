from __future__ import annotations

import json
from typing import Any

import pytest

from weir.targets.kube.faults import ApiError
from weir.targets.kube.mirror import INITIAL_END, Mirror
from weir.targets.kube.objects import Delete, Pod, Put, Replace
from weir.targets.kube.values import RESOURCES


def item(name: str, version: int = 1, uid: str = "", **labels: str) -> dict[str, Any]:
    meta = {"name": name, "namespace": "d", "uid": uid or f"uid-{name}", "resourceVersion": str(version)}
    return {"metadata": {**meta, "labels": labels}}


def event(kind: str, value: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": value}).encode()


def bookmark(version: int, *, end: bool = False) -> bytes:
    meta: dict[str, Any] = {"resourceVersion": str(version)}
    return event("BOOKMARK", {"metadata": meta | ({"annotations": {INITIAL_END: "true"}} if end else {})})


def page(*items: dict[str, Any], version: int = 10, token: str = "") -> bytes:
    return json.dumps({"metadata": {"resourceVersion": str(version), "continue": token}, "items": items}).encode()


def listed(*items: dict[str, Any], version: int = 10) -> Mirror:
    mirror = Mirror(RESOURCES["pods"])
    mirror.restart()
    mirror.page(page(*items, version=version))
    return mirror


def names(change: object) -> tuple[list[str], list[str]]:
    assert isinstance(change, Replace)
    return [value.name for value in change.objects], [value.name for value in change.gone]


def test_pages_make_one_list() -> None:
    mirror = Mirror(RESOURCES["pods"])
    assert mirror.page(page(item("a"), item("b"), token="more")) == ("more", None)
    assert mirror.version == ""
    token, whole = mirror.page(page(item("c"), version=12))
    assert (token, mirror.version) == ("", "12")
    assert names(whole) == (["a", "b", "c"], [])


def test_an_empty_list_written_as_null() -> None:
    _, whole = Mirror(RESOURCES["pods"]).page(b'{"metadata":{"resourceVersion":"5"},"items":null}')
    assert names(whole) == ([], [])


def test_a_streaming_list_ends_with_its_bookmark() -> None:
    mirror = Mirror(RESOURCES["pods"])
    assert mirror.event(event("ADDED", item("a", 90))) == []
    assert mirror.event(event("ADDED", item("b", 80))) == []
    assert mirror.event(bookmark(95)) == []
    assert mirror.version == ""
    (whole,) = mirror.event(bookmark(100, end=True))
    assert names(whole) == (["a", "b"], [])
    assert mirror.version == "100"


def test_changes_keep_the_place() -> None:
    mirror = listed(item("a"))
    (put,) = mirror.event(event("ADDED", item("b", 11)))
    assert isinstance(put, Put)
    assert (put.object.name, put.before) == ("b", None)
    (put,) = mirror.event(event("MODIFIED", item("b", 12, app="x")))
    assert isinstance(put, Put)
    assert isinstance(put.before, Pod)
    assert (put.before.labels, put.object.labels) == ({}, {"app": "x"})
    assert mirror.version == "12"
    assert mirror.event(bookmark(20)) == []
    assert mirror.version == "20"
    (delete,) = mirror.event(event("DELETED", item("b", 21, app="last")))
    assert isinstance(delete, Delete)
    assert delete.object.labels == {"app": "last"}
    assert (set(mirror.known), mirror.version) == ({"d/a"}, "21")


def test_what_nobody_looks_at_is_no_change() -> None:
    mirror = listed(item("a"))
    assert mirror.event(event("MODIFIED", item("a", 11) | {"status": {"qosClass": "BestEffort"}})) == []
    assert mirror.version == "11"
    assert mirror.event(event("DELETED", item("never heard of", 12))) == []


def test_a_name_that_was_made_anew_is_a_deletion_first() -> None:
    mirror = listed(item("a", uid="old"))
    changes = mirror.event(event("MODIFIED", item("a", 11, uid="new")))
    assert [type(change) for change in changes] == [Delete, Put]
    assert [change.object.uid for change in changes] == ["old", "new"]  # type: ignore[union-attr]
    assert changes[1].before is None  # type: ignore[union-attr]


def test_a_gap_tells_what_is_gone() -> None:
    mirror = listed(item("stays"), item("goes"), item("again", uid="one"))
    mirror.restart()
    assert set(mirror.known) == {"d/stays", "d/goes", "d/again"}
    _, whole = mirror.page(page(item("stays"), item("again", uid="two"), item("comes")))
    assert names(whole) == (["stays", "again", "comes"], ["goes", "again"])
    assert whole is not None
    assert [value.uid for value in whole.gone] == ["uid-goes", "one"]


def test_a_list_that_broke_off_leaves_nothing() -> None:
    mirror = listed(item("a"))
    mirror.restart()
    mirror.page(page(item("half"), token="more"))
    mirror.restart()
    _, whole = mirror.page(page(item("b")))
    assert names(whole) == (["b"], ["a"])


def test_an_object_that_is_none_costs_itself_alone() -> None:
    mirror = Mirror(RESOURCES["pods"])
    odd = {"metadata": {"name": "odd", "namespace": "d", "resourceVersion": "11", "labels": 7}}
    _, whole = mirror.page(page(item("a"), odd, item("b")))
    assert names(whole) == (["a", "b"], [])
    assert mirror.unreadable == 1
    bad = {"metadata": {"name": "c", "namespace": "d", "resourceVersion": "13"}, "spec": 7}
    assert mirror.event(event("ADDED", bad)) == []
    assert (mirror.unreadable, mirror.version) == (2, "13")
    gone = {"metadata": {"name": "a", "namespace": "d", "resourceVersion": "14"}, "spec": 7}
    (delete,) = mirror.event(event("DELETED", gone))
    assert isinstance(delete, Delete)
    assert delete.object.uid == "uid-a"


@pytest.mark.parametrize(
    "line",
    [b"", b"null", b"{}", b"<html>", b'{"type":"ADDED","object":7}', b'{"type":"ADDED","object":{"metadata":[]}}'],
)
def test_what_is_no_event_is_an_error(line: bytes) -> None:
    with pytest.raises(ApiError, match="watch /api/v1/pods: no event"):
        listed().event(line)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"items":7}', b"\xff"])
def test_what_is_no_list_is_an_error(body: bytes) -> None:
    with pytest.raises(ApiError, match="no list"):
        Mirror(RESOURCES["pods"]).page(body)


def test_an_error_in_the_stream_has_its_code() -> None:
    said = {"kind": "Status", "code": 410, "message": "too old", "details": {"retryAfterSeconds": 3}}
    with pytest.raises(ApiError, match="too old") as caught:
        listed().event(event("ERROR", said))
    assert (caught.value.status, caught.value.in_stream, caught.value.retry_after) == (410, True, 3.0)
