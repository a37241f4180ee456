from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from weir.archive import chdb_server
from weir.archive.api import ArchiveAway
from weir.archive.open import URL_FILE, check_archive, open_reader
from weir.errors import ArchiveError, SettingsError
from weir.query.structured import Query


def test_without_chdb_people_are_told_what_to_install_and_how_large_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(ArchiveError) as refused:
        chdb_server.Engine(tmp_path)
    assert "weir[embedded]" in refused.value.hint
    assert "550 MB" in refused.value.hint


@pytest.mark.parametrize("setting", ["memory", "chdb", "http://ch:8123/weir", "https://u:p@ch/weir"])
def test_archives(setting: str) -> None:
    assert check_archive(setting) == setting


@pytest.mark.parametrize("setting", ["", "sqlite", "Memory", "clickhouse://x", "http://", "http://h/a b"])
def test_what_is_no_archive(setting: str) -> None:
    with pytest.raises(SettingsError):
        check_archive(setting)


async def test_an_embedded_archive_that_is_not_served_yet_is_waited_for(tmp_path: Path) -> None:
    archive = open_reader("chdb", tmp_path)
    assert "not found yet" in archive.describe()
    with pytest.raises(ArchiveAway, match="not served yet"):
        await archive.query(Query())
    (tmp_path / URL_FILE).write_text("http://weir:secret@127.0.0.1:9/weir\n")
    with pytest.raises(ArchiveAway, match=r"127\.0\.0\.1:9"):
        await archive.query(Query())
    assert "secret" not in archive.describe()
    await archive.close()
