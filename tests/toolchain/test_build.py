# SPDX-License-Identifier: BSD-3-Clause
"""What is compiled again after which edit; and the same bytes whether cached or not."""
from __future__ import annotations

import pytest

from toolchain.build import Builder
from toolchain.diagnostics import Sink
from toolchain.options import Options

BASE = '''
from kpy import Final, Generic, Ptr, TypeVar, inline, struct, u32

T = TypeVar("T")
LIMIT: Final = 7

@struct
class Point:
    x: u32
    y: u32
    def total(self) -> u32:
        return self.x + self.y

def plain(p: Ptr[Point]) -> u32:
    return p.x + 1

@inline
def short(n: u32) -> u32:
    return n + 2

def larger(a: T, b: T) -> T:
    return a if a > b else b

@struct
class Box(Generic[T]):
    item: T
    def get(self) -> T:
        return self.item
'''
MIDDLE = '''
import base
from kpy import Ptr, u32

def use(p: Ptr[base.Point]) -> u32:
    return base.plain(p) + base.short(3) + base.larger(p.x, p.y)
'''
TOP = '''
import middle
from kpy import u32

def top(n: u32) -> u32:
    return n
'''
EDITS = {
    "nothing": ("", "", set()),
    "a body": ("return p.x + 1", "return p.x + 10", {"base"}),
    "a method's body": ("return self.x + self.y", "return self.y", {"base"}),
    "an @inline body": ("return n + 2", "return n + 3", {"base", "middle", "top"}),
    "a generic's body": ("a if a > b else b", "b if a < b else a", {"base", "middle", "top"}),
    "a generic class": ("return self.item\n", "return self.item \n", {"base", "middle", "top"}),
    "a signature": ("def plain(p: Ptr[Point])", "def plain(p: Ptr[Point], q: u32 = 1)",
                    {"base", "middle", "top"}),
    "a layout": ("    x: u32\n    y: u32", "    y: u32\n    x: u32", {"base", "middle", "top"}),
    "a constant": ("LIMIT: Final = 7", "LIMIT: Final = 8", {"base", "middle", "top"}),
}


def compile_all(folder, cache, **options):
    sink = Sink()
    builder = Builder(Options(target="pc64", **options), [folder], sink, folder=cache)
    done = builder.compile([folder / "top.py"], whole=False)
    builder.close()
    assert not sink.errors, sink.render()
    return builder.stats, {c.name: c.object for c in done}


@pytest.fixture
def tree(tmp_path):
    for name, text in (("base", BASE), ("middle", MIDDLE), ("top", TOP)):
        (tmp_path / f"{name}.py").write_text(text)
    return tmp_path


@pytest.mark.parametrize("edit", EDITS)
def test_edit_recompiles_what_depends_on_it(tree, edit):
    before, after, expected = EDITS[edit]
    cache = tree / "cache"
    first, objects = compile_all(tree, cache)
    assert (first.modules, first.compiled) == (3, 3)
    path = tree / "base.py"
    path.write_text(BASE.replace(before, after) if before else BASE)
    second, again = compile_all(tree, cache)
    assert second.compiled == len(expected)
    fresh = compile_all(tree, None)[1]
    assert again == fresh
    if not before:
        assert again == objects


def test_options_are_part_of_the_key(tree):
    cache = tree / "cache"
    compile_all(tree, cache)
    assert compile_all(tree, cache, opt=0)[0].compiled == 3
    assert compile_all(tree, cache, opt=0)[0].compiled == 0


def test_damaged_cache_is_as_if_it_were_not_there(tree):
    cache = tree / "cache"
    _, objects = compile_all(tree, cache)
    for path in cache.rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:-7])
    stats, again = compile_all(tree, cache)
    assert stats.compiled == 3
    assert again == objects


def test_unwritable_cache_only_means_nothing_is_kept(tree):
    cache = tree / "cache"
    cache.write_text("a file where a folder should be")
    assert compile_all(tree, cache)[0].compiled == 3


