# SPDX-License-Identifier: BSD-3-Clause
"""LWKT tokens: locks that are held only while their owner runs.

A thread that blocks lets go of all its tokens and has all of them again before it continues.
What was read before a call that may block must be read again after it.  Nobody waits in a queue:
a thread that cannot have its tokens stays on the run queue, and the scheduler tries again for it.

The count of a token: bit 0 EXCLUSIVE, bit 1 EXCLREQ (somebody wants to be exclusive: no new
sharers), above that the shared references, in steps of 4.  `ref` is the reference that holds it
exclusively: if that lies in my own array I hold it, and asking again just counts.

Invariants
  T1  EXCLUSIVE is set exactly while `ref` is some thread's reference, or about to be: it is set
      after EXCLUSIVE and cleared before it.
  T2  A blocked thread owns no token; toks[:toks_stop] is what it is due.  A running or preempted
      one owns them all, but for a gettoken() under way (toks[:toks_have]).
  T3  A thread releases its tokens in reverse order of acquisition.
  T4  No one waits for a token while owning another: relalltokens() lets go of all,
      getalltokens() takes all or none.  So no lock order is asked of callers.
  T5  Shared first, then exclusive, of one token would wait for itself: it panics.
  T6  The mode of a reference that holds a token alone is WANT_EXCLUSIVE; any other bit, also
      TRACED, sends its release the longer way.
Locking   [a] atomic   [h] the exclusive holder   [I] fixed after init
Tests     tests/unit/lwkt/test_token.py, tests/guest/tokens.py
Source    DragonFly sys/kern/lwkt_token.c (design);
          Intel SDM vol. 3A, 9.1.2 "Bus Locking" (compare-and-swap)
"""
from typing import Final

from kpy import (
    Array,
    Atomic,
    Ptr,
    Slice,
    Str,
    address_of,
    cast,
    cold,
    compiler_fence,
    inline,
    kassert,
    noinline,
    pause,
    ref,
    sizeof,
    struct,
    u32,
    u64,
    wrapping,
    zeroed,
)

from kernel import machine
from kernel.lwkt import globaldata, ktr, sched
from kernel.lwkt.globaldata import curthread, gd
from kernel.lwkt.thread import HAVE_ALL, MAX_TOKENS, MpFlag, Thread, Tokref

UNSAFE: Final = True      # whose reference it is is told by its address

EXCLUSIVE: Final[u64] = 1
EXCLREQ: Final[u64] = 2
SHARED_STEP: Final[u64] = 4
TRACED: Final[u64] = 8              # of Tokref.mode: the trace has seen it taken
WANT_EXCLUSIVE: Final[u64] = EXCLUSIVE | EXCLREQ
POOL_SIZE: Final = 16384
PRIME_1: Final[u64] = 66555444443333333
PRIME_2: Final[u64] = 989042931893
BACKOFF_MAX: Final = 4096
WINDOW_SHIFT: Final = 8            # a window is 2 ** 8 ticks of the cputimer
SORT_AFTER: Final = 10              # failed scheduler rounds, then in order of address


@struct(align=64)
class Token:
    """Embed one in what it protects, or take one from the pool by address (pool())."""
    count: Atomic[u64]                  # [a]
    ref: Atomic[Ptr[Tokref] | None]     # [a] set and cleared by the exclusive holder
    collisions: Atomic[u64]             # [a] attempts that went to the scheduler
    name: Str                           # [I] shown while a thread waits

    @inline
    def __enter__(self) -> None:
        gettoken(self)

    @inline
    def __exit__(self) -> None:
        reltoken(self)

    @inline
    def shared(self) -> Ptr["SharedToken"]:
        """`with tok.shared():` holds it together with other readers."""
        return cast(Ptr[SharedToken], self)


@struct(align=64)
class SharedToken:
    """A Token as readers take it."""
    token: Token

    @inline
    def __enter__(self) -> None:
        gettoken_shared(self.token)

    @inline
    def __exit__(self) -> None:
        reltoken(self.token)


@struct
class Pool:
    """Tokens for whatever has none of its own: see pool()."""
    tokens: Array[Token, POOL_SIZE]


_pool: Pool = zeroed(Pool)


def init(tok: Ptr[Token], name: Str) -> None:
    """Make `tok` a free token."""
    tok.count.store(0)
    tok.ref.store(None)
    tok.collisions.store(0)
    tok.name = name


