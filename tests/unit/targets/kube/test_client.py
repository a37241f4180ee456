from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from weir.errors import ClusterError
from weir.targets.kube.client import KubeClient
from weir.targets.kube.credentials import InCluster, KubeConfig, choose
from weir.targets.kube.faults import ApiError
from weir.testing.kubefake import FakeKube


async def test_a_request_says_who_asks(tmp_path: Path) -> None:
    async with FakeKube() as fake:
        fake.put("nodes", {"metadata": {"name": "n0"}})
        path = fake.kubeconfig(tmp_path)
        async with await KubeClient.open(str(path), instance="blue") as client:
            body = json.loads(await client.get("/api/v1/nodes", {"limit": "5"}))
            assert [item["metadata"]["name"] for item in body["items"]] == ["n0"]
            assert (client.where, client.namespace) == (f"context fake of {path}", "weir")
            assert client.server == fake.url
    (asked,) = fake.asked
    assert asked.agent.startswith("weir-targets/")
    assert asked.agent.endswith(" (blue)")
    assert (asked.query, asked.token) == ({"limit": "5"}, "good")


async def test_refusals_are_told_with_what_is_missing(tmp_path: Path) -> None:
    async with FakeKube() as fake, await KubeClient.open(str(fake.kubeconfig(tmp_path))) as client:
        fake.refuse(403)
        with pytest.raises(ApiError, match='GET /api/v1/pods: pods is forbidden: User "me" cannot list') as caught:
            await client.get("/api/v1/pods")
        assert "role" in caught.value.hint
        fake.refuse(429, retry_after=17)
        with pytest.raises(ApiError) as caught:
            await client.get("/api/v1/pods")
        assert (caught.value.status, caught.value.retry_after) == (429, 17.0)
        fake.refuse(503, retry_after=3)
        with pytest.raises(ApiError) as caught:
            async with client.stream("/api/v1/pods", {"watch": "true"}):
                pass
        assert (caught.value.status, caught.value.retry_after) == (503, 3.0)


async def test_401_reads_the_credentials_anew_once_for_all_who_ask(tmp_path: Path) -> None:
    loads = 0

    class Counting(KubeConfig):
        async def load(self) -> Any:
            nonlocal loads
            loads += 1
            return await super().load()

    async with FakeKube() as fake:
        path = fake.kubeconfig(tmp_path)
        async with await KubeClient(Counting(str(path))).start() as client:
            fake.tokens = {"renewed"}
            fake.kubeconfig(tmp_path, "renewed")
            await asyncio.gather(*(client.get("/api/v1/pods") for _ in range(10)))
            assert loads == 2
            fake.tokens = {"lost"}
            fake.asked.clear()
            with pytest.raises(ApiError) as caught:
                await client.get("/api/v1/pods")
            assert caught.value.status == 401
            assert "log in again" in caught.value.hint
            assert [asked.code for asked in fake.asked] == [401, 401]
            path.unlink()
            with pytest.raises(ApiError, match="no kubeconfig") as caught:
                await client.get("/api/v1/pods")
            assert caught.value.status == 401


async def test_nobody_listens(tmp_path: Path) -> None:
    fake = FakeKube()
    await fake.start()
    async with await KubeClient.open(str(fake.kubeconfig(tmp_path))) as client:
        await fake.stop()
        with pytest.raises(ApiError, match="cannot be reached") as caught:
            await client.get("/api/v1/pods")
        assert caught.value.status == 0
        assert "NetworkPolicy" in caught.value.hint
        assert caught.value.exit_code == 9
    with pytest.raises(ApiError, match="closed"):
        await client.get("/api/v1/pods")


async def test_a_stream_that_breaks_is_told(tmp_path: Path) -> None:
    async with FakeKube() as fake, await KubeClient.open(str(fake.kubeconfig(tmp_path))) as client:
        async with client.stream("/api/v1/pods", {"watch": "true"}) as stream:
            fake.bookmark()
            assert b"BOOKMARK" in await stream.read()
            fake.abort()
            with pytest.raises(ApiError, match="cannot be reached"):
                await stream.read()
        async with client.stream("/api/v1/pods", {"watch": "true"}) as stream:
            fake.end()
            assert await stream.read() == b""


async def test_no_kubeconfig(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="no kubeconfig at") as caught:
        await KubeClient.open(str(tmp_path / "none"))
    assert "KUBECONFIG" in caught.value.hint


async def test_no_such_context(tmp_path: Path) -> None:
    async with FakeKube() as fake:
        path = fake.kubeconfig(tmp_path)
    with pytest.raises(ClusterError, match="no context 'prod'") as caught:
        await KubeClient.open(str(path), "prod")
    assert caught.value.hint == "there are: fake"


@pytest.mark.parametrize("text", ["", "[]", "a: b", "{", "contexts: []\ncurrent-context: x\nusers: []\nclusters: []"])
async def test_a_file_that_is_no_kubeconfig(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(ClusterError, match="is no kubeconfig that works"):
        await KubeClient.open(str(path))


async def test_a_plugin_that_is_missing(tmp_path: Path) -> None:
    async with FakeKube() as fake:
        path = fake.kubeconfig(tmp_path)
    config = json.loads(path.read_text())
    run = {"apiVersion": "client.authentication.k8s.io/v1", "command": "/does/not/exist"}
    config["users"][0]["user"] = {"exec": run}
    path.write_text(json.dumps(config))
    with pytest.raises(ClusterError, match="credentials of context 'fake'") as caught:
        await KubeClient.open(str(path))
    assert "kubectl --context fake version" in caught.value.hint


def account(folder: Path, token: str = "good") -> tuple[Path, dict[str, str]]:
    folder.mkdir(exist_ok=True)
    (folder / "token").write_text(f"{token}\n")
    (folder / "ca.crt").write_text("no certificate")
    (folder / "namespace").write_text("weir")
    return folder, {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "6443"}


async def test_the_account_of_the_pod(tmp_path: Path) -> None:
    inside = InCluster(*account(tmp_path / "account"))
    assert inside.present()
    loaded = await inside.load()
    assert (loaded.namespace, loaded.configuration.host) == ("weir", "https://127.0.0.1:6443")
    assert "service account" in loaded.where
    with pytest.raises(ClusterError, match="certificates of the service account of this pod"):
        await KubeClient(inside).start()


async def test_an_account_without_a_token(tmp_path: Path) -> None:
    folder, environ = account(tmp_path / "account")
    (folder / "token").unlink()
    inside = InCluster(folder, environ)
    assert not inside.present()
    with pytest.raises(ClusterError, match="service account of this pod cannot be used") as caught:
        await inside.load()
    assert "automountServiceAccountToken" in caught.value.hint


def test_what_is_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "mine"))
    chosen = choose()
    assert isinstance(chosen, KubeConfig)
    assert chosen.path == str(tmp_path / "mine")
    assert isinstance(choose("some", "context"), KubeConfig)
    folder, environ = account(tmp_path / "account")
    monkeypatch.setattr("weir.targets.kube.credentials.InCluster.__init__.__defaults__", (folder, environ))
    assert isinstance(choose(), InCluster)
    assert isinstance(choose(context="prod"), KubeConfig)
