# SPDX-License-Identifier: BSD-3-Clause
# Python to kpy (enter), kpy to Python (dispatch), and what leaves early: panics, exceptions,
# signals.  One thread at a time may be inside, to any depth.

cdef int SLOTS = 32              # host/stubs.py
cdef int depth = 0               # calls from Python that have not returned
cdef unsigned long running_thread = 0
cdef object pending = None       # the exception on its way to the innermost of them


cdef int enter(Module m, void* target, void* args, void* out, bint throws, str name) except -1:
    """Call `target` (a kpy.call wrapper).  Raises what it raised, and what ended it."""
    global depth, running_thread, pending, kpy_signal
    cdef int64_t code
    cdef unsigned long thread = PyThread_get_thread_ident()
    if depth and running_thread != thread:
        raise RuntimeError(f"{name}: another thread is in compiled kpy code; one at a time may be")
    if depth >= 200:
        raise RecursionError(f"{name}: calls between kpy and Python are 200 deep")
    if running_thread != thread:
        running_thread = thread
        kpy_take_signals()
    depth += 1
    code = kpy_host_call(target, args, out)
    depth -= 1
    if code == 0:
        return 0
    if code == KPY_UNWOUND:
        if kpy_signal:
            raise signalled(name)
        error, pending = pending, None
        raise error
    if throws:
        raise errors.KpyError(code, name)
    return 0


cdef object signalled(str name):
    """What a signal in compiled code means: of Ctrl-C or a timer, what Python makes of it."""
    global kpy_signal
    cdef Dl_info info
    number, kpy_signal = kpy_signal, 0
    PyErr_CheckSignals()                # raises what Python's handler raises
    where = f"{<uintptr_t>kpy_fault_code:#x}"
    if dladdr(kpy_fault_code, &info) and info.dli_sname != NULL:
        where = (<bytes>info.dli_sname).decode()
    return errors.Fault(number, <uintptr_t>kpy_fault_data, where, name)


cdef class Up:
    """One function that Python answers."""
    cdef readonly str name, symbol, kind, function
    cdef readonly list names
    cdef readonly bint throws
    cdef Module module
    cdef list params
    cdef readonly Type result
    cdef public object handler
    cdef int native
    cdef void* original

    def __init__(self, Module module, dict entry):
        self.module = module
        self.name, self.symbol, self.kind = entry["name"], entry["symbol"], entry["kind"]
        self.function = entry["function"]
        self.throws, self.names = entry["throws"], entry["names"]
        self.params = [module.types[n] for n in entry["params"]]
        self.result = module.types[entry["result"]]
        self.native = NATIVE.get(self.symbol, 0)
        self.original = NULL
        if self.kind == "hook" and not self.native and self.function:
            self.original = dlsym(module.handle, f"kpy.call.{self.function}".encode())
            dlerror()
        self.handler = None

    def __repr__(self):
        parts = [f"{n}: {(<Type>t).name}" for n, t in zip(self.names, self.params)] or [
            (<Type>t).name for t in self.params]
        return f"{self.name}({', '.join(parts)}) -> {self.result.name}"


NATIVE = {"kpy.rt.check_failed": 1, "kpy.rt.print_begin": 2, "kpy.rt.print_text": 3,
          "kpy.rt.print_value": 4, "kpy.rt.print_slice": 5, "kpy.rt.print_end": 6,
          "kpy.rt.panic_end": 7, "kpy.hook.atomic": 8, "kpy.hook.mmio_read": 9,
          "kpy.hook.mmio_write": 10, "kpy.hook.volatile_load": 11, "kpy.hook.volatile_store": 12,
          "kpy.hook.yield": 13, "kpy.hook.fault": 14, "kpy.hook.pause": 13,
          "kpy.hook.mutant": 14}


cdef int64_t dispatch(int64_t index, char* args, char* out, PyObject* context) noexcept:
    """What every stub calls.  KPY_UNWOUND: an exception is pending, unwind."""
    global kpy_running
    cdef int64_t code
    kpy_running = 0
    code = answer(index, args, out, <Module>context)
    if code != KPY_UNWOUND:
        kpy_running = 1
    return code


