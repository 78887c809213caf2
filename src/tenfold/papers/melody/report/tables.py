"""The tables of HRNN. The paper has none: its numbers are votes, and what stands in for them here is measured."""

from __future__ import annotations

from tenfold.launcher import Cfg, Inputs, Job, Output, Outputs, main, stage
from tenfold.papers.melody.conditions import TUNE, condition_title, in_order
from tenfold.papers.melody.report.results import (
    CODINGS,
    CORPUS,
    REAL,
    VARIANTS,
    Measured,
    Measures,
    Models,
    main_decoding,
    read_measures,
    read_models,
    title_of,
    vote_test,
)
from tenfold.report.arms import BySeed, face_of
from tenfold.report.face import Data, Face
from tenfold.report.tables import (
    Cell,
    Column,
    Published,
    Row,
    Table,
    Tables,
    untrained,
    write_metrics,
    write_tables,
)

LISTENERS = "needs human listeners"
NOTHING = Cell(exact="-")


def cell(arm: Measured, *keys: str, percent: bool = False) -> Cell:
    """A measured cell; a dash where the model has no such layer, or the measure no value."""
    values = arm.percent_at(*keys) if percent else arm.at(*keys)
    return Cell(values, files=arm.files) if values else NOTHING


def likelihood_cells(model: Measured) -> dict[str, Cell]:
    """Negative log-likelihood, whole and layer by layer."""
    return {layer: cell(model, "nll", layer) for layer in ("joint", "note", "beat", "bar")}


LIKELIHOOD = (
    Column("joint", "all layers", ".4f"),
    Column("note", "note layer", ".4f"),
    Column("beat", "beat layer", ".4f"),
    Column("bar", "bar layer", ".4f"),
)
TOLD = (
    "The note layers of 2L and 3L are told the rhythm of the current beat (and bar), so their own loss is lower by "
    'construction: it is no evidence of a better model. Compare "all layers".'
)


def table_likelihood(models: Models, shown: Face) -> Table:
    """Joint likelihood of held-out pieces, to which profiles contribute what they cost."""
    extent = (Column("stopped", "note layer stopped at iteration", ",.0f"), Column("params", "parameters", ",.0f"))
    rows = [
        Row(
            (title_of(variant),),
            likelihood_cells(models[variant])
            | {"stopped": cell(models[variant], "stopped_at"), "params": cell(models[variant], "params")},
        )
        for variant in VARIANTS
        if variant in models
    ]
    return Table(
        "Negative log-likelihood of held-out pieces [nats per sixteenth]",
        shown,
        ("model",),
        (*LIKELIHOOD, *extent),
        rows,
        (
            TOLD,
            "Profiles are a function of the notes, so the sum over layers is comparable with 1L alone.",
            "For 2L and 3L it is an upper bound. Plain labels.",
        ),
    )


ACCURACIES = {"event": "events [%]", "no_event": "no-events [%]", "onset": "note-ons [%]"}


def table_accuracy(cfg: Cfg, models: Models, shown: Face) -> Table:
    """The paper's Figure 5 in numbers: accuracy of the note layer on held-out pieces, for both label codings."""
    published = {row["variant"]: row for row in cfg["published"]["accuracy"]}
    of_paper = Data(shown.data.name, "the paper's 3,859 lead sheets of Wikifonia")
    rows = []
    for coding in CODINGS:
        for variant in VARIANTS:
            if variant not in models or coding not in models[variant].names("accuracy"):
                continue
            cells = {}
            for what in ACCURACIES:
                measured = cell(models[variant], "accuracy", coding, what, percent=True)
                beside = published.get(variant, {}).get(what) if coding == "repeat" else None
                if beside is not None:
                    measured = Cell(measured.seeds, measured.exact, measured.files, Published(beside, "paper"))
                cells[what] = measured
            rows.append(Row((coding, title_of(variant)), cells))
    return Table(
        "Accuracy of the note layer on held-out pieces (Figure 5)",
        shown,
        ("labels", "model"),
        tuple(
            Column(name, header, ".2f", of_paper if name in published["1L"] else None)
            for name, header in ACCURACIES.items()
        ),
        rows,
        (
            "The note layers of 2L and 3L are told the rhythm of the current beat (and bar), which helps.",
            'Repeat labels say "as one lookback ago" of most steps; these labels are events too.',
            "Of plain labels events are note-ons and note-offs.",
            "Published: read by eye off Figure 5 (one point); its label coding is not stated.",
        ),
    )


