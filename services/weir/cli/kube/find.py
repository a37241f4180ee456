"""Which installation is meant, which of its pods answers, and where its token is: from the API's JSON. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from weir.errors import ClusterError, HubError

NAME, INSTANCE, COMPONENT = (f"app.kubernetes.io/{part}" for part in ("name", "instance", "component"))
SELECTOR = f"{NAME}=weir,{COMPONENT}=hub"
INSTALL = "helm install weir deploy/helm/weir --namespace weir --create-namespace"
TOKEN_ENV = "WEIR_HUB_TOKEN"
_PORT = re.compile(r"[1-9]\d{0,4}\Z", re.ASCII)

Json = Mapping[str, Any]


class Installation(msgspec.Struct, frozen=True, kw_only=True):
    """A hub's Service."""

    instance: str
    namespace: str
    service: str
    selector: dict[str, str]
    port: str
    """Number or name of the port on its pods."""

    def __str__(self) -> str:
        return f"{self.namespace}/{self.service}"


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A pod of the hub, and where its token is kept."""

    namespace: str
    pod: str
    port: int
    secret: str
    key: str


def installations(services: Iterable[Json]) -> list[Installation]:
    """Hubs among Services, by instance and namespace; what lacks a selector or a port is none."""
    found = []
    for service in services:
        metadata, spec = _map(service, "metadata"), _map(service, "spec")
        ports = spec.get("ports")
        selector = _map(spec, "selector")
        if not selector or not isinstance(ports, list) or not ports or not isinstance(ports[0], dict):
            continue
        chosen = next((one for one in ports if isinstance(one, dict) and one.get("name") == "http"), ports[0])
        name = str(metadata.get("name", ""))
        found.append(Installation(
            instance=str(_map(metadata, "labels").get(INSTANCE, "") or name.removesuffix("-hub")),
            namespace=str(metadata.get("namespace", "")), service=name,
            selector={str(key): str(value) for key, value in selector.items()},
            port=str(chosen.get("targetPort") or chosen.get("port", "")),
        ))
    return sorted(found, key=lambda one: (one.instance, one.namespace))


def choose(found: list[Installation], instance: str, where: str) -> Installation:
    """The one that is meant; an error that says what to type otherwise."""
    fitting = [one for one in found if not instance or instance in (one.instance, f"{one.namespace}/{one.instance}")]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        names = _names(fitting)
        raise HubError(
            f"there are {len(fitting)} installations of weir in {where}: {', '.join(names)}",
            hint=f"name one: --instance {names[0]}",
        )
    if found:
        raise HubError(
            f"there is no installation {instance!r} in {where}", hint=f"there are: {', '.join(_names(found))}"
        )
    raise HubError(f"weir is not installed in {where}", hint=INSTALL)


def _names(found: list[Installation]) -> list[str]:
    """Instances, with the namespace where that is needed to tell them apart."""
    names = [one.instance for one in found]
    return [
        one.instance if names.count(one.instance) == 1 else f"{one.namespace}/{one.instance}" for one in found
    ]


def place_of(installation: Installation, pods: Iterable[Json]) -> Place:
    """A ready pod behind the Service."""
    every = [pod for pod in pods if isinstance(pod, dict)]
    ready = sorted((pod for pod in every if _ready(pod)), key=lambda pod: str(_map(pod, "metadata").get("name")))
    if not ready:
        states = ", ".join(
            f"{_map(pod, 'metadata').get('name')} is {_map(pod, 'status').get('phase', 'unknown')}" for pod in every
        )
        raise ClusterError(
            f"no pod of the hub {installation} is ready" + (f": {states}" if states else ": there is none"),
            hint=f"kubectl -n {installation.namespace} get pods",
        )
    secret, key = _token_place(ready[0], f"{installation.instance}-hub-token")
    return Place(
        namespace=installation.namespace, pod=str(_map(ready[0], "metadata")["name"]),
        port=_port(ready[0], installation.port), secret=secret, key=key,
    )


def _ready(pod: Json) -> bool:
    status = _map(pod, "status")
    conditions = status.get("conditions")
    return status.get("phase") == "Running" and not _map(pod, "metadata").get("deletionTimestamp") and any(
        isinstance(one, dict) and one.get("type") == "Ready" and one.get("status") == "True"
        for one in (conditions if isinstance(conditions, list) else ())
    )


def _containers(pod: Json) -> list[Json]:
    containers = _map(pod, "spec").get("containers")
    return [one for one in containers if isinstance(one, dict)] if isinstance(containers, list) else []


def _port(pod: Json, wanted: str) -> int:
    if _PORT.match(wanted):
        return int(wanted)
    for container in _containers(pod):
        for port in container.get("ports") or ():
            if isinstance(port, dict) and port.get("name") == wanted and isinstance(port.get("containerPort"), int):
                return int(port["containerPort"])
    raise ClusterError(f"the hub's pod has no port {wanted!r}", hint="forward it yourself, and use --hub URL")


def _token_place(pod: Json, default: str) -> tuple[str, str]:
    """Secret and key that the hub itself reads its token from."""
    for container in _containers(pod):
        for variable in container.get("env") or ():
            if isinstance(variable, dict) and variable.get("name") == TOKEN_ENV:
                reference = _map(_map(variable, "valueFrom"), "secretKeyRef")
                if reference.get("name"):
                    return str(reference["name"]), str(reference.get("key", "token"))
    return default, "token"


def _map(holder: Json, name: str) -> dict[str, Any]:
    value = holder.get(name)
    return value if isinstance(value, dict) else {}
