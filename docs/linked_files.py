# SPDX-License-Identifier: GPL-2.0-or-later
"""Hook of mkdocs: files of the repository that pages link to become part of the site.

A page links to ``../models/arm/body.toml`` as it would anywhere in the repository. Texts become pages with their code
in colours, pictures are taken as they are. What is not there stays a link that leads nowhere, at which mkdocs fails.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from posixpath import normpath, relpath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

LINK = re.compile(r"(?<=\]\()(?P<path>\.\./[^)#\s]+)(?P<anchor>#[^)\s]*)?(?=\))")
BELOW = "repository"
PICTURES = (".png",)
LANGUAGES = {".py": "python", ".toml": "toml", ".csv": "text", ".sbatch": "bash", ".json": "json", ".sh": "bash"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add each file outside the folder of the pages that one of them links to."""
    for page in list(files.documentation_pages()):
        for match in LINK.finditer(Path(page.abs_src_path).read_text()):
            source = _in_repository(page.src_uri, match["path"])
            if source and _uri(source) not in files.src_uris and Path(source).is_file():
                files.append(_file(source, config))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links to files of the repository lead to their place in the site."""

    def lead(match: re.Match) -> str:
        source = _in_repository(page.file.src_uri, match["path"])
        if source is None or not Path(source).is_file():
            return match[0]
        return relpath(_uri(source), os.path.dirname(page.file.src_uri) or ".") + (match["anchor"] or "")

    return LINK.sub(lead, markdown)


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
