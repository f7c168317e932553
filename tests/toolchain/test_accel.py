# SPDX-License-Identifier: BSD-3-Clause
"""--accel auto takes KVM only where it was measured to be the faster."""

import pytest

from toolchain.image import accel, qemu


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(accel, "_kvm_opens", lambda: True)
    accel._faster.cache_clear()
    yield
    accel._faster.cache_clear()


@pytest.mark.parametrize(
    ("kvm", "tcg", "expected"), [(0.1, 0.2, "kvm"), (0.3, 0.2, "tcg"), (3.0, 3.0, "tcg")]
)
def test_auto_takes_the_faster(monkeypatch, kvm, tcg, expected):
    monkeypatch.setattr(accel, "measure", lambda name, _=0: {"kvm": kvm, "tcg": tcg}[name])
    assert accel.choose("auto") == expected


def test_auto_is_tcg_where_kvm_does_not_open(monkeypatch):
    monkeypatch.setattr(accel, "_kvm_opens", lambda: False)
    assert accel.choose("auto") == "tcg"
    with pytest.raises(qemu.RunError, match="/dev/kvm"):
        accel.choose("kvm")


def test_probe_runs_to_its_end_under_tcg():
    assert accel.measure("tcg") < accel.PATIENCE_S
