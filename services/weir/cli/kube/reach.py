"""From a kubeconfig to a hub: finds the installation, forwards a port to it, and reads its token."""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import msgspec

from weir.cli.kube.find import SELECTOR, Installation, Place, choose, installations, place_of
from weir.cli.kube.forward import forwarded
from weir.errors import ClusterError
from weir.targets.kube.client import KubeClient
from weir.targets.kube.faults import ApiError


class Reached(msgspec.Struct, frozen=True, kw_only=True):
    """A hub on this machine's loopback."""

    base: str
    token: str
    installation: str
    """`namespace/service`."""
    where: str
    """Which cluster, for people."""


@asynccontextmanager
async def reached(
    kubeconfig: str, context: str, instance: str, token: str, told: Callable[[str], None]
) -> AsyncIterator[Reached]:
    """Inside the block the hub answers. `token`: what was given, so that no Secret needs to be read."""
    async with await KubeClient.open(kubeconfig, context, instance or "weir", part="cli") as client:
        installation = choose(installations(await _services(client)), instance, client.where)
        place = place_of(installation, await _pods(client, installation))
        token = token or await _token(client, place)
        async with forwarded(client, place.namespace, place.pod, place.port, told) as port:
            yield Reached(
                base=f"http://127.0.0.1:{port}", token=token, installation=str(installation), where=client.where
            )


async def _services(client: KubeClient) -> list[Any]:
    """Of every namespace; of the context's own where no more may be read."""
    query = {"labelSelector": SELECTOR}
    try:
        return _items(await client.get("/api/v1/services", query))
    except ApiError as error:
        if error.status != 403:
            raise
        return _items(await client.get(f"/api/v1/namespaces/{quote(client.namespace)}/services", query))


async def _pods(client: KubeClient, installation: Installation) -> list[Any]:
    query = {"labelSelector": ",".join(f"{key}={value}" for key, value in sorted(installation.selector.items()))}
    return _items(await client.get(f"/api/v1/namespaces/{installation.namespace}/pods", query))


async def _token(client: KubeClient, place: Place) -> str:
    try:
        found = msgspec.json.decode(await client.get(f"/api/v1/namespaces/{place.namespace}/secrets/{place.secret}"))
        return base64.b64decode(found["data"][place.key], validate=True).decode().strip()
    except ApiError as error:
        raise ClusterError(
            f"the hub's token cannot be read from the Secret {place.namespace}/{place.secret}: {error.message}",
            hint="give it with --token or WEIR_TOKEN; who may read that Secret may read all that weir shows",
        ) from None
    except (msgspec.DecodeError, binascii.Error, UnicodeError, KeyError, TypeError):
        raise ClusterError(
            f"the Secret {place.namespace}/{place.secret} has no token under {place.key!r}",
            hint="give it with --token or WEIR_TOKEN",
        ) from None


def _items(body: bytes) -> list[Any]:
    try:
        items = msgspec.json.decode(body, type=dict[str, Any]).get("items")
    except msgspec.DecodeError:
        raise ClusterError("the Kubernetes API answers something that is not its own") from None
    return items if isinstance(items, list) else []
