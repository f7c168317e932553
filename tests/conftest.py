# SPDX-License-Identifier: BSD-3-Clause
"""Settings of all tests: hypothesis holds no example to a time, which a busy machine would miss.

A run that tested HAMMER2 says on how many of its volumes.
"""
from __future__ import annotations

from typing import Any

from hypothesis import settings

from tests.harness import volumes

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if any("hammer2" in report.nodeid for report in terminalreporter.stats.get("passed", [])):
        terminalreporter.write_line(volumes.report())
