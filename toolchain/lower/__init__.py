# SPDX-License-Identifier: BSD-3-Clause
"""Lowering: the typed tree to a control-flow graph.

cfg         the graph: functions, blocks, instructions; its text, as `kpyc dump --stage cfg` shows
verify      what every graph must satisfy, checked between passes by the tests
build       the state of lowering one function: current block, slots, scopes
cleanup     which blocks run when control leaves a with, a try or a function
place       storage: variables, fields, elements
expression  values
aggregate   structs, arrays and unions, made where they will live
statement   control flow
message     asserts, kprintf and panic
mutate      on request: mutants, asleep until one is chosen
instrument  on request: hooks, schedule points, edge counters, fault sites
lower       all of it: a module
"""
