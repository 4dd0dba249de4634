# SPDX-License-Identifier: GPL-2.0-or-later
"""README.md and the pages below docs/ are true: commands and examples run, links lead somewhere, no key is left out.

In a page, blocks marked ``sh`` and ``python`` run from top to bottom in one folder that all pages share, after each
block with a title was written to the file that it names. A comment before a block says what else there is to it:
``<!-- not run: reason -->`` or ``<!-- fails -->``.
"""

from __future__ import annotations

import doctest
import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args

import pytest
from conftest import REPOSITORY, clean_environment

from cosim.bench.readme import insert, section
from cosim.body import kinds
from cosim.body.readers import include
from cosim.devices import kinds as device_kinds
from cosim.experiment import config
from cosim.experiment.usercode import load_transfer_functions

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
BLOCK = re.compile(
    r"(?:<!-- (?P<mark>[^>]*?) -->\n)?^```(?P<language>\w+)(?P<title>[^\n]*)\n(?P<text>.*?)^```$", re.M | re.S
)

# What makes commands fast enough for a test: each of these is in some page.
SMALLER = {
    "cosim run mouse_m1": "cosim run mouse_m1 --set brain.patch_mm=0.1 --steps 3",
    "brain.patch_mm=0.2 --steps 10": "brain.patch_mm=0.1 --steps 3",
    "braitenberg --steps 20": "braitenberg --steps 5",
    "cosim run my_vehicle": "cosim run my_vehicle --steps 450",
    "cosim render results/light --speed 4": "cosim render results/light --speed 40",
    "cosim run my_mouse --set brain.patch_mm=0.15": "cosim run my_mouse --set brain.patch_mm=0.1",
}
MOST_NOT_RUN = 25

# Modules whose docstrings have examples. They find the run of the first tutorial in results/light.
WITH_EXAMPLES = sorted(
    ".".join(file.relative_to(REPOSITORY).with_suffix("").parts)
    for file in (REPOSITORY / "cosim").rglob("*.py")
    if ">>>" in file.read_text()
)
FIRST_RUN = "cosim run braitenberg --out results/light\n"


class Block(NamedTuple):
    """An example in a page."""

    mark: str
    language: str
    title: str
    text: str

    @property
    def file(self) -> str | None:
        """Where the text belongs; None for commands and for parts of a file."""
        return self.title if self.title and " " not in self.title else None

    @property
    def runs(self) -> bool:
        return self.language in ("sh", "python") and not self.title and not self.mark.startswith("not run")


def blocks(page: Path) -> list[Block]:
    """All examples of a page, at their size for tests."""
    found = []
    for match in BLOCK.finditer(page.read_text()):
        title = re.fullmatch(r'\s*title="(.*)"|', match["title"])
        assert title, f"{page}: {match['title']!r} is no title"
        found.append(Block(match["mark"] or "", match["language"], title[1] or "", smaller(match["text"])))
    return found


def smaller(text: str) -> str:
    for command, small in SMALLER.items():
        text = text.replace(command, small)
    return text


