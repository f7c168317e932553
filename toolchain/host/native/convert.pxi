# SPDX-License-Identifier: BSD-3-Clause
# A Python value into kpy's memory, range-checked, and back.  `what` names the value in errors.

cdef object wrong_type(Type t, object value, str what, str more=""):
    return TypeError(f"{what}: expected {t.name}, not {type(value).__name__}{more}")


cdef object out_of_range(Type t, object value, str what):
    cdef object low = 0, high = t.umax
    if t.imin:
        low, high = t.imin, t.imax
    return OverflowError(f"{what}: {value} does not fit {t.name} ({low}..{high})")


cdef object as_int(object value, Type t, str what):
    """`value` as an int, without the surprises of bool and float."""
    if PyBool_Check(value) or not PyIndex_Check(value):
        raise wrong_type(t, value, what)
    return operator.index(value)


cdef uint64_t unsigned(object value, Type t, str what) except? 0xBAD0BAD0BAD0BAD0:
    cdef uint64_t number
    if not PyLong_CheckExact(value):
        value = as_int(value, t, what)
    number = PyLong_AsUnsignedLongLong(<PyObject*>value)
    if number == ~<uint64_t>0 and PyErr_Occurred() != NULL:
        PyErr_Clear()
        raise out_of_range(t, value, what)
    if number > t.umax:
        raise out_of_range(t, value, what)
    return number


cdef int64_t signed(object value, Type t, str what) except? -0x0BAD0BAD0BAD0BAD:
    cdef int64_t number
    if not PyLong_CheckExact(value):
        value = as_int(value, t, what)
    number = PyLong_AsLongLong(<PyObject*>value)
    if number == -1 and PyErr_Occurred() != NULL:
        PyErr_Clear()
        raise out_of_range(t, value, what)
    if number < t.imin or number > t.imax:
        raise out_of_range(t, value, what)
    return number


cdef int boolean(object value, str what) except -1:
    if value is True:
        return 1
    if value is False:
        return 0
    raise TypeError(f"{what}: expected bool, not {type(value).__name__}")


cdef uint64_t member(object value, Type t, str what) except? 0xBAD0BAD0BAD0BAD0:
    """The bits of an enum's or flags' value."""
    cdef uint64_t number
    if type(value) is not t.cls:
        if PyBool_Check(value) or not PyLong_Check(value) or hasattr(type(value), "__members__"):
            raise wrong_type(t, value, what)
        value = int(value)
    number = <uint64_t>signed(value, t, what) if t.imin else unsigned(value, t, what)
    if not t.flag and int(value) not in t.members:
        raise ValueError(f"{what}: {int(value)} is not a member of {t.name} "
                         f"({', '.join(m.name for m in t.members.values())})")
    return number


cdef int put(Type t, char* p, object value, Frame frame, str what) except -1:
    """Store `value` as a `t` at `p`.  frame: of the call it is an argument of, or None."""
    cdef uint64_t number
    cdef int kind = t.kind
    if kind == UINT:
        kpy_store(p, t.size, unsigned(value, t, what))
    elif kind == INT:
        kpy_store(p, t.size, <uint64_t>signed(value, t, what))
    elif kind == BOOL:
        p[0] = <char>boolean(value, what)
    elif kind == ENUM:
        kpy_store(p, t.size, member(value, t, what))
    elif kind == ENDIAN:
        number = unsigned(value, t, what)
        kpy_store(p, t.size, kpy_reverse(number, t.size) if t.flag else number)
    elif kind == BITS:
        if isinstance(value, Bits):
            if type(value) is not t.cls:
                raise wrong_type(t, value, what)
            value = int(value)
        kpy_store(p, t.size, unsigned(value, t, what))
    elif kind == PTR or kind == MPTR or kind == ADDRESS:
        put_pointer(t, p, value, frame, what)
    elif kind == SLICE or kind == STR:
        put_slice(t, p, value, frame, what)
    elif kind == ATOMIC:
        put(t.elem, p, value, frame, what)
    elif kind == TUPLE:
        if not isinstance(value, tuple) or len(value) != len(t.items):
            raise wrong_type(t, value, what)
        for i, item in enumerate(t.items):
            put(<Type>item, p + <Py_ssize_t>t.offsets[i], value[i], frame, f"{what}[{i}]")
    elif kind == FN:
        kpy_store(p, 8, <uint64_t><uintptr_t>function_address(t, value, what))
    else:
        put_aggregate(t, p, value, frame, what)
    return 0


