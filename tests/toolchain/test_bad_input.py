# SPDX-License-Identifier: BSD-3-Clause
"""Whatever the input: a diagnostic and status 1, never a traceback or a hang."""
from __future__ import annotations

import ast
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.toolchain.diagnose import codes
from toolchain.frontend import types

ROOT = Path(__file__).resolve().parents[2]
BAD: dict[str, tuple[bytes, str]] = {
    "not Python": (b"def f(:\n", "K0001"),
    "tabs and spaces": (b"def f():\n\tif 1:\n        pass\n", "K0001"),
    "not UTF-8": (b'x = "\xe9"\n', "K0002"),
    "zero byte": (b"x = 1\0\n", "K0002"),
    "parentheses 500 deep": (b"x = " + b"(" * 500 + b"1" + b")" * 500, "K0006"),
    "nested 300 deep": (b"from kpy import Final\nX: Final = " + b"-" * 300 + b"1\n", "K0006"),
    "expression of 10,000 lines": (
        b"from kpy import u64\ndef f(a: u64) -> u64:\n    return (a\n" + b"    + a\n" * 10_000
        + b")\n", "K0006"),
    "missing module": (b"import nosuch\n", "K0004"),
    "missing name": (b"from kpy import nonsense\n", "K0203"),
    "endless constant": (
        b"from kpy import Final, comptime\n@comptime\ndef f():\n    while True:\n        pass\n"
        b"X: Final = f()\n", "K0502"),
    "enormous constant": (b"from kpy import Final\nX: Final = 10**10**10\n", "K0503"),
    "reaching for the host": (b"from kpy import Final\nX: Final = ().__class__\n", "K0503"),
    "constant of itself": (b"from kpy import Final\nA: Final = B\nB: Final = A\n", "K0204"),
    "struct of itself": (b"from kpy import struct\n@struct\nclass A:\n    a: 'A'\n", "K0205"),
    "a local of a struct that holds itself": (
        b"from kpy import struct, u32\n@struct\nclass A:\n    n: u32\n    a: 'A'\n"
        b"def f() -> None:\n    a: A\n    a.n = 1\n", "K0205"),
    "half a surrogate": (
        b'from kpy import Str\ndef f() -> Str:\n    return "\\ud800"\n', "K0112"),
    "half a surrogate in a constant": (
        b'from kpy import Final\nX: Final = "\\ud800"\n', "K0505"),
    "a struct that extends itself": (
        b"from kpy import struct\n@struct\nclass A(B):\n    pass\n"
        b"@struct\nclass B(A):\n    pass\n", "K0205"),
    "a constant of gigabytes": (
        b"from kpy import Final, comptime\n@comptime\ndef f():\n    return len([0] * 10**9)\n"
        b"X: Final = f()\n", "K0503"),
    "a tuple of 10,000 values": (
        b"from kpy import u64\ndef f(n: u64) -> u64:\n    x = (" + b"n,\n" * 10_000
        + b")\n    return x[3]\n", "K0307"),
    "two definitions": (
        b'from kpy import export\n@export("x")\ndef f() -> None:\n    pass\n'
        b'@export("x")\ndef g() -> None:\n    pass\n', "K0224"),
    "two definitions in assembly": (
        b'from kpy import asm, export\nasm("x: ret")\n@export("x")\ndef f() -> None:\n'
        b"    pass\n", "K0224"),
    "an instance of ever larger instances": (
        b"from kpy import Generic, Ptr, TypeVar, struct, u32\nT = TypeVar('T')\n@struct\n"
        b"class Box(Generic[T]):\n    v: T\n    def f(self) -> None:\n"
        b"        b: Box[Box[T]]\n        b.f()\nx: Box[u32]\n"
        b"def g() -> None:\n    x.f()\n", "K0319"),
}


@pytest.mark.parametrize("name", BAD)
def test_is_refused_with_a_diagnostic(name):
    source, code = BAD[name]
    found = [c.split()[0] for c in codes(source)]
    assert code in found
    assert "K1001" not in found


MANY = 10_000
LONG = {                                        # name: (f(n: u64) of many lines, f(3))
    "and": (" -> bool:\n    return (n == 3\n" + "    and n == 3\n" * MANY + "    )\n", "True"),
    "or in a while": (" -> u64:\n    while (n == 3\n" + "    or n == 3\n" * MANY
                      + "    ):\n        n = 5\n    return n\n", "5"),
    "in": (" -> bool:\n    return n in (\n" + "".join(f"    {i},\n" for i in range(4, MANY))
           + "    3)\n", "True"),
    "match": (" -> u64:\n    match n:\n        case (" + " |\n".join(map(str, range(MANY)))
              + "):\n            return 1\n        case _:\n            return 0\n", "1"),
}


