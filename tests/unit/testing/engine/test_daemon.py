from __future__ import annotations

from pathlib import Path

import pytest

from weir.testing.engine import daemon
from weir.testing.engine.daemon import EngineError, PrivateEngine


def test_an_engine_needs_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon.os, "geteuid", lambda: 1000)
    with pytest.raises(EngineError, match="needs root"):
        PrivateEngine(tmp_path).start()


def test_what_is_not_installed_is_named_with_its_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon.os, "geteuid", lambda: 0)
    monkeypatch.setattr(daemon.shutil, "which", lambda name: None if name == "slirp4netns" else name)
    with pytest.raises(EngineError, match=r"not installed: slirp4netns .*docker\.io"):
        PrivateEngine(tmp_path).start()
    assert list(tmp_path.iterdir()) == []


def test_commands_run_in_the_engine_and_never_at_the_users(tmp_path: Path) -> None:
    engine = PrivateEngine(tmp_path)
    engine.pid = 4321
    assert engine.inside(["ls", "-l"]) == ["nsenter", "--target=4321", "--net", "--", "ls", "-l"]
    assert engine.full_environment["DOCKER_HOST"].endswith("/docker.sock")
    assert engine.full_environment["DOCKER_HOST"] != "unix:///var/run/docker.sock"


def test_stopping_what_never_started_does_nothing(tmp_path: Path) -> None:
    PrivateEngine(tmp_path).stop()


def test_the_users_engine_is_one_that_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\nexit 0\n")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert daemon.user_engine()
    docker.write_text("#!/bin/sh\nexit 1\n")
    assert not daemon.user_engine()
    docker.unlink()
    assert not daemon.user_engine()
