"""The tables: the paper's two main ones, and those of its ablations, whose numbers were not recovered."""

from __future__ import annotations

from collections.abc import Sequence

from tenfold.launcher import Cfg, Inputs, Job, Output, Outputs, main, stage
from tenfold.papers.video_captioning.report.results import (
    METRICS,
    NOT_MEASURED,
    TITLES,
    Arm,
    Arms,
    differs,
    read,
    weighted_length,
)
from tenfold.report.arms import face_of
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

NOT_RECOVERED = Published(None, "unknown")
COLUMNS = (
    Column("bleu4", "BLEU-4", ".2f"),
    Column("cider", "CIDEr", ".2f"),
    Column("meteor", "METEOR", ".2f"),
    Column("rouge", "ROUGE-L", ".2f"),
)
LENGTHS = (Column("length", "words", ".2f"), Column("distinct", "different [%]", ".1f"))
SCALE = "Scores times 100, by COCO's rules, without a tokeniser; METEOR 1.5 where its program and Java are."
ABLATION = "The paper's own numbers of this comparison were not recovered."


def scores(arm: Arm, how: str = "greedy", published: Published | None = None) -> dict[str, Cell]:
    """The scores of an arm's captions, their length and variety."""
    cells = {}
    for metric in METRICS:
        values = arm.at(how, metric, times=100)
        cells[metric] = Cell(values, None if values else NOT_MEASURED, arm.files, published)
    cells["length"] = Cell(arm.at(how, "length"), files=arm.files)
    return cells | {"distinct": Cell(arm.at(how, "distinct", times=100), files=arm.files)}


def rows_of(cfg: Cfg, arms: Arms, names: Sequence[str], *, behind: bool = False) -> list[Row]:
    """A row for each of the captioners that the edition trains; where wanted with how far free falls behind forced."""
    rows = []
    for name in (name for name in names if name in arms):
        cells = scores(arms[name], published=NOT_RECOVERED)
        if behind:
            cells["behind"] = Cell(arms[name].at("behind", times=100), files=arms[name].files)
        rows.append(Row((name, differs(cfg, name)), cells))
    return rows


def table_main(cfg: Cfg, captioners: Arms, shown: Face) -> Table:
    """The paper's comparison on MSVD, with ours: the last epoch, a beam, and the epoch that validation chooses."""
    rows = []
    for row in cfg["published"]["msvd"]:
        cells = {metric: Cell(exact="-", published=Published(row[metric], row["source"])) for metric in METRICS}
        rows.append(Row((row["model"], "published, MSVD"), cells))
    for name in ("full", "leaky"):
        if name in captioners:
            for how, title in (("greedy", "last epoch, greedy"), ("beam", "last epoch, beam"),
                               ("best", "best epoch on validation, greedy")):  # fmt: skip
                rows.append(Row((f"ours, {name}", title), scores(captioners[name], how)))
    return Table(
        "Captions of test clips (comparison on Youtube2Text)",
        shown,
        ("model", "decoding"),
        (*COLUMNS, *LENGTHS),
        rows,
        (SCALE, "Scores of CIDEr depend on the references of all clips: those of other data are not comparable."),
    )


def table_components(cfg: Cfg, captioners: Arms, shown: Face) -> Table:
    """What each of the paper's parts adds."""
    names = ("base", "no-tags", "mean-tags", "tags-alone", "beta-0", "static", "dynamic", "forced", "full", "leaky")
    others = "; ".join(
        f"{row['model']} {row['bleu4']:.1f} and {row['cider']:.1f}" for row in cfg["published"]["others"]
    )
    return Table(
        "Components",
        shown,
        ("captioner", "what differs"),
        (*COLUMNS, *LENGTHS),
        rows_of(cfg, captioners, names),
        (SCALE, ABLATION, f"In another's hands, on MSR-VTT, BLEU-4 and CIDEr: {others}."),
    )


def table_sampling(cfg: Cfg, captioners: Arms, shown: Face) -> Table:
    """How own words are fed: never, drawn, the likeliest, up to which probability."""
    return Table(
        "Scheduled sampling",
        shown,
        ("captioner", "what differs"),
        (*COLUMNS, Column("behind", "free behind forced [points]", ".2f"), *LENGTHS),
        rows_of(cfg, captioners, ("forced", "eps-0.2", "full", "eps-0.8", "argmax"), behind=True),
        (
            SCALE,
            ABLATION,
            "Free behind forced: right words from the fifth place on, after own words and after those of a reference.",
        ),
    )


