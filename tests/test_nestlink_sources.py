# SPDX-License-Identifier: GPL-2.0-or-later
"""nestlink's C++: no exception leaves it, names mean one thing, and what it depends on in NEST is listed."""

import os
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from conftest import PROGRAMS, REPOSITORY

import cosim
from cosim.engines.nest import nestlink
from cosim.engines.nest.nestlink import FOLDER, HEADERS, NEST_VERSION, SOURCES, Nestlink, build, originals

CODE = {file: re.sub(r"//.*", "", file.read_text()) for file in (*SOURCES, *HEADERS)}
FUNCTION = re.compile(r"^(nestlink_\w+)\(.*?\n\{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
CONNECT = {f"nestlink_connect_{rule}" for rule in ("bernoulli", "indegree", "pairs")}
# They hand out or write through pointers, empty vectors and call destructors: nothing in them can throw.
CANNOT_THROW = {
    *("nestlink_error", "nestlink_journal_read", "nestlink_journal_forget"),
    *("nestlink_close_sinks", "nestlink_close_stepper", "nestlink_close_taps"),
    *("nestlink_taken_weights", "nestlink_forget_weights"),
}
SOURCES_VARIABLE = "COSIM_NEST_SOURCES"


def test_whatever_is_thrown_becomes_a_code_and_a_message(tmp_path):
    program = tmp_path / "guard"
    compiler = [build.compiler(nestlink.find_nest()), "-std=c++20", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([*compiler, f"-I{FOLDER / 'include'}", PROGRAMS / "guard.cpp", "-o", program], check=True)
    done = subprocess.run([program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    expected = ["0", "1 no such node", "1 std::bad_alloc", "1 an exception that is no std::exception", "1 4095"]
    assert done.stdout.splitlines() == expected


def test_every_function_that_python_calls_is_guarded():
    functions = dict(found for text in CODE.values() for found in FUNCTION.findall(text))
    assert set(functions) == {*Nestlink.signatures, *CONNECT, "nestlink_error"}
    unguarded = {name for name, body in functions.items() if "guarded(" not in body}
    assert unguarded == CANNOT_THROW


def test_a_name_means_one_type_in_all_units():
    """Two types of one name in units of one library are undefined behaviour, which no compiler reports."""
    kinds = r"^(?:struct|class|enum class)(?: alignas\( \d+ \))? (\w+)(?: : |\n)|^COSIM_REACH\( (\w+),"
    found = [first or second for text in CODE.values() for first, second in re.findall(kinds, text, re.MULTILINE)]
    assert {"Sources", "Stepper", "Spikes", "Clock", "TableOfSources"} <= set(found)
    assert [name for name, count in Counter(found).items() if count > 1] == []


def reached() -> dict[str, set[str]]:
    """Private members by class, as the sources reach them."""
    text = "\n".join(each for file, each in CODE.items() if file.name != "reach.h")
    through_macro = re.findall(r"COSIM_REACH\(\s*\w+,\s*([\w:]+)(?:< \w+ >)?,[^)]*?,\s*(\w+)\s*\)", text)
    assert len(through_macro) == text.count("COSIM_REACH(")
    by_hand = re.findall(r"Grant< \w+, &([\w:]+)::(\w+) >", text)
    assert len(by_hand) == text.count("Grant<")
    members: dict[str, set[str]] = {}
    for owner, member in through_macro + by_hand:
        full_name = {"Simulation": "nest::SimulationManager"}.get(owner, owner)
        members.setdefault(full_name, set()).add(member)
    return members


def test_every_private_member_that_is_reached_is_listed():
    listed = {owner: set(members) for owner, members in originals.listed()["members"].items()}
    assert listed == reached()


def test_the_list_is_of_the_nest_that_is_asked_for_everywhere():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert f"nest-simulator=={NEST_VERSION}" in project["dependencies"]
    assert originals.listed()["nest"] == NEST_VERSION == nestlink.find_nest().version


def test_the_list_names_each_function_once_and_files_that_are_there():
    functions = originals.listed()["function"]
    assert len(functions) > 20
    assert len({each.name for each in functions}) == len({each.sha256 for each in functions}) == len(functions)
    places = {each.followed_in for each in functions}
    assert [place for place in places if not (Path(cosim.__file__).parent / place).exists()] == []


def test_functions_of_nest_that_comments_name_are_listed():
    listed = {each.name for each in originals.listed()["function"]}
    for file in (*SOURCES, *HEADERS):
        for name in re.findall(r"//.*?\b(\w+(?:Manager|Backend)::\w+)", file.read_text()):
            assert name in listed, f"{file.name}: {name}"


TEXT = """
void
nest::Clock::tick( long steps )
{
  if ( steps )
  {
    time_ += steps;
  }
}

void
nest::Clock::tick()
{
  tick( 1 );
}

void
nest::Clock::ticked()
{
}
"""


class TestComparison:
    """With a small NEST of its own."""

    @pytest.fixture
    def differences(self, monkeypatch, tmp_path):
        """What differs when the text has changed since the list was made."""
        (tmp_path / "clock.cpp").write_text(TEXT)
        digest = originals.hash_of("Clock::tick", tmp_path / "clock.cpp")
        known = originals.Original("Clock::tick", "clock.cpp", "here.cpp", digest)
        monkeypatch.setattr(originals, "listed", lambda: {"function": [known]})

        def find(text: str) -> list[str]:
            (tmp_path / "clock.cpp").write_text(text)
            return list(originals.differences(tmp_path))

        return find

    def test_the_same_text_is_the_same(self, differences):
        assert differences(TEXT) == []

    def test_other_functions_may_change(self, differences):
        assert differences(TEXT.replace("ticked()\n{", "ticked()\n{\n  steps;")) == []

    @pytest.mark.parametrize(("old", "new"), [("+=", "-="), ("tick( 1 )", "tick( 2 )"), ("long steps", "int steps")])
    def test_a_change_in_any_definition_is_named(self, differences, old, new):
        (said,) = differences(TEXT.replace(old, new))
        assert re.fullmatch(
            r"Clock::tick in clock.cpp, followed in here.cpp, has another text: sha256 = [0-9a-f]{64}", said
        )

    def test_a_function_that_is_gone_is_named(self, differences):
        (said,) = differences(TEXT.replace("tick(", "tock("))
        assert said == "Clock::tick, followed in here.cpp: no definition of Clock::tick"

    def test_the_command_says_so(self, differences, monkeypatch, capsys, tmp_path):
        monkeypatch.setattr(sys, "argv", ["originals", str(tmp_path)])
        differences(TEXT)
        assert (originals.main(), capsys.readouterr().out) == (0, "all 1 functions are as cosim knows them\n")
        (changed,) = differences(TEXT.replace("+=", "-="))
        assert (originals.main(), capsys.readouterr().out) == (1, f"{changed}\n")

    def test_a_file_that_is_gone_is_named(self, tmp_path):
        (first, *_) = originals.differences(tmp_path)
        assert "No such file" in first


@pytest.mark.skipif(
    SOURCES_VARIABLE not in os.environ,
    reason=f"{SOURCES_VARIABLE} names no NEST sources: make originals",
)
def test_functions_that_are_followed_are_those_of_nests_sources():
    assert list(originals.differences(Path(os.environ[SOURCES_VARIABLE]))) == []
