"""The rows of the fault matrix as data: what can go wrong, and what bare libraries do about it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        id: `C1` .. `L3` for the matrix, `Q1` .. `Q14` for the quiet failures of libraries.
        fault: What happens, in a few words.
        cost: `s` below 10 s, `m` about a minute, `l` minutes.
        bare: What the plain libraries do.
    """

    id: str
    fault: str
    cost: str
    bare: str


_MATRIX = (
    Row("C1", "YAML with wrong keys and values", "s", "the last one wins; a string; False"),
    Row("C2", "YAML bomb, depth, size, tags, two documents", "s", "the bomb loads"),
    Row("D1", "FASTA with letters outside the alphabet", "s", "dropped by the tokenizer"),
    Row("D2", "another format passed as FASTA; broken records", "s", "-"),
    Row("D3", "gzip bomb; gzip cut in the middle", "s", "57 s, 4.1 GiB; EOFError"),
    Row("D4", "VCF that does not fit its reference", "s", "-"),
    Row("P1", "a shard of zero bytes", "m", "5,000 of 6,000 rows, exit 0"),
    Row("P2", "shard cut, wrong footer, no Parquet, other column type", "m", "no file name"),
    Row("P3", "one bit flipped in a data page", "m", "40 to 59 of 60 unseen"),
    Row("P4", "strangers and links in a corpus; a replaced shard", "m", "followed; doubled"),
    Row("V1", "a broken tokenizer.json", "s", "an exception without a name"),
    Row("V2", "a vocabulary without [UNK] or N; [MASK] in a corpus", "s", "[]; injected"),
    Row("V3", "unsafe names; an entry swapped for a link", "s", "-"),
    Row("V4", "16 registrations at once; kills; failing writes", "m", "-"),
    Row("T1", "SIGKILL of rank 0, then of rank 1", "m", "17.5 s, 1-2 steps, orphan folder"),
    Row("T2", "SIGTERM, SIGINT, SIGINT twice to the driver", "m", "exit 134, steps lost"),
    Row("T3", "kill -9 of the driver, then the same name again", "m", "RUNNING for ever; no lock"),
    Row("T4", "random kills until done: a run and a sweep", "l", "-"),
    Row("T5", "a rank runs out of memory", "m", "58.9 s and a long dump"),
    Row("T6", "NaN on one rank; a gradient a million times too large", "m", "trains on"),
    Row("T7", "a rank hangs before the barrier", "m", "waits for ever"),
    Row("K1", "a rank killed while it writes its share", "m", "`latest` is the torn one"),
    Row("K2", "checkpoints missing, empty, pointing nowhere", "m", "begins again at step 0"),
    Row("K3", "full disk, failing fsync, read-only, folder deleted", "m", "unexpected pos"),
    Row("K4", "resume with other workers, vocabulary, shape", "m", "fails late"),
    Row("S1", "2 of 6 sweep cells raise", "m", "exit 0"),
    Row("M1", "MLflow down at the start, in the middle, back again", "m", "exception in the loop"),
    Row("M2", "NaN and infinity; 8 writers; a changed parameter", "m", "1.8e308; 15 s; raises"),
    Row("X1", "a foreign pickle as weights", "m", "executed"),
    Row("X2", "dead RAY_ADDRESS; taken ports; stale sessions; two at once", "s", "204 s hang"),
    Row("X3", "open sockets, token file, secrets, no authentication", "s", "[::], 0644"),
    Row("Y1", "test rows that are training rows", "s", "nobody checks"),
    Row("Y2", "masks that the neighbours give away", "s", "trains"),
    Row("Y3", "subsets that lack a class, are not nested, differ by cell", "s", "-"),
    Row("Y4", "resume, other workers, other blocks: equal weights", "l", "order not promised"),
    Row("L1", "2 GiB, 2 M sequences and one of 250 Mnt", "l", "one word of 10 Mnt: 66 s"),
    Row("L2", "10,000 shards; 240 cells planned; 24 cells run", "l", "10 s a cell"),
    Row("L3", "30 forced restarts of one run", "l", "orphan folders"),
)

_QUIET = (
    Row("Q1", "Ray Data skips a shard of zero bytes", "s", "a warning"),
    Row("Q2", "a flipped bit in a Parquet page", "s", "wrong data"),
    Row("Q3", "DeepSpeed without `latest`", "s", "(None, None), step 0"),
    Row("Q4", "DeepSpeed writes `latest` before the barrier", "m", "the newest is torn"),
    Row("Q5", "Ray Train's snapshot missing", "m", "step 0, exit 0"),
    Row("Q6", "Ray Tune with failed trials", "m", "fit() returns, exit 0"),
    Row("Q7", "SIGTERM to a Ray Train driver", "m", "exit 134"),
    Row("Q8", "BPE without an unknown token", "s", "drops N, U, lower case"),
    Row("Q9", "[MASK] as text", "s", "a control token"),
    Row("Q10", "15 % independent masking of overlapping 6-mers", "s", "99.5 % readable"),
    Row("Q11", "infinity in MLflow; a killed run", "s", "1.797e308; RUNNING for ever"),
    Row("Q12", "DeepSpeed loads a crafted checkpoint", "m", "executes it"),
    Row("Q13", "ray.init() with a stale RAY_ADDRESS", "s", "204 s and no error"),
    Row("Q14", "Ray's token file and listeners", "m", "0644, [::]"),
)

ROWS: dict[str, Row] = {row.id: row for row in _MATRIX + _QUIET}
MATRIX_IDS: tuple[str, ...] = tuple(row.id for row in _MATRIX)
QUIET_IDS: tuple[str, ...] = tuple(row.id for row in _QUIET)
