# SPDX-License-Identifier: BSD-3-Clause
"""The typed tree: a kpy program with every name resolved, every type known, every sugar gone.

The checker makes it; `lower/` turns it into a control-flow graph, `oracle/` executes it in plain
Python, `host/` binds it to Cython.  It knows nothing of LLVM.

    def total(xs: Slice[u32]) -> u64:          Function total(xs: Slice[u32]) -> u64
        s: u64 = 0                               Declare s: u64 = Const 0
        for x in xs:                             Declare .seq = Load xs; Declare .i = Const 0
            s += x                               While Compare(lt, Load .i, Len(Load .seq)):
        return s                                   Block continue: Declare x = Load .seq[.i]
                                                     AugAssign s add Convert(widen, Load x)
                                                   AugAssign .i add 1 (wrap)
                                                 Return Load s

What holds of it
  T1  Every expression has its final type: no LITERAL, no POISON (a module with errors has no tree),
      no implicit conversion: operands of Binary and Compare have one type, an assigned value has
      the place's type, an argument the parameter's.
  T2  An expression is a *value* (register-sized, tuple, slice) or a *place* (storage).  Aggregates
      (struct, array, union, atomic) exist as places only, but for StructLit, UnionLit, ArrayLit,
      ZeroInit and calls: those may stand where storage is filled (Declare, Assign, Return, Temp,
      an element of another literal).
  T3  Narrowing, default arguments, f-strings, comprehension-like sugar, generators and operator
      methods are gone: expanded, with the source's locations kept.
  T4  Each source variable is one Var, whatever is assigned to it (so gdb is right by
      construction).  Names starting with "." are the compiler's own.
  T5  Sub-expressions are evaluated left to right, once; AugAssign evaluates its place once.
Tests     tests/toolchain/test_check_*.py
"""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from toolchain.frontend.types import ArrayType

if TYPE_CHECKING:
    from toolchain.frontend.source import SourceFile
    from toolchain.frontend.types import Field, FnType, Register, Type


class Loc(NamedTuple):
    """Where something is written: `ast`'s numbers (lines from 1, columns in UTF-8 bytes from 0)."""

    source: SourceFile
    line: int
    col: int
    end_line: int
    end_col: int


# ---- declarations -------------------------------------------------------------------------------

@dataclass(slots=True, eq=False)
class Var:
    """A parameter or local: one memory slot.  `kind` is "param", "local" or "temp"."""

    name: str
    ty: Type
    kind: str
    loc: Loc


@dataclass(slots=True, eq=False)
class Attrs:
    """What decorators said of a function."""

    inline: bool = False
    noinline: bool = False
    naked: bool = False              # body is one Asm; no prologue
    interrupt: bool = False          # x86_intrcc; param 0 is Ptr[frame], perhaps param 1 u64 code
    extern: bool = False             # no body: defined elsewhere (another language, the linker)
    upcall: bool = False             # no body: exactly one @implements elsewhere
    hook: str = ""                   # "clock", "cpuid", "random", "crit", "dma": host may take over
    wrapping: bool = False
    may_block: bool = False          # the primitive that blocks
    no_block: bool = False           # must not: checked over the whole program
    forbids_blocking: bool = False   # __enter__: nothing in the with-body may block
    recursive: int = 0               # stated bound on the depth of recursion
    entry_stack: int = 0             # an entry point and the stack it has, in bytes
    fault_site: str = ""             # "alloc", "io": instrumented builds may make it fail
    section: str = ""
    export: str = ""                 # linker symbol, where it is not the qualified name
    noreturn: bool = False
    cold: bool = False
    unknown: bool = False            # one was reported: what it said of the function is not known
    tables: list[TableEntry] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class TableEntry:
    """One record of a link-time table: @syscall(12), @sysinit(order), @driver(...), @table(...).

    Entries of one table are sorted by `key` in the image; two with one key are an error.
    """

    table: str
    key: int
    name: str
    unique: bool
    data: tuple[int, ...]            # further numbers, shown to the reader of the table
    symbol: str
    loc: Loc


