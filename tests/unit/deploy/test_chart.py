"""The chart, as deploy/kubernetes/weir.yaml shows it, against what the stages declare. Nothing here needs helm."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from weir.cli.stages import STAGES
from weir.runtime.process import ALIASES, load_settings, sections
from weir.settings import Loaded, settings_of
from weir.targets.kube import access
from weir.testing.engine.standins import KAFKA

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "deploy/helm/weir"
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
OBJECTS: list[dict[str, Any]] = list(yaml.safe_load_all((ROOT / "deploy/kubernetes/weir.yaml").read_text()))
KINDS = ("DaemonSet", "Deployment", "StatefulSet", "Job")
WORKLOADS = {o["metadata"]["name"]: o for o in OBJECTS if o["kind"] in KINDS}
OWN_IMAGE = {name: o for name, o in WORKLOADS.items() if name != "weir-kafka"}
SECRET = "a-secret-of-the-test"


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("weir_chart_generate", ROOT / "deploy/helm/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pod(name: str) -> dict[str, Any]:
    found: dict[str, Any] = WORKLOADS[name]["spec"]["template"]["spec"]
    return found


def container(name: str) -> dict[str, Any]:
    (found,) = pod(name)["containers"]
    assert isinstance(found, dict)
    return found


def stages(name: str) -> list[str]:
    command, *named = container(name)["args"]
    return named if command == "run" else []


def environment(name: str) -> dict[str, str]:
    """Variables from Secrets and fields have a value that passes for one."""
    return {variable["name"]: variable.get("value", SECRET) for variable in container(name)["env"]}


def settings(name: str) -> Loaded:
    return load_settings([STAGES[stage] for stage in stages(name)], environ=environment(name))


def of_kind(*kinds: str) -> list[dict[str, Any]]:
    return [o for o in OBJECTS if o["kind"] in kinds]


def test_every_stage_runs_in_one_workload() -> None:
    found = [stage for name in OWN_IMAGE for stage in stages(name)]
    assert sorted(found) == sorted(STAGES)
    kinds = {name: WORKLOADS[name]["kind"] for name in WORKLOADS if not name.startswith("weir-topics")}
    assert kinds == {
        "weir-capture": "DaemonSet", "weir-decode": "StatefulSet", "weir-kafka": "StatefulSet",
        "weir-filter": "Deployment", "weir-targets": "Deployment", "weir-hub": "Deployment",
    }


@pytest.mark.parametrize("name", OWN_IMAGE)
def test_a_workload_is_told_nothing_that_it_does_not_know(name: str) -> None:
    known = {setting.env for setting in settings(name).settings.values()} | set(ALIASES)
    assert set(environment(name)) <= known
    assert len(environment(name)) == len(container(name)["env"])


def test_all_share_one_bus_and_one_name() -> None:
    assert {settings(name)["bus"].url for name in OWN_IMAGE} == {"weir-kafka.weir.svc.cluster.local:29092"}
    assert {settings(name)["bus"].password for name in OWN_IMAGE} == {SECRET}
    assert {settings(name)["runtime"].instance for name in OWN_IMAGE} == {"weir"}
    assert {settings(name)["bus"].shards for name in OWN_IMAGE} == {VALUES["kafka"]["shards"]}
    (job,) = (name for name in OWN_IMAGE if not stages(name))
    assert container(job)["args"] == ["topics", "--create", "--wait", "300", "--readers", "reader"]


@pytest.mark.parametrize("name", OWN_IMAGE)
def test_kafka_s_name_is_one_query_for_each_kind_of_address(name: str) -> None:
    """Looked up again and again while Kafka is away: complete, and not tried with the pod's domains first."""
    (ndots,) = pod(name)["dnsConfig"]["options"]
    assert ndots["name"] == "ndots"
    assert settings(name)["bus"].url.count(".") >= int(ndots["value"])
    assert settings(name)["bus"].url.endswith(f".svc.{VALUES['clusterDomain']}:{VALUES['kafka']['port']}")


def test_store_and_hub_use_one_archive() -> None:
    loaded = settings("weir-hub")
    assert loaded["store"].archive == loaded["hub"].archive == VALUES["archive"]["mode"] == "memory"
    assert loaded["hub"].token == SECRET


def test_capture_never_captures_the_built_in_kafka_and_names_its_node() -> None:
    assert list(settings("weir-capture")["capture"].exclude) == [f"port:{VALUES['kafka']['port']}"]
    fields = {v["name"]: v["valueFrom"]["fieldRef"]["fieldPath"] for v in container("weir-capture")["env"]
              if "fieldRef" in v.get("valueFrom", {})}
    assert fields == {"WEIR_RUNTIME_NODE": "spec.nodeName"}


