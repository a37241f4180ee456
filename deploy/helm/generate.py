"""Writes what follows from other files: the chart's `values.schema.json`, and `deploy/kubernetes/weir.yaml`.

The schema needs nothing, the manifest needs helm: where there is none (in PATH, or among weir.testing's programs), it
is left as it is. `make generate` runs this; tests fail on drift.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import yaml

from weir.cli.stages import STAGES
from weir.model.control import Rule
from weir.runtime.process import sections
from weir.settings import settings_of

HERE = Path(__file__).parent
CHART = HERE / "weir"
SCHEMA = CHART / "values.schema.json"
KUBERNETES = HERE.parent / "kubernetes"
MANIFEST = KUBERNETES / "weir.yaml"
RELEASE = NAMESPACE = "weir"

OF_THE_CHART = {
    "runtime": {"instance", "cluster", "node", "process", "data_dir", "listen"},
    "bus": {
        "url", "shards", "replication", "retention_share", "security_protocol", "ca_file", "cert_file", "key_file",
        "sasl_mechanism", "username",
    },
    "capture": {"files", "node", "ring"},
    "store": {"listen"},
    "targets": {"namespaces", "rules_file", "kubeconfig", "context"},
    "hub": {"listen", "hosts"},
}
"""Settings that the chart makes from other values, or that mean nothing in a cluster."""
NOT_OF_RULES = {"t", "v", "author", "source", "since_ns", "until_ns", "read_only"}
"""What targets itself puts into rules of a file."""


def schema() -> dict[str, Any]:
    """schema.yaml with the settings of every stage and the fields of a rule."""
    found: dict[str, Any] = yaml.safe_load((HERE / "schema.yaml").read_text())
    found["properties"]["settings"] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: section(name, struct) for name, struct in sections(list(STAGES.values())).items()},
    }
    found["properties"]["rules"]["items"] = rule()
    return found


def rule() -> dict[str, Any]:
    declared = msgspec.json.schema(Rule)["$defs"]["Rule"]["properties"]
    properties = {key: value for key, value in declared.items() if key not in NOT_OF_RULES}
    return {"type": "object", "additionalProperties": False, "required": ["name"], "properties": properties}


def schema_text() -> str:
    return json.dumps(schema(), indent=1) + "\n"


def section(name: str, struct: type[msgspec.Struct]) -> dict[str, Any]:
    """What may be set of one section: no secrets, which `settingsSecret` is for."""
    hidden = {setting.name for setting in settings_of(name, struct) if setting.secret} | OF_THE_CHART.get(name, set())
    declared = msgspec.json.schema(struct)["$defs"][struct.__name__]["properties"]
    properties = {key: value for key, value in declared.items() if key not in hidden}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def helm() -> str | None:
    """The program: in PATH, else where the tests' control plane has its own, if that was built."""
    found = shutil.which("helm")
    if found is None:
        cache = Path(os.environ.get("WEIR_CACHE") or Path.home() / ".cache" / "weir")
        found = next((str(program) for program in sorted(cache.glob("kube-v*/bin/helm"))), None)
    return found


def rendered(program: str, *arguments: str) -> str:
    """What the chart makes of values, without a cluster."""
    with tempfile.TemporaryDirectory(prefix="weir-helm-") as home:
        own = {f"HELM_{name}_HOME": home for name in ("CONFIG", "CACHE", "DATA")}
        done = subprocess.run(
            [program, "template", RELEASE, str(CHART), "--namespace", NAMESPACE, *arguments],
            capture_output=True, text=True, check=False, env=os.environ | own, stdin=subprocess.DEVNULL,
        )
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout


def manifest(program: str) -> str:
    """weir.yaml: the namespace, and the chart with values.yaml of the same folder."""
    return (KUBERNETES / "head.yaml").read_text() + rendered(program, "--values", str(KUBERNETES / "values.yaml"))


def main() -> int:
    SCHEMA.write_text(schema_text())
    print(SCHEMA)
    program = helm()
    if program is None:
        print(f"{MANIFEST} is left as it is: there is no helm", file=sys.stderr)
        return 0
    MANIFEST.write_text(manifest(program))
    print(MANIFEST)
    return 0


if __name__ == "__main__":
    sys.exit(main())
