"""The job around the scoring: a run in the ledger and in MLflow, stopped, resumed, reported."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from inference_samples import EMBEDDINGS, LIKELIHOODS, PROFILE, World

from gfmp.cli.main import gfmp
from gfmp.cluster.variant_effect import EffectJob, resume, start
from gfmp.errors import DataError, ExistsError, GfmpError, InterruptedRunError, MissingInputError
from gfmp.inference.names import look_up
from gfmp.ledger.events import Event
from gfmp.ledger.run import Run
from gfmp.ledger.status import Status
from gfmp.ledger.store import RunStore
from gfmp.plan.variant_effect import resolve_effects
from gfmp.spec.load import validate
from gfmp.spec.variant_effect import VariantEffectSpec

MORE = {
    "scorers": [LIKELIHOODS[0], EMBEDDINGS[0], PROFILE],
    "measured": {"field": "EF"},
    "head": {"scorer": "profile", "folds": 2, "penalties": [1.0, 10.0]},
    "compute": {"shard_records": 10, "threads": 1, "device": "cpu"},
}


class Lines:
    """A console that remembers, and asks the run to stop after so many batches."""

    def __init__(self, stopped: World | None = None) -> None:
        self.said: list[str] = []
        self.events: list[Event] = []
        self.rates: list[float] = []
        self.stopped = stopped

    def say(self, line: str) -> None:
        """Remember."""
        self.said.append(line)

    def event(self, event: Event) -> None:
        """Remember."""
        self.events.append(event)

    def scored(self, records: int, total: int, rate: float) -> None:
        """Remember; ask to stop when a test wants that."""
        self.rates.append(rate)
        if self.stopped is not None and len(self.rates) == 2:
            runs_of(self.stopped)[0].request_stop()


def vcf(world: World) -> str:
    rows = [world.row("chr1", 100 + 5 * n, info=f"EF={(n % 7) / 7 - 0.4:.2f}") for n in range(40)]
    return "".join(rows) + world.row("chr2", 50, "<DEL>")


def job(world: World, text: str = "", **settings: object) -> EffectJob:
    skip = {"path": "v.vcf", "unusable": "skip"}
    document = world.document(text or vcf(world), **{**MORE, "variants": skip, **settings})
    spec = validate(document, VariantEffectSpec)
    plan = resolve_effects(spec, look_up(spec, document, world.workspace), document.where)
    return EffectJob(plan, spec.seed, document, world.workspace, ("gfmp", "submit", "job.yaml"))


def runs_of(world: World) -> list[Run]:
    return [r for r in RunStore(world.workspace).list() if r.header.kind == "variant_effect"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Run, Lines]]:
    world = World.made(tmp_path_factory.mktemp("job"))
    with pytest.raises(InterruptedRunError):
        start(job(world), Lines(world))
    (run,) = runs_of(world)
    assert run.status() is Status.INTERRUPTED
    assert run.committed_step() == 1, "the shard before the stop is committed"
    again = Lines()
    yield world, resume(run, world.workspace, again), again


def test_a_stopped_run_is_resumed_to_its_end(finished: tuple[World, Run, Lines]) -> None:
    world, run, again = finished
    assert run.status() is Status.FINISHED
    assert run.committed_step() == 5
    assert sorted(p.name for p in (run.path / "shards").iterdir()) == [
        f"{n:06d}.parquet" for n in range(5)
    ]
    surveyed = run.events("surveyed")[-1].fields
    assert (surveyed["records"], surveyed["skipped/symbolic"]) == (41, 1)
    report = run.report()
    assert report is not None
    assert report["scored"] == 30 and float(str(report["alternates_per_second"])) > 0
    assert {k for k in report if k.startswith("agreement/head/")} == {
        *("agreement/head/chr1", "agreement/head/mean"),
    }
    assert any(line.startswith("report: ") for line in again.said)
    with pytest.raises(ExistsError, match="is finished"):
        resume(run, world.workspace, Lines())


def test_the_kept_job_can_be_submitted_from_the_run(finished: tuple[World, Run, Lines]) -> None:
    world, run, _ = finished
    kept = json.loads(run.spec_path.read_text()) if run.spec_path.read_text()[:1] == "{" else None
    runner = CliRunner()
    result = runner.invoke(
        gfmp,
        ["plan", str(run.spec_path), "--json", "--workspace", str(world.workspace.root)],
        catch_exceptions=False,
    )
    planned = json.loads(result.output)
    assert planned["what_fingerprint"] == run.header.what_fingerprint
    assert planned["where"]["variants_path"] == str(world.folder / "v.vcf")
    assert kept is None or kept["reference"] == str(world.folder / "ref.fa")
    assert run.repeat_command == f"gfmp submit {run.spec_path}"


def test_the_page_has_every_score_and_the_files_their_numbers(
    finished: tuple[World, Run, Lines],
) -> None:
    world, run, _ = finished
    folder = run.path / "report"
    page = (folder / "report.html").read_text()
    for word in ("llr_kmer3", "profile_dot", "head", "Skipped: symbolic", "chr1", "<img"):
        assert word in page, word
    with (folder / "agreements.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert {r["column"] for r in rows} == set(_columns(run))
    result = CliRunner().invoke(
        gfmp, ["report", run.id, "--workspace", str(world.workspace.root)], catch_exceptions=False
    )
    assert result.output.splitlines()[0] == str(folder / "report.html")
    assert (folder / "report.html").read_text() == page


def _columns(run: Run) -> list[str]:
    what = run.plan_json()["what"]
    assert isinstance(what, dict)
    return [c for one in what["scorers"] for c in one["columns"]] + ["head"]


def test_mlflow_has_the_run(finished: tuple[World, Run, Lines]) -> None:
    from gfmp.mlflow_store.sweeps import mirror_of

    world, run, _ = finished
    synced = mirror_of(run, world.workspace).sync()
    assert synced.status == "FINISHED"
    assert synced.num_points == 0, "the driver sent them all"


def test_runs_are_listed_and_shown(finished: tuple[World, Run, Lines]) -> None:
    world, run, _ = finished
    for command, words in (
        (["runs", "list"], ("5 shards", "finished")),
        (["runs", "show", run.id], ("variant_effect", run.repeat_command)),
    ):
        arguments = [*command, "--workspace", str(world.workspace.root)]
        output = CliRunner().invoke(gfmp, arguments, catch_exceptions=False).output
        assert all(word in output for word in words), output


def test_the_plan_is_shown_and_a_resume_takes_no_changes(
    finished: tuple[World, Run, Lines],
) -> None:
    world, run, _ = finished
    root = str(world.workspace.root)
    arguments = ["plan", str(run.spec_path), "--workspace", root]
    text = " ".join(CliRunner().invoke(gfmp, arguments, catch_exceptions=False).output.split())
    assert "texts_per_allele: 4" in text and "unusable alternates: skip" in text
    changed = ["submit", "--resume", run.id, "--set", "window_bp=9", "--workspace", root]
    with pytest.raises(GfmpError, match="cannot be applied"):
        CliRunner().invoke(gfmp, changed, catch_exceptions=False)


def test_what_is_missing_ends_a_job_before_a_run_is_made(world: World) -> None:
    document = world.document("", variants="gone.vcf")
    (world.folder / "job.yaml").write_text(json.dumps(document.value))
    root = str(world.workspace.root)
    arguments = [str(world.folder / "job.yaml"), "--workspace", root]
    result = CliRunner().invoke(gfmp, ["plan", *arguments], catch_exceptions=False)
    assert result.exit_code == 0 and "missing: variants: there is no file" in result.output
    with pytest.raises(MissingInputError, match="variants: there is no file"):
        CliRunner().invoke(gfmp, ["submit", *arguments], catch_exceptions=False)
    assert runs_of(world) == []


def test_a_file_that_does_not_fit_fails_the_run_before_models_are_loaded(world: World) -> None:
    wrong = world.row("chr1", 100).replace("\t100\t", "\t101\t")
    if world.contigs["chr1"][99] == world.contigs["chr1"][100]:
        wrong = world.row("chr1", 100).replace("\t100\t", "\t103\t")
    lines = Lines()
    with pytest.raises(DataError, match="field REF"):
        start(job(world, wrong, variants="v.vcf", measured=None, head=None), lines)
    (run,) = runs_of(world)
    assert run.status() is Status.FAILED
    assert lines.rates == []


def test_planning_imports_nothing_heavy() -> None:
    code = (
        "import sys, gfmp.cli.variants, gfmp.inference.names, gfmp.plan.variant_effect\n"
        "print({'torch', 'ray', 'mlflow', 'scipy', 'sklearn'} & set(sys.modules))"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert output.stdout.strip() == "set()"


def test_scoring_runs_without_ray(world: World, tmp_path: Path) -> None:
    plan = world.plan(world.row("chr1", 100))
    code = (
        "import sys\n"
        "sys.modules['ray'] = None\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from pathlib import Path\n"
        "from inference_samples import World\n"
        f"world = World(Path({str(world.folder)!r}), {{}})\n"
        "import json\n"
        "from gfmp.plan.variant_effect import EffectPlan\n"
        f"plan = EffectPlan.from_json(json.loads({json.dumps(plan.to_json())!r}), 'x')\n"
        f"print(world.results(plan, Path({str(tmp_path)!r})).name)"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert output.stdout.strip() == "variants", output.stderr
