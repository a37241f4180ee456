"""What holds for every test: how thorough the properties are, and that nothing is skipped where nothing may be."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["weir.testing.pytest_kafka", "weir.testing.pytest_kube"]

settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", settings.get_profile("default"), max_examples=25)
settings.load_profile("default")

REQUIRE = bool(os.environ.get("WEIR_REQUIRE"))
"""A part that a test misses (root, Java, an engine, captures) is a failure instead of a skip."""


def _require(report: pytest.TestReport | pytest.CollectReport) -> None:
    if REQUIRE and report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"WEIR_REQUIRE is set, and this would be skipped: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _require(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _require(report)
    return report
