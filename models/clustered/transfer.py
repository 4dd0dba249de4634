# SPDX-License-Identifier: GPL-2.0-or-later
"""No transfer functions: there is no body. What a run says about the activity of clusters."""

from pydantic import Field

from cosim import Table
from cosim.results import statistics


class Protocol(Table):
    """What ``[protocol]`` in experiment.toml may say."""

    warmup_ms: float = Field(ge=0)


def summarize(run):
    """Statistics of the clusters after the warm-up; none if the run is not longer or not all spikes are recorded."""
    warmup_ms, brain = run.config["protocol"]["warmup_ms"], run.config["brain"]
    end_ms = float(run.exchange_time_ms[-1]) if run.exchange_time_ms.size else 0.0
    if end_ms <= warmup_ms or run.config["record"]["spikes"] != "*":
        return {"clusters": None}
    size = brain["neurons"] // brain["clusters"] // 5
    kinds = {kind: _clusters(run, kind) for kind in "EI"}
    return {"clusters": statistics.of_clusters(kinds["E"], kinds["I"], 4 * size, size, warmup_ms, end_ms)}


def _clusters(run, kind):
    return [spikes for name, spikes in run.spikes.items() if name.startswith(f"{kind}_")]


def tell(summary):
    """Lines to print at the end of a run."""
    found = summary["clusters"]
    if found is None:
        return ["no statistics: they need a run longer than protocol.warmup_ms and record.spikes = '*'"]
    said = {name: "none" if value is None else f"{value:.3g}" for name, value in found.items()}
    return [
        "E {rate_e_hz} Hz, I {rate_i_hz} Hz, CV2 {cv2_e}".format(**said),
        "cluster rates vary by {cluster_rate_cv} of their mean, "
        "E and I of a cluster together ({ei_correlation})".format(**said),
    ]
