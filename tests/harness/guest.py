# SPDX-License-Identifier: BSD-3-Clause
"""Runs a test of tests/guest in a machine, and reads the `name value` lines that it prints."""
from __future__ import annotations

from typing import Any

from tests.harness.build import guest_image
from tests.harness.machine import Machine


def run(test: str, *, guest: str = "machine", flags: tuple[str, ...] = (),
        **options: Any) -> dict[str, str]:
    """What `test` of tests/guest/GUEST.py, built with `flags`, printed, by name; a name that is
    there twice keeps its last value."""
    with Machine(guest_image(guest, *flags), append=test, **options) as vm:
        vm.expect("\nend\n")
        assert vm.wait_exit() == 0
        lines = vm.console.text.splitlines()
    return dict(line.split(" ", 1) for line in lines if " " in line)


def numbers(found: dict[str, str]) -> dict[str, int]:
    """The values that are numbers."""
    return {name: int(text, 0) for name, text in found.items()
            if text.removeprefix("0x").isalnum() and text[0].isdigit()}
