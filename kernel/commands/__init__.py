# SPDX-License-Identifier: BSD-3-Clause
"""What can be typed at the prompt, one file a family.

A command is a function in the table "command"; the prompt finds it by its name.  It takes its
arguments from args.rest, and leaves its status in args.status, 0 for success.

    args    what the prompt and a command tell each other
    pci     lspci
    nvme    queues and their counters
    ahci    ports and theirs
"""
