"""store and hub in one process on the memory bus, asked over HTTP as people and programs ask."""

from __future__ import annotations

import asyncio
import json
import socket
from importlib.util import find_spec
from pathlib import Path

import aiohttp
import msgspec
import pytest
from yarl import URL

from weir.bus.api import Record
from weir.bus.topics import CONTROL, HEALTH
from weir.errors import HubError, SettingsError
from weir.hub.service import HubService
from weir.model.control import Control
from weir.model.health import Heartbeat
from weir.runtime.clock import SystemClock
from weir.store.settings import StoreSettings
from weir.testing.hub import BEARER, HUB, TOKEN, World, entry, world


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
