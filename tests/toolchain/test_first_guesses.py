# SPDX-License-Identifier: BSD-3-Clause
"""What a Python programmer writes first: one diagnostic, and its help says what to write."""
from __future__ import annotations

import pytest

from tests.toolchain.diagnose import diagnostics

HEAD = """
from kpy import *
"""
GUESSES: list[tuple[str, str, str, str]] = []
