"""Examples under the help of every command, in one place; a test tries that they can be meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import click

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "init": (
        "gfmp init my-lab --fasta genome.fa.gz --labels peaks.csv",
        "gfmp init my-lab --labels t.tsv --label-column activity",
    ),
    "doctor": ("gfmp doctor", "gfmp doctor --json"),
    "plan": (
        "gfmp plan jobs/pretrain.yaml",
        "gfmp plan jobs/pretrain.yaml --set compute.workers=4",
        "gfmp plan jobs/pretrain_base.yaml --cluster aws",
    ),
    "submit": (
        "gfmp submit jobs/pretrain.yaml",
        "gfmp submit --resume RUN --set compute.workers=1",
        "gfmp submit jobs/pretrain.yaml --cluster aws --render aws",
    ),
    "sweep": (
        "gfmp sweep specs/label_efficiency_quick.yaml",
        "gfmp sweep --resume RUN",
    ),
    "report": ("gfmp report label-efficiency-quick", "gfmp report demo"),
    "predict": (
        "gfmp predict promoters peaks.fa.gz",
        "gfmp predict promoters p.bed --reference genome.fa -o p.tsv",
        "gfmp predict promoters chromosome.fa --window-bp 500 --step-bp 250",
    ),
    "embed": (
        "gfmp embed demo genes.fa.gz --vocabulary kmer6",
        "gfmp embed demo g.fa --vocabulary kmer6 --layer 2 --layer 4 -o g.npy",
        "gfmp embed demo genes.csv --vocabulary bpe4096 --per base",
    ),
    "export": (
        "gfmp export promoters --to hf --out promoters-hf",
        "gfmp export promoters --to mlflow --name promoters",
        "gfmp export ./DNABERT-2-117M --to hf --out dnabert2",
    ),
    "register-vocab": (
        "gfmp register-vocab bpe4096 --corpus demo",
        "gfmp register-vocab mine --from tokenizer.json",
    ),
    "vocab list": ("gfmp vocab list",),
    "vocab show": ("gfmp vocab show kmer6",),
    "vocab encode": ("gfmp vocab encode kmer6 ACGTTGCATGN",),
    "vocab check": ("gfmp vocab check bpe4096",),
    "vocab advise": ("gfmp vocab advise fly_splice --run demo",),
    "tasks list": ("gfmp tasks list", "gfmp tasks list --json"),
    "tasks show": ("gfmp tasks show fly_splice", "gfmp tasks show GUE/prom_core_all"),
    "tasks fetch": ("gfmp tasks fetch deepstarr",),
    "tasks check": ("gfmp tasks check fly_splice --corpus demo",),
    "runs list": ("gfmp runs list", "gfmp runs list --json"),
    "runs show": ("gfmp runs show demo",),
    "runs compare": ("gfmp runs compare RUN OTHER",),
    "runs logs": ("gfmp runs logs demo --lines 100", "gfmp runs logs -f demo"),
    "runs status": ("gfmp runs status demo", "gfmp runs status demo --cluster aws"),
    "runs stop": ("gfmp runs stop demo",),
    "runs sync": ("gfmp runs sync",),
    "runs verify": ("gfmp runs verify demo",),
    "gc": ("gfmp gc", "gfmp gc --delete", "gfmp gc --delete --keep-days 0"),
    "ui": ("gfmp ui --port 5001",),
    "replay": ("gfmp replay workspace/runs/RUN/dumps/step-000000120",),
    "reproduce": ("gfmp reproduce demo",),
    "verify": (
        "gfmp verify table-S12",
        "gfmp verify table-S9 --run fig4-species",
    ),
    "schema": ("gfmp schema", "gfmp schema pretrain", "gfmp schema --write schemas"),
    "explain": (
        "gfmp explain pretrain.optimiser.lr",
        "gfmp explain sampling.max_tokens --job jobs/pretrain.yaml",
    ),
    "completion": ('eval "$(gfmp completion bash)"',),
}


def add_examples(group: click.Group) -> None:
    """Put the examples under the help of every command of `group` that has none of its own."""
    for name, command in leaves(group):
        if command.epilog is None and name in EXAMPLES:
            lines = "\n".join(f"  {line}" for line in EXAMPLES[name])
            command.epilog = f"\b\nFor example:\n{lines}"


def leaves(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield name and command of everything below `group` that is no group."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command
