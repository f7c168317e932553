# SPDX-License-Identifier: BSD-3-Clause
"""The back end: control-flow graph to LLVM IR text, and that to objects.

target   the machines code is generated for
abi      types and signatures as LLVM sees them
data     constants: globals, strings, the records of checks, link-time tables
dwarf    debug metadata
ops      arithmetic, comparisons and conversions, checked
llvm     a module: functions, blocks, memory, calls, atomics
asm      inline and file-level assembly, and finding which of it does not assemble
worker   LLVM in processes of its own: optimise, emit
jit      run host objects inside this process, for tests
"""
