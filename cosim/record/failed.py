# SPDX-License-Identifier: GPL-2.0-or-later
"""Transfer functions that failed in a run that went on without them: a line each in a file, while it goes on.

When it has ended they are in its summary, as ``failed_functions``.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from cosim.record.disk import writing


@dataclass(frozen=True)
class FailedFunction:
    """A function that raised something after ``step`` steps; ``message`` says its place and what."""

    name: str
    step: int
    message: str


def tell(path: Path, failed: FailedFunction) -> None:
    """Append it to the file."""
    with writing(path), path.open("a") as file:
        file.write(json.dumps(asdict(failed)) + "\n")


def told(path: Path) -> list[FailedFunction]:
    """All of them; a last line that is not whole is not counted."""
    if not path.exists():
        return []
    return [FailedFunction(**json.loads(line)) for line in path.read_text().split("\n")[:-1]]
