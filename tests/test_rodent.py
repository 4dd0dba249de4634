# SPDX-License-Identifier: GPL-2.0-or-later
"""The rodent tables against the published counts."""

import csv
import os
from collections import Counter
from pathlib import Path

import pytest

from cosim.experiment.config import load
from cosim.network.network import drive_links, expected_synapses
from cosim.network.values import Constant, Lognormal
from models.rodent.network import network

# Neurons and exact expected synapses, as_run and clean, by region and patch side in mm, computed from the
# published tables of HBPNeurorobotics/nestserver_benchmarks; neurons at 1 mm are those of Table 1 of Feldotto
# et al. 2022.
EXPECTED = {
    ("M1", 0.25): (3744, 7_240_888, 1_457_294),
    ("M1", 0.3): (5354, 9_706_238, 2_632_288),
    ("M1", 0.4): (9445, 24_118_582, 7_722_349),
    ("M1", 0.5): (14334, 60_645_480, 15_837_267),
    ("M1", 1.0): (58805, 546_739_983, 172_263_977),
    ("S1", 0.25): (5758, 6_480_790, 1_302_490),
    ("S1", 0.3): (8512, 9_276_566, 2_620_904),
    ("S1", 0.4): (14624, 19_952_434, 6_756_285),
    ("S1", 0.5): (23627, 55_463_204, 14_577_456),
    ("S1", 1.0): (94396, 405_442_345, 139_621_788),
    ("CB_M1", 0.25): (25920, 10_416_640, 3_316_155),
    ("CB_S1", 0.3): (32805, 13_057_646, 4_500_879),
    ("CB_S1", 0.4): (58320, 31_252_200, 9_791_809),
    ("CB_M1", 0.5): (103680, 56_636_761, 25_867_416),
    ("CB_S1", 1.0): (414720, 313_101_889, 137_437_471),
    ("TH", 0.25): (768, 8240, 1032),
    ("TH", 0.3): (972, 10_392, 1300),
    ("TH", 0.4): (1728, 7236, 2316),
    ("TH", 0.5): (3072, 20_292, 4156),
    ("TH", 1.0): (12288, 33_472, 16_736),
}
EXPECTED_BY_PROJECTION = Path(__file__).parent / "data" / "rodent_synapses.csv"
TABLE_1 = {"M1": 58805, "S1": 94396, "VL": 6144, "VM": 6144, "BG": 10976, "CB_M1": 414720, "CB_S1": 414720}


def neurons(tables):
    """Neurons by region."""
    counts = Counter()
    for population in tables.populations:
        counts[population.region] += 0 if population.is_relay else population.size
    return counts


@pytest.mark.parametrize(("region", "patch_mm"), EXPECTED)
def test_neurons_and_expected_synapses(region, patch_mm):
    count, as_run, clean = EXPECTED[region, patch_mm]
    for variant, synapses in (("as_run", as_run), ("clean", clean)):
        tables = network((region,), variant, patch_mm)
        assert neurons(tables).total() == count
        # Rounded to whole synapses; those of thalamus are sums of four rounded zones.
        assert expected_synapses(tables).sum() == pytest.approx(synapses, abs=2.0)


@pytest.mark.parametrize(("variant", "column", "rows"), [("as_run", "as_run", 597), ("loop", "clean", 622)])
def test_expected_synapses_of_every_projection(variant, column, rows):
    tables = network(("all",), variant, 1.0)
    found = Counter()
    for projection, synapses in zip(tables.projections, expected_synapses(tables), strict=True):
        found[projection.source, projection.target] += synapses
    published = {
        (row["source"], row["target"]): float(row[column])
        for row in csv.DictReader(line for line in EXPECTED_BY_PROJECTION.open() if not line.startswith("#"))
        if row[column]
    }
    assert len(published) == rows
    assert {ends: found[ends] for ends in published} == pytest.approx(published, rel=1e-5, abs=0.51)
    # Besides those: the second copy of the basal ganglia, relays of GPi, and what the file leaves empty.
    extra = {ends for ends in found if ends not in published and not ends[0].endswith("_2")}
    assert all("GPi_fake" in ends or "STN" in ends for ends in extra), extra


