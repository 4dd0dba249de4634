# SPDX-License-Identifier: GPL-2.0-or-later
"""The populations of a script that has run, and their names. Brain ranks only.

Populations are neurons (also parrots) with consecutive node ids, and every neuron belongs to exactly one:

- What one ``Create`` call made is a population. Its name is that of the module-level variable that holds just
  it. Where there is none, as in functions and classes, it is what the script assigns it to: ``E`` in
  ``self.E = nest.Create(...)`` or ``cells["E"] = nest.Create(...)``; else the name of its model. Several of
  one name are numbered: ``E_1``, ``E_2``.
- A script may say it itself by a module-level dictionary ``populations`` of NodeCollections by name. Of
  entries that overlap, one that a single ``Create`` call made wins, then the first. Neurons in no entry are
  populations as above; what is left of a divided ``Create`` call is ``<name>_rest``.
- Everything else with a name (in ``populations`` if there is one, else at module level) is an alias, if it
  holds neurons only: a sum such as ``nodes_ex + nodes_in``, a slice such as ``nodes_ex[:50]``, a second name.
  It can be addressed; its neurons are counted and recorded as those of their populations.

In all names a character that means something in addresses or files becomes ``_``: ``L2/3E`` is ``L2_3E``; see
``cosim.network.names``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from types import ModuleType
from typing import Any

import numpy as np

from cosim.network.names import as_name

NodeCollection = Any  # NEST's type
Named = dict[str, NodeCollection]
DICTIONARY = "populations"


@dataclass(frozen=True)
class Batch:
    """What one Create call made: nodes of one model with consecutive ids."""

    nodes: NodeCollection
    model: str
    assigned_to: str | None


def find(neurons: Sequence[Batch], variables: Mapping[str, Any], nest: ModuleType) -> tuple[Named, Named]:
    """Populations in the order of their node ids, and aliases. Collective over the brain ranks.

    ``neurons`` are all neurons of the network, ``variables`` those of the script's module.
    """
    given = variables.get(DICTIONARY)
    entries = _collections(given, nest) if isinstance(given, Mapping) else {}
    of_module = _collections(variables, nest)
    is_neuron = np.zeros(nest.network_size + 1, dtype=bool)
    for batch in neurons:
        is_neuron[_ids(batch.nodes)] = True
    chosen = sorted(_choose(entries, neurons, of_module, is_neuron), key=lambda item: _span(item[1]))
    named = {name: nodes for name, nodes in (entries or of_module).items() if is_neuron[_ids(nodes)].all()}
    aliases = _aliases(named, chosen)
    names = _numbered([name for name, _ in chosen], set(aliases))
    return dict(zip(names, (nodes for _, nodes in chosen), strict=True)), aliases


def _aliases(named: Named, chosen: Sequence[tuple[str, NodeCollection]]) -> Named:
    """Those of ``named`` that are not a population of just that name."""
    occurrences = Counter(name for name, _ in chosen)
    same = {(name, _span(nodes)) for name, nodes in chosen if occurrences[name] == 1}
    return {name: nodes for name, nodes in named.items() if not (_is_run(nodes) and (name, _span(nodes)) in same)}


def _choose(
    entries: Named, neurons: Sequence[Batch], variables: Named, is_neuron: np.ndarray
) -> Iterator[tuple[str, NodeCollection]]:
    """Disjoint runs of ids that hold all neurons, with names that may occur several times."""
    free = is_neuron.copy()
    made = {_span(batch.nodes) for batch in neurons}
    for name, nodes in sorted(entries.items(), key=lambda entry: _span(entry[1]) not in made):
        if _is_run(nodes) and free[_ids(nodes)].all():
            free[_ids(nodes)] = False
            yield name, nodes
    name_of = {_span(nodes): name for name, nodes in reversed(variables.items()) if _is_run(nodes)}
    for batch in neurons:
        name = name_of.get(_span(batch.nodes)) or as_name(batch.assigned_to or batch.model)
        for part in _runs(free[_ids(batch.nodes)]):
            whole = part == slice(0, len(batch.nodes))
            yield (name, batch.nodes) if whole else (f"{name}_rest", batch.nodes[part])


def _collections(named: Mapping[Any, Any], nest: ModuleType) -> Named:
    """The NodeCollections among ``named``, without empty ones and those from before a ResetKernel."""

    def stands(value: Any) -> bool:
        if not isinstance(value, nest.NodeCollection):
            return False
        try:
            return bool(value[0])
        except (nest.NESTError, IndexError):
            return False

    return {as_name(str(name)): value for name, value in named.items() if stands(value)}


def _numbered(names: list[str], others: set[str]) -> Iterator[str]:
    """The same names, but those that are not unique with a number."""
    occurrences = Counter(names)
    numbers: defaultdict[str, count[int]] = defaultdict(lambda: count(1))
    taken = others | set(names)
    for name in names:
        if occurrences[name] == 1 and name not in others:
            yield name
        else:
            yield next(free for number in numbers[name] if (free := f"{name}_{number}") not in taken)


def _span(nodes: NodeCollection) -> tuple[int, int]:
    """First and last node id."""
    return nodes[0].global_id, nodes[-1].global_id


def _is_run(nodes: NodeCollection) -> bool:
    first, last = _span(nodes)
    return last - first + 1 == len(nodes)


def _ids(nodes: NodeCollection) -> slice | np.ndarray:
    """Node ids, as an index."""
    first, last = _span(nodes)
    return slice(first, last + 1) if _is_run(nodes) else np.array(nodes.tolist())


def _runs(mask: np.ndarray) -> list[slice]:
    """The runs of consecutive true elements."""
    edges = np.flatnonzero(np.diff(mask, prepend=False, append=False)).tolist()
    return [slice(start, stop) for start, stop in zip(edges[::2], edges[1::2], strict=True)]
