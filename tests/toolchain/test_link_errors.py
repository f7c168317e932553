# SPDX-License-Identifier: BSD-3-Clause
"""What a user sees when a link fails: the number, the place in the source, the way out."""

import ast
import re
from pathlib import Path

import pytest

from tests.toolchain.link_objects import asm, module_ir
from toolchain.backend.assemble import compile_ir
from toolchain.link import errors
from toolchain.link.elf import ObjectFile
from toolchain.link.errors import Collector, LinkError, Problem
from toolchain.link.layout import PC64, USER
from toolchain.link.linker import link
from toolchain.link.stories import STORIES

START = ".text\n.global _start\n_start: ret\n"


def failure(*objects: ObjectFile, layout=USER, **options) -> LinkError:
    with pytest.raises(LinkError) as caught:
        link(objects, layout=layout, output="/nonexistent/never-written", **options)
    return caught.value


def compiled(number: int, modules: int) -> ObjectFile:
    ir = module_ir(number, modules, functions=2, structs=1)
    return ObjectFile.parse(f"m{number}.o", compile_ir(ir))


def test_undefined_symbol_names_the_source_lines_that_use_it():
    problems = failure(asm(START), compiled(0, 2)).problems
    assert [problem.code for problem in problems] == ["K0901", "K0901"]
    assert problems[0].message == "`kernel.m1.f0` is not defined"
    assert problems[0].place == "kernel/m0.py:11 (m0.o)"
    assert problems[1].place == "kernel/m0.py:21 (m0.o)"


def test_undefined_symbol_without_debug_information_names_section_and_function():
    text = START + ".type f,@function\nf: nop\ncallq nowhere\n.size f, . - f\n"
    (problem,) = failure(asm(text, "boot.o")).problems
    assert problem.place == "boot.o: .text+0x3 in f"


def test_undefined_symbol_lists_where_else_it_is_used():
    use = ".text\ncallq nowhere\n"
    (problem,) = failure(asm(START), *(asm(use, f"u{n}.o") for n in range(5))).problems
    assert problem.notes == (
        "also used at u1.o: .text+0x1", "also used at u2.o: .text+0x1", "and at 2 more places",
    )  # fmt: skip


def test_missing_linker_set_says_so():
    (problem,) = failure(asm(".text\n.global _start\n_start: .quad __start_drivers\n")).problems
    assert problem.help == "no object has a section named drivers"


def test_duplicate_functions_name_both_source_lines():
    problem = failure(asm(START), compiled(0, 1), compiled(0, 1)).problems[0]
    assert problem.code == "K0902"
    assert problem.place == "kernel/m0.py:2 (m0.o)"
    assert problem.notes == ("the other definition is at kernel/m0.py:2 (m0.o)",)


def test_missing_entry_is_refused():
    problem = failure(asm(START), layout=PC64).problems[0]
    assert problem.code == "K0907"
    assert "`boot_entry`" in problem.message
    assert failure(asm(START), entry="other").problems[0].code == "K0907"


def test_section_without_a_place_is_refused():
    text = START + '.section .mystery,"aw",@progbits\n.quad 1\n'
    (problem,) = failure(asm(text, "boot.o")).problems
    assert problem.code == "K0906"
    assert "`.mystery`" in problem.message
    assert problem.place == "boot.o"


def test_bytes_in_bss_are_refused():
    text = START + '.section .bss.bad,"aw",@progbits\n.quad 1\n'
    assert failure(asm(text)).problems[0].code == "K0906"


def test_image_too_big_for_the_layout_is_refused():
    assert failure(asm(START + ".bss\n.skip 0x80000000\n")).problems[0].code == "K0909"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('.section .tdata,"awT",@progbits\n.quad 1\n', "thread-local"),
        (".text\n.type f,@gnu_indirect_function\nf: ret\n", "chosen at run time"),
    ],
)
def test_features_without_meaning_here_are_refused(text, what):
    with pytest.raises(LinkError, match=what):
        asm(text)


def test_unreadable_object_and_unwritable_output_are_reported(tmp_path):
    with pytest.raises(LinkError, match=r"K0910.*cannot read"):
        link([tmp_path / "none.o"], layout=USER, output=tmp_path / "out")
    (tmp_path / "file").write_text("")
    with pytest.raises(LinkError, match=r"K0910.*cannot write"):
        link([asm(START)], layout=USER, output=tmp_path / "file" / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_failed_link_leaves_the_old_image_alone(tmp_path):
    output = tmp_path / "out"
    link([asm(START)], layout=USER, output=output)
    before = output.read_bytes()
    with pytest.raises(LinkError):
        link([asm(START + "callq nowhere\n")], layout=USER, output=output)
    assert output.read_bytes() == before
    assert list(tmp_path.iterdir()) == [output]


def test_problem_reads_like_the_compilers():
    problem = Problem("K0901", "`x` is not defined", "a.py:3", ("first",), "define it")
    assert str(problem) == (
        "error[K0901]: `x` is not defined\n  --> a.py:3\n   = note: first\n   = help: define it"
    )


def test_every_code_that_is_reported_has_a_story_and_the_reverse():
    folder = Path(errors.__file__).parent
    sources = [file.read_text() for file in folder.glob("*.py") if file.name != "stories.py"]
    reported = {code for source in sources for code in re.findall(r'"(K09\d\d)"', source)}
    assert reported == set(STORIES)
    assert all(title and story.strip() for title, story in STORIES.values())


def test_many_problems_of_a_kind_are_counted_not_listed():
    collector = Collector(limit=3)
    for number in range(10):
        collector.add(Problem("K0901", str(number)))
    with pytest.raises(LinkError) as caught:
        collector.raise_if_any()
    assert [problem.message for problem in caught.value.problems] == [
        "0", "1", "2", "7 more like these are not shown",
    ]  # fmt: skip


def test_every_problem_says_what_to_do():
    silent = []
    for path in Path(errors.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and node.args and isinstance(
                    node.args[0], ast.Constant) and re.fullmatch(
                        r"K09\d\d", str(node.args[0].value)):
                helped = any(k.arg == "help" for k in node.keywords) or len(node.args) > 2
                if not helped and node.args[0].value not in errors.WAYS_OUT:
                    silent.append((path.name, node.lineno))
    assert silent == []
    assert Problem("K0910", "cannot read x").help == "is the path right, and is there room?"
