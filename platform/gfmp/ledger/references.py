"""What a run refers to by content or by id: all that must be there for it to be understood.

Places on disk are not references: a workspace may be moved, and then only contents and ids hold.
Plans are read as they lie there: what an earlier gfmp wrote refers to the same things, also where
this one would give it another fingerprint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from gfmp.errors import CorruptArtefactError
from gfmp.ledger.run import Run
from gfmp.ledger.sweep import CELLS_FILE
from gfmp.storage.atomic import read_json
from gfmp.storage.hashes import fingerprint

_INPUTS = "inputs.json"
_CELL = {"fingerprint", "task", "vocabulary", "initial", "learner"}
_SEARCH = {"fingerprint", "search", "base"}


@dataclass(frozen=True)
class References:
    """What a run refers to.

    Attributes:
        corpora: Content hashes.
        vocabularies: Fingerprints.
        tasks: Fingerprints of their rows.
        cells: Fingerprints, those that its searches try included.
        searches: Fingerprints.
        initials: Fingerprints of the models that its cells begin with.
        runs: Ids of runs whose models it uses, with the step where one is pinned, else 0.
        letters: sha256 of reference sequences.
    """

    corpora: frozenset[str] = frozenset()
    vocabularies: frozenset[str] = frozenset()
    tasks: frozenset[str] = frozenset()
    cells: frozenset[str] = frozenset()
    searches: frozenset[str] = frozenset()
    initials: frozenset[str] = frozenset()
    runs: frozenset[tuple[str, int]] = frozenset()
    letters: frozenset[str] = frozenset()

    @property
    def run_ids(self) -> frozenset[str]:
        """Ids of the runs whose models it uses."""
        return frozenset(name for name, _ in self.runs)


def references_of(run: Run) -> References:
    """Return what a run refers to.

    Raises:
        CorruptArtefactError: its plan or its inputs are not as they were written, or it is of a
            kind that this gfmp does not know.
    """
    read = _READERS.get(run.header.kind)
    if read is None:
        raise _unreadable(run, f"its kind {run.header.kind!r} is unknown")
    try:
        return read(run)
    except (FileNotFoundError, KeyError, TypeError, ValueError) as fault:
        raise _unreadable(run, f"{type(fault).__name__}: {fault}") from fault


def _unreadable(run: Run, how: str) -> CorruptArtefactError:
    return CorruptArtefactError(
        f"what run {run.id} refers to cannot be read: {how}",
        where=str(run.path),
        why="its plan and its inputs say what it rests on",
        fix="restore the file, or use the gfmp that wrote the run",
    )


def _pretrain(run: Run) -> References:
    corpus = str(_mapping(run.plan_json()["what"])["corpus"])
    if not (run.path / _INPUTS).is_file():  # killed while it was created
        return References(corpora=frozenset({corpus}))
    stored = read_json(run.path / _INPUTS)
    parent = stored.get("parent")
    return References(
        corpora=frozenset({corpus}),
        vocabularies=frozenset(map(fingerprint, _listed(_mapping(stored["ensemble"])))),
        runs=frozenset({_parent(_mapping(parent))} if parent is not None else ()),
    )


def _listed(ensemble: Mapping[str, object]) -> list[object]:
    listed = ensemble["vocabularies"]
    if not isinstance(listed, list):
        raise TypeError("its vocabularies are no list")
    return listed


def _parent(stored: Mapping[str, object]) -> tuple[str, int]:
    return str(stored["run_id"]), int(str(stored["step"]))


def _sweep(run: Run) -> References:
    bodies = [run.plan_json()]
    if (run.path / CELLS_FILE).is_file():
        bodies.append(read_json(run.path / CELLS_FILE))
    found = [one for body in bodies for one in _parts(body)]
    cells = [one for one in found if one.keys() >= _CELL]
    tasks = [one for cell in cells for one in (cell["task"], *_others(cell))]
    pinned = _mapping(read_json(run.path / _INPUTS)["pretrained"])
    return References(
        vocabularies=frozenset(_contents(cell["vocabulary"] for cell in cells)),
        tasks=frozenset(_contents(tasks)),
        cells=frozenset(str(cell["fingerprint"]) for cell in cells),
        searches=frozenset(str(one["fingerprint"]) for one in found if one.keys() >= _SEARCH),
        initials=frozenset(_contents(cell["initial"] for cell in cells)),
        runs=frozenset((str(one), 0) for one in pinned.values()),
    )


def _parts(value: object) -> Iterator[Mapping[str, object]]:
    """Yield every mapping in a JSON value, so that cells are found wherever a plan keeps them."""
    if isinstance(value, Mapping):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _parts(one)


def _others(cell: Mapping[str, object]) -> list[object]:
    others = cell.get("also_on", [])
    return others if isinstance(others, list) else []


def _contents(ingredients: Iterable[object]) -> set[str]:
    return {str(_mapping(one)["fingerprint"]) for one in ingredients} - {""}


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise TypeError(f"{str(value)[:40]!r} is no mapping")
    return value


def _effects(run: Run) -> References:
    what = _mapping(run.plan_json()["what"])
    models = [one["model"] for one in _parts(what["scorers"]) if "columns" in one]
    return References(
        runs=frozenset((str(_mapping(model)["name"]), 0) for model in models),
        letters=frozenset({str(what["reference"])}),
    )


def _motifs(run: Run) -> References:
    model = _mapping(_mapping(run.plan_json()["facts"])["model"])
    # A model named by its folder lies in `<run id>/models/<cell>`.
    owners = {str(_mapping(model["model"])["name"]), Path(str(model["folder"])).parent.parent.name}
    return References(
        vocabularies=frozenset(_contents(_listed(model))),
        tasks=frozenset(_contents([model["task"]])),
        runs=frozenset((name, 0) for name in owners),
    )


_READERS: Mapping[str, Callable[[Run], References]] = MappingProxyType(
    {
        "pretrain": _pretrain,
        "sweep": _sweep,
        "finetune": _sweep,
        "variant_effect": _effects,
        "motifs": _motifs,
    }
)
