# SPDX-License-Identifier: BSD-3-Clause
"""Every diagnostic has a story, and every story's programs get exactly what it says."""
from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.toolchain.diagnose import codes, diagnostics, rendered
from toolchain import explain
from toolchain.backend import llvm
from toolchain.diagnostics import Sink
from toolchain.driver import check_files, main
from toolchain.frontend.check import stmt
from toolchain.host import compile

ROOT = Path(__file__).resolve().parents[2]
TOLD = sorted(path.stem for path in explain.FOLDER.glob("K*.md"))
SHOWN = [code for code in TOLD if explain.stories()[code].wrong]
# What one file cannot show: tested below, by name, or in the file named.
ELSEWHERE = {
    "K0002": "test_explain.py", "K0003": "test_explain.py", "K0005": "test_bad_input.py",
    "K0006": "test_bad_input.py", "K0705": "test_effects.py", "K1001": "test_explain.py",
    "K1002": "test_explain.py", "K1003": "test_explain.py",
}


def reported() -> set[str]:
    """Every code that stands in the toolchain's sources."""
    found: set[str] = set()
    for path in (ROOT / "toolchain").rglob("*.py"):
        if path.name != "stories.py":
            found |= set(re.findall(r"\"(K[01]\d{3})\"", path.read_text()))
    return found


def test_every_code_reported_has_a_story():
    assert reported() - set(explain.stories()) == set()


def test_every_story_is_of_a_code_that_is_reported():
    assert set(explain.stories()) - reported() == set()


def test_every_story_shows_its_diagnostic_or_says_which_test_does():
    assert set(TOLD) - set(SHOWN) == set(ELSEWHERE)
    for code, name in ELSEWHERE.items():
        assert code in (Path(__file__).parent / name).read_text()


@pytest.mark.parametrize("code", SHOWN)
def test_the_wrong_example_gets_exactly_what_the_story_says(code):
    story = explain.stories()[code]
    assert rendered(story.wrong) == story.says.rstrip("\n"), (
        "if this is meant: python -m tests.toolchain.bless_explain, and review the difference")
    assert [d.code for d in diagnostics(story.wrong)] == [code]


@pytest.mark.parametrize("code", SHOWN)
def test_the_right_example_compiles(code):
    assert rendered(explain.stories()[code].right) == ""


@pytest.mark.parametrize("code", TOLD)
def test_a_story_is_short_and_plain(code):
    story = explain.stories()[code]
    assert story.title and not story.title.endswith(".")
    assert 1 <= len(story.text.splitlines()) <= 12
    assert all(len(line) <= 100 for line in story.text.splitlines())


