# SPDX-License-Identifier: BSD-3-Clause
"""A boot medium: the kernel on a CD image that GRUB boots, from BIOS and from UEFI.

Tests  tests/qemu/test_iso.py
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_TOOLS = ("grub-mkrescue", "xorriso", "mformat")
_CONFIG = """\
serial --unit=0 --speed=115200
terminal_input console serial
terminal_output console serial
set timeout=0
menuentry "Damselfly" {{
    multiboot /boot/kernel.elf {append}
    boot
}}
"""


class IsoError(Exception):
    """The image cannot be made; the message says what is missing or what GRUB said."""


def make_iso(kernel: Path, output: Path, append: str = "") -> Path:
    """Write a bootable ISO 9660 image of `kernel`, with `append` for its command line."""
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        raise IsoError(f"{', '.join(missing)} not installed; `scripts/setup iso` installs them")
    if not kernel.is_file():
        raise IsoError(f"{kernel}: no such file")
    with tempfile.TemporaryDirectory(prefix="damselfly-") as folder:
        boot = Path(folder, "boot")
        (boot / "grub").mkdir(parents=True)
        shutil.copyfile(kernel, boot / "kernel.elf")
        (boot / "grub" / "grub.cfg").write_text(_CONFIG.format(append=append))
        output.parent.mkdir(parents=True, exist_ok=True)
        command = ["grub-mkrescue", "-o", str(output), folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise IsoError(f"grub-mkrescue failed:\n{done.stderr.strip()}")
    return output


def main(arguments: list[str] | None = None) -> int:
    """The command line of scripts/iso."""
    parser = argparse.ArgumentParser(prog="scripts/iso", description="Make a bootable CD image.")
    parser.add_argument("--image", type=Path, default=ROOT / "build" / "kernel.elf")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "damselfly.iso")
    parser.add_argument("--append", default="", metavar="LINE", help="kernel command line")
    flags = parser.parse_args(arguments)
    try:
        print(make_iso(flags.image, flags.output, flags.append))
    except IsoError as error:
        print(f"iso: {error}", file=sys.stderr)
        return 69
    return 0


if __name__ == "__main__":
    sys.exit(main())
