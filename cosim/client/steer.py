# SPDX-License-Identifier: GPL-2.0-or-later
"""``cosim steer RUN ...``: one command to a run that goes on, from the shell."""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosim.client.acted import Acted
from cosim.errors import EXIT_CONFIGURATION, CommandError, ConfigurationError, RunError

if TYPE_CHECKING:
    from cosim.client.live_run import LiveRun

Command = dict[str, Any]

TIME = re.compile(r"(?P<number>[0-9.eE+-]+) ?(?P<unit>ms|s)?")
JSON_HELP = "print the answer as JSON"
# As argparse's own, which before Python 3.14 took -1e-3 for an option.
NEGATIVE_NUMBER = re.compile(r"-(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
FILE_HELP = "a file with the source of one function, or - for standard input"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run, and what is to be done to it."""
    parser.add_argument("run", metavar="RUN", help="results folder of a run that goes on")
    parser.add_argument("--json", action="store_true", help=JSON_HELP)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    _add_time(actions)
    _add_values(actions)
    _add_functions(actions)
    _add_body(actions)
    _add_whole(actions)


def main(options: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    try:
        options.act(options)
    except (ValueError, LookupError, AttributeError, RunError, ConfigurationError, FileExistsError) as error:
        told = error.args[0] if isinstance(error, KeyError) else error
        print(f"cosim: {told}", file=sys.stderr)
        return EXIT_CONFIGURATION
    return 0


# When it goes on.


def _add_time(actions: argparse._SubParsersAction) -> None:
    _simple(actions, "pause", "stand still after the running step")
    _simple(actions, "go", "go on, up to the end of the run")
    _simple(actions, "stop", "end the run, with results of all steps that are done")
    _simple(actions, "status", "say how far the run is")
    step = _action(actions, "step", "do so many coupling steps, and stand still", _step)
    step.add_argument("steps", type=int, nargs="?", default=1, metavar="N", help="default: 1")
    until = _action(actions, "until", "go on until this time of the model, and stand still", _until)
    until.add_argument("time", metavar="TIME", help="500ms, 0.5s, or a number of ms")
    pace = _action(actions, "pace", "run at most so many times as fast as real time", _pace)
    pace.add_argument("factor", metavar="FACTOR", help="a number, or max: as fast as it can")


def _step(options: argparse.Namespace) -> None:
    _send(options, {"command": "step", "steps": options.steps})


def _until(options: argparse.Namespace) -> None:
    _send(options, {"command": "run_until", "t_ms": _time_ms(options.time)})


def _pace(options: argparse.Namespace) -> None:
    _send(options, {"command": "pace", "factor": None if options.factor == "max" else _value(options.factor)})


def _time_ms(text: str) -> float:
    match = TIME.fullmatch(text)
    with suppress(ValueError):
        if match and math.isfinite(time_ms := float(match["number"]) * (1000 if match["unit"] == "s" else 1)):
            return time_ms
    raise CommandError(f"{text}: must be a time such as 500ms, 0.5s, or a number of ms")


# Values of ports, populations, projections, the protocol.


def _add_values(actions: argparse._SubParsersAction) -> None:
    values = _action(actions, "set", "set a port, or NEST parameters of a population", _set)
    values.add_argument(
        "words", nargs="+", metavar="WHAT", help="PORT.ATTRIBUTE=VALUE ..., or POPULATION PARAMETER=VALUE ..."
    )
    _action(actions, "ports", "show all ports with their values", _ports)
    get = _action(actions, "get", "show an attribute of a port, or parameters of a population", _get)
    get.add_argument("what", metavar="PORT.ATTRIBUTE|POPULATION")
    get.add_argument("parameters", nargs="*", metavar="PARAMETER", help="of the population")
    values.add_argument("--hold", action="store_true", help="set a port again in every step")
    scale = _action(actions, "scale", "multiply the weights of all synapses between two populations", _scale)
    scale.add_argument("source"), scale.add_argument("target"), scale.add_argument("factor")
    protocol = _action(actions, "protocol", "set keys of the experiment's [protocol]", _protocol)
    protocol.add_argument("settings", nargs="+", metavar="KEY=VALUE")


def _set(options: argparse.Namespace) -> None:
    first, *others = options.words
    if "=" not in first:
        values = dict(map(_setting, others))
        _send(options, {"command": "set_population", "population": first, "parameters": values})
        return
    settings = [(*_port_attribute(key), value) for key, value in map(_setting, options.words)]
    acted = Acted("set already")
    for port, attribute, value in settings:
        command = {"command": "set_port", "port": port, "attribute": attribute, "value": value}
        with acted.one(f"{port}.{attribute}"):
            _send(options, command | ({"hold": True} if options.hold else {}))


def _ports(options: argparse.Namespace) -> None:
    _look(options, lambda run: [*run.ports] if options.json else run.ports)


def _get(options: argparse.Namespace) -> None:
    if options.parameters:
        _look(options, lambda run: run.population(options.what).get(*options.parameters))
        return
    port, attribute = _port_attribute(options.what)
    _look(options, lambda run: getattr(run.ports[port], attribute))


def _look(options: argparse.Namespace, see: Callable[[LiveRun], Any]) -> None:
    """Print what is seen of the run, which is not disturbed."""
    from cosim.client.known import as_json  # they import much, and every command of cosim comes by here
    from cosim.client.session import attach

    with attach(options.run) as run:
        seen = see(run)
        print(json.dumps(seen, default=as_json) if options.json else seen)


def _port_attribute(text: str) -> tuple[str, str]:
    port, dot, attribute = text.rpartition(".")
    if not dot:
        raise CommandError(f"{text}: must be PORT.ATTRIBUTE=VALUE, or POPULATION PARAMETER=VALUE")
    return port, attribute


def _scale(options: argparse.Namespace) -> None:
    ends = {"source": options.source, "target": options.target}
    _send(options, {"command": "scale_weights", **ends, "factor": _value(options.factor)})


def _protocol(options: argparse.Namespace) -> None:
    acted = Acted("set already")
    for key, value in [*map(_setting, options.settings)]:
        with acted.one(key):
            _send(options, {"command": "set_protocol", "key": key, "value": value})


def _setting(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise CommandError(f"{text}: must be NAME=VALUE")
    return key.strip(), _value(value.strip())


def _value(text: str) -> Any:
    """Read as TOML, else as text. Raises CommandError for inf and nan."""
    try:
        value = tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        return text
    if isinstance(value, float) and not math.isfinite(value):
        raise CommandError(f"{text}: must be a finite number")
    return value


# Transfer functions.


def _add_functions(actions: argparse._SubParsersAction) -> None:
    functions = actions.add_parser("tf", help="show or change transfer functions")
    of_functions = functions.add_subparsers(required=True, metavar="ACTION")
    add = _action(of_functions, "add", "add a function", _change_function)
    add.add_argument("file", metavar="FILE", help=FILE_HELP)
    edit = _action(of_functions, "edit", "replace a function", _change_function)
    edit.add_argument("name", metavar="NAME"), edit.add_argument("file", metavar="FILE", help=FILE_HELP)
    for action, text in (("remove", "take it out"), ("enable", "call it again"), ("disable", "do not call it")):
        parser = _action(of_functions, action, text, _change_function)
        parser.add_argument("name", metavar="NAME")
    parser.add_argument("--silence", action="store_true", help="set its sources to 0, until it is enabled")
    show = _action(of_functions, "show", "print a function, or all of transfer.py as it now is", _show_functions)
    show.add_argument("name", metavar="NAME", nargs="?")


def _change_function(options: argparse.Namespace) -> None:
    command: Command = {"command": "tf", "action": options.action}
    if "name" in options:
        command["name"] = options.name
    if "file" in options:
        command["text"] = _text(options.file)
    if options.action == "disable" and options.silence:
        command["silence"] = True
    _send(options, command)


def _show_functions(options: argparse.Namespace) -> None:
    def see(run: LiveRun) -> object:
        if options.json:
            return run.transfer[options.name].known if options.name else run.transfer.known
        return run.transfer[options.name].source if options.name else run.transfer.text

    _look(options, see)


def _text(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{file}: {getattr(error, 'strerror', None) or 'no text'}") from None


# The body.


def _add_body(actions: argparse._SubParsersAction) -> None:
    push = _action(actions, "push", "push a part of the body, in world axes", _push)
    push.add_argument("part"), push.add_argument("duration", metavar="TIME", help="50ms, 0.05s, or a number of ms")
    push.add_argument("--force", nargs=3, type=float, default=[0.0, 0.0, 0.0], metavar=("FX", "FY", "FZ"), help="in N")
    push.add_argument(
        "--torque", nargs=3, type=float, default=[0.0, 0.0, 0.0], metavar=("TX", "TY", "TZ"), help="in N m"
    )
    for action, text in (("place", "put a part of the body to a place, at rest"), ("hold", "pull a part to a place")):
        parser = _action(actions, action, text, _move)
        parser.add_argument("part"), parser.add_argument("position_m", nargs=3, type=float, metavar="M")
    _action(actions, "parts", "show what can be pushed, placed and held", _parts)
    joints = _action(actions, "joints", "put joints at these angles, all at rest", _joints)
    joints.add_argument("angles", nargs="+", metavar="JOINT=RAD")
    send = _action(actions, "send", "send spikes in the coming step through a spike_injector", _send_spikes)
    send.add_argument("port"), send.add_argument("times_ms", nargs="+", type=float, metavar="MS")
    send.add_argument("--neurons", nargs="+", type=int, metavar="N", help="one for each time, or one for all")
    release = _action(actions, "release", "hold a part, or an attribute of a port, no longer", _release)
    release.add_argument("held", metavar="PART|PORT.ATTRIBUTE")


def _push(options: argparse.Namespace) -> None:
    command = {"command": "push", "part": options.part, "force_n": options.force, "torque_nm": options.torque}
    _send(options, command | {"duration_ms": _time_ms(options.duration)})


def _move(options: argparse.Namespace) -> None:
    _send(options, {"command": options.action, "part": options.part, "position_m": options.position_m})


def _parts(options: argparse.Namespace) -> None:
    _look(options, lambda run: run.body.parts if options.json else "\n".join(run.body.parts))


def _joints(options: argparse.Namespace) -> None:
    _send(options, {"command": "set_joints", "angle_rad": dict(map(_setting, options.angles))})


def _send_spikes(options: argparse.Namespace) -> None:
    command = {"command": "send", "port": options.port, "times_ms": options.times_ms}
    neurons = options.neurons
    if neurons and len(neurons) == 1:
        neurons = neurons[0]
    _send(options, command | ({} if neurons is None else {"neurons": neurons}))


def _release(options: argparse.Namespace) -> None:
    port, dot, attribute = options.held.rpartition(".")
    of_port = {"command": "release_port", "port": port, "attribute": attribute}
    _send(options, of_port if dot else {"command": "hold", "part": options.held, "position_m": None})


# The run as a whole.


def _add_whole(actions: argparse._SubParsersAction) -> None:
    reset = _action(actions, "reset", "begin anew, with all of the run or a part", _reset)
    reset.add_argument("what", nargs="?", default="all", choices=["all", "body", "transfer", "brain"])
    reset.add_argument("--seed", type=int, metavar="N", help="of the new run; with all")
    reset.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of the new run; with all")
    mark = _action(actions, "mark", "write a text down beside the time", _mark)
    mark.add_argument("text", metavar="TEXT")
    save = _action(actions, "save", "write what was made of the run as an experiment, or as a script", _save)
    save.add_argument("folder", metavar="FOLDER", help="must not be there yet")
    save.add_argument("--script", action="store_true", help="a Python file of that name, with calls of cosim, instead")


def _reset(options: argparse.Namespace) -> None:
    overrides = options.set + ([] if options.seed is None else [f"seed={options.seed}"])
    _send(options, {"command": "reset", "what": options.what} | ({"overrides": overrides} if overrides else {}))


def _mark(options: argparse.Namespace) -> None:
    _send(options, {"command": "mark", "text": options.text})


def _save(options: argparse.Namespace) -> None:
    from cosim.results import saved
    from cosim.results.run_data import load

    save = saved.as_script if options.script else saved.as_experiment
    save(load(options.run), Path(options.folder))
    if options.json:
        print(json.dumps({"ok": True, "saved": options.folder}))


# All of them.


def _action(actions: argparse._SubParsersAction, name: str, text: str, act: Any) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=text)
    parser._negative_number_matcher = NEGATIVE_NUMBER
    # Behind the action, too; where it is not said there it is as it was said before.
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=JSON_HELP)
    parser.set_defaults(act=act, action=name)
    return parser


def _simple(actions: argparse._SubParsersAction, name: str, text: str) -> None:
    """An action that is a command by its mere name."""
    _action(actions, name, text, lambda options: _send(options, {"command": options.action}))


def _send(options: argparse.Namespace, command: Command) -> None:
    from cosim.client.session import attach

    with attach(options.run) as run:
        answer = run.send_and_wait(command)
    print(json.dumps(answer) if options.json else _in_words(answer))


def _in_words(answer: Mapping[str, Any]) -> str:
    where = f"step {answer['step']}, {answer['t_ms']:g} ms, {answer['state']}"
    if "transfer_functions" in answer:
        states = {name: _state(known) for name, known in answer["transfer_functions"].items()}
        answer = {**answer, "transfer_functions": states}
    more = {key: value for key, value in answer.items() if key not in ("ok", "step", "t_ms", "state") and value}
    return "\n".join([where, *(f"{key}: {_shown(value)}" for key, value in more.items())])


def _state(known: Mapping[str, str]) -> str:
    """Of a transfer function: ``enabled``, or ``failed (why)``."""
    return f"{known['state']} ({known['message']})" if known["message"] else known["state"]


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(each)}" for key, each in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
