"""The chart on a real API server: it is taken, upgraded and removed whole, and says what a cluster would refuse."""

from __future__ import annotations

import base64
import importlib.util
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from weir.cli.stages import STAGES
from weir.runtime.process import ALIASES, load_settings
from weir.targets.kube import access
from weir.testing.kube.api import ApiError
from weir.testing.kube.control_plane import ControlPlane

pytestmark = [pytest.mark.kube, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[3]
CHART = str(ROOT / "deploy/helm/weir")
WAIT = ("--wait", "--timeout", "100s")
OUTSIDE = ("--set", "kafka.enabled=false,kafka.url=kafka.db:9093,kafka.securityProtocol=SASL_SSL")
VARIANTS: dict[str, tuple[str, ...]] = {
    "filter on the nodes": ("--set", "placement=node"),
    "a ClickHouse of one's own": (
        "--set", "archive.mode=clickhouse,archive.url=http://u:p@ch.db:8123/weir,hub.replicas=2,store.replicas=2",
    ),
    "the embedded archive": ("--set", "archive.mode=embedded"),
    "a Kafka of one's own": (*OUTSIDE, "--set", "kafka.existingSecret=login,kafka.tlsSecret=ca,kafka.readers={ada}"),
    "a Kafka with client certificates": (*OUTSIDE, "--set", "kafka.securityProtocol=SSL,kafka.tlsSecret=mine"),
    "a Kafka without users": ("--set", "kafka.auth=false"),
    "settings of every kind": (
        "--set-json",
        ('settings={"capture": {"exclude": ["10.0.0.9:80"]}, "hub": {"tail_interval_s": 0.25}, '
         '"store": {"retention_bytes": 21474836481}, "targets": {"bodies": false}}'),
    ),
    "what people add": (
        "--set", "hub.hosts={weir.example.test},capture.port=29101,capture.host=0.0.0.0,image.pullSecrets={a,b}",
        "--set", "settingsSecret=more,hub.podAnnotations.note=x,decode.priorityClassName=high,cluster=east",
    ),
}
REFUSED: dict[str, tuple[tuple[str, ...], str]] = {
    "no Kafka at all": (("--set", "kafka.enabled=false"), "hint: --set kafka.url=HOST:PORT"),
    "ClickHouse nowhere": (("--set", "archive.mode=clickhouse"), "hint: --set archive.url=http://"),
    "two hubs of one memory": (("--set", "hub.replicas=2"), "hint: archive.mode=clickhouse, or hub.replicas=1"),
    "a name that is none": (("--set", "instance=Weir"), "does not match pattern"),
    "a setting that is none": (("--set", "settings.capture.snaplenn=9"), "'snaplenn' not allowed"),
    "a setting out of bounds": (("--set", "settings.capture.snaplen=9"), "minimum: got 9, want 64"),
    "a secret in the open": (("--set", "settings.hub.token=x"), "'token' not allowed"),
    "a rule with a field that is none": (("--set-json", 'rules=[{"name": "a", "pods": "x"}]'), "'pods' not allowed"),
    "a rule without a name": (("--set-json", 'rules=[{"pod": "x"}]'), "missing property 'name'"),
    "a value that is none": (("--set", "kafka.persistance.enabled=true"), "'persistance' not allowed"),
}

Helm = Callable[..., str]


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("weir_chart_generate", ROOT / "deploy/helm/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def plane(control_plane: ControlPlane) -> ControlPlane:
    """Its nodes have the label that every kubelet gives to its own."""
    control_plane.kubectl("label", "nodes", "--all", "--overwrite", "kubernetes.io/os=linux")
    return control_plane


def refusal(plane: ControlPlane, *arguments: str) -> str:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        plane.helm(*arguments)
    return str(caught.value.stderr)


def template(plane: ControlPlane, *values: str) -> list[dict[str, Any]]:
    text = plane.helm("template", "weir", CHART, "--namespace", "weir", *values)
    return [document for document in yaml.safe_load_all(text) if document]


def left(plane: ControlPlane, namespace: str) -> set[str]:
    """Everything that bears the chart's labels, there and in the cluster."""
    kinds = "all,secret,configmap,serviceaccount,role,rolebinding,networkpolicy,poddisruptionbudget,pvc"
    mine = plane.kubectl("get", kinds, "-n", namespace, "-o", "name", "-l", "app.kubernetes.io/name=weir")
    cluster = plane.kubectl("get", "clusterrole,clusterrolebinding", "-o", "name", "-l", "app.kubernetes.io/name=weir")
    return {name for name in mine.split() if not name.startswith("pod/")} | {
        name for name in cluster.split() if f":{namespace}:" in name
    }


def secrets(plane: ControlPlane, namespace: str) -> dict[str, dict[str, str]]:
    path = f"/api/v1/namespaces/{namespace}/secrets"
    return {name: plane.api.get(f"{path}/{name}")["data"] for name in ("weir-hub-token", "weir-kafka")}


def test_the_linter_has_nothing_to_say(plane: ControlPlane) -> None:
    assert "0 chart(s) failed" in plane.helm("lint", "--strict", CHART)


def test_the_manifest_is_what_the_chart_renders(plane: ControlPlane) -> None:
    module = generator()
    assert module.MANIFEST.read_text() == module.manifest(str(plane.bin / "helm")), "run `make generate`"


def test_the_manifest_is_applied_without_helm(plane: ControlPlane) -> None:
    file = str(ROOT / "deploy/kubernetes/weir.yaml")
    plane.kubectl("apply", "-f", file)
    try:
        for name in ("deployment/weir-hub", "statefulset/weir-decode", "daemonset/weir-capture"):
            plane.kubectl("rollout", "status", name, "-n", "weir", "--timeout=60s")
        plane.kubectl("apply", "-f", file)
    finally:
        plane.kubectl("delete", "-f", file, "--wait=false")


def test_a_release_comes_up_changes_and_goes(plane: ControlPlane, kube_namespace: str) -> None:
    here = ("-n", kube_namespace)
    notes = plane.helm("install", "weir", CHART, *here, *WAIT)
    assert "reads no payload but DNS" in notes
    assert f"kubectl -n {kube_namespace} port-forward service/weir-hub" in notes
    pods = plane.api.get(f"/api/v1/namespaces/{kube_namespace}/pods")["items"]
    running = [pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in pods
               if pod["status"]["phase"] == "Running"]
    assert sorted(running) == ["capture", "capture", "decode", "filter", "hub", "kafka", "targets"]
    made = secrets(plane, kube_namespace)
    assert len(base64.b64decode(made["weir-hub-token"]["token"])) == 32

    rules = ("--set-json", 'rules=[{"name": "shop", "namespaces": ["shop"]}]')
    notes = plane.helm("upgrade", "weir", CHART, *here, *WAIT, *rules, "--set", "decode.replicas=2,filter.replicas=2")
    assert "No rule is set" not in notes
    assert secrets(plane, kube_namespace) == made
    told = plane.api.get(f"/api/v1/namespaces/{kube_namespace}/configmaps/weir-rules")["data"]["rules.yaml"]
    assert yaml.safe_load(told) == {"rules": [{"name": "shop", "namespaces": ["shop"]}]}
    assert {name for name in left(plane, kube_namespace) if "budget" in name} == {
        "poddisruptionbudget.policy/weir-decode", "poddisruptionbudget.policy/weir-filter",
    }

    plane.helm("uninstall", "weir", *here, *WAIT)
    assert left(plane, kube_namespace) == set()


def test_two_installations_share_namespace_and_nodes(plane: ControlPlane, kube_namespace: str) -> None:
    for release in ("weir", "other"):
        plane.helm("install", release, CHART, "-n", kube_namespace, *WAIT)
    try:
        pods = plane.api.get(f"/api/v1/namespaces/{kube_namespace}/pods")["items"]
        capture = [(pod["spec"]["nodeName"], pod["metadata"]["labels"]["app.kubernetes.io/instance"]) for pod in pods
                   if pod["metadata"]["labels"]["app.kubernetes.io/component"] == "capture"]
        assert sorted(capture) == [("n0", "other"), ("n0", "weir"), ("n1", "other"), ("n1", "weir")]
    finally:
        for release in ("weir", "other"):
            plane.helm("uninstall", release, "-n", kube_namespace)
    assert left(plane, kube_namespace) == set()


def test_one_name_in_two_namespaces_is_two_installations(plane: ControlPlane) -> None:
    """They share nothing of the cluster, nor of its nodes; each has its own Kafka, and so its own topics."""
    made: dict[str, list[dict[str, Any]]] = {}
    for namespace in ("blue", "green"):
        text = plane.helm("template", "weir", CHART, "--namespace", namespace)
        made[namespace] = [document for document in yaml.safe_load_all(text) if document]
    names = [
        {(o["kind"], o["metadata"].get("namespace", ""), o["metadata"]["name"]) for o in objects}
        for objects in made.values()
    ]
    assert names[0].isdisjoint(names[1])
    told = {namespace: _container(objects, "DaemonSet") for namespace, objects in made.items()}
    assert len({one["ports"][0]["hostPort"] for one in told.values()}) == 2
    for namespace, one in told.items():
        environment = {variable["name"]: variable.get("value") for variable in one["env"]}
        assert environment["WEIR_BUS_URL"] == f"weir-kafka.{namespace}.svc.cluster.local:29092"
        assert environment["WEIR_RUNTIME_LISTEN"] == f"127.0.0.1:{one['ports'][0]['hostPort']}"


def _container(objects: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = (o["spec"]["template"]["spec"]["containers"][0] for o in objects if o["kind"] == kind)
    return dict(found)


def test_only_targets_may_ask_the_api_and_only_what_it_needs(plane: ControlPlane, kube_namespace: str) -> None:
    plane.helm("install", "weir", CHART, "-n", kube_namespace, *WAIT)
    try:
        targets = plane.client(plane.token("weir-targets", kube_namespace))
        for rule in access.CLUSTER:
            targets.get(f"{'/apis/discovery.k8s.io' if rule.group else '/api'}/v1/{rule.resource}", limit=1)
        hub = plane.client(plane.token("weir-hub", kube_namespace))
        for client, path in ((targets, "/api/v1/secrets"), (targets, "/api/v1/configmaps"), (hub, "/api/v1/pods")):
            with pytest.raises(ApiError) as caught:
                client.get(path)
            assert caught.value.status == 403
    finally:
        plane.helm("uninstall", "weir", "-n", kube_namespace)


def test_for_one_namespace_roles_are_enough(plane: ControlPlane, kube_namespace: str) -> None:
    with plane.namespace("watched") as watched:
        only = ("--set", f"targets.namespaces={{{watched}}}")
        plane.helm("install", "weir", CHART, "-n", kube_namespace, *WAIT, *only)
        try:
            assert not [name for name in left(plane, kube_namespace) if name.startswith("cluster")]
            targets = plane.client(plane.token("weir-targets", kube_namespace))
            for rule in access.NAMESPACED:
                group = "/apis/discovery.k8s.io" if rule.group else "/api"
                targets.get(f"{group}/v1/namespaces/{watched}/{rule.resource}")
                with pytest.raises(ApiError):
                    targets.get(f"{group}/v1/{rule.resource}")
        finally:
            plane.helm("uninstall", "weir", "-n", kube_namespace)
        assert left(plane, watched) == set()


@pytest.mark.parametrize("level", ["baseline", "restricted"])
def test_a_namespace_that_forbids_the_host_network_is_told_before_anything_is_made(
    plane: ControlPlane, kube_namespace: str, level: str
) -> None:
    plane.kubectl("label", "namespace", kube_namespace, f"pod-security.kubernetes.io/enforce={level}")
    told = refusal(plane, "install", "weir", CHART, "-n", kube_namespace)
    assert f'enforces the pod security level "{level}"' in told
    assert f"hint: kubectl label namespace {kube_namespace} pod-security.kubernetes.io/enforce=privileged" in told
    assert left(plane, kube_namespace) == set()


def test_all_but_capture_run_where_pods_are_restricted(plane: ControlPlane, kube_namespace: str) -> None:
    """As with a level that the cluster's configuration sets, which no label shows; and the symptom that the guide
    names."""
    plane.kubectl("label", "namespace", kube_namespace, "pod-security.kubernetes.io/enforce=restricted")
    plane.helm("install", "weir", CHART, "-n", kube_namespace, "--set", "checks=false")
    try:
        for name in ("deployment/weir-hub", "deployment/weir-filter", "deployment/weir-targets",
                     "statefulset/weir-decode", "statefulset/weir-kafka"):
            plane.kubectl("rollout", "status", name, "-n", kube_namespace, "--timeout=60s")
        events = plane.kubectl("get", "events", "-n", kube_namespace, "--field-selector", "reason=FailedCreate")
        assert "weir-capture" in events
        assert 'violates PodSecurity "restricted' in events
        assert "host namespaces (hostNetwork=true)" in events
        assert [line for line in events.splitlines() if "FailedCreate" in line and "weir-capture" not in line] == []
    finally:
        plane.helm("uninstall", "weir", "-n", kube_namespace)


def test_volumes_need_a_storage_class_and_remain(plane: ControlPlane, kube_namespace: str) -> None:
    keep = ("--set", "kafka.persistence.enabled=true,archive.mode=embedded,archive.persistence.enabled=true")
    install = ("install", "weir", CHART, "-n", kube_namespace, *keep)
    assert "the cluster has no default StorageClass" in refusal(plane, *install)
    named = ("--set", "kafka.persistence.storageClass=fast,archive.persistence.storageClass=fast")
    assert "hint: those that there are: none" in refusal(plane, *install, *named)
    plane.apply({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": "example.test/none",
        "metadata": {"name": "fast", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    })
    try:
        plane.helm(*install)
        gone = plane.helm("uninstall", "weir", "-n", kube_namespace)
        kept = {"persistentvolumeclaim/weir-archive", "persistentvolumeclaim/weir-kafka"}
        assert {f"[PersistentVolumeClaim] {name.partition('/')[2]}" for name in kept} <= set(gone.splitlines())
        assert left(plane, kube_namespace) == kept
        # What was kept belongs to the release of that name again.
        plane.helm(*install)
        plane.helm("uninstall", "weir", "-n", kube_namespace)
    finally:
        plane.kubectl("delete", "storageclass", "fast")


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_are_valid_and_tell_stages_what_they_know(
    plane: ControlPlane, kube_namespace: str, name: str
) -> None:
    text = plane.helm("template", "weir", CHART, "--namespace", kube_namespace, *VARIANTS[name])
    plane.kubectl("apply", "--dry-run=server", "-f", "-", stdin=text)
    found = []
    for document in yaml.safe_load_all(text):
        template = document.get("spec", {}).get("template") if document else None
        if template is None or document["metadata"]["name"] == "weir-kafka":
            continue
        (container,) = template["spec"]["containers"]
        command, *stages = container["args"]
        stages = stages if command == "run" else []
        told = {v["name"]: v.get("value", "http://u:secret-of-a-test@ch.db:8123/weir") for v in container["env"]}
        loaded = load_settings([STAGES[stage] for stage in stages], environ=told)
        assert set(told) <= {setting.env for setting in loaded.settings.values()} | set(ALIASES)
        assert len(told) == len(container["env"])
        found += stages
    assert sorted(found) == sorted(STAGES)


def test_settings_reach_the_stages_that_have_them(plane: ControlPlane) -> None:
    made = template(plane, *VARIANTS["settings of every kind"])
    workloads = {o["metadata"]["name"]: o for o in made if "template" in o.get("spec", {})}
    told = {
        name: {v["name"]: v.get("value") for v in workloads[name]["spec"]["template"]["spec"]["containers"][0]["env"]}
        for name in ("weir-capture", "weir-hub", "weir-targets")
    }
    assert told["weir-hub"]["WEIR_STORE_RETENTION_BYTES"] == "21474836481"
    assert told["weir-capture"]["WEIR_CAPTURE_EXCLUDE"] == "10.0.0.9:80,port:29092"
    assert told["weir-hub"]["WEIR_HUB_TAIL_INTERVAL_S"] == "0.25"
    assert told["weir-targets"]["WEIR_TARGETS_BODIES"] == "false"
    assert "WEIR_TARGETS_BODIES" not in told["weir-hub"]


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_values_are_refused_with_a_hint(plane: ControlPlane, name: str) -> None:
    values, hint = REFUSED[name]
    assert hint in refusal(plane, "template", "weir", CHART, *values)