def table_guidance(measures: Measures, shown: Face) -> Table:
    """How well notes follow the profiles that are handed down, by who made the profiles."""
    rows = []
    for (variant, decoding), arm in measures.items():
        for condition in in_order(arm.names("guidance")):
            if not arm.names("guidance", condition):
                continue  # a model without profiles
            cells = {}
            for layer in ("beat", "bar"):
                where = ("guidance", condition, layer)
                cells[f"{layer}_followed"] = cell(arm, *where, "followed", percent=True)
                cells[f"{layer}_chance"] = cell(arm, *where, "chance", percent=True)
                cells[f"{layer}_hamming"] = cell(arm, *where, "hamming")
            for name in ("bars", "pitches"):
                of_tune = cell(arm, "tune", name, percent=True)
                cells[f"tune_{name}"] = of_tune if condition == TUNE else NOTHING
            rows.append(Row((title_of(variant), decoding, condition_title(condition)), cells))
    columns = []
    for layer, steps in (("beat", 4), ("bar", 16)):
        columns += [
            Column(f"{layer}_followed", f"{layer}s as told [%]", ".2f"),
            Column(f"{layer}_chance", f"by chance, {layer}s [%]", ".2f"),
            Column(f"{layer}_hamming", f"steps astray of {steps}", ".3f"),
        ]
    columns += [
        Column("tune_bars", "bars in the tune's very rhythm [%]", ".2f"),
        Column("tune_pitches", "notes with the tune's pitch [%]", ".2f"),
    ]
    return Table(
        "Guidance: clips whose own profile is the one that was handed down",
        shown,
        ("model", "decoding", "whose profiles"),
        tuple(columns),
        rows,
        (
            "By chance: the share expected if the same profiles were handed down in random order.",
            "The paper's drawings: 96 of 96 beats (Figure 6) and 21 of 24 bars (Figure 7) as told, read by eye.",
            "Several rhythms share one bar profile, so a bar may stray and still be as told.",
        ),
    )


def set_title(key: tuple[str, str]) -> tuple[str, str]:
    """The two key cells of a set of pieces."""
    titles = {REAL: ("corpus", "held out"), CORPUS: ("corpus", "training")}
    return titles.get(key, (title_of(key[0]), key[1]))


def table_structure(measures: Measures, shown: Face) -> Table:
    """Repetition of rhythm and of pitch, irregular bars, self-similarity, compression, copies."""
    arms = dict(sorted(measures.items(), key=lambda item: item[0] not in (CORPUS, REAL)))
    lags = list(dict.fromkeys(lag for arm in arms.values() for lag in arm.names("rhythm_repetition")))
    columns = [Column(f"rhythm_{lag}", f"same rhythm {lag} back [%]", ".1f") for lag in lags]
    columns.append(Column("rhythm_distance", "L1 from training", ".3f"))
    columns += [Column(f"pitch_{lag}", f"same notes {lag} back [%]", ".1f") for lag in lags]
    columns += [
        Column("pitch_distance", "L1 from training, notes", ".3f"),
        Column("irregular", "bars of unknown rhythm [%]", ".1f"),
        Column("similarity_distance", "self-similarity, mean distance", ".3f"),
        Column("compression", "compressed size", ".3f"),
        Column("copy", "longest copy [sixteenths]", ".1f"),
        Column("idle", "idle note-offs [%]", ".1f"),
    ]
    rows = []
    for key, arm in arms.items():
        cells = {
            f"{view}_{lag}": cell(arm, f"{view}_repetition", lag, percent=True)
            for view in ("rhythm", "pitch")
            for lag in lags
        }
        cells |= {
            "rhythm_distance": cell(arm, "rhythm_repetition_distance"),
            "pitch_distance": cell(arm, "pitch_repetition_distance"),
            "irregular": cell(arm, "irregular", percent=True),
            "similarity_distance": cell(arm, "self_similarity_distance"),
            "compression": cell(arm, "compression"),
            "copy": cell(arm, "longest_copy"),
            "idle": cell(arm, "idle_note_offs", percent=True),
        }
        rows.append(Row(set_title(key), cells))
    return Table(
        "Structure of composed pieces and of the corpus",
        shown,
        ("pieces", "decoding"),
        tuple(columns),
        rows,
        (
            "The corpus's pieces are cut to the length of the composed ones. Lags are in bars.",
            "Longest copy: the longest run of events shared with a training piece, the mean over pieces.",
            "Where it is far above that of held-out pieces, the model has learned tunes by heart.",
        ),
    )


