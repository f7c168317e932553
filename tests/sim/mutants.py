# SPDX-License-Identifier: BSD-3-Clause
"""The mutants of the nucleus: who kills each, and why the others cannot be told from the original.

toolchain/lower/mutate.py makes them, `kpyc mutants kernel/lwkt/token.py --show NAME` shows what one
changes, and `python -m tests.sim.hunt WORD` looks for a scenario that kills it.
Tests     tests/sim/test_mutants.py
"""
from __future__ import annotations

from functools import cache
from pathlib import Path

from tests.sim.suite import FILES
from toolchain import mutants, sim
from toolchain.diagnostics import Sink
from toolchain.driver import roots_of

ROOT = Path(__file__).resolve().parents[2]
MODULES = tuple(f"kernel.{name}" for name in (
    "lwkt.callout", "lwkt.cpumask", "lwkt.cpusync", "lwkt.crit", "lwkt.ipiq", "lwkt.msgport",
    "lwkt.mutex", "lwkt.sched", "lwkt.serialize", "lwkt.sleepq", "lwkt.spin", "lwkt.splz",
    "lwkt.token", "mem.kmalloc_obj", "mem.kva", "mem.objcache", "mem.page", "mem.slab"))


@cache
def names() -> list[str]:
    """Every mutant of the modules."""
    files = [ROOT / f"{name.replace('.', '/')}.py" for name in MODULES]
    return [mutant.name for mutant in mutants.found(files, roots_of(files), Sink(), MODULES)]


@cache
def scenarios() -> dict[str, sim.Scenario]:
    """The scenarios of a build that holds all mutants."""
    return sim.load(*FILES, mutants=MODULES)


