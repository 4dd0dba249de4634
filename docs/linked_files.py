# SPDX-License-Identifier: GPL-2.0-or-later
"""Hook of mkdocs: files of the repository that pages link to become part of the site.

A page links to ``../models/arm/body.toml`` as it would anywhere in the repository. Texts become pages with their code
in colours, pictures are taken as they are. What is not there stays a link that leads nowhere, at which mkdocs fails.

A notebook among the pages becomes a page, too: its texts and its code, with a link to the notebook itself.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from posixpath import normpath, relpath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

NOTEBOOK = ".ipynb"
LINK = re.compile(r"(?<=\]\()(?P<path>\.\./[^)#\s]+)(?P<anchor>#[^)\s]*)?(?=\))")
TO_NOTEBOOK = re.compile(r"(?<=\]\()[^)#:\s]+\.ipynb(?=\))")
BELOW = "repository"
PICTURES = (".png",)
LANGUAGES = {".py": "python", ".toml": "toml", ".csv": "text", ".sbatch": "bash", ".json": "json", ".sh": "bash"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each notebook, and each file outside the folder of the pages that one of them links to."""
    for file in [each for each in files if each.src_uri.endswith(NOTEBOOK)]:
        page = File.generated(config, _page_of(file.src_uri), content=_notebook(Path(file.abs_src_path)))
        files.append(page)
    for page in list(files.documentation_pages()):
        for match in LINK.finditer(page.content_string):
            source = _in_repository(page.src_uri, match["path"])
            if source and _uri(source) not in files.src_uris and Path(source).is_file():
                files.append(_file(source, config))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links to files of the repository lead to their place in the site, those to notebooks to their pages."""

    def lead(match: re.Match) -> str:
        source = _in_repository(page.file.src_uri, match["path"])
        if source is None or not Path(source).is_file():
            return match[0]
        return relpath(_uri(source), os.path.dirname(page.file.src_uri) or ".") + (match["anchor"] or "")

    return LINK.sub(lead, TO_NOTEBOOK.sub(lambda match: _page_of(match[0]), markdown))


def _page_of(notebook: str) -> str:
    return notebook.removesuffix(NOTEBOOK) + ".md"


def _notebook(path: Path) -> str:
    """A notebook as a page, without what its cells gave."""
    cells = json.loads(path.read_text())["cells"]
    texts = ["".join(cell["source"]) for cell in cells]
    shown = [
        text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```"
        for cell, text in zip(cells, texts, strict=True)
    ]
    return "\n\n".join([*shown, f'This page is a notebook: <a href="{path.name}">{path.name}</a>.\n'])


def _in_repository(page: str, link: str) -> str | None:
    """The path of a file in the repository; None for a link to another page."""
    path = normpath(f"docs/{os.path.dirname(page)}/{link}")
    return None if path.startswith("docs/") else path


def _uri(source: str) -> str:
    """Where a file of the repository is among the pages."""
    is_page = not source.endswith((".md", *PICTURES))
    return f"{BELOW}/{source}{'.md' if is_page else ''}"


def _file(source: str, config: MkDocsConfig) -> File:
    """As it is, or as a page that shows its text."""
    if source.endswith((".md", *PICTURES)):
        return File.generated(config, _uri(source), abs_src_path=os.path.abspath(source))
    language = LANGUAGES.get(Path(source).suffix, "text")
    text = f"---\nhide: [toc]\n---\n\n# {source}\n\n````{language}\n{Path(source).read_text()}````\n"
    return File.generated(config, _uri(source), content=text)
