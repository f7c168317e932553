# SPDX-License-Identifier: BSD-3-Clause
"""The front end: source text to the typed tree (`tree.py`), or to diagnostics.

source    text, tokens and places; what is not Python is refused here
modules   which file a module name is, and in which order modules are declared
types     the types of kpy, their layout and their conversions
tree      the typed tree: what the checker makes and every later pass reads
check     declarations, statements and expressions to the typed tree
comptime  constants and @comptime functions, executed by CPython
effects   may block, needs N bytes of stack: over the whole program
"""