@dataclass(slots=True, eq=False)
class Function:
    """A function to generate, or (body None) one defined elsewhere.

    `symbol` is the linker name: `module.function`, `module.Class.method`, for an instance of a
    generic `module.function[u32]`.  A throwing function returns (result, i32 code), code 0: fine.
    """

    symbol: str
    name: str
    module: str
    params: list[Var]
    result: Type
    throws: bool
    attrs: Attrs
    loc: Loc
    body: list[Stmt] | None = None
    locals: list[Var] = field(default_factory=list)   # all, also the compiler's temps
    owner: Type | None = None        # the struct of a method
    is_instance: bool = False        # instance of a generic: may be emitted by several modules
    doc: str = ""
    effects: Any = None              # what the effect pass collected from the body
    end_line: int = 0


@dataclass(slots=True, eq=False)
class Global:
    """A module-level variable.  `init` is a ConstValue (below); None means all zero.

    `constant`: goes to read-only memory.  `percpu`: one a CPU, reached through the segment base.
    """

    symbol: str
    name: str
    ty: Type
    init: ConstValue | None
    constant: bool
    loc: Loc
    percpu: bool = False
    section: str = ""
    align: int = 0
    extern: bool = False
    export: str = ""

    @property
    def alignment(self) -> int:
        """Of its address, in bytes.

        An array of 16 bytes or more is 16-aligned, as in C (System V ABI for x86-64, 3.1.2): a
        vector's load does not cross cache lines.  A section's rows stay as close as declared, and
        nothing more is assumed of what somebody else defines.
        """
        vectors = isinstance(self.ty, ArrayType) and self.ty.size >= 16
        least = 16 if vectors and not (self.section or self.extern) else 1
        return max(least, self.align, self.ty.align)


# Constant data.  For a type: int, bool, enum, flags, bits, newtype, endian (host value), null and
# address-like types: int; Array: list of ConstValue, or bytes for u8; Slice and Str: bytes, or a
# list (the elements go to an anonymous constant); struct: dict by field name; tuple: tuple;
# union: (tag, dict); a function or the address of a global: SymbolRef.
ConstValue: TypeAlias = Any


@dataclass(slots=True, frozen=True)
class SymbolRef:
    """The address of a function or global in constant data."""

    symbol: str
    addend: int = 0
    target: Function | Global | None = field(default=None, compare=False, repr=False)


@dataclass(slots=True, eq=False)
class AsmBlock:
    """File-level assembly: AT&T text for LLVM's integrated assembler."""

    text: str
    loc: Loc


@dataclass(slots=True, eq=False)
class Module:
    """A checked module.  `functions` has instances of generics it needed, too.

    `externals`: every Function of another module it calls or takes the address of.  Of these,
    those with attrs.inline (or is_instance) have bodies, to be inlined here.
    """

    name: str
    source: SourceFile
    unsafe: bool
    functions: list[Function] = field(default_factory=list)
    globals: list[Global] = field(default_factory=list)
    asm: list[AsmBlock] = field(default_factory=list)
    externals: dict[str, Function] = field(default_factory=dict)       # by symbol
    external_globals: dict[str, Global] = field(default_factory=dict)  # by symbol
    types: list[Type] = field(default_factory=list)                    # declared here, in order
    implements: dict[str, Function] = field(default_factory=dict)      # upcall symbol -> ours

    @property
    def assembly_alone(self) -> bool:
        """Whether it is one block of assembly and nothing else."""
        return len(self.asm) == 1 and not (self.functions or self.globals)


# ---- expressions: values ------------------------------------------------------------------------

@dataclass(slots=True, eq=False)
class Expr:
    ty: Type
    loc: Loc


@dataclass(slots=True, eq=False)
class Const(Expr):
    """An integer-like constant (int, bool, enum, flags, bits, newtype, endian as host value,
    null pointer 0)."""

    value: int


@dataclass(slots=True, eq=False)
class ConstData(Expr):
    """A constant Slice or Str (bytes, or list), or any constant aggregate, in read-only memory."""

    value: ConstValue


@dataclass(slots=True, eq=False)
class FnRef(Expr):
    """The address of a function, as an FnType value."""

    function: Function


@dataclass(slots=True, eq=False)
class Load(Expr):
    """The scalar, slice or tuple in a place."""

    place: Place


@dataclass(slots=True, eq=False)
class AddrOf(Expr):
    """The address of a place: Ptr[T] (or MPtr)."""

    place: Place


@dataclass(slots=True, eq=False)
class Unary(Expr):
    """op: "neg" (checked or wrap), "inv" (~, in the width), "not" (bool)."""

    op: str
    operand: Expr
    wrap: bool = False