def table_mgeval(cfg: Cfg, measures: Measures, shown: Face) -> Table:
    """Distances of features between sets, beside those of two halves of the real pieces."""
    rows = []
    for key, arm in measures.items():
        if key != REAL and key[1] != main_decoding(cfg):
            continue
        title = "corpus, other half" if key == REAL else title_of(key[0])
        for feature in arm.names("mgeval"):
            names = ("intra", "inter", "kld", "overlap")
            rows.append(Row((feature, title), {name: cell(arm, "mgeval", feature, name) for name in names}))
    order = list(dict.fromkeys(row.keys[0] for row in rows))
    rows.sort(key=lambda row: order.index(row.keys[0]))
    return Table(
        "Distances of pieces by feature (Yang and Lerch), within sets and to one half of the corpus",
        shown,
        ("feature", "pieces"),
        (
            Column("intra", "within the set", ".3f"),
            Column("inter", "to the corpus", ".3f"),
            Column("kld", "KL divergence", ".3f"),
            Column("overlap", "overlap area", ".3f"),
        ),
        rows,
        (
            f"Decoding: {main_decoding(cfg)}. As many pieces on both sides, all of one length.",
            "The other half of the corpus is what can be expected of a perfect model.",
            "A dash: all distances are equal or nearly so, there is no density.",
        ),
    )


def table_classifier(cfg: Cfg, measures: Measures, shown: Face) -> Table:
    """How well a small classifier tells composed from real pieces."""
    names = ("balanced_accuracy", "auc", "judged_real")
    rows = []
    for key, arm in measures.items():
        if key != CORPUS:
            cells = {name: cell(arm, "classifier", name, percent=name != "auc") for name in names}
            rows.append(Row(("corpus", "other half") if key == REAL else set_title(key), cells))
    heard = ", ".join(f"{row['what']} {row['share']:.2f} %" for row in cfg["published"]["judged_human"])
    return Table(
        "A small classifier asked which pieces are of the corpus",
        shown,
        ("pieces", "decoding"),
        (
            Column("balanced_accuracy", "balanced accuracy [%]", ".1f"),
            Column("auc", "area under the curve", ".3f"),
            Column("judged_real", "judged the corpus's [%]", ".1f"),
        ),
        rows,
        (
            "Logistic regression on features of pitch, rhythm and repetition; learned on one half, tested on the rest.",
            "50 % and 0.5 are chance.",
            f"No listener is replaced by it. The paper's listeners judged human (models with chords): {heard}.",
        ),
    )


DIFFERS = {
    "wide": "as many parameters as 3L",
    "off": "trained and tested on melodies without structure",
    "no-lookback": "no lookback",
    "bars": "the note layer looks back 16 and 32 sixteenths, not 4 and 8",
    "8-bars": "8 bar profiles, not 16",
    "50-bars": "50 bar profiles, not 16",
    "4-beats": "4 beat profiles, not 8",
    "exact-beats": "a beat profile for each rhythm of a beat",
}


