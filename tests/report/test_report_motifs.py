"""The page and the files of a motif job."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from motif_examples import CONSENSUS, data, entry, row

from gfmp.genome.motif_files import read_motifs
from gfmp.report.logos import WINDOW_BP, logo_picture, row_picture, window
from gfmp.report.motif_data import LibraryFacts, MotifsData
from gfmp.report.motif_files import motif_files, write_motifs
from gfmp.report.motif_page import MAPS, counts, p_text


@cache
def usual() -> dict[str, bytes]:
    """Return the files of the usual findings, which take a while to draw."""
    return motif_files(data())


def page(found: MotifsData) -> str:
    return motif_files(found)["report.html"].decode()


def words(html: str) -> str:
    """Return the text of a page."""
    texts: list[str] = []
    parser = HTMLParser()
    parser.handle_data = texts.append  # type: ignore[method-assign]
    parser.feed(html)
    return " ".join(" ".join(texts).split())


def test_the_page_tells_every_motif_with_its_logo_and_matches() -> None:
    html = usual()["report.html"].decode()
    text = words(html)
    for said in ("motif-1", "motif-2", CONSENSUS, "40/60 | 1/60", "4e-16", "3e-15", "2 + | 1 -"):
        assert said in text, said
    assert "MA0001.1 <made>" in text and "3e-07" in text, "escaped once"
    assert "made<motifs>" in text and "<made>" not in html
    assert html.count("data:image/svg+xml;base64,") == 4
    assert not re.search(r"(src|href)=.(http|//)", html), "nothing is fetched"
    assert "and 4 more" in text, "a long list of words is cut"


@pytest.mark.parametrize("kind", MAPS)
def test_the_page_says_what_the_map_is(kind: str) -> None:
    text = words(page(data(map=kind, motifs=(), rows=())))
    assert MAPS[kind] in text
    assert ("does not read [CLS]" in text) == (kind == "cls")


def test_no_motif_is_an_answer() -> None:
    text = words(page(data(motifs=(), rows=(), library=None)))
    assert "No motif" in text and "Rows, base by base" not in text


def test_what_to_keep_in_mind_depends_on_the_job() -> None:
    text = words(page(data(motifs=(), rows=())))
    assert "No rows were held out" not in text and "too few" not in text
    few = LibraryFacts("few.meme", 3, "made by us", few=True)
    text = words(page(data(motifs=(), rows=(), held_out_fraction=0.0, library=few)))
    assert "No rows were held out" in text and "few.meme has 3 motifs: too few" in text
    text = words(page(data(motifs=(entry(matched=False),), rows=(), library=None)))
    assert "Best match" not in text and "Known motifs" not in text


def test_a_motif_that_held_out_rows_do_not_bear_out_is_shaded() -> None:
    doubtful = replace(entry(matched=False), q=0.4)
    html = page(data(motifs=(doubtful,), rows=()))
    assert 'class="worse">0.4<' in html and "do not bear it out" in words(html)
    assert "bear it out" not in words(usual()["report.html"].decode())


def test_gradients_that_do_not_add_up_are_shown_as_such() -> None:
    html = page(data(motifs=(), rows=(row(complete=False),)))
    assert 'class="worse">no<' in html and "60 %" in words(html)
    assert 'class="worse"' not in page(data(motifs=(), rows=(row(),)))


def test_files_repeat_and_can_be_read_back(tmp_path: Path) -> None:
    paths = write_motifs(data(), tmp_path / "report")
    assert paths[0].name == "report.html" and all(path.is_file() for path in paths)
    assert {path.name: path.read_bytes() for path in paths} == {
        Path(name).name: content for name, content in usual().items()
    }
    motifs = read_motifs(tmp_path / "report" / "motifs.meme")
    assert [one.name for one in motifs] == ["motif-1", "motif-2"]
    np.testing.assert_allclose(motifs[0].frequencies, entry().motif.frequencies, atol=1e-6)
    write_motifs(data(motifs=()), tmp_path / "report")
    assert not list((tmp_path / "report").glob("figures/logo*")), "nothing of the old one stays"


def rows_of(name: str) -> list[dict[str, str]]:
    header, *lines = usual()[name].decode().splitlines()
    return [dict(zip(header.split("\t"), line.split("\t"), strict=True)) for line in lines]


def test_tables_hold_what_the_page_shows() -> None:
    first = rows_of("motifs.tsv")[0]
    assert (first["motif"], first["consensus"], first["width"]) == ("motif-1", CONSENSUS, "7")
    assert (first["forward_sites"], first["sites"], first["log10_p_held_out"]) == (
        "2",
        "3",
        "-15.4",
    )
    sites = rows_of("sites.tsv")
    assert len(sites) == 6 and sites[1] == {
        "motif": "motif-1",
        "origin": "chr1:1-61:+",
        "start": "11",
        "end": "18",
        "strand": "-",
        "sequence": CONSENSUS,
    }
    assert rows_of("matches.tsv")[1]["reverse"] == "True"
    tracks = rows_of("tracks.tsv")
    assert len(tracks) == 2 * (60 + 150)
    assert "".join(t["base"] for t in tracks[:60]) == row().sequence
    assert float(tracks[65]["score"]) == pytest.approx(
        row().tracks["integrated gradients"][5], 1e-4
    )


def test_a_logo_has_a_letter_for_every_base_of_every_place() -> None:
    files = logo_picture(entry()).files
    svg = ElementTree.fromstring(files["svg"])
    filled = [
        one.attrib["style"]
        for one in svg.iter("{http://www.w3.org/2000/svg}path")
        if "fill: #" in one.attrib.get("style", "")
    ]
    assert files["png"].startswith(b"\x89PNG")
    letters = [style for style in filled if re.search("#(009e73|0072b2|e69f00|d55e00)", style)]
    assert len(letters) == 7 * 4
    assert files == logo_picture(entry()).files, "bytes repeat"


def test_a_long_row_is_shown_where_most_happens() -> None:
    assert window(row(60)) == (0, 60)
    start, end = window(row(400))
    assert end - start == WINDOW_BP and start <= 190 and end >= 210
    assert f"bases {start} to {end}" in row_picture(row(400), 1).caption
    flat = row(300)
    silent = {name: np.zeros(300) for name in flat.tracks}
    assert window(type(flat)(**{**vars(flat), "tracks": silent})) == (0, WINDOW_BP)


def test_numbers_as_people_read_them() -> None:
    assert p_text(-2.0) == "0.01" and p_text(-598.3) == "1e-598" and p_text(0.0) == "1"
    assert counts(entry().searched) == "90/140 | 3/140"