@dataclass(slots=True, eq=False)
class Binary(Expr):
    """op: add sub mul floordiv mod and or xor shl shr, on one integer type (T1; of shl and shr the
    right operand is any unsigned type).

    Not `wrap`: traps when the exact result does not fit (shl too; release builds wrap instead, and
    give 0 for a shift past the width, sign for a signed shr).  floordiv and mod floor; a zero
    divisor traps in every build.
    """

    op: str
    left: Expr
    right: Expr
    wrap: bool = False


@dataclass(slots=True, eq=False)
class Compare(Expr):
    """op: eq ne lt le gt ge.  Operands of one scalar type (pointers: eq, ne; nullable or not)."""

    op: str
    left: Expr
    right: Expr


@dataclass(slots=True, eq=False)
class SliceEqual(Expr):
    """Whether two slices of integers have equal length and bytes.  `negate`: the opposite."""

    left: Expr
    right: Expr
    negate: bool


@dataclass(slots=True, eq=False)
class Logic(Expr):
    """`and` / `or`, short-circuit."""

    op: str
    left: Expr
    right: Expr


def joined(op: str, loc: Loc, parts: list[Expr]) -> Expr:
    """`parts[0] op parts[1] op ...`; of very many a balanced tree, so that no pass nests deeply."""
    if len(parts) > 32:
        middle = len(parts) // 2
        parts = [joined(op, loc, parts[:middle]), joined(op, loc, parts[middle:])]
    made = parts[0]
    for part in parts[1:]:
        made = Logic(made.ty, loc, op, made, part)
    return made


@dataclass(slots=True, eq=False)
class IfExp(Expr):
    cond: Expr
    then: Expr
    other: Expr


@dataclass(slots=True, eq=False)
class Convert(Expr):
    """kind:
    widen     int to a type that holds every value
    checked   int to int: traps unless the value fits (release: traps too; it is asked for)
    trunc     int to int, low bits
    raw       between integer-like types of one size and meaning (enum, flags, bits, newtype, bool
              to int): same bits.  int to enum is "checked" against the members (see `enum`)
    endian    host integer to or from leN/beN: swap bytes if big
    ptr       between pointer-like types (Ptr, Ptr|None, MPtr, UserPtr, Mmio), upcasts included
    int_ptr   integer or address newtype to pointer-like;  ptr_int  the reverse
    slice     Str to Slice[u8]; Array place is taken by SliceOf instead
    unwrap    Ptr|None to Ptr where the checker cannot prove it: traps on null (from `unwrap(p)`)
    enum      int to enum: traps unless it is a member;  bool: int to bool, value != 0
    """

    kind: str
    operand: Expr


@dataclass(slots=True, eq=False)
class Call(Expr):
    """A direct call.  `throws`: the callee's; the error goes to the innermost Try or propagates."""

    function: Function
    args: list[Expr]
    throws: bool


@dataclass(slots=True, eq=False)
class CallIndirect(Expr):
    """A call through an FnType value.

    `table` is (struct symbol, field) where the value was loaded from a struct field.
    """

    callee: Expr
    signature: FnType
    args: list[Expr]
    throws: bool
    table: tuple[str, str] | None = None


@dataclass(slots=True, eq=False)
class Len(Expr):
    """The u64 length of a slice value."""

    operand: Expr


@dataclass(slots=True, eq=False)
class SliceData(Expr):
    """The address of a slice value's first element, as MPtr (behind copy_from, fill, `.data`)."""

    operand: Expr


@dataclass(slots=True, eq=False)
class MakeSlice(Expr):
    """A slice from MPtr/Ptr and u64 length (unsafe modules)."""

    pointer: Expr
    length: Expr


@dataclass(slots=True, eq=False)
class SliceOf(Expr):
    """base[lo:hi] of a slice value or an array place; lo, hi u64 or None.  0 <= lo <= hi <= len,
    or it traps (no clipping as Python has it)."""

    base: Expr
    lo: Expr | None
    hi: Expr | None


@dataclass(slots=True, eq=False)
class MakeTuple(Expr):
    items: list[Expr]


@dataclass(slots=True, eq=False)
class TupleGet(Expr):
    operand: Expr
    index: int


@dataclass(slots=True, eq=False)
class StructLit(Expr):
    """Fields by name; those not named are zero.  Of a BitsType: a value, not an aggregate."""

    fields: dict[str, Expr]


