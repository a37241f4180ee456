from __future__ import annotations

import random

import pytest

from weir.errors import EXIT_CODES
from weir.targets.kube.faults import ApiError, Backoff, missing_rule, parse_retry_after, refusal
from weir.targets.kube.wire import Status, StatusDetails, read_status


def test_delays_double_to_a_ceiling_and_half_of_each_is_chance() -> None:
    backoff = Backoff(random.Random(1), first=1.0, ceiling=8.0)
    for _ in range(3):
        full = [1.0, 2.0, 4.0, 8.0, 8.0]
        delays = [backoff.next() for _ in full]
        assert all(limit / 2 <= delay <= limit for delay, limit in zip(delays, full, strict=True))
        backoff.reset()
    assert len({Backoff(random.Random(seed)).next() for seed in range(20)}) == 20


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7), ("", 0), ("Wed, 21 Oct", 0), ("-1", 0), ("9" * 400, 0), ("٣", 0)]
)
def test_retry_after(header: str, seconds: float) -> None:
    assert parse_retry_after(header) == seconds


def test_a_refusal_says_what_and_why() -> None:
    status = Status(message="slow down", code=429, details=StatusDetails(retry_after_seconds=2))
    error = refusal(status, 429, "GET /api/v1/pods", retry_after=5)
    assert error.message == "GET /api/v1/pods: slow down"
    assert (error.status, error.retry_after) == (429, 5)
    assert "busy" in error.hint
    assert error.exit_code in EXIT_CODES
    assert refusal(read_status(b"<html>Bad Gateway"), 502, "GET /x").message == "GET /x: <html>Bad Gateway"
    assert refusal(Status(), 502, "GET /x").message == "GET /x: the API server answered 502"


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff\xfe", b'{"code":"x"}', b"7"])
def test_any_body_is_a_status(body: bytes) -> None:
    assert read_status(body).code == 0


def test_which_answers_mean_that_there_is_no_streaming_list() -> None:
    assert ApiError("", status=422).no_streaming_list
    assert ApiError("", status=400).no_streaming_list
    assert ApiError("", status=500, in_stream=True).no_streaming_list
    for status in (0, 401, 403, 410, 429, 500, 503):
        assert not ApiError("", status=status).no_streaming_list
    for status in (410, 429, 503, 504):
        assert not ApiError("", status=status, in_stream=True).no_streaming_list


def test_the_missing_rule_is_written_as_it_is_needed() -> None:
    assert (
        missing_rule("", "pods") == 'a ClusterRole needs: apiGroups [""], resources ["pods"], verbs ["list", "watch"]'
    )
    assert missing_rule("discovery.k8s.io", "endpointslices", "shop").startswith("a Role in namespace shop needs")
