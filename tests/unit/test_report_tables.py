"""Tables say what was run, what was published and on what data, and give the same bytes each time."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tenfold.report.face import COUNTED, Data, Face
from tenfold.report.tables import (
    Cell,
    Column,
    Published,
    Row,
    Table,
    face_line,
    table_csv,
    table_latex,
    table_markdown,
    untrained,
    write_csv,
    write_table,
)

FACE = Face("small", Data("shapes-10", "CIFAR-10"), n=3, device="cpu", precision="bf16")
FILES = ["runs/small/x/metrics/ours-s0-2.json"]
TOP1 = {0: 81.0, 1: 82.0, 2: 81.3}


def table(face: Face = FACE) -> Table:
    return Table(
        title="Pruned nets",
        face=face,
        keys=["net", "method"],
        columns=[Column("top1", "top-1 (%)", ".2f"), Column("macs", "MACs", ",d")],
        rows=[
            Row(["ResNet-20", "ours_40 %"], {"top1": Cell(TOP1, files=FILES, published=Published(91.14, "paper"))}),
            Row(
                ["ResNet-20", "a|b & c"],
                {
                    "top1": Cell({0: 1 / 3}, files=FILES, published=Published(89.77, "memory")),
                    "macs": Cell(exact=40_551_552, files=FILES),
                },
            ),
            Row(["ResNet-56", "ours"], {"top1": Cell(published=Published(93.05, "repo"))}),
            Row(["ResNet-56", "other"], {"top1": Cell({0: 70.0, 1: 70.0})}),
        ],
    )


def csv_rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def markdown_rows(text: str) -> list[list[str]]:
    lines = [line.replace(r"\|", "¦") for line in text.splitlines() if line.startswith("|")]
    return [[part.strip() for part in line.strip("|").split("|")] for line in lines]


def test_markdown_prints_published_beside_ours_with_spread_and_n() -> None:
    header, _, first, second, third, fourth = markdown_rows(table_markdown(table()))
    assert header == ["net", "method", "top-1 (%), published on CIFAR-10", "top-1 (%), ours", "MACs"]
    assert first == ["ResNet-20", "ours_40 %", "91.14", "81.43 ± 0.51 (n 3)", "not run at small"]
    assert second == ["ResNet-20", "a¦b & c", "not recovered", "0.33 (n 1)", "40,551,552"]
    assert third == ["ResNet-56", "ours", "93.05", "not run at small", "not run at small"]
    assert fourth == ["ResNet-56", "other", "-", "70.00 ± 0.00 (n 2)", "not run at small"]


def test_csv_keeps_full_precision_and_the_spread() -> None:
    first, second, third, _ = csv_rows(table_csv(table()))
    assert float(first["top1"]) == np.mean(list(TOP1.values()))
    assert float(first["top1.sd"]) == np.std(list(TOP1.values()), ddof=1)
    assert (first["top1.n"], first["top1.published"], first["top1.source"]) == ("3", "91.14", "paper")
    assert second["top1"] == repr(1 / 3)
    assert (second["top1.sd"], second["top1.n"], second["macs"]) == ("", "1", "40551552")
    assert third["top1"] == "not run at small"


def test_a_number_from_memory_is_in_no_form_of_the_table(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("t.csv", "t.md", "t.tex", "t.cells.json")]
    write_table(table(), paths)
    for path in paths:
        text = path.read_text()
        assert "89.77" not in text
        assert path.suffix == ".json" or "not recovered" in text


@pytest.mark.parametrize("form", [table_csv, table_markdown, table_latex])
def test_each_form_names_edition_data_standin_device_and_precision(form: object) -> None:
    text = form(table())  # type: ignore[operator]
    for fact in ("small", "shapes-10 (stand-in for CIFAR-10)", "cpu", "bf16"):
        assert fact in text


def test_real_data_are_not_called_a_standin() -> None:
    text = table_markdown(table(Face("real", Data("cifar-10"), n=5, device="cpu", precision="fp32")))
    assert "stand-in" not in text
    assert "top-1 (%), published |" in text
    assert "n = 5 seeds" in text
    assert "not run at real" in text


def test_a_column_on_other_data_says_so() -> None:
    other = replace(table(), columns=[Column("top1", "error", ".2f", Data("shapes-100", "CIFAR-100"))], rows=[])
    text = table_markdown(
        replace(other, rows=[Row(["a", "b"], {"top1": Cell(TOP1, published=Published(1.0, "paper"))})])
    )
    assert markdown_rows(text)[0][2:] == ["error, published on CIFAR-100", "error, shapes-100, ours"]
    assert "shapes-100 (stand-in for CIFAR-100)" in text


def test_latex_is_a_booktabs_table_with_everything_escaped() -> None:
    text = table_latex(table())
    rules = [text.index(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")]
    assert rules == sorted(rules)
    body = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(body) == 5
    assert all(line.replace(r"\&", "").count("&") == 4 for line in body)
    assert r"ours\_40 \%" in text
    assert r"a|b \& c" in text
    assert r"81.43 $\pm$ 0.51 (n 3)" in text
    assert "±" not in text
    unescaped = text.replace(r"\%", "").replace(r"\_", "").replace(r"\&", "")
    assert "%" not in unescaped
    assert "_" not in unescaped
    assert text.count("{") == text.count("}")


def test_lineage_leads_from_each_cell_to_its_files_and_seeds(tmp_path: Path) -> None:
    write_table(table(), [tmp_path / "t.cells.json"])
    cells = json.loads((tmp_path / "t.cells.json").read_text())["cells"]
    assert [(cell["row"][1], cell["column"]) for cell in cells] == [
        ("ours_40 %", "top1"),
        ("a|b & c", "top1"),
        ("a|b & c", "macs"),
        ("other", "top1"),
    ]
    assert cells[0]["files"] == FILES
    assert (cells[0]["seeds"], cells[0]["values"], cells[0]["resolution"]) == ([0, 1, 2], [81.0, 82.0, 81.3], 0.01)
    assert (cells[2]["seeds"], cells[2]["exact"], cells[2]["resolution"]) == ([], 40_551_552, 1.0)


def test_equal_tables_give_equal_bytes_whatever_the_order_of_seeds_and_the_float_type(tmp_path: Path) -> None:
    names = ("t.csv", "t.md", "t.tex", "t.cells.json")
    write_table(table(), [tmp_path / name for name in names])
    shuffled = table()
    reordered = Cell(
        {2: np.float64(81.3), 0: np.float64(81.0), 1: 82.0}, files=FILES, published=Published(91.14, "paper")
    )
    shuffled = replace(shuffled, rows=[Row(shuffled.rows[0].keys, {"top1": reordered}), *shuffled.rows[1:]])
    write_table(shuffled, [tmp_path / f"again-{name}" for name in names])
    for name in names:
        assert (tmp_path / name).read_bytes() == (tmp_path / f"again-{name}").read_bytes()


def test_floats_are_written_so_that_they_read_back_the_same(tmp_path: Path) -> None:
    values = [math.pi, np.float32(0.1), np.float64(1e-17), 3]
    write_csv(tmp_path / "t.times.csv", ["value"], [[value] for value in values])
    text = (tmp_path / "t.times.csv").read_text()
    assert text == f"value\n3.141592653589793\n{float(np.float32(0.1))!r}\n1e-17\n3\n"


def test_a_row_that_does_not_fit_and_an_unknown_suffix_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not fit the columns"):
        replace(table(), rows=[Row(["a", "b"], {"top2": Cell(TOP1)})])
    with pytest.raises(ValueError, match="does not fit the columns"):
        replace(table(), rows=[Row(["a"], {})])
    with pytest.raises(ValueError, match="written as"):
        write_table(table(), [tmp_path / "t.xlsx"])


def test_a_difference_may_be_printed_with_its_interval() -> None:
    columns = [Column("change", "change", "+.2f", interval=True)]
    shown = replace(table(), columns=columns, rows=[
        Row(["a", "b"], {"change": Cell({0: 1.0, 1: 2.0, 2: 3.0})}),
        Row(["a", "c"], {"change": Cell({0: 1.0})}),
    ])  # fmt: skip
    text = table_markdown(shown)
    half = 4.302653 / math.sqrt(3)  # Student's t for two degrees of freedom, sd 1
    assert f"+2.00 [{2 - half:+.2f}, {2 + half:+.2f}] (n 3)" in text
    assert " +1.00 (n 1) |" in text
    assert "In brackets: 95 % interval" in text
    assert "standard deviation" not in text


def test_only_a_mean_has_a_sign() -> None:
    gains = replace(
        table(),
        columns=[Column("gain", "gain", "+.2f")],
        rows=[Row(["ResNet-20", "ours"], {"gain": Cell({0: 1.0, 1: 2.0, 2: 3.0})})],
    )
    assert "+2.00 ± 1.00 (n 3)" in table_markdown(gains)


def test_a_count_is_of_no_data() -> None:
    counted = replace(
        table(),
        columns=[Column("params", "parameters", ",d", COUNTED)],
        rows=[Row(["a", "b"], {"params": Cell(exact=1234, published=Published("1.2k", "paper"))})],
    )
    text = table_markdown(counted)
    assert markdown_rows(text)[0][2:] == ["parameters, published", "parameters, ours"]
    assert text.count("counted") == 0
    assert csv_rows(table_csv(counted))[0]["data"] == "none: counted on shapes alone"


def test_what_no_training_enters_names_no_seeds() -> None:
    assert face_line(untrained("small")) == "Edition small; data none: counted on shapes alone; nothing trained"
    assert face_line(untrained("real", Data("votes"))) == "Edition real; data votes; nothing trained"
