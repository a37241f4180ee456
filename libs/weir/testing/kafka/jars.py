"""Kafka's jars, fetched once a machine into `$WEIR_CACHE` or `~/.cache/weir`, and the class archive beside them."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
POM = HERE / "pom.xml"


class KafkaMissing(Exception):
    """Kafka cannot be had here: no Java, no Maven, or no repository."""


def version() -> str:
    found = re.search(r"<kafka\.version>(.*?)<", POM.read_text())
    assert found is not None
    return found[1]


def home() -> Path:
    cache = os.environ.get("WEIR_CACHE")
    base = Path(cache) if cache else Path.home() / ".cache" / "weir"
    return base / f"kafka-{version()}"


@contextmanager
def locked() -> Iterator[Path]:
    """The cache folder, for one process at a time."""
    folder = home()
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def ensure_libs() -> Path:
    """The folder with the jars; filled on the first call on a machine, or when the pom has changed."""
    if not shutil.which("java"):
        raise KafkaMissing("no java in PATH")
    want = hashlib.sha256(POM.read_bytes()).hexdigest()[:16]
    with locked() as folder:
        libs, stamp = folder / "libs", folder / "stamp"
        if libs.is_dir() and stamp.exists() and stamp.read_text() == want:
            return libs
        if not shutil.which("mvn"):
            raise KafkaMissing("no mvn in PATH, and the jars are not in " + str(folder))
        fetched = Path(tempfile.mkdtemp(dir=folder))
        _fetch(fetched)
        shutil.rmtree(libs, ignore_errors=True)
        fetched.chmod(0o755)
        fetched.rename(libs)
        (folder / "kafka.jsa").unlink(missing_ok=True)
        stamp.write_text(want)
        return libs


def _fetch(folder: Path) -> None:
    command = [
        "mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", "-DincludeScope=runtime",
        f"-DoutputDirectory={folder}",
    ]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if result.returncode:
        shutil.rmtree(folder)
        raise KafkaMissing("mvn could not fetch Kafka: " + (result.stdout + result.stderr)[-2000:])
