# SPDX-License-Identifier: BSD-3-Clause
"""`kpyc host FILE... -o NAME`: a folder NAME that Python imports.

    kpyc host --hooks kernel/dev/uart.py -o build/uart
    PYTHONPATH=build:. python -c "import uart; print(uart.needed)"

Tests     tests/toolchain/test_host_build.py
"""
from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path

from toolchain.diagnostics import Sink
from toolchain.host import compile as tools
from toolchain.host import steps

_INIT = '''# Made by kpyc host from {sources}; not to be edited.
import sys
from pathlib import Path

from toolchain import host

sys.modules[__name__] = host.load(Path(__file__).parent, __name__)
'''
_OPTIONS = {"release": "optimise; overflow wraps instead of trapping",
            "hooks": "atomics, MMIO and @hook functions may be answered by Python",
            "yields": "call yield_(site, ...) before each access to shared memory",
            "edges": "count control-flow edges, for coverage",
            "faults": "ask fault(site) at each call of a @fault_site function"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("-o", "--output", metavar="NAME",
                        help="folder to make, the module's name its last part "
                        "(default: build/FILE's name)")
    for name, text in _OPTIONS.items():
        parser.add_argument(f"--{name}", action="store_true", help=text)
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing when all is well")


def run(flags: argparse.Namespace, sink: Sink) -> int:
    """Build, and copy what was built to where it was asked for."""
    started = time.perf_counter()
    files = [Path(f) for f in flags.files]
    output = Path(flags.output or tools.ROOT / "build" / files[0].stem)
    if not output.name.isidentifier():
        sink.error("K1106", None, f"`{output.name}` cannot be the name of a Python module",
                   help="-o takes a folder whose last part is an identifier")
        return 1
    if output.exists() and not (output / "layout.json").is_file():
        sink.error("K1106", None, f"`{output}` is there and not a host build",
                   help="choose another -o, or remove it")
        return 1
    options = steps.options_of(**{name: getattr(flags, name) for name in _OPTIONS})
    say = (lambda text: None) if flags.quiet else steps.quiet_unless_long()
    try:
        found = steps.build_folder(files, options, sink, progress=say)
        native = tools.compile_native(found.parent, sink, say)
    except tools.Failed:
        return 1
    shutil.rmtree(output, ignore_errors=True)
    shutil.copytree(found, output)
    shutil.copy(native / f"kpyhost{tools.SUFFIX}", output)
    (output / "__init__.py").write_text(
        _INIT.format(sources=", ".join(map(str, flags.files))))
    if not flags.quiet:
        many = f"{len(files)} module{'s' * (len(files) != 1)}"
        print(f"{output}: {many} bound, {time.perf_counter() - started:.1f} s")
    return 0
