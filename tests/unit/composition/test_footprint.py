"""Which mappings are given back: the file's own pages, and none that this process has changed."""

from __future__ import annotations

from modelway.composition.footprint import clean_mappings

SMAPS = """\
7f0000000000-7f0000001000 r--p 00000000 fe:00 11                         /lib/symbols.so
Rss:                   4 kB
Anonymous:             0 kB
7f0000001000-7f0000003000 r-xp 00001000 fe:00 11                         /lib/code of it.so
Anonymous:             0 kB
7f0000003000-7f0000004000 r--p 00003000 fe:00 11                         /lib/relocated.so
Anonymous:             4 kB
7f0000004000-7f0000005000 rw-p 00004000 fe:00 11                         /lib/variables.so
Anonymous:             0 kB
7f0000005000-7f0000006000 rw-s 00000000 fe:00 12                         /dev/shm/shared
Anonymous:             0 kB
7f0000006000-7f0000007000 r--p 00000000 00:00 0
Anonymous:             0 kB
7f0000007000-7f0000008000 r-xp 00000000 00:00 0                          [vdso]
Anonymous:             0 kB
"""


def test_only_unwritable_file_pages_without_a_private_copy() -> None:
    assert list(clean_mappings(SMAPS)) == [
        (0x7F0000000000, 0x7F0000001000),
        (0x7F0000001000, 0x7F0000003000),
    ]


def test_nothing_described_is_nothing_given_back() -> None:
    assert list(clean_mappings("")) == []
