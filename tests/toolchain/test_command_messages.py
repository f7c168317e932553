# SPDX-License-Identifier: BSD-3-Clause
"""What the command line says of wrong arguments and of what is no source file, word for word."""
from __future__ import annotations

import pytest

from toolchain.driver import main

SOURCE = """from kpy import Slice, u8, u32

def checksum(data: Slice[u8], n: u32) -> u32:
    return n
"""
SAID = {
    "too few arguments": (["run", "demo.py", "checksum"], """\
error[K0335]: `checksum` takes 2 arguments (data: Slice[u8], n: u32), not 0
 --> demo.py:3:5
  |
3 | def checksum(data: Slice[u8], n: u32) -> u32:
  |     ^^^^^^^^
  = help: arguments are Python literals after the function's name, one each
"""),
    "no literal": (["run", "demo.py", "checksum", "foo(", "3"], """\
error[K0501]: `foo(` is not a Python literal
  = help: for example 3, -1, True, b'abc', [1, 2]
"""),
    "a literal of another type": (["run", "demo.py", "checksum", "b'a'", "--", "-1"], """\
error[K0311]: `-1` is not a `u32` for parameter `n`
 --> demo.py:3:31
  |
3 | def checksum(data: Slice[u8], n: u32) -> u32:
  |                               ^^^^^^
  = help: give a literal of its type and range; structs, pointers and functions are for `kpyc host`
"""),
    "no such function to run": (["run", "demo.py", "nothing"], """\
error[K0202]: `demo.py` has no function `nothing`
  = help: it has: checksum
"""),
    "no such function to dump": (["dump", "demo.py:nothing"], """\
error[K0202]: `demo.py` has no function `nothing`
  = help: it has: checksum
"""),
    "no name for a module": (["host", "-o", "a-b", "demo.py"], """\
error[K1106]: `a-b` cannot be the name of a Python module
  = help: -o takes a folder whose last part is an identifier
"""),
    "a folder that is no host build": (["host", "-o", "there", "demo.py"], """\
error[K1106]: `there` is there and not a host build
  = help: choose another -o, or remove it
"""),
    "no file to bind": (["host", "nope.py"], """\
error[K1105]: there is no file `nope.py`
  = help: is the path right? It counts from the folder you are in
"""),
    "a folder as a source file": (["check", "there"], """\
error[K0003]: `there` is a directory, not a source file
  = help: name a file in it
"""),
    "no source file": (["check", "nope.py"], """\
error[K0003]: cannot read `nope.py`: No such file or directory
  = help: give the path of a .py file
"""),
    "a zero byte": (["check", "zero.py"], """\
error[K0002]: this file has a zero byte at line 2
 --> zero.py:2:1
  |
2 | a\N{REPLACEMENT CHARACTER}b
  | ^^^
  = help: a source file is text; is this the right file?
"""),
    "another encoding": (["check", "latin.py"], """\
error[K0002]: this file is not UTF-8: byte 0xe9 at line 1
 --> latin.py:1:3
  |
1 | # \N{REPLACEMENT CHARACTER}
  |   ^
  = help: save it as UTF-8
"""),
}


@pytest.mark.parametrize("name", SAID)
def test_the_command_says_exactly_this(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    (tmp_path / "demo.py").write_text(SOURCE)
    (tmp_path / "zero.py").write_bytes(b"# text\na\0b\n")
    (tmp_path / "latin.py").write_bytes(b"# \xe9\n")
    arguments, said = SAID[name]
    assert main(arguments) == 1
    err = capsys.readouterr().err
    code = said.split("[")[1][:5]
    assert err == said + f"\n1 error; `kpyc explain {code}` tells more\n"
