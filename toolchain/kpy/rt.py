# SPDX-License-Identifier: BSD-3-Clause
"""What compiled code asks of the program it is linked into: failed checks and printing.

The compiler emits calls to these; exactly one module of a program implements each (in the kernel
`kernel/lib/`, in a host build the runtime of `toolchain/host/`).  All are plain C functions of
integers and pointers, so that any language can implement them.
"""
from kpy import Never, Ptr, Str, cold, enum, struct, u8, u32, u64, upcall


@enum(u32)
class Check:
    """Why a check failed, and what `a` and `b` of check_failed() are then."""
    OVERFLOW = 1        # the operands
    INDEX = 2           # index, length
    SLICE = 3           # the two bounds
    ZERO_DIVISOR = 4    # dividend
    SHIFT = 5           # value, count
    CONVERSION = 6      # value, and not shown: target's width in bits, + 256 if signed
    NULL = 7            # -
    NOT_A_MEMBER = 8    # value (of an enum)
    UNREACHABLE = 9     # -
    ASSERT = 10         # -
    PANIC = 11          # -
    PRINT = 12          # a kprintf or klog, not a failure


@enum(u32)
class Sink:
    """Where pieces of a message go."""
    KPRINTF = 0
    KLOG = 1
    PANIC = 2


@struct
class Site:
    """One place in the source, in read-only data."""
    file: Str
    function: Str
    text: Str           # the source of the expression that failed
    line: u32
    column: u32         # from 1, in characters
    kind: Check
    operands: u32       # of a and b in check_failed(): their bits in 0-7 and 8-15, or 0 for none
                        # to show; 16 and 17 are set where they are signed


@upcall
@cold
def check_failed(site: Ptr[Site], a: u64, b: u64) -> Never:
    """A check of the compiler's failed.  Signed values arrive sign-extended."""


@upcall
def print_begin(sink: Sink, site: Ptr[Site]) -> None:
    """A message begins; its pieces follow in order."""


@upcall
def print_text(sink: Sink, text: Ptr[u8], length: u64) -> None:
    """A literal piece."""


@upcall
def print_value(sink: Sink, value: u64, spec: u64) -> None:
    """A number, by `spec`: bits 0-7 base (2 8 10 16, or 1: a character), 8-15 width, 16 fill with
    zeros, 17 prefix (0x 0o 0b), 18 signed, 19 left-aligned, 20 upper case, 21 bool, 22 always a
    sign; 24-31 the value's size in bytes."""


@upcall
def print_slice(sink: Sink, text: Ptr[u8], length: u64, spec: u64) -> None:
    """A Str or Slice[u8] shown as text, in the width of `spec`."""


@upcall
def print_end(sink: Sink) -> None:
    """The message is complete (for kprintf and klog)."""


@upcall
@cold
def panic_end(site: Ptr[Site]) -> Never:
    """The message of a panic or a failed assert is complete: stop."""