@dataclass(slots=True, eq=False)
class UnionLit(Expr):
    """A tagged union holding `variant` number `tag`."""

    tag: int
    payload: Expr


@dataclass(slots=True, eq=False)
class ArrayLit(Expr):
    items: list[Expr]


@dataclass(slots=True, eq=False)
class ZeroInit(Expr):
    """All bytes zero, of an aggregate, slice, tuple or pointer-free scalar."""


@dataclass(slots=True, eq=False)
class BitsGet(Expr):
    """Bits `field` of a BitsType value, as field.ty."""

    operand: Expr
    field: Field


@dataclass(slots=True, eq=False)
class BitsWith(Expr):
    """A BitsType value with some fields replaced."""

    operand: Expr
    fields: dict[str, Expr]


@dataclass(slots=True, eq=False)
class Seq(Expr):
    """Statements, then a value: the walrus, an inlined body."""

    body: list[Stmt]
    value: Expr


@dataclass(slots=True, eq=False)
class AtomicOp(Expr):
    """op: load store swap add sub and or xor (fetch_*: old value) cas.

    `place` is an Atomic[T].  cas: args (expected, desired), result bool; cas_value (the old value)
    has op "cas_value".  order: relaxed acquire release acq_rel seq_cst.
    """

    op: str
    place: Place
    args: list[Expr]
    order: str


@dataclass(slots=True, eq=False)
class Fence(Expr):
    """order as above, or "compiler" (no instruction)."""

    order: str


@dataclass(slots=True, eq=False)
class MmioRead(Expr):
    """One volatile load of a register.  index: u64 or None (checked against register.count)."""

    base: Expr
    register: Register
    index: Expr | None


@dataclass(slots=True, eq=False)
class MmioWrite(Expr):
    """One volatile store; VOID."""

    base: Expr
    register: Register
    index: Expr | None
    value: Expr


@dataclass(slots=True, eq=False)
class VolatileLoad(Expr):
    place: Place


@dataclass(slots=True, eq=False)
class VolatileStore(Expr):
    place: Place
    value: Expr


@dataclass(slots=True, eq=False)
class Intrinsic(Expr):
    """A machine operation with no side effect.

    popcount ctz clz bswap (one integer);  rotl rotr (value, count);  min max;  mulhi (u64 high
    half);  add_carry (a, b) -> tuple[T, bool], sub_borrow, mul_overflow likewise;
    frame_address() and return_address() -> u64;  memcpy memmove memset memcmp
    (MPtr or Ptr, u64 length);  slice_copy (to, from): equal lengths or trap, may overlap;
    slice_fill (slice, value);  pause()  trap() (type Never).
    """

    op: str
    args: list[Expr]


@dataclass(slots=True, eq=False)
class AsmExpr(Expr):
    """Inline assembly.  ty is VOID, an integer, or a tuple for several outputs.

    `constraints` is LLVM's string, `template` AT&T with $0 operands, made by the checker.
    """

    template: str
    constraints: str
    args: list[Expr]
    volatile: bool


@dataclass(slots=True, eq=False)
class TableRef(Expr):
    """The link-time table `table` as Slice[Entry] (Entry: the struct kpy.TableEntry)."""

    table: str


# ---- expressions: places ------------------------------------------------------------------------

@dataclass(slots=True, eq=False)
class Place(Expr):
    """Storage of type `ty`."""


@dataclass(slots=True, eq=False)
class VarPlace(Place):
    var: Var


@dataclass(slots=True, eq=False)
class GlobalPlace(Place):
    global_: Global


@dataclass(slots=True, eq=False)
class Deref(Place):
    """What a Ptr (or MPtr, unsafe) points to."""

    pointer: Expr


@dataclass(slots=True, eq=False)
class FieldPlace(Place):
    """A field of a struct place, or (bit field of a BitsType place) bits of it: loads extract,
    stores read, modify and write."""

    base: Place
    field: Field


@dataclass(slots=True, eq=False)
class IndexPlace(Place):
    """base[index], base an array place, a slice value, or an MPtr value (then `unchecked`).

    index is u64 (or i64 for MPtr); out of range traps in every build.
    """

    base: Expr
    index: Expr
    unchecked: bool = False


@dataclass(slots=True, eq=False)
class UnionPayload(Place):
    """The payload of a union place as variant `tag`; the tag has been tested."""

    base: Place
    tag: int


