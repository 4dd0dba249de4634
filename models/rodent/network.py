# SPDX-License-Identifier: GPL-2.0-or-later
"""The rodent brain of Feldotto et al. 2022 as network tables; the numbers are in the files beside it.

Regions are called as in the paper's Table 1, populations as in the published benchmark.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

from pydantic import Field, field_validator

from cosim import Table
from cosim.network import Network, Uniform, UniformOnce
from models.rodent.basal_ganglia import REGION as BASAL_GANGLIA
from models.rodent.basal_ganglia import SECOND_COPY, basal_ganglia
from models.rodent.cerebellum import MODULES, cerebellum
from models.rodent.cortex import AREAS, cortex
from models.rodent.echo import with_echoes
from models.rodent.links import linked
from models.rodent.tables import Part, Patch
from models.rodent.thalamus import NUCLEI, thalamus

REGIONS = (*AREAS, *NUCLEI, BASAL_GANGLIA, *MODULES)
# Names for several regions at once.
GROUPS = {"TH": NUCLEI, "CB": MODULES, "all": REGIONS}
Variant = Literal["as_run", "clean", "loop"]
PatchRule = Literal["kernel", "echo"]
Start = Literal["staggered", "together"]
# Below, cortical populations shrink to single columns of cells and vanish; above, nothing was published.
PATCH_MM = (0.1, 1.0)


class Parameters(Table):
    """What ``[brain]`` in experiment.toml may say of this model."""

    regions: tuple[str, ...] = Field(("M1",), min_length=1, description="names, or TH, CB, all")
    variant: Variant = "as_run"
    patch_mm: float = Field(0.25, ge=PATCH_MM[0], le=PATCH_MM[1], description="side of the square sheets")
    patch_rule: PatchRule | None = Field(
        None, description="default: echo for loop, whose links are made for the rates of full sheets, else kernel"
    )
    start: Start = Field("staggered", description="together shows what staggered start times are for")

    @field_validator("regions")
    @classmethod
    def _known(cls, regions: tuple[str, ...]) -> tuple[str, ...]:
        if problems := _unknown_regions(regions):
            raise ValueError("; ".join(problems))
        return regions


def network(
    regions: tuple[str, ...] = ("M1",),
    variant: str = "as_run",
    patch_mm: float = 0.25,
    patch_rule: str | None = None,
    start: str = "staggered",
    resolution_ms: float = 0.1,
) -> Network:
    """The tables of some regions for a square patch of side ``patch_mm``; the full sheets are 1 mm.

    ``as_run`` is what the published benchmark built: wrapped sheets, where a mask wider than the sheet offers
    a pair up to eight times, basal ganglia twice, and regions side by side. ``clean`` is what the tables say: bounded
    sheets, each ordered pair offered once. ``loop`` is ``clean`` with the pathways between regions.

    The patch rule ``kernel`` leaves probabilities as they are, so that the in-degree falls with the patch; ``echo``
    makes up for it (see ``models/rodent/echo.py``), with delays that are multiples of ``resolution_ms``. None is
    ``echo`` for ``loop`` and ``kernel`` for the others.

    Started ``together``, all drives at once from potentials of their own for every neuron, motor cortex with all its
    inputs locks at more than 100 Hz; the published start times, inhibition first, and one potential for a
    population lead it to its low state.

    Raises:
        ValueError: an unknown region, variant or rule, a patch outside 0.1 to 1.0 mm or one that leaves a population
        empty.
    """
    patch_rule = patch_rule or ("echo" if variant == "loop" else "kernel")
    _check(regions, variant, patch_mm, patch_rule, start)
    names = whole_names(regions)
    patch = _network(names, variant, patch_mm)
    _check_not_empty(patch, names, variant, patch_mm)
    if patch_rule == "echo":
        patch = with_echoes(patch, _network(names, variant, PATCH_MM[1]), resolution_ms)
    return _together(patch) if start == "together" else patch


def full_network(
    regions: tuple[str, ...], variant: str, patch_mm: float, patch_rule: str | None, start: str
) -> Network:
    """The same network on the full sheet of 1 mm, whatever ``patch_mm``: what sink weights refer to."""
    return network(regions, variant, PATCH_MM[1], patch_rule, start)


def whole_names(regions: tuple[str, ...]) -> tuple[str, ...]:
    """Every region once, groups resolved."""
    return tuple(dict.fromkeys(name for region in regions for name in GROUPS.get(region, (region,))))


def _network(regions: tuple[str, ...], variant: str, patch_mm: float) -> Network:
    patch = Patch(patch_mm, variant)
    whole = _joined([part for name in regions for part in _parts(name, patch)])
    if patch.is_linked:
        whole = linked(whole, patch)
    return Network(whole.populations, whole.projections, whole.drives)


def _parts(region: str, patch: Patch) -> list[Part]:
    if region in AREAS:
        return [cortex(region, patch)]
    if region in NUCLEI:
        return [thalamus(region, patch)]
    if region in MODULES:
        return [cerebellum(region, patch)]
    return [basal_ganglia(patch, copy) for copy in (("", SECOND_COPY) if patch.as_run else ("",))]


def _joined(parts: list[Part]) -> Part:
    return Part(
        tuple(population for part in parts for population in part.populations),
        tuple(projection for part in parts for projection in part.projections),
        tuple(drive for part in parts for drive in part.drives),
    )


def _unknown_regions(regions: tuple[str, ...]) -> list[str]:
    known = (*REGIONS, *GROUPS)
    return [
        f"unknown region '{name}' of the rodent brain, there are: {', '.join(known)}"
        for name in regions
        if name not in known
    ]


def _together(staggered: Network) -> Network:
    """All drives from the beginning; every neuron where one potential for all was drawn gets one of its own."""
    populations = [
        replace(each, v_m=Uniform(each.v_m.low_mv, each.v_m.high_mv)) if isinstance(each.v_m, UniformOnce) else each
        for each in staggered.populations
    ]
    drives = [replace(drive, start_ms=0.0) for drive in staggered.drives]
    return replace(staggered, populations=tuple(populations), drives=tuple(drives))


def _check(regions: tuple[str, ...], variant: str, patch_mm: float, patch_rule: str, start: str) -> None:
    problems = _unknown_regions(regions) + [
        f"unknown {what} '{name}' of the rodent brain, there are: {', '.join(allowed)}"
        for what, name, allowed in (
            ("variant", variant, get_args(Variant)),
            ("patch_rule", patch_rule, get_args(PatchRule)),
            ("start", start, get_args(Start)),
        )
        if name not in allowed
    ]
    if not PATCH_MM[0] <= patch_mm <= PATCH_MM[1]:
        problems.append(f"patch_mm is {patch_mm}, must lie in {PATCH_MM[0]} to {PATCH_MM[1]} mm")
    if problems:
        raise ValueError("\n".join(problems))


def _check_not_empty(built: Network, regions: tuple[str, ...], variant: str, patch_mm: float) -> None:
    """A patch may leave nothing of a small nucleus."""
    empty = _empty(built)
    if not empty:
        return
    steps_mm = (step / 100 for step in range(round(100 * patch_mm), 101))
    smallest_mm = next(size_mm for size_mm in steps_mm if not _empty(_network(regions, variant, size_mm)))
    raise ValueError(
        f"brain.patch_mm = {patch_mm}: leaves no neuron of {', '.join(empty)}; the smallest patch for these regions is "
        f"{smallest_mm} mm"
    )


def _empty(network: Network) -> list[str]:
    return [f"{each.name} in {each.region}" for each in network.populations if each.size < 1]
