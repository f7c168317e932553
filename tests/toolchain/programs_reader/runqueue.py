# SPDX-License-Identifier: BSD-3-Clause
"""Threads on an intrusive doubly linked list, a priority run queue, and messages between them."""

from typing import Final, Union

from kpy import (
    Array, Errno, FieldVar, Fn, Generic, Iterator, Ptr, Slice, Str, ThrowsFn, TypeVar, bits_of, clz, enum, field, flags, inline,
    kprintf, lend, ref, struct, throws, u8, u32, u64, unwrap, wrapping,
)

EAGAIN: Final = 11
ESRCH: Final = 3
ENOSYS: Final = 38

PRIORITIES: Final = 32

T = TypeVar("T")
F = FieldVar("F")


@struct
class Link(Generic[T]):
    next: Ptr[T] | None
    previous: Ptr[T] | None
    linked: bool


@struct
class List(Generic[T, F]):
    """A doubly linked list through field F of its elements."""

    first: Ptr[T] | None
    last: Ptr[T] | None
    count: u32

    def __len__(self) -> u64:
        return self.count

    def __contains__(self, item: Ptr[T]) -> bool:
        for other in self:
            if other is item:
                return True
        return False

    @property
    def empty(self) -> bool:
        return self.first is None

    def append(self, item: Ptr[T]) -> None:
        link = ref(field(item, F))
        assert not link.linked, "already on a list"
        link.previous = self.last
        link.next = None
        link.linked = True
        if self.last is None:
            self.first = item
        else:
            field(self.last, F).next = item
        self.last = item
        self.count += 1

    def remove(self, item: Ptr[T]) -> None:
        link = ref(field(item, F))
        assert link.linked
        if link.previous is None:
            self.first = link.next
        else:
            field(link.previous, F).next = link.next
        if link.next is None:
            self.last = link.previous
        else:
            field(link.next, F).previous = link.previous
        link.next = None
        link.previous = None
        link.linked = False
        self.count -= 1

    def pop(self) -> Ptr[T] | None:
        item = self.first
        if item is not None:
            self.remove(item)
        return item

    @inline
    def __iter__(self) -> Iterator[Ptr[T]]:
        item = self.first
        while item is not None:
            following = field(item, F).next    # the body may remove item
            yield item
            item = following


@enum(u8)
class State:
    READY = 0
    RUNNING = 1
    BLOCKED = 2
    DEAD = 3


@flags(u32)
class Flag:
    KERNEL = 1
    IDLE = 2
    TRACED = 4


@struct
class Wakeup:
    channel: u64


@struct
class Signal:
    number: u32
    sender: "Ptr[Thread] | None"


@struct
class Exit:
    pass


Message = Union[Wakeup, Signal, Exit]


@struct
class Operations:
    """What a class of threads does."""

    name: Str
    run: "Fn[[Ptr[Thread]], u32]"
    receive: "ThrowsFn[[Ptr[Thread], Ptr[Message]], State]"


@struct
class Thread:
    runq: "Link[Thread]"
    all: "Link[Thread]"
    operations: Ptr[Operations]
    id: u32
    priority: u8
    state: State
    flags: Flag
    channel: u64
    ticks: u32

    @throws
    def send(self, message: Ptr[Message]) -> None:
        state = self.operations.receive(self, message)
        if state == State.READY and self.state == State.BLOCKED:
            queue.enqueue(self)
        elif state == State.DEAD and self.runq.linked:
            queue.dequeue(self)
        self.state = state


@struct
class RunQueue:
    levels: Array[List[Thread, "runq"], PRIORITIES]
    bitmap: u32

    def enqueue(self, thread: Ptr[Thread]) -> None:
        self.levels[thread.priority].append(thread)
        self.bitmap |= 1 << thread.priority

    def dequeue(self, thread: Ptr[Thread]) -> None:
        level = ref(self.levels[thread.priority])
        level.remove(thread)
        if level.empty:
            self.bitmap &= ~(1 << thread.priority)

    def choose(self) -> Ptr[Thread] | None:
        if self.bitmap == 0:
            return None
        thread = self.levels[31 - clz(self.bitmap)].first
        self.dequeue(unwrap(thread))
        return thread


