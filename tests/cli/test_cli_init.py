"""`gfmp init`: a folder that fits a person's files, and words where the files do not fit."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest
from click.testing import CliRunner

from gfmp.cli.lab.labels import Labels, look_at, target_of
from gfmp.cli.lab.sequences import hold_out
from gfmp.cli.lab.sequences import look_at as look_at_genome
from gfmp.cli.main import gfmp
from gfmp.errors import DataError, ExistsError, GfmpError, MissingInputError, UsageError
from gfmp.spec.corpus import CorpusSpec, ingest_settings
from gfmp.spec.kinds import KINDS
from gfmp.spec.load import load_spec
from gfmp.spec.schema import HEADER
from gfmp.storage.documents import load_document
from gfmp.storage.workspace import Workspace
from gfmp.tasks.catalogue import find_task
from gfmp.tasks.store import TaskStore
from gfmp.vocabulary.recipes import load_recipe
from gfmp.vocabulary.registry import FamilyRegistry

SIZES = {"chr1": 40_000, "chr2": 30_000, "chr3": 24_000, "tiny": 300}


def _letters(length: int, seed: int) -> str:
    return "".join(random.Random(seed).choices("ACGT", k=length))


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mine") / "My Genome.fa.gz"
    records = (f">{name} words\n{_letters(n, n)}\n" for name, n in SIZES.items())
    path.write_bytes(gzip.compress("".join(records).encode()))
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("labelled") / "peaks.csv"
    rows = (f"g{i // 2},{_letters(60, i)},{('closed', 'open')[i % 3 > 0]}" for i in range(90))
    path.write_text("gene,dna,state\n" + "\n".join(rows) + "\n")
    return path


def _init(*words: str | Path) -> str:
    done = CliRunner().invoke(gfmp, ["init", *map(str, words)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert all(len(line) <= 80 for line in done.output.splitlines() if "/" not in line)
    return done.output


@pytest.mark.parametrize("given", [True, False])
def test_every_page_is_read_and_names_its_schema(
    given: bool, genome: Path, table: Path, tmp_path: Path
) -> None:
    files = ("--fasta", genome, "--labels", table) if given else ()
    _init(tmp_path / "my-lab", *files)
    pages = sorted((tmp_path / "my-lab").rglob("*.yaml"))
    assert len(pages) == 7
    for path in pages:
        first = path.read_text().splitlines()[0]
        assert first.startswith(HEADER)
        schema = (path.parent / first.removeprefix(HEADER)).resolve()
        assert schema.is_file()
        kind = schema.name.removesuffix(".schema.json")
        if kind == "recipe":
            FamilyRegistry.discover().size_bounds(load_recipe(path))
        else:
            load_spec(path, {kind: KINDS[kind].model})
        comments = [line for line in path.read_text().splitlines() if "#" in line]
        assert len(comments) >= 3, "the pages explain themselves"


def test_what_was_found_is_filled_in(genome: Path, table: Path, tmp_path: Path) -> None:
    lab = tmp_path / "my-lab"
    text = _init(lab, "--fasta", genome, "--labels", table, "--species", "Bug bug")
    assert "94,300 bases in 4 records" in text
    assert "held out: chr3, from" not in text and "held out: chr1, from base 36,000 on" in text
    assert "'state', binary, classes closed, open" in text
    corpus, document = load_spec(lab / "specs" / "corpora" / "my-genome.yaml",
                                 {"corpus": CorpusSpec})  # fmt: skip
    assert ingest_settings(corpus, document).sources[0].species == "Bug bug"
    assert corpus.sources[0].valid[0].start == 36_000
    recipe = load_recipe(lab / "specs" / "vocabularies" / "my-bpe.yaml")
    assert recipe.corpus == "my-genome" and recipe.sample_bp == 94_300 - 4_000
    target = find_task("peaks", lab)
    task = TaskStore(Workspace.at(str(tmp_path / "workspace"))).prepare(target)
    assert task.target.names == ("closed", "open")
    groups = [set(task.rows(split).groups) for split in ("train", "valid", "test")]
    assert not (groups[0] & groups[1] or groups[0] & groups[2] or groups[1] & groups[2])


def test_the_jobs_can_be_planned_from_the_folder(
    genome: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _init(tmp_path / "my-lab", "--fasta", genome, "--labels", table)
    monkeypatch.chdir(tmp_path / "my-lab")
    place = ("--workspace", str(tmp_path / "empty"))
    for job in ("jobs/pretrain.yaml", "jobs/finetune.yaml", "specs/sweep.yaml"):
        done = CliRunner().invoke(gfmp, ["plan", job, *place], catch_exceptions=False)
        assert done.exit_code == 0, done.output
    done = CliRunner().invoke(gfmp, ["plan", "jobs/pretrain.yaml", *place])
    assert "vocabulary my-bpe - family bpe, recipe my-bpe, 90,300 bp" in done.output
    listed = CliRunner().invoke(gfmp, ["vocab", "list", *place])
    assert "my-bpe" in listed.output, "recipes of the project are recipes too"


def test_nothing_that_is_there_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "pretrain.yaml").write_text("mine")
    with pytest.raises(ExistsError, match=r"pretrain\.yaml is there"):
        _init(tmp_path)
    assert (tmp_path / "jobs" / "pretrain.yaml").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["jobs"], "nothing was written"


def test_a_folder_with_data_in_it_can_become_one(genome: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    _init(tmp_path, "--fasta", genome)
    assert (tmp_path / "README.md").is_file()


@pytest.mark.parametrize(
    ("contigs", "expected"),
    [
        ([("a", 1_000_000)], ("a", 900_000, 100_000)),
        ([("a", 900_000), ("b", 90_000), ("c", 40_000)], ("b", 0, 90_000)),
        ([("a", 500_000), ("b", 500_000)], ("a", 450_000, 50_000)),
        ([("a", 90_000), ("b", 9_000)], ("a", 81_000, 9_000)),
    ],
)
def test_what_is_held_out(contigs: list[tuple[str, int]], expected: tuple[str, int, int]) -> None:
    found = hold_out(contigs)
    assert (found.contig, found.start, found.bases) == expected
    assert found.bases < sum(length for _, length in contigs) / 4


def _table(folder: Path, text: str, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def _look(folder: Path, text: str, sequence: str = "", label: str = "") -> Labels:
    return look_at(_table(folder, text), sequence, label)


@pytest.mark.parametrize(
    ("cells", "kind", "classes"),
    [
        (["0", "1", "0"], "binary", ("0", "1")),
        (["2", "0", "1"], "multiclass", ("0", "1", "2")),
        (["-1", "1"], "binary", ("-1", "1")),
        (["open", "closed", ""], "binary", ("closed", "open")),
        (["0.5", "1.25", "3"], "regression", ()),
        (["3", "7", "12"], "regression", ()),
    ],
)
def test_what_is_to_be_predicted(cells: list[str], kind: str, classes: tuple[str, ...]) -> None:
    assert target_of(cells, "y", Path("t.csv")) == (kind, classes)


def test_the_column_with_the_fewest_values_is_suggested(tmp_path: Path) -> None:
    rows = "".join(f"r{i},{_letters(30, i)},{i % 2}\n" for i in range(9))
    with pytest.raises(UsageError) as caught:
        _look(tmp_path, "region,dna,state\n" + rows)
    assert caught.value.problems[0].fix == "say it: --label-column state"


def test_usual_columns_are_found(tmp_path: Path) -> None:
    rows = "".join(f"{_letters(30, i)},{i % 2},{('train', 'dev', 'test')[i % 3]},x{i}\n"
                   for i in range(12))  # fmt: skip
    found = _look(tmp_path, "seq,label,split,note\n" + rows)
    assert (found.sequence, found.label, found.split, found.group) == ("seq", "label", "split", "")
    tabs = _table(tmp_path, (tmp_path / "t.csv").read_text().replace(",", "\t"), "t.tsv")
    assert look_at(tabs, "", "").format == "tsv"


DNA = "ACGTACGTACGT"


@pytest.mark.parametrize(
    ("text", "named", "error", "words"),
    [
        ("dna,y\nACGTACGTACGT,1\n", ("seq", ""), UsageError, "the columns are dna, y"),
        ("dna,state\nACGTACGTACGT,1\n", ("", "stat"), UsageError, "did you mean 'state'?"),
        ("dna,a,b\nACGTACGTACGT,1,2\n", ("", ""), UsageError, "--label-column a"),
        ("name,y\nfirst,1\n", ("", ""), DataError, "no column holds DNA"),
        ("name,y\nMKVLAAGIVGLC,1\n", ("name", ""), DataError, "a sequence is ten letters"),
        ("dna,y\nACGTACGTACGT,a\n", ("", ""), DataError, "has 1 classes: a"),
        ("dna,y\n", ("", ""), DataError, "no rows"),
        ("", ("", ""), DataError, "empty"),
    ],
)
def test_wrong_columns_are_told(
    text: str, named: tuple[str, str], error: type[GfmpError], words: str, tmp_path: Path
) -> None:
    with pytest.raises(error) as caught:
        _look(tmp_path, text, *named)
    problem = caught.value.problems[0]
    assert words in " ".join((problem.message, problem.why, problem.fix))
    assert problem.fix and problem.where


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (">p\n" + "MKVLAAGIVGLCEFP" * 2000, "'L' is no nucleotide"),
        (">a\nACGT\n", "4 bases are too few"),
        ("not a fasta\n", "FASTA"),
    ],
)
def test_a_wrong_genome_is_told(text: str, words: str, tmp_path: Path) -> None:
    path = _table(tmp_path, text, "g.fa")
    with pytest.raises(DataError) as caught:
        look_at_genome((path,))
    problem = caught.value.problems[0]
    assert words in problem.message + problem.why and "g.fa" in problem.where


def test_a_missing_file_is_told_with_what_is_near(tmp_path: Path) -> None:
    _table(tmp_path, ">a\nACGT\n", "genome.fa")
    with pytest.raises(MissingInputError) as caught:
        look_at_genome((tmp_path / "genom.fa",))
    assert "did you mean 'genome.fa'?" in caught.value.problems[0].fix


def test_columns_need_a_table(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        _init(tmp_path / "x", "--label-column", "y")


def test_rna_and_missing_labels_are_settled(tmp_path: Path) -> None:
    rna = _table(tmp_path, ">a\n" + "ACGU" * 6000 + "\n", "r.fa")
    rows = "".join(f"{_letters(30, i)},{'' if i == 3 else i * 0.5}\n" for i in range(12))
    table = _table(tmp_path, "seq,load\n" + rows)
    text = _init(tmp_path / "lab", "--fasta", rna, "--labels", table)
    assert "without a label, left out: 1 rows" in text
    assert load_document(tmp_path / "lab/specs/corpora/r.yaml").value["alphabet"] == {
        "soft_mask": "upper", "iupac": "n", "uracil": "t",
    }  # fmt: skip
    task = TaskStore(Workspace.at(str(tmp_path / "w"))).prepare(find_task("t", tmp_path / "lab"))
    assert task.target.kind == "regression"
    assert sum(len(task.rows(split)) for split in ("train", "valid", "test")) == 11