def table_beta(cfg: Cfg, captioners: Arms, shown: Face) -> Table:
    """The exponent of the length by which a caption's loss is divided."""
    facts = captioners["full"].facts
    rows = []
    for row in rows_of(cfg, captioners, ("beta-0", "beta-0.35", "full", "beta-1")):
        weighted = weighted_length(facts["reference_lengths"], cfg["variants"][row.keys[0]]["beta"])
        rows.append(Row(row.keys, {**row.cells, "weighted": Cell(exact=weighted)}))
    return Table(
        "The exponent beta of the loss",
        shown,
        ("captioner", "what differs"),
        (*COLUMNS, *LENGTHS, Column("weighted", "words, references weighted", ".2f")),
        rows,
        (
            SCALE,
            ABLATION,
            f"References have {facts['reference_length']:.2f} words. The full captioner has beta 0.7.",
            "A caption counts with its length to the power of -beta: the larger beta, the more the short ones.",
            "Weighted so, the references have the words of the last column.",
        ),
    )


def table_tags(cfg: Cfg, captioners: Arms, tags: Arms, shown: Face) -> Table:
    """Mean average precision of tags on test clips by epochs, and what captions make of them."""
    rows = []
    kinds = ["all", *cfg["kinds"]]
    for name, net in tags.items():
        trivial = {kind: Cell(net.at("trivial", kind, times=100), files=net.files) for kind in kinds}
        rows.append(Row((name, "none: the same of all clips"), trivial))
        for epochs in sorted(next(iter(net.rows.values()))["map"], key=int):
            cells = {
                kind: Cell(net.at("map", epochs, kind, times=100), files=net.files,
                           published=NOT_RECOVERED if kind == "all" else None)
                for kind in kinds
            }  # fmt: skip
            told = [arm for arm, variant in cfg["variants"].items() if arm in captioners and
                    (variant["net"], variant["tags_after"], variant["tags"]) == (name, int(epochs), "net")]  # fmt: skip
            best = "full" if "full" in told else next(iter(told), "")
            if best:
                cells["cider"] = Cell(captioners[best].at("greedy", "cider", times=100), files=captioners[best].files)
            rows.append(Row((name, epochs), cells))
    return Table(
        "Tags of the semantic detection network",
        shown,
        ("network", "epochs"),
        (
            *(Column(kind, f"mAP, {kind} [%]", ".2f") for kind in kinds),
            Column("cider", "CIDEr of captions", ".2f"),
        ),
        rows,
        (
            ABLATION,
            "Of the tags that occur in test captions. Who says the same of all clips has the share of those with it.",
        )
        if rows
        else ("No tag network at this edition: tags are read off captions.",),
    )


def table_msr_vtt(cfg: Cfg, shown: Face) -> Table:
    """The paper's comparison on MSR-VTT, which no edition trains."""
    rows = [
        Row(
            (row["model"],),
            {
                metric: Cell(exact="-", published=Published(row[metric], row["source"]))
                for metric in (*METRICS, "overall")
            },
        )
        for row in cfg["published"]["msr_vtt"]
    ]
    return Table(
        "Comparison on MSR-VTT, as published",
        untrained(shown.edition, Data("the paper's printed numbers")),
        ("model",),
        (*COLUMNS, Column("overall", "overall", ".4f")),
        rows,
        ("Its training captions and features were not at hand; nothing of ours stands here.",),
    )


TABLES: Tables = {
    "table-main": table_main,
    "table-components": table_components,
    "table-sampling": table_sampling,
    "table-beta": table_beta,
    "table-tags": table_tags,
    "table-msr-vtt": table_msr_vtt,
}


@stage
def tables(cfg: Cfg, job: Job, *, captioners: Inputs, tags: Inputs, tables: Outputs, metrics: Output) -> None:
    """All tables, and ``metrics.json``."""
    arms, nets = read(cfg, captioners, "captioners"), read(cfg, tags, "tags")
    write_tables(TABLES, tables, cfg=cfg, captioners=arms, tags=nets, shown=face_of(cfg, arms))
    found = {
        name: {TITLES[metric]: arm.at("greedy", metric, times=100) for metric in METRICS}
        | {"words": arm.at("greedy", "length")}
        for name, arm in arms.items()
    }
    write_metrics(
        metrics, found | {f"tags/{name}": {"mAP": net.at("final", "all", times=100)} for name, net in nets.items()}
    )
    job.say(f"{len(arms)} captioners and {len(nets)} tag networks")


if __name__ == "__main__":
    main(tables)