def test_errors_are_not_cached(tree):
    cache = tree / "cache"
    (tree / "middle.py").write_text(MIDDLE + "\ndef wrong() -> u32:\n    return 'x'\n")
    for _ in range(2):
        sink = Sink()
        builder = Builder(Options(target="pc64"), [tree], sink, folder=cache)
        assert builder.compile([tree / "top.py"], whole=False) == []
        builder.close()
        assert [d.code for d in sink.diagnostics] == ["K0308"]


def test_warnings_are_shown_again_from_the_cache(tree):
    cache = tree / "cache"
    (tree / "middle.py").write_text(
        MIDDLE + "\ndef odd() -> u32:\n    return 1\n    return 2\n")
    for _ in range(2):
        sink = Sink()
        builder = Builder(Options(target="pc64"), [tree], sink, folder=cache)
        assert len(builder.compile([tree / "top.py"], whole=False)) == 3
        builder.close()
        assert [d.code for d in sink.diagnostics] == ["K0404"]


def keys_of(folder, names):
    builder = Builder(Options(target="host"), [folder], Sink())
    try:
        builder.compile([folder / f"{names[-1]}.py"])
        return {name: builder._object_key(name) for name in names}
    finally:
        builder.close()


def test_modules_that_import_each_other_depend_on_both_interfaces(tmp_path):
    package = tmp_path / "pack"
    package.mkdir()
    (package / "__init__.py").write_text('"""A package."""\n')
    (package / "a.py").write_text("from pack import b\nfrom kpy import u32\n"
                                  "def f() -> u32:\n    return b.g()\n")
    (package / "b.py").write_text("from pack import a, c\nfrom kpy import u32\n"
                                  "def g() -> u32:\n    return 1\n"
                                  "def h() -> u32:\n    return a.f() + c.k()\n")
    (package / "c.py").write_text("from kpy import u32\ndef k() -> u32:\n    return 1\n")
    (tmp_path / "apart.py").write_text("from kpy import u32\ndef k() -> u32:\n    return 1\n")
    (tmp_path / "top.py").write_text("import apart\nfrom pack import a\nfrom kpy import u32\n"
                                     "def t() -> u32:\n    return a.f() + apart.k()\n")
    names = ["pack.a", "pack.b", "pack.c", "apart", "top"]
    before = keys_of(tmp_path, names)
    (package / "c.py").write_text("from kpy import u64, u32\ndef k() -> u32:\n    return 1\n"
                                  "def more() -> u64:\n    return 2\n")
    after = keys_of(tmp_path, names)
    assert {n for n in names if before[n] != after[n]} == {"pack.a", "pack.b", "pack.c", "top"}


def test_keys_of_many_modules_take_one_pass(tmp_path):
    names = [f"m{i}" for i in range(400)]
    for i, name in enumerate(names):
        imports = "".join(f"import m{j}\n" for j in range(max(0, i - 3), i))
        (tmp_path / f"{name}.py").write_text(imports + "from kpy import u32\n"
                                             f"def f{i}() -> u32:\n    return {i}\n")
    builder = Builder(Options(target="host"), [tmp_path], Sink())
    asked = []
    scan = builder._scan
    builder._scan = lambda name: (asked.append(name), scan(name))[1]
    try:
        assert len(set(builder.keys([tmp_path / "m399.py"]))) == 400
    finally:
        builder.close()
    assert len(asked) <= 2 * 400


def test_a_scan_is_of_one_binding(tmp_path):
    """What a program's imports mean is not taken from a cache filled under another binding."""
    for name, text in {"contract": "def f() -> None:\n    pass\n",
                       "real": "import other\ndef f() -> None:\n    other.g()\n",
                       "other": "def g() -> None:\n    pass\n",
                       "top": "import contract\ndef h() -> None:\n    contract.f()\n"}.items():
        (tmp_path / f"{name}.py").write_text(text)
    sizes = []
    for binding in ({"contract": "real"}, {}, {"contract": "real"}):
        builder = Builder(Options(), [tmp_path], Sink(), folder=tmp_path / "cache",
                          binding=binding)
        try:
            sizes.append(len(builder.compile([tmp_path / "top.py"])))
        finally:
            builder.close()
    assert sizes == [3, 2, 3]
