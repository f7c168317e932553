# SPDX-License-Identifier: BSD-3-Clause
"""QEMU is told what the flags say; what is missing is named before it starts."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from toolchain.image import qemu, run
from toolchain.image.run import Console


@pytest.fixture
def options(tmp_path) -> qemu.Options:
    (tmp_path / "image").write_bytes(b"")
    return qemu.Options(image=tmp_path / "image")


def after(command: list[str], flag: str) -> list[str]:
    return [value for name, value in pairwise(command) if name == flag]


def test_cpus_memory_and_command_line_are_passed_on(options):
    command = qemu.command(replace(options, cpus=4, mem="1G", append="a b"))
    assert after(command, "-smp") == ["4"]
    assert after(command, "-m") == ["1G"]
    assert after(command, "-append") == ["a b"]


def test_root_disk_comes_first_and_disks_keep_their_order(options, tmp_path):
    files = [tmp_path / name for name in ("root", "a,b", "c")]
    for file in files:
        file.write_bytes(b"")
    disks = (qemu.Drive("ahci", files[1], "one"), qemu.Drive("nvme", files[2]))
    command = qemu.command(replace(options, root=files[0], disks=disks))
    drives = after(command, "-drive")
    assert [drive.split("file=")[1] for drive in drives] == [
        str(files[0]), str(files[1]).replace(",", ",,"), str(files[2]),
    ]  # fmt: skip
    assert "ide-hd,bus=ahci.0,drive=disk1,serial=one" in after(command, "-device")
    assert "nvme,drive=disk2,serial=disk2" in after(command, "-device")


@pytest.mark.parametrize(("words", "there", "root", "append"), [
    ([], True, "root.img", qemu.ROOT_MOUNT),
    ([], False, None, ""),
    (["--root", "none"], True, None, ""),
    (["--root", "mine"], True, "mine", qemu.ROOT_MOUNT),
    (["--image", "kernel"], True, None, ""),
    (["--image", "kernel", "--root", "mine"], True, "mine", qemu.ROOT_MOUNT),
    (["--append", "ktr=5"], True, "root.img", f"{qemu.ROOT_MOUNT} ktr=5"),
    (["--append", "mount=tmpfs:x:/tmp"], True, "root.img", "mount=tmpfs:x:/tmp"),
    (["--append", "ktr=5"], False, None, "ktr=5"),
])
def test_the_root_disk_is_that_of_make_run_with_its_kernel_only(tmp_path, monkeypatch, words,
                                                                there, root, append):
    started = []
    for name in ("root.img", "mine", "kernel", "kernel.elf"):
        (tmp_path / name).touch()
    if not there:
        (tmp_path / "root.img").unlink()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run, "DEFAULT_ROOT", Path("root.img"))
    monkeypatch.setattr(run, "DEFAULT_IMAGE", Path("kernel.elf"))
    monkeypatch.setattr(run.qemu, "command", lambda options: started.append(options) or ["true"])
    assert run.main(words) == 0
    options, = started
    assert (options.root and str(options.root), options.append) == (root, append)


def test_disk_flag_is_bus_file_and_serial():
    assert qemu.Drive.parse("nvme:a.img") == qemu.Drive("nvme", Path("a.img"))
    assert qemu.Drive.parse("ahci:a,b.img,serial=S1") == qemu.Drive("ahci", Path("a,b.img"), "S1")


@pytest.mark.parametrize("text", ["a.img", "floppy:a.img", "nvme:", ""])
def test_wrong_disk_flag_is_refused(text):
    with pytest.raises(qemu.RunError, match="BUS:FILE"):
        qemu.Drive.parse(text)


def test_missing_file_and_missing_qemu_are_named(options, monkeypatch):
    with pytest.raises(qemu.RunError, match="no-disk: no such file"):
        qemu.command(replace(options, disks=(qemu.Drive("nvme", Path("no-disk")),)))
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(qemu.RunError, match="qemu-system-x86_64 is not installed"):
        qemu.command(options)


def test_icount_runs_all_cpus_on_one_host_thread(options):
    for cpus in (1, 4):
        words = qemu.command(replace(options, icount=True, cpus=cpus))
        assert after(words, "-icount") == ["shift=0,sleep=off"]
        assert after(words, "-accel") == ["tcg"]


@pytest.mark.parametrize(("code", "status"), [(1, 0), (85, 42), (141, 70), (-9, 71), (0, 0)])
def test_guest_status_is_read_from_qemus(code, status):
    assert qemu.guest_status(code) == status


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_console_keeps_only_what_commands_print(size):
    shown = bytearray()
    console = Console(shown.extend)
    stream = b"boot log\r\n\x02one\r\ntwo\r\n\x03130\r\nbye\r\n"
    for at in range(0, len(stream), size):
        console.feed(stream[at : at + size])
    assert bytes(shown) == b"one\ntwo\n"
    assert console.status == 130
    assert console.panic is None
