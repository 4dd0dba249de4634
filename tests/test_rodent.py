# SPDX-License-Identifier: GPL-2.0-or-later
"""The rodent tables against the published counts."""

import os

import pytest

from cosim.brain.network import expected_synapses
from cosim.brain.values import Constant, Lognormal
from models.rodent.network import network

# Neurons and exact expected synapses of M1 by patch side in mm, computed from the published tables of
# HBPNeurorobotics/nestserver_benchmarks; the full sheet's 58,805 is in Table 1 of Feldotto et al. 2022.
EXPECTED = {
    0.25: (3744, 7_240_888, 1_457_294),
    0.3: (5354, 9_706_238, 2_632_288),
    0.4: (9445, 24_118_582, 7_722_349),
    0.5: (14334, 60_645_480, 15_837_267),
    1.0: (58805, 546_739_983, 172_263_977),
}


@pytest.mark.parametrize("patch_mm", EXPECTED)
def test_neurons_and_expected_synapses(patch_mm):
    neurons, as_run, clean = EXPECTED[patch_mm]
    for variant, synapses in (("as_run", as_run), ("clean", clean)):
        tables = network(variant=variant, patch_mm=patch_mm)
        assert sum(population.size for population in tables.populations) == neurons
        assert expected_synapses(tables).sum() == pytest.approx(synapses, rel=1e-5)


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
        "unknown region 'M7' of the rodent brain, there are: M1",
        "unknown variant 'fast' of the rodent brain, there are: as_run, clean",
        "patch_mm is 0.0, must lie in 0.1 to 1.0 mm",
    ]


@pytest.mark.parametrize("patch_mm", [-0.25, 0.09, 1.01, float("nan")])
def test_patch_outside_its_range(patch_mm):
    with pytest.raises(ValueError, match="must lie in 0.1 to 1.0 mm"):
        network(patch_mm=patch_mm)
