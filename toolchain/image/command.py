# SPDX-License-Identifier: BSD-3-Clause
"""`kpyc image`: makes, checks, lists and unpacks images.

    kpyc image build FOLDER -o FILE [--gpt] [--label L] [--snapshot S]... [--size N]
    kpyc image check FILE[:FILE]
    kpyc image list FILE [LABEL]
    kpyc image extract FILE LABEL FOLDER

Exit status: 0 done; 1 the folder or image is wrong, or `check` found errors; 2 wrong arguments;
130 interrupted.

Tests  tests/toolchain/test_image_command.py
"""
from __future__ import annotations

import argparse
import contextlib
import datetime
import os
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from toolchain.image import fresh, gpt
from toolchain.image.hammer2 import ondisk
from toolchain.image.hammer2.ondisk import ImageError, Inode

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SHOW_EVERY_S = 0.2
_MODES = {ondisk.DIRECTORY: stat.S_IFDIR, ondisk.REGFILE: stat.S_IFREG, ondisk.FIFO: stat.S_IFIFO,
          ondisk.CDEV: stat.S_IFCHR, ondisk.BDEV: stat.S_IFBLK, ondisk.SOFTLINK: stat.S_IFLNK,
          ondisk.SOCKET: stat.S_IFSOCK}


def main(arguments: list[str]) -> int:
    """Run one command; the exit status."""
    flags = _parser().parse_args(arguments)
    try:
        return flags.run(flags)
    except ImageError as error:
        print(f"image: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        sys.stderr.close()          # `| head` has seen enough
        return 1
    except OSError as error:
        name = error.filename or getattr(flags, "output", "")
        print(f"image: {name}: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("image: interrupted", file=sys.stderr)
        return 130


# --- Commands ------------------------------------------------------------------------------


def _build(flags: argparse.Namespace) -> int:
    from toolchain.image.hammer2 import writer  # noqa: PLC0415  (lz4 and xxhash take their time)
    from toolchain.image.output import Output  # noqa: PLC0415
    if flags.output.resolve().is_relative_to(flags.folder.resolve()):
        raise ImageError(f"{flags.output}: lies in the folder that it is to be made of")
    options = writer.Options(flags.label, tuple(flags.snapshot), flags.size, _timestamp(flags),
                             flags.owner)
    wanted = fresh.digest(flags.folder, repr((options, flags.gpt))) if flags.if_changed else ""
    if wanted and fresh.is_current(flags.output, wanted):
        return 0
    started = time.perf_counter()
    with _progress(flags.quiet) as progress, Output(flags.output) as output:
        output.base = gpt.ALIGN if flags.gpt else 0
        made = writer.build(flags.folder, output, options, progress)
        if flags.gpt:
            part = gpt.Partition(output.base, made.size, gpt.HAMMER2, flags.label)
            output.base, size = 0, gpt.disk_size([part])
            for at, data in gpt.tables(size, [part], made.fsid.hex()):
                output.put(at, data)
            output.resize(size)
    if wanted:
        fresh.stamp_of(flags.output).write_text(wanted)
    if not flags.quiet:
        print(f"{flags.output}: {made.inodes} inodes, {made.allocated >> 10} KiB of "
              f"{made.size >> 20} MiB, {time.perf_counter() - started:.1f} s")
    return 0


def _check(flags: argparse.Namespace) -> int:
    from toolchain.image.hammer2 import checker  # noqa: PLC0415
    from toolchain.image.hammer2.reader import Volumes  # noqa: PLC0415
    with Volumes(flags.file) as volumes:
        findings = checker.check(volumes)
    errors = sum(finding.kind == checker.ERROR for finding in findings)
    for finding in findings:
        if not flags.quiet or finding.kind == checker.ERROR:
            print(finding)
    if not flags.quiet:
        notes = len(findings) - errors
        print(f"{':'.join(map(str, flags.file))}: {errors} errors, {notes} notes")
    return 1 if errors else 0


def _list(flags: argparse.Namespace) -> int:
    from toolchain.image.hammer2.reader import Volumes  # noqa: PLC0415
    with Volumes(flags.file) as volumes:
        if flags.label is None:
            for label in volumes.labels():
                data, inodes = ondisk.STATISTICS.unpack(label.ref.embed)
                kind = "snapshot" if label.snapshot else "master"
                print(f"{_text(label.name)}\t{kind}\t{inodes} inodes\t{data} bytes")
            return 0
        inodes = volumes.inodes(volumes.label(os.fsencode(flags.label)))
        todo, seen = [(b"", ondisk.ROOT_INUM)], {ondisk.ROOT_INUM}
        while todo:
            folder, inum = todo.pop()
            deeper = []
            for entry in volumes.entries(inodes[inum]):
                inode = inodes.get(entry.inum)
                if inode is None:
                    raise ImageError(f"{_text(folder + entry.name)}: there is no inode "
                                     f"{entry.inum}")
                link = b" -> " + volumes.target(inode) if inode.type == ondisk.SOFTLINK else b""
                print(_line(inode, folder + entry.name + link))
                if inode.type == ondisk.DIRECTORY and entry.inum not in seen:
                    seen.add(entry.inum)
                    deeper.append((folder + entry.name + b"/", entry.inum))
            todo += reversed(deeper)
    return 0


def _extract(flags: argparse.Namespace) -> int:
    from toolchain.image.hammer2.extract import extract  # noqa: PLC0415
    from toolchain.image.hammer2.reader import Volumes  # noqa: PLC0415
    with Volumes(flags.file) as volumes:
        for text in extract(volumes, os.fsencode(flags.label), flags.folder):
            print(f"image: left out: {text}", file=sys.stderr)
    return 0


# --- What they print -----------------------------------------------------------------------


def _text(name: bytes) -> str:
    return name.decode(errors="backslashreplace")


def _line(inode: Inode, path: bytes) -> str:
    """As `ls -l` has it, with seconds, in UTC."""
    mode = stat.filemode(_MODES.get(inode.type, 0) | inode.mode & 0o7777)
    owner = int.from_bytes(inode.uid[12:], "little"), int.from_bytes(inode.gid[12:], "little")
    size = f"{inode.rmajor}, {inode.rminor}" if inode.type in {ondisk.CDEV, ondisk.BDEV} \
        else str(inode.size)
    try:
        when = datetime.datetime.fromtimestamp(inode.mtime // 1_000_000, datetime.UTC)
        moment = when.strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError):
        moment = f"{inode.mtime} us"
    return f"{mode} {inode.nlinks:3} {owner[0]:5} {owner[1]:5} {size:>10} {moment} {_text(path)}"


class _Shown:
    """How far a long build is, on a terminal."""

    def __init__(self) -> None:
        self.next = time.monotonic() + _SHOW_EVERY_S

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now >= self.next and total:
            self.next = now + _SHOW_EVERY_S
            print(f"\rimage: {done * 100 // total} % of {total >> 20} MiB", end="",
                  file=sys.stderr, flush=True)


@contextlib.contextmanager
def _progress(quiet: bool) -> Iterator[_Shown | None]:
    if quiet or not sys.stderr.isatty():
        yield None
        return
    try:
        yield _Shown()
    finally:
        print("\r\033[K", end="", file=sys.stderr, flush=True)


# --- Arguments -----------------------------------------------------------------------------


def _timestamp(flags: argparse.Namespace) -> int | None:
    if flags.timestamp is not None:
        return flags.timestamp
    text = os.environ.get("SOURCE_DATE_EPOCH", "")
    if text and not text.isdigit():
        raise ImageError(f"SOURCE_DATE_EPOCH is `{text}`, not seconds since 1970")
    return int(text) if text else None


def _size(text: str) -> int:
    number, unit = text.rstrip("KMGT"), text[len(text.rstrip("KMGT")):]
    if not number.isdigit() or unit not in UNITS:
        raise argparse.ArgumentTypeError(f"`{text}` is not a size such as 64M or 2G")
    return int(number) * UNITS[unit]


def _owner(text: str) -> tuple[int, int]:
    uid, colon, gid = text.partition(":")
    if not colon or not (uid.isdigit() and gid.isdigit()) or max(int(uid), int(gid)) >= 1 << 32:
        raise argparse.ArgumentTypeError(f"`{text}` is not UID:GID, such as 0:0")
    return int(uid), int(gid)


def _seconds(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"`{text}` is not seconds since 1970")
    return int(text)


def _files(text: str) -> list[Path]:
    """Volumes joined by `:`, or one file that has a `:` in its name."""
    return [Path(text)] if Path(text).exists() else [Path(part) for part in text.split(":")]


def _parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="kpyc image", description="Make, check, list and unpack HAMMER2 images.",
        epilog="docs/formats/hammer2.md is the format.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: object, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        made.set_defaults(run=run)
        return made

    build = command("build", _build, "a HAMMER2 volume with the files of a folder")
    build.add_argument("folder", type=Path, metavar="FOLDER")
    build.add_argument("-o", "--output", type=Path, metavar="FILE", required=True)
    build.add_argument("--gpt", action="store_true",
                       help="a disk: the volume in the first partition of a GPT")
    build.add_argument("--label", default="ROOT", metavar="L", help="of the PFS; default: ROOT")
    build.add_argument("--snapshot", action="append", default=[], metavar="S",
                       help="a snapshot of the PFS with that label; repeatable")
    build.add_argument("--size", type=_size, metavar="N",
                       help="of the volume, such as 64M or 4G; default: what is needed, and 5 %%")
    build.add_argument("--owner", type=_owner, metavar="UID:GID",
                       help="of all files; default: as in the folder")
    build.add_argument("--timestamp", type=_seconds, metavar="T",
                       help="no time in the volume is later, in seconds since 1970; default: "
                       "$SOURCE_DATE_EPOCH, or the newest time in the folder")
    build.add_argument("--if-changed", action="store_true",
                       help="do nothing if FILE was made of the same files and options")
    build.add_argument("-q", "--quiet", action="store_true", help="say nothing when all is well")
    check = command("check", _check, "everything that is wrong with a file system")
    check.add_argument("-q", "--quiet", action="store_true", help="errors only")
    listed = command("list", _list, "the labels of a file system, or the files of one")
    unpack = command("extract", _extract, "the files of a label, to a folder")
    for one in (check, listed, unpack):
        one.add_argument("file", type=_files, metavar="FILE[:FILE]",
                         help="a volume, or a disk with a GPT; several volumes joined by `:`")
    listed.add_argument("label", nargs="?", metavar="LABEL")
    unpack.add_argument("label", metavar="LABEL")
    unpack.add_argument("folder", type=Path, metavar="FOLDER", help="empty, or not there yet")
    return top
