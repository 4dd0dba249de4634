# SPDX-License-Identifier: GPL-2.0-or-later
"""The connection rules that can be drawn in NEST: one line for each."""

from __future__ import annotations

from collections.abc import Iterator

from cosim.engines.nest.rules import bernoulli, fixed_indegree, one_to_one
from cosim.engines.nest.rules.rule_in_nest import RuleInNest
from cosim.network.network import Network, NetworkError
from cosim.network.rules import Bernoulli, FixedIndegree, OneToOne
from cosim.network.rules.rule import Rule

RULES: dict[type[Rule], RuleInNest] = {
    Bernoulli: bernoulli.IN_NEST,
    FixedIndegree: fixed_indegree.IN_NEST,
    OneToOne: one_to_one.IN_NEST,
}


def in_nest(rule: Rule) -> RuleInNest:
    """How ``rule`` is drawn; KeyError where it is not registered, see `check`."""
    return RULES[type(rule)]


def check(network: Network) -> None:
    """Raise NetworkError with all projections whose rule is not registered, before NEST starts."""
    if problems := list(_problems(network)):
        raise NetworkError(problems)


def _problems(network: Network) -> Iterator[str]:
    for number, each in enumerate(network.projections):
        if type(each.rule) not in RULES:
            where = f"projection {number} ({each.source} -> {each.target})"
            known = ", ".join(rule.__name__ for rule in RULES)
            yield f"{where}: rule is {type(each.rule).__name__}, NEST can draw {known}"
