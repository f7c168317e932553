# SPDX-License-Identifier: BSD-3-Clause
"""HAMMER2 volumes on the host: made from a folder, read, checked, without root rights.

    ondisk      the format: sizes, places, structures; no logic
    codes       check codes, the hash of names
    source      a host folder as a list of inodes
    blocks      file data as stored blocks: holes, LZ4, check codes, on several threads
    radix       which indirect blocks a set of blockrefs gets
    freemap     where blocks are put, and the map that says so
    writer      all of these together: a folder becomes a volume
    reader      volumes, labels, inodes and files of an image, whoever made it
    checker     everything that the format promises, held against an image
    extract     a label becomes a folder again

The reader knows nothing of the writer: they share `ondisk` and `codes` only, so that one checks
the other.  docs/formats/hammer2.md describes the format.

Public: writer.build, checker.check, reader.Volumes, extract.extract.
"""
