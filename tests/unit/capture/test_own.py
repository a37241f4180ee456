from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from weir.capture.own import own_ends
from weir.errors import SettingsError


async def test_addresses_and_ports_are_taken_as_they_are() -> None:
    targets, notes = await own_ends(["10.0.0.1:9092", "port:8899", "10.0.0.1:9092", "[::1]:80"])
    assert [str(t) for t in targets] == ["10.0.0.1:9092", "port:8899", "[::1]:80"]
    assert notes == []


async def test_names_are_resolved_to_all_their_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answers(host: str, port: Any, **more: Any) -> list[Any]:
        assert host == "kafka"
        return [(socket.AF_INET, 1, 6, "", ("10.0.0.7", 0)), (socket.AF_INET6, 1, 6, "", ("fd00::7%2", 0, 0, 2))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", answers)
    targets, notes = await own_ends(["kafka:9092"])
    assert [str(t) for t in targets] == ["10.0.0.7:9092", "[fd00::7]:9092"]
    assert notes == []


async def test_a_name_that_cannot_be_resolved_costs_its_port(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(host: str, port: Any, **more: Any) -> list[Any]:
        raise socket.gaierror

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", fails)
    targets, notes = await own_ends(["kafka:9092"])
    assert [str(t) for t in targets] == ["port:9092"]
    assert "nothing on port 9092 is captured" in notes[0]


@pytest.mark.parametrize("text", ["kafka", "all", "kafka:http", ":9092", "10.0.0.1:99999"])
async def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        await own_ends([text])
    assert caught.value.hint
