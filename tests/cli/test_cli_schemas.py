"""`gfmp schema`, `gfmp explain`, `gfmp completion` and the page made of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from gfmp.cli.main import gfmp
from gfmp.cli.render.reference import reference_lines
from gfmp.errors import UsageError
from gfmp.spec.fields import all_blocks
from gfmp.spec.kinds import KINDS

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "platform" / "docs" / "reference.md"


def _run(*arguments: str) -> str:
    done = CliRunner().invoke(gfmp, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def _narrow(text: str) -> bool:
    return all(len(line) <= 80 for line in text.splitlines())


def test_the_page_of_all_keys_is_that_of_the_specs() -> None:
    made = "\n".join(reference_lines(all_blocks())) + "\n"
    assert PAGE.read_text(encoding="utf-8") == made, (
        "write it again: gfmp explain --all --markdown > platform/docs/reference.md"
    )


def test_the_page_has_every_kind_and_every_key() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert all(f"\n## {kind}\n" in text for kind in KINDS)
    keys = {field.key for block in all_blocks() for field in block.fields}
    assert all(f"\n| `{key}` |" in text for key in keys)


def test_kinds_are_listed_and_one_is_printed() -> None:
    text = _run("schema")
    assert _narrow(text) and all(kind in text for kind in KINDS)
    listed = json.loads(_run("schema", "--json"))
    assert [set(row) for row in listed] == [{"kind", "place", "command", "meaning"}] * len(KINDS)
    assert json.loads(_run("schema", "pretrain"))["title"] == "gfmp pretrain"


def test_all_schemas_can_be_written(tmp_path: Path) -> None:
    text = _run("schema", "--write", str(tmp_path / "schemas"))
    written = {path.name for path in (tmp_path / "schemas").iterdir()}
    assert written == {f"{kind}.schema.json" for kind in KINDS}
    assert "yaml-language-server" in text


@pytest.mark.parametrize(
    "arguments",
    [
        ("schema", "pretrain", "--write", "x"),
        ("explain",),
        ("explain", "seed", "--all"),
        ("explain", "seed", "--markdown"),
        ("explain", "optimiser.betas", "--job", str(ROOT / "jobs" / "finetune.yaml")),
    ],
)
def test_what_does_not_go_together_is_told(arguments: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        CliRunner().invoke(gfmp, arguments, catch_exceptions=False)


@pytest.mark.parametrize("text", ["pretrain.optimiser.lr", "pretrain", "task.source", "seed"])
def test_what_is_explained_fits_the_page(text: str) -> None:
    assert _narrow(_run("explain", text))


def test_a_field_is_told_in_full() -> None:
    text = _run("explain", "sampling.global_batch_sequences")
    assert "meaning:    Sequences per optimiser step over all workers." in text
    assert "type:       an integer, 1 or more" in text
    assert "default:    nothing" in text
    assert "refuses:    give exactly one of global_batch_sequences and" in text
    assert "accumulation" in text and "gfmp.spec.pretrain.Sampling" in text


def test_a_field_is_told_as_it_is_in_a_job(tmp_path: Path) -> None:
    job = str(ROOT / "jobs" / "pretrain.yaml")
    place = ("--workspace", str(tmp_path))
    (told,) = json.loads(_run("explain", "optimiser.lr", "--job", job, "--json", *place))
    assert told["value"] == "0.0015" and told["required"] is True
    assert told["plan"][0]["name"] == "learning_rate"
    assert "over 30 steps" in told["plan"][0]["reason"]


def test_all_fields_are_a_list_with_stable_columns() -> None:
    rows = json.loads(_run("explain", "--all", "--json"))
    assert len(rows) > 500
    columns = ["path", "meaning", "type", "default", "required", "rules", "variant", "read_by"]
    assert all(sorted(row) == sorted(columns) for row in rows)
    assert _narrow(_run("explain", "--all"))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_its_script(shell: str) -> None:
    text = _run("completion", shell)
    assert "_GFMP_COMPLETE" in text and "gfmp" in text


def _offered(words: str, folder: Path) -> list[str]:
    """Return what the program offers a bash that has `words` on its line, the last one begun."""
    asked = {"_GFMP_COMPLETE": "bash_complete", "COMP_WORDS": words}
    done = subprocess.run(
        [sys.executable, "-c", "from gfmp.cli.main import main; main()"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={"PATH": "", "PYTHONPATH": ":".join(sys.path), **asked,
             "COMP_CWORD": str(len(words.split(" ")) - 1)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_the_shell_is_offered_what_there_is(tmp_path: Path) -> None:
    workspace = tmp_path / "lab"
    for run in ("demo-20260101-aaaa", "demo-20260102-bbbb", ".tmp-x"):
        (workspace / "runs" / run).mkdir(parents=True)
    (workspace / "vocabularies" / "names").mkdir(parents=True)
    (workspace / "vocabularies" / "names" / "mine.json").write_text("{}")
    place = f"--workspace {workspace}"
    runs = _offered(f"gfmp runs show {place} demo", ROOT)
    assert sorted(runs) == ["demo-20260101-aaaa", "demo-20260102-bbbb"]
    assert _offered(f"gfmp submit {place} --resume demo-20260102", ROOT) == ["demo-20260102-bbbb"]
    assert _offered(f"gfmp vocab show {place} m", ROOT) == ["mine"]
    assert _offered("gfmp tasks check yeast", ROOT) == ["yeast_coding_vs_intergenic"]
    assert "bpe4096" in _offered("gfmp register-vocab bpe", ROOT)
    assert _offered("gfmp schema pre", ROOT) == ["pretrain"]
    assert _offered("gfmp explain pretrain.optimiser.w", ROOT) == [
        "pretrain.optimiser.warmup_steps",
        "pretrain.optimiser.weight_decay",
    ]
    assert _offered("gfmp compl", ROOT) == ["completion"]


def _commands(group: click.Group) -> list[click.Command]:
    found: list[click.Command] = []
    for command in group.commands.values():
        found += _commands(command) if isinstance(command, click.Group) else [command]
    return found


def test_whatever_takes_a_run_offers_runs() -> None:
    from gfmp.cli.completing import complete_runs

    for command in _commands(gfmp):
        for parameter in command.params:
            if parameter.metavar in ("RUN", "PRETRAINED") or parameter.name == "run":
                assert parameter._custom_shell_complete is complete_runs, command.name
