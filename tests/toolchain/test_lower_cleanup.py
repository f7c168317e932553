# SPDX-License-Identifier: BSD-3-Clause
"""Clean-up on every edge: random nests of with, try, loops and jumps against Python itself.

Each program appends numbers to a log; the same program as Python source says what the log is.
"""
from __future__ import annotations

import random

import pytest

from tests.toolchain import build as k
from tests.toolchain.run import build
from toolchain.backend.jit import Raised
from toolchain.frontend import tree
from toolchain.frontend.types import I32, U64, VOID, array
from toolchain.lower import cfg
from toolchain.lower.lower import lower_module
from toolchain.options import Options


class ErrnoError(Exception):
    """What Python raises for kpy's error codes."""

    def __init__(self, code):
        self.code = code
        super().__init__(code)


class Generator:
    """One random function, as a tree and as Python source at once."""

    def __init__(self, seed, note, maybe):
        self.rng = random.Random(seed)
        self.note, self.maybe = note, maybe
        self.lines, self.numbers, self.labels = [], 0, []
        self.step = k.param("n", U64)

    def say(self, depth, text):
        self.lines.append("    " * depth + text)

    def number(self):
        self.numbers += 1
        return self.numbers

    def log(self, depth):
        n = self.number()
        self.say(depth, f"log.append({n})")
        return k.expr(k.call(self.note, k.const(n)))

    def body(self, depth, size=3):
        return [self.statement(depth) for _ in range(self.rng.randint(1, size))]

    def statement(self, depth):
        kinds = ["log", "log", "jump", "call"] + ["with", "try", "finally", "loop", "if"] * (
            depth < 5)
        return getattr(self, "_" + self.rng.choice(kinds))(depth)

    def _log(self, depth):
        return self.log(depth)

    def _call(self, depth):
        n = self.number()
        self.say(depth, f"maybe({n}, n)")
        return k.expr(k.call(self.maybe, k.const(n), k.load(self.step)))

    def _condition(self, depth):
        mask = self.rng.randint(1, 7)
        self.say(depth, f"if n & {mask} == {mask}:")
        return k.compare("eq", k.binary("and", k.load(self.step), k.const(mask)), k.const(mask))

    def _jump(self, depth):
        cond = self._condition(depth)
        kind = self.rng.choice(["return", "raise"] + ["break", "continue"] * bool(self.labels))
        n = self.number()
        if kind == "return":
            self.say(depth + 1, f"return {n}")
            return k.if_(cond, [k.ret(k.const(n))])
        if kind == "raise":
            self.say(depth + 1, f"raise ErrnoError({n})")
            return k.if_(cond, [k.raise_(n)])
        self.say(depth + 1, kind)
        return k.if_(cond, [(k.brk if kind == "break" else k.cont)(self.labels[-1])])

    def _if(self, depth):
        cond = self._condition(depth)
        then = self.body(depth + 1)
        self.say(depth, "else:")
        return k.if_(cond, then, self.body(depth + 1))

    def _loop(self, depth):
        i, label = k.local(f"i{self.number()}", U64), tree.Label()
        self.say(depth, f"for {i.name} in range(2):")
        self.labels.append(label)
        body = self.body(depth + 1)
        self.labels.pop()
        other = []
        if self.rng.random() < 0.3:
            self.say(depth, "else:")
            other = self.body(depth + 1)
        loop = k.while_(k.compare("lt", k.load(i), k.const(2)), body,
                        [k.aug(i, "add", k.const(1))], other, label)
        return tree.Block(k.here(), [k.declare(i, k.const(0)), loop], tree.Label())

    def _with(self, depth):
        enter, leave = self.number(), self.number()
        self.say(depth, f"with manager(log, {enter}, {leave}):")
        call = lambda n: [k.expr(k.call(self.note, k.const(n)))]  # noqa: E731
        return k.with_(call(enter), self.body(depth + 1), call(leave))

    def _try(self, depth, final=False):
        e, code = k.local("e", I32), f"code{self.number()}"
        self.say(depth, "try:")
        body = self.body(depth + 1)
        self.say(depth, "except ErrnoError as e:")
        self.say(depth + 1, f"{code} = e.code")
        self.say(depth + 1, f"log.append({code})")
        handler = [k.expr(k.call(self.note, k.convert("checked", k.load(e), U64)))]
        handler += self.body(depth + 1)
        if self.rng.random() < 0.3:
            self.say(depth + 1, f"raise ErrnoError({code})")
            handler.append(tree.Raise(k.here(), k.load(e)))
        other = []
        if self.rng.random() < 0.3:
            self.say(depth, "else:")
            other = self.body(depth + 1)
        last = []
        if self.rng.random() < 0.3:
            self.say(depth, "finally:")
            last = self._final(depth)
        return k.try_(body, e, handler, other, last)

    def _final(self, depth):
        labels, self.labels = self.labels, []
        body = self.body(depth + 1)
        self.labels = labels
        return body

    def _finally(self, depth):
        self.say(depth, "try:")
        body = self.body(depth + 1)
        self.say(depth, "finally:")
        return k.try_(body, final=self._final(depth))

    def function(self, name):
        self.say(0, "def f(n):")
        body = self.body(1, 5)
        self.say(1, "return 0")
        body.append(k.ret(k.const(0)))
        return k.function(name, [self.step], U64, body, throws=True), "\n".join(self.lines)


