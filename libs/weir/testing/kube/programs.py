"""Kubernetes' programs, built once a machine into `$WEIR_CACHE` or `~/.cache/weir`; their versions: `module/go.mod`.

One `go build` of one module makes them all, because they share most of their packages. Only the programs and kwok's
stages are kept: Go's own caches grow to several GB, and `go clean -cache -modcache` may remove them.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

MODULE = Path(__file__).with_name("module")
PACKAGES = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
    "kwok": "sigs.k8s.io/kwok/cmd/kwok",
    "helm": "helm.sh/helm/v4/cmd/helm",
    "kubelet": "k8s.io/kubernetes/cmd/kubelet",
    "kube-proxy": "k8s.io/kubernetes/cmd/kube-proxy",
}
COREDNS = ("github.com/coredns/coredns", "v1.13.1")
STAGES = (
    "node/fast/node-initialize", "node/heartbeat-with-lease/node-heartbeat-with-lease",
    "pod/fast/pod-ready", "pod/fast/pod-complete", "pod/fast/pod-delete",
)  # fmt: skip
"""kwok brings none when it runs alone: how its module's nodes become ready, and its pods run, complete and go."""
BUILD_S = 3600


class KubeMissing(Exception):
    """Kubernetes cannot be had here: no Go, one that is too old, or no module proxy."""


def ensure_programs() -> Path:
    """The folder with `bin/` (keys of PACKAGES) and `stages.yaml`; the first call on a machine takes minutes."""
    digest = hashlib.sha256()
    for file in ("go.mod", "go.sum"):
        digest.update((MODULE / file).read_bytes())
    return _ensure(f"kube-{version('k8s.io/kubernetes')}-{digest.hexdigest()[:12]}", _build)


def ensure_coredns() -> Path:
    """The folder with the program `coredns`, a static one."""
    return _ensure(f"coredns-{COREDNS[1]}", _build_coredns)


def version(module: str) -> str:
    """The version that go.mod requires."""
    found = re.search(rf"^require {re.escape(module)} (\S+)", (MODULE / "go.mod").read_text(), re.MULTILINE)
    assert found is not None, module
    return found[1]


def _ensure(name: str, build: Callable[[Path], None]) -> Path:
    cache = os.environ.get("WEIR_CACHE")
    base = Path(cache) if cache else Path.home() / ".cache" / "weir"
    folder = base / name
    if folder.is_dir():
        return folder
    base.mkdir(parents=True, exist_ok=True)
    with _locked(base / f"{name}.lock"):
        if not folder.is_dir():
            fresh = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=base))
            try:
                build(fresh)
                fresh.chmod(0o755)
                fresh.rename(folder)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
    return folder


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(folder: Path) -> None:
    _say("building Kubernetes' programs; this takes minutes, once a machine")
    (folder / "bin").mkdir()
    _go(
        "build", "-mod=readonly", "-buildvcs=false", "-trimpath", "-gcflags=all=-dwarf=false",
        "-ldflags", _link_flags(), "-o", f"{folder / 'bin'}/", *PACKAGES.values(),
    )  # fmt: skip
    # Go names a program after its package's folder.
    (folder / "bin" / "server").rename(folder / "bin" / "etcd")
    source = Path(_go("list", "-m", "-mod=readonly", "-f", "{{.Dir}}", "sigs.k8s.io/kwok").strip())
    stages = [(source / "kustomize" / "stage" / f"{stage}.yaml").read_text() for stage in STAGES]
    (folder / "stages.yaml").write_text("---\n".join(stages))


def _build_coredns(folder: Path) -> None:
    _say("building CoreDNS, once a machine")
    module, wanted = COREDNS
    _go("install", "-buildvcs=false", "-trimpath", "-ldflags=-s -w", f"{module}@{wanted}", GOBIN=str(folder))


def _link_flags() -> str:
    """What the programs tell as their versions; without it clients and servers take each other for v0.0.0."""
    kubernetes = version("k8s.io/kubernetes")
    flags = ["-s", "-w", f"-X helm.sh/helm/v4/internal/version.version={version('helm.sh/helm/v4')}"]
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
        values = {
            "gitVersion": kubernetes, "gitMajor": "1", "gitMinor": kubernetes.split(".")[1],
            "gitTreeState": "clean", "buildDate": "2000-01-01T00:00:00Z",
        }  # fmt: skip
        flags += [f"-X {package}.{name}={value}" for name, value in values.items()]
    return " ".join(flags)


def _go(*arguments: str, **environment: str) -> str:
    go = shutil.which("go")
    if go is None:
        raise KubeMissing("no go in PATH, and the programs are not in the cache")
    result = subprocess.run(
        [go, *arguments], cwd=MODULE, capture_output=True, text=True, timeout=BUILD_S, check=False,
        stdin=subprocess.DEVNULL,
        env=os.environ | {"GOTOOLCHAIN": "local", "CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": ""} | environment,
    )  # fmt: skip
    if result.returncode:
        raise KubeMissing(f"go {arguments[0]}: {result.stderr[-2000:]}")
    return result.stdout


def _say(text: str) -> None:
    print(f"kube: {text}", file=sys.stderr, flush=True)
