# SPDX-License-Identifier: BSD-3-Clause
"""What the generated glue of a module sees of the native runtime."""
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t


cdef class Type:
    cdef readonly int kind
    cdef readonly int number, bits
    cdef readonly str name
    cdef readonly Py_ssize_t size, align, count, payload
    cdef readonly bint flag          # signed, nullable, big, throws, flags
    cdef uint64_t umax
    cdef int64_t imin, imax
    cdef public Type elem
    cdef public list items
    cdef public tuple offsets
    cdef public object cls           # the Python class of a struct, union, bits or enum
    cdef public dict members         # of an enum: number to member
    cdef readonly Module module
    cdef readonly dict entry         # as described


cdef class Memory:
    cdef char* pointer
    cdef readonly Py_ssize_t size
    cdef Module lent                 # the module whose code may know the address


cdef class View:
    cdef char* pointer
    cdef readonly object owner
    cdef readonly Type type


cdef class Sequence(View):
    cdef readonly Py_ssize_t count
    cdef Py_ssize_t shape[1]
    cdef char* at(self, object index) except NULL


cdef class Pointer(View):
    cdef char* at(self, Py_ssize_t index) except NULL


cdef class Frame:
    cdef list kept                   # Memory or Buffer behind arguments
    cdef list lists                  # (list, its Memory, type of an item), to write back
    cdef object holder(self, char* address)


cdef class Module:
    cdef readonly str name
    cdef readonly list types, ups, sections, lent, output, regions
    cdef list pieces
    cdef dict interned
    cdef void* handle
    cdef readonly dict functions, addresses, description, callbacks
    cdef void* address(self, str symbol) except NULL


cdef uint64_t unsigned(object value, Type t, str what) except? 0xBAD0BAD0BAD0BAD0
cdef int64_t signed(object value, Type t, str what) except? -0x0BAD0BAD0BAD0BAD
cdef int boolean(object value, str what) except -1
cdef int put(Type t, char* p, object value, Frame frame, str what) except -1
cdef object get(Type t, char* p, object owner)
cdef object result(Type t, char* p, Frame frame)
cdef View allocate(Type t)
cdef char* address_of(View view) except? NULL
cdef int enter(Module m, void* target, void* args, void* out, bint throws, str name) except -1
