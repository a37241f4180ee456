"""Where the Kubernetes API is and who asks: a kubeconfig, or the service account of the pod this runs in.

All of it is kubernetes-asyncio's work; this module chooses, and says in plain words what is missing. The library is
imported only when it is needed: it takes half a second and 40 MB.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from weir.errors import ClusterError

if TYPE_CHECKING:
    from kubernetes_asyncio.client import Configuration

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    configuration: Configuration
    where: str
    """For people: `context prod of ~/.kube/config`, or `the service account of this pod`."""
    namespace: str
    """Of the context or the pod."""


class Credentials(Protocol):
    async def load(self) -> Loaded:
        """Read them anew, for they rotate.

        :raises ClusterError: there are none, with a hint.
        """
        ...


class InCluster:
    """The pod's own service account; the kubelet renews its token file."""

    def __init__(self, account: Path = ACCOUNT, environ: Mapping[str, str] = os.environ) -> None:
        self._account = account
        self._environ = dict(environ)

    def present(self) -> bool:
        return bool(self._environ.get("KUBERNETES_SERVICE_HOST")) and (self._account / "token").is_file()

    async def load(self) -> Loaded:
        from kubernetes_asyncio.client import Configuration
        from kubernetes_asyncio.config import ConfigException
        from kubernetes_asyncio.config.incluster_config import InClusterConfigLoader

        configuration = Configuration()
        try:
            InClusterConfigLoader(
                token_filename=str(self._account / "token"),
                cert_filename=str(self._account / "ca.crt"),
                environ=self._environ,
            ).load_and_set(configuration)
            space = self._account / "namespace"
            namespace = space.read_text().strip() if space.is_file() else "default"
        except (ConfigException, OSError) as error:
            raise ClusterError(
                f"the service account of this pod cannot be used: {error}",
                hint="does the pod have automountServiceAccountToken: true?",
            ) from None
        return Loaded(configuration=configuration, where="the service account of this pod", namespace=namespace)


class KubeConfig:
    """A kubeconfig file, or several as `KUBECONFIG` lists them."""

    def __init__(self, path: str = "", context: str = "", environ: Mapping[str, str] = os.environ) -> None:
        self.path = path or environ.get("KUBECONFIG", "") or str(Path("~/.kube/config").expanduser())
        self.context = context

    def present(self) -> bool:
        return any(Path(part).expanduser().is_file() for part in self.path.split(os.pathsep) if part)

    async def load(self) -> Loaded:
        from kubernetes_asyncio.client import Configuration
        from kubernetes_asyncio.config import list_kube_config_contexts, load_kube_config

        if not self.present():
            raise ClusterError(
                f"no kubeconfig at {self.path}", hint="set KUBECONFIG, or name the file; `kubectl config view` tells"
            )
        configuration = Configuration()
        try:
            contexts, current = list_kube_config_contexts(self.path)
        except Exception as error:  # ConfigException, YAML errors, and KeyErrors of files that are something else
            raise ClusterError(f"{self.path} is no kubeconfig that works: {_short(error)}") from None
        names = sorted(str(_get(each, "name")) for each in contexts)
        if self.context and self.context not in names:
            raise ClusterError(
                f"{self.path} has no context {self.context!r}", hint=f"there are: {', '.join(names) or 'none'}"
            )
        chosen = next((each for each in contexts if _get(each, "name") == self.context), current)
        name = str(_get(chosen, "name"))
        try:
            await load_kube_config(self.path, context=name, client_configuration=configuration)
        except Exception as error:  # whatever a plugin for credentials, a token's refresh or a missing file raises
            raise ClusterError(
                f"the credentials of context {name!r} of {self.path} cannot be had: {_short(error)}",
                hint=f"does `kubectl --context {name} version` work?",
            ) from None
        namespace = _get(_get(chosen, "context"), "namespace")
        return Loaded(
            configuration=configuration, where=f"context {name} of {self.path}", namespace=str(namespace or "default")
        )


def choose(kubeconfig: str = "", context: str = "") -> Credentials:
    """What is named counts; else the pod's account, if this runs in one; else the usual kubeconfig."""
    inside = InCluster()
    if kubeconfig or context or not inside.present():
        return KubeConfig(kubeconfig, context)
    return inside


def _get(value: object, key: str) -> object:
    """Of a dict or of the library's node that is like one."""
    inner = getattr(value, "value", value)
    return inner.get(key) if isinstance(inner, dict) else None


def _short(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:300]
