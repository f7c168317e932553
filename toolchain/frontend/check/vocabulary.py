# SPDX-License-Identifier: BSD-3-Clause
"""The names `kpy` exports, as the compiler knows them.  docs/kpy.md tells what they mean.

Tests     tests/toolchain/test_stubs.py (the same names in toolchain/kpy)
"""
from __future__ import annotations

from toolchain.frontend import types as t

PLAIN_TYPES: dict[str, t.Type] = {
    **{f"u{n}": t.int_type(n) for n in range(1, 65)},
    **{f"i{n}": t.int_type(n, True) for n in (8, 16, 32, 64)},
    "usize": t.USIZE, "isize": t.ISIZE, "bool": t.BOOL,
    "PhysAddr": t.PHYS_ADDR, "VirtAddr": t.VIRT_ADDR, "Str": t.STR, "Never": t.NEVER,
    **{f"le{n}": t.endian(n, False) for n in (16, 32, 64)},
    **{f"be{n}": t.endian(n, True) for n in (16, 32, 64)},
}
TYPE_FORMS = frozenset({
    "Ptr", "MPtr", "UserPtr", "Mmio", "Slice", "Array", "Atomic", "PerCpu", "Fn", "ThrowsFn",
    "NoBlock", "Final", "Union", "Iterator", "Type", "TypeAlias", "Generic", "Bit", "Bits",
    "RO", "RW", "WO", "RW1C",
})
DECORATORS = frozenset({
    "struct", "bits", "enum", "flags", "regs", "inline", "noinline", "naked", "interrupt",
    "extern", "export", "section", "cold", "wrapping", "comptime", "throws", "staticmethod",
    "property", "may_block", "no_block", "forbids_blocking", "recursive", "entry", "hook",
    "fault_site", "syscall", "driver", "sysinit", "table", "upcall", "implements",
})
FUNCTIONS = frozenset({
    "sizeof", "alignof", "offsetof", "static_assert", "trunc", "wrapping", "bits_of",
    "from_bits", "ref", "lend", "copy", "unwrap", "zeroed", "rotl", "rotr", "popcount", "ctz",
    "clz", "bswap", "mulhi", "add_carry", "sub_borrow", "mul_overflow", "field", "volatile_load",
    "volatile_store", "pause", "cast", "address_of", "pointer_at", "make_slice",
    "container_of", "memcpy", "memmove", "memset", "memcmp", "asm", "kprintf", "klog", "panic",
    "kassert", "fence", "compiler_fence", "entries", "bytes_of", "frame_address", "return_address",
    "symbol_address", "unreachable",
})
BUILTIN_FUNCTIONS = frozenset({"len", "range", "enumerate", "zip", "reversed", "min", "max", "abs",
                               "ord"})
ARGUMENTS: dict[str, tuple[int, ...]] = {       # of a function: how many, or from and to
    name: count for count, names in {
        (0,): "pause frame_address return_address",
        (1,): "wrapping bits_of popcount ctz clz bswap abs sizeof alignof zeroed ref lend unwrap "
              "len bytes_of volatile_load address_of symbol_address entries",
        (2,): "trunc from_bits rotl rotr mulhi add_carry sub_borrow mul_overflow offsetof field "
              "copy volatile_store cast pointer_at make_slice",
        (2, 8): "min max",
        (3,): "container_of memcpy memmove memset memcmp",
    }.items() for name in names.split()}
ORDERS = ("relaxed", "acquire", "release", "acq_rel", "seq_cst")
OTHERS = frozenset({"Errno", "TypeVar", "ConstVar", "FieldVar", "TYPE_CHECKING", "TableEntry",
                    *ORDERS})
NAMES = frozenset({*PLAIN_TYPES, *TYPE_FORMS, *DECORATORS, *FUNCTIONS, *OTHERS})