# name: the scenario and policy that kill it, and how many schedules passed before
KILLED = {
    "blind-cas kernel.lwkt.serialize.enter #1": ("serializer_handler", "random", 68),
    "blind-cas kernel.lwkt.serialize.try_enter #1": ("serializers", "random", 0),
    "blind-cas kernel.lwkt.spin._contested #1": ("spinlock_of_three", "random", 12),
    "blind-cas kernel.lwkt.spin._contested_shared #1": ("spinlock_shared", "random", 14),
    "blind-cas kernel.lwkt.spin.trylock #1": ("spinlock_of_three", "random", 0),
    "blind-cas kernel.lwkt.spin.trylock #2": ("spinlock_of_three", "random", 0),
    "blind-cas kernel.lwkt.token._try #1": ("tried", "random", 6),
    "blind-cas kernel.lwkt.token._try #2": ("exclusive", "random", 0),
    "blind-cas kernel.lwkt.token.gettoken #1": ("exclusive", "random", 0),
    "blind-cas kernel.mem.slab._push_remote #1": ("retirement", "random", 36),
    "drop-fence kernel.lwkt.ipiq.process #1": ("both_ways", "tso-random", 1),
    "forget-disable kernel.lwkt.ipiq._make_room #1": ("full_silently", "random", 0),
    "forget-disable kernel.lwkt.sched.idle #1": ("level", "random", 11),
    "forget-doorbell kernel.lwkt.ipiq._make_room #1": ("full_passively", "random", 0),
    "forget-doorbell kernel.lwkt.ipiq._ring #1": ("one_sleeper", "random", 4),
    "forget-doorbell kernel.lwkt.ipiq.send #1": ("one_sleeper", "random", 4),
    "forget-invalidate kernel.mem.kva._drop #1": ("shootdown", "random", 0),
    "forget-invalidate kernel.mem.kva._invalidate #1": ("reused_range", "random", 0),
    "forget-invalidate kernel.mem.kva.release #1": ("reused_range", "random", 0),
    "forget-invalidate kernel.mem.kva.shootdown #1": ("shootdown", "random", 0),
    "forget-message kernel.lwkt.callout.stop #1": ("stop_while_set", "random", 0),
    "forget-message kernel.lwkt.cpusync.interlock #1": ("standstill", "random", 0),
    "forget-message kernel.lwkt.ipiq.send_mask #1": ("standstill", "random", 0),
    "forget-message kernel.lwkt.ipiq.send_nowait #1": ("full_passively", "random", 0),
    "forget-message kernel.lwkt.msgport._thread_put_remote #1": ("server_moves", "pct", 30),
    "forget-message kernel.lwkt.msgport._thread_putport #1": ("synchronous", "random", 0),
    "forget-message kernel.lwkt.msgport._thread_reply_remote #1": ("client_moves", "pct", 0),
    "forget-message kernel.lwkt.msgport._thread_replyport #1": ("synchronous", "random", 0),
    "forget-message kernel.lwkt.sched._send_off #1": ("migration", "random", 0),
    "forget-message kernel.lwkt.sched.acquire #1": ("giveaway_self", "random", 0),
    "forget-message kernel.lwkt.sched.create #1": ("preemption_of_switches", "random", 0),
    "forget-message kernel.lwkt.sched.schedule #1": ("remote_schedule", "random", 0),
    "forget-message kernel.lwkt.sched.start_thread #1": ("births", "random", 0),
    "forget-message kernel.lwkt.sleepq._wakeup #1": ("one_sleeper", "random", 4),
    "forget-message kernel.lwkt.sleepq.wakeup_oncpu #1": ("on_one_cpu", "random", 4),
    "forget-message kernel.mem.kmalloc_obj._advance #1": ("objects_retired", "race-random", 0),
    "forget-message kernel.mem.kmalloc_obj._wait_for_grace #1": (
        "objects_retired", "race-random", 0),
    "forget-message kernel.mem.kva._launch #1": ("reused_range", "random", 0),
    "forget-message kernel.mem.kva._wait_for #1": ("reused_range", "random", 0),
    "forget-message kernel.mem.kva.shootdown #1": ("shootdown", "random", 0),
    "forget-message kernel.mem.slab._push_remote #1": ("remote_free", "random", 0),
    "forget-poll kernel.lwkt.cpusync._wait_for_all #1": ("two_masters", "random", 0),
    "forget-poll kernel.lwkt.crit.crit_exit #1": ("standstill", "random", 0),
    "forget-poll kernel.lwkt.ipiq._make_room #1": ("full", "pct", 1),
    "forget-poll kernel.lwkt.ipiq.wait #1": ("waited_for", "random", 2),
    "forget-poll kernel.lwkt.sched._choose #1": ("holder_asks_later", "race-random", 0),
    "forget-poll kernel.lwkt.sched.switch #1": ("switch_in_section", "random", 0),
    "forget-poll kernel.lwkt.sched.yield_ #1": ("yield_in_section", "random", 0),
    "forget-poll kernel.lwkt.splz.crit_exit_pending #1": ("standstill", "random", 0),
    "forget-poll kernel.lwkt.splz.run_pending #1": ("one_sleeper", "random", 4),
    "forget-poll kernel.lwkt.splz.splz_check #1": ("one_sleeper", "random", 4),
    "forget-poll kernel.mem.slab._left #1": ("kmalloc_lets_messages_in", "pct", 122),
    "forget-poll kernel.mem.slab.free_address #1": ("remote_free", "random", 64),
    "forget-wait kernel.lwkt.callout.stop #1": ("stop_while_set", "random", 0),
    "forget-wait kernel.lwkt.cpusync.deinterlock #1": ("standstill", "random", 1),
    "forget-wait kernel.lwkt.cpusync.interlock #1": ("standstill", "random", 0),
    "forget-wait kernel.lwkt.sched.acquire #1": ("giveaway_self", "random", 0),
    "forget-wait kernel.mem.kmalloc_obj.drain #1": ("objects_retired", "race-random", 0),
    "forget-wait kernel.mem.kva.flush #1": ("batches", "race-random", 0),
    "forget-wait kernel.mem.kva.shootdown #1": ("shootdown", "random", 8),
    "forget-wakeup kernel.lwkt.callout._call_due #1": ("stop_elsewhere", "random", 12),
    "forget-wakeup kernel.lwkt.callout.hardclock #1": ("timeout", "random", 1),
    "forget-wakeup kernel.lwkt.msgport._serialize_replyport #1": ("serialize_port", "random", 0),
    "forget-wakeup kernel.lwkt.msgport._spin_putport #1": ("dropped", "random", 22),
    "forget-wakeup kernel.lwkt.msgport._spin_replyport #1": ("spin_replies", "random", 0),
    "forget-wakeup kernel.lwkt.msgport._spin_replyport #2": ("spin_polled", "random", 0),
    "forget-wakeup kernel.lwkt.msgport._wake_port #1": ("serialize_port", "random", 0),
    "forget-wakeup kernel.lwkt.msgport._wake_thread #1": ("synchronous", "random", 0),
    "forget-wakeup kernel.lwkt.mutex._tell #1": ("mutex_abort_shared", "random", 31),
    "forget-wakeup kernel.lwkt.mutex.abort #1": ("mutex_abort_shared", "random", 31),
    "forget-wakeup kernel.lwkt.mutex.downgrade #1": ("mutex_tried", "random", 11),
    "forget-wakeup kernel.lwkt.mutex.unlock #1": ("mutex_abort", "random", 1),
    "forget-wakeup kernel.lwkt.sched._adopt #1": ("preemption_of_switches", "random", 0),
    "forget-wakeup kernel.lwkt.sched._choose #1": ("sorted_reacquire", "random", 1),
    "forget-wakeup kernel.lwkt.sched._enqueue #1": ("priorities", "random", 0),
    "forget-wakeup kernel.lwkt.sched._schedule_remote #1": ("remote_schedule", "random", 0),
    "forget-wakeup kernel.lwkt.sched._send_off #1": ("end_awaited", "race-random", 0),
    "forget-wakeup kernel.lwkt.sched._start #1": ("births", "random", 0),
    "forget-wakeup kernel.lwkt.sched.rotate #1": ("rotation", "random", 0),
    "forget-wakeup kernel.lwkt.serialize.leave #1": ("serializers", "random", 1),
    "forget-wakeup kernel.lwkt.sleepq._time_out #1": ("timeout", "random", 1),
    "forget-wakeup kernel.lwkt.sleepq._wakeup_here #1": ("one_sleeper", "random", 4),
    "forget-wakeup kernel.lwkt.sleepq._wakeup_remote #1": ("one_sleeper", "random", 4),
    "forget-wakeup kernel.lwkt.sleepq.wakeup #1": ("one_sleeper", "random", 4),
    "forget-wakeup kernel.lwkt.sleepq.wakeup_domain #1": ("domain", "random", 4),
    "forget-wakeup kernel.lwkt.sleepq.wakeup_end_delayed #1": ("delayed", "random", 1),
    "forget-wakeup kernel.lwkt.sleepq.wakeup_end_delayed #2": ("delayed_two", "random", 1),
    "forget-wakeup kernel.lwkt.sleepq.wakeup_mycpu #1": ("on_own_cpu", "random", 0),
    "forget-wakeup kernel.lwkt.sleepq.wakeup_one #1": ("serializers", "random", 1),
    "forget-wakeup kernel.mem.objcache._tell #1": ("object_put_is_told", "race-random", 0),
    "forget-wakeup kernel.mem.objcache.destroy_object #1": (
        "object_destroyed_is_told", "race-random", 0),
    "forget-wakeup kernel.mem.objcache.put #1": ("object_put_is_told", "race-random", 0),
    "forget-wakeup kernel.mem.page._tell #1": ("frame_freed_is_told", "race-random", 0),
    "forget-wakeup kernel.mem.page.cache #1": ("frame_cached_is_told", "race-random", 0),
    "forget-wakeup kernel.mem.page.free #1": ("frame_freed_is_told", "race-random", 0),
    "move-store kernel.lwkt.msgport._spin_putport #1": ("spin_port", "random", 2787),
    "move-store kernel.lwkt.msgport._thread_putport #1": ("forwarded", "pct", 12),
    "move-store kernel.lwkt.msgport._thread_replyport #1": ("synchronous", "pct", 3),
    "move-store kernel.lwkt.sched._start #1": ("births", "random", 0),
    "move-store kernel.lwkt.serialize.leave #1": ("serializers", "random", 21),
    "move-store kernel.lwkt.sleepq._time_out #1": ("timeout", "pct", 59),
    "move-store kernel.lwkt.token._release_exclusive #1": ("exclusive", "tso-random", 19),
    "move-store kernel.mem.kmalloc_obj._next_slab #1": ("objects", "race-random", 0),
    "move-store kernel.mem.kmalloc_obj.destroy #1": ("types_end", "race-random", 3),
    "move-store kernel.mem.objcache._make #1": ("object_cache_trimmed", "race-random", 0),
    "move-store kernel.mem.objcache._take_empty #1": ("object_cache_ends", "race-random", 0),
    "move-store kernel.mem.objcache._take_full #1": ("object_cache_trimmed", "race-random", 0),
    "move-store kernel.mem.objcache.destroy_object #1": ("scarce_objects", "race-random", 8),
    "move-store kernel.mem.page.cache #1": ("runs", "race-random", 52),
    "move-store kernel.mem.page.free #1": ("cached_page", "pct", 26),
    "move-store kernel.mem.slab._push_remote #1": ("retirement", "random", 36),
    "no-lock kernel.lwkt.callout._call_due #1": ("timeout", "random", 30),
    "no-lock kernel.lwkt.callout.reset #1": ("stop_while_set", "random", 3),
    "no-lock kernel.lwkt.ipiq.send #1": ("nested", "random", 7),
    "no-lock kernel.lwkt.ipiq.send_passive #1": ("passive", "race-random", 0),
    "no-lock kernel.lwkt.ipiq.wait #1": ("waited_for", "random", 1),
    "no-lock kernel.lwkt.msgport._spin_dropmsg #1": ("dropped", "random", 1),
    "no-lock kernel.lwkt.msgport._spin_getport #1": ("spin_polled", "random", 1687),
    "no-lock kernel.lwkt.msgport._spin_putport #1": ("dropped", "random", 1),
    "no-lock kernel.lwkt.msgport._spin_replyport #1": ("spin_polled", "pct", 21),
    "no-lock kernel.lwkt.msgport._spin_waitmsg #1": ("spin_replies", "random", 0),
    "no-lock kernel.lwkt.msgport._spin_waitport #1": ("dropped", "random", 22),
    "no-lock kernel.lwkt.msgport._thread_dropmsg #1": ("dropped_by_thread", "random", 85),
    "no-lock kernel.lwkt.msgport._thread_getport #1": ("polled", "random", 315),
    "no-lock kernel.lwkt.msgport._thread_putport #1": ("two_clients", "random", 4),
    "no-lock kernel.lwkt.msgport._thread_replyport #1": ("polled", "random", 13),
    "no-lock kernel.lwkt.msgport._thread_waitmsg #1": ("synchronous", "pct", 381),
    "no-lock kernel.lwkt.msgport._thread_waitport #1": ("two_clients", "pct", 27),
    "no-lock kernel.lwkt.mutex._sleep #1": ("mutex_abort", "race-random", 2),
    "no-lock kernel.lwkt.mutex._wait_for #1": ("mutex_abort_shared", "random", 3),
    "no-lock kernel.lwkt.mutex.abort #1": ("mutex_abort_shared", "random", 7),
    "no-lock kernel.lwkt.mutex.downgrade #1": ("mutex_tried", "random", 13),
    "no-lock kernel.lwkt.mutex.lock_async #1": ("mutex_abort", "random", 2),
    "no-lock kernel.lwkt.mutex.try_lock #1": ("mutex_tried", "random", 0),
    "no-lock kernel.lwkt.mutex.try_upgrade #1": ("mutex_tried", "random", 6),
    "no-lock kernel.lwkt.mutex.unlock #1": ("mutex_abort_shared", "random", 5),
    "no-lock kernel.lwkt.sched._storage #1": ("preemption_of_switches", "race-random", 0),
    "no-lock kernel.lwkt.sched.acquire #1": ("giveaway_self", "race-random", 0),
    "no-lock kernel.lwkt.sched.schedule #1": ("giveaway_self", "random", 0),
    "no-lock kernel.lwkt.sched.setpri #1": ("priorities", "random", 0),
    "no-lock kernel.lwkt.sleepq._timeout #1": ("timeout", "random", 1479),
    "no-lock kernel.lwkt.sleepq._wakeup #1": ("serializers", "random", 6),
    "no-lock kernel.lwkt.sleepq.lwkt_sleep #1": ("priorities", "random", 0),
    "no-lock kernel.lwkt.sleepq.ssleep #1": ("under_spinlock", "random", 0),
    "no-lock kernel.lwkt.sleepq.tsleep #1": ("timeout", "random", 22),
    "no-lock kernel.lwkt.sleepq.tsleep_interlock #1": ("mutex_stack", "tso-random", 190),
    "no-lock kernel.lwkt.sleepq.tsleep_remove #1": ("mutex_sharers_together", "random", 86),
    "no-lock kernel.lwkt.sleepq.wait #1": ("one_sleeper", "random", 4),
    "no-lock kernel.lwkt.sleepq.wakeup_end_delayed #1": ("delayed_two", "race-random", 0),
    "no-lock kernel.lwkt.spin.trylock #1": ("spinlock_of_three", "random", 1),
    "no-lock kernel.mem.kmalloc_obj._advance #1": ("type_ends_polled", "race-random", 0),
    "no-lock kernel.mem.kmalloc_obj._exchange #1": ("objects_retired", "race-random", 0),
    "no-lock kernel.mem.kmalloc_obj._next_slab #1": ("objects", "race-random", 0),
    "no-lock kernel.mem.kmalloc_obj._retire #1": ("types_end", "race-random", 0),
    "no-lock kernel.mem.kmalloc_obj._return_slabs #1": ("type_ends_polled", "race-random", 0),
    "no-lock kernel.mem.kmalloc_obj._sort #1": ("objects_retired", "race-random", 0),
    "no-lock kernel.mem.kmalloc_obj._surplus #1": ("objects_retired", "race-random", 0),
    "no-lock kernel.mem.kmalloc_obj.alloc #1": ("objects_preempted", "race-random", 0),
    "no-lock kernel.mem.kmalloc_obj.create #1": ("types_end", "race-random", 0),
    "no-lock kernel.mem.kmalloc_obj.destroy #1": ("types_end", "race-random", 0),
    "no-lock kernel.mem.kmalloc_obj.free #1": ("objects_preempted", "race-random", 0),
    "no-lock kernel.mem.kva._from_arena #1": ("cross_frees", "random", 0),
    "no-lock kernel.mem.kva._to_arena #1": ("devices", "race-random", 3),
    "no-lock kernel.mem.kva.drain #1": ("one_chain", "race-random", 0),
    "no-lock kernel.mem.kva.flush #1": ("reused_range", "race-random", 0),
    "no-lock kernel.mem.kva.map_device #1": ("devices", "race-random", 0),
    "no-lock kernel.mem.kva.map_page #1": ("cross_frees", "race-random", 0),
    "no-lock kernel.mem.kva.release #1": ("ranges_preempted", "race-random", 0),
    "no-lock kernel.mem.kva.reserve #1": ("shootdown", "race-random", 0),
    "no-lock kernel.mem.kva.trim #1": ("devices", "race-random", 0),
    "no-lock kernel.mem.objcache._empty #1": ("object_cache_trimmed", "race-random", 6),
    "no-lock kernel.mem.objcache._make #1": ("scarce_objects", "random", 6),
    "no-lock kernel.mem.objcache._take_empty #1": ("object_cache_ends", "race-random", 0),
    "no-lock kernel.mem.objcache._take_full #1": ("object_cache_trimmed", "race-random", 0),
    "no-lock kernel.mem.objcache.destroy_object #1": ("scarce_objects", "race-random", 0),
    "no-lock kernel.mem.objcache.get_nowait #1": ("object_cache_preempted", "pct", 211),
    "no-lock kernel.mem.objcache.put #1": ("object_cache_preempted", "pct", 166),
    "no-lock kernel.mem.objcache.trim #1": ("object_cache_ends", "race-random", 0),
    "no-lock kernel.mem.page._claim_run #1": ("cached_page", "race-random", 3),
    "no-lock kernel.mem.page._claim_run #2": ("cached_page", "random", 0),
    "no-lock kernel.mem.page._pop #1": ("pages", "random", 0),
    "no-lock kernel.mem.page.alloc #1": ("cached_page", "race-random", 0),
    "no-lock kernel.mem.page.cache #1": ("cached_page", "race-random", 0),
    "no-lock kernel.mem.page.cache #2": ("runs", "race-random", 0),
    "no-lock kernel.mem.page.free #1": ("cached_page", "race-random", 0),
    "no-lock kernel.mem.page.free #2": ("cached_page", "race-random", 0),
    "no-lock kernel.mem.page.reuse #1": ("cached_page", "race-random", 0),
    "no-lock kernel.mem.page.reuse #2": ("cached_page", "race-random", 3),
    "no-lock kernel.mem.slab._attempt #1": ("remote_free", "random", 85),
    "no-lock kernel.mem.slab._free_large #1": ("kmalloc_lets_messages_in", "race-random", 0),
    "no-lock kernel.mem.slab._free_slow #1": ("chunks_preempted", "race-random", 0),
    "no-lock kernel.mem.slab._kmalloc_class #1": ("kmalloc_lets_messages_in", "race-random", 0),
    "no-lock kernel.mem.slab._return_zones #1": ("retirement", "race-random", 0),
    "no-lock kernel.mem.slab._sweep #1": ("retirement", "race-random", 0),
    "no-lock kernel.mem.slab.free_address #1": ("chunks_preempted", "random", 0),
    "no-lock kernel.mem.slab.kmalloc_nowait #1": ("chunks_preempted", "race-random", 0),
    "release-early kernel.lwkt.callout._call_due #1": ("timeout", "random", 30),
    "release-early kernel.lwkt.callout.reset #1": ("stop_while_set", "random", 0),
    "release-early kernel.lwkt.ipiq.send #1": ("nested", "random", 0),
    "release-early kernel.lwkt.ipiq.send_passive #1": ("passive", "race-random", 0),
    "release-early kernel.lwkt.ipiq.wait #1": ("waited_for", "random", 1),
    "release-early kernel.lwkt.msgport._spin_dropmsg #1": ("dropped", "random", 12),
    "release-early kernel.lwkt.msgport._spin_getport #1": ("spin_polled", "random", 4080),
    "release-early kernel.lwkt.msgport._spin_putport #1": ("dropped", "random", 16),
    "release-early kernel.lwkt.msgport._spin_replyport #1": ("spin_polled", "random", 8),
    "release-early kernel.lwkt.msgport._spin_waitmsg #1": ("spin_replies", "random", 0),
    "release-early kernel.lwkt.msgport._spin_waitport #1": ("dropped", "random", 22),
    "release-early kernel.lwkt.msgport._thread_dropmsg #1": ("dropped_by_thread", "random", 161),
    "release-early kernel.lwkt.msgport._thread_getport #1": ("polled", "random", 508),
    "release-early kernel.lwkt.msgport._thread_putport #1": ("two_clients", "random", 4),
    "release-early kernel.lwkt.msgport._thread_replyport #1": ("polled", "random", 29),
    "release-early kernel.lwkt.msgport._thread_waitmsg #1": ("spin_port", "tso-random", 23),
    "release-early kernel.lwkt.msgport._thread_waitport #1": ("asynchronous", "pct", 13),
    "release-early kernel.lwkt.mutex._sleep #1": ("mutex_abort", "race-random", 2),
    "release-early kernel.lwkt.mutex._wait_for #1": ("mutex_abort_shared", "random", 0),
    "release-early kernel.lwkt.mutex.abort #1": ("mutex_abort_shared", "random", 5),
    "release-early kernel.lwkt.mutex.downgrade #1": ("mutex_tried", "random", 7),
    "release-early kernel.lwkt.mutex.lock_async #1": ("mutex_abort", "random", 34),
    "release-early kernel.lwkt.mutex.try_lock #1": ("mutex_tried", "random", 5),
    "release-early kernel.lwkt.mutex.try_upgrade #1": ("mutex_tried", "random", 1),
    "release-early kernel.lwkt.mutex.unlock #1": ("mutex_abort_shared", "random", 8),
    "release-early kernel.lwkt.sched._storage #1": ("preemption_of_switches", "race-random", 0),
    "release-early kernel.lwkt.sched.acquire #1": ("giveaway_self", "race-random", 0),
    "release-early kernel.lwkt.sched.schedule #1": ("giveaway_self", "random", 0),
    "release-early kernel.lwkt.sched.setpri #1": ("priorities", "random", 0),
    "release-early kernel.lwkt.sleepq._timeout #1": ("timeout", "random", 1945),
    "release-early kernel.lwkt.sleepq._wakeup #1": ("serializers", "random", 6),
    "release-early kernel.lwkt.sleepq.lwkt_sleep #1": ("priorities", "random", 0),
    "release-early kernel.lwkt.sleepq.ssleep #1": ("under_spinlock", "random", 0),
    "release-early kernel.lwkt.sleepq.tsleep #1": ("timeout", "random", 152),
    "release-early kernel.lwkt.sleepq.tsleep_interlock #1": ("mutex_stack", "random", 82),
    "release-early kernel.lwkt.sleepq.tsleep_remove #1": ("timeout", "random", 35),
    "release-early kernel.lwkt.sleepq.wait #1": ("one_sleeper", "random", 4),
    "release-early kernel.lwkt.sleepq.wakeup_end_delayed #1": ("delayed_two", "race-random", 0),
    "release-early kernel.lwkt.spin.trylock #1": ("spinlock_of_three", "random", 1),
    "release-early kernel.mem.kmalloc_obj._advance #1": ("type_ends_polled", "race-random", 0),
    "release-early kernel.mem.kmalloc_obj._exchange #1": ("objects_retired", "race-random", 0),
    "release-early kernel.mem.kmalloc_obj._next_slab #1": ("objects", "race-random", 0),
    "release-early kernel.mem.kmalloc_obj._retire #1": ("types_end", "race-random", 0),
    "release-early kernel.mem.kmalloc_obj._return_slabs #1": ("type_ends_polled", "race-random", 0),
    "release-early kernel.mem.kmalloc_obj._sort #1": ("objects_retired", "race-random", 0),
    "release-early kernel.mem.kmalloc_obj._surplus #1": ("objects_retired", "race-random", 0),
    "release-early kernel.mem.kmalloc_obj.alloc #1": ("objects_preempted", "race-random", 0),
    "release-early kernel.mem.kmalloc_obj.create #1": ("types_end", "race-random", 0),
    "release-early kernel.mem.kmalloc_obj.destroy #1": ("types_end", "race-random", 3),
    "release-early kernel.mem.kmalloc_obj.free #1": ("objects_preempted", "race-random", 0),
    "release-early kernel.mem.kva._from_arena #1": ("cross_frees", "random", 0),
    "release-early kernel.mem.kva._to_arena #1": ("devices", "race-random", 3),
    "release-early kernel.mem.kva.drain #1": ("one_chain", "race-random", 0),
    "release-early kernel.mem.kva.flush #1": ("reused_range", "race-random", 0),
    "release-early kernel.mem.kva.map_device #1": ("devices", "race-random", 0),
    "release-early kernel.mem.kva.map_page #1": ("cross_frees", "race-random", 0),
    "release-early kernel.mem.kva.release #1": ("ranges_preempted", "race-random", 0),
    "release-early kernel.mem.kva.reserve #1": ("shootdown", "race-random", 0),
    "release-early kernel.mem.kva.trim #1": ("devices", "race-random", 0),
    "release-early kernel.mem.objcache._empty #1": ("object_cache_trimmed", "race-random", 19),
    "release-early kernel.mem.objcache._make #1": ("scarce_objects", "random", 0),
    "release-early kernel.mem.objcache._take_empty #1": ("object_cache_ends", "race-random", 0),
    "release-early kernel.mem.objcache._take_full #1": ("object_cache_trimmed", "race-random", 0),
    "release-early kernel.mem.objcache.destroy_object #1": ("scarce_objects", "race-random", 8),
    "release-early kernel.mem.objcache.get_nowait #1": ("object_cache_preempted", "pct", 300),
    "release-early kernel.mem.objcache.put #1": ("object_cache_preempted", "pct", 211),
    "release-early kernel.mem.objcache.trim #1": ("object_cache_ends", "race-random", 1),
    "release-early kernel.mem.page._claim_run #1": ("cached_page", "pct", 0),
    "release-early kernel.mem.page._claim_run #2": ("cached_page", "random", 3),
    "release-early kernel.mem.page._pop #1": ("pages", "random", 1),
    "release-early kernel.mem.page.alloc #1": ("cached_page", "race-random", 0),
    "release-early kernel.mem.page.cache #1": ("cached_page", "race-random", 0),
    "release-early kernel.mem.page.cache #2": ("runs", "race-random", 52),
    "release-early kernel.mem.page.free #1": ("cached_page", "race-random", 0),
    "release-early kernel.mem.page.free #2": ("cached_page", "pct", 26),
    "release-early kernel.mem.page.reuse #1": ("cached_page", "race-random", 0),
    "release-early kernel.mem.page.reuse #2": ("cached_page", "random", 0),
    "release-early kernel.mem.slab._attempt #1": ("chunks_preempted", "race-random", 0),
    "release-early kernel.mem.slab._free_large #1": ("kmalloc_lets_messages_in", "race-random", 0),
    "release-early kernel.mem.slab._free_slow #1": ("chunks_preempted", "race-random", 0),
    "release-early kernel.mem.slab._kmalloc_class #1": (
        "kmalloc_lets_messages_in", "race-random", 0),
    "release-early kernel.mem.slab._return_zones #1": ("retirement", "race-random", 0),
    "release-early kernel.mem.slab._sweep #1": ("retirement", "race-random", 0),
    "release-early kernel.mem.slab.free_address #1": ("chunks_preempted", "random", 0),
    "release-early kernel.mem.slab.kmalloc_nowait #1": ("chunks_preempted", "race-random", 0),
    "skip-recheck kernel.lwkt.callout.stop #1": ("stop_elsewhere", "random", 15),
    "skip-recheck kernel.lwkt.cpusync._wait_for_all #1": ("standstill", "random", 0),
    "skip-recheck kernel.lwkt.ipiq._drain #1": ("one_sleeper", "random", 4),
    "skip-recheck kernel.lwkt.ipiq._make_room #1": ("full_passively", "random", 0),
    "skip-recheck kernel.lwkt.ipiq.process #1": ("doorbell", "pct", 37),
    "skip-recheck kernel.lwkt.ipiq.wait #1": ("critical_section", "random", 0),
    "skip-recheck kernel.lwkt.msgport._serialize_waitmsg #1": ("serialize_port", "random", 0),
    "skip-recheck kernel.lwkt.msgport._spin_waitmsg #1": ("spin_replies", "random", 0),
    "skip-recheck kernel.lwkt.msgport._thread_waitmsg #1": ("synchronous", "random", 0),
    "skip-recheck kernel.lwkt.mutex._grant #1": ("mutex_abort_shared", "random", 31),
    "skip-recheck kernel.lwkt.mutex._grant #2": ("mutex_abort_shared", "random", 31),
    "skip-recheck kernel.lwkt.mutex._grant #3": ("mutex_sharers_together", "random", 6),
    "skip-recheck kernel.lwkt.sched._choose #1": ("blocked_holder", "random", 0),
    "skip-recheck kernel.lwkt.sched._choose #2": ("any_order", "random", 0),
    "skip-recheck kernel.lwkt.sched._choose #3": ("sorted_reacquire", "random", 1),
    "skip-recheck kernel.lwkt.sched._choose #4": ("sorted_reacquire", "random", 16),
    "skip-recheck kernel.lwkt.sched._choose #5": ("sorted_reacquire", "random", 244),
    "skip-recheck kernel.lwkt.sched._enqueue #1": ("sorted_queue", "random", 0),
    "skip-recheck kernel.lwkt.sched._next_in_turn #1": ("births_beside_a_hole", "random", 0),
    "skip-recheck kernel.lwkt.sched.exit_thread #1": ("referred", "random", 7),
    "skip-recheck kernel.lwkt.serialize.enter #1": ("serializer_handler", "random", 68),
    "skip-recheck kernel.lwkt.serialize.try_enter #1": ("serializers", "random", 0),
    "skip-recheck kernel.lwkt.sleepq._wakeup #1": ("delayed_interrupted", "random", 285),
    "skip-recheck kernel.lwkt.sleepq._wakeup #2": ("delayed_interrupted", "random", 285),
    "skip-recheck kernel.lwkt.sleepq.wait #1": ("under_spinlock", "pct", 33),
    "skip-recheck kernel.lwkt.sleepq.wait #2": ("on_own_cpu", "random", 0),
    "skip-recheck kernel.lwkt.sleepq.wait #3": ("one_sleeper", "random", 4),
    "skip-recheck kernel.lwkt.sleepq.wait #4": ("scheduled_directly", "pct", 0),
    "skip-recheck kernel.lwkt.spin._contested #1": ("spinlock_of_three", "random", 12),
    "skip-recheck kernel.lwkt.spin._contested_shared #1": ("spinlock_shared", "random", 14),
    "skip-recheck kernel.lwkt.splz.splz #1": ("both_deferred", "random", 0),
    "skip-recheck kernel.lwkt.token._spin #1": ("exclusive", "random", 24),
    "skip-recheck kernel.lwkt.token._try #1": ("tried", "random", 6),
    "skip-recheck kernel.lwkt.token._try #2": ("exclusive", "random", 10),
    "skip-recheck kernel.lwkt.token.getalltokens #1": ("any_order", "random", 0),
    "skip-recheck kernel.lwkt.token.held_any #1": ("recursive_beside_readers", "random", 0),
    "skip-recheck kernel.mem.kmalloc_obj._exchange #1": ("type_ends_polled", "race-random", 0),
    "skip-recheck kernel.mem.kmalloc_obj._return_slabs #1": ("objects_retired", "race-random", 0),
    "skip-recheck kernel.mem.kmalloc_obj.create #1": ("types_end", "race-random", 0),
    "skip-recheck kernel.mem.kmalloc_obj.drain #1": ("objects_retired", "race-random", 0),
    "skip-recheck kernel.mem.kmalloc_obj.free #1": ("objects_taken_while_freed", "race-random", 33),
    "skip-recheck kernel.mem.kva._give #1": ("one_chain", "race-random", 0),
    "skip-recheck kernel.mem.kva._take #1": ("one_chain", "race-random", 0),
    "skip-recheck kernel.mem.kva.map_range #1": ("shootdown", "random", 0),
    "skip-recheck kernel.mem.objcache._empty #1": ("object_cache_ends", "race-random", 0),
    "skip-recheck kernel.mem.page._search #1": ("runs", "race-random", 0),
    "skip-recheck kernel.mem.page.wait #1": ("frame_freed_is_told", "pct", 4),
    "skip-recheck kernel.mem.page.wait #2": ("two_wait_for_frames", "race-random", 0),
    "skip-recheck kernel.mem.slab._kmalloc_wait #1": ("kmalloc_waits", "race-random", 0),
    "skip-recheck kernel.mem.slab._push_remote #1": ("retirement", "random", 36),
    "skip-recheck kernel.mem.slab._return_zones #1": ("retirement", "random", 0),
    "skip-recheck kernel.mem.slab._small #1": ("remote_free", "random", 0),
    "split-rmw kernel.lwkt.cpumask.AtomicCpumask.add #1": ("one_sleeper", "tso-random", 24),
    "split-rmw kernel.lwkt.cpumask.AtomicCpumask.discard #1": (
        "serializer_handler", "tso-random", 234),
    "split-rmw kernel.lwkt.cpumask.AtomicCpumask.take #1": ("passive_and_asked", "tso-random", 12),
    "split-rmw kernel.lwkt.ipiq.process #1": ("masters_interrupted", "race-random", 425),
    "split-rmw kernel.lwkt.sched._choose #1": ("level", "pct", 33),
    "split-rmw kernel.lwkt.sched._dequeue #1": ("delayed_two", "pct", 18),
    "split-rmw kernel.lwkt.sched._enqueue #1": ("removal", "random", 288),
    "split-rmw kernel.lwkt.sched.need_resched #1": ("removal", "random", 10),
    "split-rmw kernel.lwkt.sched.switch #1": ("switch_in_section", "random", 18),
    "split-rmw kernel.lwkt.serialize.enter #1": ("serializers", "random", 21),
    "split-rmw kernel.lwkt.serialize.enter #2": ("serializer_handler", "random", 272),
    "split-rmw kernel.lwkt.serialize.handler_disable #1": ("serializer_handler", "random", 0),
    "split-rmw kernel.lwkt.serialize.handler_enable #1": ("serializer_handler", "random", 0),
    "split-rmw kernel.lwkt.serialize.leave #1": ("serializers", "random", 11),
    "split-rmw kernel.lwkt.serialize.try_enter #1": ("serializers", "random", 0),
    "split-rmw kernel.lwkt.spin._contested #1": ("spinlock_of_three", "random", 3),
    "split-rmw kernel.lwkt.spin._contested #2": ("spinlock_of_three", "tso-random", 1),
    "split-rmw kernel.lwkt.spin._contested_shared #1": ("spinlock_shared", "random", 14),
    "split-rmw kernel.lwkt.spin._contested_shared #2": ("spinlock_shared", "random", 5),
    "split-rmw kernel.lwkt.spin._contested_shared #3": ("spinlock_shared", "random", 20),
    "split-rmw kernel.lwkt.spin.lock #1": ("spinlock_of_three", "random", 0),
    "split-rmw kernel.lwkt.spin.lock_shared #1": ("spinlock_shared", "random", 0),
    "split-rmw kernel.lwkt.spin.trylock #1": ("spinlock_of_three", "random", 3),
    "split-rmw kernel.lwkt.spin.trylock #2": ("spinlock_tried_after_sharing", "race-random", 2),
    "split-rmw kernel.lwkt.spin.unlock #1": ("spinlock_of_three", "random", 6),
    "split-rmw kernel.lwkt.spin.unlock_shared #1": ("spinlock_shared", "random", 3),
    "split-rmw kernel.lwkt.splz.run_pending #1": ("timeout", "random", 30),
    "split-rmw kernel.lwkt.token._release #1": ("tried", "random", 19),
    "split-rmw kernel.lwkt.token._release_exclusive #1": ("shared", "random", 232),
    "split-rmw kernel.lwkt.token._try #1": ("tried", "random", 0),
    "split-rmw kernel.lwkt.token._try #2": ("recursive_beside_readers", "random", 0),
    "split-rmw kernel.lwkt.token._try #3": ("exclusive", "random", 14),
    "split-rmw kernel.lwkt.token._try_shared #1": ("tried", "random", 19),
    "split-rmw kernel.lwkt.token._try_shared #2": ("shared", "random", 24),
    "split-rmw kernel.lwkt.token._try_shared #3": ("recursive_beside_readers", "random", 7108),
    "split-rmw kernel.lwkt.token.gettoken #1": ("exclusive", "random", 6),
    "split-rmw kernel.mem.kmalloc_obj._mark #1": ("objects_taken_while_freed", "race-random", 22),
    "split-rmw kernel.mem.kmalloc_obj._unmark #1": ("objects_freed_at_once", "random", 5),
    "split-rmw kernel.mem.kmalloc_obj.free #1": ("objects_freed_at_once", "random", 0),
    "split-rmw kernel.mem.objcache._wait #1": ("two_wait_for_objects", "race-random", 14),
    "split-rmw kernel.mem.objcache._wait #2": ("two_wait_for_objects", "race-random", 20),
    "split-rmw kernel.mem.page._account #1": ("cached_pages", "race-random", 0),
    "split-rmw kernel.mem.page.wait #1": ("two_wait_for_frames", "race-random", 20),
    "split-rmw kernel.mem.page.wait #2": ("two_wait_for_frames", "race-random", 5),
    "split-rmw kernel.mem.slab._collect #1": ("retirement", "tso-random", 4),
    "split-rmw kernel.mem.slab._deactivate #1": ("remote_free", "tso-random", 23),
    "split-rmw kernel.mem.slab._kfree_remote #1": ("remote_free_by_two", "random", 4716),
    "split-rmw kernel.mem.slab._push_remote #1": ("remote_free_by_two", "race-random", 33),
    "split-rmw kernel.mem.slab._push_remote #2": ("retirement", "tso-random", 0),
    "split-rmw kernel.mem.slab._push_remote #3": ("remote_free_by_two", "race-random", 7),
}

