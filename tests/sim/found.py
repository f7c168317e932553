# SPDX-License-Identifier: BSD-3-Clause
"""Bugs of the nucleus that exploration found: the scenario, and the seed that first showed each.

A seed names a schedule of the code as it was; now it is just one more run, that passes.
Tests     tests/sim/test_seeds.py
"""

FOUND = [
    ("nested", "random:0:0:20000:1",
     "ipiq.send() was interrupted between claiming npoll and ringing; the handler, its FIFO full, "
     "waited for a target that nobody would ring for"),
    ("chase", "random:0:0:20000:119",
     "sched.schedule() found the thread its own, then not MIGRATING: between the two it had "
     "arrived elsewhere, and was on two run queues"),
    ("abort_and_reply", "random:0:0:20000:10935",
     "msgport.abortmsg() set ABORTED in the flags of a message that was the target's: the answer's "
     "DONE was lost, and the sender slept for ever"),
    ("spin_replies", "random:0:0:100000:364",
     "waitmsg() at a spin or serialize port set WAITING in the flags of a message that was the "
     "target's: the mark was lost, and nobody woke the sender"),
    ("reaping", "random:0:0:100000:1",
     "ipiq.send() to its own CPU called the function outside of a critical section: an interrupt "
     "that sent one too met it in the middle of the list of threads"),
    ("type_ends_polled", "race-random:0:0:100000:1",
     "kmalloc_obj.poll() looked at a type, and went on, while another CPU ended it"),
    ("objects_taken_while_freed", "race-random:0:0:100000:4",
     "kmalloc_obj.free() read xindex without an order: what it stored then published its own "
     "object, but not those freed before it (by the language's rules; on x86 it did)"),
]
