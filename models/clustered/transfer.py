# SPDX-License-Identifier: GPL-2.0-or-later
"""No transfer functions: there is no body. What a run says about the activity of clusters."""

from pydantic import Field

from cosim.analysis import statistics
from cosim.config import Table


class Protocol(Table):
    """What ``[protocol]`` in experiment.toml may say."""

    warmup_ms: float = Field(ge=0)


def summarize(run):
    """Statistics of the clusters after the warm-up; none if the run is not longer."""
    warmup_ms, brain = run.config["protocol"]["warmup_ms"], run.config["brain"]
    end_ms = float(run.exchange_time_ms[-1]) if run.exchange_time_ms.size else 0.0
    if end_ms <= warmup_ms:
        return {"clusters": None}
    size = brain["neurons"] // brain["clusters"] // 5
    kinds = {kind: _clusters(run, kind) for kind in "EI"}
    return {"clusters": statistics.of_clusters(kinds["E"], kinds["I"], 4 * size, size, warmup_ms, end_ms)}


def _clusters(run, kind):
    return [spikes for name, spikes in run.spikes.items() if name.startswith(f"{kind}_")]


def tell(summary):
    """Lines to print at the end of a run."""
    found = summary["clusters"]
    if found:
        yield "E {rate_e_hz:.2f} Hz, I {rate_i_hz:.2f} Hz, CV2 {cv2_e:.3f}".format(**found)
        yield "cluster rates vary by {cluster_rate_cv:.2f} of their mean, E and I of a cluster together ({ei_correlation:.2f})".format(**found)