@pytest.mark.parametrize("name", WORKLOADS)
def test_pods_have_the_least_privilege(name: str) -> None:
    """What PodSecurity calls restricted, for all but capture."""
    spec, held = pod(name), container(name)["securityContext"]
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert held["allowPrivilegeEscalation"] is False
    assert held["capabilities"]["drop"] == ["ALL"]
    assert held.get("readOnlyRootFilesystem", False) is (name != "weir-kafka")
    assert not [key for key in ("hostPID", "hostIPC") if key in spec]
    assert not [v for v in spec["volumes"] if "hostPath" in v]
    if name == "weir-capture":
        assert held["capabilities"]["add"] == ["NET_RAW", "BPF"]
        assert (held["runAsUser"], spec["hostNetwork"]) == (0, True)
    else:
        assert "add" not in held["capabilities"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert "hostNetwork" not in spec


def test_only_targets_holds_a_token_of_the_api() -> None:
    assert {name for name in WORKLOADS if pod(name)["automountServiceAccountToken"]} == {"weir-targets"}
    accounts = {o["metadata"]["name"]: o["automountServiceAccountToken"] for o in of_kind("ServiceAccount")}
    assert set(accounts.values()) == {False}
    assert {pod(name)["serviceAccountName"] for name in WORKLOADS} == set(accounts)


def test_roles_are_what_targets_asks_for() -> None:
    def expanded(rules: list[dict[str, Any]]) -> set[tuple[str, ...]]:
        return {
            (group, resource, verb, *rule.get("resourceNames", []))
            for rule in rules for group in rule["apiGroups"] for resource in rule["resources"] for verb in rule["verbs"]
        }

    (cluster,), (role,) = of_kind("ClusterRole"), of_kind("Role")
    assert expanded(cluster["rules"]) == expanded([rule.manifest() for rule in access.CLUSTER])
    assert expanded(role["rules"]) == expanded([rule.manifest() for rule in access.own("weir")])
    for binding in of_kind("ClusterRoleBinding", "RoleBinding"):
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "weir-targets", "namespace": "weir"}]
        assert binding["roleRef"]["name"] in (cluster["metadata"]["name"], role["metadata"]["name"])


@pytest.mark.parametrize("name", [name for name in OWN_IMAGE if not name.startswith("weir-topics")])
def test_probes_ask_where_the_process_listens(name: str) -> None:
    held = container(name)
    ports = {port["name"]: port["containerPort"] for port in held["ports"]}
    assert settings(name)["runtime"].listen.rpartition(":")[2] == str(ports["metrics"])
    for probe in ("startupProbe", "livenessProbe"):
        assert held[probe]["httpGet"]["port"] == "metrics"
        assert held[probe]["httpGet"]["path"] == "/healthz"
    ready = held["readinessProbe"]["httpGet"]
    assert (ready["port"], ready["path"]) == (("http", "/healthz") if name == "weir-hub" else ("metrics", "/readyz"))
    if name == "weir-hub":
        assert settings(name)["hub"].listen.rpartition(":")[2] == str(ports["http"])


def test_services_reach_ports_of_their_pods() -> None:
    for service in of_kind("Service"):
        labels = service["spec"]["selector"]
        (workload,) = (o for o in WORKLOADS.values() if o["spec"]["template"]["metadata"]["labels"] == labels)
        (held,) = workload["spec"]["template"]["spec"]["containers"]
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= {port["name"] for port in held["ports"]}


def test_policies_open_exactly_what_listens() -> None:
    opened = {o["metadata"]["name"]: [p["port"] for rule in o["spec"]["ingress"] for p in rule["ports"]]
              for o in of_kind("NetworkPolicy")}
    assert opened == {"weir-metrics": ["metrics"], "weir-hub": [8899], "weir-kafka": [29092]}


def test_objects_are_told_apart_by_their_labels() -> None:
    for o in OBJECTS:
        if o["kind"] == "Namespace":
            continue
        labels = o["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] == "weir"
        assert labels["app.kubernetes.io/instance"] == "weir"
        assert labels["app.kubernetes.io/component"]


def test_secrets_are_referred_to_and_never_written() -> None:
    assert of_kind("Secret") == []
    secret = {s.env for s in load_settings(list(STAGES.values()), environ={}).settings.values() if s.secret}
    for name in OWN_IMAGE:
        written = {v["name"] for v in container(name)["env"] if "value" in v} & secret
        assert written <= {"WEIR_STORE_ARCHIVE", "WEIR_HUB_ARCHIVE"}


def test_the_schema_has_every_setting_but_secrets_and_what_the_chart_makes() -> None:
    module = generator()
    assert (CHART / "values.schema.json").read_text() == module.schema_text(), "run `make generate`"
    allowed = module.schema()["properties"]["settings"]["properties"]
    for section, struct in sections(list(STAGES.values())).items():
        declared = {s.name for s in settings_of(section, struct) if not s.secret}
        assert module.OF_THE_CHART.get(section, set()) <= declared
        assert set(allowed[section]["properties"]) == declared - module.OF_THE_CHART.get(section, set())


def test_every_value_is_in_the_schema_and_explained() -> None:
    properties = generator().schema()["properties"]
    assert set(properties) - {"global"} == set(VALUES)
    for name, value in VALUES.items():
        if name != "settings" and isinstance(value, dict):
            assert set(value) == set(properties[name]["properties"]), name
    used = set(re.findall(r"\.Values\.([a-zA-Z]+)", "".join(p.read_text() for p in (CHART / "templates").iterdir())))
    assert used <= set(VALUES)


def test_versions_and_images_are_the_projects() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert (chart["version"], str(chart["appVersion"])) == (version, version)
    assert VALUES["kafka"]["image"] == KAFKA