def test_links_between_regions_add_the_published_number_of_synapses():
    clean, loop = (expected_synapses(network(("all",), variant, 1.0)).sum() for variant in ("clean", "loop"))
    assert loop - clean == pytest.approx(6_734_768, rel=1e-3)


@pytest.mark.parametrize("patch_mm", [0.5, 1.0])
def test_basal_ganglia_shrink_with_the_area(patch_mm):
    tables = network(("BG",), "clean", patch_mm)
    full = {"MSN": 10576, "FSI": 212, "STN": 32, "GPe": 100, "GPi": 56, "GPi_fake": 56}
    full |= dict.fromkeys(("CSN", "PTN", "CMPf"), 12000)
    assert tables.sizes == {name: round(size * patch_mm**2) for name, size in full.items()}
    # No target draws more sources than there are; drawn with replacement they may still repeat.
    for projection in tables.projections[:-1]:
        assert 1 <= projection.rule.indegree <= tables.by_name[projection.source].size


@pytest.mark.parametrize(("variant", "drives"), [("clean", 201_489), ("loop", 201_489 - 4000)])
def test_the_whole_brain_is_table_1(variant, drives):
    """In loop 4000 relays are driven by cortex instead."""
    tables = network(("all",), variant, 1.0)
    assert neurons(tables) == TABLE_1
    assert neurons(tables).total() == 1_005_905
    assert drive_links(tables) == drives
    if variant == "clean":
        # The published sum for 64 STN cells; 32 have 8,736 synapses less: fewer targets, and too few for GPe.
        assert expected_synapses(tables).sum() + drives == pytest.approx(591_858_755 - 8736, abs=3.0)


def test_the_whole_brain_as_run_has_the_basal_ganglia_twice_and_the_published_synapses():
    tables = network(("all",), "as_run", 1.0)
    assert neurons(tables) == TABLE_1 | {"BG": 11008, "BG_2": 11008}
    assert expected_synapses(tables).sum() + drive_links(tables) == pytest.approx(1_588_416_712, abs=1.0)
    regions = {population.name: population.region for population in tables.populations}
    assert all(regions[each.source] == regions[each.target] for each in tables.projections)


# Whole in-degree and weight in pA at full size, from the same tables.
@pytest.mark.parametrize(
    ("source", "target", "receptor", "indegree", "weight_pa"),
    [
        ("CMPf", "FSI", 1, 56, 2.7539198322519516),
        ("CMPf", "MSN", 2, 5, 0.05765156652440741),
        ("MSN", "GPe", 3, 6006, -0.46386012978101365),
        ("MSN", "GPi", 3, 10576, -0.25909431044990716),
        ("STN", "GPe", 1, 36, 2.176116068439293),
        ("GPe", "STN", 3, 20, -0.4605909013939008),
    ],
)
def test_in_degrees_and_weights_of_the_basal_ganglia(source, target, receptor, indegree, weight_pa):
    tables = network(("BG",), "as_run", 1.0)
    ends = (source, target, receptor)
    (found,) = [each for each in tables.projections if (each.source, each.target, each.receptor) == ends]
    assert found.rule.indegree == indegree
    assert found.weight.value == pytest.approx(weight_pa, rel=1e-12)


def test_one_copy_of_the_basal_ganglia_has_the_published_synapses():
    tables = network(("BG",), "as_run", 1.0)
    synapses = expected_synapses(tables)
    first = [not each.source.endswith("_2") for each in tables.projections]
    assert synapses[first].sum() == 4_879_768 + 56  # the relays of its output


