# SPDX-License-Identifier: GPL-2.0-or-later
"""Several commands that are meant as one: where one is refused, its message says which of them have acted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cosim.errors import CommandError


class Acted:
    """What has acted so far; ``told`` begins the sentence about it, as in ``set already: a, b``."""

    def __init__(self, told: str) -> None:
        self._told, self._names = told, list[str]()

    @contextmanager
    def one(self, name: str) -> Iterator[None]:
        """Around the command for ``name``. Raises CommandError where it is refused."""
        try:
            yield
        except CommandError as error:
            others = f"; {self._told}: {', '.join(self._names)}" if self._names else ""
            raise CommandError(f"{error}{others}") from None
        self._names.append(name)
