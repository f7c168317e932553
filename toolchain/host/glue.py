# SPDX-License-Identifier: BSD-3-Clause
"""A description to the text of its Cython extension: one function for each kpy function.

    def add(a: u32, b: u32) -> u32     def add(a, b):
                                           cdef uint64_t kpy_cells[2]
                                           cdef uint64_t kpy_out[1]
                                           (<uint32_t*>(kpy_cells + 0))[0] = kpy_rt.unsigned(...)
                                           ...
                                           kpy_rt.enter(kpy_M, kpy_F[0], kpy_cells, kpy_out, ...)
                                           return (<uint32_t*>kpy_out)[0]

The text names nothing but the interface: addresses come in by setup(), so that a changed body
needs no C compiler.  Structs and globals need no text at all; they are classes made when the
module is loaded (module.py), over the native runtime's fields.
Tests     tests/toolchain/test_host_calls.py
"""
from __future__ import annotations

import keyword
from typing import Any

from toolchain.frontend.types import round_up
from toolchain.host.describe import Json, literal_docs

_C_WORDS = frozenset([
    "DEF", "ELIF", "ELSE", "IF", "NULL", "api", "bint", "by", "cdef", "char", "cimport", "complex",
    "const", "cpdef", "ctypedef", "del", "double", "enum", "extern", "float", "gil", "include",
    "inline", "int", "long", "namespace", "new", "nogil", "object", "operator", "packed", "public",
    "readonly", "register", "short", "signed", "size_t", "sizeof", "ssize_t", "struct", "union",
    "unsigned", "void", "volatile"])
_IN_FRAME = frozenset(["slice", "mptr", "tuple"])     # their arguments may need temporary memory
_AGGREGATE = frozenset(["struct", "union", "array"])


def pyx_text(description: Json) -> str:
    """The extension's source."""
    types, functions = description["types"], description["functions"]
    sources = ", ".join(description["modules"])
    used: set[int] = set()
    body: list[str] = []
    names = function_names(functions)
    for number, function in enumerate(functions):
        body += _function(number, names[number], function, types, used)
    return "\n".join([
        f"# Made by kpyc host from {sources}; not to be edited.",
        "# cython: language_level=3, binding=True, boundscheck=False, wraparound=False",
        "from libc.stdint cimport (int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t,",
        "                          uint32_t, uint64_t)",
        "cimport kpyhost as kpy_rt", "",
        "cdef kpy_rt.Module kpy_M",
        f"cdef void* kpy_F[{max(len(functions), 1)}]",
        *[f"cdef kpy_rt.Type kpy_T{n}" for n in sorted(used)], "", "",
        "def kpy_setup(module, addresses):",
        '    """Take the loaded code."""',
        "    global kpy_M" + "".join(f", kpy_T{n}" for n in sorted(used)),
        "    cdef int i",
        "    kpy_M = module",
        "    for i in range(len(addresses)):",
        "        kpy_F[i] = <void*><size_t>addresses[i]",
        *[f"    kpy_T{n} = module.types[{n}]" for n in sorted(used)],
        *body, ""])


def function_names(functions: list[Json]) -> list[str]:
    """The extension's name for each function: its own if it can be had."""
    taken: set[str] = set()
    names = []
    for number, function in enumerate(functions):
        name = "".join(c if c.isalnum() else "_" for c in function["name"])
        if keyword.iskeyword(name) or name in _C_WORDS or name in taken or name[:4] == "kpy_":
            name = f"{name}_{number}"
        taken.add(name)
        names.append(name)
    return names


def parameter_names(function: Json) -> list[str]:
    """A parameter named as a word of Cython gets a `_` behind."""
    return [f"{name}_" if name in _C_WORDS or name[:4] == "kpy_" else name
            for name, _ in function["params"]]


def signature(function: Json, types: list[Json]) -> str:
    """As it is declared in kpy."""
    params = ", ".join(f"{name}: {types[ty]['name']}" for name, ty in function["params"])
    return f"{function['name']}({params}) -> {types[function['result']]['name']}"


def _function(number: int, name: str, function: Json, types: list[Json], used: set[int],
              ) -> list[str]:
    names = parameter_names(function)
    result = types[function["result"]]
    kinds = [types[ty]["kind"] for _, ty in function["params"]]
    framed = any(kind in _IN_FRAME for kind in kinds)
    doc = signature(function, types) + ("\n\n" + function["doc"] if function["doc"] else "")
    out = ["", "", f"def {name}({', '.join(names)}):", f"    {literal_docs(doc)}"]
    cells = sum(round_up(types[ty]["size"], 8) // 8 for _, ty in function["params"])
    out.append(f"    cdef uint64_t kpy_cells[{max(cells, 1)}]")
    if result["kind"] in _AGGREGATE:
        used.add(function["result"])
        out.append(f"    cdef kpy_rt.View kpy_made = kpy_rt.allocate(kpy_T{function['result']})")
        target = "kpy_rt.address_of(kpy_made)"
    else:
        out.append(f"    cdef uint64_t kpy_out[{max(round_up(result['size'], 8) // 8, 1)}]")
        target = "kpy_out"
    if framed:
        out.append("    cdef kpy_rt.Frame kpy_frame = kpy_rt.Frame()")
    at = 0
    for given, (_, ty), kind in zip(names, function["params"], kinds, strict=True):
        out.append(_argument(given, at, ty, kind, types[ty], framed, used))
        at += round_up(types[ty]["size"], 8) // 8
    call = (f"kpy_rt.enter(kpy_M, kpy_F[{number}], kpy_cells, {target}, "
            f"{function['throws']}, {literal_docs(function['name'])})")
    if framed:
        out += ["    try:", f"        {call}", "    finally:", "        kpy_frame.finish()"]
    else:
        out.append(f"    {call}")
    out += _result(function["result"], result, framed, used)
    return out


def _argument(name: str, at: int, ty: int, kind: str, entry: Json, framed: bool, used: set[int],
              ) -> str:
    cell = f"kpy_cells + {at}"
    what = literal_docs(name)
    if kind == "bool":
        return f"    (<char*>({cell}))[0] = <char>kpy_rt.boolean({name}, {what})"
    used.add(ty)
    if kind in ("uint", "int"):
        c_type = _c_type(entry)
        convert = "unsigned" if kind == "uint" else "signed"
        return (f"    (<{c_type}*>({cell}))[0] = "
                f"<{c_type}>kpy_rt.{convert}({name}, kpy_T{ty}, {what})")
    frame = "kpy_frame" if framed else "None"
    return f"    kpy_rt.put(kpy_T{ty}, <char*>({cell}), {name}, {frame}, {what})"


def _result(ty: int, entry: Json, framed: bool, used: set[int]) -> list[str]:
    kind = entry["kind"]
    if kind in ("void", "never"):
        return []
    if kind in _AGGREGATE:
        return ["    return kpy_made"]
    if kind in ("uint", "int"):
        return [f"    return (<{_c_type(entry)}*>kpy_out)[0]"]
    if kind == "bool":
        return ["    return (<uint8_t*>kpy_out)[0] != 0"]
    used.add(ty)
    frame = "kpy_frame" if framed else "None"
    return [f"    return kpy_rt.result(kpy_T{ty}, <char*>kpy_out, {frame})"]


def _c_type(entry: dict[str, Any]) -> str:
    return f"{'u' if entry['kind'] == 'uint' else ''}int{8 * entry['size']}_t"