queue: RunQueue
everyone: List[Thread, "all"]


def batch_run(thread: Ptr[Thread]) -> u32:
    thread.ticks += 1
    return thread.ticks


@throws
def batch_receive(thread: Ptr[Thread], message: Ptr[Message]) -> State:
    match message:
        case Wakeup(channel=c) if c == thread.channel:
            return State.READY
        case Wakeup():
            return thread.state
        case Signal(number=n) if n == 9:
            return State.DEAD
        case Exit():
            return State.DEAD
        case Signal(number=n, sender=s):
            if s is None:
                raise Errno(ESRCH)
            kprintf(f"thread {thread.id}: signal {n} from {s.id}\n")
            return thread.state


def idle_run(thread: Ptr[Thread]) -> u32:
    return 0


@throws
def idle_receive(thread: Ptr[Thread], message: Ptr[Message]) -> State:
    raise Errno(ENOSYS)


BATCH: Final = Operations(name="batch", run=batch_run, receive=batch_receive)
IDLE: Final = Operations(name="idle", run=idle_run, receive=idle_receive)


def setup(threads: Slice[Thread]) -> None:
    global queue, everyone
    queue = RunQueue()
    everyone = List[Thread, "all"]()
    for i in range(len(threads)):
        threads[i] = Thread(id=u32(i), priority=u8(i * 7 % PRIORITIES), operations=BATCH, channel=i % 3)
        everyone.append(threads[i])
        queue.enqueue(threads[i])
    idle = ref(threads[0])
    idle.operations = IDLE
    idle.flags |= Flag.IDLE | Flag.KERNEL


def schedule(steps: u32) -> u64:
    """Run the best thread `steps` times, lowering its priority each time."""
    threads: Array[Thread, 6] = [Thread(operations=BATCH)] * 6
    setup(lend(threads))
    trace: u64 = 0
    for _ in range(steps):
        thread = queue.choose()
        if thread is None:
            break
        thread.state = State.RUNNING
        thread.operations.run(thread)
        trace = wrapping(trace * 7 + thread.id + 1)
        if thread.priority > 0:
            thread.priority -= 1
        thread.state = State.READY
        queue.enqueue(thread)
    for thread in everyone:
        kprintf(f"{thread.id}: {thread.operations.name} {thread.priority} {thread.ticks}\n")
    return trace


def deliver(which: u32, number: u32) -> u64:
    """Send messages of all kinds to blocked threads; count how they end, a digit for each state."""
    threads: Array[Thread, 6] = [Thread(operations=BATCH)] * 6
    setup(lend(threads))
    while (thread := queue.choose()) is not None:
        thread.state = State.BLOCKED
    failures: u64 = 0
    for thread in everyone:
        message: Message = Wakeup(channel=1)
        match which:
            case 1:
                message = Signal(number=number, sender=threads[3])
            case 2:
                message = Exit()
            case 3:
                message = Signal(number=number)
            case _:
                pass
        try:
            thread.send(message)
        except Errno as e:
            kprintf(f"thread {thread.id}: errno {e.code}\n")
            failures += 1
    counts: Array[u64, 4]
    for thread in everyone:
        counts[bits_of(thread.state)] += 1
    total: u64 = 0
    for n in counts:
        total = total * 10 + n
    return total * 10 + failures


def removal() -> u32:
    """Take threads out of the middle, the ends, and while walking."""
    threads: Array[Thread, 6] = [Thread(operations=BATCH)] * 6
    setup(lend(threads))
    everyone.remove(threads[2])
    everyone.remove(threads[0])
    everyone.remove(threads[5])
    assert threads[2] not in everyone and threads[3] in everyone
    for thread in everyone:
        if thread.id % 2 == 1:
            everyone.remove(thread)
    order: u32 = 0
    for thread in everyone:
        order = order * 10 + thread.id
    return order * 100 + u32(len(everyone))


def double_append() -> u32:
    threads: Array[Thread, 2] = [Thread(operations=BATCH)] * 2
    setup(lend(threads))
    everyone.append(lend(threads[1]))
    return everyone.count
