# SPDX-License-Identifier: BSD-3-Clause
"""The longer stories of K11xx, what may go wrong between compiled kpy and Python."""
from __future__ import annotations

STORIES: dict[str, tuple[str, str]] = {
    "K1101": ("host bindings need a C compiler", """
`kpyc host` compiles a small Cython extension, so it needs gcc or what CC names, and Python's
headers (python3-dev).  scripts/setup installs both.  Without them `kpyc run FILE FUNCTION` still
compiles and calls a function: it uses LLVM alone.
"""),
    "K1102": ("host bindings need Cython", """
The extension that binds kpy to Python is generated as Cython text.  Install the development
dependencies of pyproject.toml (`scripts/setup` does).
"""),
    "K1103": ("the generated extension did not compile", """
What Cython or the C compiler said follows.  Python's headers missing (`Python.h`) is the usual
reason: install python3-dev.  Anything else is a defect of kpyc: the text is generated, and no kpy
source should make it wrong.
"""),
    "K1104": ("the compiled code could not be linked for the host", """
The system's linker refused the object; its message names the symbol.  Two functions exported under
one name are the usual reason.
"""),
    "K1105": ("a file to bind is not there", """
`kpyc host` and host.build() take paths of kpy source files.
"""),
    "K1106": ("this cannot be the output of kpyc host", """
The output is a folder that Python imports, so its name has to be a Python identifier; and an
existing folder is only replaced if it is a host build itself.
"""),
}
