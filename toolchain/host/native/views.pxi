# SPDX-License-Identifier: BSD-3-Clause
# Python objects that stand for memory: who owns it, and what lies in it.

cdef class Memory:
    """Zeroed storage owned by Python; found again by its address."""

    def __dealloc__(self):
        if self.pointer != NULL:
            BLOCKS.pop(<uintptr_t>self.pointer, None)
            memset(self.pointer, 0xDD, self.size)      # so that a stale address shows
            free((<void**>self.pointer)[-1])


cdef Memory new_memory(Py_ssize_t size, Py_ssize_t align):
    """`size` zero bytes; the address calloc gave is kept in front of them."""
    cdef Memory memory = Memory.__new__(Memory)
    cdef void* raw
    if align < 16:
        align = 16
    raw = calloc(1, size + align + 16)
    if raw == NULL:
        raise MemoryError
    memory.pointer = <char*>((<uintptr_t>raw + 8 + align - 1) & ~(<uintptr_t>align - 1))
    (<void**>memory.pointer)[-1] = raw
    memory.size = size
    BLOCKS[<uintptr_t>memory.pointer] = <uintptr_t><void*>memory
    return memory


cdef object owner_of(char* address):
    """The Memory that begins at this address, or None."""
    found = BLOCKS.get(<uintptr_t>address)
    return None if found is None else <object><PyObject*><uintptr_t>found


cdef int lend(object owner, Module module) except -1:
    """Compiled code may know this memory's address from now on (N1)."""
    if isinstance(owner, Memory) and (<Memory>owner).lent is not module:
        (<Memory>owner).lent = module
        module.lent.append(owner)
    return 0


cdef class Buffer:
    """Another object's memory, by the buffer protocol."""
    cdef Py_buffer view
    cdef bint held

    cdef int take(self, object value) except -1:
        try:
            PyObject_GetBuffer(value, &self.view, PyBUF_WRITABLE | PyBUF_FORMAT | PyBUF_ND)
        except BufferError:
            PyObject_GetBuffer(value, &self.view, PyBUF_FORMAT | PyBUF_ND)
        self.held = True
        return 0

    cdef str letter(self):
        text = "B" if self.view.format == NULL else (<bytes>self.view.format).decode()
        return text[-1] if len(text) <= 2 and text[:-1] in ("", "<", "=", "@") else text

    def __dealloc__(self):
        if self.held:
            PyBuffer_Release(&self.view)


