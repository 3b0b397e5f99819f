"""`gfmp vocab` and `gfmp register-vocab`: what is printed is what is stored."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, trainers

from gfmp.cli.main import gfmp
from gfmp.cli.recipe_settings import asked_recipe
from gfmp.cli.registering import register
from gfmp.errors import GfmpError
from gfmp.storage.workspace import Workspace
from gfmp.vocabulary.contract import NUM_RULES
from gfmp.vocabulary.family import Recipe
from gfmp.vocabulary.recipes import recipe_files
from gfmp.vocabulary.registry import FamilyRegistry
from gfmp.vocabulary.store import VocabularyStore


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with kmer3; tests only read it."""
    folder = tmp_path_factory.mktemp("vocabularies")
    assert register("kmer3", None, (), Workspace(folder)).created
    return folder


def _run(folder: Path, *arguments: str) -> str:
    result = CliRunner().invoke(
        gfmp, [*arguments, "--workspace", str(folder)], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return result.stdout


def _fails(folder: Path, *arguments: str) -> GfmpError:
    with pytest.raises(GfmpError) as caught:
        _run(folder, *arguments)
    return caught.value


def test_an_empty_workspace_says_what_could_be_built(tmp_path: Path) -> None:
    text = _run(tmp_path, "vocab", "list")
    assert "No vocabulary is registered yet." in text
    assert "bpe4096" in text
    assert "kmer6" in text
    assert json.loads(_run(tmp_path, "vocab", "list", "--json")) == {
        "registered": [],
        "recipes": sorted(recipe_files(FamilyRegistry.discover().recipe_folders)),
        "families": list(FamilyRegistry.discover().names()),
    }
    assert not list(tmp_path.iterdir())  # looking leaves no trace


def test_the_list_names_every_vocabulary(folder: Path) -> None:
    vocabulary = VocabularyStore(Workspace(folder).vocabularies).get("kmer3")
    lines = _run(folder, "vocab", "list").splitlines()
    assert lines[0].split() == ["NAME", "FAMILY", "ROWS", "BP/TOKEN", "SPAN", "FINGERPRINT"]
    assert lines[1].split() == ["kmer3", "kmer", "69", "1.00", "11", vocabulary.fingerprint[:12]]
    (row,) = json.loads(_run(folder, "vocab", "list", "--json"))["registered"]
    assert row["fingerprint"] == vocabulary.fingerprint
    assert (row["rows"], row["stride_bp"]) == (69, 1)


def test_show_prints_the_numbers_and_all_the_words(folder: Path) -> None:
    value = json.loads(_run(folder, "vocab", "show", "kmer3", "--json"))
    vocabulary = VocabularyStore(Workspace(folder).vocabularies).get("kmer3")
    assert value["words"] == list(vocabulary.words)
    assert value["recipe"]["settings"]["k"] == 3
    text = _run(folder, "vocab", "show", "kmer3")
    assert "windows: 70-510 bp, 50% of them 510 bp" in text
    assert "AAA, AAC, AAG, AAT" in text
    assert "(64 in all)" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 80


@settings(max_examples=25, deadline=None)
@given(st.text("ACGTacgtNn", min_size=3, max_size=40))
def test_encoding_shows_the_windows_of_the_sequence(folder: Path, sequence: str) -> None:
    rows = json.loads(_run(folder, "vocab", "encode", "kmer3", sequence, "--json"))
    assert [(row["start"], row["end"]) for row in rows] == [
        (i, i + 3) for i in range(len(sequence) - 2)
    ]
    for row in rows:
        word = sequence.upper()[row["start"] : row["end"]]
        assert row["token"] == ("[UNK]" if "N" in word else word)
    known = {row["token"]: row["id"] for row in rows}
    assert len(set(known.values())) == len(known)


def test_the_table_of_an_encoding_holds_the_same(folder: Path) -> None:
    rows = json.loads(_run(folder, "vocab", "encode", "kmer3", "ACGTN", "--json"))
    lines = _run(folder, "vocab", "encode", "kmer3", "ACGTN").splitlines()
    assert lines[0].split() == ["TOKEN", "ID", "START", "END"]
    shown = [line.split() for line in lines[1:]]
    assert shown == [[str(r[k]) for k in ("token", "id", "start", "end")] for r in rows]


@pytest.mark.parametrize("sequence", ["", "AC GT", "ACGT1", "AC-GT", "\u00c4CGT"])
def test_what_is_no_sequence_is_refused(folder: Path, sequence: str) -> None:
    fault = _fails(folder, "vocab", "encode", "kmer3", sequence)
    assert fault.exit_status == 2
    assert repr(sequence) in fault.problems[0].message


def test_a_registered_vocabulary_keeps_the_contract(folder: Path) -> None:
    lines = _run(folder, "vocab", "check", "kmer3").splitlines()
    assert sum(line.startswith("ok  ") for line in lines) >= 5
    assert all(line.startswith(("ok  ", "    ")) for line in lines)


def test_registering_twice_says_it_is_there(folder: Path) -> None:
    text = _run(folder, "register-vocab", "kmer3")
    assert text.startswith("kmer3 is already there: 69 rows, 1 bases per token, fingerprint ")


def test_a_name_of_another_recipe_is_taken(tmp_path: Path) -> None:
    families, store = FamilyRegistry.discover(), VocabularyStore(Workspace(tmp_path).vocabularies)
    recipe = Recipe("kmer2", "kmer", {"k": 2, "stride_bp": 1, "window_max_bp": 300})
    store.register(families.get("kmer").build(recipe, ()), recipe)
    fault = _fails(tmp_path, "register-vocab", "kmer2")
    assert fault.exit_status == 73
    assert "kmer2" in fault.problems[0].message
    assert store.recipe_json("kmer2")["settings"] == dict(recipe.settings)


def test_a_list_of_kmers_is_imported_in_its_order(tmp_path: Path) -> None:
    words = [a + b for a in "TGCA" for b in "TGCA"]
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", *words, "[MASK]"]) + "\n")
    text = _run(tmp_path, "register-vocab", "mine", "--from", str(tmp_path / "vocab.txt"))
    assert text.startswith("mine registered 21 rows")
    shown = json.loads(_run(tmp_path, "vocab", "show", "mine", "--json"))
    assert shown["words"] == words
    rows = json.loads(_run(tmp_path, "vocab", "encode", "mine", "TTG", "--json"))
    assert [row["id"] for row in rows] == [5, 6]
    again = _run(tmp_path, "register-vocab", "mine", "--from", str(tmp_path / "vocab.txt"))
    assert again.startswith("mine is already there:")
    (tmp_path / "vocab.txt").write_text("\n".join(sorted(words)) + "\n")
    other = _fails(tmp_path, "register-vocab", "mine", "--from", str(tmp_path / "vocab.txt"))
    assert other.exit_status == 73


def test_a_foreign_bpe_encodes_as_the_file_it_came_from(tmp_path: Path) -> None:
    foreign = Tokenizer(models.BPE(unk_token="[UNK]"))
    trainer = trainers.BpeTrainer(
        vocab_size=24, special_tokens=["[UNK]"], initial_alphabet=list("ACGT"), show_progress=False
    )
    foreign.train_from_iterator(["ACGTTGCAACGGTTACAC" * 20, "TTTACGACG" * 30], trainer=trainer)
    foreign.save(str(tmp_path / "tokenizer.json"))
    _run(tmp_path, "register-vocab", "bought", "--from", str(tmp_path / "tokenizer.json"))
    for sequence in ("ACGTTGCAACGG", "TTTACGACGTTT", "A"):
        rows = json.loads(_run(tmp_path, "vocab", "encode", "bought", sequence, "--json"))
        assert [row["token"] for row in rows] == foreign.encode(sequence).tokens
    assert "ok  " in _run(tmp_path, "vocab", "check", "bought")


@pytest.mark.parametrize(
    ("name", "text", "status", "word"),
    [
        ("vocab.txt", "AA\nAC\n", 65, "'AG' is missing"),
        ("vocab.txt", "AA\nAA\n", 65, "stands already in line 1"),
        ("tokenizer.json", "{", 65, "tokenizer.json:1:2"),
        ("words.csv", "AA,AC\n", 65, "no family reads"),
    ],
)
def test_a_broken_file_registers_nothing(
    tmp_path: Path, name: str, text: str, status: int, word: str
) -> None:
    (tmp_path / name).write_text(text)
    fault = _fails(tmp_path, "register-vocab", "mine", "--from", str(tmp_path / name))
    assert fault.exit_status == status
    assert word in str(fault)
    assert json.loads(_run(tmp_path, "vocab", "list", "--json"))["registered"] == []


def test_a_damaged_vocabulary_is_an_error_everywhere(tmp_path: Path) -> None:
    path = register("kmer2", None, (), Workspace(tmp_path)).path / "vocabulary.json"
    path.write_text(path.read_text().replace('"AC"', '"CA"'))
    for command in (
        ("vocab", "list"),
        ("vocab", "show", "kmer2"),
        ("vocab", "encode", "kmer2", "ACGT"),
        ("vocab", "check", "kmer2"),
        ("register-vocab", "kmer2"),
    ):
        fault = _fails(tmp_path, *command)
        assert (fault.code, fault.exit_status) == ("D066", 65), command
        assert fault.problems[0].where == str(path)


def test_set_changes_the_recipe_and_is_stored_with_it(tmp_path: Path) -> None:
    text = _run(tmp_path, "register-vocab", "kmer3", "--set", "mask_span_tokens=4")
    assert text.startswith("kmer3 registered 69 rows")
    shown = json.loads(_run(tmp_path, "vocab", "show", "kmer3", "--json"))
    assert shown["recipe"]["settings"]["mask_span_tokens"] == 4
    assert shown["mask_span_tokens"] == 4
    again = _run(tmp_path, "register-vocab", "kmer3", "--set", "mask_span_tokens=4")
    assert "is already there" in again


def test_a_name_with_other_settings_is_refused_with_the_difference(folder: Path) -> None:
    fault = _fails(folder, "register-vocab", "kmer3", "--set", "mask_span_tokens=4")
    assert fault.exit_status == 73
    (problem,) = fault.problems
    assert "mask_span_tokens is 11 there and 4 here" in problem.message
    assert "--set family=kmer" in problem.fix
    # Without --set the content decides, and the store names the difference.
    store = VocabularyStore(Workspace(folder).vocabularies)
    recipe = Recipe("kmer3", "kmer", {"k": 3, "stride_bp": 1, "window_max_bp": 99})
    with pytest.raises(GfmpError, match="window_max_bp is 510 there and 99 here"):
        store.register(FamilyRegistry.discover().build(recipe, ()), recipe)


def test_set_gives_a_family_to_a_new_name(tmp_path: Path) -> None:
    options = ("--set", "family=kmer", "--set", "k=2", "--set", "stride_bp=1", "--set", "seed=3")
    assert _run(tmp_path, "register-vocab", "mine", *options).startswith("mine registered 21 rows")
    asked = _run(tmp_path, "register-vocab", "other", "--set", "family=kmer", "--set", "k=2")
    assert asked.startswith("other registered 21 rows"), "the example of --help"
    recipe = json.loads(_run(tmp_path, "vocab", "show", "mine", "--json"))["recipe"]
    assert recipe == {
        "name": "mine",
        "family": "kmer",
        "settings": {"k": 2, "stride_bp": 1},
        "corpus": "",
        "sample_bp": 0,
        "seed": 3,
    }


@pytest.mark.parametrize(
    ("name", "assignment", "status", "message", "help_"),
    [
        ("kmer2", "mask_span_token=4", 78, "unknown setting", "did you mean 'mask_span_tokens'?"),
        ("bpe64", "sizes=64", 78, "unknown setting 'sizes'", "did you mean 'size'?"),
        ("bpe64", "size=3", 78, "size is 3", "change that setting"),
        ("bpe64", "window_max_bp=x", 78, "window_max_bp is 'x'", "change that setting"),
        ("kmer2", "k=true", 78, "True is not a number", "correct that field"),
        ("kmer2", "k=[1]", 78, "[1] is not a number", "correct that field"),
        ("kmer2", "sample_bp=-1", 78, "sample_bp is -1", "change it"),
        ("kmer2", "k", 78, "cannot apply --set 'k'", "for example --set k=5"),
        ("kmer2", "settings.k=3", 78, "cannot apply", "for example"),
        ("kmer2", "corpus=demo", 78, "cannot apply", "for example"),
        ("kmer2", "family=bpe", 78, "of the family 'kmer', not 'bpe'", "another name"),
        ("mine", "family=bpee", 65, "no family 'bpee'", "did you mean 'bpe'?"),
        ("mine", "k=2", 66, "nothing is known of", "--set family="),
    ],
)
def test_a_wrong_set_is_refused_before_anything_is_read(
    tmp_path: Path, name: str, assignment: str, status: int, message: str, help_: str
) -> None:
    fault = _fails(tmp_path, "register-vocab", name, "--set", assignment)
    assert fault.exit_status == status
    assert message in fault.problems[0].message
    assert help_ in fault.problems[0].fix
    assert fault.problems[0].why
    assert not list(tmp_path.iterdir())


def test_one_setting_is_given_once(tmp_path: Path) -> None:
    fault = _fails(tmp_path, "register-vocab", "kmer2", "--set", "k=2", "--set", "k=3")
    assert "each key once" in fault.problems[0].why


@pytest.mark.parametrize("option", [("--set", "k=3"), ("--corpus", "demo")])
def test_a_file_takes_no_settings(tmp_path: Path, option: tuple[str, str]) -> None:
    (tmp_path / "vocab.txt").write_text("A\n")
    source = ("--from", str(tmp_path / "vocab.txt"))
    fault = _fails(tmp_path, "register-vocab", "mine", *source, *option)
    assert fault.exit_status == 2


def test_another_corpus_is_refused_before_it_is_built(tmp_path: Path) -> None:
    families, store = FamilyRegistry.discover(), VocabularyStore(Workspace(tmp_path).vocabularies)
    recipe = asked_recipe("bpe10", (), families)
    vocabulary = families.build(recipe, (b"ACGTTGCA" * 400,))
    store.register(vocabulary, replace(recipe, corpus="yeast"))
    fault = _fails(tmp_path, "register-vocab", "bpe10", "--corpus", "demo")
    assert fault.exit_status == 73
    assert "corpus is 'yeast' there and 'demo' here" in fault.problems[0].message


def test_a_check_prints_every_rule_in_eighty_columns(folder: Path) -> None:
    lines = _run(folder, "vocab", "check", "kmer3").splitlines()
    rules = [line for line in lines if not line.startswith(" ")]
    assert len(rules) == NUM_RULES
    assert all(line.startswith(("ok    ", "note  ")) for line in rules)
    assert max(map(len, lines)) <= 80
