# SPDX-License-Identifier: BSD-3-Clause
"""How a diagnostic is shown: to a person as text, to an editor as JSON."""
from __future__ import annotations

import json

import pytest

from tests.toolchain.diagnose import diagnostics, rendered
from toolchain.diagnostics import ERROR_LIMIT, WIDTH, Diagnostic, Sink
from toolchain.driver import main
from toolchain.frontend.source import SourceFile

ACCENTED = """\
from kpy import Str, u32

def f(n: u32, s: Str) -> u32:
    é: u32 = 1; x: u32 = é + s
    return x
"""


def shape(value):
    """The kinds of JSON values, down to the leaves."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return type(value)


RANGE = {"file": str, "start": {"line": int, "column": int}, "end": {"line": int, "column": int}}


def test_json_is_one_object_a_line_with_every_key(tmp_path, capsys):
    path = tmp_path / "example.py"
    path.write_text("from kpy import u32, u64\ndef f(a: u64) -> u32:\n    return a\n"
                    "def g(n: u32) -> u32:\n    return m\n")
    assert main(["check", "--json", str(path)]) == 1
    shown = capsys.readouterr()
    assert shown.err == ""
    objects = [json.loads(line) for line in shown.out.splitlines()]
    assert [o["code"] for o in objects] == ["K0308", "K0202"]
    for made in objects:
        notes = [{"message": str, "range": RANGE}] * len(made["notes"])
        assert shape(made) == {"code": str, "severity": str, "message": str, "label": str,
                               "range": RANGE, "notes": notes, "help": str}
    assert objects[0]["range"] == {"file": objects[0]["range"]["file"],
                                   "start": {"line": 3, "column": 12},
                                   "end": {"line": 3, "column": 13}}
    assert objects[0]["notes"][0]["message"] == "`a` is declared"
    assert objects[0]["notes"][0]["range"]["start"] == {"line": 2, "column": 7}
    assert objects[0]["severity"] == "error"


def test_json_of_a_correct_file_is_nothing(tmp_path, capsys):
    path = tmp_path / "example.py"
    path.write_text("def f() -> None:\n    pass\n")
    assert main(["check", "--json", str(path)]) == 0
    assert capsys.readouterr() == ("", "")


def test_json_without_a_place_has_a_null_range(tmp_path, capsys):
    assert main(["check", "--json", str(tmp_path / "missing.py")]) == 1
    made = json.loads(capsys.readouterr().out)
    assert (made["code"], made["range"]) == ("K0003", None)


def test_a_warning_is_told_apart(tmp_path, capsys):
    path = tmp_path / "example.py"
    path.write_text("def f() -> None:\n    return\n    f2()\ndef f2() -> None:\n    pass\n")
    assert main(["check", "--json", str(path)]) == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["code"], made["severity"]) == ("K0404", "warning")


def test_columns_count_characters_where_ast_counts_bytes():
    found, = diagnostics(ACCENTED)
    line = ACCENTED.splitlines()[3]
    where = found.as_json()["range"]
    start, end = where["start"]["column"], where["end"]["column"]
    assert line[start - 1:end - 1] == "é + s"
    source, carets = found.render().splitlines()[3:5]
    assert source[carets.index("^"):].startswith("é + s")


def test_a_multi_line_range_ends_where_the_expression_does():
    found, = diagnostics("from kpy import u32, Str\ndef f(s: Str) -> u32:\n    return (s\n"
                         "            + 'é')\n")
    where = found.as_json()["range"]
    assert (where["start"], where["end"]) == ({"line": 3, "column": 13}, {"line": 4, "column": 18})


@pytest.mark.parametrize("source", [
    "def f(a, b):\n    pass\n", "class é:\n    pass\n", "def  été(n):\n    pass\n"])
def test_a_declaration_is_pointed_at_by_its_name(source):
    found = diagnostics(source)[0]
    carets = found.render().splitlines()[4]
    assert carets.count("^") in (1, len("été"))


def test_a_long_line_is_shown_around_the_carets():
    found, = diagnostics("from kpy import u32\ndef f(n: u32) -> u32:\n    return "
                         + "n + " * 60 + "missing" + " + n" * 60 + "\n")
    line = found.render().splitlines()[3]
    assert len(line) <= WIDTH + 8 and "missing" in line and line.split("| ")[1].startswith("...")


def test_carets_of_a_long_line_stand_under_their_text():
    found, = diagnostics("from kpy import u32\ndef f(n: u32) -> u32:\n    return "
                         + "n + " * 60 + "missing\n")
    source, carets = found.render().splitlines()[3:5]
    assert source[carets.index("^"):].startswith("missing")


def test_a_tab_before_the_place_stays_a_tab():
    found, = diagnostics("from kpy import u32\ndef f(n: u32) -> u32:\n\treturn m\n")
    assert found.render().splitlines()[4] == "  | \t       ^ not found in this scope"


def test_what_cannot_be_printed_is_not_sent_to_the_terminal():
    shown = rendered(b"x = '\x1b[2J\xc3\xa9\x00'\n")
    assert shown.splitlines()[3] == "1 | x = '\ufffd[2Jé\ufffd'"


def test_the_same_report_at_one_place_counts_once():
    sink = Sink()
    source = SourceFile("a.py", "a", b"x = 1\n")
    for _ in range(3):
        sink.error("K0202", source.line_loc(1), "again")
    assert sink.errors == len(sink.diagnostics) == 1


def test_many_errors_are_counted_not_shown():
    sink = Sink()
    source = SourceFile("a.py", "a", b"x\n" * 200)
    for line in range(1, 151):
        sink.error("K0202", source.line_loc(line), "unknown")
    text = sink.render()
    assert text.count("error[K0202]") == ERROR_LIMIT
    assert "... and 50 more" in text
    assert text.endswith("150 errors; `kpyc explain K0202` tells more")


def test_colours_change_nothing_but_the_escapes():
    import re  # noqa: PLC0415
    found, = diagnostics(ACCENTED)
    assert re.sub(r"\033\[[0-9;]*m", "", found.render(colour=True)) == found.render()


def test_a_diagnostic_without_a_place_is_one_line_and_its_help():
    assert Diagnostic("K0003", "cannot read `x`", help="give a path").render() == (
        "error[K0003]: cannot read `x`\n  = help: give a path")
