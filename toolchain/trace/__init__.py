# SPDX-License-Identifier: BSD-3-Clause
"""`make trace`: a run of the kernel as a Perfetto trace and as a picture.

    image      where the rings are, and what their entries look like: from the image's DWARF
    guest      run a workload in a machine, stop it, read its memory
    rings      bytes of the rings to events, merged by time
    model      events to a timeline: who ran, held, waited, sent what to whom
    perfetto   timeline to a TrackEvent file for ui.perfetto.dev
    picture    timeline to a PNG for a slide
    command    the command line of scripts/trace

No gdb and nothing in the guest takes part: it writes its rings as ever, and is looked at when it
has stopped.
"""