@inline
def gettoken(tok: Ptr[Token]) -> None:
    """Own `tok` alone; `with tok:` is this and reltoken().  May be nested.

    Context  thread; no spinlock held.
    Blocks   yes; then the caller's other tokens lapse meanwhile (T2).  Recheck.
    Panics   more than MAX_TOKENS at once; held shared already (T5).
    """
    td = curthread()
    want = _push(td, tok, WANT_EXCLUSIVE)
    if tok.count.cas(0, EXCLUSIVE):
        tok.ref.store_relaxed(want)
        if ktr.on(ktr.Event.TOKEN_GET):
            _trace_get(td, want)
    else:
        _gettoken_slow(td, tok, want)


def gettoken_shared(tok: Ptr[Token]) -> None:
    """Own `tok` together with others who share it.  Otherwise as gettoken()."""
    td = curthread()
    want = _push(td, tok, SHARED_STEP)
    if not _try(td, want, True):
        _contested(td, tok, want)
    elif ktr.on(ktr.Event.TOKEN_GET):
        _trace_get(td, want)


def trytoken(tok: Ptr[Token]) -> bool:
    """Own `tok` alone if that is possible at once.  Never blocks."""
    td = curthread()
    want = _push(td, tok, WANT_EXCLUSIVE)
    if _try(td, want, False):
        if ktr.on(ktr.Event.TOKEN_GET):
            _trace_get(td, want)
        return True
    td.toks_stop -= 1
    want.tok = None
    return False


def trytoken_shared(tok: Ptr[Token]) -> bool:
    """Own `tok` with others if that is possible at once.  Never blocks."""
    td = curthread()
    want = _push(td, tok, SHARED_STEP)
    if _try(td, want, False):
        if ktr.on(ktr.Event.TOKEN_GET):
            _trace_get(td, want)
        return True
    td.toks_stop -= 1
    want.tok = None
    return False


@inline
def reltoken(tok: Ptr[Token]) -> None:
    """Let go of the token taken last, which must be `tok` (T3)."""
    td = curthread()
    at = td.toks_stop - 1
    held = ref(td.toks[at])
    kassert(held.tok is tok, "tokens are released in reverse order")
    if held.mode == WANT_EXCLUSIVE:
        _release_exclusive(held, tok)
    else:
        _release_other(td, held, tok)
    compiler_fence()        # an interrupt that sees the shorter stack sees the token free
    td.toks_stop = at


def swap(tok1: Ptr[Token], tok2: Ptr[Token]) -> None:
    """Exchange the two tokens taken last, so that the other is released first."""
    td = curthread()
    kassert(td.toks_stop >= 2)
    upper = ref(td.toks[td.toks_stop - 1])
    lower = ref(td.toks[td.toks_stop - 2])
    kassert((upper.tok is tok1 and lower.tok is tok2) or (upper.tok is tok2 and lower.tok is tok1))
    mode, tok = upper.mode, upper.tok
    upper.tok = lower.tok
    upper.mode = lower.mode
    lower.tok = tok
    lower.mode = mode
    _tell(upper)
    _tell(lower)


def pool(address: u64) -> Ptr[Token]:
    """The token that protects whatever lies at `address`.  Never take one shared: unrelated
    addresses have the same."""
    mixed = wrapping((address * PRIME_1) ^ (address >> 16) * PRIME_2)
    return ref(_pool.tokens[(mixed ^ (mixed >> 32)) % POOL_SIZE])


def held(tok: Ptr[Token]) -> bool:
    """Whether this thread holds `tok` exclusively."""
    return _mine(curthread(), tok)


def held_any(tok: Ptr[Token]) -> bool:
    """Whether this thread holds `tok`, exclusively or shared."""
    td = curthread()
    for i in range(td.toks_stop):
        if td.toks[i].tok is tok:
            return True
    return False


@noinline
def relalltokens(td: Ptr[Thread]) -> None:
    """Let go of what `td`, which is about to be switched out, holds."""
    at = td.toks_stop if td.toks_have == HAVE_ALL else td.toks_have
    td.toks_have = HAVE_ALL
    ktr.log(ktr.Event.TOKEN_DROP, at, 0)
    while at > 0:
        at -= 1
        tok = td.toks[at].tok
        if tok is not None:
            mode = td.toks[at].mode
            if mode & TRACED != 0:
                ktr.log(ktr.Event.TOKEN_RELEASE, u64(address_of(tok)),
                        u64(address_of(td)) | mode | ktr.LAPSED)
            _release(ref(td.toks[at]), tok)