def table_ablations(models: Models, shown: Face) -> Table:
    """Every model that differs from one of the paper's in one setting, beside those."""
    rows = []
    for variant, model in models.items():
        cells = likelihood_cells(model)
        for coding in CODINGS:
            for what in ("event", "no_event"):
                cells[f"{coding}_{what}"] = cell(model, "accuracy", coding, what, percent=True)
        base, _, change = variant.partition("-")
        keys = (title_of(base), DIFFERS.get(change, change) or "-")
        rows.append(Row(keys, cells | {"stopped": cell(model, "stopped_at")}))
    return Table(
        "Ablations",
        shown,
        ("model", "what differs"),
        (
            *LIKELIHOOD,
            *(
                Column(f"{coding}_{what}", f"{ACCURACIES[what].replace(' [%]', '')}, {coding} labels [%]", ".1f")
                for coding in CODINGS
                for what in ("event", "no_event")
            ),
            Column("stopped", "stopped at iteration", ",.0f"),
        ),
        rows,
        (
            TOLD,
            "Likelihoods in nats per sixteenth, plain labels. Sampling and beam search are compared by structure.",
            "No model was trained on melodies in their own keys, or on such as begin with a pickup.",
        ),
    )


def table_votes(cfg: Cfg, shown: Face) -> Table:
    """The paper's votes, and their p values computed again from the printed counts."""
    rows = []
    for row in cfg["published"]["votes"]:
        share, p = (Published(row[name], row["source"]) for name in ("share", "p"))
        cells = {
            "share": Cell(exact="counts not printed", published=share),
            "chi2": Cell(exact="-"),
            "p": Cell(exact="counts not printed", published=p),
            "ours": Cell(exact=LISTENERS),
        }
        counts = "not printed"
        if row["votes"] is not None:
            chi2, recomputed = vote_test(row["votes"], row["of"])
            counts = f"{row['votes']} of {row['of']}"
            cells["share"] = Cell(exact=100 * row["votes"] / row["of"], published=share)
            cells["chi2"] = Cell(exact=chi2)
            cells["p"] = Cell(exact=recomputed, published=p)
        rows.append(Row((row["ours"], row["other"], counts), cells))
    scores = ", ".join(f"{row['model']} {row['score']:.3f}" for row in cfg["published"]["scores"])
    return Table(
        "The paper's votes, with p values computed again",
        untrained(shown.edition, Data("the paper's printed counts")),
        ("preferred", "to", "votes"),
        (
            Column("share", "share [%]", ".2f"),
            Column("chi2", "chi-squared", ".4f"),
            Column("p", "p", ".4g"),
            Column("ours", "votes on our melodies", ""),
        ),
        rows,
        (
            '"Ours" of share and p is arithmetic on the printed counts: chi2 = (2k - n)^2 / n, one degree of freedom.',
            "317 of 435 are 72.9 %, printed as 72.6 %.",
            "Votes of one listener are not independent, which the test ignores.",
            f"Mean scores of 18 subjects (1 to 5): {scores}; 3L against 1L p = 0.00576. No listener was asked here.",
        ),
    )


def metrics_of(models: Models, measures: Measures) -> dict[str, dict[str, BySeed]]:
    """Model, or model and decoding -> metric -> seed -> value."""
    values = {
        variant: {"joint nll": model.at("nll", "joint"), "note nll": model.at("nll", "note")}
        for variant, model in models.items()
    }
    for (variant, decoding), arm in measures.items():
        names = {"rhythm distance": ("rhythm_repetition_distance",), "overlap": ("overlap",),
                 "judged real": ("classifier", "judged_real")}  # fmt: skip
        values[f"{variant}/{decoding}"] = {name: arm.at(*keys) for name, keys in names.items()}
    return values


TABLES: Tables = {
    "table-likelihood": table_likelihood,
    "table-accuracy": table_accuracy,
    "table-guidance": table_guidance,
    "table-structure": table_structure,
    "table-mgeval": table_mgeval,
    "table-classifier": table_classifier,
    "table-ablations": table_ablations,
    "table-votes": table_votes,
}


@stage
def tables(cfg: Cfg, job: Job, *, models: Inputs, measures: Inputs, tables: Outputs, metrics: Output) -> None:
    """All tables, and ``metrics.json``."""
    trained, measured = read_models(cfg, models), read_measures(cfg, measures)
    write_tables(TABLES, tables, cfg=cfg, models=trained, measures=measured, shown=face_of(cfg, trained))
    write_metrics(metrics, metrics_of(trained, measured))
    job.say(f"{len(trained)} models and {len(measured)} sets of pieces")


if __name__ == "__main__":
    main(tables)
