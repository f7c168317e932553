# SPDX-License-Identifier: BSD-3-Clause
"""Bugs of the kernel that exploration found: the scenario, and the seed that first showed each.

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
    ("purged_while_evicted", "random:0:0:100000:9",
     "buf.purge() held a buffer that was DYING, in its object's list still: whoever had taken it "
     "freed it, or used it for another block, while purge() waited for it"),
    ("unlinked_while_reclaimed", "pct:2:1557:100000:47",
     "tmpfs looked at a file's links after vacate(): another had found the file by then, and "
     "unlinked it; both freed the node, or neither"),
    ("unmounted", "pct:2:1132:100000:70",
     "mount.unmount() purged names, then took the mount out of the list: who went in between the "
     "two, and out again, left a name below the root that was freed"),
    ("renamed", "random:0:0:100000:743",
     "calls.rename() made the entry of the new name stand for nothing before it moved the other "
     "one there: for a while there was no file of that name"),
    ("periodic", "random:0:0:100000:439",
     "splz() looked at what is pending, then lowered the depth of critical sections: what came "
     "between the two was noted, and served by nobody until the next section ended"),
    ("first_use", "race-random:0:0:100000:1",
     "malloc_type.attach() set a type's number, which others read without a lock, and its limit in "
     "no order"),
    ("limited", "random:0:0:100000:258",
     "malloc_type.sum() read a grant's two numbers while they changed: near the limit an overflow "
     "stopped the kernel"),
    ("granted_while_summed", "random:0:0:100000:272",
     "malloc_type._grant() replaced the number of bytes granted by a sum, and lost what others had "
     "added since; sum() read what is loose twice"),
    ("two_rename", "random:0:0:100000:1",
     "calls.rename() did not look again, with the directories locked, at whether the file was "
     "still called so: two renamed one file, both with success"),
    ("moved_and_unlinked", "random:0:0:100000:605",
     "calls.unlink() locked the directory that the file had been in when it was looked up, and "
     "took its name from the one that it was moved to"),
    ("made_in_what_goes", "random:0:0:100000:382",
     "calls.rmdir() did not lock the directory that went: a file was made in it meanwhile"),
    ("mounted_on_what_goes", "pct:2:1179:100000:20",
     "mount.mount() marked the place as covered without a lock: it was removed meanwhile"),
    ("blocks_evicted", "random:0:0:100000:85547",
     "buf.done() set VALID, and then took BUSY away: a reader went on in between, the buffer was "
     "used for another block, and its BUSY went, with the old data in it"),
    ("opened_while_replaced", "pct:1:3168:100000:100",
     "lookup.vnode_at() found the entry of a name, then another file took its place: the entry "
     "stood for nothing, and there was no file of a name that there always is"),
    ("linked_while_replaced", "random:0:0:100000:3755",
     "calls.link() did not look again when the file it had found lost its last name to another: "
     "it said that there was no file of a name that there always is"),
    ("unmounted_or_busy", "pct:3:1278:100000:8415",
     "mount.unmount() took the mount out of the list, found that somebody had gone in, and put it "
     "back: meanwhile who was in there saw what it covers"),
    ("renamed_while_covered", "pct:2:7201:100000:41",
     "mount.mount() put the mount into the list between rename()'s two lookups: two names of one "
     "directory were in two file systems, EXDEV"),
    ("mounted_on_what_moves", "random:0:0:100000:99",
     "calls.rename() compared the file systems first: what something was mounted on was not busy, "
     "but elsewhere"),
    ("due_together", "random:0:0:100000:130",
     "callout.hardclock() came while softclock called a function, found the next bucket empty, and "
     "passed the tick: what else was due at it was never called, a sleep never timed out"),
]
