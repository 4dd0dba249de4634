# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands and answers as text: one JSON object each."""

from __future__ import annotations

import itertools
import json
import os
import platform
import time
from typing import Any

from cosim.control.private import user_name

MOST_BYTES = 10**6
_count = itertools.count()


def new_name() -> str:
    """A name for a command; those of processes whose clocks agree are in the order in which they were made."""
    return f"{time.time_ns():020d}-{os.getpid()}-{next(_count):06d}.json"


def sender() -> str:
    """This process, as the record of commands shows it."""
    return f"{user_name(os.geteuid())}@{platform.node()} {os.getpid()}"


def encode_command(command: dict[str, Any]) -> bytes:
    """A command, with who sends it.

    Raises:
        ValueError: it is no JSON object with a ``command``, or is larger than 1 MB.
    """
    try:
        text = encode(command | {"who": sender()})
    except (TypeError, RecursionError) as error:
        raise ValueError(f"not a command: {error}") from None
    if len(text) > MOST_BYTES:
        raise ValueError(f"command of {len(text):,} bytes: at most {MOST_BYTES:,}")
    decode_command(text)
    return text


def decode_command(text: bytes) -> tuple[dict[str, Any], str]:
    """A command and who sent it.

    Raises:
        ValueError: it is no JSON object with a ``command``; the message says in one line what is wrong.
    """
    try:
        found = json.loads(text)
        # What JSON cannot say but Python reads: NaN, numbers that overflow, halves of characters.
        json.dumps(found, allow_nan=False, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("not a command: too deep") from None
    except ValueError as error:
        raise ValueError(f"not a command: {error}") from None
    if not isinstance(found, dict) or not isinstance(found.get("command"), str):
        raise ValueError('not a command: must be a JSON object with a "command", such as {"command": "pause"}')
    return found, str(found.pop("who", user_name(os.geteuid())))[:200]


def encode(message: dict[str, Any]) -> bytes:
    """Any message; arrays become lists, and what JSON has no form for becomes text."""
    return json.dumps(message, default=_plain).encode()


def encode_answer(answer: dict[str, Any]) -> bytes:
    """An answer; one that cannot be written is told as such: never raises."""
    try:
        return encode(answer)
    except (TypeError, ValueError, RecursionError) as error:
        return encode(refusal(f"it was done, but its answer cannot be written as JSON: {error}"))


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)


def refusal(error: object) -> dict[str, Any]:
    """The answer to a command that did nothing; ``error`` is shown in one line."""
    return {"ok": False, "error": " ".join(str(error).split())}
