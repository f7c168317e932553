# SPDX-License-Identifier: BSD-3-Clause
"""Clean-up: what runs when control leaves a with, a try/finally or the function.

    with tok:                             call token.enter
        if full():                        branch %1, with.return, ...
            return 0                    with.return:        clean-up of with, line 1: return
        put()                             call token.leave
                                          jump return
                                        ...
                                          call put
                                          call token.leave
                                          jump with.end

Every clean-up is lowered once for each *destination* that control leaves to through it (falling
off, the return, the enclosing handler, each break and continue), however many edges go there.
So code grows with the number of destinations and not with the number of returns.

What holds afterwards
  R1  Whoever leaves through clean-ups has stored its code or result in the target's slot first;
      a clean-up that itself raises or returns thereby replaces it, as in Python.
  R2  While a clean-up is lowered, `scopes` are those outside it.
  R3  A return or raise inside a clean-up that is itself abandoned (by an except or finally of the
      clean-up) leaves the pending result or code as it was: it is kept in a temporary meanwhile.
Tests     tests/toolchain/test_lower_cleanup.py
"""
from __future__ import annotations

from toolchain.frontend import tree, types
from toolchain.lower import cfg
from toolchain.lower.build import Builder, CleanUp, Handler, Target, parts


def leave(b: Builder, target: Target) -> None:
    """Go to `target`, through the clean-ups between here and there."""
    b.jump(way_to(b, target))


def way_to(b: Builder, target: Target) -> cfg.Block:
    """The block to jump to in order to get to `target`: itself or the innermost clean-up."""
    for depth in range(len(b.scopes), target.depth, -1):
        scope = b.scopes[depth - 1]
        if isinstance(scope, CleanUp):
            for known, block in scope.exits:
                if known is target:
                    return block
            block = b.new_block(
                f"{scope.word}.{target.kind}",
                f"clean-up of {scope.word}, line {scope.at.loc.line}: {target.kind}")
            scope.exits.append((target, block))
            return block
    return target.block


def guarded(b: Builder, scope: CleanUp | Handler, body: list[tree.Stmt]) -> None:
    """Lower `body` inside `scope`."""
    b.scopes.append(scope)
    b.nested(body)
    b.scopes.pop()


def close(b: Builder, scope: CleanUp) -> None:
    """After the body: the clean-up for falling off, then the copies that other exits asked for.

    Ends with the current block being the one after the statement.
    """
    after = b.new_block(f"{scope.word}.end")
    if not b.ended:
        b.nested(scope.body)
        b.jump(after)
    keeps = any(isinstance(part, tree.Try | tree.With) for part in parts(scope.body))
    for target, block in scope.exits:
        b.start(block)
        kept = _keep(b, target) if keeps else None
        b.nested(scope.body)
        if kept is not None and not b.ended:
            slot, saved = kept
            b.move(slot, saved)
        b.jump(way_to(b, target))
    b.start(after)


def _keep(b: Builder, target: Target) -> tuple[cfg.Slot, cfg.Slot] | None:
    """Save what `target` is to receive (R3): (its slot, the copy)."""
    slot = target.slot if target.kind != "return" or target.slot else b.result_slot
    if slot is None:
        return None
    saved = b.temp("pending", slot.ty)
    b.move(saved, slot)
    return slot, saved


def error_target(b: Builder) -> Target:
    """Where an error raised here goes: the innermost handler or out of the function."""
    for scope in reversed(b.scopes):
        if isinstance(scope, Handler):
            return scope.error
    if b.errors is None:
        b.errors = Target("error", 0, b.new_block("error"), b.temp("error", types.I32))
    return b.errors


def return_target(b: Builder) -> Target:
    """The function's common exit, used by returns inside clean-ups."""
    if b.returns is None:
        b.returns = Target("return", 0, b.new_block("return"))
        if not b.function.result.is_aggregate and not is_void(b.function.result):
            b.returns.slot = b.temp("result", b.function.result)
    return b.returns


def raise_code(b: Builder, code: cfg.Operand) -> None:
    """Leave with error `code`."""
    target = error_target(b)
    b.store_slot(target.slot, code)
    leave(b, target)


def test_code(b: Builder, code: cfg.Reg) -> None:
    """After a throwing call: raise its code unless zero, else go on."""
    failed = b.reg(types.BOOL)
    b.emit(cfg.Compare(b.at, failed, "ne", code, cfg.Imm(types.I32, 0)))
    error, fine = b.new_block("failed"), b.new_block("fine")
    b.branch(failed, error, fine, likely=False)
    b.start(error)
    raise_code(b, code)
    b.start(fine)


def finish_exits(b: Builder) -> None:
    """Emit the function's common exits, where something uses them."""
    zero = cfg.Imm(types.I32, 0) if b.throws else None
    if b.returns is not None:
        b.start(b.returns.block)
        slot = b.returns.slot
        b.emit(cfg.Return(b.at, b.load_slot(slot) if slot else None, zero))
    if b.errors is not None:
        b.start(b.errors.block)
        code = b.load_slot(b.errors.slot)
        b.emit(cfg.Return(b.at, None, code))


def is_void(ty: types.Type) -> bool:
    return isinstance(ty, types.VoidType)
