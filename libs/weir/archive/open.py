"""Which archive a setting means: `memory`, `chdb`, or the URL of a ClickHouse server."""

from __future__ import annotations

from weir.errors import SettingsError

KINDS = "memory, chdb, or http://user:password@host:8123/database"


def check_archive(setting: str) -> str:
    """The setting, if it is one; SettingsError otherwise."""
    if setting in ("memory", "chdb") or setting.startswith(("http://", "https://")):
        return setting
    raise SettingsError(f"archive: {setting!r} is no archive", hint=f"one of: {KINDS}")


def memory_elsewhere(stage: str) -> SettingsError:
    """The archive is another process's memory."""
    return SettingsError(
        f"{stage}: the archive `memory` lives in one process, and this one has none",
        hint="run store and hub together (`weir run store hub`), or give both `--archive chdb` or a ClickHouse URL",
    )


