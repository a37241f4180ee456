"""Images for the private engine, made without an image registry and kept in the cache folder.

Each is tagged as the image that the compose file or a Dockerfile names, and labelled with a hash of its recipe. An
image is taken from the engine's data root, else from a `docker save` file, else built.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from weir.testing.engine.daemon import EngineError, PrivateEngine
from weir.testing.kafka.jars import POM, KafkaMissing, ensure_libs, version

FILES = Path(__file__).with_name("standin")
LABEL = "weir.standin"
BASE = "python:3.11-slim"
KAFKA = f"apache/kafka:{version()}"


class StandIn(msgspec.Struct, frozen=True):
    tag: str
    build: Callable[[PrivateEngine, str, str], None]
    """Called with the engine, the tag and the label's value."""
    recipe: str
    """Hash of what it is made from, the base's recipe included."""

    @property
    def file(self) -> str:
        return f"{self.tag.replace('/', '-').replace(':', '-')}-{self.recipe}.tar.zst"


def standins() -> tuple[StandIn, ...]:
    base = _hash(FILES / "base.sh")
    kafka = _hash(FILES / "base.sh", POM, *sorted((FILES / "kafka").iterdir()))
    return StandIn(BASE, _build_base, base), StandIn(KAFKA, _build_kafka, kafka)


def ensure(engine: PrivateEngine, folder: Path) -> None:
    """Every stand-in is in the engine when this returns. `folder` keeps their files. Raises EngineError."""
    folder.mkdir(parents=True, exist_ok=True)
    for image in standins():
        if _present(engine, image):
            continue
        kept = folder / image.file
        if kept.exists():
            _say(f"loading {image.tag}")
            _pipe(["zstd", "-dcq", str(kept)], ["docker", "load", "-q"], engine)
        if not _present(engine, image):
            _say(f"building a stand-in for {image.tag}")
            image.build(engine, image.tag, f"{LABEL}={image.recipe}")
            _keep(engine, image, kept)


def _present(engine: PrivateEngine, image: StandIn) -> bool:
    template = '{{index .Config.Labels "' + LABEL + '"}}'
    found = engine.docker("image", "inspect", "--format", template, image.tag, check=False)
    return found.returncode == 0 and found.stdout.strip() == image.recipe


def _keep(engine: PrivateEngine, image: StandIn, kept: Path) -> None:
    part = kept.with_suffix(".part")
    _pipe(["docker", "save", image.tag], ["zstd", "-3qf", "-T0", "-o", str(part)], engine)
    part.replace(kept)
    for old in kept.parent.glob(f"{image.file.removesuffix(f'{image.recipe}.tar.zst')}*.tar.zst"):
        if old != kept:
            old.unlink()


def _build_base(engine: PrivateEngine, tag: str, label: str) -> None:
    with tempfile.TemporaryDirectory(prefix="weir-base-") as folder:
        out = Path(folder) / "base.tar"
        # debootstrap mounts proc: in a mount namespace of its own, nothing stays mounted if it fails.
        _run(["unshare", "--mount", "sh", str(FILES / "base.sh"), str(out)])
        path = "PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
        engine.docker(
            "import", "-c", f"ENV {path} LANG=C.UTF-8", "-c", f"LABEL {label}", "-c", 'CMD ["python3"]', str(out), tag
        )


def _build_kafka(engine: PrivateEngine, tag: str, label: str) -> None:
    with tempfile.TemporaryDirectory(prefix="weir-kafka-") as folder:
        context = Path(folder) / "context"
        shutil.copytree(FILES / "kafka", context)
        try:
            shutil.copytree(ensure_libs(), context / "libs")
        except KafkaMissing as error:
            raise EngineError(str(error)) from error
        built = engine.docker("build", "--label", label, "-t", tag, str(context), check=False)
        if built.returncode != 0:
            raise EngineError(f"{tag}: {built.stdout[-1500:]}{built.stderr[-1500:]}")


def _run(command: list[str]) -> None:
    if shutil.which(command[0]) is None:
        raise EngineError(f"not installed: {command[0]}")
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise EngineError(f"{' '.join(command)}: {done.stdout[-1500:]}{done.stderr[-1500:]}")


def _pipe(first: list[str], second: list[str], engine: PrivateEngine) -> None:
    environment = engine.full_environment
    with subprocess.Popen(first, stdout=subprocess.PIPE, env=environment) as source:
        done = subprocess.run(second, stdin=source.stdout, env=environment, capture_output=True, check=False)
    if source.returncode != 0 or done.returncode != 0:
        raise EngineError(f"{' '.join(first)} | {' '.join(second)}: {done.stderr.decode(errors='replace')[-500:]}")


def _hash(*files: Path) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def _say(text: str) -> None:
    print(f"engine: {text}", file=sys.stderr, flush=True)
