# SPDX-License-Identifier: BSD-3-Clause
"""Every real volume, file by file, against its manifest."""
from __future__ import annotations

import pytest

from tests.harness import volumes
from toolchain.host import KpyError

SMALL_CACHE = 300_000


def opened(h2, volume_set, **options):
    return h2.opened([volumes.mapped(image) for image in volume_set.images()], **options)


def test_labels_are_those_of_the_manifest(h2, volume_set):
    with opened(h2, volume_set) as volume:
        found = volume.labels()
        assert sorted(found) == sorted(map(str.encode, volume_set.labels))
        for name, expected in volume_set.manifest["pfs"].items():
            label = found[name.encode()]
            assert (label.type, label.subtype) == (expected["pfs_type"], expected["pfs_subtype"])
            assert bytes(label.clid).hex() == expected["pfs_clid"]
            assert bytes(label.fsid).hex() == expected["pfs_fsid"]


@pytest.mark.parametrize("cache", [4 << 20, SMALL_CACHE], ids=["cached", "small-cache"])
def test_every_file_is_as_the_manifest_says(h2, volume_set, cache):
    pieces = [65536, 5000] if cache > SMALL_CACHE else [65536]
    hashes = {}                             # hard links and snapshots: read once
    with opened(h2, volume_set, cache=cache) as volume:
        for label, entries in volume_set.labels.items():
            expected = {volumes.path_of(entry): entry for entry in entries}
            with volume.mounted(label.encode()) as tree:
                for path, ip in tree.walk():
                    entry = expected.pop(path)
                    found = tree.describe(ip)
                    assert found == {key: entry.get(key) for key in found}, path
                    if entry["type"] == "symlink":
                        assert tree.read(ip) == entry["target"].encode()
                    elif entry["type"] == "file":
                        for piece in pieces if entry["size"] < 1 << 20 else pieces[:1]:
                            key = label, entry["inum"], piece
                            if key not in hashes:
                                hashes[key] = tree.hashed(ip, piece)
                            assert hashes[key] == (entry["size"], entry["sha256"]), path
            assert not expected
        assert volume.mount.cache.bytes <= cache + (1 << 17)


def test_names_that_are_not_there(h2, volume_set):
    with opened(h2, volume_set) as volume:
        for label in volume_set.labels:
            with volume.mounted(label.encode()) as tree, tree.inode(1) as root:
                names = {name for name, _, _ in tree.entries(root)[0]}
                for name in (b"nothing", b"a", b".", b"..", b"x" * 64, b"x" * 65, b"x" * 255, b""):
                    if name not in names:
                        with pytest.raises(KpyError) as caught:
                            h2.dirent.nresolve(root, name)
                        assert caught.value.name == "ENOENT"
                with pytest.raises(KpyError) as caught:
                    h2.dirent.nresolve(root, b"x" * 256)
                assert caught.value.name == "ENAMETOOLONG"
        with pytest.raises(KpyError) as caught:
            volume.mounted(b"NOBODY").__enter__()
        assert caught.value.name == "ENOENT"


def test_a_directory_is_read_the_same_in_pieces_of_any_size(h2, volume_set):
    with opened(h2, volume_set) as volume:
        for label in volume_set.labels:
            with volume.mounted(label.encode()) as tree, tree.inode(1) as root:
                whole = tree.entries(root, 1000)
                assert tree.entries(root, 1) == tree.entries(root, 3) == whole
