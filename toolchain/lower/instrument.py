# SPDX-License-Identifier: BSD-3-Clause
"""Instrumentation of host builds, as a pass over the graph."""
from __future__ import annotations

from toolchain.lower import cfg
from toolchain.options import Options


def instrument(module: cfg.Module, options: Options) -> None:
    raise NotImplementedError