# name: why it cannot be told from the original
EQUIVALENT = {
    "drop-fence kernel.lwkt.spin.update_same #1":
        "An acquire fence is no instruction on x86, which does loads in order.",
    "forget-poll kernel.lwkt.sched.idle #1":
        "switch(), which follows, looks as well: the idle thread is in a critical section there.",
    "forget-wait kernel.mem.kva._wait_for #1":
        "_wait_for() then asks the batch itself until all have answered; the bell has been rung.",
    "forget-wakeup kernel.lwkt.sched._go_back #1":
        "Who queued the better thread has asked already, and a switch back clears nothing.",
    "forget-wakeup kernel.lwkt.sched.tick #1":
        "Who put another thread in front has asked already.",
    "move-store kernel.lwkt.callout._call_due #1":
        "In a critical section, and only a message to this CPU sets `waited`.",
    "move-store kernel.lwkt.ipiq.requeue_cpusync #1":
        "A FIFO of this CPU alone, read at its next pass; the second argument is always 0.",
    "move-store kernel.lwkt.msgport._wake_port #1":
        "Under the serializer that everybody holds who looks at the flag.",
    "move-store kernel.lwkt.msgport._wake_thread #1":
        "On the owner's CPU, in a critical section: the owner runs after it.",
    "move-store kernel.lwkt.sleepq._wakeup_here #1":
        "A number for statistics.",
    "move-store kernel.lwkt.token._contested #1":
        "The thread's own toks_have, which its own switch() reads afterwards.",
    "move-store kernel.lwkt.token.init #1":
        "Nobody knows the token before init() has returned.",
    "move-store kernel.lwkt.token.init #2":
        "Nobody knows the token before init() has returned.",
    "move-store kernel.mem.kmalloc_obj._new_slab #1":
        "Nobody knows the slab yet: no object of it has been handed out.",
    "move-store kernel.mem.slab._activate #1":
        "Others compare `owner` with themselves only, and do not read `active`.",
    "move-store kernel.mem.slab._new_zone #1":
        "Nobody knows the zone yet: no chunk of it has been handed out.",
    "move-store kernel.mem.slab._new_zone #2":
        "Nobody knows the zone yet: no chunk of it has been handed out.",
    "no-lock kernel.lwkt.sched.giveaway #1":
        "Its callers are in one: a wakeup could queue the thread before this is denied.",
    "no-lock kernel.lwkt.sched.schedule_self #1":
        "Its callers are in the critical section that deschedule_self() asks for.",
    "no-lock kernel.lwkt.sleepq.wakeup_start_delayed #1":
        "What interrupts begins and ends as often: the depth is the same again afterwards.",
    "release-early kernel.lwkt.sched.giveaway #1":
        "Its callers are in one: a wakeup could queue the thread before this is denied.",
    "release-early kernel.lwkt.sched.schedule_self #1":
        "Its callers are in the critical section that deschedule_self() asks for.",
    "release-early kernel.lwkt.sleepq.wakeup_start_delayed #1":
        "What interrupts begins and ends as often: the depth is the same again afterwards.",
    "skip-recheck kernel.lwkt.sched.acquire #1":
        "The message that hands it over is executed when its CPU is off its stack.",
    "skip-recheck kernel.lwkt.token._try #3":
        "EXCLREQ is set all the same; one attempt less, and who attempts does so again.",
    "split-rmw kernel.lwkt.ipiq._ring #1":
        "Two senders that both find 0 ring both: one bell too many, none too few.",
    "split-rmw kernel.lwkt.sched._next_in_turn #1":
        "Two threads begin on one CPU, not on two: any choice is allowed.",
    "split-rmw kernel.lwkt.sched._send_off #1":
        "Nobody else writes the flags of a thread that has ended.",
    "split-rmw kernel.lwkt.spin.update_lock #1":
        "Who holds the lock is the only one to write the counter.",
    "split-rmw kernel.lwkt.spin.update_unlock #1":
        "Who holds the lock is the only one to write the counter.",
    "split-rmw kernel.lwkt.token._contested #1":
        "A number for statistics.",
    "split-rmw kernel.lwkt.token._contested #2":
        "DIDYIELD: only the thread itself writes these flags while it runs.",
    "weaken-order kernel.lwkt.cpumask.AtomicCpumask.clear #1":
        "Of a cpusync: nobody sets a bit again before it has seen it cleared, so after the store.",
    "weaken-order kernel.lwkt.token.init #1":
        "Nobody knows the token before init() has returned.",
    "weaken-order kernel.mem.slab._activate #1":
        "Who still reads rsignal 1 sends a message too many.",
    "weaken-order kernel.mem.slab._new_zone #1":
        "Nobody knows the zone yet: no chunk of it has been handed out.",
}

