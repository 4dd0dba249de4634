# SPDX-License-Identifier: GPL-2.0-or-later
"""Files of users that must be refused: transfer functions, tables, scripts and bodies."""

from __future__ import annotations

import tomllib

import tomli_w
from bad_configuration import Bad, one_of, words
from conftest import REPOSITORY
from hypothesis import strategies as st

MODELS = {"mouse_m1": "forelimb", "braitenberg": "husky"}
TABLES = {name: tomllib.loads((REPOSITORY / f"models/{name}/experiment.toml").read_text()) for name in MODELS}
BODIES = {name: tomllib.loads((REPOSITORY / f"models/{name}/body.toml").read_text()) for name in MODELS.values()}
PORTS = {"mouse_m1": ("muscles", "excitation", 8), "braitenberg": ("wheels", "left_rad_s", 1)}


def transfer_file(experiment: str, code: str, *named: str) -> Bad:
    """An experiment without settings of its own, and these transfer functions."""
    tables = {name: table for name, table in TABLES[experiment].items() if name != "protocol"}
    text = f"from cosim import transfer_function\n\n{code}\n"
    files = {"experiment.toml": tomli_w.dumps(tables), "transfer.py": text}
    return Bad(("transfer.py", *named), experiment=experiment, files=files)


@st.composite
def transfer_files(draw) -> Bad:
    experiment, word = draw(st.sampled_from(list(MODELS))), "no_" + draw(words)
    port, command, width = PORTS[experiment]
    mark = "@transfer_function\n"
    shape = draw(st.integers(width + 1, 40))
    code, named = draw(
        st.sampled_from([
            (f"{mark}def move({word}): pass", (f"unknown port '{word}'", "allowed")),
            (f"{mark}def move({port}, t_ms): {port}.{word} = 1.0", ("move", word)),
            (f"{mark}def move({port}): {port}.{command} = [0.5] * {shape}", ("move", "Error")),
            (f"{mark}def move(): {word}()", ("move", "NameError", word)),
            (f"{mark}def move(): raise SystemExit('{word}')", ("move", "SystemExit", word)),
            (f"def {word}(): pass", ("no function is marked", word)),
            (f"{mark}def {word}(): yield", ("TypeError", word, "plain function")),
            (f"{mark}async def {word}(): pass", ("TypeError", word, "plain function")),
            (f"import {word}", ("ModuleNotFoundError", word)),
            (f"def {word}(:", ("SyntaxError",)),
            (f"summarize = {word!r}", ("summarize", word, "must be a function")),
            (f"def tell({word}, more): pass", ("tell", word, "more")),
            (f"Protocol = {word!r}", ("Protocol", word, "must be a class")),
        ])
    )  # fmt: skip
    return transfer_file(experiment, code, *named)


@st.composite
def damaged_tables(draw) -> Bad:
    """An ``experiment.toml`` that is no TOML any more."""
    text = tomli_w.dumps(TABLES["mouse_m1"])
    lines = text.splitlines()
    line = draw(st.integers(0, len(lines)))
    wrong = draw(st.one_of(words, words.map("= {}".format), words.map("[{}".format), words.map('{} = "'.format)))
    return Bad(
        ("experiment.toml: not valid TOML",),
        files={"experiment.toml": "\n".join([*lines[:line], wrong, *lines[line:]])},
    )


damaged_files = one_of(
    damaged_tables(),
    words.map(lambda word: Bad(("not valid TOML",), files={"experiment.toml": b"title = '\xff" + word.encode()})),
    words.map(lambda word: Bad(("brain.py",), experiment="braitenberg", files={"brain.py": f"def {word}(:"})),
)


@st.composite
def bodies(draw) -> Bad:
    """A body file of the experiment's own in which a value has another type, or a key too many."""
    experiment = draw(st.sampled_from(list(MODELS)))
    table = tomllib.loads(tomli_w.dumps(BODIES[MODELS[experiment]]))
    container = table
    while True:
        key = draw(st.sampled_from(list(container) if isinstance(container, dict) else range(len(container))))
        if not (isinstance(container[key], (dict, list)) and container[key] and draw(st.booleans())):
            break
        container = container[key]
    if isinstance(container, dict) and draw(st.booleans()):
        container["no_" + draw(words)] = 1
    else:
        container[key] = draw(st.sampled_from([{"no_such": {}}, float("nan"), [[["x"]]]]))
    return Bad(("body.toml",), ("--set", "body.model=own"), experiment, files={"own/body.toml": tomli_w.dumps(table)})
