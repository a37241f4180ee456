"""The API as programs use it: against its own description (schemathesis), as downloads, streams, and behind TLS."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from schemathesis import GenerationMode, openapi
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from weir.archive.api import ArchiveAway
from weir.archive.memory import MemoryArchive
from weir.bus.api import Record
from weir.bus.memory import MemoryBus
from weir.bus.topics import ENTRIES
from weir.errors import SettingsError
from weir.hub.service import HubService
from weir.hub.settings import HubSettings
from weir.runtime.service import Context
from weir.store.service import StoreService
from weir.store.settings import StoreSettings

TOKEN = "a-token-for-the-tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
HUB = HubSettings(listen="127.0.0.1:0", token=TOKEN, tail_interval_s=0.01)
API = "api/v1"
EXAMPLES = 4
"""Requests to each operation."""
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
STREAMS = ("/api/v1/tail", "/api/v1/events")


def entry(number: int, **more: Any) -> dict[str, Any]:
    return {
        "v": 1, "id": f"e{number:05}", "timestamp": 1_700_000_000_000_000_000 + number, "protocol": "http",
        "kind": "exchange", "flow_id": "f", "summary": f"GET /{number}", "status_code": 200, "ok": True,
        "method": "GET", "url": f"http://pay/{number}?a=b", "path": f"/{number}", "http_version": "1.1",
        "src": {"ip": "10.0.0.1", "name": "cart", "namespace": "shop"},
        "dst": {"ip": "10.0.0.2", "name": "pay", "namespace": "shop"}, "elapsed_time": 1000 + number,
        "request": {"headers": {"a": "b", "cookie": "k=v"}, "size": 10},
        "response": {"headers": {"set-cookie": "x=1; Path=/\ny=2"}, "body": {"text": "hi", "size": 2}, "size": 30},
    } | more


class Site:
    """A hub with its archive in this process."""

    def __init__(self, folder: Path, hub: HubSettings = HUB, *, store: bool = True, embedded: bool = False) -> None:
        self.bus = MemoryBus(instance="weir", shards=2)
        self.shared: dict[str, Any] = {"data_dir": folder}
        if not store:
            self.shared["archive"] = MemoryArchive()
        self._hub, self._store, self._embedded = hub, store, embedded
        self.hub_context = self._context()
        self.url = ""

    def _context(self) -> Context:
        return Context(bus=self.bus, shared=self.shared, process="here", embedded=self._embedded)

    async def __aenter__(self) -> Site:
        await self.bus.start()
        self._contexts = [self.hub_context, self._context()]
        services = [HubService(self._hub, self._contexts[0])]
        services += [StoreService(StoreSettings(batch_age_s=0.01), self._contexts[1])] if self._store else []  # type: ignore[list-item]
        self.http = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        self._tasks = [asyncio.create_task(service.run()) for service in services]
        while "hub.url" not in self.shared:
            for task in self._tasks:
                if task.done():
                    task.result()
            await asyncio.sleep(0.005)
        self.url = self.shared["hub.url"].partition("?")[0]
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.http.close()
        for context in self._contexts:
            context.stop.set()
        async with asyncio.timeout(60):
            await asyncio.gather(*self._tasks)
        await self.bus.stop(1)

    async def publish(self, *entries: dict[str, Any]) -> None:
        await self.bus.publish(ENTRIES, [Record(b"k", one) for one in entries])

    async def keep(self, *entries: dict[str, Any]) -> None:
        await self.publish(*entries)
        async with asyncio.timeout(60):
            while (await self.ask("entries?limit=1000"))[1]["entries"].__len__() < len(entries):
                await asyncio.sleep(0.005)

    async def ask(self, path: str, **more: Any) -> tuple[int, Any]:
        async with self.http.get(f"{self.url}{API}/{path}", headers=BEARER, **more) as answer:
            return answer.status, await answer.json()

    async def send(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        async with self.http.request(method, f"{self.url}{API}/{path}", json=body, headers=BEARER) as answer:
            return answer.status, await answer.json()

    async def download(self, path: str) -> tuple[Any, str]:
        async with self.http.get(f"{self.url}{API}/{path}", headers=BEARER) as answer:
            assert answer.status == 200, await answer.text()
            return answer.headers, await answer.text()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with Site(tmp_path) as made:
        yield made


@pytest.mark.parametrize("entries", [0, 20])
@pytest.mark.filterwarnings("ignore")
async def test_every_operation_answers_as_it_is_described(site: Site, entries: int) -> None:
    await site.keep(*(entry(n, ok=n % 3 > 0) for n in range(entries)))
    await asyncio.to_thread(_exercise, site.url)


def _exercise(url: str) -> None:
    """Valid and invalid requests of every operation; what streams without end is asked elsewhere."""
    import hypothesis

    schema = openapi.from_url(f"{url}{API}/openapi.json", headers=BEARER)
    tried, wrong = 0, []
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path in STREAMS:
            continue
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            try:
                strategy = operation.as_strategy(generation_mode=mode)

                @hypothesis.settings(
                    max_examples=EXAMPLES, deadline=None, database=None, derandomize=True,
                    suppress_health_check=list(hypothesis.HealthCheck), phases=[hypothesis.Phase.generate],
                )
                @hypothesis.given(case=strategy)
                def ask(case: Any) -> None:
                    # Beyond that the parser of requests answers, which knows nothing of JSON.
                    hypothesis.assume(len(case.as_transport_kwargs(base_url=url.rstrip("/")).get("url", "")) < 4000)
                    hypothesis.assume(len(str(case.query)) < 3000)
                    response = case.call(base_url=url.rstrip("/"), headers=BEARER, timeout=60)
                    case.validate_response(response, checks=CHECKS)

                ask()
                tried += 1
            except hypothesis.errors.Unsatisfiable:
                continue  # nothing can be wrong in a request without parameters
            except Exception as error:
                wrong.append(f"{operation.method} {operation.path} {mode}: {_words(error)}")
    assert not wrong, "\n".join(wrong)
    assert tried > 20


def _words(error: BaseException) -> str:
    inner = getattr(error, "exceptions", ())
    return "; ".join(map(_words, inner)) if inner else str(error)


async def test_orders_fields_and_a_wrong_cursor(site: Site) -> None:
    await site.keep(*(entry(n, ok=n % 3 > 0, elapsed_time=100 - n) for n in range(10)))
    _, failed = await site.ask("entries?order=failed&limit=4&fields=ok,src.name")
    assert [one["ok"] for one in failed["entries"]] == [False] * 4
    assert failed["entries"][0] == {
        "id": "e00009", "timestamp": 1_700_000_000_000_000_009, "ok": False, "src": {"name": "cart"}
    }
    _, rest = await site.ask(f"entries?order=failed&limit=4&cursor={failed['next']}")
    assert [one["ok"] for one in rest["entries"]] == [True] * 4
    _, slowest = await site.ask("entries?order=slowest&limit=1")
    assert slowest["entries"][0]["elapsed_time"] == 100
    assert (await site.ask(f"entries?order=slowest&cursor={failed['next']}"))[0] == 400
    assert (await site.ask("entries?order=best"))[0] == 400
    assert (await site.ask("entries?fields=status_cod"))[1]["hint"] == "status_code"


async def test_a_wrong_filter_is_told_with_its_place(site: Site) -> None:
    for path in ("entries", "stats", "map", "export", "fields/method/values"):
        status, told = await site.ask(f"{path}?filter=http%20%26%26%20status_cod%20%3D%3D%20500")
        assert (status, told["hint"], told["position"], told["length"]) == (400, "status_code", 8, 10), path
    assert (await site.ask("check?filter=http%20%26%26%20status_cod"))[1]["position"] == 8
    assert (await site.ask("check?filter=http"))[1]["ok"] is True
    assert (await site.ask("check"))[1]["ok"] is True


async def test_nothing_in_the_time_range_is_no_error(site: Site) -> None:
    await site.keep(entry(1))
    for path, empty in {
        "entries": {"entries": [], "next": None, "hidden": 0}, "stats": {"groups": []},
        "map": {"edges": [], "nodes": []}, "fields/method/values": {"values": []},
    }.items():
        status, found = await site.ask(f"{path}?since=5&until=6")
        assert status == 200
        assert {name: found[name] for name in empty} == empty
    headers, text = await site.download("export?since=5&until=6&format=har")
    assert headers["Weir-Matched"] == "0"
    assert json.loads(text)["log"]["entries"] == []


async def test_completion_offers_values_that_were_seen(site: Site) -> None:
    await site.keep(*(entry(n, method="POST" if n % 3 else "PUT") for n in range(9)))
    _, found = await site.ask("complete", params={"filter": 'http && method == "p', "at": "20"})
    assert [(one["text"], one["kind"], one["count"]) for one in found["options"]] == [
        ('"POST"', "value", 6), ('"PUT"', "value", 3)
    ]
    assert (found["start"], found["end"]) == (18, 20)
    _, values = await site.ask("fields/method/values?prefix=PU")
    assert values == {"values": [{"value": "PUT", "count": 3}]}
    assert (await site.ask("fields/timestamp/values"))[0] == 400


async def test_saved_filters_are_macros_and_survive_a_restart(tmp_path: Path) -> None:
    async with Site(tmp_path, embedded=True) as site:
        await site.keep(entry(1, status_code=503), entry(2))
        status, made = await site.send("PUT", "saved/broken", {"text": "status_code >= 500", "macro": True})
        assert (status, made["macro"]) == (200, True)
        assert (await site.send("PUT", "saved/my%20view", {"text": "broken && http", "author": "ada"}))[0] == 200
        _, found = await site.ask("entries?filter=broken")
        assert [one["id"] for one in found["entries"]] == ["e00001"]
        assert (await site.send("DELETE", "saved/broken"))[0] == 400
    async with Site(tmp_path, embedded=True) as site:
        async with asyncio.timeout(20):
            while len((await site.ask("saved"))[1]["saved"]) < 2:
                await asyncio.sleep(0.005)
        _, held = await site.ask("saved")
        assert [(one["name"], one["author"]) for one in held["saved"]][1] == ("my view", "ada")
        assert (await site.send("DELETE", "saved/my%20view"))[0] == 200
        assert (await site.send("DELETE", "saved/broken"))[0] == 200
        assert (await site.send("DELETE", "saved/broken"))[0] == 404
        assert (await site.ask("entries?filter=broken"))[0] == 400


@pytest.mark.parametrize(("name", "body"), [
    ("http", {"text": "dns", "macro": True}), ("a-b", {"text": "dns", "macro": True}), ("x", {"text": "status_cod"}),
    ("x", {"text": ""}), ("x", {}), ("x", []), ("x", {"text": 5}), ("x", {"text": "x", "macro": True}),
    ("x" * 65, {"text": "dns"}), ("%00", {"text": "dns"}),
])
async def test_what_cannot_be_saved_is_refused(site: Site, name: str, body: Any) -> None:
    assert (await site.send("PUT", f"saved/{name}", body))[0] == 400
    assert (await site.ask("saved"))[1] == {"saved": []}


async def test_an_export_is_whole_or_says_that_it_was_cut(site: Site) -> None:
    await site.keep(*(entry(n) for n in range(700)), entry(800, protocol="dns", method="", url="", path=""))
    headers, text = await site.download("export?format=jsonl")
    assert (headers["Weir-Matched"], headers["Weir-Cut"]) == ("701", "false")
    assert [json.loads(line)["id"] for line in text.splitlines()][1:3] == ["e00699", "e00698"]
    assert len(text.splitlines()) == 701
    headers, text = await site.download("export?format=har&limit=600")
    assert headers["Weir-Cut"] == "true"
    assert "600-of-701.har" in headers["Content-Disposition"]
    assert json.loads(text)["log"]["comment"].startswith("cut: 600 of 701 entries; 1 entries")
    headers, text = await site.download("export?format=csv&limit=3&fields=id,src.name,request.headers&order=oldest")
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == ["id", "src.name", "request.headers"]
    assert rows[1] == ["e00000", "cart", '{"a":"b","cookie":"k=v"}']


async def test_events_are_sent_as_they_come(site: Site) -> None:
    async with site.http.get(f"{site.url}{API}/events?filter=status_code%20%3D%3D%20500", headers=BEARER) as stream:
        assert stream.headers["Content-Type"] == "text/event-stream"
        assert (await stream.content.readline()).startswith(b":")
        await stream.content.readline()
        await site.publish(entry(1), entry(2, status_code=500))
        lines = [(await stream.content.readline()).decode().rstrip("\n") for _ in range(6)]
        assert lines[0] == "event: entries"
        assert [one["id"] for one in json.loads(lines[1].removeprefix("data: "))] == ["e00002"]
        assert lines[2:4] == ["", "event: counts"]
        assert json.loads(lines[4].removeprefix("data: "))["matched"] == 1
        assert (await site.ask("health"))[1]["followers"] == 1
    async with asyncio.timeout(20):
        while (await site.ask("health"))[1]["followers"]:
            await site.publish(entry(3, status_code=500))
            await asyncio.sleep(0.01)
    assert (await site.ask("events?filter=x"))[0] == 400


async def test_settings_are_told_without_secrets(site: Site) -> None:
    _, found = await site.ask("settings")
    by_name = {one["name"]: one for one in found["settings"]}
    assert by_name["hub.token"]["value"] == "***"
    assert by_name["hub.max_tails"]["source"] == "default"
    assert TOKEN not in json.dumps(found)


async def test_https_below_a_base_path(tmp_path: Path) -> None:
    authority = trustme.CA()
    made = authority.issue_cert("localhost", "127.0.0.1")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
    made.private_key_pem.write_to_path(key)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    settings = HubSettings(
        listen="127.0.0.1:0", token=TOKEN, tls_cert_file=str(cert), tls_key_file=str(key), base_path="/tools/weir"
    )
    async with Site(tmp_path, settings, store=False) as site:
        assert site.url.startswith("https://127.0.0.1:")
        assert site.url.endswith("/tools/weir/")
        status, _ = await site.ask("health", ssl=trusting)
        assert status == 200
        root = site.url.removesuffix("tools/weir/")
        for path, expected in {
            "healthz": 200, "tools/weir/healthz": 200, "api/v1/health": 404, "tools/weir": 200, "tools/weir/": 200,
        }.items():
            async with site.http.get(root + path, ssl=trusting, headers=BEARER) as answer:
                assert answer.status == expected, path
        async with site.http.get(f"{site.url}?token={TOKEN}&view=map", ssl=trusting, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "./?view=map")
            cookie = answer.headers["Set-Cookie"]
        assert "Path=/tools/weir" in cookie
        assert "Secure" in cookie
        with pytest.raises(aiohttp.ClientError):
            await site.http.get(site.url.replace("https:", "http:"))


@pytest.mark.parametrize("more", [
    {"tls_cert_file": "x"}, {"tls_key_file": "x"}, {"tls_cert_file": "/nowhere", "tls_key_file": "/nowhere"},
])
def test_a_certificate_that_is_none_is_refused_before_anything_starts(tmp_path: Path, more: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="tls_cert_file"):
        HubService(HubSettings(listen="127.0.0.1:0", **more), Site(tmp_path).hub_context)


class _Away:
    """An archive that cannot be reached."""

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any, **more: Any) -> Any:
            raise ArchiveAway("the archive at nowhere is away", hint="is it running?")

        return call

    def describe(self) -> str:
        return "away"


async def test_with_the_archive_away_history_says_why_and_live_goes_on(tmp_path: Path) -> None:
    site = Site(tmp_path, store=False)
    site.shared["archive"] = _Away()
    async with site:
        for path in ("entries", "entries/x", "stats", "map", "export", "fields/method/values"):
            status, told = await site.ask(path)
            assert (status, told["error"]) == (503, "the archive at nowhere is away"), path
        _, found = await site.ask("complete?filter=method%20%3D%3D%20")
        assert found["options"]
        async with site.http.ws_connect(f"{site.url}{API}/tail", headers=BEARER) as tail:
            await tail.receive_json()
            await site.publish(entry(1))
            assert (await tail.receive_json(timeout=20))["entries"][0]["id"] == "e00001"


async def test_oversized_and_foreign_requests_are_refused(site: Site) -> None:
    status, _ = await site.send("PUT", "saved/x", {"text": "a" * 100_000})
    assert status == 413
    assert (await site.ask("entries?filter=" + "x" * 5000))[0] == 400
    async with site.http.get(f"{site.url}{API}/entries?filter=" + "x" * 40_000, headers=BEARER) as answer:
        assert answer.status in (400, 414)
    assert (await site.ask("entries/" + "x" * 500))[0] == 404
    for path in ("entries", "events", "export", "map", "saved"):
        async with site.http.get(f"{site.url}{API}/{path}") as answer:
            assert answer.status == 401
    async with site.http.get(f"{site.url}?token={TOKEN}") as answer:
        assert answer.status == 200
    for method, path in (("PUT", "saved/x"), ("DELETE", "saved/x"), ("GET", "export")):
        async with site.http.request(
            method, f"{site.url}{API}/{path}", headers={"Origin": "http://evil.example"}
        ) as answer:
            assert answer.status == 403


async def test_a_connection_that_says_nothing_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weir.hub.listen.SILENT_S", 0.05)
    async with Site(tmp_path, store=False) as site:
        host, port = site.url.split("/")[2].split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET / HTTP/1.1\r\nHost: loc")
        async with asyncio.timeout(20):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        writer.close()
        assert site.hub_context.counts.take()["hub.refused{silent}"] == 1
        assert (await site.ask("health"))[0] == 200


async def test_no_entry_is_read_while_nobody_follows(site: Site) -> None:
    await site.publish(entry(1))
    assert (await site.ask("health"))[1]["followers"] == 0
