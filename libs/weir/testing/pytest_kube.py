"""The fixtures `control_plane`, one real Kubernetes API for a test run, and `kube_namespace`, a new namespace in it.

Where it cannot be built, the tests that need it are skipped, or fail where `WEIR_REQUIRE=1` says that nothing may be
missing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from weir.testing.kube.control_plane import ControlPlane
from weir.testing.kube.programs import KubeMissing


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """All five programs and two played nodes, n0 and n1. A test that restarts it waits until it serves again."""
    try:
        plane = ControlPlane(tmp_path_factory.mktemp("kube"))
    except KubeMissing as error:
        if os.environ.get("WEIR_REQUIRE"):
            raise
        pytest.skip(f"no real Kubernetes: {error}")
    with plane:
        yield plane


@pytest.fixture
def kube_namespace(control_plane: ControlPlane) -> Iterator[str]:
    with control_plane.namespace() as name:
        yield name
