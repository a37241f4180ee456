"""The images that the nodes have from the start, as archives; no registry is asked.

`weir:dev` is built from deploy/docker/Dockerfile by the Docker engine of `weir.testing.engine`, `apache/kafka` is its
stand-in; the sandbox's and CoreDNS's images are made here.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from weir.testing.cluster.archive import write_image
from weir.testing.engine.daemon import EngineError, PrivateEngine
from weir.testing.engine.standins import KAFKA, ensure
from weir.testing.kube.programs import COREDNS, ensure_coredns

PAUSE_TAG = "localhost/pause:1"
COREDNS_TAG = f"localhost/coredns:{COREDNS[1].removeprefix('v')}"
WEIR_TAG = "weir:dev"
DOCKERFILE = "deploy/docker/Dockerfile"


class ClusterError(Exception):
    """Why there is no cluster, with what to do about it."""


def prepare(cache: Path, project: Path) -> list[Path]:
    """Archives of all images, in `cache`/cluster; `project` is the folder that the Dockerfile is built in."""
    folder = cache / "cluster"
    folder.mkdir(parents=True, exist_ok=True)
    return [_pause(folder), _coredns(folder), *_built(cache, folder, project)]


def _pause(folder: Path) -> Path:
    out = folder / "pause-1.tar"
    if not out.exists():
        program = folder / "pause"
        command = ["cc", "-Os", "-static", "-s", "-o", str(program), str(Path(__file__).with_name("pause.c"))]
        if shutil.which("cc") is None:
            raise ClusterError("not installed: cc (Debian: gcc libc6-dev)")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ClusterError(f"pause.c: {done.stderr}")
        _write(out, PAUSE_TAG, program)
    return out


def _coredns(folder: Path) -> Path:
    out = folder / f"{COREDNS_TAG.replace('/', '-').replace(':', '-')}.tar"
    if not out.exists():
        _write(out, COREDNS_TAG, ensure_coredns() / "coredns")
    return out


def _write(out: Path, tag: str, program: Path) -> None:
    part = out.with_suffix(".part")
    write_image(part, tag, program)
    part.rename(out)


def _built(cache: Path, folder: Path, project: Path) -> list[Path]:
    try:
        with PrivateEngine(cache / "engine") as engine:
            ensure(engine, cache / "images")
            _say(f"building {WEIR_TAG}")
            built = engine.docker("build", "-f", str(project / DOCKERFILE), "-t", WEIR_TAG, str(project), check=False)
            if built.returncode:
                raise ClusterError(f"{DOCKERFILE}: {built.stdout[-3000:]}{built.stderr[-3000:]}")
            return [_saved(engine, folder, tag) for tag in (WEIR_TAG, KAFKA)]
    except EngineError as error:
        raise ClusterError(str(error)) from error


def _saved(engine: PrivateEngine, folder: Path, tag: str) -> Path:
    """The archive is named after the image's digest: what has not changed is neither saved nor imported again."""
    digest = engine.docker("image", "inspect", "--format", "{{.Id}}", tag).stdout.strip().removeprefix("sha256:")
    stem = tag.replace("/", "-").replace(":", "-")
    out = folder / f"{stem}-{digest[:16]}.tar"
    if not out.exists():
        for old in folder.glob(f"{stem}-*"):
            old.unlink()
        part = out.with_suffix(".part")
        engine.docker("save", "-o", str(part), tag)
        part.rename(out)
    return out


def _say(text: str) -> None:
    print(f"cluster: {text}", file=sys.stderr, flush=True)
