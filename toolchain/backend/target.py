# SPDX-License-Identifier: BSD-3-Clause
"""The machines code is generated for.

pc64   the kernel: freestanding, top 2 GB, no SSE, per-CPU data through %gs
user   static programs in ring 3 under our kernel
host   an object for this machine: position-independent, for tests and Cython bindings
"""
from __future__ import annotations

from dataclasses import dataclass

_LAYOUT = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
_NO_SSE = "-mmx,-sse,-sse2,-avx,+soft-float"


@dataclass(frozen=True, slots=True)
class Target:
    """`percpu`: a per-CPU variable is found by segment, in %gs; by offset, in the variable
    kpy.percpu.offset, so that a process can hold several CPUs; or it is plain storage.
    `closed`: every symbol is resolved in the same static image (dso_local everywhere)."""

    name: str
    triple: str
    features: str
    reloc: str
    code_model: str
    percpu: str
    closed: bool
    layout: str = _LAYOUT
    cpu: str = "x86-64"


TARGETS = {target.name: target for target in (
    Target("pc64", "x86_64-unknown-none-elf", _NO_SSE, "static", "kernel",
           percpu="segment", closed=True),
    Target("user", "x86_64-unknown-none-elf", _NO_SSE, "static", "small",
           percpu="plain", closed=True),
    Target("host", "x86_64-unknown-linux-gnu", "", "pic", "small",
           percpu="offset", closed=False),
)}
