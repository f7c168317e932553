# SPDX-License-Identifier: BSD-3-Clause
"""Which header counts, which sets of volumes are opened, and which are not."""
from __future__ import annotations

import mmap

import pytest

from tests.harness import volumes
from tests.unit.fs.hammer2.image import PBUF, ZONE, Image
from toolchain.host import KpyError

ONE = "s01-bare"
TWO_HEADERS = "s12-2volhdr"
TWO_VOLUMES = "s13-bare-2vol"


def image_of(name):
    return [volumes.mapped(image) for image in volumes.named(name).images()]


def refused(h2, images, name="EINVAL"):
    with pytest.raises(KpyError) as caught:
        h2.opened(images).__enter__()
    assert caught.value.name == name
    assert h2.in_use() == 0


def double(image):
    """Make the image one with a second copy of the header, newer by one.  Between the two nothing
    is touched, and takes no memory."""
    large = mmap.mmap(-1, ZONE + PBUF)
    large[:len(image)] = image[:]
    large[ZONE:] = large[:PBUF]
    made = Image(large)
    made.put(ZONE + 0x78, 8, made.number(0x78, 8) + 1)
    made.mend_header(ZONE)
    return large


@pytest.mark.parametrize("at", [0, 0x30, 0x78, 0x1FF, 0x200, 0x3FF, 0x400, 0x8000, 0xFFFB, 0xFFFC])
def test_a_damaged_header_is_no_header(h2, at):
    image = image_of(ONE)[0]
    image[at] ^= 4
    refused(h2, [image])


def test_the_newest_header_counts_and_the_older_one_if_that_is_damaged(h2):
    image = double(image_of(ONE)[0])
    with h2.opened([image]) as volume:
        assert volume.mount.zone == 1 and sorted(volume.labels()) == [b"DATA", b"LOCAL"]
    image[ZONE + 0x300] ^= 1
    with h2.opened([image]) as volume:
        assert volume.mount.zone == 0 and sorted(volume.labels()) == [b"DATA", b"LOCAL"]
    image[0x300] ^= 1
    refused(h2, [image])


def test_the_first_of_equal_headers_counts(h2):
    image = double(image_of(ONE)[0])
    Image(image).put(ZONE + 0x78, 8, Image(image).number(0x78, 8))
    Image(image).mend_header(ZONE)
    with h2.opened([image]) as volume:
        assert volume.mount.zone == 0


def test_a_newest_header_that_makes_no_sense_is_passed_over(h2):
    image = double(image_of(ONE)[0])
    Image(image).put(ZONE + 0x30, 4, 77)
    Image(image).mend_header(ZONE)
    with h2.opened([image]) as volume:
        assert volume.mount.zone == 0


def test_a_real_volume_with_two_headers(h2):
    image = image_of(TWO_HEADERS)[0]
    made = Image(image)
    newer, older = sorted([0, ZONE], key=lambda at: -made.number(at + 0x78, 8))
    with h2.opened([image]) as volume:
        assert volume.mount.zone * ZONE == newer
    image[newer + 0x900] ^= 0x80
    with h2.opened([image]) as volume:
        assert volume.mount.zone * ZONE == older
        with volume.mounted(b"DATA") as tree:
            assert sum(1 for _ in tree.walk()) > 0


def test_a_header_that_cannot_be_read_is_passed_over(h2):
    image = double(image_of(ONE)[0])
    newest_fails = iter([False, True, False, True])
    with h2.reads_fail(lambda: next(newest_fails, False)), h2.opened([image]) as volume:
        assert volume.mount.zone == 0
    with h2.reads_fail(lambda: True):
        refused(h2, [image], "EIO")


@pytest.mark.parametrize(("at", "size", "value"), [
    (0x30, 4, 0), (0x30, 4, 3), (0x3C, 1, 0), (0x3C, 1, 65), (0x3C, 1, 2), (0x3B, 1, 1),
    (0x50, 1, 0), (0x28, 8, 0), (0x28, 8, 1 << 40), (0x28, 8, 64 << 20 | 4096), (0xC0, 8, 0),
    (0xC0, 8, 1 << 63), (0xE00, 8, 1 << 30), (0xE08, 8, 0), (0xE08, 8, 1 << 30),
    (0x200, 1, 3), (0x200, 1, 2), (0x203, 1, 64), (0x208, 8, 1), (0x220, 8, 1 << 50 | 10),
    (0x220, 8, 63), (0x220, 8, 0x1400000 | 9), (0x220, 8, 0x140FC00 | 11), (0x280, 1, 1)])
def test_a_header_with_good_codes_and_nonsense_is_refused(h2, at, size, value):
    image = image_of(ONE)[0]
    made = Image(image)
    made.put(at, size, value)
    made.mend_header(0)
    refused(h2, [image])


def test_two_volumes_in_any_order(h2):
    first, second = image_of(TWO_VOLUMES)
    for images in ([first, second], [second, first]):
        with h2.opened(images) as volume:
            assert sorted(volume.labels()) == [b"DATA", b"LOCAL"]


def test_half_a_set_or_a_mixed_one_is_refused(h2):
    first, second = image_of(TWO_VOLUMES)
    refused(h2, [first])
    refused(h2, [second])
    refused(h2, [first, first])
    refused(h2, [second, second])
    refused(h2, [first, second, second])
    refused(h2, [])
    refused(h2, [first, image_of(ONE)[0]])
    Image(second).put(0x40, 8, 5)
    Image(second).mend_header(0)
    refused(h2, [first, second])


def test_what_is_too_small_for_a_header_is_refused(h2):
    for size in (1, PBUF - 1, PBUF):
        refused(h2, [bytearray(size)])
