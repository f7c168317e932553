# SPDX-License-Identifier: BSD-3-Clause
"""The debugger inside the kernel: it may look at everything, and nothing depends on it.

It is entered by a panic, by an exception nobody handles, by `breakpoint()`, or by Ctrl-\\ on the
console.  All other CPUs are stopped, wherever they are; commands read memory and print.

symbols      addresses to functions and lines, from the table inside the image
backtrace    walking stacks, of this thread, of any other, of a stopped CPU
show         what the commands print: threads, tokens, queues, slabs, messages
debugger     stopping the machine, reading commands, going on
trap         exceptions of the CPU
"""
