# SPDX-License-Identifier: GPL-2.0-or-later
"""The page of ``cosim report``: it stands alone, shows what there is, and nothing in it can act."""

from __future__ import annotations

import base64
import io
import json
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import REPOSITORY, clean_environment, find_mpiexec
from PIL import Image

from cosim.errors import ConfigurationError
from cosim.show import figure, report

pytestmark = pytest.mark.usefixtures("with_figures")

VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """What a browser would find: texts by the element around them, and the attributes of all elements."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(path.read_text(encoding="utf-8"))
        assert self.open == []  # every element is closed

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    def of(self, tag: str) -> list[str]:
        """Texts that stand directly in such elements."""
        return [text for around, text in self.texts if around == tag]

    @property
    def pictures(self) -> list[Image.Image]:
        sources = [attributes["src"] for tag, attributes in self.elements if tag == "img"]
        assert all(source.startswith("data:image/png;base64,") for source in sources)
        return [Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) for source in sources]


@pytest.fixture(scope="module")
def vehicle(tmp_path_factory) -> Path:
    """A run with Husky, sinks and sources."""
    out = tmp_path_factory.mktemp("page") / "run"
    command = [
        find_mpiexec(),
        "-n",
        "2",
        sys.executable,
        "run.py",
        "braitenberg",
        "--steps",
        "30",
        "--out",
        str(out),
    ]
    subprocess.run(command, cwd=REPOSITORY, env=clean_environment(), check=True, timeout=120, capture_output=True)
    return out


@pytest.fixture
def copy(vehicle, tmp_path) -> Path:
    """The same run, to be changed."""
    return Path(shutil.copytree(vehicle, tmp_path / "copy", ignore=shutil.ignore_patterns("report.html")))


def page_of(*folders: Path, out: Path) -> Page:
    assert report.main([str(folder) for folder in folders], html=str(out)) == 0
    return Page(out)


@pytest.fixture(scope="module")
def page(vehicle, tmp_path_factory) -> Page:
    return page_of(vehicle, out=tmp_path_factory.mktemp("out") / "page.html")


def test_the_page_shows_what_the_terminal_shows(vehicle, page, capsys):
    report.main([str(vehicle)])
    shown = capsys.readouterr().out
    words = [word for text in page.of("td") + page.of("th") for word in text.split()]
    assert len(words) > 100 and all(word in shown for word in words if len(word) < 20)
    assert {"Runs", "Built", "Rates", "Spikes", "Machine and versions", "Configuration"} <= set(page.of("h2"))


def test_what_there_is_of_the_vehicle_is_drawn(page):
    titles = page.of("h2")
    assert {"Way of the vehicle", "Light intensity", "Wheel speed (rad/s)", "Voltages of spike sinks"} <= set(titles)
    assert {"Rates of spike sources", "Wall time of steps", "The mean step by phase", "The body"} <= set(titles)
    assert "Path of the tip" not in titles and "Light brightness" not in titles  # the light never changed
    for picture in page.pictures:
        assert picture.format == "PNG" and len(picture.convert("L").getcolors()) > 10
    assert len(page.pictures) >= 10


def test_the_page_needs_nothing_and_cannot_act(page):
    assert not {tag for tag, _ in page.elements} & {"script", "link", "iframe", "object", "form", "a"}
    for tag, attributes in page.elements:
        assert not any(name.startswith("on") or name == "href" for name in attributes), tag
    policy = next(each["content"] for tag, each in page.elements if "http-equiv" in each)
    assert policy.startswith("default-src 'none'")
    assert "url(" not in "".join(page.of("style")) and "@import" not in "".join(page.of("style"))


def test_the_configuration_is_there_in_full(vehicle, page):
    assert (vehicle / "config.toml").read_text() in page.of("pre")


def test_by_default_the_page_lies_in_the_folder_of_the_run_or_beside_the_first(copy, tmp_path, capsys):
    report.main([str(copy)])
    assert capsys.readouterr().out.endswith(f"page: {copy / 'report.html'}\n")
    report.main([str(copy), str(copy)])
    assert (copy / "report.html").is_file() and (tmp_path / "report.html").is_file()
    assert not list(tmp_path.rglob("*.unfinished"))


def test_with_json_there_is_a_page_only_if_it_is_asked_for(copy, tmp_path, capsys):
    report.main([str(copy)], json=True)
    assert json.loads(capsys.readouterr().out)["runs"][0]["steps"] == 30
    assert not (copy / "report.html").exists()
    report.main([str(copy)], json=True, html=str(tmp_path / "page.html"))
    json.loads(capsys.readouterr().out)
    assert (tmp_path / "page.html").is_file()


def test_runs_are_compared_side_by_side(vehicle, copy, tmp_path):
    config = copy / "config.toml"
    config.write_text(config.read_text().replace("seed = 1\n", "seed = 77\n"))
    page = page_of(vehicle, copy, out=tmp_path / "page.html")
    assert "Configuration: what differs" in page.of("h2")
    cells = page.of("td")
    at = len(cells) - 1 - cells[::-1].index("seed")  # in the table of what differs, the last one
    assert cells[at : at + 3] == ["seed", "1", "77"]
    assert sum(attributes.get("class") == "differs" for _, attributes in page.elements) >= 2  # folder and seed
    way = page.of("h2").index("Way of the vehicle")
    assert page.of("h2").count("Way of the vehicle") == 1 and way > 0  # one picture with a panel for each


def test_what_comes_from_files_is_escaped(copy, tmp_path):
    bad = "<script>alert('&\"')</script>"
    summary = json.loads((copy / "summary.json").read_text())
    summary |= {"complete": False, "stopped_by": bad}
    (copy / "summary.json").write_text(json.dumps(summary))
    config = (copy / "config.toml").read_text().splitlines(keepends=True)
    (copy / "config.toml").write_text(f"title = {json.dumps(bad)}\n" + "".join(config[1:]))
    with h5py.File(copy / "run.h5", "r+") as file:
        file.attrs["command"] = bad
    page = page_of(copy, out=tmp_path / "page.html")
    assert page.of("h1") == [bad] and f"no: {bad}" in page.of("td") and bad in page.of("td")
    assert "script" not in {tag for tag, _ in page.elements}


def test_a_run_without_a_body_and_ports_has_a_page(copy, tmp_path):
    with h5py.File(copy / "run.h5", "r+") as file:
        del file["body"], file["exchange/readout"], file["exchange/stimulus"]
    (copy / "body.png").unlink()
    titles = page_of(copy, out=tmp_path / "page.html").of("h2")
    assert {"Spikes", "Wall time of steps"} <= set(titles)
    assert not {"The body", "Way of the vehicle", "Voltages of spike sinks", "Rates of spike sources"} & set(titles)


def test_a_run_that_ended_before_its_first_step_has_a_page(copy, tmp_path):
    summary = json.loads((copy / "summary.json").read_text())
    summary |= {"steps": 0, "simulated_s": 0.0, "real_time_factor": None, "coupling_fraction": None}
    (copy / "summary.json").write_text(json.dumps(summary | {"complete": False, "stopped_by": "SIGTERM"}))
    page = page_of(copy, out=tmp_path / "page.html")
    assert "no: SIGTERM" in page.of("td") and "Spikes" not in page.of("h2")


def test_rasters_and_series_of_large_runs_are_thinned(vehicle, monkeypatch):
    data = report.facts.RunData(vehicle)
    monkeypatch.setattr(figure, "MAX_RASTER_SPIKES", 100)
    monkeypatch.setattr(figure, "MAX_POINTS", 10)
    _, (raster, times) = figure.plt.subplots(2)
    figure.draw_raster(raster, data)
    every = sum(data.spike_counts.values()) // 100
    assert every > 1 and raster.get_title(loc="left") == f"spikes, 1 of {every} drawn"
    assert 90 < sum(len(line.get_xdata()) for line in raster.lines) < 120
    figure.draw_step_times(times, data)
    longest_ms = 1000 * data.profile["brain"].max()
    drawn = dict(zip(data.profile, times.lines, strict=True))["brain"]
    assert len(drawn.get_xdata()) == 10 and np.max(drawn.get_ydata()) == pytest.approx(longest_ms)
    figure.plt.close("all")


def test_a_page_that_cannot_be_written_is_told(vehicle, tmp_path):
    with pytest.raises(
        ConfigurationError, match=r"no/page\.html: cannot be written: No such file or directory; --html"
    ):
        report.main([str(vehicle)], html=str(tmp_path / "no/page.html"))


def test_a_picture_that_is_none_is_left_out(copy, tmp_path):
    (copy / "body.png").write_text("<script>")
    assert "The body" not in page_of(copy, out=tmp_path / "page.html").of("h2")