def getalltokens(td: Ptr[Thread], tried: u32) -> bool:
    """Take all tokens that `td` wants, or none (T4).  `tried` is how often that failed before:
    after SORT_AFTER rounds in order of address, so that two threads do not starve each other.

    Context  the scheduler of td's CPU.
    """
    order: Array[u32, MAX_TOKENS]
    count = td.toks_stop
    for i in range(count):
        order[i] = i
    if tried >= SORT_AFTER:
        _sort(td, order, count)
    for i in range(count):
        want = ref(td.toks[order[i]])
        if not _try(td, want, True) and not (i + 1 == count and _spin(td, want)):
            j = i
            while j > 0:
                j -= 1
                tok = td.toks[order[j]].tok
                if tok is not None:
                    _release(ref(td.toks[order[j]]), tok)
            return False
    ktr.log(ktr.Event.TOKEN_REGAIN, count, u64(address_of(td)))
    if ktr.on(ktr.Event.TOKEN_GET):
        for i in range(count):
            _trace_get(td, ref(td.toks[i]))
    return True


@inline
def _push(td: Ptr[Thread], tok: Ptr[Token], mode: u64) -> Ptr[Tokref]:
    """A new reference of `td`, wanted, not yet held."""
    at = td.toks_stop
    kassert(at < MAX_TOKENS, "too many tokens at once")
    kassert(gd.spinlocks == 0, "a token may block: not under a spinlock")
    want = ref(td.toks[at])
    want.tok = tok
    want.mode = mode
    compiler_fence()        # an interrupt that sees the longer stack sees a whole reference
    td.toks_stop = at + 1
    return want


def _try(td: Ptr[Thread], want: Ptr[Tokref], blocking: bool) -> bool:
    """Own want.tok for `td` if that is possible at once; with `blocking`, let new sharers wait
    if it is not."""
    tok = want.tok
    if tok is None:
        return True
    if want.mode & EXCLREQ == 0:
        return _try_shared(td, want, tok)
    while True:
        count = tok.count.load_relaxed()
        if count & ~EXCLREQ == 0:
            if tok.count.cas(count, EXCLUSIVE):
                tok.ref.store_relaxed(want)
                want.mode |= EXCLUSIVE
                return True
        elif count & EXCLUSIVE != 0 and _mine(td, tok):
            tok.count.add(SHARED_STEP, order="relaxed")
            want.mode &= ~EXCLUSIVE
            return True
        elif not blocking or count & EXCLREQ != 0 or tok.count.cas(count, count | EXCLREQ):
            return False


def _try_shared(td: Ptr[Thread], want: Ptr[Tokref], tok: Ptr[Token]) -> bool:
    count = tok.count.load_relaxed()
    if count & EXCLUSIVE == 0:
        # Who holds other tokens does not wait for writers: a writer may wait for those.
        if count & EXCLREQ != 0 and want is not ref(td.toks[0]):
            pass
        elif count & EXCLREQ != 0:
            return False
        if tok.count.add(SHARED_STEP, order="acquire") & EXCLUSIVE == 0:
            return True
        tok.count.sub(SHARED_STEP, order="relaxed")
        return False
    if _mine(td, tok):
        tok.count.add(SHARED_STEP, order="relaxed")
        return True
    return False


@inline
def _release(held_ref: Ptr[Tokref], tok: Ptr[Token]) -> None:
    """Let go of what any reference holds."""
    if held_ref.mode & EXCLUSIVE != 0:
        _release_exclusive(held_ref, tok)
    else:
        tok.count.sub(SHARED_STEP, order="release")


@inline
def _release_exclusive(held_ref: Ptr[Tokref], tok: Ptr[Token]) -> None:
    kassert(tok.ref.load_relaxed() is held_ref)
    tok.ref.store_relaxed(None)

    tok.count.and_(~EXCLUSIVE, order="release")             # T1: after ref is cleared


