# SPDX-License-Identifier: GPL-2.0-or-later
"""What of NEST nestlink depends on beyond its interface: ``originals.toml``, compared with NEST's sources.

``python -m cosim.engines.nest.nestlink.originals FOLDER`` compares the list with the sources of a NEST in FOLDER and
names each function that is not what it was when cosim was written: then look at what has changed there, bring the
place that follows it up to date, and put the new hash into the list. ``make originals`` does so for the NEST
that cosim needs.
"""

from __future__ import annotations

import hashlib
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LIST = Path(__file__).with_name("originals.toml")


@dataclass(frozen=True)
class Original:
    """A function of NEST that cosim copies or follows, with all that bear its name in a file."""

    name: str
    """With its class, without namespaces: ``SimulationManager::run``."""
    file: str
    """Relative to the folder of NEST's sources."""
    followed_in: str
    """Relative to cosim's package."""
    sha256: str
    """Of the text of its definitions in NEST."""


def listed() -> dict[str, Any]:
    """The list: ``nest``, the version; ``function``, Originals; ``members``, names of private members by class."""
    found = tomllib.loads(LIST.read_text())
    return found | {"function": [Original(**each) for each in found["function"]]}


def definitions(name: str, text: str) -> str:
    """The text of all definitions of a function in a C++ file in NEST's style, which ends each by a brace of its own.

    Raises:
        LookupError: there is none.
    """
    head = rf"^(?:nest::)?{re.escape(name)}\([^;]*?"
    found = re.findall(rf"{head}\n\{{\n.*?^\}}$", text, flags=re.MULTILINE | re.DOTALL)
    if not found:
        raise LookupError(f"no definition of {name}")
    return "\n".join(found)


def hash_of(name: str, file: Path) -> str:
    """SHA-256 of the definitions of a function, in hexadecimal digits."""
    return hashlib.sha256(definitions(name, file.read_text()).encode()).hexdigest()


def differences(sources: Path) -> Iterator[str]:
    """What is not in ``sources``, a folder of NEST's, as the list has it; one line each."""
    for each in listed()["function"]:
        try:
            digest = hash_of(each.name, sources / each.file)
        except (OSError, LookupError) as error:
            yield f"{each.name}, followed in {each.followed_in}: {error}"
            continue
        if digest != each.sha256:
            yield f"{each.name} in {each.file}, followed in {each.followed_in}, has another text: sha256 = {digest}"


def main() -> int:
    if len(sys.argv) != 2:
        print("cosim: name the folder of NEST's sources", file=sys.stderr)
        return 2
    found = list(differences(Path(sys.argv[1])))
    print("\n".join(found) or f"all {len(listed()['function'])} functions are as cosim knows them")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
