# SPDX-License-Identifier: BSD-3-Clause
# cython: language_level=3, binding=True, embedsignature=False, nonecheck=True
"""The native runtime of host bindings: values between Python and kpy memory, calls both ways.

One of it serves every bound module of a process; the glue generated for a module calls it.

    convert.pxi   a Python value into kpy's memory, range-checked, and back
    views.pxi     Python objects that stand for kpy memory: structs, arrays, pointers
    calls.pxi     Python to kpy (enter) and kpy to Python (dispatch); panics, hooks, snapshots

Invariants
  N1  Memory that Python allocated is freed only when no view of it is left and no compiled code
      was given its address since the last restore() or release() (it is "lent").
  N2  A view keeps alive whatever its address lies in, if Python owns that.
  N3  What Python does not own is only touched where memory is mapped.
  N4  Between entry into kpy and its end no Python object is held by a kpy frame only, so that
      unwinding loses nothing.
Tests     tests/toolchain/test_host_*.py
"""
from cpython.buffer cimport (
    PyBUF_FORMAT,
    PyBUF_ND,
    PyBUF_SIMPLE,
    PyBUF_WRITABLE,
    PyBuffer_Release,
    PyObject_CheckBuffer,
    PyObject_GetBuffer,
)
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.object cimport PyObject, PyTypeObject
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

import operator

from toolchain.host import errors
from toolchain.printing import operands, show_text, show_value

cdef extern from "machine.h":
    const int64_t KPY_UNWOUND
    int64_t kpy_host_call(void* target, void* args, void* result)
    void kpy_host_unwind()
    volatile int kpy_running, kpy_signal
    void* kpy_fault_data
    void* kpy_fault_code
    void kpy_take_signals()
    uint64_t kpy_atomic(uint32_t kind, void* where, uint32_t size, uint64_t a, uint64_t b)
    uint64_t kpy_load(const char* p, int64_t size)
    void kpy_store(char* p, int64_t size, uint64_t value)
    uint64_t kpy_reverse(uint64_t value, int64_t size)
    bint kpy_mapped(const char* p, int64_t size)

cdef extern from "dlfcn.h":
    void* dlopen(const char* path, int flags)
    void* dlsym(void* handle, const char* name)
    char* dlerror()
    int RTLD_NOW, RTLD_LOCAL

    ctypedef struct Dl_info:
        const char* dli_sname
        void* dli_saddr
    int dladdr(void* address, Dl_info* info)

cdef extern from "Python.h":
    bint PyLong_CheckExact(object)
    bint PyLong_Check(object)
    bint PyBool_Check(object)
    bint PyIndex_Check(object)
    uint64_t PyLong_AsUnsignedLongLong(PyObject*)
    int64_t PyLong_AsLongLong(PyObject*)
    PyObject* PyErr_Occurred()
    void PyErr_Clear()
    bint PyObject_TypeCheck(object, PyTypeObject*)
    unsigned long PyThread_get_thread_ident()
    int PyErr_CheckSignals() except -1
    ctypedef object (*newfunc)(type, object, PyObject*)
    ctypedef struct TypeSlots "PyTypeObject":
        newfunc tp_new

cdef enum:
    VOID, BOOL, UINT, INT, ENDIAN, ENUM, BITS, ADDRESS, PTR, MPTR
    SLICE, STR, ARRAY, ATOMIC, TUPLE, FN, STRUCT, UNION, NEVER

KINDS = {"void": VOID, "bool": BOOL, "uint": UINT, "int": INT, "endian": ENDIAN, "enum": ENUM,
         "bits": BITS, "address": ADDRESS, "ptr": PTR, "mptr": MPTR, "slice": SLICE, "str": STR,
         "array": ARRAY, "atomic": ATOMIC, "tuple": TUPLE, "fn": FN, "struct": STRUCT,
         "union": UNION, "never": NEVER}

cdef tuple EMPTY = ()
cdef dict BLOCKS = {}            # address of each live Memory -> its object's address


cdef inline Py_ssize_t round_up(Py_ssize_t size):
    return (size + 7) & ~7


cdef class Type:
    """One kpy type, as host/describe.py described it."""

    def __init__(self, Module module, dict entry, int number):
        self.module, self.entry, self.number = module, entry, number
        self.kind = KINDS[entry["kind"]]
        self.name, self.size, self.align = entry["name"], entry["size"], entry["align"]
        self.bits = entry.get("bits", 0)
        self.count, self.payload = entry.get("count", 0), entry.get("payload", 0)
        self.flag = any(entry.get(key) for key in ("nullable", "big", "throws", "flags"))
        if self.kind == INT or (self.kind == ENUM and entry["signed"]):
            self.imax = (<int64_t>1 << (self.bits - 1)) - 1 if self.bits < 64 else \
                0x7FFFFFFFFFFFFFFF
            self.imin = -self.imax - 1
        elif self.bits:
            self.umax = ~<uint64_t>0 >> (64 - self.bits)

    def link(self):
        """Resolve the numbers of other types."""
        types = self.module.types
        elem = self.entry.get("elem")
        self.elem = types[elem] if elem is not None else None
        self.items = [types[n] for n in self.entry.get("items", ())]
        self.offsets = tuple(self.entry.get("offsets", ()))

    def __repr__(self):
        return self.name


include "convert.pxi"
include "views.pxi"
include "calls.pxi"