cdef class Frame:
    """What the arguments of one call need until its end."""

    def __cinit__(self):
        self.kept, self.lists = [], []

    cdef object holder(self, char* address):
        """What owns this address, of all that was passed."""
        cdef Buffer held
        cdef Memory memory
        for one in self.kept:
            if isinstance(one, Memory):
                memory = <Memory>one
                if memory.pointer <= address <= memory.pointer + memory.size:
                    return memory
            else:
                held = <Buffer>one
                if <char*>held.view.buf <= address <= <char*>held.view.buf + held.view.len:
                    return held
        return None

    def finish(self):
        """Write back what was copied from lists."""
        cdef Type elem
        cdef Memory memory
        for items, memory, elem in self.lists:
            items[:] = [get(elem, memory.pointer + <Py_ssize_t>i * elem.size, memory)
                        for i in range(memory.size // elem.size if elem.size else 0)]


cdef inline View blank(object cls):
    return <View>(<TypeSlots*>cls).tp_new(<type>cls, EMPTY, NULL)


cdef View view(Type t, char* pointer, object owner):
    """A struct, union or bits at an address."""
    cdef View made = blank(t.cls)
    made.pointer, made.owner, made.type = pointer, owner, t
    return made


cdef View allocate(Type t):
    """New zeroed storage for one `t`, or an array's."""
    cdef Memory memory = new_memory(t.size, t.align)
    if t.kind == ARRAY:
        return sequence(t.elem, memory.pointer, t.count, memory)
    if t.cls is not None:
        return view(t, memory.pointer, memory)
    return pointer(t, memory.pointer, memory)


cdef char* address_of(View view) except? NULL:
    if view.pointer == NULL:
        raise ValueError(f"this {type(view).__name__} was never given storage")
    return view.pointer


cdef class View:
    """Something in kpy's memory.  Equal to another view of the same address."""

    @property
    def address(self):
        return <uintptr_t>self.pointer

    @property
    def owned(self):
        """Whether Python owns the storage."""
        return self.owner is not None

    def __eq__(self, other):
        if not isinstance(other, View):
            return NotImplemented
        return self.pointer == (<View>other).pointer

    def __hash__(self):
        return hash(<uintptr_t>self.pointer)

    def __bytes__(self):
        """The bytes of it, as they lie in memory."""
        return PyBytes_FromStringAndSize(address_of(self), self.type.size)

    def __reduce__(self):
        raise TypeError("views of memory cannot be pickled")


cdef class Struct(View):
    """A struct.  `Cls(x=1)` is new storage, zero but for what is named."""

    def __init__(self, **fields):
        cdef Memory memory
        cdef Type t = type(self).__kpy_type__
        memory = new_memory(t.size, t.align)
        self.pointer, self.owner, self.type = memory.pointer, memory, t
        for name, value in fields.items():
            if not isinstance(getattr(type(self), name, None), Field):
                raise TypeError(f"{t.name} has no field {name!r}")
            setattr(self, name, value)

    def copy(self):
        """A new one with the same bytes."""
        cdef char* source = address_of(self)
        cdef View made = allocate(self.type)
        memcpy(made.pointer, source, self.type.size)
        return made

    def __repr__(self):
        shown = []
        for name in fields_of(type(self)):
            value = getattr(self, name)
            shown.append(f"{name}=<{type(value).__name__} at {value.address:#x}>"
                         if isinstance(value, Struct) else f"{name}={value!r}")
        return f"{self.type.name}({', '.join(shown)})"


def fields_of(cls):
    """The names of a struct class's fields, bases first."""
    return [name for base in reversed(cls.__mro__) for name, value in vars(base).items()
            if isinstance(value, Field | BitField)]


cdef class Union(View):
    """A tagged union.  `u.value` is a view of the variant it holds; assign a variant to change."""

    def __init__(self, value=None):
        cdef Memory memory
        cdef Type t = type(self).__kpy_type__
        memory = new_memory(t.size, t.align)
        self.pointer, self.owner, self.type = memory.pointer, memory, t
        if value is not None:
            put(t, self.pointer, value, None, t.name)

    @property
    def tag(self):
        return kpy_load(address_of(self), 4)

    @property
    def value(self):
        tag = self.tag
        if tag >= len(self.type.items):
            raise ValueError(f"{self.type.name} in memory is damaged: its tag is {tag}")
        return view(<Type>self.type.items[tag], self.pointer + self.type.payload, self.owner)

    @value.setter
    def value(self, value):
        put(self.type, address_of(self), value, None, self.type.name)

    def __repr__(self):
        return f"{self.type.name}({self.value!r})"


cdef class Bits(View):
    """A bit struct: an integer with named parts.  As a field it is a view: writes go through."""

    def __init__(self, value=0, **fields):
        cdef Memory memory
        cdef Type t = type(self).__kpy_type__
        memory = new_memory(t.size, t.align)
        self.pointer, self.owner, self.type = memory.pointer, memory, t
        put(t, self.pointer, value, None, t.name)
        for name, item in fields.items():
            if not isinstance(getattr(type(self), name, None), BitField):
                raise TypeError(f"{t.name} has no field {name!r}")
            setattr(self, name, item)

    def copy(self):
        return type(self)(int(self))

    def __int__(self):
        return kpy_load(address_of(self), self.type.size)

    def __index__(self):
        return kpy_load(address_of(self), self.type.size)

    def __eq__(self, other):
        if isinstance(other, Bits):
            return type(self) is type(other) and int(self) == int(other)
        return int(self) == other if isinstance(other, int) else NotImplemented

    def __hash__(self):
        return hash(int(self))

    def __bool__(self):
        return int(self) != 0

    def __repr__(self):
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in fields_of(type(self)))
        return f"{self.type.name}({shown})"


cdef class Pointer(View):
    """An address of something that is no struct: `p.value`, p[i] (unchecked), p.slice(n)."""

    @property
    def value(self):
        return self[0]

    @value.setter
    def value(self, value):
        self[0] = value

    def __getitem__(self, Py_ssize_t index):
        cdef Type t = self.type
        if t.kind == VOID:
            raise TypeError("what a Ptr[None] points to has no type: use slice()")
        return get(t, address_of(self) + index * t.size, self.owner)

    def __setitem__(self, Py_ssize_t index, value):
        cdef Type t = self.type
        if t.kind == VOID:
            raise TypeError("what a Ptr[None] points to has no type: use slice()")
        put(t, address_of(self) + index * t.size, value, None, f"*{t.name}")

    def slice(self, Py_ssize_t count):
        """The `count` items from here on (bytes, of a Ptr[None])."""
        if count < 0:
            raise ValueError("a count is not negative")
        elem = self.type if self.type.kind != VOID else self.type.module.types[0]
        return sequence(elem, address_of(self), count, self.owner)

    def __repr__(self):
        return f"<Ptr[{self.type.name}] {<uintptr_t>self.pointer:#x}>"


cdef Pointer pointer(Type elem, char* address, object owner):
    cdef Pointer made = Pointer.__new__(Pointer)
    made.pointer, made.owner, made.type = address, owner, elem
    return made


cdef class Sequence(View):
    """An array or slice.  Indexed, sliced (a view), compared by items; a buffer for others."""

    def __len__(self):
        return self.count

    cdef char* at(self, object index) except NULL:
        cdef Py_ssize_t i = operator.index(index)
        if i < 0:
            i += self.count
        if i < 0 or i >= self.count:
            raise IndexError(f"index {index} of {self.count} items")
        return address_of(self) + i * self.type.size

    def __getitem__(self, index):
        if isinstance(index, slice):
            start, stop, step = index.indices(self.count)
            if step != 1:
                return [self[i] for i in range(start, stop, step)]
            return sequence(self.type, self.pointer + <Py_ssize_t>start * self.type.size,
                            max(stop - start, 0), self.owner)
        return get(self.type, self.at(index), self.owner)

    def __setitem__(self, index, value):
        if isinstance(index, slice):
            places = range(*index.indices(self.count))
            if len(places) != len(value):
                raise ValueError(f"{len(value)} items for {len(places)}: "
                                 "memory neither grows nor shrinks")
            for i, item in zip(places, list(value)):
                self[i] = item
            return
        put(self.type, self.at(index), value, None, f"[{index}]")

    def __eq__(self, other):
        if isinstance(other, Sequence):
            return (self.pointer == (<Sequence>other).pointer
                    and self.count == (<Sequence>other).count) or list(self) == list(other)
        if isinstance(other, bytes | bytearray):
            return self.type.size == 1 and bytes(self) == other
        return list(self) == list(other) if isinstance(other, list | tuple) else NotImplemented

    __hash__ = None

    def __bytes__(self):
        return PyBytes_FromStringAndSize(self.pointer, self.count * self.type.size) \
            if self.count else b""

    def __getbuffer__(self, Py_buffer* buffer, int flags):
        cdef Type t = self.type
        plain = t.kind == UINT or t.kind == INT or t.kind == BOOL
        self.shape[0] = self.count if plain else self.count * t.size
        buffer.buf = self.pointer
        buffer.obj = self
        buffer.len = self.count * t.size
        buffer.readonly = 0
        buffer.itemsize = t.size if plain else 1
        buffer.format = NULL
        if flags & PyBUF_FORMAT:
            buffer.format = <char*>FORMATS[t.kind * 16 + t.size if plain else UINT * 16 + 1]
        buffer.ndim = 1
        buffer.shape = self.shape
        buffer.strides = &buffer.itemsize
        buffer.suboffsets = NULL
        buffer.internal = NULL

    def __repr__(self):
        if self.type.size == 1 and self.type.kind == UINT:
            return f"<{bytes(self)!r} at {<uintptr_t>self.pointer:#x}>"
        shown = ", ".join(map(repr, self[:16])) + (", ..." if self.count > 16 else "")
        return f"<[{shown}] at {<uintptr_t>self.pointer:#x}>"


cdef const char* FORMATS[80]
FORMATS[UINT * 16 + 1], FORMATS[UINT * 16 + 2] = b"B", b"H"
FORMATS[UINT * 16 + 4], FORMATS[UINT * 16 + 8] = b"I", b"Q"
FORMATS[INT * 16 + 1], FORMATS[INT * 16 + 2] = b"b", b"h"
FORMATS[INT * 16 + 4], FORMATS[INT * 16 + 8] = b"i", b"q"
FORMATS[BOOL * 16 + 1] = b"?"


cdef Sequence sequence(Type elem, char* address, Py_ssize_t count, object owner):
    cdef Sequence made = Sequence.__new__(Sequence)
    made.pointer, made.owner, made.type, made.count = address, owner, elem, count
    return made


cdef class Field:
    """A field of a struct class, or (base 0) a global variable."""
    cdef readonly Type type
    cdef readonly Py_ssize_t offset
    cdef readonly str name
    cdef str what
    cdef object cls

    def __init__(self, cls, name, type, offset):
        self.cls, self.name, self.type, self.offset = cls, name, type, offset
        self.what = f"{cls.__name__}.{name}"

    cdef char* place(self, object obj) except NULL:
        if not PyObject_TypeCheck(obj, <PyTypeObject*>self.cls):
            raise TypeError(f"{self.what} is not of {type(obj).__name__}")
        if (<View>obj).pointer == NULL:
            address_of(<View>obj)
        return (<View>obj).pointer + self.offset

    def __get__(self, obj, cls):
        if obj is None:
            return self
        return get(self.type, self.place(obj), (<View>obj).owner)

    def __set__(self, obj, value):
        put(self.type, self.place(obj), value, None, self.what)

    def __repr__(self):
        return f"<{self.what}: {self.type.name} at {self.offset}>"


cdef class BitField:
    """Some bits of a bit struct."""
    cdef readonly Type type
    cdef readonly int bit, width
    cdef readonly str name
    cdef str what
    cdef object cls

    def __init__(self, cls, name, type, bit, width):
        self.cls, self.name, self.type, self.bit, self.width = cls, name, type, bit, width
        self.what = f"{cls.__name__}.{name}"

    def __get__(self, obj, cls):
        cdef uint64_t raw
        if obj is None:
            return self
        if not PyObject_TypeCheck(obj, <PyTypeObject*>self.cls):
            raise TypeError(f"{self.what} is not of {type(obj).__name__}")
        raw = kpy_load(address_of(<View>obj), (<View>obj).type.size) >> self.bit
        raw &= ~<uint64_t>0 >> (64 - self.width)
        if self.type.kind == INT:
            raw = <uint64_t>(<int64_t>(raw << (64 - self.width)) >> (64 - self.width))
        return result(self.type, <char*>&raw, None)

    def __set__(self, obj, value):
        cdef uint64_t raw = 0, mask = ~<uint64_t>0 >> (64 - self.width), whole
        if not PyObject_TypeCheck(obj, <PyTypeObject*>self.cls):
            raise TypeError(f"{self.what} is not of {type(obj).__name__}")
        put(self.type, <char*>&raw, value, None, self.what)
        if raw & ~mask and not self.type.imin:
            raise OverflowError(f"{self.what}: {value} does not fit {self.width} bits")
        address_of(<View>obj)
        whole = kpy_load((<View>obj).pointer, (<View>obj).type.size)
        whole = (whole & ~(mask << self.bit)) | ((raw & mask) << self.bit)
        kpy_store((<View>obj).pointer, (<View>obj).type.size, whole)
