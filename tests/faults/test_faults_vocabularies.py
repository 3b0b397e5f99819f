"""Rows V1 to V4 and the quiet failures Q8 and Q9: vocabularies that break, lie or are attacked."""

from __future__ import annotations

import json
import random
import signal
import time
from collections.abc import Sequence
from typing import Any

import pytest
import tokenizers
from fault_project import GFMP, Command, Project, tree_hash
from fault_seen import Seen

from gfmp.vocabulary.registry import FamilyRegistry
from gfmp.vocabulary.store import VocabularyStore
from gfmp.vocabulary.vocabulary import FIRST_WORD, MASK, UNK

BASES = "ACGT"
SETTINGS = ("--set", "family=kmer", "--set", "k=2")
Json = dict[str, Any]


def tokenizer_json(words: Sequence[str] = (*BASES, "AC", "GT"), *, unknown: str | None) -> Json:
    """Return the tokenizer.json of a BPE over DNA as its library writes it."""
    specials = [unknown] if unknown else []
    vocab = {word: i for i, word in enumerate([*specials, *words])}
    merges = [(word[0], word[1]) for word in words if len(word) == 2]
    model = tokenizers.models.BPE(vocab=vocab, merges=merges, unk_token=unknown)
    made: Json = json.loads(tokenizers.Tokenizer(model).to_str())
    return made


def _changed(*keys: str | int, to: object) -> bytes:
    value = tokenizer_json(unknown="[UNK]")
    inner: Any = value
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = to
    return json.dumps(value).encode()


