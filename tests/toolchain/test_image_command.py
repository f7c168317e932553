# SPDX-License-Identifier: BSD-3-Clause
"""`kpyc image`: what it makes, prints and refuses, and that no half image is left."""
from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.toolchain.image_folders import described, everything
from toolchain.driver import main
from toolchain.image import command, fresh
from toolchain.image.output import Output

ROOT = Path(__file__).resolve().parents[2]
STAMP = 1_600_000_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return everything(tmp_path_factory.mktemp("everything"))


def image(*words: object) -> int:
    return main(["image", *map(str, words)])


@pytest.mark.parametrize("more", [[], ["--gpt"]])
def test_build_check_list_extract(folder, tmp_path, capsys, more):
    file = tmp_path / "image"
    assert image("build", folder, "-o", file, "--snapshot", "snap", *more) == 0
    said = capsys.readouterr()
    assert re.fullmatch(rf"{file}: \d+ inodes, \d+ KiB of 40 MiB, \d+\.\d s\n", said.out)
    assert said.err == ""
    assert image("check", file) == 0
    assert capsys.readouterr().out == f"{file}: 0 errors, 0 notes\n"
    assert image("list", file) == 0
    labels = [line.split("\t")[:2] for line in capsys.readouterr().out.splitlines()]
    assert sorted(labels) == [["LOCAL", "master"], ["ROOT", "master"], ["snap", "snapshot"]]
    assert image("extract", file, "snap", tmp_path / "out") == 0
    assert described(tmp_path / "out") == described(folder)


def test_list_shows_files_as_ls_does(tmp_path, capsys):
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "sub" / "tool").write_bytes(b"12345")
    (tmp_path / "in" / "sub" / "tool").chmod(0o4755)
    os.symlink("sub/tool", tmp_path / "in" / "link")
    image("build", tmp_path / "in", "-o", tmp_path / "image", "--owner", "3:4", "--timestamp",
          STAMP, "-q")
    assert capsys.readouterr().out == ""
    assert image("list", tmp_path / "image", "ROOT") == 0
    out = capsys.readouterr().out
    assert re.sub(r"l.{9}", "l---------", out, count=1) == (
        "l---------   1     3     4          8 2020-09-13 12:26:40 link -> sub/tool\n"
        "drwxr-xr-x   1     3     4          0 2020-09-13 12:26:40 sub\n"
        "-rwsr-xr-x   1     3     4          5 2020-09-13 12:26:40 sub/tool\n")


