# SPDX-License-Identifier: GPL-2.0-or-later
"""What populations may be called, whether tables or a script make them.

Their names are groups of HDF5 files (SONATA's ``/spikes/<population>``), where ``/`` separates groups and ``.`` is
the group itself, names of files in other formats, and what addresses such as ``E[0:100]`` and ``M1_*`` are about.
Potjans and Diesmann's L2/3E is therefore L23E or L2_3E here.
"""

from __future__ import annotations

import re

ALLOWED = "letters, digits and _ . + - (HDF5 and SONATA take / for a group in a group)"
_OTHER, _OTHER_IN_PATTERNS = re.compile(r"[^\w.+-]"), re.compile(r"[^\w.+*?-]")


def is_name(text: str) -> bool:
    """Whether a population may be called so."""
    return text.strip(".") != "" and not _OTHER.search(text)


def is_pattern(text: str) -> bool:
    """Whether an address, of which all up to the first ``[`` counts, could mean a population."""
    return not _OTHER_IN_PATTERNS.search(text.partition("[")[0])


def as_name(text: str) -> str:
    """The nearest name: all other characters become ``_``."""
    name = _OTHER.sub("_", text)
    return name if is_name(name) else "_" * max(1, len(name))
