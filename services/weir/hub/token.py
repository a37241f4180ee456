"""The hub's token: given, or made once and kept where only its owner reads it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from weir.errors import HubError, SettingsError
from weir.hub.auth import MAX_TOKEN, MIN_TOKEN

TOKEN_FILE = "hub.token"


def token_of(given: str, data_dir: Path) -> str:
    """The token in force; made and written with mode 0600 if there is none."""
    if given:
        return check_token(given, "hub.token")
    path = data_dir / TOKEN_FILE
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            return _read(path)
        except FileNotFoundError:
            return _make(path)
    except OSError as error:
        raise HubError(
            f"the hub's token cannot be kept in {path}: {error.strerror}",
            hint="give a token with WEIR_TOKEN, or a writable folder with --data",
        ) from error


def _read(path: Path) -> str:
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)
    return check_token(path.read_text(encoding="utf-8", errors="replace").strip(), str(path))


def _make(path: Path) -> str:
    """Written aside and linked into place: of two hubs that start at once one wins, and nobody reads half a token."""
    token = secrets.token_urlsafe(24)
    aside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(token + "\n")
        os.link(aside, path)
    except FileExistsError:
        return _read(path)
    finally:
        aside.unlink()
    return token


def check_token(token: str, where: str) -> str:
    """The token, if it is one; SettingsError otherwise."""
    if not MIN_TOKEN <= len(token) <= MAX_TOKEN or not token.isprintable() or " " in token:
        raise SettingsError(
            f"{where}: a token is {MIN_TOKEN} to {MAX_TOKEN} printable characters without blanks",
            hint="leave it out and weir makes a good one",
        )
    return token
