# SPDX-License-Identifier: BSD-3-Clause
"""How long a link takes: `python -m tests.toolchain.measure_link [modules]`.

Makes a synthetic kernel of `modules` (100) modules of 200 lines with full DWARF, links it, changes
one module and links it again, and prints where the time went.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.harness import probe
from tests.toolchain import link_objects
from toolchain.link.check import check_image
from toolchain.link.layout import PC64
from toolchain.link.linker import link
from toolchain.link.script import linker_script
from toolchain.link.symbols import SymbolTable


def main(modules: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths = _make(Path(folder), modules)
        output = Path(folder, "kernel.elf")
        link(paths, layout=PC64, output=output)
        paths[5].write_bytes(link_objects.module(4, modules, structs=41))
        total = sum(path.stat().st_size for path in paths)
        begin = time.perf_counter()
        result = link(paths, layout=PC64, output=output)
        linked = time.perf_counter()
        check_image(output, layout=PC64, exempt=("kernel.main.kmain",))
        checked = time.perf_counter()
        table = SymbolTable.read(output)
        ended = time.perf_counter()
        print(f"{modules} modules, {total / 1e6:.1f} MB of objects, {modules * 200} lines")
        print(f"{result.relocations} relocations, image of {result.file_size / 1e6:.1f} MB")
        for name, seconds in result.seconds.items():
            print(f"  {name:13} {seconds * 1000:7.1f} ms")
        print(f"link            {(linked - begin) * 1000:7.1f} ms")
        print(f"check           {(checked - linked) * 1000:7.1f} ms")
        lines = len(table.lines.address)
        print(f"symbols, lines  {(ended - checked) * 1000:7.1f} ms  ({lines} rows)")
        _compare(Path(folder), paths)


def _make(folder: Path, modules: int) -> list[Path]:
    boot = folder / "entry.o"
    main_asm = probe.kmain("callq kernel.m0.f0")
    boot.write_bytes(probe.objects()[0].data)
    kmain = folder / "kmain.o"
    kmain.write_bytes(link_objects.asm(main_asm).data)
    paths = [boot]
    for number in range(modules):
        paths.append(folder / f"m{number}.o")
        paths[-1].write_bytes(link_objects.module(number, modules))
    return [*paths, kmain]


def _compare(folder: Path, paths: list[Path]) -> None:
    if shutil.which("ld") is None:
        return
    script = folder / "kernel.ld"
    script.write_text(linker_script(PC64))
    begin = time.perf_counter()
    command = ["ld", "-n", "-T", script, "-o", folder / "ld.elf", *paths]
    subprocess.run(command, check=True)
    print(f"GNU ld          {(time.perf_counter() - begin) * 1000:7.1f} ms")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
