# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands for values: of ports, and of the experiment's ``[protocol]``."""

from __future__ import annotations

from typing import Any, Literal

import pydantic
from pydantic import Field

from cosim.control.commands.base import Command
from cosim.control.steered_run import SteeredRun
from cosim.errors import CommandError, nearest


class SetPort(Command):
    """Set an attribute of a port, such as ``rate_hz`` of a source; it acts from the next step on.

    It stays until a transfer function sets it; with ``hold`` it is set again after them in every step, until it is
    released or set without.
    """

    command: Literal["set_port"] = "set_port"
    port: str
    attribute: str
    value: Any = Field(description="a number or a list of numbers")
    hold: bool = False

    def act(self, run: SteeredRun) -> None:
        functions = run.functions
        (functions.hold_port if self.hold else functions.set_port)(self.port, self.attribute, self.value)
        if not self.hold and f"{self.port}.{self.attribute}" in functions.held:
            functions.release_port(self.port, self.attribute)


class ReleasePort(Command):
    """Hold an attribute of a port no longer; its value stays until a transfer function sets it."""

    command: Literal["release_port"] = "release_port"
    port: str
    attribute: str

    def act(self, run: SteeredRun) -> None:
        run.functions.release_port(self.port, self.attribute)


class Send(Command):
    """Send spikes in the coming step through a ``spike_injector``, to all its neurons or to single ones."""

    command: Literal["send"] = "send"
    port: str
    times_ms: float | list[float]
    neurons: int | list[int] | None = None

    def act(self, run: SteeredRun) -> None:
        run.check_not_over()
        run.functions.send(self.port, self.times_ms, self.neurons)


class SetProtocol(Command):
    """Set a key of ``[protocol]``, which transfer functions find under this name."""

    command: Literal["set_protocol"] = "set_protocol"
    key: str
    value: Any

    def act(self, run: SteeredRun) -> None:
        protocol = run.protocol
        known = list(type(protocol).model_fields)
        if self.key not in known:
            raise CommandError(f"protocol.{self.key}: {nearest(self.key, known) if known else 'there is no key in it'}")
        try:
            changed = type(protocol).model_validate({**protocol.model_dump(), self.key: self.value})
        except pydantic.ValidationError as error:
            raise CommandError(f"protocol.{self.key} = {self.value!r}: {error.errors()[0]['msg']}") from None
        # Transfer functions hold this very table, which is frozen for them.
        object.__setattr__(protocol, self.key, getattr(changed, self.key))