@cold
@noinline
def _release_other(td: Ptr[Thread], held_ref: Ptr[Tokref], tok: Ptr[Token]) -> None:
    """Shared, or once more what one has alone, or traced (T6)."""
    if held_ref.mode & TRACED != 0:
        ktr.log(ktr.Event.TOKEN_RELEASE, u64(address_of(tok)), u64(address_of(td)) | held_ref.mode)
    _release(held_ref, tok)


@cold
@noinline
def _trace_get(td: Ptr[Thread], held_ref: Ptr[Tokref]) -> None:
    """Have the trace know that `td` holds a token; its release will be told as well."""
    held_ref.mode |= TRACED
    tok = held_ref.tok
    if tok is not None:
        ktr.log(ktr.Event.TOKEN_GET, u64(address_of(tok)), u64(address_of(td)) | held_ref.mode)


@inline
def _mine(td: Ptr[Thread], tok: Ptr[Token]) -> bool:
    """Whether `td` holds `tok` exclusively.  Only td itself makes this true or false."""
    holder = tok.ref.load_relaxed()
    if holder is None:
        return False
    return wrapping(u64(address_of(holder)) - u64(address_of(ref(td.toks[0])))) < sizeof(td.toks)


def _tell(moved: Ptr[Tokref]) -> None:
    """Let the token know where its exclusive reference is now."""
    tok = moved.tok
    if moved.mode & EXCLUSIVE != 0 and tok is not None:
        tok.ref.store_relaxed(moved)


@cold
@noinline
def _gettoken_slow(td: Ptr[Thread], tok: Ptr[Token], want: Ptr[Tokref]) -> None:
    """It is not free: ours already, wanted by others, or held."""
    if not _try(td, want, True):
        _contested(td, tok, want)
    elif ktr.on(ktr.Event.TOKEN_GET):
        _trace_get(td, want)


@cold
@noinline
def _contested(td: Ptr[Thread], tok: Ptr[Token], want: Ptr[Tokref]) -> None:
    """Somebody else has it: spin for a while, then let the scheduler try."""
    if want.mode & EXCLREQ != 0:
        for i in range(td.toks_stop - 1):
            kassert(td.toks[i].tok is not tok or td.toks[i].mode & EXCLREQ != 0, (
                "held shared, now wanted exclusively: it would wait for itself"))
    kassert(gd.intr_nesting_level == 0, "tokens may block: not in an interrupt")
    ktr.log(ktr.Event.TOKEN_SPIN, u64(address_of(tok)), tok.count.load_relaxed())
    if _spin(td, want):
        if ktr.on(ktr.Event.TOKEN_GET):
            _trace_get(td, want)
        return
    tok.collisions.add(1, order="relaxed")
    gd.counters.token_collisions += 1
    ktr.log(ktr.Event.TOKEN_WAIT, u64(address_of(tok)), tok.count.load_relaxed())
    td.toks_have = td.toks_stop - 1
    td.mpflags.or_(MpFlag.DIDYIELD)
    sched.switch()                      # T4: comes back owning every token listed
    kassert(td.toks_have == HAVE_ALL)


def _spin(td: Ptr[Thread], want: Ptr[Tokref]) -> bool:
    """Try again with growing pauses, 1.5 times as long each; False once BACKOFF_MAX is reached.

    Of CPUs that spin for one token only one tries at a time: each has its window of the clock.
    """
    backoff: u64 = 16
    while backoff < BACKOFF_MAX:
        waited: u64 = 0
        while waited < backoff or not _my_window():
            pause()
            waited += 1
            if waited >= BACKOFF_MAX:
                break
        if _try(td, want, True):
            return True
        backoff += backoff // 2
    return False


@inline
def _my_window() -> bool:
    """Whether it is this CPU's turn to try hard."""
    cpus = globaldata.cpu_limit
    return cpus == 1 or (machine.cputimer_count() >> WINDOW_SHIFT) % cpus == gd.cpuid


def _sort(td: Ptr[Thread], order: Slice[u32], count: u32) -> None:
    """Sort by token address; references to one token keep their order, so that the exclusive one
    comes first."""
    for i in range(1, count):
        moved = order[i]
        key = _key(td, moved)
        j = i
        while j > 0 and _key(td, order[j - 1]) > key:
            order[j] = order[j - 1]
            j -= 1
        order[j] = moved


def _key(td: Ptr[Thread], index: u32) -> u64:
    tok = td.toks[index].tok
    return 0 if tok is None else u64(address_of(tok))
