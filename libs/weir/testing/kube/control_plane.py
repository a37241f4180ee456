"""One control plane as child processes on 127.0.0.1: start, stop, restart, and what tests ask of it.

    with ControlPlane(folder) as plane:
        with plane.namespace() as namespace:
            plane.apply(deployment("web", namespace, replicas=3), service("web", namespace))
            plane.rolled_out("web", namespace)

All five programs take about 4 s to start; `parts=BARE` (etcd and kube-apiserver) 3 s, and then nothing changes but
what the test writes.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from weir.testing.kafka.realkafka import free_port
from weir.testing.kube import observed
from weir.testing.kube.api import Api, ApiError
from weir.testing.kube.children import Child
from weir.testing.kube.credentials import Credentials, kubeconfig
from weir.testing.kube.objects import listed, played_node
from weir.testing.kube.programs import ensure_programs

BARE = ("etcd", "kube-apiserver")
FULL = (*BARE, "kube-controller-manager", "kube-scheduler", "kwok")
START_S = 120.0
POD_RANGE = "10.128.0.0/9"
SERVICE_RANGE = "10.96.0.0/16"


class NotStarted(Exception):
    """A program ended, or did not answer in time; with the end of its log."""


class ControlPlane:
    """State, logs and credentials are in `folder` and stay there.

    `flags` adds command line options to a part, by its name; a later one wins over ours, unless it is a list.
    `nodes`: how many played nodes (n0, n1, …) there are from the start, where kwok is a part. `address`: of this
    machine, where the API server listens. `users`: name to groups, of whom there are kubeconfigs besides the
    administrator's.
    """

    def __init__(
        self,
        folder: Path,
        *,
        parts: Sequence[str] = FULL,
        flags: Mapping[str, Sequence[str]] | None = None,
        nodes: int = 2,
        address: str = "127.0.0.1",
        users: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        programs = ensure_programs()
        self.folder = folder.resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.bin = programs / "bin"
        self.kubeconfig = self.folder / "kubeconfig"
        self.audit_log = self.folder / "audit.log"
        self.url = ""
        self._stages = programs / "stages.yaml"
        self._parts = tuple(parts)
        self._flags = dict(flags or {})
        self._nodes = nodes if "kwok" in parts else 0
        self._ports: dict[str, int] = {}
        self._address = address
        administrators = dict.fromkeys(("admin", *parts), ("system:masters",))
        self.credentials = Credentials(self.folder, address, {**administrators, **(users or {})})
        self.ca_file = self.credentials.ca_file
        self._children = {name: Child(name, self.folder / f"{name}.log") for name in parts}
        self._api: Api | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def api(self) -> Api:
        """As an administrator."""
        assert self._api is not None, "not started"
        return self._api

    # Life

    def start(self) -> None:
        """Start and wait until it serves. Raises NotStarted."""
        self.credentials.write()
        (self.folder / "audit.yaml").write_text(observed.POLICY)
        try:
            try:
                self._start_api()
            except NotStarted:
                # Ports are chosen, released, then used: somebody may come between, hardly twice.
                self._end_children()
                self._ports.clear()
                self._start_api()
            self._start_controllers()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        self._end_children()

    def kill_api(self) -> None:
        """The API server is gone, at once; etcd keeps what it had."""
        self._children["kube-apiserver"].kill()

    def restart_api(self) -> None:
        """A new API server at the same address with the same data; its watch cache begins anew."""
        self._children["kube-apiserver"].stop()
        self._start_apiserver()

    def revive_api(self) -> None:
        """After `kill_api`: as `restart_api`."""
        self._start_apiserver()

    # Use

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout_s: float = 60) -> str:
        """What kubectl prints, as an administrator. Raises CalledProcessError with its output."""
        return self._run("kubectl", *arguments, stdin=stdin, timeout_s=timeout_s)

    def helm(self, *arguments: str, timeout_s: float = 120) -> str:
        return self._run("helm", *arguments, timeout_s=timeout_s)

    def apply(self, *objects: Mapping[str, Any]) -> None:
        self.kubectl("apply", "-f", "-", stdin=json.dumps(listed(objects)))

    def rolled_out(self, name: str, namespace: str, kind: str = "deployment", timeout_s: int = 60) -> None:
        """Wait until every replica is available."""
        self.kubectl(
            "rollout", "status", f"{kind}/{name}", "-n", namespace, f"--timeout={timeout_s}s", timeout_s=timeout_s + 10
        )

    @contextlib.contextmanager
    def namespace(self, prefix: str = "test") -> Iterator[str]:
        """A namespace that is new; deleted afterwards, without waiting for it."""
        name = f"{prefix}-{secrets.token_hex(4)}"
        self.api.create("/api/v1/namespaces", {"metadata": {"name": name}})
        if "kube-controller-manager" in self._parts:
            self._until("service account", lambda: self._has_account(name))
        try:
            yield name
        finally:
            with contextlib.suppress(ApiError, OSError):
                self.api.delete(f"/api/v1/namespaces/{name}")

    def token(self, account: str, namespace: str, seconds: int = 3600) -> str:
        """A token of that service account, as a pod gets it (TokenRequest; the server's least is 600 s)."""
        answer = self.api.create(
            f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token",
            {"spec": {"expirationSeconds": seconds}},
        )
        return str(answer["status"]["token"])

    def kubeconfig_for(self, token: str, name: str = "user") -> Path:
        """A kubeconfig file for whoever has that token."""
        return kubeconfig(self.folder / f"kubeconfig-{name}", self.url, self.ca_file, token)

    def kubeconfig_of(self, user: str) -> Path:
        """A kubeconfig file for one of `users`."""
        return self.kubeconfig_for(self.credentials.tokens[user], user.replace(":", "-"))

    def client(self, token: str, agent: str = "weir-test") -> Api:
        return Api(self.url, self.ca_file, token, agent)

    def mark(self) -> int:
        """Where the audit log ends now: for `calls(since)`."""
        return self.audit_log.stat().st_size if self.audit_log.exists() else 0

    def calls(self, since: int = 0, agent: str = "") -> list[observed.Call]:
        """The calls since that mark, of clients whose user agent begins with `agent`."""
        return [call for call in observed.calls(self.audit_log, since) if call.agent.startswith(agent)]

    def metrics(self, name: str) -> list[tuple[dict[str, str], float]]:
        """Labels and value of each sample of that name in the API server's /metrics."""
        return observed.samples(self.api.text("/metrics"), name)

    # Parts

    def _start_api(self) -> None:
        for name in ("client", "peer", "api", "kwok"):
            self._ports.setdefault(name, free_port())
        self.url = f"https://{self._address}:{self._ports['api']}"
        administrator = self.credentials.tokens["admin"]
        self._api = self.client(administrator)
        kubeconfig(self.kubeconfig, self.url, self.ca_file, administrator)
        client, peer = (f"http://127.0.0.1:{self._ports[name]}" for name in ("client", "peer"))
        self._spawn(
            "etcd", "--name=t", f"--data-dir={self.folder / 'etcd'}", "--unsafe-no-fsync", "--log-level=warn",
            f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=t={peer}",
        )  # fmt: skip
        self._start_apiserver()

    def _start_apiserver(self) -> None:
        given = self.credentials
        # Without the controller-manager no namespace has the account that the plugin would ask for.
        alone = [] if "kube-controller-manager" in self._parts else ["--disable-admission-plugins=ServiceAccount"]
        self._spawn(
            "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{self._ports['client']}",
            f"--cert-dir={self.folder / 'certs'}", f"--tls-cert-file={given.api_certificate}",
            f"--tls-private-key-file={given.api_key}", f"--token-auth-file={given.token_file}",
            f"--bind-address={self._address}", f"--advertise-address={self._address}",
            f"--secure-port={self._ports['api']}", "--endpoint-reconciler-type=none",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={given.accounts_key}",
            f"--service-account-signing-key-file={given.accounts_key}",
            f"--service-cluster-ip-range={SERVICE_RANGE}", "--authorization-mode=Node,RBAC", "--allow-privileged=true",
            f"--audit-policy-file={self.folder / 'audit.yaml'}", f"--audit-log-path={self.audit_log}", *alone,
        )  # fmt: skip
        self._until("kube-apiserver", self._is_ready)

    def _start_controllers(self) -> None:
        common = ("--secure-port=0", "--leader-elect=false", "--kube-api-qps=500", "--kube-api-burst=1000")
        options = {
            # Nodes that are neither kwok's nor a kubelet's belong to a test, which need not renew their leases.
            "kube-controller-manager": (
                *common, f"--root-ca-file={self.ca_file}", "--allocate-node-cidrs", f"--cluster-cidr={POD_RANGE}",
                f"--service-account-private-key-file={self.credentials.accounts_key}",
                "--node-monitor-grace-period=24h", "--node-startup-grace-period=24h",
            ),
            "kube-scheduler": common,
            "kwok": (
                "--manage-all-nodes=false", "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
                f"--config={self._stages}", "--cidr=10.64.0.1/16", "--node-ip=127.0.0.1",
                "--node-lease-duration-seconds=40", f"--server-address=127.0.0.1:{self._ports['kwok']}",
            ),
        }  # fmt: skip
        for name in self._parts:
            if name not in BARE:
                self._spawn(name, f"--kubeconfig={self.kubeconfig_of(name)}", *options[name])
        if "kube-controller-manager" in self._parts:
            self._until("kube-controller-manager", lambda: self._has_account("default"))
        if self._nodes:
            self.apply(*(played_node(f"n{number}") for number in range(self._nodes)))
            self._until("the played nodes", self._nodes_ready)

    def _spawn(self, name: str, *options: str) -> None:
        self._children[name].start([str(self.bin / name), *options, *self._flags.get(name, ())])

    def _end_children(self) -> None:
        children = list(reversed(self._children.values()))
        for child in children:
            if child.name not in BARE:
                child.kill()  # nothing of theirs is worth waiting for
        for child in children:
            child.stop()

    def _until(self, what: str, done: Callable[[], bool]) -> None:
        end = time.monotonic() + START_S
        while not done():
            for child in self._children.values():
                if child.process is not None and not child.alive:
                    raise NotStarted(f"{child.name} ended: {child.tail()}")
            if time.monotonic() > end:
                raise NotStarted(f"{what} does not answer: {self._children['kube-apiserver'].tail()}")
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        try:
            return self.api.text("/readyz") == "ok"
        except (ApiError, OSError):
            return False

    def _has_account(self, namespace: str) -> bool:
        try:
            self.api.get(f"/api/v1/namespaces/{namespace}/serviceaccounts/default")
        except ApiError:
            return False
        return True

    def _nodes_ready(self) -> bool:
        nodes = self.api.get("/api/v1/nodes")["items"]
        ready = [c for node in nodes for c in node["status"].get("conditions", ()) if c["type"] == "Ready"]
        return sum(1 for condition in ready if condition["status"] == "True") >= self._nodes

    def _run(self, program: str, *arguments: str, stdin: str | None = None, timeout_s: float) -> str:
        own = {f"HELM_{kind}_HOME": str(self.folder / "helm" / kind.lower()) for kind in ("CONFIG", "CACHE", "DATA")}
        result = subprocess.run(
            [str(self.bin / program), *arguments], input=stdin or "", capture_output=True, text=True, timeout=timeout_s,
            check=False, env=os.environ | own | {"KUBECONFIG": str(self.kubeconfig)},
        )  # fmt: skip
        if result.returncode:
            error = subprocess.CalledProcessError(result.returncode, program, result.stdout, result.stderr)
            error.add_note(f"{arguments}: {result.stdout[-1000:]}{result.stderr[-2000:]}")
            raise error
        return result.stdout