@dataclass(slots=True, eq=False)
class UnionTag(Expr):
    """The u32 tag of a union place."""

    base: Place


@dataclass(slots=True, eq=False)
class Temp(Place):
    """An unnamed slot filled with `value`: the address of a result."""

    value: Expr


# ---- statements ---------------------------------------------------------------------------------

@dataclass(slots=True, eq=False)
class Stmt:
    loc: Loc


@dataclass(slots=True, eq=False)
class Declare(Stmt):
    """A local begins.  init None: all zero.  In a loop it is initialised anew each time."""

    var: Var
    init: Expr | None


@dataclass(slots=True, eq=False)
class Assign(Stmt):
    place: Place
    value: Expr


@dataclass(slots=True, eq=False)
class AugAssign(Stmt):
    """place = place op value, the place evaluated once; ops and traps as Binary's."""

    place: Place
    op: str
    value: Expr
    wrap: bool = False


@dataclass(slots=True, eq=False)
class ExprStmt(Stmt):
    expr: Expr


@dataclass(slots=True, eq=False)
class If(Stmt):
    cond: Expr
    then: list[Stmt]
    other: list[Stmt]


@dataclass(slots=True, eq=False)
class Label:
    """The identity of a Block or While, for Break and Continue."""

    name: str = ""


@dataclass(slots=True, eq=False)
class While(Stmt):
    """`other` is Python's `else`: runs when cond is false, not on break.

    `step` runs after the body and on Continue(label), before cond.
    """

    cond: Expr
    body: list[Stmt]
    step: list[Stmt]
    other: list[Stmt]
    label: Label


@dataclass(slots=True, eq=False)
class Block(Stmt):
    """Statements; Break(label) leaves it."""

    body: list[Stmt]
    label: Label


@dataclass(slots=True, eq=False)
class Break(Stmt):
    label: Label


@dataclass(slots=True, eq=False)
class Continue(Stmt):
    label: Label


@dataclass(slots=True, eq=False)
class Return(Stmt):
    value: Expr | None


@dataclass(slots=True, eq=False)
class Raise(Stmt):
    """Leave with error `code` (i32): to the innermost Try, or out of the function.  A re-raise
    (`raise` alone) has become a Raise of the handler's code."""

    code: Expr


@dataclass(slots=True, eq=False)
class Try(Stmt):
    """`handler` None: try/finally only.  In the handler `code_var` (i32) has the error."""

    body: list[Stmt]
    code_var: Var | None
    handler: list[Stmt] | None
    other: list[Stmt]
    final: list[Stmt]


@dataclass(slots=True, eq=False)
class With(Stmt):
    """`enter` once (its value perhaps kept by statements in `body`), then `body`, and on every way
    out (falling off, return, break, continue, raise, error of a call) `leave`.

    `manager` is a Declare of the manager's address, done before `enter`.
    """

    manager: Declare | None
    enter: list[Stmt]
    body: list[Stmt]
    leave: list[Stmt]


@dataclass(slots=True, eq=False)
class Switch(Stmt):
    """Match on an integer-like value, all cases constant and distinct.

    Guards, bindings and struct patterns have become If and Declare inside `body`.
    `default` None: the checker proved the cases exhaustive (reaching it traps).
    """

    subject: Expr
    cases: list[tuple[list[int], list[Stmt]]]
    default: list[Stmt] | None


@dataclass(slots=True, eq=False)
class Assert(Stmt):
    """Unless cond: panic with `text` (the expression's source), the values in `shown` (label,
    value) and the optional message pieces.  `debug` (a kassert): only where overflow traps too."""

    cond: Expr
    text: str
    shown: list[tuple[str, Expr]]
    message: list[FormatPiece]
    debug: bool = False


@dataclass(slots=True, eq=False)
class FormatPiece:
    """A literal piece (`text`), or `value` shown by `spec`.

    value is an int-like, bool, pointer, Str or Slice[u8].  spec: base 10/16/2/8/"c", width, fill,
    sign, "#": see `FormatSpec` packing in check/format.
    """

    text: bytes
    value: Expr | None = None
    spec: int = 0


@dataclass(slots=True, eq=False)
class Print(Stmt):
    """kprintf / klog (`sink`) or panic (`sink` "panic": does not return)."""

    sink: str
    pieces: list[FormatPiece]
