"""deploy/kafka/acls.sh grants what `weir topics --create --readers` grants."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from weir.bus.acls import Grant, grants

SCRIPT = Path(__file__).resolve().parents[3] / "deploy/kafka/acls.sh"


def spelled(grant: Grant) -> str:
    """As arguments of kafka-acls.sh."""
    pattern = "--resource-pattern-type prefixed " if grant.prefixed else ""
    return (
        f"--bootstrap-server kafka:9093 --command-config admin.properties --add --allow-principal User:{grant.user} "
        f"--operation {grant.operation.title()} {pattern}--{grant.resource} {grant.name}"
    )


def test_it_grants_the_same(tmp_path: Path) -> None:
    tool = tmp_path / "kafka-acls.sh"
    tool.write_text('#!/bin/sh\necho "$@"\n')
    tool.chmod(0o755)
    done = subprocess.run(
        ["sh", str(SCRIPT), "kafka:9093", "admin.properties", "shop", "weir", "ada", "bob"],
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}, capture_output=True, text=True, check=True,
    )
    assert sorted(done.stdout.splitlines()) == sorted(spelled(g) for g in grants("shop", "weir", ["ada", "bob"]))


def test_without_arguments_it_explains_itself() -> None:
    done = subprocess.run(["sh", str(SCRIPT)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "acls.sh BOOTSTRAP ADMIN.properties INSTANCE WEIR_USER" in done.stderr
