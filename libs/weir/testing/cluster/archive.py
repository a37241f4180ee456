"""An image archive of one program, written without any builder; `ctr images import` and `docker load` read it."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path
from typing import Any

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def write_image(out: Path, tag: str, program: Path) -> None:
    """An image with a static `program` at its root, which is what it runs. OCI image layout 1.0.0."""
    blobs: dict[str, bytes] = {}

    def blob(media_type: str, data: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        blobs[digest] = data
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    layer = blob("application/vnd.oci.image.layer.v1.tar", _layer(program))
    config = blob("application/vnd.oci.image.config.v1+json", _json({
        "architecture": _MACHINES.get(platform.machine(), platform.machine()), "os": "linux",
        "config": {"Entrypoint": [f"/{program.name}"], "Env": ["PATH=/"]},
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
    }))  # fmt: skip
    manifest_type = "application/vnd.oci.image.manifest.v1+json"
    manifest = blob(
        manifest_type, _json({"schemaVersion": 2, "mediaType": manifest_type, "config": config, "layers": [layer]})
    )
    manifest["annotations"] = {
        "io.containerd.image.name": tag, "org.opencontainers.image.ref.name": tag.rpartition(":")[2],
    }  # fmt: skip
    with tarfile.open(out, "w") as archive:
        _add(archive, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        _add(archive, "index.json", _json({"schemaVersion": 2, "manifests": [manifest]}))
        for digest, data in blobs.items():
            _add(archive, f"blobs/sha256/{digest}", data)


def _layer(program: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as layer:
        _add(layer, program.name, program.read_bytes(), 0o755)
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), mode
    archive.addfile(entry, io.BytesIO(data))


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