# Neither killed nor shown to be equivalent, by what the scenarios do not do.
_UNMET = """
forget-message kernel.lwkt.sleepq._timeout #1
forget-poll kernel.mem.kva._wait_for #1
forget-wait kernel.mem.kmalloc_obj._wait_for_grace #1
forget-wait kernel.mem.kva._next_batch #1
move-store kernel.mem.page._put_back #1
move-store kernel.mem.page.init #1
no-lock kernel.mem.kmalloc_obj._any #1
no-lock kernel.mem.kmalloc_obj._drop #1
no-lock kernel.mem.page._put_back #1
release-early kernel.mem.kmalloc_obj._any #1
release-early kernel.mem.kmalloc_obj._drop #1
release-early kernel.mem.page._put_back #1
skip-recheck kernel.lwkt.mutex._sleep #1
skip-recheck kernel.mem.kmalloc_obj.create #2
skip-recheck kernel.mem.slab.init #1
skip-recheck kernel.mem.slab.init #2
weaken-order kernel.mem.page.init #1
"""
_SURVIVING = """
forget-poll kernel.lwkt.sched.acquire #1
no-lock kernel.mem.kva.shootdown #1
release-early kernel.mem.kva.shootdown #1
skip-recheck kernel.mem.kva._wait_for #1
split-rmw kernel.lwkt.splz.run_pending #2
"""
OPEN = {
    **dict.fromkeys(_UNMET.split("\n")[1:-1], "no scenario comes by"),
    **dict.fromkeys(_SURVIVING.split("\n")[1:-1], "nothing comes between at the right moment"),
}
