# SPDX-License-Identifier: BSD-3-Clause
"""The Damselfly kernel.  `layers.toml` says who may import whom; `main.py` is the start order."""