@pytest.mark.parametrize("name", LONG)
def test_a_condition_of_10000_lines_compiles(name, tmp_path):
    body, expected = LONG[name]
    path = tmp_path / "long.py"
    path.write_text(f"from kpy import u64\ndef f(n: u64){body}")
    done = kpyc("run", str(path), "f", "3")
    assert (done.returncode, done.stdout.strip()) == (0, expected), done.stderr[:1000]


def test_import_cycle_between_modules():
    assert "K0005" in [c.split()[0] for c in codes("import other\n", other="import example\n")]


def kpyc(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "toolchain", *arguments], cwd=ROOT, text=True,
                          capture_output=True, timeout=120, check=False)


def test_assembly_that_does_not_assemble_names_its_line(tmp_path):
    path = tmp_path / "asm.py"
    path.write_text('from kpy import asm\n\ndef f() -> None:\n    asm("bogus %rax")\n')
    done = kpyc("build", "--target", "host", "--no-cache", "-o", str(tmp_path / "o"), str(path))
    assert done.returncode == 1
    assert "K0804" in done.stderr and "asm.py:4:5" in done.stderr and "bogus" in done.stderr


@pytest.mark.parametrize("mode", [[], ["--release"]])
def test_a_label_that_inlining_repeats_is_a_name_defined_twice(mode, tmp_path):
    path = tmp_path / "labels.py"
    path.write_text("from kpy import asm, export, inline\n@inline\ndef f() -> None:\n"
                    "    asm('here: nop')\n@export('g')\ndef g() -> None:\n    f()\n    f()\n")
    done = kpyc("build", "--no-cache", *mode, "-o", str(tmp_path / "o"), str(path))
    assert done.returncode == 1
    assert "K0902" in done.stderr and "`here` is defined twice" in done.stderr


def test_a_program_without_a_run_time_is_told_where_to_take_it_from(tmp_path):
    path = tmp_path / "bare.py"
    path.write_text("from kpy import Slice, u8, u64, export\n@export('_start')\n"
                    "def start(text: Slice[u8], n: u64) -> u64:\n"
                    "    text.fill(0)\n    return n + len(text)\n")
    done = kpyc("build", "--target", "user", "-o", str(tmp_path / "o"), str(path))
    assert done.returncode == 1
    assert "`from kernel.lib import memory`" in done.stderr
    assert "`@implements(rt.check_failed)`" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["check", "--nonsense"], ["run"]])
def test_wrong_command_line_is_status_2(arguments):
    done = kpyc(*arguments)
    assert done.returncode == 2
    assert "usage: kpyc" in done.stderr


@pytest.mark.parametrize("path", ["no/such/file.py", "kernel", "LICENSE"])
def test_unusable_files_are_status_1(path):
    done = kpyc("check", path)
    assert done.returncode == 1
    assert "error[K" in done.stderr and "Traceback" not in done.stderr


def test_output_that_cannot_be_written_is_reported(tmp_path):
    path = tmp_path / "f.py"
    path.write_text("def f() -> None:\n    pass\n")
    (tmp_path / "o").mkdir()
    done = kpyc("build", "--target", "host", "-o", str(tmp_path / "o"), str(path))
    assert done.returncode == 1
    assert "K0910" in done.stderr


CORPUS = [p.read_text() for p in sorted((ROOT / "tests/toolchain/programs").glob("*.py"))]


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 1 << 32))
def test_mangled_programs_never_crash_the_compiler(seed):
    """Programs with a line dropped, doubled, moved or with tokens swapped."""
    chance = random.Random(seed)
    lines = chance.choice(CORPUS).splitlines()
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(lines))
        match chance.randrange(5):
            case 0:
                del lines[at]
            case 1:
                lines.insert(at, lines[at])
            case 2:
                lines.insert(at, lines[chance.randrange(len(lines))])
            case 3:
                words = lines[at].split(" ")
                chance.shuffle(words)
                lines[at] = " ".join(words)
            case _:
                for a, b in chance.sample([("u32", "u8"), ("u64", "Ptr[u8]"), ("i32", "bool"),
                                           ("u8", "Slice[u8]"), (" + ", " - "), ("==", "<"),
                                           ("[", "("), ("self", "it"), ("0", "-1")], 3):
                    lines[at] = lines[at].replace(a, b)
        lines = lines or [""]
    source = "\n".join(lines) + "\n"
    try:
        ast.parse(source)
    except (SyntaxError, ValueError):
        return
    assert "K1001" not in [c.split()[0] for c in codes(source)]


def test_a_struct_inside_itself_has_an_end():
    """It is reported; what is asked of it afterwards must not go round for ever."""
    made = types.StructType("A", "m", 1)
    made.fields["x"] = types.Field("x", made, 1)
    made.fields["many"] = types.Field("many", types.array(made, 3), 1)
    assert types.without_zero(made) is None
