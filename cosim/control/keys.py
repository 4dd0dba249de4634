# SPDX-License-Identifier: GPL-2.0-or-later
"""The keys of a run's socket: made for each run, known to who can read ``RUN/control/keys``."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import zmq


@dataclass(frozen=True)
class ClientKeys:
    """What a client needs: its own pair of keys, and the public one by which it knows the run. Text in Z85."""

    public: str
    secret: str
    server_public: str

    def to_json(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, text: bytes) -> ClientKeys:
        return cls(**json.loads(text))


@dataclass(frozen=True)
class Keys:
    """All keys of a run; its secret one is never written to disk."""

    server_secret: str
    client: ClientKeys


def make_keys() -> Keys:
    """New keys for a server and for all of its clients."""
    server_public, server_secret = (key.decode() for key in zmq.curve_keypair())
    public, secret = (key.decode() for key in zmq.curve_keypair())
    return Keys(server_secret, ClientKeys(public, secret, server_public))
