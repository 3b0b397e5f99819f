"""`gfmp verify`: the paper's numbers with their trust, and ours beside them or nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from gfmp.cli.main import gfmp
from gfmp.errors import MissingInputError, UsageError


def _out(*arguments: str) -> str:
    result = CliRunner().invoke(gfmp, ["verify", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_alone_it_lists_what_there_is() -> None:
    listed = json.loads(_out("--json"))
    assert [one["table"] for one in listed] == [f"table-S{n}" for n in range(1, 22)] + ["text"]
    assert sum(one["numbers"] for one in listed) > 1200
    text = _out()
    for one in listed:
        assert one["title"] in " ".join(text.split())
        assert sum(one["trust"].values()) == one["numbers"]
    assert "Nothing is laid beside that was not run." in " ".join(text.split())


@pytest.mark.parametrize("name", [f"table-S{n}" for n in range(1, 22)])
def test_a_table_is_shown_as_printed_with_every_reason(name: str) -> None:
    text, value = " ".join(_out(name).split()), json.loads(_out(name, "--json"))
    for cell in value["cells"]:
        assert cell["printed"][:6] in text
        if cell["trust"] in ("doubtful", "wrong"):
            assert f"{cell['trust']}: {cell['why']}" in text
    assert all(note in text for note in value["notes"])


def test_the_text_is_shown_number_by_number() -> None:
    text = " ".join(_out("text").split())
    assert "average-genomics-fm 79.49 ?" in text
    assert "tissue-cnn 0.411 !" in text
    assert "h3k4me3-genomics-fm 0.960 =" in text
    assert "S18 gives 0.401" in text


def test_numbers_are_laid_beside_with_their_difference(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("name,value,low,high\nF9,0.500,0.4,0.6\nLDLR,0.1,,\n", encoding="utf-8")
    text = _out("table-S5", "--numbers", str(path))
    assert "4 of 80 printed numbers have one of ours beside them; nothing was run for" in text
    assert "F9 Genomics-FM 919" in text and "+0.0420" in text and "[0.4000, 0.6000]" in text
    assert "[1] nothing says that F9 is the paper's data" in text
    value = json.loads(_out("table-S5", "--numbers", str(path), "--json"))
    assert value["not_run"] == 76
    assert value["laid"][0]["difference"] == pytest.approx(0.5 - 0.458)
    assert value["laid"][-1]["ours"]["low"] is None


def test_a_pair_names_what_stands_for_what(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("name,value,quantity\nfly,0.9,cross\n", encoding="utf-8")
    value = json.loads(_out("table-S9", "--numbers", str(path), "--pair", "mouse=fly", "--json"))
    (laid,) = value["laid"]
    assert laid["axes"]["species"] == "mouse"
    assert json.loads(_out("table-S9", "--numbers", str(path), "--json"))["laid"] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--run", "x"), "need a table"),
        (("table-S6", "--run", "x"), "nothing can be laid beside S6"),
        (("table-S9", "--numbers", "{}", "--pair", "moose=fly"), "names nothing of the table"),
        (("table-S9", "--numbers", "{}", "--pair", "mouse"), "names nothing of the table"),
    ],
)
def test_a_mistake_is_told(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("name,value\nfly,0.9\n", encoding="utf-8")
    given = [argument.replace("{}", str(path)) for argument in arguments]
    with pytest.raises(UsageError, match=words):
        _out(*given)


def test_what_does_not_exist_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="the paper has no 'table-S99'"):
        _out("table-S99")
    with pytest.raises(MissingInputError, match="there is no run 'nothing'"):
        _out("table-S9", "--run", "nothing", "--workspace", str(tmp_path))