class Manager:
    def __init__(self, log, enter, leave):
        self.log, self.enter, self.leave = log, enter, leave

    def __enter__(self):
        self.log.append(self.enter)

    def __exit__(self, *_):
        self.log.append(self.leave)


def fixtures():
    """note(n): append to the log.  maybe(n, step): raise n where n's low bits equal step's."""
    log, used = k.global_("log", array(U64, 4000)), k.global_("used", U64)
    n, m, step = k.param("n", U64), k.param("m", U64), k.param("step", U64)
    note = k.function("note", [n], VOID, [
        k.assign(k.index(log, k.load(used)), k.load(n)), k.aug(used, "add", k.const(1))])
    maybe = k.function("maybe", [m, step], VOID, [
        k.expr(k.call(note, k.load(m))),
        k.if_(k.compare("eq", k.binary("and", k.load(m), k.const(3)), k.binary(
            "and", k.load(step), k.const(3))),
            [tree.Raise(k.here(), k.convert("checked", k.load(m), I32))])], throws=True)
    reset = k.function("reset", [], VOID, [k.assign(used, k.const(0))])
    i = k.param("i", U64)
    count = k.function("count", [], U64, [k.ret(k.load(used))])
    item = k.function("item", [i], U64, [k.ret(k.load(k.index(log, k.load(i))))])
    return [log, used], note, maybe, reset, count, item


@pytest.mark.parametrize("mode", ["dev", "release"])
@pytest.mark.parametrize("block", range(3))
def test_random_nests(mode, block):
    variables, note, maybe, reset, count, item = fixtures()
    made = [Generator(seed, note, maybe).function(f"f{seed}")
            for seed in range(block * 30, block * 30 + 30)]
    program = build(k.module(note, maybe, reset, count, item, *(f for f, _ in made),
                             globals=variables), mode=mode)
    for function, source in made:
        code = compile(source, function.name, "exec")
        for n in range(8):
            log = []

            def maybe_raise(number, step, log=log):
                log.append(number)
                if number & 3 == step & 3:
                    raise ErrnoError(number)
            space = {"log": log, "manager": Manager, "ErrnoError": ErrnoError,
                     "maybe": maybe_raise}
            exec(code, space)
            try:
                want = space["f"](n)
            except ErrnoError as error:
                want = ("raised", error.code)
            program.call(reset)
            try:
                got = program.call(function, n)
            except Raised as error:
                got = ("raised", error.code)
            mine = [program.call(item, i) for i in range(program.call(count))]
            assert (got, mine) == (want, log), source


def test_one_copy_a_destination():
    """Ten returns through one with: one clean-up for all of them, one for falling off."""
    _, note, *_ = fixtures()
    n = k.param("n", U64)
    returns = [k.if_(k.compare("eq", k.load(n), k.const(i)), [k.ret(k.const(i))])
               for i in range(10)]
    f = k.function("f", [n], U64, [
        k.with_([k.expr(k.call(note, k.const(1)))], returns,
                [k.expr(k.call(note, k.const(2)))]), k.ret(k.const(99))])
    graph = lower_module(k.module(f, externals=[note]), Options())
    text = cfg.dump(graph, "f")
    assert text.count("call demo.note(2)") == 2
    assert "# clean-up of with" in text