cdef int put_aggregate(Type t, char* p, object value, Frame frame, str what) except -1:
    """Copy a whole struct, union or array."""
    cdef View view
    cdef Py_ssize_t i
    if t.kind == ARRAY:
        if isinstance(value, bytes | bytearray) and t.elem.size == 1:
            if len(value) > t.count:
                raise ValueError(f"{what}: {len(value)} items do not fit {t.name}")
            data = bytes(value)
            memset(p, 0, t.size)
            memcpy(p, PyBytes_AS_STRING(data), len(data))
            return 0
        if not isinstance(value, list | tuple | Sequence):
            raise wrong_type(t, value, what)
        if len(value) != t.count:
            raise ValueError(f"{what}: {t.name} takes {t.count} items, not {len(value)}")
        fresh = allocate(t)                       # all or nothing, and `value` may be `p` itself
        for i in range(t.count):
            put(t.elem, fresh.pointer + i * t.elem.size, value[i], frame, f"{what}[{i}]")
        memcpy(p, fresh.pointer, t.size)
        return 0
    if t.kind == UNION and isinstance(value, Struct):
        for number, variant in enumerate(t.items):
            if type(value) is (<Type>variant).cls:
                view = <View>value
                address_of(view)
                fresh = allocate(t)
                kpy_store(fresh.pointer, 4, number)
                memcpy(fresh.pointer + t.payload, view.pointer, view.type.size)
                memcpy(p, fresh.pointer, t.size)
                return 0
    if t.cls is None or type(value) is not t.cls:
        raise wrong_type(t, value, what)
    memcpy_view(p, <View>value, t.size)
    return 0


cdef int memcpy_view(char* p, View view, Py_ssize_t size) except -1:
    cdef char* source = address_of(view)
    if source != p:
        memcpy(p, source, size)
    return 0


cdef bint points_to(Type elem, View view):
    """Whether the view may stand where a pointer to `elem` is asked for: itself or a subclass."""
    cdef Type t = view.type
    if elem.kind == VOID or (elem.kind == UINT and elem.size == 1 and isinstance(view, Pointer)
                             and t is elem):
        return True
    if elem.kind == STRUCT:
        return isinstance(view, elem.cls)
    if isinstance(view, Sequence) and t is elem:      # an array's address is its first item's
        return True
    return t is elem and not isinstance(view, Sequence)


cdef int put_pointer(Type t, char* p, object value, Frame frame, str what) except -1:
    cdef View view
    if t.kind == ADDRESS:
        number = (<View>value).pointer if isinstance(value, View) else NULL
        kpy_store(p, 8, <uint64_t><uintptr_t>number if number != NULL
                  else unsigned(value, t, what))
        if number != NULL:
            lend((<View>value).owner, t.module)
        return 0
    if value is None:
        if not t.flag:
            raise TypeError(f"{what}: {t.name} is never None")
        kpy_store(p, 8, 0)
        return 0
    if not isinstance(value, View):
        if t.kind == MPTR and frame is not None and PyObject_CheckBuffer(value):
            put_buffer(t, p, value, frame, what)
            return 0
        raise wrong_type(t, value, what)
    view = <View>value
    if not points_to(t.elem, view) and not (t.elem.kind == ARRAY and isinstance(view, Sequence)
                                            and view.type is t.elem.elem
                                            and (<Sequence>view).count >= t.elem.count):
        raise wrong_type(t, value, what)
    kpy_store(p, 8, <uint64_t><uintptr_t>address_of(view))
    lend(view.owner, t.module)
    return 0


cdef int put_slice(Type t, char* p, object value, Frame frame, str what) except -1:
    """Address and length.  What is stored longer than a call has to be memory of ours."""
    cdef Memory memory
    cdef Sequence sequence
    if isinstance(value, Sequence):
        sequence = <Sequence>value
        if sequence.type is not t.elem:
            raise wrong_type(t, value, what, f" of {sequence.type.name}")
        kpy_store(p, 8, <uint64_t><uintptr_t>sequence.pointer)
        kpy_store(p + 8, 8, sequence.count)
        lend(sequence.owner, t.module)
        return 0
    if isinstance(value, str) and t.kind == STR:
        value = value.encode("utf-8", "surrogateescape")
    elif isinstance(value, str):
        raise wrong_type(t, value, what, " (encode it)")
    if t.kind == STR and isinstance(value, bytearray | memoryview):
        value = bytes(value)
    if isinstance(value, bytes) and t.elem.size == 1 and (t.kind == STR or frame is None):
        memory = t.module.interned.get(value)
        if memory is None:
            memory = new_memory(len(value), 1)
            memcpy(memory.pointer, PyBytes_AS_STRING(value), len(value))
            t.module.interned[value] = memory
        kpy_store(p, 8, <uint64_t><uintptr_t>memory.pointer)
        kpy_store(p + 8, 8, len(value))
        return 0
    if frame is None:
        raise wrong_type(t, value, what, "; what compiled code keeps must be bound memory: "
                         f"array({t.elem.name!r}, ...)")
    if isinstance(value, list | tuple):
        items = tuple(value)                      # what an __index__ does to it comes too late
        memory = new_memory(len(items) * t.elem.size, 16)
        for i, item in enumerate(items):
            put(t.elem, memory.pointer + <Py_ssize_t>i * t.elem.size, item, frame,
                f"{what}[{i}]")
        frame.kept.append(memory)
        if isinstance(value, list):
            frame.lists.append((value, memory, t.elem))
        kpy_store(p, 8, <uint64_t><uintptr_t>memory.pointer)
        kpy_store(p + 8, 8, len(items))
        return 0
    if not PyObject_CheckBuffer(value):
        raise wrong_type(t, value, what)
    put_buffer(t, p, value, frame, what)
    return 0


