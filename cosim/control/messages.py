# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands and answers as text: one JSON object each."""

from __future__ import annotations

import itertools
import json
import os
import platform
import time
from collections.abc import Mapping
from typing import Any

from cosim.control.private import user_name

MOST_BYTES = 10**6
MOST_DEPTH = 50
MOST_OF_NAME = 200
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
        allowed = f"at most {MOST_BYTES:,}; transfer functions and a loop of one's own set vectors that are longer"
        raise ValueError(f"command of {len(text):,} bytes: {allowed}")
    decode_command(text)
    return text


def decode_command(text: bytes) -> tuple[dict[str, Any], str]:
    """A command and who sent it.

    Raises:
        ValueError: it is no JSON object with a ``command``, or holds what cannot be recorded, such as NaN; the message
            says in one line what is wrong.
    """
    try:
        found = json.loads(text, parse_int=_integer)
        # What Python reads and JSON cannot say: NaN, numbers that overflow, halves of characters.
        json.dumps(found, allow_nan=False, ensure_ascii=False).encode()
        if text.count(b"[") + text.count(b"{") > MOST_DEPTH:
            _check_depth(found, MOST_DEPTH)
    except RecursionError:
        raise ValueError("not a command: brackets within brackets, too many of them") from None
    except ValueError as error:
        raise ValueError(f"not a command: {error}") from None
    if not isinstance(found, dict) or not isinstance(found.get("command"), str):
        raise ValueError('not a command: must be a JSON object with a "command", such as {"command": "pause"}')
    who = str(found.pop("who", user_name(os.geteuid())))
    return found, "".join(filter(str.isprintable, who))[:MOST_OF_NAME]


def _integer(digits: str) -> int:
    """A whole number that fits where numbers are kept. Raises ValueError."""
    value = int(digits)
    if abs(value) >= 2**63:
        raise ValueError(f"{digits[:20]}... is too large")
    return value


def _check_depth(value: Any, most: int) -> None:
    """RecursionError if lists and objects lie in each other deeper than ``most``: who handles them later may fail."""
    if isinstance(value, list | dict):
        if most == 0:
            raise RecursionError
        for each in value.values() if isinstance(value, dict) else value:
            _check_depth(each, most - 1)


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
    if isinstance(value, Mapping):
        return dict(value)
    return value.tolist() if hasattr(value, "tolist") else str(value)


def refusal(error: object) -> dict[str, Any]:
    """The answer to a command that did nothing; ``error`` is shown in one line."""
    return {"ok": False, "error": " ".join(str(error).split())}