def name(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


class Workplace:
    """A folder like a clone in which pages are followed, each command once."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._done = folder, set()
        for known in ("run.py", "models", "slurm", "tests", "results/bench"):
            (folder / known).parent.mkdir(exist_ok=True)
            (folder / known).symlink_to(REPOSITORY / known)

    def write(self, block: Block) -> None:
        path = self.folder / block.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text)

    def run(self, block: Block, page: Path) -> None:
        if block.text in self._done:
            return
        if block.language == "python":
            exec(compile(block.text, page, "exec"), {"__name__": "__main__"})
        else:
            self._run_commands(block)
        self._done.add(block.text)

    def _run_commands(self, block: Block) -> None:
        tools = Path(sys.executable).parent
        environment = clean_environment(COLUMNS="120", MPLBACKEND="agg")
        environment["PATH"] = f"{tools}:{environment['PATH']}"
        command = ["bash", "-euxo", "pipefail", "-c", block.text]
        options = {"capture_output": True, "text": True, "timeout": 120}
        done = subprocess.run(command, cwd=self.folder, env=environment, **options)
        expected = 2 if block.mark == "fails" else 0
        assert done.returncode == expected, f"{block.text}\n{done.stdout}\n{done.stderr}"


@pytest.fixture(scope="module")
def workplace(tmp_path_factory) -> Workplace:
    """With the results of the first tutorial in it, of which other pages speak."""
    made = Workplace(tmp_path_factory.mktemp("clone"))
    made.run(Block("", "sh", "", FIRST_RUN), REPOSITORY / "docs/tutorials/first-run.md")
    return made


@pytest.mark.parametrize("page", PAGES, ids=name)
@pytest.mark.starts
def test_what_a_page_shows_works(page, workplace, monkeypatch):
    shown = blocks(page)
    monkeypatch.chdir(workplace.folder)
    for block in shown:
        if block.file:
            workplace.write(block)
    for block in shown:
        if block.language == "toml":
            check_toml(block, workplace.folder)
        if block.runs:
            workplace.run(block, page)


def check_toml(block: Block, folder: Path) -> None:
    """An experiment or a body must load; a part of an experiment must do in one that is there."""
    if block.title.endswith("experiment.toml"):
        config.load(str(folder / block.title))
    elif block.title.endswith("body.toml") and block.file:
        kinds.load(folder / block.title)
    elif block.title:
        assert block.title == "keys of a body.toml"
        assert tomllib.loads(block.text).keys() <= {*include.KEYS}
    else:
        experiment = REPOSITORY / "models/mouse_m1"
        tables = tomllib.loads((experiment / "experiment.toml").read_text()) | tomllib.loads(block.text)
        config.assemble(
            experiment, Path("experiment.toml"), tables, load_transfer_functions(experiment / "transfer.py")
        )


def test_parts_of_files_are_parts_of_files():
    parts = [block for page in PAGES for block in blocks(page) if block.title.startswith("part of ")]
    assert parts
    for block in parts:
        file = block.title.removeprefix("part of ")
        files = [*REPOSITORY.glob(f"models/*/{file}"), *REPOSITORY.glob(f"cosim/**/{file}")]
        assert any(block.text in file.read_text() for file in files), block.text


def test_commands_that_are_not_run_say_why_and_are_few():
    marked = [(name(page), block) for page in PAGES for block in blocks(page) if block.mark.startswith("not run")]
    for page, block in marked:
        reason = block.mark.removeprefix("not run: ")
        assert len(reason.split()) > 2, f"{page}: no reason not to run {block.text}"
        for test in re.findall(r"test_\w+\.py", reason):
            assert (REPOSITORY / "tests" / test).is_file(), f"{page}: there is no {test}"
    assert len(marked) <= MOST_NOT_RUN, "\n".join(f"{page}: {block.text}" for page, block in marked)


def test_the_page_of_measurements_is_what_the_command_writes():
    page = REPOSITORY / "docs/performance.md"
    made = section(REPOSITORY / "results/bench", Path("../results/bench"))
    assert insert(page.read_text(), made, page) == page.read_text()


def test_commands_that_are_made_smaller_are_still_shown():
    text = "".join(page.read_text() for page in PAGES)
    assert [command for command in SMALLER if command not in text] == []


@pytest.mark.parametrize("module", WITH_EXAMPLES)
@pytest.mark.starts
def test_examples_in_docstrings_work(module, workplace, monkeypatch):
    monkeypatch.chdir(workplace.folder)
    failed, tried = doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS)
    assert tried and not failed


def test_there_are_examples_in_docstrings():
    assert "cosim.transfer.mark" in WITH_EXAMPLES


def links(page: Path) -> Iterator[str]:
    text = BLOCK.sub("", page.read_text())
    yield from (link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link)


def anchors(page: Path) -> set[str]:
    """Of the headings of a page, as Markdown makes them."""
    titles = re.findall(r"^#+ (.*)$", BLOCK.sub("", page.read_text()), re.M)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower()) for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_in_the_contents():
    """Of a notebook docs/linked_files.py makes a page."""
    contents, docs = (REPOSITORY / "mkdocs.yml").read_text(), REPOSITORY / "docs"
    notebooks = [each.with_suffix(".md") for each in docs.rglob("*.ipynb")]
    assert notebooks
    missing = [page for page in (*PAGES[1:], *notebooks) if f": {page.relative_to(docs)}\n" not in contents]
    assert missing == []


def test_the_experiment_shown_has_the_values_of_the_real_one():
    (shown,) = (tomllib.loads(block.text) for block in blocks(PAGES[0]) if block.language == "toml")
    real = tomllib.loads((REPOSITORY / "models/mouse_m1/experiment.toml").read_text())
    assert shown["clock"] == real["clock"]
    assert shown["brain"].items() <= real["brain"].items()
    assert shown["sources"][0] == real["sources"][0]


def keys(kind: Any) -> Iterator[str]:
    """All keys of a table of a configuration and of the tables in it, also of those in lists and choices."""
    for key, field in getattr(kind, "model_fields", {}).items():
        yield key
        yield from keys(field.annotation)
    for inner in get_args(kind):
        yield from keys(inner)


def test_the_reference_of_experiments_has_all_keys():
    text = (REPOSITORY / "docs/reference/experiment.md").read_text()
    tables = (config.Configuration, *device_kinds.kinds("sources").values(), *device_kinds.kinds("sinks").values())
    assert [key for table in tables for key in keys(table) if f"`{key}`" not in text] == []
    assert [kind for kind in (*device_kinds.SOURCES, *device_kinds.SINKS) if f"`{kind}`" not in text] == []


def test_the_readme_is_short():
    assert len(PAGES[0].read_text().splitlines()) <= 230
