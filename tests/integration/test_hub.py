"""store and hub in one process on the memory bus, asked over HTTP and WebSocket as people and programs ask."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from yarl import URL

from weir.bus.api import Record
from weir.bus.memory import MemoryBus
from weir.bus.topics import CONTROL, ENDPOINTS, ENTRIES, HEALTH, RULES
from weir.errors import HubError, SettingsError
from weir.hub.service import HubService
from weir.hub.settings import HubSettings
from weir.model.control import Control, EndpointRecord, Rule
from weir.model.entry import Named
from weir.model.health import Heartbeat
from weir.runtime.clock import SystemClock
from weir.runtime.service import Context
from weir.store.service import StoreService
from weir.store.settings import StoreSettings

TOKEN = "a-token-for-the-tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
STORE = StoreSettings(batch_age_s=0.01)
HUB = HubSettings(listen="127.0.0.1:0", token=TOKEN, tail_interval_s=0.01)


def entry(number: int, **more: Any) -> dict[str, Any]:
    return {
        "v": 1, "id": f"e{number:05}", "timestamp": 1_700_000_000_000_000_000 + number, "protocol": "http",
        "kind": "exchange", "flow_id": "f", "summary": f"GET /{number}", "status_code": 200, "ok": True,
        "src": {"ip": "10.0.0.1", "name": "cart"}, "dst": {"ip": "10.0.0.2", "name": "pay"},
        "request": {"headers": {"a": "b"}, "size": 10},
    } | more


class World:
    def __init__(self, folder: Path) -> None:
        self.bus = MemoryBus(instance="weir", shards=2)
        self.shared: dict[str, Any] = {"data_dir": folder}
        self.url = ""
        self.http: aiohttp.ClientSession

    def context(self) -> Context:
        return Context(bus=self.bus, shared=self.shared, process="here")

    async def publish(self, *entries: dict[str, Any]) -> None:
        await self.bus.publish(ENTRIES, [Record(b"k", one) for one in entries])

    async def ask(self, path: str, **more: Any) -> tuple[int, Any]:
        async with self.http.get(self.url + path, headers=BEARER, **more) as answer:
            body = await answer.read()
            return answer.status, json.loads(body) if "json" in answer.content_type else body.decode()

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        async with self.http.request(method, self.url + path, json=body, headers=BEARER | headers) as answer:
            return answer.status, await answer.json()

    async def pods(self, *names: str, targeted: str = "") -> None:
        """Pods `namespace/name@node`; those whose name begins with `targeted` are."""
        records = []
        for number, text in enumerate(names, 1):
            namespace, _, rest = text.partition("/")
            name, _, node = rest.partition("@")
            records.append(EndpointRecord(
                address=f"10.1.0.{number}", uid=f"u{number}", name=name, namespace=namespace, node=node,
                pod=Named(name, namespace), workload=f"deployment/{name.rpartition('-')[0]}", role="pod",
                targeted=bool(targeted) and name.startswith(targeted), captured=True,
            ))
        await self.bus.publish(ENDPOINTS, [Record(one.uid.encode(), one) for one in records])

        async def known() -> bool:
            body = {"pod": ".*"}
            return bool((await self.send("POST", "api/v1/rules/preview", body))[1]["pods"] == len(names))

        await self.until(known)

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(20):
            while not await holds():
                await asyncio.sleep(0.005)

    async def kept(self, count: int) -> None:
        async def holds() -> bool:
            status, stats = await self.ask("api/v1/stats")
            return status == 200 and bool(stats["groups"]) and stats["groups"][0]["entries"] == count

        await self.until(holds)


@asynccontextmanager
async def world(
    folder: Path, store: StoreSettings | None = STORE, hub: HubSettings = HUB
) -> AsyncIterator[World]:
    made = World(folder)
    await made.bus.start()
    contexts = [made.context(), made.context()]
    services = [HubService(hub, contexts[0])] + ([StoreService(store, contexts[1])] if store else [])
    made.http = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
    tasks = [asyncio.create_task(service.run()) for service in services]
    try:
        async def listening() -> bool:
            for task in tasks:
                if task.done():
                    task.result()
            return "hub.url" in made.shared

        await made.until(listening)
        made.url = made.shared["hub.url"].partition("?")[0]
        yield made
    finally:
        await made.http.close()
        for context in contexts:
            context.stop.set()
        async with asyncio.timeout(20):
            await asyncio.gather(*tasks)
        await made.bus.stop(1)


async def test_entries_are_listed_newest_first_in_pages(tmp_path: Path) -> None:
    async with world(tmp_path) as weir:
        await weir.publish(*(entry(n) for n in range(25)))
        await weir.kept(25)
        found: list[str] = []
        path = "api/v1/entries?limit=10"
        while path:
            status, page = await weir.ask(path)
            assert status == 200
            found += [one["id"] for one in page["entries"]]
            path = f"api/v1/entries?limit=10&cursor={page['next']}" if page["next"] else ""
        assert found == [f"e{n:05}" for n in reversed(range(25))]
        _, page = await weir.ask("api/v1/entries?text=GET%20/7&protocol=http,dns&since=1700000000000000001&name=pay")
        assert [one["id"] for one in page["entries"]] == ["e00007"]
        _, page = await weir.ask("api/v1/entries?limit=1&detail=summary")
        assert page["entries"][0]["request"] == {"size": 10}
        status, one = await weir.ask("api/v1/entries/e00003")
        assert (status, one) == (200, entry(3))


async def test_what_is_wrong_is_told_with_a_hint(tmp_path: Path) -> None:
    async with world(tmp_path) as weir:
        for path, status in {
            "api/v1/entries/none": 404, "api/v1/nothing": 404, "nothing": 404, "api/v1/entries?limit=5000": 400,
            "api/v1/entries?cursor=x": 400, "api/v1/entries?nonsense=1": 400, "api/v1/entries?since=soon": 400,
            "api/v1/entries?detail=some": 400, "api/v1/stats?group_by=password": 400, "api/v1/stats?bucket=-1": 400,
            "api/v1/tail?format=xml": 400, "api/v1/tail?rate=999999999": 400, "assets/../../settings.py": 404,
            "%2e%2e/settings.py": 404, "api/v1/entries/%00": 404, "api/v1/entries/%ff": 404,
        }.items():
            found, answer = await weir.ask(path)
            assert (found, set(answer)) == (status, {"error", "hint"}), path
        async with weir.http.post(weir.url + "api/v1/entries", headers=BEARER) as answer:
            assert answer.status == 405
        async with weir.http.get(weir.url + "api/v1/entries?text=" + "x" * 60_000, headers=BEARER) as answer:
            assert answer.status == 400


async def test_nobody_is_answered_without_the_token(tmp_path: Path) -> None:
    async with world(tmp_path) as weir:
        for path in ("", "api/v1/entries", "api/v1/entries/x", "api/v1/health", "metrics", "api/v1/openapi.json",
                     "api/v1/tail", "nothing", "api/v1/fields?token=" + TOKEN):
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"},
                            {"Cookie": f"weir-0={TOKEN}"}):
                async with weir.http.get(weir.url + path, headers=headers, allow_redirects=False) as answer:
                    assert answer.status == 401
                    assert "hint" in await answer.json()
        async with weir.http.get(weir.url + "healthz") as answer:
            assert answer.status == 200
        status, metrics = await weir.ask("metrics")
        assert (status, metrics) == (200, "")


async def test_opening_the_printed_url_signs_a_browser_in(tmp_path: Path) -> None:
    async with world(tmp_path, hub=msgspec.structs.replace(HUB, token="")) as weir:
        printed = weir.shared["hub.url"]
        async with weir.http.get(printed, allow_redirects=False) as answer:
            assert answer.status == 303
            assert answer.headers["Location"] == "./"
            cookie = answer.headers["Set-Cookie"]
            assert "HttpOnly" in cookie
            assert "SameSite=Strict" in cookie
            assert printed.partition("token=")[2] not in cookie
        async with weir.http.get(weir.url + "api/v1/entries") as answer:
            assert answer.status == 200
        async with weir.http.get(weir.url + "?token=wrong", allow_redirects=False) as answer:
            assert answer.status == 401
        async with weir.http.get(URL(weir.url + "/evil.example/?token=" + printed.partition("token=")[2], encoded=True),
                                 allow_redirects=False) as answer:
            assert not answer.headers["Location"].startswith("//")


async def test_every_answer_forbids_what_a_page_must_not_do(tmp_path: Path) -> None:
    async with world(tmp_path) as weir:
        for path in ("", "api/v1/entries", "nothing"):
            async with weir.http.get(weir.url + path, headers=BEARER) as answer:
                policy = answer.headers["Content-Security-Policy"]
                assert "frame-ancestors 'none'" in policy
                assert "unsafe" not in policy
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert "Access-Control-Allow-Origin" not in answer.headers


async def test_foreign_hosts_and_origins_are_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as weir:
        async with weir.http.get(weir.url, headers=BEARER | {"Host": "evil.example"}) as answer:
            assert answer.status == 421
        async with weir.http.get(weir.shared["hub.url"]):
            pass
        tail = weir.url + "api/v1/tail"
        for origin in ("http://evil.example", "null", "http://127.0.0.1:1"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await weir.http.ws_connect(tail, headers={"Origin": origin})
            assert refused.value.status == 403
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await weir.http.ws_connect(tail)
        async with weir.http.ws_connect(tail, headers={"Origin": weir.url.rstrip("/")}) as socket:
            assert (await socket.receive_json())["type"] == "state"


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


async def following(weir: World, count: int) -> None:
    async def holds() -> bool:
        return bool((await weir.ask("api/v1/health"))[1]["followers"] == count)

    await weir.until(holds)


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


async def test_surplus_connections_are_turned_away(tmp_path: Path) -> None:
    async with world(tmp_path, hub=msgspec.structs.replace(HUB, max_connections=3)) as weir:
        await weir.ask("healthz")
        port = URL(weir.url).port
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        status, _ = await weir.ask("api/v1/health")
        assert status == 200
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        for _, one in [*held, (reader, writer)]:
            one.close()


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


async def test_health_tells_processes_losses_and_targets(tmp_path: Path) -> None:
    async with world(tmp_path) as weir:
        now = SystemClock().now_ns()
        await weir.bus.publish(HEALTH, [
            Record(b"p", Heartbeat(process="p", stages=["capture"], started_ns=now, sent_ns=now,
                                   lost={"capture.ring": 3}, mode={"capture.source": "af_packet"}))
        ])
        await weir.bus.publish(CONTROL, [Record(b"weir", Control(generation=1, outline=False, targets=["all"]))])

        async def arrived() -> bool:
            state = (await weir.ask("api/v1/health"))[1]
            return bool(state["processes"]) and state["target"]["targets"] == ["all"]

        await weir.until(arrived)
        _, state = await weir.ask("api/v1/health")
        assert state["verdict"] == "ok"
        assert state["losses"][0]["count"] == 3
        assert state["processes"][0]["mode"] == {"capture.source": "af_packet"}
        assert state["archive"].startswith("memory")


async def test_fields_are_those_of_the_dissectors(tmp_path: Path) -> None:
    async with world(tmp_path) as weir:
        _, answer = await weir.ask("api/v1/fields")
        fields = {field["name"]: field for field in answer["fields"]}
        assert fields["method"]["type"] == "str"
        assert "http" in fields["method"]["protocols"]


async def test_hostile_entries_are_inert_json(tmp_path: Path) -> None:
    hostile = entry(
        1, summary="<script>alert(1)</script>", text="\u2028\ud800\x00", data=b"\xff", n=float("inf"), big=2**70
    )
    async with world(tmp_path) as weir:
        await weir.publish(hostile)
        await weir.kept(1)
        async with weir.http.get(weir.url + "api/v1/entries", headers=BEARER) as answer:
            assert answer.content_type == "application/json"
            [found] = (await answer.json())["entries"]
        assert found["summary"] == hostile["summary"]
        assert found["data"] == "/w=="
        assert found["n"] is None


async def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(HubError, match="cannot listen") as refused:
            async with world(tmp_path, hub=msgspec.structs.replace(HUB, listen=listen)):
                pass
    assert listen in refused.value.message
    assert refused.value.hint


async def test_hub_alone_has_no_memory(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        HubService(HUB, World(tmp_path).context()).check()
    assert "weir run store hub" in refused.value.hint


async def test_an_archive_that_is_away_is_told_and_the_tail_goes_on(tmp_path: Path) -> None:
    hub = msgspec.structs.replace(HUB, archive="http://weir:hunter2@127.0.0.1:9/weir")
    async with world(tmp_path, store=None, hub=hub) as weir:
        status, answer = await weir.ask("api/v1/entries")
        assert status == 503
        assert "127.0.0.1:9" in answer["error"]
        assert "hunter2" not in json.dumps(answer)
        assert "hunter2" not in json.dumps((await weir.ask("api/v1/health"))[1])
        async with weir.http.ws_connect(weir.url + "api/v1/tail", headers=BEARER) as socket:
            assert (await socket.receive_json())["type"] == "state"


@pytest.mark.chdb
async def test_entries_stay_on_disk_over_a_restart(tmp_path: Path) -> None:
    if find_spec("chdb") is None:
        pytest.skip("chdb is not installed (extra `embedded`)")
    store = StoreSettings(batch_age_s=0.01, archive="chdb", listen="127.0.0.1:0", retention_s=0)
    hub = msgspec.structs.replace(HUB, archive="chdb")
    async with world(tmp_path, store, hub) as weir:
        async def empty() -> bool:
            return (await weir.ask("api/v1/entries")) == (200, {"entries": [], "next": None, "hidden": 0})

        await weir.until(empty)
        await weir.publish(*(entry(n) for n in range(100)))
        await weir.kept(100)
        assert (tmp_path / "archive.url").stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "archive.url").exists()
    async with world(tmp_path, store, hub) as weir:
        await weir.kept(100)
        assert await weir.ask("api/v1/entries/e00042") == (200, entry(42))
        assert "archive.url" not in json.dumps((await weir.ask("api/v1/health"))[1])


async def test_entries_with_a_tag_are_left_out_and_counted_unless_asked_for(tmp_path: Path) -> None:
    async with world(tmp_path) as weir:
        tags = {1: ["probe"], 2: ["service-view"], 3: ["other"], 7: ["probe"]}
        await weir.publish(*(entry(n, tags=tags.get(n, [])) for n in range(10)))

        async def kept() -> bool:
            return len((await weir.ask("api/v1/entries?hidden=1"))[1]["entries"]) == 10

        await weir.until(kept)
        _, page = await weir.ask("api/v1/entries")
        assert [one["id"][-1] for one in page["entries"]] == list("9865430")
        assert page["hidden"] == 3
        _, page = await weir.ask("api/v1/entries?limit=3")
        assert ([one["id"][-1] for one in page["entries"]], page["hidden"]) == (list("986"), 1)
        _, page = await weir.ask(f"api/v1/entries?limit=9&cursor={page['next']}")
        assert ([one["id"][-1] for one in page["entries"]], page["hidden"]) == (list("5430"), 2)
        _, page = await weir.ask("api/v1/entries?hidden=true&limit=3")
        assert (len(page["entries"]), page["hidden"]) == (3, 0)


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


async def test_rules_are_made_listed_renewed_and_removed(tmp_path: Path) -> None:
    async with world(tmp_path) as weir:
        await weir.pods("prod/checkout-1@a", "prod/checkout-2@b", "prod/cart-1@a", "test/checkout-1@a")
        wish = {"name": "co", "pod": "checkout.*", "namespaces": ["prod"], "author": "cli me@here\x1b[1m", "for_s": 60}
        status, made = await weir.send("POST", "api/v1/rules", wish)
        assert (status, made["pods"], made["nodes"]) == (200, 2, 2)
        assert made["names"] == ["prod/checkout-1", "prod/checkout-2"]
        assert (made["rule"]["author"], made["rule"]["source"]) == ("cli me@here[1m", "cli")
        assert 50 < made["expires_in_s"] <= 60
        [(_, rule)] = (await weir.bus.read_compacted(RULES, 0)).items()
        assert (rule.name, rule.read_only) == ("co", False)
        _, renewed = await weir.send("PUT", "api/v1/rules/co", {"for_s": 3600})
        assert renewed["expires_in_s"] > 3500
        _, kept = await weir.send("PUT", "api/v1/rules/co", {})
        assert kept.get("expires_in_s") is None
        _, listed = await weir.ask("api/v1/rules")
        assert [one["rule"]["name"] for one in listed["rules"]] == ["co"]
        status, gone = await weir.send("DELETE", "api/v1/rules/co")
        assert (status, gone["rule"]["name"]) == (200, "co")
        assert (await weir.ask("api/v1/rules"))[1] == {"rules": []}
        for method in ("PUT", "DELETE"):
            assert (await weir.send(method, "api/v1/rules/co", {}))[0] == 404
        status, odd = await weir.send("POST", "api/v1/rules", {"name": "team/x@y", "target": "port:80"},
                                      **{"User-Agent": "curl/8"})
        assert (status, odd["rule"]["author"], odd["rule"].get("source", "hub")) == (200, "curl/8", "hub")
        assert (await weir.send("DELETE", "api/v1/rules/team%2Fx@y"))[0] == 200


async def test_a_rule_that_ran_out_is_not_told(tmp_path: Path) -> None:
    async with world(tmp_path) as weir:
        await weir.send("POST", "api/v1/rules", {"name": "short", "pod": "x.*", "for_s": 0.001})

        async def gone() -> bool:
            return bool((await weir.ask("api/v1/rules"))[1] == {"rules": []})

        await weir.until(gone)
        assert (await weir.send("PUT", "api/v1/rules/short", {"for_s": 60}))[0] == 404


async def test_bad_rules_are_refused_with_a_hint_and_the_others_stay(tmp_path: Path) -> None:
    async with world(tmp_path, hub=msgspec.structs.replace(HUB, max_rules=2)) as weir:
        await weir.send("POST", "api/v1/rules", {"name": "good", "target": "all"})
        for wrong in (
            {}, [], 7, {"name": "x"}, {"name": "x", "pod": "("}, {"name": "x", "pods": "y"}, {"name": "", "pod": "y"},
            {"name": "x", "pod": 7}, {"name": "x", "namespaces": "prod"}, {"name": "x", "labels": "=="},
            {"name": "x", "target": "all", "pod": "y"}, {"name": "x y", "pod": "y"}, {"name": "x", "target": "1.2.3"},
            {"name": "x", "pod": "y", "for_s": "soon"}, {"name": "x", "pod": "y", "for_s": -1},
            {"name": "x", "pod": "y", "read_only": True}, {"name": "x", "pod": "y", "source": "helm"},
            {"name": "x", "pod": "y" * 5000}, {"name": "x", "pod": "y", "for_s": float("1e300")},
        ):
            status, told = await weir.send("POST", "api/v1/rules", wrong)
            assert (status, bool(told["error"]), bool(told["hint"])) == (400, True, True), wrong
        for body in (b"{", b"\xff", b"[" * 50_000):
            async with weir.http.post(weir.url + "api/v1/rules", data=body, headers=BEARER) as answer:
                assert answer.status == 400
        async with weir.http.post(weir.url + "api/v1/rules", data=b"x" * 100_000, headers=BEARER) as answer:
            assert answer.status == 413
        assert (await weir.send("POST", "api/v1/rules", {"name": "second", "target": "all"}))[0] == 200
        status, told = await weir.send("POST", "api/v1/rules", {"name": "third", "target": "all"})
        assert (status, told["error"]) == (400, "there are 2 rules")
        assert [one["rule"]["name"] for one in (await weir.ask("api/v1/rules"))[1]["rules"]] == ["good", "second"]


async def test_rules_from_elsewhere_are_read_only(tmp_path: Path) -> None:
    async with world(tmp_path) as weir:
        given = Rule(name="given", pod="a.*", source="helm", read_only=True)
        await weir.bus.publish(RULES, [Record(b"given", given)])

        async def listed() -> bool:
            return bool((await weir.ask("api/v1/rules"))[1]["rules"])

        await weir.until(listed)
        for method, path, body in (("POST", "rules", {"name": "given", "pod": "b"}), ("PUT", "rules/given", {}),
                                   ("DELETE", "rules/given", None)):
            status, told = await weir.send(method, "api/v1/" + path, body)
            assert (status, "Helm values" in told["error"]) == (409, True)
        assert (await weir.bus.read_compacted(RULES, 0)) == {b"given": given}


async def test_rules_of_another_page_are_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as weir:
        async with weir.http.get(weir.shared["hub.url"] + "?token=" + TOKEN):
            pass
        rule = {"name": "evil", "target": "all"}
        for headers in ({}, {"Origin": "http://evil.example"}):
            async with weir.http.post(weir.url + "api/v1/rules", json=rule, headers=headers) as answer:
                assert answer.status in (401, 403)
        assert (await weir.ask("api/v1/rules"))[1] == {"rules": []}


async def test_a_preview_tells_pods_and_bytes_by_node(tmp_path: Path) -> None:
    async with world(tmp_path) as weir:
        await weir.pods("prod/checkout-1@a", "prod/checkout-2@b", "prod/cart-1@a")
        now = SystemClock().now_ns()
        ends = {"src": {"ip": "10.1.0.3", "name": "cart-1", "namespace": "prod"},
                "dst": {"ip": "10.1.0.1", "name": "checkout-1", "namespace": "prod"}}
        await weir.bus.publish(HEALTH, [Record(b"c", Heartbeat(
            process="c", stages=["capture"], node="a", started_ns=now - 100 * 10**9, sent_ns=now + 10**12,
            rates={"capture.bytes": 5_000_000.0},
        ))])
        await weir.publish(
            entry(1, kind="flow", protocol="tcp", timestamp=now, conn_local_bytes=400_000_000,
                  conn_remote_bytes=600_000_000, **ends),
            entry(2, timestamp=now, **ends),
        )
        await weir.kept(2)
        status, told = await weir.send("POST", "api/v1/rules/preview", {"pod": "checkout.*"})
        assert (status, told["pods"], told["fresh"], told["workloads"]) == (200, 2, 2, {"deployment/checkout": 2})
        assert [one["pod"] for one in told["listed"]] == ["prod/checkout-1", "prod/checkout-2"]
        assert 9 < told["mb_per_s"] <= 10.1
        assert [(one["node"], round(one["mb_per_s"])) for one in told["nodes"]] == [("a", 15), ("b", 0)]
        assert told["warnings"] == []
        _, told = await weir.send("POST", "api/v1/rules/preview", {"pod": ".*", "namespaces": ["none"]})
        assert told["pods"] == 0
        assert told["warnings"] == ["selects no pod", "nothing is known in namespace none: does it exist?"]
        _, told = await weir.send("POST", "api/v1/rules/preview", {"pod": ".*"})
        assert told["warnings"][0] == "selects every pod (3)"
        assert (await weir.send("POST", "api/v1/rules/preview", {"pod": "("}))[0] == 400
        assert (await weir.ask("api/v1/rules"))[1] == {"rules": []}


async def test_targets_tell_what_is_targeted_now(tmp_path: Path) -> None:
    async with world(tmp_path) as weir:
        await weir.pods("prod/checkout-1@a", "prod/cart-1@a", targeted="checkout")
        await weir.bus.publish(CONTROL, [Record(b"weir", Control(generation=1, pods=True, targets=["port:80"]))])

        async def arrived() -> bool:
            return bool((await weir.ask("api/v1/targets"))[1]["targets"] == ["port:80"])

        await weir.until(arrived)
        _, told = await weir.ask("api/v1/targets")
        assert (told["pods"], [one["pod"] for one in told["listed"]]) == (1, ["prod/checkout-1"])
        assert told["says"] == "targeted now: 1 of 2 pods on 1 nodes; port:80"
        _, state = await weir.ask("api/v1/health")
        assert state["target"]["targeted"] == {"pods": 2, "targeted": 1, "nodes": ["a"], "rules": []}


async def test_why_answers_for_a_pod(tmp_path: Path) -> None:
    async with world(tmp_path) as weir:
        await weir.pods("prod/checkout-1@a", "prod/cart-1@a", "test/cart-1@a", targeted="checkout")
        await weir.publish(entry(
            1, timestamp=SystemClock().now_ns(), src={"name": "checkout-1", "namespace": "prod"}, ok=False,
        ))
        await weir.kept(1)
        _, told = await weir.ask("api/v1/why?pod=prod/checkout-1")
        assert (told["verdict"], told["seen"]["exchanges"], told["seen"]["failed"]) == ("ok", 1, 1)
        assert (await weir.ask("api/v1/why?pod=checkout-1"))[1] == told
        _, told = await weir.ask("api/v1/why?pod=prod/cart-1")
        assert (told["verdict"], told["targeted"]) == ("not_targeted", False)
        status, told = await weir.ask("api/v1/why?pod=cart-1")
        assert (status, told["hint"]) == (400, "there are prod/cart-1, test/cart-1")
        for wrong in ("", "?pod=", "?pod=/x", "?pod=x/", "?pood=x"):
            assert (await weir.ask("api/v1/why" + wrong))[0] == 400


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
