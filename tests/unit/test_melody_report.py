"""Measures, tables, figures and verdicts of HRNN from made-up melodies, against values worked out by hand."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from safetensors.numpy import load_file, save_file

from tenfold import config
from tenfold.errors import UserError
from tenfold.files import read_json, write_json
from tenfold.launcher import Job
from tenfold.papers.melody import composed, measure, measures
from tenfold.papers.melody.report import figures, results, scores, tables, verdicts
from tenfold.report.face import Data, Face
from tenfold.report.figures import FACE
from tenfold.workflow import TABLE_FORMS

from ..listed_files import only
from ..made_up_melodies import (
    BARS,
    CENTRES,
    SEEDS,
    VARIANTS,
    write_corpus,
    write_generated,
    write_models,
    write_profiles,
)
from .decided import claims_in, without_gates

GROUP = "s0-4"
MEASURE = {"seeds": SEEDS, "bars": BARS}


def measured(folder: Path, variant: str, out: Path) -> Path:
    """The measures of a variant's pieces."""
    measure.measure(MEASURE, Job(resume=folder / "r"), data=folder / "corpus.safetensors",
                    generated=folder / f"generated/{variant}/sample/{GROUP}.safetensors",
                    profiles=folder / f"profiles/{GROUP}.json", measures=out)  # fmt: skip
    return out


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Files as the stages before leave them, and the measures that are made of them."""
    folder = tmp_path_factory.mktemp("melody")
    paper = config.paper("melody")
    pieces = write_corpus(folder / "corpus.safetensors")
    profiles = folder / f"profiles/{GROUP}.json"
    write_profiles(profiles)
    real = [folder / f"measures/real/{part}/{GROUP}.json" for part in ("training", "held-out")]
    measure.measure_real(MEASURE, Job(resume=folder / "r"), data=folder / "corpus.safetensors", profiles=profiles,
                         training=real[0], held_out=real[1])  # fmt: skip
    models, generated = [], []
    for variant in VARIANTS:
        models.append(folder / f"models/{variant}/{GROUP}.json")
        write_models(models[-1], variant)
        generated.append(folder / f"generated/{variant}/sample/{GROUP}.safetensors")
        write_generated(generated[-1], variant)
    found = [*real, *(measured(folder, v, folder / f"measures/{v}/sample/{GROUP}.json") for v in VARIANTS)]
    cfg = {"edition": "real", "data": {"name": "openewld", "stands_in_for": None}, "seeds": SEEDS,
           "files": {
               "models": [{"net": "models", "arm": variant} for variant in VARIANTS],
               "measures": [{"net": who, "arm": how} for who, how in
                            [("real", "training"), ("real", "held-out"), *((v, "sample") for v in VARIANTS)]],
               "generated": [{"net": variant, "arm": "sample"} for variant in VARIANTS],
           },
           "decodings": ["sample"], "published": paper.published, "claims": paper.claims}  # fmt: skip
    return {"folder": folder, "pieces": pieces, "profiles": [profiles], "models": models, "generated": generated,
            "measures": found, "cfg": cfg}  # fmt: skip


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


# Measures -----------------------------------------------------------------------------------------------------------


def test_measures_are_those_of_all_pieces_and_their_profiles(made: dict[str, Any]) -> None:
    row = read_json(made["measures"][-1])["rows"][2]
    assert row["seed"] == 2
    events = load_file(made["generated"][-1])
    free = list(events["seed2/events"])
    assert row["pieces"] == len(free) == 12
    assert row["rhythm_repetition"]["4"] == np.mean(
        [(a == b).all() for piece in free for a, b in zip(*bars_apart(piece != 0, 4), strict=True)]
    )
    assert set(row["guidance"]) == {"sampled", "true", "shuffled", "twinkle", "bars-1-2", "bars-2-3", "bars-3-1"}
    fed = events["seed2/bars-2-3/bars"]
    assert row["guidance"]["bars-2-3"]["bar"]["followed"] == 1.0  # so they were made up
    assert fed.shape == (12, 8)
    beats = events["seed2/true/beats"]
    own = [measures.profiles_of(piece, CENTRES["beat"]) for piece in events["seed2/true/events"]]
    assert row["guidance"]["true"]["beat"]["followed"] == np.mean(beats == np.stack(own))
    assert row["tune"]["bars"] == 1.0


def bars_apart(piece: np.ndarray, lag: int) -> tuple[np.ndarray, np.ndarray]:
    bars = piece.reshape(-1, 16)
    return bars[lag:], bars[:-lag]


def test_real_pieces_are_cut_to_the_length_of_composed_ones(made: dict[str, Any]) -> None:
    training, held_out = (read_json(path)["rows"][0] for path in made["measures"][:2])
    split = read_json(made["profiles"][0])["rows"][0]["split"]
    excerpts = [made["pieces"][i][: 16 * BARS] for i in split["train"]]
    assert training["pieces"] == len(excerpts) == 32
    assert training["rhythm_repetition"]["8"] == measures.repetition([piece != 0 for piece in excerpts], [8])[8]
    assert held_out["pieces"] == 4
    first = training["rhythm_repetition"], held_out["rhythm_repetition"]
    assert held_out["rhythm_repetition_distance"] == pytest.approx(
        sum(abs(first[0][lag] - first[1][lag]) for lag in first[0])
    )
    assert held_out["compared"] == 18  # half of the 36 pieces of both parts: the reference has as many
    assert held_out["longest_copy"] < 16 * BARS


def test_a_copied_training_piece_is_found(made: dict[str, Any], tmp_path: Path) -> None:
    train = read_json(made["profiles"][0])["rows"][0]["split"]["train"]
    corpus = measure.Corpus([made["pieces"][i] for i in train], made["pieces"][:4], BARS, 0)
    copied = [made["pieces"][train[5]][: 16 * BARS], np.zeros(16 * BARS, dtype=np.int8)]
    found = measure.structure(copied, corpus)
    assert found["longest_copy_of_all"] == 16 * BARS
    assert found["irregular"] == 0.5  # only the empty bars are of no training piece


def test_too_few_pieces_are_one_line(made: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"too few pieces have 99 bars .* compose\.bars"):
        measure.Corpus(made["pieces"], made["pieces"][:4], 99, 0)


def test_equal_pieces_give_equal_bytes(made: dict[str, Any], tmp_path: Path) -> None:
    again = measured(made["folder"], "2L", tmp_path / "again.json")
    assert again.read_bytes() == made["measures"][4].read_bytes()


def test_a_file_without_the_seed_is_named(made: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="has no pieces of seed 9"):
        composed.read_composed(made["generated"][0], 9)


# Tables -------------------------------------------------------------------------------------------------------------


def one_model(made: dict[str, Any]) -> dict[str, Any]:
    """As if HRNN-1L alone had been trained."""
    first = only(made, "models", lambda of: of["arm"] == "1L")
    return only(first, "measures", lambda of: of["net"] in ("real", "1L"))


def make_tables(made: dict[str, Any], out: Path, **changes: Any) -> None:
    paths = [out / f"{name}.{form}" for name in tables.TABLES for form in TABLE_FORMS]
    inputs = {"models": made["models"], "measures": made["measures"]} | changes
    tables.tables(made["cfg"], Job(resume=out / "r"), **inputs, tables=paths, metrics=out / "metrics.json")


@pytest.fixture(scope="module")
def tabled(made: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tables")
    make_tables(made, out)
    return out


def test_models_are_compared_by_all_their_layers(tabled: Path) -> None:
    rows = {row["model"]: row for row in rows_of(tabled / "table-likelihood.csv")}
    assert list(rows) == ["HRNN-1L", "HRNN-1L-wide", "HRNN-2L", "HRNN-3L"]
    assert float(rows["HRNN-3L"]["joint"]) == pytest.approx(0.45 + 0.06 + 0.12 + 3 * 0.002)
    assert float(rows["HRNN-1L"]["joint"]) == float(rows["HRNN-1L"]["note"]) == pytest.approx(0.702)
    assert (rows["HRNN-1L"]["beat"], rows["HRNN-2L"]["bar"]) == ("-", "-")
    text = (tabled / "table-likelihood.md").read_text()
    assert "lower by construction: it is no evidence of a better model" in text


def test_figure_5_stands_beside_accuracy_with_repeat_labels_only(tabled: Path) -> None:
    rows = {(row["labels"], row["model"]): row for row in rows_of(tabled / "table-accuracy.csv")}
    assert rows["repeat", "HRNN-1L"]["event.published"] == "about 79"
    assert rows["plain", "HRNN-1L"]["event.published"] == ""
    assert float(rows["repeat", "HRNN-3L"]["no_event"]) == pytest.approx(99.2)
    assert "read by eye" in (tabled / "table-accuracy.md").read_text()


def test_ablations_say_what_differs(made: dict[str, Any], tmp_path: Path) -> None:
    for variant in ("3L-50-bars", "3L-new"):
        write_json(tmp_path / f"models/{variant}/{GROUP}.json", read_json(made["models"][3]))
    more = sorted((tmp_path / "models").glob("*/*.json"))
    names = [{"net": "models", "arm": path.parent.name} for path in more]
    files = made["cfg"]["files"] | {"models": [*made["cfg"]["files"]["models"], *names]}
    wider = made | {"models": [*made["models"], *more], "cfg": made["cfg"] | {"files": files}}
    make_tables(wider, tmp_path / "out")
    assert [(row["model"], row["what differs"]) for row in rows_of(tmp_path / "out/table-ablations.csv")] == [
        ("HRNN-1L", "-"), ("HRNN-1L", "as many parameters as 3L"), ("HRNN-2L", "-"), ("HRNN-3L", "-"),
        ("HRNN-3L", "50 bar profiles, not 16"), ("HRNN-3L", "new"),
    ]  # fmt: skip


def test_guidance_has_a_row_for_each_kind_of_profiles_of_models_with_profiles(tabled: Path) -> None:
    rows = rows_of(tabled / "table-guidance.csv")
    found = [(row["model"], row["whose profiles"]) for row in rows]
    assert {model for model, _ in found} == {"HRNN-2L", "HRNN-3L"}
    assert [who for model, who in found if model == "HRNN-2L"] == [
        "its own", "a held-out piece's", "a held-out piece's, shuffled", '"Twinkle"', "hand-made beats 1, 1, 1, 2",
        "hand-made beats 2, 1, 2, 1", "hand-made beats 2, 3, 2, 3",
    ]  # fmt: skip
    assert rows[0]["bar_followed"] == rows[0]["tune_bars"] == "-"
    tune = next(row for row in rows if row["whose profiles"] == '"Twinkle"')
    assert float(tune["tune_bars"]) == 100 and 0 < float(tune["tune_pitches"]) < 30
    assert float(rows[-1]["bar_followed"]) == 100 > float(rows[-1]["bar_chance"])


def test_structure_begins_with_real_pieces(tabled: Path) -> None:
    rows = rows_of(tabled / "table-structure.csv")
    assert [(row["pieces"], row["decoding"]) for row in rows[:3]] == [
        ("corpus", "training"), ("corpus", "held out"), ("HRNN-1L", "sample"),
    ]  # fmt: skip
    assert rows[0]["rhythm_distance"] == "-"
    assert float(rows[2]["rhythm_distance"]) > float(rows[5]["rhythm_distance"]) > 0
    assert float(rows[2]["irregular"]) > float(rows[5]["irregular"])


def test_likeness_has_the_floor_of_real_pieces(tabled: Path) -> None:
    rows = rows_of(tabled / "table-mgeval.csv")
    assert len(rows) == 9 * 5
    assert {row["pieces"] for row in rows} == {"corpus, other half", *map(results.title_of, VARIANTS)}
    first = rows_of(tabled / "table-classifier.csv")[0]
    assert (first["pieces"], first["decoding"]) == ("corpus", "other half")
    text = (tabled / "table-classifier.md").read_text()
    assert "33.69 %" in text and "Turing" not in text


def test_the_votes_are_the_papers_and_ours_need_listeners(tabled: Path) -> None:
    rows = {row["to"]: row for row in rows_of(tabled / "table-votes.csv")}
    assert len(rows) == 6  # HRNN-1L is there twice
    wide = rows["HRNN-1L, 450 units"]
    assert float(wide["p"]) == pytest.approx(3.4425e-4, rel=1e-4)
    assert (wide["p.published"], wide["share.published"]) == ("0.000344", "62.6")
    assert float(rows["MusicVAE, retrained"]["share"]) == pytest.approx(72.87, abs=0.01)
    assert rows["HRNN-2L"]["p"] == "counts not printed"
    assert {row["ours"] for row in rows.values()} == {"needs human listeners"}


def test_models_that_were_not_trained_have_no_row(made: dict[str, Any], tmp_path: Path) -> None:
    make_tables(one_model(made), tmp_path)
    assert [row["model"] for row in rows_of(tmp_path / "table-likelihood.csv")] == ["HRNN-1L"]
    assert rows_of(tmp_path / "table-guidance.csv") == []
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["1L"]["joint nll"]["n"] == 5
    assert set(metrics) == {"1L", "1L/sample", "real/held-out"}


# Verdicts -----------------------------------------------------------------------------------------------------------


def verdicts_of(made: dict[str, Any], out: Path, **changes: Any) -> dict[str, dict[str, Any]]:
    inputs = {"models": made["models"], "measures": made["measures"]} | changes
    verdicts.claims(without_gates(made["cfg"]), Job(resume=out / "r"), **inputs, claims=out / "claims.json")
    return claims_in(out / "claims.json")


def test_verdicts_follow_from_the_numbers(made: dict[str, Any], tmp_path: Path) -> None:
    found = verdicts_of(made, tmp_path)
    expected = {
        "M5-likelihood": 0.63 - 0.70 + 0.004,
        "M5-likelihood-2l": 0.65 - 0.70 + 0.002,
        "M7-likelihood": 0.63 - 0.69 + 0.004,
        "M8": 500,
    }
    for name, estimate in expected.items():
        cells = found[name]["cells"]
        assert min((cell["estimate"] for cell in cells), key=abs) == pytest.approx(estimate), name
        assert found[name]["word"] == ("by construction" if name == "M8" else "supported"), name  # M8 has no spread
    accuracy = {cell["label"]: cell["estimate"] for cell in found["M5-accuracy"]["cells"]}
    assert accuracy == {"events": pytest.approx(6), "no-events": pytest.approx(29)}
    row = results.read_measures(made["cfg"], made["measures"])["3L", "sample"]
    by_hand = [row.at("guidance", name, "bar", "chance") for name in ("bars-1-2", "bars-2-3", "bars-3-1")]
    cell = next(cell for cell in found["M4-bar"]["cells"] if cell["label"] == "hand-made bars")
    assert cell["estimate"] == pytest.approx(100 - 100 * np.mean([list(one.values()) for one in by_hand]))
    assert [cell["label"] for cell in found["M4-beat"]["cells"]] == ["its own beats", "a held-out piece's beats"]
    assert found["M1-rhythm"]["estimate"] < 0
    assert found["M1-p"]["verdict"] == "holds" and len(found["M1-p"]["cells"]) == 4


def test_what_needs_listeners_is_never_decided(made: dict[str, Any], tmp_path: Path) -> None:
    found = verdicts_of(made, tmp_path)
    for name in ("M1-votes", "M2", "M3", "M7-votes"):
        assert found[name]["verdict"] == "not testable here"
        assert found[name]["estimate"] is None
        assert found[name]["published"]
    reasons = {claim["id"]: claim["reason"] for claim in made["cfg"]["claims"]}
    assert "without human listeners" in reasons["M1-votes"]


def test_a_limit_of_iterations_says_nothing_of_early_stopping(made: dict[str, Any], tmp_path: Path) -> None:
    content = read_json(made["models"][2])
    content["rows"][3]["stopped"]["note"]["by_rule"] = False
    cut = tmp_path / f"models/2L/{GROUP}.json"
    write_json(cut, content)
    found = verdicts_of(made, tmp_path, models=[*made["models"][:2], cut, made["models"][3]])
    assert found["M8"]["verdict"] == "not testable here"
    assert "the limit of iterations ended HRNN-2L before the rule did" in found["M8"]["sentence"]


@pytest.mark.parametrize(("variant", "layer", "shut"), [
    ("3L", "note", True), ("3L", "bar", True), ("1L", "note-repeat", True), ("1L-wide", "note", True),
    ("3L", "", False),
])  # fmt: skip
def test_no_word_is_said_while_a_limit_ended_any_layer_that_is_compared(
    variant: str, layer: str, shut: bool, made: dict[str, Any], tmp_path: Path
) -> None:
    number = VARIANTS.index(variant)
    content = read_json(made["models"][number])
    content["rows"][2]["stopped"] |= {layer: {"by_rule": False}} if layer else {}
    cut = tmp_path / f"models/{variant}/{GROUP}.json"
    write_json(cut, content)
    models = [*made["models"][:number], cut, *made["models"][number + 1 :]]
    verdicts.claims(made["cfg"], Job(resume=tmp_path / "r"), models=models, measures=made["measures"],
                    claims=tmp_path / "claims.json")  # fmt: skip
    found = claims_in(tmp_path / "claims.json")
    for name in ("M1-rhythm", "M5-accuracy", "M5-likelihood", "M7-likelihood", "M7-rhythm"):
        (check,) = found[name]["gate"]["checks"]
        assert (check["check"], check["passes"]) == ("b", not shut), name
        assert check["measured"] == pytest.approx(100 - 100 / (4 if layer == "note" else 5) / 5 if shut else 100)
    assert (found["M5-likelihood"]["word"] == "too small to say") == shut


def test_what_was_not_trained_is_named(made: dict[str, Any], tmp_path: Path) -> None:
    found = verdicts_of(one_model(made), tmp_path)
    assert found["M7-likelihood"]["sentence"] == ("Not testable here: not run: HRNN-3L and HRNN-1L-wide.")
    assert found["M6"]["verdict"] == found["M4-bar"]["verdict"] == "not testable here"


@pytest.mark.parametrize(("printed", "half"), [(3.44e-4, 0.005e-4), (1.41e-21, 0.005e-21), (0.0128, 0.00005)])
def test_half_a_unit_of_the_last_printed_digit(printed: float, half: float) -> None:
    assert verdicts.half_unit(printed) == pytest.approx(half)


# Figures ------------------------------------------------------------------------------------------------------------


def test_figures_are_drawn_with_the_data_behind_them_and_say_what_they_draw(
    made: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: dict[str, Figure] = {}
    new_figure = figures.new_figure

    def kept(title: str, *given: Any, **options: Any) -> Any:
        begun[title], panels = new_figure(title, *given, **options)
        return begun[title], panels

    monkeypatch.setattr(figures, "new_figure", kept)
    verdicts_of(made, tmp_path)
    names = (*figures.FIGURES, *scores.FIGURES)
    out = {name.removeprefix("figure-"): [tmp_path / f"{name}.{form}" for form in ("png", "csv")] for name in names}
    histories = [path.with_suffix(".csv") for path in made["models"]]
    inputs = {name: made[name] for name in ("models", "measures", "profiles")}
    figures.figures(made["cfg"], Job(resume=tmp_path / "r"), **inputs, histories=histories,
                    claims=tmp_path / "claims.json", figures=[path for of in out.values() for path in of])  # fmt: skip
    draw_scores(made, [path for of in out.values() for path in of], made["generated"])
    for picture, table in out.values():
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert len(rows_of(table)) > 3, table
    coding = rows_of(out["coding"][1])
    assert [row["class"] for row in coding[:9]] == ["30", "0", "26", "0", "28", "0", "25", "0", "1"]
    curves = rows_of(out["accuracy"][1])
    assert {row["model"] for row in curves} == {"HRNN-1L", "HRNN-2L", "HRNN-3L"}  # as in the paper, without 1L-wide
    first = rows_of(out["samples"][1])[0]
    notes = measures.notes_of(load_file(made["generated"][0])["seed0/events"][0])[0]
    assert [int(first[name]) for name in ("onset", "length", "pitch")] == notes.tolist()

    def below(title: str) -> str:
        (line,) = next(figure for name, figure in begun.items() if name.startswith(title)).findobj(
            lambda artist: artist.get_gid() == FACE
        )
        return str(line.get_text()).replace("\n", " ")

    assert "nothing trained" in below("One bar as events")
    assert "seed" not in below("One bar as events")
    assert "Bands: 95 % Student-t interval over 5 seeds, cut at 0 and 100" in below("Accuracy")
    assert "Claims M5-accuracy, M8: by construction" in below("Accuracy")
    for title in ("Elbow", "Bars that equal", "Overlap"):
        assert "Whiskers: 95 % Student-t interval over 5 seeds" in below(title)


def test_no_curve_of_shares_leaves_what_is_possible(made: dict[str, Any], tmp_path: Path) -> None:
    """Two seeds at 1 % and 99 % have an interval from -572 to 672 %."""
    lines = ["seed,layer,coding,iteration,train_event,train_no_event,event,no_event"]
    lines += [f"{seed},note,repeat,{at},{s},{s},{s},{s}" for at in (20, 40) for seed, s in enumerate((0.01, 0.99))]
    path = tmp_path / "3L.csv"
    path.write_text("\n".join(lines) + "\n")
    drawn: list[Figure] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "save_figure", lambda figure, *_: drawn.append(figure))
        cfg = {"files": {"models": [{"net": "models", "arm": "3L"}]}}
        shown = Face("real", Data("openewld"), 2, "cpu", "bf16")
        figures.figure_accuracy(cfg, [path], {"M5-accuracy": "open", "M8": "open"}, shown, [])
    bands = drawn[0].findobj(PolyCollection)
    assert len(bands) == 4
    for band in bands:
        heights = band.get_paths()[0].vertices[:, 1]
        assert (heights.min(), heights.max()) == (0, 100)


def draw_scores(made: dict[str, Any], paths: list[Path], generated: list[Path]) -> None:
    scores.scores(made["cfg"], Job(resume=paths[0].parent / "r"), models=made["models"], generated=generated,
                  profiles=made["profiles"], figures=paths)  # fmt: skip


def test_pieces_that_may_not_be_shown_leave_a_word(made: dict[str, Any], tmp_path: Path) -> None:
    emptied = []
    for path in made["generated"]:
        emptied.append(tmp_path / "generated" / path.parts[-3] / "sample" / path.name)
        emptied[-1].parent.mkdir(parents=True)
        save_file({name: tensor[:0] for name, tensor in load_file(path).items()}, emptied[-1])
    paths = [tmp_path / f"{name}.{form}" for name in scores.FIGURES for form in ("pdf", "csv")]
    draw_scores(made, paths, emptied)
    assert [len(rows_of(path)) for path in paths[1::2]] == [0, 0, 0, 42, 0]  # the tune itself has 42 notes


def test_letters_name_rhythms() -> None:
    bars = [[14, 0] * 8, [16, 0, 0, 0] * 4, [19, 0] * 8, [0] * 16]
    assert scores.rhythm_letters(np.array(sum(bars, []), dtype=np.int8)) == ["A", "B", "A", "C"]  # noqa: RUF017
    assert [scores.pitch_name(pitch) for pitch in (48, 60, 70)] == ["C3", "C4", "A#4"]
