# SPDX-License-Identifier: BSD-3-Clause
"""NVM Express: a queue pair for each CPU, and no lock that two CPUs share.

    regs         registers, commands and structures by the specification's names
    status       what a status code means to who asked
    pair         a submission queue with its completion queue: slots, doorbells, completions
    request      from a Bio to a command, and back
    admin        commands to the controller itself, one at a time
    controller   bringing one up, laying out its queues, reset, removal
    supervisor   the thread of a controller: time-outs, abort, reset
    namespace    what is a disk
    driver       what it is attached to

A request goes from strategy() to the doorbell and from the interrupt to biodone() on one CPU, under
the lock of that CPU's pair.  Nothing is allocated on the way and no register is read.
"""
