# SPDX-License-Identifier: BSD-3-Clause
"""scripts/trace: run a workload in the guest, and write what it did as a trace and a picture.

Tests  tests/qemu/test_trace.py
"""
from __future__ import annotations

import argparse
import pickle
import subprocess
import sys
from pathlib import Path

from toolchain import kernel
from toolchain.image.qemu import Drive, RunError
from toolchain.trace import describe, guest, model, perfetto, picture
from toolchain.trace.guest import Snapshot
from toolchain.trace.image import ImageError
from toolchain.trace.model import Timeline

ROOT = Path(__file__).resolve().parents[2]
WORKLOAD = "test trace_workload"
MAINS = {"machine"}             # of tests/guest: kernels of their own
TRACE, PICTURE, RUN = "trace.perfetto-trace", "trace.png", "run.pickle"


def main(arguments: list[str] | None = None) -> int:
    """The command line of scripts/trace; returns the exit status."""
    flags = _parser().parse_args(arguments)
    try:
        return _trace(flags)
    except (guest.GuestError, ImageError, RunError, FileNotFoundError) as error:
        print(f"trace: {error}", file=sys.stderr)
        return 1


def build_image(output: Path) -> Path:
    """The kernel with the tests of tests/guest; the build's cache makes a second one cheap."""
    tests = [path for path in sorted((ROOT / "tests" / "guest").glob("*.py"))
             if path.stem not in MAINS]
    subprocess.run([sys.executable, "-m", "toolchain", "build", "-q", "-o", str(output),
                    *map(str, [*kernel.files(), *tests])], cwd=ROOT, check=True)
    return output


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/trace",
        description="Run a workload in the guest and trace it.",
        epilog="The window of the picture is chosen for what happens in it, unless you say.")
    add = parser.add_argument
    add("workload", nargs="?", default=WORKLOAD,
        help=f"a line for the guest's prompt; `test` lists the tests ({WORKLOAD})")
    add("--cpus", type=int, default=4, metavar="N", help="number of CPUs (4)")
    add("--image", type=Path, help="trace this image; else the kernel with its tests is built")
    add("--out", type=Path, default=ROOT / "build" / "trace", metavar="FOLDER",
        help="where to write (build/trace)")
    add("--entries", type=int, default=guest.RING_ENTRIES, metavar="N",
        help=f"entries of each CPU's ring ({guest.RING_ENTRIES})")
    add("--mem", default="512M", metavar="SIZE", help="memory of the machine (512M)")
    add("--disk", action="append", default=[], metavar="BUS:FILE[,serial=S]",
        help="attach a disk, BUS nvme, ahci or virtio; repeatable")
    add("--timeout", type=float, default=120, metavar="S", help="give up after S seconds (120)")
    add("--from", dest="start", type=float, metavar="US", help="where the picture begins")
    add("--to", dest="end", type=float, metavar="US", help="where the picture ends")
    add("--list", action="store_true", help="also print the events, one a line")
    add("--again", action="store_true", help="draw the last run once more")
    return parser


def _trace(flags: argparse.Namespace) -> int:
    flags.out.mkdir(parents=True, exist_ok=True)
    kept = flags.out / RUN
    if flags.again:
        snapshot, workload = pickle.loads(kept.read_bytes())
    else:
        workload = flags.workload
        image = flags.image or build_image(flags.out / "kernel.elf")
        snapshot = guest.record(image, workload, cpus=flags.cpus, entries=flags.entries,
                                mem=flags.mem, timeout=flags.timeout,
                                disks=[Drive.parse(text) for text in flags.disk])
        kept.write_bytes(pickle.dumps((snapshot, workload)))
    timeline = model.build(snapshot)
    if flags.list:
        print("\n".join(describe.lines(snapshot)))
    (flags.out / TRACE).write_bytes(perfetto.encode(timeline))
    cpus = len(snapshot.losses)
    shown = picture.draw(timeline, flags.out / PICTURE,
                         f"Damselfly on {cpus} CPU{'s' * (cpus != 1)}: {workload}",
                         _nanoseconds(flags.start), _nanoseconds(flags.end))
    _report(flags, snapshot, timeline, shown)
    return 0


def _nanoseconds(us: float | None) -> int | None:
    return None if us is None else int(us * 1000)


def _report(flags: argparse.Namespace, snapshot: Snapshot, timeline: Timeline,
            shown: tuple[int, int]) -> None:
    kinds = [arrow.kind for arrow in timeline.arrows]
    print(f"{len(snapshot.events)} events of {len(snapshot.losses)} CPUs in "
          f"{timeline.end / 1e6:,.1f} ms: {len(timeline.threads)} threads, "
          f"{len(timeline.tokens)} tokens, {kinds.count('ipi')} IPI messages, "
          f"{kinds.count('message')} messages")
    for cpu, loss in snapshot.losses.items():
        if loss.overwritten:
            print(f"CPU {cpu}: the ring wrapped, the first {loss.overwritten} events are lost; "
                  f"--entries {2 * flags.entries} makes it larger")
        if loss.torn:
            print(f"CPU {cpu}: {loss.torn} events were being written, and are left out")
    if guest.panicked(snapshot.console):
        print("the kernel panicked; the trace ends there")
    trace, png = (_relative(flags.out / name) for name in (TRACE, PICTURE))
    print(f"  {trace}  open it at https://ui.perfetto.dev; it stays on your machine")
    print(f"  {png}  {shown[0] / 1000:,.0f} to {shown[1] / 1000:,.0f} µs; another part of this "
          "run: scripts/trace --again --from US --to US")


def _relative(path: Path) -> Path:
    absolute = path.resolve()
    return absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else path


if __name__ == "__main__":
    sys.exit(main())