WHOLE = json.dumps(tokenizer_json(unknown="[UNK]")).encode()
BROKEN: dict[str, tuple[bytes, str]] = {
    "truncated": (WHOLE[: len(WHOLE) // 2], ".json:1:"),
    "empty": (b"", ".json:1:1"),
    "not UTF-8": (WHOLE.replace(b"[UNK]", b"[UNK\xff"), ".json:$"),
    "model": (_changed("model", "type", to="WordLevel"), ".json:$.model.type"),
    "merge": (_changed("model", "merges", 1, to=["A", "GG"]), ".json:$.model.merges[1]"),
    "version": (_changed("version", to="9.9"), ".json:$.version"),
    "twin keys": (WHOLE.replace(b'"version"', b'"version": "1.0", "version"', 1), ".json:$"),
    "ids": (_changed("model", "vocab", "C", to=1), ".json:$.model.vocab"),
    "nested": (b"[" * 200_000, ".json:"),
}


@pytest.mark.ci
@pytest.mark.fault("V1")
def test_broken_tokenizer_files_are_named_and_register_nothing(empty: Project, seen: Seen) -> None:
    path = empty.folder / "tokenizer.json"
    path.write_bytes(WHOLE)
    assert empty.run("register-vocab", "good", "--from", str(path)).status == 0
    before = tree_hash(empty.workspace / "vocabularies")
    for name, (data, place) in BROKEN.items():
        path.write_bytes(data)
        done = empty.run("register-vocab", "bad", "--from", str(path))
        text = "".join(done.output.split())
        assert done.status == 65, (name, done.output)
        assert place in text, (name, done.output)
        assert "Traceback" not in text
        seen.exit(done.status)
    changed = int(tree_hash(empty.workspace / "vocabularies") != before)
    seen.outcome(f"{len(BROKEN)} refused with file and JSON path; the registry is unchanged")
    seen.lost(vocabularies=changed)
    assert not changed


@pytest.mark.ci
@pytest.mark.fault("V2")
def test_a_vocabulary_covers_dna_or_names_what_it_lacks(empty: Project, seen: Seen) -> None:
    path = empty.folder / "tokenizer.json"
    for base in BASES:
        words = [letter for letter in BASES if letter != base]
        path.write_text(json.dumps(tokenizer_json(words, unknown=None)))
        done = empty.run("register-vocab", "lacking", "--from", str(path))
        assert done.status == 65, done.output
        assert f"no word '{base}' (0x{ord(base):02x})" in " ".join(done.output.split())
        seen.exit(done.status)
    # Without [UNK] and N in the file: gfmp's own [UNK] stands for what is no base, in its place.
    path.write_text(json.dumps(tokenizer_json(unknown=None)))
    assert empty.run("register-vocab", "mine", "--from", str(path)).status == 0
    done = empty.run("vocab", "check", "mine")
    assert done.status == 0, done.output
    text = " ".join(done.output.split())
    assert "10,000 random sequences" in text, text
    assert "every base is covered" in text
    assert "no text yields another special" in text
    seen.exit(done.status)
    seen.outcome("the first uncovered base is named; 10,000 sequences decode to themselves")
    seen.lost(bases=0)


@pytest.mark.ci
@pytest.mark.fault("V2")
def test_control_words_in_a_corpus_are_refused_at_their_place(empty: Project, seen: Seen) -> None:
    spec = (empty.corpora / "small.yaml").read_text()
    (empty.corpora / "small.yaml").write_text(spec.split("  - species: Synthetica secunda")[0])
    job = empty.folder / "jobs" / "corpus.yaml"
    job.write_text("kind: build_corpus\ncorpus: small\n")
    for word in ("[MASK]", "[CLS]", "</s>"):
        (empty.corpora / "one.fa").write_text(f">chr1\nACGTACGT\nACG{word}ACGT\n")
        done = empty.run("submit", str(job))
        assert done.status == 65, done.output
        assert "one.fa:3:4" in done.output
        assert f"holds '{word[0]}'" in done.output
        seen.exit(done.status)
    left = len(empty.leftovers())
    seen.outcome("[MASK], [CLS] and </s> refused with line and column")
    seen.lost(files=left)
    assert not left


NAMES = {
    "../../x": 77,
    "/etc/x": 77,
    "a/b": 77,
    "": 77,
    "x" * 300: 77,
    "-rf": 2,
    "--": 2,
    ".": 77,
    "..": 77,
    "km\u0430r3": 77,  # a Cyrillic letter
    "kmer3\n": 77,
    "a b": 77,
    "COM1": 77,
}


@pytest.mark.ci
@pytest.mark.fault("V3")
def test_unsafe_names_touch_nothing(empty: Project, seen: Seen) -> None:
    before = tree_hash(empty.folder / "specs"), sorted(empty.folder.parent.iterdir())
    for name, status in NAMES.items():
        done = empty.run("register-vocab", name, *SETTINGS)
        assert done.status == status, (name, done.output)
        assert "Traceback" not in done.output
        seen.exit(done.status)
    done = empty.run("vocab", "show", "../../x")
    assert done.status == 77, done.output
    assert not (empty.workspace / "vocabularies").exists()
    assert (tree_hash(empty.folder / "specs"), sorted(empty.folder.parent.iterdir())) == before
    seen.outcome(f"{len(NAMES)} names refused, nothing written")
    seen.lost(files=0)


def register(project: Project, name: str, span: int = 0) -> Command:
    """Start a registration of 2-mers; another mask span is another content."""
    more = ("--set", f"mask_span_tokens={span}") if span else ()
    return project.start("register-vocab", name, *SETTINGS, *more)


@pytest.mark.ci
@pytest.mark.fault("V3")
@pytest.mark.parametrize("entry", ["names/v.json", "object", "names", "objects", "lock"])
def test_an_entry_swapped_for_a_link_is_refused(empty: Project, seen: Seen, entry: str) -> None:
    store = empty.workspace / "vocabularies"
    assert register(empty, "v").wait().status == 0
    path = next((store / "objects").iterdir()) if entry == "object" else store / entry
    outside = empty.folder / "outside"
    path.rename(outside)
    path.symlink_to(outside)
    before = tree_hash(outside) if outside.is_dir() else outside.read_bytes()
    for arguments in (
        ("vocab", "show", "v"),
        ("register-vocab", "w", "--set", "family=nucleotide"),
    ):
        if entry == "lock" and arguments[0] == "vocab":
            continue  # readers take no lock
        if entry in ("names/v.json", "object") and arguments[0] != "vocab":
            continue  # another name is another entry
        done = empty.run(*arguments)
        assert done.status == 77, done.output
        assert "symbolic link" in " ".join(done.output.split())
        seen.exit(done.status)
    after = tree_hash(outside) if outside.is_dir() else outside.read_bytes()
    seen.outcome("refused; what the link points at is untouched")
    seen.lost(files=int(after != before))
    assert after == before


def _registered(project: Project) -> dict[str, str]:
    """Return name -> fingerprint as a reader sees them; a damaged registry fails."""
    done = project.run("vocab", "list", "--json")
    assert done.status == 0, done.output
    return {entry["name"]: entry["fingerprint"] for entry in json.loads(done.output)["registered"]}


@pytest.mark.fault("V4")
def test_of_sixteen_at_once_one_content_wins(empty: Project, seen: Seen) -> None:
    spans = [1 + i % 2 for i in range(16)]
    commands = [register(empty, "race", span + 10) for span in spans]
    ends = [command.wait(600) for command in commands]
    statuses = {done.status for done in ends}
    assert statuses == {0, 73}, [done.output for done in ends]
    winners = {span for span, done in zip(spans, ends, strict=True) if done.status == 0}
    assert len(winners) == 1, "one content has the name"
    created = [done for done in ends if "is already there" not in done.output]
    assert len([done for done in created if done.status == 0]) == 1
    losers = [done for done in ends if done.status == 73]
    assert len(losers) == 8
    assert all("mask_span_tokens" in done.output for done in losers), "the difference is told"
    assert set(_registered(empty)) == {"race"}
    left = len(empty.leftovers())
    seen.exit(0)
    seen.exit(73)
    seen.outcome("one created, seven found it there, eight other ones refused")
    seen.lost(files=left)
    assert not left


KILLS = 50


@pytest.mark.long
@pytest.mark.fault("V4")
def test_kills_at_random_leave_the_registry_old_or_new(empty: Project, seen: Seen) -> None:
    began = time.monotonic()
    assert register(empty, "v0").wait().status == 0
    whole = time.monotonic() - began
    rng = random.Random(4)
    killed = 0
    for number in range(1, KILLS + 1):
        command = register(empty, f"v{number}")
        time.sleep(rng.uniform(0.3, 1.1) * whole)
        command.signal(signal.SIGKILL)
        killed += command.wait().status == -signal.SIGKILL
        if number % 10 == 0:
            assert "v0" in _registered(empty), "what was there stays"
    assert killed > KILLS // 3, "the kills came too late to mean anything"
    assert register(empty, "last").wait().status == 0
    names = set(_registered(empty))
    left = len(empty.leftovers())
    seen.exit(0)
    seen.outcome(f"{killed} of {KILLS} killed; {len(names)} whole; no temporary left")
    seen.lost(files=left)
    assert not left
    assert {"v0", "last"} <= names


# Which call fails, how, and at which times; `link` and `rename` give an artefact its name.
FAILING = (
    ("mkdir", "error=ENOSPC", (1, 3)),
    ("fsync", "error=EIO", (1, 4)),
    ("rename", "error=ENOSPC", (1, 2)),
    ("link,linkat", "error=ENOSPC", (1,)),
    ("fsync", "signal=SIGKILL", (1, 5)),
    ("rename", "signal=SIGKILL", (1, 2)),
    ("link,linkat", "signal=SIGKILL", (1,)),
)


@pytest.mark.fault("V4")
def test_the_nth_call_that_fails_leaves_old_or_new(empty: Project, seen: Seen) -> None:
    assert register(empty, "old").wait().status == 0
    before = _registered(empty)
    fired = 0
    for call, what, times in FAILING:
        for n in times:
            name = f"{call.split(',')[0]}{fired}"
            strace = f"strace -f -qq -o /dev/null -e trace={call} -e inject={call}:{what}:when={n}"
            command = [*strace.split(), GFMP, "register-vocab", name, *SETTINGS]
            done = empty.start_program(command, {"PYTHONDONTWRITEBYTECODE": "1"}).wait()
            if done.status == 0:
                break  # there is no n-th call: the others were all made to fail
            fired += 1
            assert done.status in ((74,) if "error" in what else (137, -signal.SIGKILL)), done
            seen.exit(137 if done.status < 0 else done.status)
            listed = _registered(empty)
            assert listed.items() >= before.items(), (call, what, n)
            before = listed
    assert fired >= len(FAILING), "each kind of call was made to fail"
    assert register(empty, "last").wait().status == 0
    left = len(empty.leftovers())
    seen.outcome(f"{fired} calls failed or killed the command; old or new after each")
    seen.lost(files=left)
    assert not left


@pytest.mark.ci
@pytest.mark.fault("Q8")
def test_the_library_drops_letters_and_gfmp_keeps_them(empty: Project, seen: Seen) -> None:
    value = tokenizer_json(unknown=None)
    bare = tokenizers.Tokenizer.from_str(json.dumps(value))
    text = "acgtNUU"
    assert bare.encode(text).ids == [], "the library drops every letter without a word"
    assert bare.encode(f"AC{text}GT").tokens == ["AC", "GT"], "and joins what is left"
    path = empty.folder / "tokenizer.json"
    path.write_text(json.dumps(value))
    assert empty.run("register-vocab", "mine", "--from", str(path)).status == 0
    done = empty.run("vocab", "encode", "mine", text, "--json")
    assert done.status == 0, done.output
    kept = [token["token"] for token in json.loads(done.output)]
    assert kept == ["AC", "GT", "[UNK]", "[UNK]", "[UNK]"]
    seen.exit(done.status)
    seen.outcome(f"library: 0 tokens of {len(text)} letters; gfmp: every letter in a token")
    seen.lost(letters=0)


@pytest.mark.ci
@pytest.mark.fault("Q9")
def test_the_library_reads_control_words_and_gfmp_does_not(empty: Project, seen: Seen) -> None:
    value = tokenizer_json(unknown="[UNK]")
    bare = tokenizers.Tokenizer.from_str(json.dumps(value))
    bare.add_special_tokens(["[MASK]"])
    mask = bare.token_to_id("[MASK]")
    assert mask in bare.encode("AC[MASK]GT").ids, "text becomes the control token"
    path = empty.folder / "tokenizer.json"
    path.write_text(bare.to_str())
    assert empty.run("register-vocab", "mine", "--from", str(path)).status == 0
    store = VocabularyStore(empty.workspace / "vocabularies")
    vocabulary = store.get("mine")
    encoded = FamilyRegistry.discover().tokenizer(vocabulary).encode([b"AC[MASK]GT"])
    assert MASK not in encoded.ids
    known = [vocabulary.words[i - FIRST_WORD] if i >= FIRST_WORD else "-" for i in encoded.ids]
    # Of the letters in brackets only A is a base.
    assert known == ["AC", "-", "-", "A", "-", "-", "-", "GT"]
    assert set(encoded.ids[encoded.ids < FIRST_WORD].tolist()) == {UNK}
    done = empty.run("vocab", "encode", "mine", "AC[MASK]GT")
    assert done.status == 2, done.output
    seen.exit(done.status)
    seen.outcome("library: one control token; gfmp: six letters, five of them [UNK]")
    seen.lost(letters=0)