cdef int put_buffer(Type t, char* p, object value, Frame frame, str what) except -1:
    """A writable buffer is used in place, a read-only one as a copy."""
    cdef Buffer held = Buffer()
    cdef Memory memory
    cdef char* start
    cdef Type elem = t.elem
    held.take(value)
    letter = held.letter()
    wanted = "bBc?" if elem.size == 1 else "hilqn" if elem.kind == INT else "HILQN"
    if held.view.itemsize != elem.size or letter not in wanted or elem.kind not in (
            UINT, INT, BOOL, ENDIAN, BITS):
        if not (elem.kind == VOID or (elem.kind == ENDIAN and held.view.itemsize == 1
                                      and held.view.len % elem.size == 0)):
            raise TypeError(f"{what}: {t.name} does not take a buffer of {letter!r} "
                            f"({held.view.itemsize} bytes an item)")
    if held.view.readonly:
        memory = new_memory(held.view.len, 16)
        memcpy(memory.pointer, held.view.buf, held.view.len)
        start = memory.pointer
        frame.kept.append(memory)
    else:
        start = <char*>held.view.buf
        frame.kept.append(held)
    kpy_store(p, 8, <uint64_t><uintptr_t>start)
    if t.kind == SLICE or t.kind == STR:
        kpy_store(p + 8, 8, held.view.len // elem.size)
    return 0


cdef object get(Type t, char* p, object owner):
    """What is at `p`.  Aggregates and bits are views of it, kept alive by `owner`."""
    cdef uint64_t number
    cdef int kind = t.kind
    if kind == UINT or kind == ADDRESS:
        return kpy_load(p, t.size)
    if kind == INT:
        return sign_extended(kpy_load(p, t.size), t.size)
    if kind == BOOL:
        return p[0] != 0
    if kind == ENUM:
        value = sign_extended(kpy_load(p, t.size), t.size) if t.imin else kpy_load(p, t.size)
        return t.cls(value) if t.flag else t.members.get(value, value)
    if kind == ENDIAN:
        number = kpy_load(p, t.size)
        return kpy_reverse(number, t.size) if t.flag else number
    if kind == PTR or kind == MPTR:
        return pointed(t, <char*><uintptr_t>kpy_load(p, 8), None)
    if kind == SLICE or kind == STR:
        return get_slice(t, p, None)
    if kind == ATOMIC:
        return get(t.elem, p, owner)
    if kind == TUPLE:
        return tuple([get(<Type>item, p + <Py_ssize_t>offset, owner)
                      for item, offset in zip(t.items, t.offsets)])
    if kind == FN:
        return function_at(t, <char*><uintptr_t>kpy_load(p, 8))
    if kind == ARRAY:
        return sequence(t.elem, p, t.count, owner)
    if kind == VOID or kind == NEVER:
        return None
    return view(t, p, owner)


cdef object result(Type t, char* p, Frame frame):
    """What a call left at `p`, which does not outlive this."""
    cdef View made
    if t.kind == BITS:
        made = allocate(t)
        memcpy(made.pointer, p, t.size)
        return made
    if t.kind == PTR or t.kind == MPTR:
        return pointed(t, <char*><uintptr_t>kpy_load(p, 8), frame)
    if t.kind == SLICE or t.kind == STR:
        return get_slice(t, p, frame)
    if t.kind == TUPLE:
        return tuple([result(<Type>item, p + <Py_ssize_t>offset, frame)
                      for item, offset in zip(t.items, t.offsets)])
    return get(t, p, None)


cdef inline int64_t sign_extended(uint64_t value, Py_ssize_t size):
    return <int64_t>(value << (64 - 8 * size)) >> (64 - 8 * size)


cdef object pointed(Type t, char* address, Frame frame):
    """The object a pointer in kpy's memory stands for."""
    cdef object owner
    cdef Type elem = t.elem
    if address == NULL:
        return None
    owner = owner_of(address)
    if owner is None and frame is not None:
        owner = frame.holder(address)
    if t.kind == PTR and (elem.kind == STRUCT or elem.kind == UNION or elem.kind == BITS):
        return view(elem, address, owner)
    if t.kind == PTR and elem.kind == ARRAY:
        return sequence(elem.elem, address, elem.count, owner)
    return pointer(elem, address, owner)


cdef object get_slice(Type t, char* p, Frame frame):
    cdef char* start = <char*><uintptr_t>kpy_load(p, 8)
    cdef uint64_t count = kpy_load(p + 8, 8)
    if count * t.elem.size > <uint64_t>1 << 46 or (start == NULL and count):
        raise ValueError(f"{t.name} in kpy memory is damaged: {count} items at "
                         f"{<uintptr_t>start:#x}")
    if t.kind == STR:
        return PyBytes_FromStringAndSize(start, count).decode("utf-8", "surrogateescape") \
            if count else ""
    owner = owner_of(start)
    if owner is None and frame is not None:
        owner = frame.holder(start)
    return sequence(t.elem, start, count, owner)
