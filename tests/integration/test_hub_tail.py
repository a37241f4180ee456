"""Live tails of a hub, over WebSocket."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from weir.testing.hub import BEARER, HUB, entry, following, world


@pytest.mark.parametrize("form", ["json", "msgpack"])
async def test_a_tail_shows_what_comes_and_obeys(tmp_path: Path, form: str) -> None:
    async with world(tmp_path) as weir:
        url = f"{weir.url}api/v1/tail?format={form}&text=GET&rate=5000"

        async def next_message(socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
            async with asyncio.timeout(10):
                message = await socket.receive()
            found: dict[str, Any] = (msgspec.json if form == "json" else msgspec.msgpack).decode(message.data)
            return found

        async def collect(socket: aiohttp.ClientWebSocketResponse, count: int) -> list[str]:
            names: list[str] = []
            while len(names) < count:
                message = await next_message(socket)
                assert message["type"] == "entries"
                names += [one["id"] for one in message["entries"]]
            return names

        async with weir.http.ws_connect(url, headers=BEARER) as socket:
            state = await next_message(socket)
            assert state == {"type": "state", "paused": False, "filter": {"text": "GET"}, "rate": 5000}
            await following(weir, 1)
            await weir.publish(*(entry(n) for n in range(100)), entry(100, summary="other"))
            assert await collect(socket, 100) == [f"e{n:05}" for n in range(100)]
            await socket.send_json({"filter": {"protocol": ["dns"]}})
            assert (await next_message(socket))["filter"] == {"protocol": ["dns"]}
            await weir.publish(entry(200), entry(201, protocol="dns"))
            assert await collect(socket, 1) == ["e00201"]
            await socket.send_json({"pause": True})
            assert (await next_message(socket))["paused"] is True
            await weir.publish(entry(300, protocol="dns"))
            await socket.send_json({"pause": False})
            assert (await next_message(socket))["paused"] is False
            for wrong in ("nonsense", "[]", "{}", '{"filter": {"protocl": "x"}}', '{"filter": 1}', '{"pause": 1}',
                          '{"rate": "fast"}', '{"rate": 0}'):
                await socket.send_str(wrong)
                assert (await next_message(socket))["type"] == "error"
            await socket.send_bytes(b"\x80")
            assert (await next_message(socket))["type"] == "error"
            await weir.publish(entry(301, protocol="dns"))
            assert await collect(socket, 1) == ["e00301"]
        await following(weir, 0)


async def test_a_reader_that_takes_nothing_is_told_what_it_missed(tmp_path: Path) -> None:
    hub = msgspec.structs.replace(HUB, tail_queue=50, tail_interval_s=0.05)
    tail = "api/v1/tail?rate=20000"
    async with world(tmp_path, hub=hub) as weir, weir.http.ws_connect(weir.url + tail, headers=BEARER) as socket:
        await socket.receive()
        await following(weir, 1)
        await weir.publish(*(entry(n) for n in range(2000)))
        matched = missed = shown = arrived = 0
        while matched < 2000:
            message = await socket.receive_json(timeout=10)
            matched, missed = matched + message["matched"], missed + message["missed"]
            shown, arrived = shown + message["shown"], arrived + len(message["entries"])
        assert arrived + missed == shown <= matched == 2000
        assert missed > 0


async def test_a_large_message_ends_the_tail(tmp_path: Path) -> None:
    async with world(tmp_path) as weir, weir.http.ws_connect(weir.url + "api/v1/tail", headers=BEARER) as socket:
        await socket.receive()
        await socket.send_str("x" * 100_000)
        async with asyncio.timeout(10):
            assert (await socket.receive()).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)


async def test_the_number_of_tails_is_limited(tmp_path: Path) -> None:
    hub = msgspec.structs.replace(HUB, max_tails=1)
    tail = "api/v1/tail"
    async with world(tmp_path, hub=hub) as weir, weir.http.ws_connect(weir.url + tail, headers=BEARER) as first:
        await first.receive()
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await weir.http.ws_connect(weir.url + "api/v1/tail", headers=BEARER)
        assert refused.value.status == 503


async def test_the_bus_is_read_only_while_somebody_follows(tmp_path: Path) -> None:
    async with world(tmp_path) as weir:
        streams: list[str | None] = []
        stream = weir.bus.stream

        def counted(*args: Any, **kwargs: Any) -> Any:
            streams.append(kwargs.get("group"))
            return stream(*args, **kwargs)

        weir.bus.stream = counted  # type: ignore[method-assign]
        await weir.publish(entry(1))
        await weir.kept(1)
        assert streams == []
        for number in (2, 3):
            async with weir.http.ws_connect(weir.url + "api/v1/tail", headers=BEARER) as socket:
                await socket.receive()
                await following(weir, 1)
                await weir.publish(entry(number))
                message = await socket.receive_json(timeout=10)
                assert [one["id"] for one in message["entries"]] == [f"e{number:05}"]
            await following(weir, 0)
            await weir.publish(entry(number + 100))
        assert set(streams) == {None}


async def test_a_tail_counts_what_it_hides(tmp_path: Path) -> None:
    async with (
        world(tmp_path) as weir, weir.http.ws_connect(weir.url + "api/v1/tail", headers=BEARER) as usual,
        weir.http.ws_connect(weir.url + "api/v1/tail?hidden=1", headers=BEARER) as all_of_it,
    ):
        for socket in (usual, all_of_it):
            await socket.receive()
        await following(weir, 2)
        await weir.publish(entry(1, tags=["probe"]))
        message = await usual.receive_json(timeout=10)
        assert (message["entries"], message["matched"], message["hidden"]) == ([], 0, 1)
        message = await all_of_it.receive_json(timeout=10)
        assert (len(message["entries"]), message["hidden"]) == (1, 0)


async def test_a_tail_follows_what_a_rule_selects_now(tmp_path: Path) -> None:
    def call(number: int, src: str, dst: str) -> dict[str, Any]:
        return entry(number, src={"pod": {"name": src, "namespace": "prod"}},
                     dst={"pod": {"name": dst, "namespace": "prod"}})

    async with world(tmp_path) as weir:
        await weir.pods("prod/checkout-1@a", "prod/cart-1@a", "prod/pay-1@a")
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await weir.http.ws_connect(weir.url + "api/v1/tail?rule=mine", headers=BEARER)
        assert refused.value.status == 400
        await weir.send("POST", "api/v1/rules", {"name": "mine", "pod": "checkout.*", "for_s": 60})
        async with weir.http.ws_connect(weir.url + "api/v1/tail?rule=mine", headers=BEARER) as socket:
            await socket.receive()
            await following(weir, 1)
            await weir.publish(
                call(1, "cart-1", "pay-1"), call(2, "checkout-1", "pay-1"), call(3, "pay-1", "checkout-1"), entry(4)
            )
            message = await socket.receive_json(timeout=10)
            assert [one["id"] for one in message["entries"]] == ["e00002", "e00003"]
            await weir.send("POST", "api/v1/rules", {"name": "mine", "pod": "cart.*", "for_s": 60})
            numbers = iter(range(10, 10_000))
            found: list[str] = []
            while not found:
                await weir.publish(call(next(numbers), "cart-1", "pay-1"))
                try:
                    message = await socket.receive_json(timeout=0.1)
                    found = [one["src"]["pod"]["name"] for one in message["entries"]]
                except TimeoutError:
                    pass
            assert set(found) == {"cart-1"}


async def test_the_filter_language_narrows_lists_and_tails(tmp_path: Path) -> None:
    async with world(tmp_path) as weir:
        url = weir.url + "api/v1/tail?filter=http%20%26%26%20status_code%20%3E%20500"
        async with weir.http.ws_connect(url, headers=BEARER) as socket:
            assert (await socket.receive_json())["filter"] == {"filter": "http && status_code > 500"}
            await following(weir, 1)
            await weir.publish(*(entry(n, status_code=n) for n in (200, 500, 503)))
            message = await socket.receive_json(timeout=10)
            assert ([one["id"] for one in message["entries"]], message["matched"]) == (["e00503"], 1)
            await socket.send_json({"filter": {"filter": "http &&"}})
            assert (await socket.receive_json(timeout=10))["type"] == "error"
        await weir.kept(3)
        _, page = await weir.ask("api/v1/entries?filter=status_code%20in%20%5B200,503%5D")
        assert [one["id"] for one in page["entries"]] == ["e00503", "e00200"]
        for wrong in ("http%20%26%26", "nonsense_field%20%3D%3D%201", "x" * 5000):
            status, told = await weir.ask("api/v1/entries?filter=" + wrong)
            assert (status, bool(told["error"])) == (400, True)
