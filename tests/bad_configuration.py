# SPDX-License-Identifier: GPL-2.0-or-later
"""A bad configuration, as hypothesis makes them, and words and numbers to make it of."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass, field

from hypothesis import strategies as st


@dataclass(frozen=True)
class Bad:
    """A configuration with a mistake; the message has to hold all of ``named``.

    ``files`` take the place of files in the folder of the experiment.
    """

    named: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    experiment: str = "mouse_m1"
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    brain_ranks: int = 1


def setting(key: str, value: str, *named: str, **others) -> Bad:
    return Bad((key, *named), ("--set", f"{key}={value}"), **others)


def one_of(*strategies: st.SearchStrategy[Bad]) -> st.SearchStrategy[Bad]:
    return st.one_of(*strategies)


NO_WORDS = ("true", "false", "nan", "inf")
words = st.text(string.ascii_lowercase, min_size=3, max_size=8).filter(lambda word: word not in NO_WORDS)
negative = st.floats(-1e6, -1e-6).map(str)