def test_explain_prints_title_story_and_examples(capsys):
    assert main(["explain", "k0408"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("K0408: a function may end without its result\n")
    assert "    def sign(n: u32) -> u32:" in text and "What kpyc says:" in text


@pytest.mark.parametrize("spelled", ["K0308", "k0308", "308", "0308", "error[K0308]", "K308"])
def test_codes_may_be_spelled_in_any_way(spelled):
    assert (explain.story(spelled) or "").startswith("K0308: ")


def test_explain_all_lists_every_code_with_its_title(capsys):
    assert main(["explain", "ALL"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == sorted(explain.stories())


@pytest.mark.parametrize(("spelled", "help"), [
    ("K0399", "did you mean K0348? "), ("K08", "did you mean K0801? "),
    ("nonsense", "codes look like K0308; ")])
def test_k1003_an_unknown_code_names_the_nearest(spelled, help, capsys):
    assert main(["explain", spelled]) == 1
    err = capsys.readouterr().err
    assert f"error[K1003]: there is no diagnostic `{spelled}`" in err
    assert f"help: {help}`kpyc explain all` lists them" in err


def test_k1001_a_failure_of_the_compiler_names_the_line_of_the_user(tmp_path, monkeypatch, capsys):
    def fail(b, node):
        raise KeyError("lost")
    monkeypatch.setitem(stmt._HANDLERS, stmt.ast.Pass, fail)
    path = tmp_path / "example.py"
    path.write_text("def f() -> None:\n    pass\n")
    assert main(["check", str(path)]) == 3
    err = capsys.readouterr().err
    assert "error[K1001]: the compiler itself failed: KeyError: 'lost'" in err
    assert "example.py:2:5" in err and "Traceback" not in err


def test_k1002_what_llvm_refuses_is_reported_with_its_words(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(llvm, "emit_module", lambda *_: "this is no IR")
    path = tmp_path / "example.py"
    path.write_text("def f() -> None:\n    pass\n")
    assert main(["build", "--target", "host", "--no-cache", "-o", str(tmp_path / "o"),
                 str(path)]) == 1
    err = capsys.readouterr().err
    assert "error[K1002]: LLVM refused what the compiler made of `" in err
    assert "this is no IR" in err and "defect of kpyc" in err


@pytest.mark.parametrize(("name", "message"), [
    ("missing.py", "cannot read `{}`: No such file or directory"),
    ("folder", "`{}` is a directory, not a source file")])
def test_k0003_what_is_no_source_file(name, message, tmp_path):
    (tmp_path / "folder").mkdir()
    _, found = check_files([tmp_path / name])
    assert [d.render().splitlines()[0] for d in found] == [
        f"error[K0003]: {message.format(tmp_path / name)}"]


def test_k0002_bytes_that_are_no_text_are_pointed_at():
    found = diagnostics(b'x = "\xe9"\n')
    assert [d.message for d in found] == ["this file is not UTF-8: byte 0xe9 at line 1"]
    assert codes(b'x = "\xe9"\n') == ["K0002 1:6"]


@pytest.mark.parametrize("code", ["K1103", "K1104"])
def test_k1103_k1104_a_tool_that_fails_is_quoted(code):
    sink = Sink()
    with pytest.raises(compile.Failed):
        compile.run([sys.executable, "-c", "raise SystemExit('no such thing')"], sink,
                    "the tool refused", code)
    assert [d.code for d in sink.diagnostics] == [code]
    text = sink.render()
    assert "the tool refused" in text and "no such thing" in text


def test_k1104_a_program_with_its_own_runtime_cannot_be_run_here(tmp_path, capsys):
    path = tmp_path / "example.py"
    path.write_text('''from kpy import Never, export, u64

@export("kpy.rt.check_failed")
def failed(site: u64, a: u64, b: u64) -> Never:
    while True:
        pass

def f(a: u64) -> u64:
    return a + 1
''')
    assert main(["run", str(path), "f", "1"]) == 1
    err = capsys.readouterr().err
    assert "error[K1104]: the objects could not be linked for this machine" in err
    assert "kpy.rt.check_failed" in err and "Traceback" not in err


def test_k1101_a_missing_c_compiler_is_named(monkeypatch):
    monkeypatch.setattr(compile, "compiler_name", lambda: "")
    sink = Sink()
    with pytest.raises(compile.Failed):
        compile.need_compiler(sink)
    assert sink.diagnostics[0].render().startswith("error[K1101]: there is no C compiler")


def test_k1102_a_missing_cython_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(compile, "compiler_name", lambda: "cc")
    monkeypatch.setattr(compile.importlib.util, "find_spec", lambda name: None)
    sink = Sink()
    with pytest.raises(compile.Failed):
        compile.extension(tmp_path / "a.pyx", tmp_path / "a.so", sink)
    assert sink.diagnostics[0].render().startswith("error[K1102]: Cython is not installed")


def test_k0005_a_cycle_of_packages_is_shown_whole():
    found = diagnostics("import other\n", other="import example\n")
    assert [d.code for d in found] == ["K0005"]
    assert found[0].message in ("import cycle: example -> other -> example",
                                "import cycle: other -> example -> other")


def test_k0006_points_at_the_deep_place():
    assert codes("from kpy import Final\nX: Final = " + "-" * 300 + "1\n")[0].startswith(
        "K0006 2:")


def test_bless_leaves_reviewed_stories_alone():
    before = {p: p.read_text() for p in explain.FOLDER.glob("K*.md")}
    done = subprocess.run([sys.executable, "-m", "tests.toolchain.bless_explain", "K0408"],
                          cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert {p: p.read_text() for p in explain.FOLDER.glob("K*.md")} == before
