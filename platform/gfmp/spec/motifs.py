"""What a person asks of a motif job (jobs/motifs.yaml).

Source: Ye et al., Genomics-FM, "Biological interpretation" and Fig. S3b, which use DNABERT-viz
(Ji et al., 2021) on the attention of a fine-tuned model and compare with JASPAR 2024.
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field

from gfmp.spec.base import Closed, Name, NotNegativeInt, PositiveInt
from gfmp.spec.sweep import Seed

MapName = Literal["rollout", "pooled", "cls", "integrated_gradients", "mutagenesis"]
MAPS: tuple[MapName, ...] = get_args(MapName)
_Text = Annotated[str, Field(min_length=1)]
_Share = Annotated[float, Field(ge=0.0, le=0.9)]
_Rate = Annotated[float, Field(gt=0.0, le=1.0)]
_Bits = Annotated[float, Field(ge=0.0, le=2.0)]


class RegionLaw(Closed):
    """Which bases are candidates.

    DNABERT-viz takes runs of at least five bases above the mean of their row and above ten times
    its minimum; the second asks what attention from [CLS] has and other maps have not, so here it
    is a number of standard deviations.

    Attributes:
        deviations: A candidate base is above its row's mean by so many standard deviations.
        shortest_bp: Shorter runs are left out.
        flank_bp: Bases added on either side of a run.
    """

    deviations: Annotated[float, Field(ge=0.0)] = 0.5
    shortest_bp: PositiveInt = 5
    flank_bp: NotNegativeInt = 3


class SearchLaw(Closed):
    """What is a motif.

    Attributes:
        word_bp: Bases of the words that are counted.
        both_strands: Whether a motif may stand on either strand; false for RNA.
        fdr: False discovery rate of words (0.005 in DNABERT-viz).
        min_sites: Sites that a motif has at least.
        min_bits: Relative entropy of a motif's outermost places, at least, bits.
        max_motifs: Motifs that are sought.
    """

    word_bp: Annotated[int, Field(ge=4, le=8)] = 6
    both_strands: bool = True
    fdr: _Rate = 0.005
    min_sites: PositiveInt = 5
    min_bits: _Bits = 0.25
    max_motifs: Annotated[int, Field(ge=1, le=50)] = 10


class MotifCompute(Closed):
    """Where a job runs; changes speed, not the numbers.

    Attributes:
        threads: CPU threads; 0 takes all cores.
        device: `auto` takes a GPU where there is one.
    """

    threads: NotNegativeInt = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"


class MotifsSpec(Closed):
    """What a fine-tuned model looks at, and the motifs in it.

    Attributes:
        name: Folder and experiment name of its runs.
        seed: Chooses rows where there are more than `max_rows`, and those held out.
        model: Name or id of a fine-tuning run, or the folder of a fine-tuned model, ending in /.
        output: Class, label or value that is explained; empty for the last class, or the first
            label or value. Rows of the class stand against all others, rows with the label against
            those without, the highest quarter of a value against the lowest.
        split: Rows that are read; those the model was not trained on by default.
        max_rows: Most rows of either side.
        map: Where the model looks: attention that the head reads, followed down through all blocks
            (`rollout`), or of the last block only (`pooled`); the row of [CLS] (`cls`), which the
            head does not read; `integrated_gradients`; or `mutagenesis`, every base replaced.
        regions: Which bases are candidates.
        search: What is a motif.
        held_out_fraction: Share of the rows that choose nothing and give the p-values.
        library: Known motifs: `jaspar_vertebrates` and other groups, `jaspar` for all, or the path
            of a MEME or JASPAR file; empty compares with none.
        matches: Known motifs that are told of each motif.
        rows_shown: Rows of the highest score that are shown base by base, with integrated
            gradients and mutagenesis.
        compute: Where it runs.
        cluster: Name of a file in specs/clusters/, or a path to one; empty runs here, or where
            RAY_ADDRESS says.
    """

    kind: Literal["motifs"]
    name: Name
    seed: Seed = 0
    model: _Text
    output: str = ""
    split: Literal["train", "valid", "test"] = "test"
    max_rows: Annotated[int, Field(ge=10)] = 2_000
    map: MapName = "rollout"
    regions: RegionLaw = RegionLaw()
    search: SearchLaw = SearchLaw()
    held_out_fraction: _Share = 0.3
    library: str = ""
    matches: PositiveInt = 5
    rows_shown: Annotated[int, Field(ge=0, le=20)] = 3
    compute: MotifCompute = MotifCompute()
    cluster: str = ""