cdef int64_t answer(int64_t index, char* args, char* out, Module m) noexcept:
    global pending
    cdef Up up
    cdef Type t
    try:
        PyErr_CheckSignals()
        if index >= 0:
            up = <Up>m.ups[index]
            if up.handler is None:
                return native(m, up, args, out)
            return ask(up.handler, up.params, up.result, up.throws, up.name, args, out)
        index = -index - 1
        t = <Type>m.types[index // SLOTS]
        handler = m.callbacks[index]
        return ask(handler, t.items, t.elem, t.flag, f"{handler}", args, out)
    except BaseException as error:      # carried over the compiled frames
        pending = error
        return KPY_UNWOUND


cdef int64_t ask(object handler, list params, Type out_type, bint throws, str name, char* args,
                 char* out) except? -1:
    """Call a Python function with what lies at `args`, and put its result at `out`."""
    cdef Type t
    cdef Py_ssize_t offset = 0
    cdef int64_t code
    values = []
    for t in params:
        values.append(result(t, args + offset, None))
        offset += round_up(t.size)
    try:
        value = handler(*values)
    except OSError as error:
        if not throws or not error.errno:
            raise
        code = error.errno
        if not -0x80000000 <= code <= 0x7FFFFFFF:
            raise
        return code
    if out_type.kind == NEVER:
        raise RuntimeError(f"{name}() never returns, but its Python implementation did")
    if out_type.kind != VOID:
        put(out_type, out, value, None, f"result of {name}")
    elif value is not None:
        raise TypeError(f"result of {name}: expected None, not {type(value).__name__}")
    return 0


cdef int64_t native(Module m, Up up, char* args, char* out) except? -1:
    """The answer of the runtime itself, where Python gave none."""
    cdef uint64_t* a = <uint64_t*>args
    cdef int kind = up.native
    if kind == 8:
        (<uint64_t*>out)[0] = kpy_atomic(<uint32_t>a[0], <void*>a[1], <uint32_t>a[2], a[3], a[4])
    elif kind == 9 or kind == 10:
        device, offset = m.device(a[0], up.name)
        if kind == 9:
            value = operator.index(device.read(offset, <uint32_t>a[1]))
            if not 0 <= value <= ~<uint64_t>0 >> (64 - 8 * <uint32_t>a[1]):
                raise OverflowError(f"read: {value} does not fit {<uint32_t>a[1]} bytes")
            (<uint64_t*>out)[0] = value
        else:
            device.write(offset, <uint32_t>a[1],
                         a[2] & (~<uint64_t>0 >> (64 - 8 * <uint32_t>a[1])))
    elif kind == 11:
        (<uint64_t*>out)[0] = kpy_load(<char*>a[0], <uint32_t>a[1])
    elif kind == 12:
        kpy_store(<char*>a[0], <uint32_t>a[1], a[2])
    elif kind == 13:
        pass
    elif kind == 14:
        out[0] = 0
    elif kind == 1:
        raise errors.CheckFailed(*site_at(<char*>a[0]), operands(
            (<uint32_t*><char*>a[0])[15], a[1], a[2]))
    elif kind == 2:
        m.pieces.clear()
    elif kind == 3:
        m.pieces.append(text_at(<char*>a[1], a[2]))
    elif kind == 4:
        m.pieces.append(show_value(a[1], a[2]))
    elif kind == 5:
        m.pieces.append(show_text(PyBytes_FromStringAndSize(<char*>a[1], a[2]) if a[2] else b"",
                                  a[3]))
    elif kind == 6:
        m.output.append("".join(m.pieces))
    elif kind == 7:
        raise errors.Panic(*site_at(<char*>a[0]), "".join(m.pieces))
    elif up.original != NULL:
        enter(m, up.original, args, out, up.throws, up.name)
    else:
        raise errors.NotProvided(f"compiled code called {up!r} ({up.kind} {up.symbol}), which "
                                 "nothing implements: provide() an object that does")
    return 0


cdef str text_at(char* start, uint64_t length):
    return PyBytes_FromStringAndSize(start, length).decode("utf-8", "replace") if length else ""


cdef tuple site_at(char* site):
    """(file, function, text, line, column, kind) of a kpy.rt.Site."""
    cdef uint64_t* a = <uint64_t*>site
    cdef uint32_t* numbers = <uint32_t*>(site + 48)
    return (text_at(<char*>a[0], a[1]), text_at(<char*>a[2], a[3]), text_at(<char*>a[4], a[5]),
            numbers[0], numbers[1], numbers[2])


# ---- function values

cdef class KpyFunction:
    """A kpy function met as a value, callable with the arguments of its type."""
    cdef readonly Type type
    cdef char* pointer
    cdef readonly str name

    @property
    def address(self):
        return <uintptr_t>self.pointer

    def __eq__(self, other):
        return isinstance(other, KpyFunction) and (<KpyFunction>other).pointer == self.pointer

    def __hash__(self):
        return hash(<uintptr_t>self.pointer)

    def __repr__(self):
        return f"<{self.name or hex(<uintptr_t>self.pointer)}: {self.type.name}>"

    def __call__(self, *values):
        cdef Type t = self.type, item
        cdef Frame frame = Frame()
        cdef Memory cells, out
        cdef Py_ssize_t offset = 0
        if len(values) != len(t.items):
            raise TypeError(f"{t.name} takes {len(t.items)} arguments, not {len(values)}")
        cells = new_memory(8 + sum([round_up((<Type>i).size) for i in t.items]), 16)
        for n, item in enumerate(t.items):
            put(item, cells.pointer + offset, values[n], frame, f"argument {n + 1}")
            offset += round_up(item.size)
        kpy_store(cells.pointer + offset, 8, <uint64_t><uintptr_t>self.pointer)
        out = new_memory(t.elem.size + 16, 16)
        try:
            enter(t.module, t.module.address(f"kpy.host.icall.{t.number}"), cells.pointer,
                  out.pointer, t.flag, self.name or t.name)
        finally:
            frame.finish()
        if t.elem.kind in (STRUCT, UNION, ARRAY):
            return get(t.elem, out.pointer, out)
        return result(t.elem, out.pointer, frame)


cdef char* function_address(Type t, object value, str what) except NULL:
    """The address that stands for a kpy function or a Python callable."""
    cdef Module m = t.module
    cdef Type known
    if isinstance(value, KpyFunction):
        if same_signature((<KpyFunction>value).type, t):
            return (<KpyFunction>value).pointer
        raise wrong_type(t, value, what, f" ({(<KpyFunction>value).type.name})")
    try:
        found = m.addresses.get(value)
    except TypeError:                   # unhashable, so no function of ours
        found = None
    if found is not None:
        known = found[1]
        if not same_signature(known, t):
            raise TypeError(f"{what}: expected {t.name}, not {known.name}")
        return <char*><uintptr_t>found[0]
    if value is None or not callable(value):
        raise wrong_type(t, value, what)
    for slot in range(t.number * SLOTS, (t.number + 1) * SLOTS):
        if m.callbacks.setdefault(slot, value) is value or m.callbacks[slot] == value:
            return <char*>m.address(f"kpy.host.fn.{t.number}.{slot % SLOTS}")
    raise RuntimeError(f"{what}: compiled code already knows {SLOTS} Python callables of type "
                       f"{t.name}; restore() or release() forgets them")


cdef bint same_signature(Type a, Type b):
    return a is b or (a.elem is b.elem and a.flag == b.flag and a.items == b.items)


cdef object function_at(Type t, char* address):
    cdef Module m = t.module
    cdef KpyFunction made
    cdef Dl_info info
    if address == NULL:
        return None
    found = m.functions.get(<uintptr_t>address)
    if found is not None:
        return found
    made = KpyFunction.__new__(KpyFunction)
    made.type, made.pointer = t, address
    if dladdr(address, &info) and info.dli_saddr == <void*>address and info.dli_sname != NULL:
        made.name = (<bytes>info.dli_sname).decode()
        if made.name.startswith("kpy.host.fn."):
            _, _, _, number, slot = made.name.split(".")
            return m.callbacks.get(int(number) * SLOTS + int(slot), made)
    return made


# ---- the module

cdef class Snapshot:
    """A module's data at one moment."""
    cdef Module module
    cdef list sections, lent
    cdef dict interned, callbacks


cdef class Module:
    """The loaded code of one host build, and what Python gave it."""

    def __init__(self, name, path, description):
        self.name, self.description = name, description
        self.handle = dlopen(str(path).encode(), RTLD_NOW | RTLD_LOCAL)
        if self.handle == NULL:
            raise ImportError(f"cannot load {path}: {(<bytes>dlerror()).decode()}")
        self.types = [Type(self, entry, n) for n, entry in enumerate(description["types"])]
        for t in self.types:
            t.link()
        self.lent, self.output, self.pieces, self.regions = [], [], [], []
        self.interned, self.callbacks, self.functions, self.addresses = {}, {}, {}, {}
        self.ups = [Up(self, entry) for entry in description["ups"]]
        base = <uintptr_t>self.address("kpy.host.context") - description["anchor"]
        self.sections = [(base + start, size) for start, size in description["sections"]]
        (<void**>self.address("kpy.host.context"))[0] = <void*>self
        (<void**>self.address("kpy.host.dispatch"))[0] = <void*>dispatch
        (<void**>self.address("kpy.host.unwind"))[0] = <void*>kpy_host_unwind
        kpy_take_signals()
        FOREVER.append(self)            # compiled code has its address

    cdef void* address(self, str symbol) except NULL:
        cdef void* found = dlsym(self.handle, symbol.encode())
        if found == NULL:
            dlerror()
            raise LookupError(f"{self.name} has no symbol {symbol!r}")
        return found

    def symbol(self, name):
        """The address of a linker symbol."""
        return <uintptr_t>self.address(name)

    def has(self, name):
        """Whether there is such a symbol."""
        found = dlsym(self.handle, name.encode())
        dlerror()
        return found != NULL

    def allocate(self, Type t):
        """New zeroed storage for one `t`."""
        return allocate(t)

    def array(self, Type elem, Py_ssize_t count):
        """New zeroed storage for `count` of them."""
        if count < 0:
            raise ValueError("a count is not negative")
        if elem.size and count > (<Py_ssize_t>1 << 46) // elem.size:
            raise MemoryError(f"{count} of {elem.name}")
        memory = new_memory(count * elem.size, elem.align)
        return sequence(elem, memory.pointer, count, memory)

    def block(self, bytes data, Py_ssize_t align):
        """The address of new memory that holds `data` and that compiled code may know."""
        cdef Memory memory = new_memory(len(data), align)
        memcpy(memory.pointer, PyBytes_AS_STRING(data), len(data))
        lend(memory, self)
        return <uintptr_t>memory.pointer

    def view(self, Type t, uintptr_t address):
        """What lies at an address, which the caller vouches for."""
        if address == 0:
            raise ValueError("nothing lies at address 0")
        if t.kind == STRUCT or t.kind == UNION or t.kind == BITS:
            return view(t, <char*>address, owner_of(<char*>address))
        if t.kind == ARRAY:
            return sequence(t.elem, <char*>address, t.count, owner_of(<char*>address))
        return pointer(t, <char*>address, owner_of(<char*>address))

    def load(self, Type t, uintptr_t address):
        """The value of a global variable."""
        return get(t, <char*>address, None)

    def store(self, Type t, uintptr_t address, value, str what):
        put(t, <char*>address, value, None, what)

    def bind(self, function, str symbol, Type t):
        """`function` is the Python face of this kpy function."""
        address = <uintptr_t>self.address(symbol)
        self.functions[address] = function
        self.addresses[function] = (address, t)

    def device(self, uintptr_t address, str access):
        """(device, offset) of what is mapped at this address."""
        for start, size, device in self.regions:
            if start <= address < start + size:
                return device, address - start
        raise errors.NotProvided(f"{access} at {address:#x}, where no device is mapped")

    def snapshot(self):
        """A copy of all writable data, and of what was lent to compiled code."""
        cdef Snapshot taken = Snapshot()
        cdef Memory memory
        kpy_take_signals()              # a test's time limit came since
        taken.module = self
        taken.sections = [PyBytes_FromStringAndSize(<char*><uintptr_t>start, size)
                          for start, size in self.sections]
        taken.lent = [(memory, PyBytes_FromStringAndSize(memory.pointer, memory.size))
                      for memory in self.lent]
        taken.interned, taken.callbacks = dict(self.interned), dict(self.callbacks)
        return taken

    def restore(self, Snapshot taken):
        """Everything as it was; what was lent since is Python's alone again."""
        cdef Memory memory
        cdef bytes data
        if depth:
            raise RuntimeError("restore() inside a call from compiled code")
        if taken.module is not self:
            raise ValueError("a snapshot of another module")
        for (start, size), data in zip(self.sections, taken.sections):
            memcpy(<void*><uintptr_t>start, PyBytes_AS_STRING(data), size)
        for memory in self.lent:
            memory.lent = None
        self.lent.clear()
        for memory, data in taken.lent:
            memcpy(memory.pointer, PyBytes_AS_STRING(data), memory.size)
            lend(memory, self)
        self.interned = dict(taken.interned)
        self.callbacks.clear()
        self.callbacks.update(taken.callbacks)
        self.output.clear()

    def release(self):
        """Compiled code no longer uses any memory or callable that Python gave it."""
        cdef Memory memory
        if depth:
            raise RuntimeError("release() inside a call from compiled code")
        for memory in self.lent:
            memory.lent = None
        self.lent.clear()
        self.interned.clear()
        self.callbacks.clear()

    def site(self, uintptr_t address):
        """(file, function, text, line, column, kind) of the record at an address."""
        return site_at(<char*>address)

    def words(self, uintptr_t address, Py_ssize_t count):
        """`count` u64s from an address."""
        return [(<uint64_t*>address)[i] for i in range(count)]

    def bytes(self, uintptr_t address, Py_ssize_t size):
        """What lies there now."""
        return PyBytes_FromStringAndSize(<char*>address, size)

    def clear(self, uintptr_t address, Py_ssize_t size):
        memset(<void*>address, 0, size)


FOREVER = []
