"""Evidence that claims declare: what the entry says is compared, and a wrong entry is one line before any run."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tenfold import config
from tenfold.errors import UserError
from tenfold.files import write_json
from tenfold.report.arms import Arm, Of, each_of, joined, read_arms, read_each
from tenfold.report.evidence import Evidence, NetArms, Paired, by_net, gather
from tenfold.workflow import House

ACCURACY = {"name": "accuracy", "of": "accuracy", "as": "percent", "unit": "points", "better": "higher"}
ERROR = {"name": "error", "of": "accuracy", "as": "error", "unit": "points", "better": "lower"}
NLL = {"name": "nll", "of": "nll.joint", "as": "number", "unit": "nats", "better": "lower", "title": "likelihood"}


def arm(net: str, name: str, accuracy: float) -> Arm:
    rows = {seed: {"seed": seed, "accuracy": accuracy + seed / 100, "nll": {"joint": 2 + seed}} for seed in (0, 1)}
    return Arm(net, name, rows)


NETS = by_net(
    {
        (net, name): arm(net, name, accuracy)
        for net, name, accuracy in (
            ("small", "plain", 0.5),
            ("small", "ours", 0.75),
            ("large", "plain", 0.25),
            ("large", "ours", 0.5),
            ("large", "rival", 0.125),
        )
    }
)


def measured(evidence: dict[str, Any], nets: list[NetArms] = NETS, **words: Any) -> Evidence:
    claim = {"id": "C1", "editions": ["real"], "evidence": {"measure": ACCURACY} | evidence}
    return gather({"edition": "real", "claims": [claim]}, nets, **words)["C1"]


def cells(evidence: Evidence) -> list[Paired]:
    assert evidence.reason == ""
    assert all(isinstance(cell, Paired) for cell in evidence.cells)
    return [cell for cell in evidence.cells if isinstance(cell, Paired)]


def labels(evidence: Evidence) -> list[str]:
    return [cell.label for cell in cells(evidence)]


def test_the_first_net_is_meant_and_seeds_are_kept_apart() -> None:
    found = measured({"of": [["ours", "plain"]]})
    assert cells(found) == [Paired("ours against plain", {0: 75.0, 1: 76.0}, {0: 50.0, 1: 51.0}, "higher")]
    assert found.unit == "points"


def test_an_error_is_what_an_accuracy_lacks_and_lower_is_better() -> None:
    (cell,) = cells(measured({"measure": ERROR, "of": [["ours", "plain"]]}))
    assert (cell.ours, cell.other, cell.better) == ({0: 25.0, 1: 24.0}, {0: 50.0, 1: 49.0}, "lower")


def test_a_number_deep_in_a_row_is_taken_as_it_is() -> None:
    found = measured({"measure": NLL, "of": [["ours", "plain"]], "better": "higher", "cells": ["{measure} of {ours}"]})
    assert cells(found) == [Paired("likelihood of ours", {0: 2.0, 1: 3.0}, {0: 2.0, 1: 3.0}, "higher")]
    assert found.unit == "nats"


def test_all_nets_are_those_that_have_both_arms() -> None:
    both = measured({"of": [["ours", "plain"]], "nets": "all"}, cell="{net}")
    assert labels(both) == ["small", "large"]
    assert labels(measured({"of": [["ours", "rival"]], "nets": "all"}, cell="{net}")) == ["large"]
    none = measured({"of": [["ours", "nobody"]], "nets": "all"}, title=str.upper)
    assert (none.cells, none.reason) == ((), "not run: a pair of arms 'OURS' and 'NOBODY'")


def test_named_nets_must_all_be_there_unless_they_may_be_left_out() -> None:
    pairs = {"of": [["ours", "plain"], ["ours", "rival"]]}
    strict = measured(pairs | {"nets": ["small", "huge"]})
    assert strict.reason == "not run: huge and rival"
    lenient = measured(pairs | {"nets": ["huge", "large", "small"], "untrained": "skip"}, cell="{other}, {net}")
    assert labels(lenient) == ["plain, small", "plain, large", "rival, large"]
    assert measured(pairs | {"untrained": "skip"}, cell="{other}").cells[0].label == "plain"


def test_one_arm_that_is_missing_makes_the_whole_claim_not_testable() -> None:
    found = measured({"of": [["ours", "plain"], ["ours", "rival"]]})
    assert (found.cells, found.reason) == ((), "not run: rival")


def test_an_arm_may_be_compared_with_itself_by_another_measure() -> None:
    sides = {"ours": ERROR, "other": ACCURACY}
    (cell,) = cells(measured({"measure": sides, "of": ["ours"], "cells": ["{ours}, {net}"]}))
    assert cell == Paired("ours, small", {0: 25.0, 1: 24.0}, {0: 75.0, 1: 76.0}, "lower")


def test_of_several_measures_each_is_a_cell() -> None:
    found = measured({"measure": [ACCURACY, NLL], "of": [["ours", "plain"]], "cells": ["{measure}"]})
    assert labels(found) == ["accuracy", "likelihood"]


def test_what_the_rows_lack_is_named_with_what_they_have() -> None:
    with pytest.raises(UserError, match=r"claim C1: ours, seed 0: no 'nll\.total' .* 'total' should be there is joint"):
        measured({"measure": NLL | {"of": "nll.total"}, "of": [["ours", "plain"]]})


def test_claims_that_an_edition_does_not_test_are_not_measured() -> None:
    evidence = {"measure": NLL | {"of": "nowhere"}, "of": [["ours", "plain"]]}
    claim = {"id": "C1", "editions": ["full"], "evidence": evidence}
    assert gather({"edition": "real", "claims": [claim, {"id": "C2", "editions": ["real"]}]}, NETS) == {}


def test_what_is_measured_in_code_is_not_declared_beside_it() -> None:
    special = {"C2": Evidence(reason="none")}
    claims = [{"id": "C1", "editions": ["real"], "evidence": {"measure": ACCURACY, "of": [["ours", "plain"]]}}]
    assert list(gather({"edition": "real", "claims": claims}, NETS, special=special)) == ["C2", "C1"]
    with pytest.raises(UserError, match=r"claim C1: it declares its evidence, and verdicts\.py measures it"):
        gather({"edition": "full", "claims": claims}, NETS, special={"C1": Evidence(reason="none")})


def test_what_else_was_measured_of_an_arm_stands_under_its_own_name() -> None:
    trained, probed = {"a": arm("n", "a", 0.5), "b": arm("n", "b", 0.5)}, {"a": arm("n", "a", 0.25)}
    found = joined(trained, probed, "probe")
    assert found["a"].rows[1]["probe"]["accuracy"] == 0.26
    assert found["a"].rows[1]["accuracy"] == 0.51
    assert "probe" not in found["b"].rows[0]
    assert "probe" not in trained["a"].rows[0]


# Files and what they are of -----------------------------------------------------------------------------------------


def metrics(folder: Path, **head: Any) -> Path:
    path = folder / f"{len(list(folder.iterdir()))}.json"
    write_json(path, head | {"device": "cpu", "rows": [{"seed": 0, "accuracy": 0.5}]})
    return path


def test_net_and_arm_are_those_that_the_configuration_lists(tmp_path: Path) -> None:
    of: list[Of] = [{"net": "small", "arm": "ours", "data": "d"}, {"net": "small", "arm": "plain", "data": "d"}]
    paths = [metrics(tmp_path, arm="ours", data="d"), metrics(tmp_path)]  # heads need not say it
    assert list(read_arms(paths, of, Arm)) == [("small", "ours"), ("small", "plain")]


@pytest.mark.parametrize(
    ("head", "fault"),
    [
        ({"arm": "plain"}, "its arm is 'plain', but 'ours' was asked for"),
        ({"arm": "ours", "data": "e"}, "its data is 'e', but 'd' was asked for"),
        ({"net": "large"}, "its net is 'large', but 'small' was asked for"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, head: dict[str, str], fault: str) -> None:
    of = [{"net": "small", "arm": "ours", "data": "d"}]
    path = metrics(tmp_path, **head)
    for read in (lambda: read_arms([path], of, Arm), lambda: list(read_each([path], of))):
        with pytest.raises(UserError, match=fault):
            read()


def test_more_files_than_the_configuration_lists_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="2 files were given, but the configuration says of 1 what they are of"):
        each_of([tmp_path / "a", tmp_path / "b"], [{"net": "small"}])


# Mistakes in the configuration --------------------------------------------------------------------------------------


@pytest.fixture
def sge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[[str, str], str]]:
    """Plans SGE's verdicts with its configuration edited, and gives the one line that is said of it."""
    text = (config.CONFIG / "papers" / "sge.yaml").read_text()
    shutil.copytree(config.CONFIG, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(config, "CONFIG", tmp_path)

    def mistake(old: str, new: str) -> str:
        assert text.count(old) == 1
        (tmp_path / "papers" / "sge.yaml").write_text(text.replace(old, new))
        config.paper.cache_clear()
        with pytest.raises((UserError, SystemExit)) as caught:
            House({}).paper("sge").params("report.verdicts.claims")["cfg"](SimpleNamespace(edition="small"))
        said: str = capsys.readouterr().err.rstrip("\n") or str(caught.value)
        return said

    yield mistake
    config.paper.cache_clear()


C4 = "{ measure: accuracy, of: [[sge, se], [sge, bam], [sge, sk]], untrained: skip }"


@pytest.mark.parametrize(
    ("wrong", "parts"),
    [
        (C4.replace("accuracy", "exactness"), ["C4", "'exactness' is no measure; allowed: accuracy"]),
        (C4.replace("bam", "bma"), ["C4", "'bma' is no arm; allowed: plain, sge, sge-g8", "cbam"]),
        (C4.replace(" }", ", nets: [resnet152] }"), ["C4", "'resnet152' is no net; allowed: resnet8-c16, "]),
        (C4.replace(" }", ", cells: [one] }"), ["C4", "cells: one label for each of 'of' is needed"]),
        (C4.replace(" }", ", cells: ['{arm}', b, c] }"), ["evidence.cells.0", "'{arm}' does not match"]),
        (C4.replace(" }", ", of_nets: all }"), ["evidence", "unknown key 'of_nets'; allowed: better, cells, measure"]),
        (C4.replace(" }", ", better: more }"), ["better", "'more' is not allowed; allowed: higher, lower"]),
        ("{ of: [[sge, se]] }", ["evidence", "'measure' is missing"]),
    ],
)
def test_wrong_evidence_is_one_clear_line_before_anything_runs(
    sge: Callable[[str, str], str], wrong: str, parts: list[str]
) -> None:
    said = sge(C4, wrong)
    assert "\n" not in said
    assert "papers/sge.yaml" in said
    for part in parts:
        assert part in said


@pytest.mark.parametrize("slug", config.papers())
def test_every_claim_that_can_be_tested_has_evidence_of_arms_that_there_are(slug: str) -> None:
    for edition in config.EDITIONS:
        House({}).paper(slug).params("report.verdicts.claims")["cfg"](SimpleNamespace(edition=edition))