@pytest.mark.parametrize(
    ("source", "target", "weight_ns", "sigma_mm", "reach_mm"),
    [
        ("go", "gr", -0.2408, None, (0.15, 0.15, 0.5)),
        ("gr", "go", 0.002275, None, (0.1, 0.1, 0.1)),
        ("gr", "pkj", 0.007, 0.1, (2.0, 2.0, 2.0)),
        ("gr", "bs", 0.015, None, (0.5, 0.1, 0.5)),  # a strip along x: parallel fibres
        ("pkj", "vn", -0.01806, 0.1, (2.0, 2.0, 2.0)),
        ("bs", "pkj", -1.05, None, (0.1, 0.25, 0.5)),  # and one across
        ("pons", "gr", 0.00405, 0.05, (2.0, 2.0, 2.0)),
    ],
)
@pytest.mark.parametrize("variant", ["as_run", "clean"])
def test_projections_of_the_cerebellum(variant, source, target, weight_ns, sigma_mm, reach_mm):
    for module in ("CB_M1", "CB_S1"):
        ends = (f"{module}_{source}", f"{module}_{target}")
        projections = network((module,), variant, 0.25).projections
        (found,) = [each for each in projections if (each.source, each.target) == ends]
        assert (found.weight.value, found.rule.sigma_mm) == (weight_ns, sigma_mm)
        assert found.rule.mask.upper_mm == reach_mm
        assert found.rule.mask.lower_mm == tuple(-reach for reach in reach_mm)


def test_drives_of_thalamus():
    """Tonic drive makes up for inhibition by GPi in the zone that gets it."""
    drives = network(("TH",), "clean", 0.25).drives
    assert len(drives) == 12
    assert {each.population for each in drives if each.rate_hz == 210.0} == {"TH_M1_IZ_TC"}
    assert {(each.weight, each.start_ms) for each in drives} == {(50.0, 100.0)}


def test_links_need_both_ends_and_take_the_place_of_poisson_spikes():
    apart, joined = (network(("M1", "BG"), variant, 0.5, "kernel") for variant in ("clean", "loop"))
    added = joined.projections[len(apart.projections) :]
    assert [(each.source, each.target) for each in added] == [("M1_L5A_CS", "CSN"), ("M1_L5B_PT", "PTN")]
    assert drive_links(apart) - drive_links(joined) == 2 * 250
    assert expected_synapses(joined).sum() - expected_synapses(apart).sum() == 2 * 250
    whole = network(("all",), "loop", 1.0)
    pathways = {(each.source, each.target): each.rule for each in whole.projections}
    assert (pathways["M1_L5B_PT", "PTN"].first_target, pathways["S1_L5B_Pyr", "PTN"].first_target) == (0, 1000)
    assert ("CB_M1_vn", "TH_M1_EZ_TC") in pathways and ("GPi_fake", "TH_M1_IZ_TC") in pathways


def test_a_patch_that_leaves_a_population_empty_is_refused_with_the_smallest_that_works():
    with pytest.raises(ValueError) as caught:
        network(("M1", "BG"), "clean", 0.1)
    assert "brain.patch_mm = 0.1: leaves no neuron of STN in BG; the smallest patch" in str(caught.value)
    smallest_mm = float(str(caught.value).split()[-2])
    assert min(each.size for each in network(("M1", "BG"), "clean", smallest_mm).populations) >= 1


def test_echoes_fill_the_in_degree_up_to_that_of_the_full_sheet():
    kernel, echo = (network(variant="clean", patch_mm=0.25, patch_rule=rule) for rule in ("kernel", "echo"))
    sheet = network(variant="clean", patch_mm=1.0)

    def indegree(tables):
        """Mean number of synapses onto a neuron, by target."""
        counts = Counter()
        for projection, synapses in zip(tables.projections, expected_synapses(tables), strict=True):
            counts[projection.target] += synapses / tables.by_name[projection.target].size
        return counts

    wanted, filled, poor = indegree(sheet), indegree(echo), indegree(kernel)
    for name in wanted:
        assert filled[name] == pytest.approx(wanted[name], rel=0.01)
        assert poor[name] < 0.7 * wanted[name]
    assert max(each.delay_ms for each in echo.projections) == 40.0