def test_source_date_epoch_is_the_time_stamp(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    image("build", tmp_path / "in", "-o", tmp_path / "a", "--timestamp", STAMP, "-q")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(STAMP))
    image("build", tmp_path / "in", "-o", tmp_path / "b", "-q")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(("words", "status", "text"), [
    (["build", "nothing", "-o", "x"], 1, "image: nothing: No such file or directory\n"),
    (["build", "in", "-o", "in/x"], 1, "image: in/x: lies in the folder that it is to be made of"),
    (["build", "in", "-o", "x", "--label", "a@b"], 1, "image: `a@b` cannot be a label"),
    (["build", "in", "-o", "x", "--size", "1M"], 1, "image: a volume has 32 MiB to 1 PiB"),
    (["build", "in", "-o", "x", "--size", "lots"], 2, "`lots` is not a size such as 64M or 2G"),
    (["build", "in", "-o", "x", "--owner", "root"], 2, "`root` is not UID:GID"),
    (["build", "in", "-o", "x", "--timestamp", "now"], 2, "`now` is not seconds since 1970"),
    (["build", "in"], 2, "-o/--output"),
    (["build", "in", "-o", "/dev/null/x"], 1, "image: /dev/null"),
    (["check", "nothing"], 1, "image: nothing: cannot be read: No such file or directory\n"),
    (["list", "empty"], 1, "image: empty: cannot be read: it is empty\n"),
    (["list", "good", "NO"], 1, "image: there is no label `NO`; there are: ROOT, LOCAL\n"),
    (["extract", "good", "ROOT", "in"], 1, "image: in: must be an empty folder, or none yet\n"),
    ([], 2, "COMMAND"),
])
def test_what_is_wrong_is_explained(tmp_path, monkeypatch, capsys, words, status, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").touch()
    (tmp_path / "empty").touch()
    image("build", "in", "-o", "good", "-q")
    try:
        got = image(*words)
    except SystemExit as stopped:
        got = stopped.code
    assert got == status
    assert text in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_a_wrong_epoch_is_explained(tmp_path, monkeypatch, capsys):
    (tmp_path / "in").mkdir()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    assert image("build", tmp_path / "in", "-o", tmp_path / "x") == 1
    assert "SOURCE_DATE_EPOCH is `yesterday`" in capsys.readouterr().err


def test_check_exits_with_1_for_errors_and_names_them(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").write_bytes(os.urandom(100_000))
    file = tmp_path / "image"
    image("build", tmp_path / "in", "-o", file, "-q")
    with file.open("r+b") as data:
        data.seek(0x1800000)
        data.write(b"damage")
    assert image("check", file) == 1
    said = capsys.readouterr().out.splitlines()
    assert said == ["error: ROOT:/file: block 0x1800010: the check code of this data is wrong",
                    f"{file}: 1 errors, 0 notes"]


def test_an_image_is_made_again_only_if_something_changed(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").write_bytes(b"1")
    file = tmp_path / "image"

    def made(*more: str) -> bool:
        before = file.stat().st_ino if file.exists() else None
        assert image("build", tmp_path / "in", "-o", file, "--if-changed", "-q", *more) == 0
        return file.stat().st_ino != before
    assert made() and not made()
    assert made("--gpt") and not made("--gpt")
    (tmp_path / "in" / "file").write_bytes(b"22")
    assert made("--gpt") and not made("--gpt")
    monkeypatch.setattr(fresh, "_MAKER", tmp_path)
    assert made("--gpt") and not made("--gpt")
    file.unlink()
    assert made("--gpt")


def test_ctrl_c_leaves_no_half_image(tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(40):
        (tmp_path / "in" / f"{number}").write_bytes(os.urandom(1 << 20) * 8)
    file = tmp_path / "image"
    file.write_bytes(b"the old one")
    words = [sys.executable, "-m", "toolchain", "image", "build", tmp_path / "in", "-o", file]
    process = subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 20
    while not any(path.stat().st_size for path in tmp_path.glob(".image.*")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    assert process.stderr.read() == "image: interrupted\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["image", "in"]
    assert file.read_bytes() == b"the old one"


def test_a_full_disk_leaves_no_half_image(tmp_path, monkeypatch, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").write_bytes(os.urandom(1 << 20))

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(os, "pwrite", full)
    assert image("build", tmp_path / "in", "-o", tmp_path / "image") == 1
    assert capsys.readouterr().err == f"image: {tmp_path}/image: No space left on device\n"
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_output_writes_all_even_if_the_host_does_so_in_parts(tmp_path, monkeypatch):
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, data, at: real(file, data[:3], at))
    with Output(tmp_path / "file") as output:
        output.base = 5
        output.put(1, b"0123456789")
        output.resize(20)
    assert (tmp_path / "file").read_bytes() == b"\0" * 6 + b"0123456789" + b"\0" * 9


def test_volumes_are_joined_by_colons(tmp_path):
    assert command._files("a:b") == [Path("a"), Path("b")]
    (tmp_path / "a:b").touch()
    assert command._files(str(tmp_path / "a:b")) == [tmp_path / "a:b"]


def test_progress_is_shown_in_percent(capsys, monkeypatch):
    shown = command._Shown()
    shown.next = 0
    shown(50 << 20, 200 << 20)
    assert capsys.readouterr().err == "\rimage: 25 % of 200 MiB"


def test_help_names_every_option(capsys):
    for words in (["--help"], ["build", "--help"], ["check", "--help"], ["extract", "--help"]):
        with pytest.raises(SystemExit) as stopped:
            image(*words)
        assert stopped.value.code == 0
    text = capsys.readouterr().out
    assert all(f"--{name}" in text for name in
               ["gpt", "label", "snapshot", "size", "owner", "timestamp", "if-changed", "quiet"])
