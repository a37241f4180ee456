from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from weir.errors import SettingsError
from weir.hub.tls import certificate


def files(folder: Path, name: str) -> tuple[str, str]:
    made = trustme.CA().issue_cert("localhost")
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    cert.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
    made.private_key_pem.write_to_path(key)
    return str(cert), str(key)


def test_without_files_there_is_none() -> None:
    assert certificate("", "") is None


def test_a_certificate_is_read_again_when_it_is_replaced(tmp_path: Path) -> None:
    cert, key = files(tmp_path, "a")
    made = certificate(cert, key)
    assert made is not None
    assert not made.refresh()
    for old, new in zip((cert, key), files(tmp_path, "b"), strict=True):
        Path(new).replace(old)
    assert made.refresh()
    assert not made.refresh()
    Path(key).write_text("garbage that is no key")
    assert not made.refresh()
    Path(key).unlink()
    assert not made.refresh()


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        certificate(files(tmp_path, "a")[0], files(tmp_path, "b")[1])
    assert "PEM" in caught.value.hint