@pytest.mark.parametrize("resolution_ms", [0.05, 0.25])
def test_delays_of_echoes_lie_on_the_time_grid_of_the_experiment(resolution_ms):
    echo = ("brain.variant=clean", "brain.patch_rule=echo", f"clock.resolution_ms={resolution_ms}")
    load("mouse_m1", echo).network()


@pytest.mark.parametrize(
    ("source", "target", "as_run", "clean"),
    [
        # Three rows at 1 mm, same source; the last one hangs on the rounding at the edges of the mask.
        ("M1_L1_ENGC", "M1_L1_ENGC", 135_150, 55_339),
        ("M1_L5A_CT", "M1_L5B_PV", 1_243_660, 544_557),
        ("M1_L5A_SST", "M1_L5A_PV", 62_940, None),
    ],
)
def test_expected_synapses_of_single_projections(source, target, as_run, clean):
    for variant, synapses in (("as_run", as_run), ("clean", clean)):
        tables = network(variant=variant, patch_mm=1.0)
        ends = [(projection.source, projection.target) for projection in tables.projections]
        if synapses is not None:
            assert expected_synapses(tables)[ends.index((source, target))] == pytest.approx(synapses, abs=1)


@pytest.mark.parametrize("variant", ["as_run", "clean"])
@pytest.mark.parametrize("patch_mm", [0.1, 0.123, 0.25, 1.0])
def test_tables_pass_their_own_check(variant, patch_mm):
    tables = network(variant=variant, patch_mm=patch_mm)
    tables.check(resolution_ms=0.1)
    assert (len(tables.populations), len(tables.projections), len(tables.drives)) == (19, 226, 19)


def test_cells_and_drives():
    tables = network()
    pyramidal, basket = tables.by_name["M1_L23_CC"], tables.by_name["M1_L23_PV"]
    assert (pyramidal.parameters["g_L"], basket.parameters["g_L"]) == (12.5, 25.0)
    assert (pyramidal.v_m.low_mv, pyramidal.v_m.high_mv) == (-70.0, -50.0)
    starts_ms = {drive.population: drive.start_ms for drive in tables.drives}
    assert min(starts_ms, key=starts_ms.get) == "M1_L1_SBC"
    assert max(starts_ms, key=starts_ms.get) == "M1_L5A_CS"


def test_weights_are_constant_or_lognormal():
    weights = [projection.weight for projection in network().projections]
    assert sum(isinstance(weight, Lognormal) for weight in weights) == 64
    assert {weight.mu for weight in weights if isinstance(weight, Lognormal)} == {-0.72}
    inhibitory = [each for each in weights if isinstance(each, Constant) and each.value < 0]
    assert len(inhibitory) == 103


def test_variants_differ_in_wrap_and_mask_only():
    as_run, clean = network(variant="as_run"), network(variant="clean")
    assert all(population.layout.wrapped for population in as_run.populations)
    assert not any(population.layout.wrapped for population in clean.populations)
    assert all(projection.rule.mask for projection in as_run.projections)
    assert not any(projection.rule.mask for projection in clean.projections)
    assert as_run.drives == clean.drives


def test_loads_from_any_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert os.listdir() == []
    assert len(network().populations) == 19


def test_bad_arguments_are_named_together():
    with pytest.raises(ValueError) as caught:
        network(regions=("M1", "M7"), variant="fast", patch_mm=0.0)
    assert str(caught.value).splitlines() == [
        "unknown region 'M7' of the rodent brain, there are: M1, S1, VL, VM, BG, CB_M1, CB_S1, TH, CB, all",
        "unknown variant 'fast' of the rodent brain, there are: as_run, clean, loop",
        "patch_mm is 0.0, must lie in 0.1 to 1.0 mm",
    ]


@pytest.mark.parametrize("patch_mm", [-0.25, 0.09, 1.01, float("nan")])
def test_patch_outside_its_range(patch_mm):
    with pytest.raises(ValueError, match="must lie in 0.1 to 1.0 mm"):
        network(patch_mm=patch_mm)
