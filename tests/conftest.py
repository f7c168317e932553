# SPDX-License-Identifier: BSD-3-Clause
"""Settings of all tests: hypothesis holds no example to a time, which a busy machine would miss."""
from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
