"""A hub in a cluster, reached through a kubeconfig: an API server that answers as a real one does, a hub behind it."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from weir.bus.memory import MemoryBus
from weir.cli.kube.forward import PROTOCOL
from weir.cli.kube.reach import reached
from weir.errors import ClusterError, HubError
from weir.hub.service import HubService
from weir.hub.settings import HubSettings
from weir.runtime.service import Context
from weir.store.service import StoreService
from weir.store.settings import StoreSettings

TOKEN = "a-token-for-the-tests"
ALLOWED = "Bearer me"


class Api:
    """The part of an API server that a reader of the hub asks."""

    def __init__(self, hub_port: int) -> None:
        self.hub_port = hub_port
        self.services = [service("weir", "weir")]
        self.pods = [pod("weir-hub-1")]
        self.secrets = {"weir-hub-token": {"token": base64.b64encode(TOKEN.encode()).decode()}}
        self.everywhere = True
        """May list in every namespace."""
        self.answers_port = 8899
        self.error = b""
        """What the kubelet says on the error channel."""
        self.asked: list[str] = []
        self.open = 0

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._admit])
        app.add_routes([
            web.get("/api/v1/services", self._services),
            web.get("/api/v1/namespaces/{space}/services", self._services),
            web.get("/api/v1/namespaces/{space}/pods", self._pods),
            web.get("/api/v1/namespaces/{space}/secrets/{name}", self._secret),
            web.get("/api/v1/namespaces/{space}/pods/{name}/portforward", self._forward),
        ])
        return app

    @web.middleware
    async def _admit(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.asked.append(request.path)
        if request.headers.get("Authorization") != ALLOWED:
            return web.json_response({"kind": "Status", "message": "who are you?", "code": 401}, status=401)
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _services(self, request: web.Request) -> web.Response:
        space = request.match_info.get("space", "")
        if not space and not self.everywhere:
            return web.json_response({"kind": "Status", "message": "services is forbidden", "code": 403}, status=403)
        assert request.query["labelSelector"] == "app.kubernetes.io/name=weir,app.kubernetes.io/component=hub"
        return web.json_response(
            {"items": [one for one in self.services if space in ("", one["metadata"]["namespace"])]}
        )

    async def _pods(self, request: web.Request) -> web.Response:
        assert request.query["labelSelector"] == "app=weir"
        return web.json_response({"items": self.pods})

    async def _secret(self, request: web.Request) -> web.Response:
        data = self.secrets.get(request.match_info["name"])
        if data is None:
            return web.json_response({"kind": "Status", "message": "secrets not found", "code": 404}, status=404)
        return web.json_response({"data": data})

    async def _forward(self, request: web.Request) -> web.WebSocketResponse:
        """As the kubelet: two channels, each begins with the port."""
        socket = web.WebSocketResponse(protocols=[PROTOCOL])
        await socket.prepare(request)
        assert socket.ws_protocol == PROTOCOL
        assert request.query["ports"] == "8899"
        port = self.answers_port.to_bytes(2, "little")
        await socket.send_bytes(b"\0" + port)
        await socket.send_bytes(b"\1" + port)
        if self.error:
            await socket.send_bytes(b"\1" + self.error)
            await socket.close()
            return socket
        self.open += 1
        reader, writer = await asyncio.open_connection("127.0.0.1", self.hub_port)

        async def down() -> None:
            while data := await reader.read(1000):
                await socket.send_bytes(b"\0" + data)
            await socket.close()

        back = asyncio.ensure_future(down())
        try:
            async for message in socket:
                assert message.data[0] == 0
                writer.write(message.data[1:])
        finally:
            self.open -= 1
            writer.close()
            back.cancel()
            await asyncio.gather(back, return_exceptions=True)
        return socket


def service(instance: str, namespace: str) -> dict[str, Any]:
    return {
        "metadata": {"name": f"{instance}-hub", "namespace": namespace,
                     "labels": {"app.kubernetes.io/instance": instance}},
        "spec": {"selector": {"app": "weir"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
    }


def pod(name: str, ready: str = "True") -> dict[str, Any]:
    return {
        "metadata": {"name": name}, "spec": {"containers": [{"ports": [{"name": "http", "containerPort": 8899}]}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]},
    }


def kubeconfig(folder: Path, port: int) -> str:
    file = folder / "kubeconfig"
    file.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "u", "user": {"token": "me"}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "mine"}}],
    }))
    return str(file)


@asynccontextmanager
async def cluster(folder: Path) -> AsyncIterator[tuple[Api, str]]:
    """An API server in front of a hub, and the kubeconfig."""
    bus = MemoryBus(instance="weir", shards=1)
    await bus.start()
    shared: dict[str, Any] = {"data_dir": folder}
    contexts = [Context(bus=bus, shared=shared) for _ in range(2)]
    services = [
        HubService(HubSettings(listen="127.0.0.1:0", token=TOKEN), contexts[0]),
        StoreService(StoreSettings(), contexts[1]),
    ]
    tasks = [asyncio.create_task(one.run()) for one in services]
    async with asyncio.timeout(20):
        while "hub.url" not in shared:
            await asyncio.sleep(0.005)
    api = Api(aiohttp.client.URL(shared["hub.url"]).port or 0)
    runner = web.AppRunner(api.application(), shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield api, kubeconfig(folder, runner.addresses[0][1])
    finally:
        await runner.cleanup()
        for context in contexts:
            context.stop.set()
        await asyncio.gather(*tasks)
        await bus.stop(1)


async def test_a_hub_is_found_and_answers_through_the_forwarded_port(tmp_path: Path) -> None:
    told: list[str] = []
    async with cluster(tmp_path) as (api, config):
        async with reached(config, "", "", "", told.append) as hub, aiohttp.ClientSession() as http:
            assert (hub.token, hub.installation) == (TOKEN, "weir/weir-hub")
            headers = {"Authorization": f"Bearer {hub.token}"}

            async def health() -> int:
                async with http.get(f"{hub.base}/api/v1/health", headers=headers) as answer:
                    await answer.read()
                    return answer.status

            assert await asyncio.gather(*(health() for _ in range(8))) == [200] * 8
            async with http.ws_connect(f"{hub.base}/api/v1/tail", headers=headers) as socket:
                assert (await socket.receive_json())["type"] == "state"
        async with asyncio.timeout(10):
            while api.open:
                await asyncio.sleep(0.005)
    assert told == []


async def test_a_token_that_is_given_needs_no_secret(tmp_path: Path) -> None:
    async with cluster(tmp_path) as (api, config):
        async with reached(config, "here", "weir/weir", "given-token-given", print) as hub:
            assert hub.token == "given-token-given"
        assert not [path for path in api.asked if "secrets" in path]


async def test_who_may_list_in_one_namespace_only_finds_what_is_there(tmp_path: Path) -> None:
    async with cluster(tmp_path) as (api, config):
        api.everywhere = False
        with pytest.raises(HubError, match="not installed"):
            async with reached(config, "", "", "", print):
                pass
        api.services = [service("own", "mine")]
        api.secrets["own-hub-token"] = api.secrets["weir-hub-token"]
        async with reached(config, "", "", "", print) as hub:
            assert hub.installation == "mine/own-hub"


async def test_what_is_missing_is_told(tmp_path: Path) -> None:
    async with cluster(tmp_path) as (api, config):
        api.secrets.clear()
        with pytest.raises(ClusterError, match="Secret weir/weir-hub-token") as refused:
            async with reached(config, "", "", "", print):
                pass
        assert "--token" in refused.value.hint
        api.secrets["weir-hub-token"] = {"other": ""}
        with pytest.raises(ClusterError, match="has no token"):
            async with reached(config, "", "", "", print):
                pass
        api.pods = [pod("weir-hub-1", ready="False")]
        with pytest.raises(ClusterError, match="weir-hub-1 is Running"):
            async with reached(config, "", "", "", print):
                pass


async def test_a_port_that_nobody_listens_on_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    async with cluster(tmp_path) as (api, config):
        api.error = b"connection refused: exit status 1"
        async with reached(config, "", "", "", told.append) as hub, aiohttp.ClientSession() as http:
            with pytest.raises(aiohttp.ClientError):
                await http.get(hub.base)
            api.error, api.answers_port = b"", 1234
            with pytest.raises(aiohttp.ClientError):
                await http.get(hub.base)
        # aiohttp asks twice.
        assert list(dict.fromkeys(told)) == [
            "the pod's port 8899: connection refused: exit status 1",
            "the API server forwards another port than was asked for",
        ]


async def weir(*argv: str, **env: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "weir.cli", *argv, env={"HOME": "/nonexistent", **env},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_the_commands_go_to_the_cluster(tmp_path: Path) -> None:
    async with cluster(tmp_path) as (api, config):
        code, out, err = await weir("targets", "add", "web.*", "-n", "prod", "--kubeconfig", config)
        assert (code, out.startswith("rule web-")) == (0, True), err
        assert err == f"weir: using weir/weir-hub of context here of {config}\n"
        code, out, _ = await weir("targets", "--kubeconfig", config, "-o", "json")
        assert json.loads(out)["rules"][0]["rule"]["pod"] == "web.*"
        code, out, _ = await weir("status", "--context", "here", KUBECONFIG=config)
        assert (code, out.startswith("weir is ")) == (0, True)
        code, _, err = await weir("why", "prod/web-1", "--kubeconfig", config, "--token", "wrong-wrong-wrong")
        assert (code, "refuses this token" in err) == (7, True)
        api.services.append(service("other", "weir"))
        code, _, err = await weir("tap", "web.*", "--kubeconfig", config)
        assert (code, "--instance other" in err) == (7, True)
        api.services.clear()
        code, _, err = await weir("tap", "web.*", "--kubeconfig", config)
        assert (code, "hint: helm install weir " in err) == (7, True)
