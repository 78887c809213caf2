"""Faces: the drawn stand-in against its off switch, the sides of CelebAMask, and Helen in a made-up tree."""

from __future__ import annotations

import ast
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file

from tenfold import registry
from tenfold.books import data_remote
from tenfold.data import celebamask, faces, helen
from tenfold.data.faces import BACKGROUND, BROW, EYE, INNER_MOUTH, LOWER_LIP, NOSE, PARTS, UPPER_LIP
from tenfold.data.prepare_faces import prepare
from tenfold.errors import UserError
from tenfold.files import sha256
from tenfold.launcher import Job

Map = NDArray[np.uint8]
THIN = (BROW, BROW + 1, UPPER_LIP, LOWER_LIP)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(resume=tmp_path / "resume")


def drawn(name: str = "faces", **changes: Any) -> dict[str, Map]:
    few = {"train": 40, "val": 1, "test": 1}
    return faces.generate(registry.cfg_of(name)["prepare"] | few | changes)


def f_measure(truth: Map, found: Map, part: int) -> float:
    return float(2 * ((truth == part) & (found == part)).sum() / ((truth == part).sum() + (found == part).sum()))


# The stand-in


def test_smoke_faces_have_the_recorded_bytes(tmp_path: Path, job: Job) -> None:
    prepare({"dataset": registry.cfg_of("faces-smoke")}, job, dataset=tmp_path / "faces")
    assert sha256(tmp_path / "faces") == registry.dataset("faces-smoke").sha256
    with safe_open(tmp_path / "faces", "numpy") as file:
        assert json.loads(file.metadata()["faces"]) == {"name": "faces-smoke", "parts": list(PARTS)}
    tensors = load_file(tmp_path / "faces")
    assert tensors["train_images"].shape == (40, 64, 64, 3)
    assert tensors["test_labels"].shape == (10, 64, 64)
    assert {tensor.dtype for tensor in tensors.values()} == {np.dtype(np.uint8)}


def test_other_bytes_are_refused(tmp_path: Path, job: Job) -> None:
    cfg = registry.cfg_of("faces-smoke") | {"sha256": "0" * 64}
    with pytest.raises(UserError, match=r"^faces-smoke: what was prepared has other bytes than recorded \(sha256"):
        prepare({"dataset": cfg}, job, dataset=tmp_path / "faces")


def test_only_integers_are_used() -> None:
    tree = ast.parse(Path(faces.__file__).read_text(encoding="utf-8"))
    operators = [type(node.op) for node in ast.walk(tree) if isinstance(node, ast.BinOp)]
    assert ast.Div not in operators
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, float)]


@pytest.mark.parametrize("degrees", range(16))
def test_sines_and_cosines_are_those_of_the_angles(degrees: int) -> None:
    turn = np.deg2rad(degrees)
    assert faces.SINES[degrees] == round(4096 * np.sin(turn))
    assert faces.COSINES[degrees] == round(4096 * np.cos(turn))


def test_splits_and_seeds_share_no_face_and_more_faces_begin_alike() -> None:
    one, more, other = drawn(), drawn(train=60), drawn(seed=2)
    assert np.array_equal(one["train_images"], more["train_images"][:40])
    pictures = [*one["train_images"], *one["val_images"], *one["test_images"], *other["train_images"]]
    assert len({picture.tobytes() for picture in pictures}) == 82


def test_every_part_is_seen_on_its_side_below_or_above_the_others() -> None:
    labels = drawn(covered=0)["train_labels"]
    present = np.stack([(labels == part).any(axis=(1, 2)) for part in range(BACKGROUND)])
    assert present[[part for part in range(BACKGROUND) if part != INNER_MOUTH]].all()
    assert 0 < present[INNER_MOUTH].sum() < 40
    for face in labels:
        x = {part: np.nonzero(face == part)[1].mean() for part in (BROW, BROW + 1, EYE, EYE + 1, NOSE)}
        y = {part: np.nonzero(face == part)[0].mean() for part in (BROW, EYE, NOSE, UPPER_LIP, LOWER_LIP)}
        assert x[BROW] < x[NOSE] < x[BROW + 1]
        assert x[EYE] < x[NOSE] < x[EYE + 1]
        assert list(y.values()) == sorted(y.values())


def test_what_hides_a_face_hides_its_labels_and_glasses_do_not() -> None:
    seen, covered = drawn(covered=0), drawn(covered=100)
    fewer = [(mask != BACKGROUND).sum() < (whole != BACKGROUND).sum()
             for mask, whole in zip(covered["train_labels"], seen["train_labels"], strict=True)]  # fmt: skip
    changed = (seen["train_images"] != covered["train_images"]).any(axis=(1, 2, 3))
    assert changed.all()
    assert 10 < sum(fewer) < 30  # of 40, half wear glasses
    assert (covered["train_labels"] == seen["train_labels"])[~np.array(fewer)].all()


def lost_at_a_quarter(**changes: Any) -> dict[int, float]:
    """1 - F of the best labelling in blocks of 4 x 4 pixels, part by part."""
    truth = drawn(**changes)["train_labels"]
    blocks = (truth[..., None] == np.arange(len(PARTS))).reshape(-1, 32, 4, 32, 4, len(PARTS)).sum(axis=(2, 4))
    found = blocks.argmax(axis=-1).repeat(4, axis=1).repeat(4, axis=2).astype(np.uint8)
    return {part: 1 - f_measure(truth, found, part) for part in range(BACKGROUND)}


def test_a_quarter_of_the_size_loses_thin_parts_and_thick_ones_no_more_than_the_nose() -> None:
    thin, thick = lost_at_a_quarter(), lost_at_a_quarter(thickness=300)
    assert registry.cfg_of("faces-thick")["prepare"] == registry.cfg_of("faces")["prepare"] | {"thickness": 300}
    assert min(thin[part] for part in THIN) > 2 * thin[NOSE]
    assert max(thick[part] for part in THIN) < 0.17
    assert max(thick[part] for part in THIN) - thick[NOSE] < 0.03


def test_thin_parts_are_a_few_pixels_thin() -> None:
    labels = drawn(covered=0, turn=0)["train_labels"]
    for part in THIN:
        columns = (labels == part).sum(axis=1)
        assert 2 <= np.median(columns[columns > 0]) <= 4


# CelebAMask


def spots(*placed: tuple[int, int]) -> Map:
    """A label map 9 x 9 with a part at some column each."""
    labels = np.full((9, 9), BACKGROUND, dtype=np.uint8)
    for row, (part, column) in enumerate(placed):
        labels[row, column] = part
    return labels


@pytest.mark.parametrize(
    ("placed", "sides"),
    [
        ([(EYE, 2), (EYE + 1, 6)], [(EYE, 2), (EYE + 1, 6)]),
        ([(EYE, 6), (EYE + 1, 2)], [(EYE + 1, 6), (EYE, 2)]),
        ([(BROW, 6), (BROW + 1, 2), (EYE, 1), (EYE + 1, 3)], [(BROW + 1, 6), (BROW, 2), (EYE, 1), (EYE + 1, 3)]),
        ([(NOSE, 4), (EYE, 6)], [(NOSE, 4), (EYE + 1, 6)]),
        ([(NOSE, 4), (EYE, 2)], [(NOSE, 4), (EYE, 2)]),
        ([(NOSE, 4), (BROW + 1, 3)], [(NOSE, 4), (BROW, 3)]),
        ([(NOSE, 1), (BROW, 3)], [(NOSE, 1), (BROW + 1, 3)]),
        ([(EYE + 1, 1)], [(EYE, 1)]),
        ([(NOSE, 4)], [(NOSE, 4)]),
    ],
)
def test_sides_are_those_of_the_image(placed: list[tuple[int, int]], sides: list[tuple[int, int]]) -> None:
    assert np.array_equal(celebamask.image_sides(spots(*placed)), spots(*sides))


@given(arrays(np.uint8, (6, 8), elements=st.integers(0, BACKGROUND)))
def test_mirroring_a_map_mirrors_its_sides(labels: Map) -> None:
    """Where both of a pair are there and apart: a mirrored map is the mirror image with left and right exchanged."""
    apart = all(celebamask.mean_x(labels, left) != celebamask.mean_x(labels, left + 1) for left in (BROW, EYE))
    both = all((labels == part).any() for part in (BROW, BROW + 1, EYE, EYE + 1))
    exchange = np.array([1, 0, 3, 2, 4, 5, 6, 7, 8], dtype=np.uint8)
    one, two = celebamask.image_sides(labels), celebamask.image_sides(labels[:, ::-1])
    if apart and both:
        assert np.array_equal(exchange[one][:, ::-1], two)
    assert np.array_equal(celebamask.image_sides(one), one)


def test_classes_become_parts() -> None:
    # l_eye stands left of r_eye, l_brow of r_brow: nothing to exchange.
    classes = np.arange(19, dtype=np.uint8)[None]
    assert celebamask.parts_of(classes).tolist() == [[8, 8, 4, 8, 2, 3, 0, 1, 8, 8, 6, 5, 7, 8, 8, 8, 8, 8, 8]]


def test_smaller_maps_keep_lines_that_every_second_pixel_would_lose() -> None:
    labels = np.full((16, 16), BACKGROUND, dtype=np.uint8)
    labels[1:16:2] = NOSE  # nearest neighbours would have all or nothing of it
    shrunk = celebamask.resized_labels(labels, 8)
    assert set(np.unique(shrunk)) <= {NOSE, BACKGROUND}
    assert celebamask.resized_labels(labels, 16) is labels
    thin = np.full((64, 64), BACKGROUND, dtype=np.uint8)
    thin[21:24] = UPPER_LIP  # three pixels, of which nearest neighbours at a quarter of the size meet one line or none
    assert (celebamask.resized_labels(thin, 32) == UPPER_LIP).any(axis=0).all()


def made_up_celebamask(folder: Path, n: int, side: int = 208) -> Path:
    generator = np.random.default_rng(0)
    files = folder / "celebamask-mini" / "dev-public" / "train"
    (files / "images").mkdir(parents=True)
    (files / "masks").mkdir()
    for k in range(n):
        coarse = generator.integers(0, 256, (13, 13, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((side, side)).save(files / "images" / f"{k}.jpg")
        classes = generator.integers(0, 19, (13, 13), dtype=np.uint8).repeat(side // 13, 0).repeat(side // 13, 1)
        Image.fromarray(classes).resize((side, side), Image.Resampling.NEAREST).save(files / "masks" / f"{k}.png")
    return files


FEW = {"kind": "celebamask", "side": 104, "train": 2, "val": 1, "test": 1}


def content_of(folder: Path, job: Job) -> str:
    with pytest.raises(UserError, match="these are not the known faces") as error:
        celebamask.read(folder, FEW | {"content": "none"}, job)
    assert "\n" not in str(error.value)
    return str(error.value).partition("digest ")[2].partition(" ")[0]


def test_other_faces_than_the_known_ones_are_refused(tmp_path: Path, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    files = made_up_celebamask(tmp_path, 4)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TENFOLD_MIRROR", str(tmp_path))
    cfg = registry.cfg_of("celebamask-mini")
    with pytest.raises(UserError, match=r"images: 4 pictures \*\.jpg instead of 1000"):
        prepare({"dataset": cfg}, job, dataset=tmp_path / "faces")
    settings = FEW | {"content": content_of(tmp_path / "celebamask-mini", job)}
    prepare({"dataset": cfg | {"prepare": settings, "sha256": None}}, job, dataset=tmp_path / "faces")
    tensors = load_file(tmp_path / "faces")
    assert tensors["train_images"].shape == (2, 104, 104, 3)
    with Image.open(files / "masks" / "3.png") as mask:
        third = celebamask.resized_labels(celebamask.parts_of(np.asarray(mask)), 104)
    assert np.array_equal(tensors["test_labels"][0], third)
    with Image.open(files / "images" / "2.jpg") as image:
        assert np.array_equal(tensors["val_images"][0], np.asarray(image.resize((104, 104), Image.Resampling.BICUBIC)))


def test_faces_as_published_give_what_their_small_copy_gives(tmp_path: Path, job: Job) -> None:
    published, copy = tmp_path / "published", tmp_path / "copy"
    files = made_up_celebamask(published, 4, side=416)
    small = made_up_celebamask(copy, 0)
    for path in files.glob("images/*"):
        with Image.open(path) as image:
            shrunk = image.resize((208, 208), Image.Resampling.LANCZOS)
        shrunk.save(small / "images" / path.name, quality=90, optimize=True)  # other bytes, the same pixels
        with Image.open(files / "masks" / f"{path.stem}.png") as mask:
            mask.resize((208, 208), Image.Resampling.NEAREST).save(small / "masks" / f"{path.stem}.png")
    one, two = (folder / "celebamask-mini" for folder in (published, copy))
    assert content_of(one, job) == content_of(two, job)


def break_class(files: Path) -> None:
    Image.fromarray(np.full((208, 208), 19, dtype=np.uint8)).save(files / "masks" / "1.png")


def break_mask_size(files: Path) -> None:
    Image.fromarray(np.zeros((104, 104), dtype=np.uint8)).save(files / "masks" / "1.png")


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (break_class, r"masks/1\.png: is not a map of the 19 classes of CelebAMask-HQ for 1\.jpg"),
        (break_mask_size, r"masks/1\.png: is not a map of the 19 classes"),
        (lambda files: (files / "masks" / "1.png").unlink(), r"masks/1\.png: no such file; each picture has a mask"),
        (lambda files: (files / "images" / "1.jpg").write_text("<html>"), "not a whole picture"),
    ],
)
def test_a_broken_face_is_named(broken: Any, said: str, tmp_path: Path, job: Job) -> None:
    broken(made_up_celebamask(tmp_path, 4))
    with pytest.raises(UserError, match=said) as error:
        celebamask.read(tmp_path / "celebamask-mini", FEW | {"content": "none"}, job)
    assert "\n" not in str(error.value)


def test_the_real_faces_are_the_known_ones_and_have_their_sides(tmp_path: Path, job: Job) -> None:
    folder = Path(os.environ.get("TENFOLD_MIRROR", "/nonexistent"), "celebamask-mini")
    if not folder.is_dir():
        pytest.skip("needs TENFOLD_MIRROR with celebamask-mini/")
    labels = celebamask.read(folder, registry.cfg_of("celebamask-mini")["prepare"], job)["train_labels"]
    for face in labels:
        for left in (BROW, EYE):
            if (face == left).any() and (face == left + 1).any():
                assert celebamask.mean_x(face, left) < celebamask.mean_x(face, left + 1)


# Helen


def made_up_helen(folder: Path) -> Path:
    """Four faces in the publisher's layout: the first 6 x 4 pixels (H, W), the others 4 x 4."""
    root = folder / "helen"
    (root / "images").mkdir(parents=True)
    listed = {"exemplars.txt": ["10_1", "11_1"], "tuning.txt": ["12_1"], "testing.txt": ["13_1"]}
    for file, names in listed.items():
        (root / file).write_text("".join(f"{number} , {name}\n" for number, name in enumerate(names, start=1)))
        for name in names:
            size = (6, 4) if name == "10_1" else (4, 4)
            Image.fromarray(np.full((*size, 3), 200, dtype=np.uint8)).save(root / "images" / f"{name}.jpg")
            (root / "labels" / name).mkdir(parents=True)
            for number in range(11):
                soft = np.zeros(size, dtype=np.uint8)
                soft[0, 0] = {6: 50, 1: 205}.get(number, 0)  # the nose, not above the threshold: background
                soft[0, 1] = {6: 51, 1: 204}.get(number, 0)  # the nose
                soft[0, 2] = {2: 90, 4: 100, 0: 65}.get(number, 0)  # the left eye
                soft[1, 0] = {3: 255}.get(number, 0)
                soft[1, 1] = {7: 255}.get(number, 0)
                soft[1, 2] = {8: 255}.get(number, 0)
                soft[1, 3] = {9: 255}.get(number, 0)
                soft[2, 0] = {10: 255}.get(number, 0)  # hair
                Image.fromarray(soft).save(root / "labels" / name / f"{name}_lbl{number:02}.png")
    return root


HELEN = {"kind": "helen", "canvas": 8, "threshold": 50, "train": 2, "val": 1, "test": 1}


def test_helen_is_read_in_the_publishers_layout(
    tmp_path: Path, job: Job, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made_up_helen(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TENFOLD_MIRROR", str(tmp_path))
    prepare({"dataset": registry.cfg_of("helen") | {"prepare": HELEN}}, job, dataset=tmp_path / "faces")
    tensors = load_file(tmp_path / "faces")
    assert {name: tensor.shape for name, tensor in tensors.items() if "labels" in name} == {
        "train_labels": (2, 8, 8), "val_labels": (1, 8, 8), "test_labels": (1, 8, 8),
    }  # fmt: skip
    nothing = [8] * 8
    seen = [[8, 4, 2, 8], [1, 5, 6, 7], [8] * 4, [8] * 4]
    padded = [[8, 8, *row, 8, 8] for row in seen]
    assert tensors["test_labels"][0].tolist() == [nothing, nothing, *padded, nothing, nothing]
    assert tensors["train_labels"][0].tolist() == [nothing, *padded, nothing, nothing, nothing]  # 6 rows from row 1
    assert (tensors["train_images"][0] > 0).any(axis=2).sum() == 24
    assert "nobody has recorded a checksum of it; prepared here: sha256" in capsys.readouterr().err


def break_list(root: Path) -> None:
    (root / "tuning.txt").write_text("1 ; 12_1\n")


def break_length(root: Path) -> None:
    (root / "testing.txt").write_text("")


def break_split(root: Path) -> None:
    (root / "tuning.txt").write_text("1 , 13_1\n")


def break_path(root: Path) -> None:
    (root / "tuning.txt").write_text("1 , ../13_1\n")


def break_map(root: Path) -> None:
    (root / "labels" / "12_1" / "12_1_lbl08.png").unlink()


def break_picture(root: Path) -> None:
    (root / "images" / "13_1.jpg").write_bytes(b"<html>")


def break_size(root: Path) -> None:
    Image.fromarray(np.zeros((4, 5), dtype=np.uint8)).save(root / "labels" / "12_1" / "12_1_lbl03.png")


def break_canvas(root: Path) -> None:
    Image.fromarray(np.zeros((4, 9, 3), dtype=np.uint8)).save(root / "images" / "13_1.jpg")
    for number in range(11):
        Image.fromarray(np.zeros((4, 9), dtype=np.uint8)).save(root / "labels" / "13_1" / f"13_1_lbl{number:02}.png")


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (break_list, r"tuning\.txt, line 1: '1 ; 12_1' is not 'number , name'"),
        (break_length, r"testing\.txt: 0 names instead of 1"),
        (break_split, r"13_1 is listed more than once in exemplars\.txt, tuning\.txt, testing\.txt"),
        (break_path, r"'1 , \.\./13_1' is not 'number , name'"),
        (break_map, r"12_1_lbl08\.png: no such file"),
        (break_picture, r"13_1\.jpg: not a whole picture"),
        (break_size, r"12_1_lbl03\.png: 5 x 4 pixels, but the picture has 4 x 4"),
        (break_canvas, r"13_1\.jpg: 9 x 4 pixels do not fit on a canvas of 8; set prepare\.canvas"),
    ],
)
def test_what_is_not_as_published_is_named(broken: Any, said: str, tmp_path: Path, job: Job) -> None:
    root = made_up_helen(tmp_path)
    broken(root)
    with pytest.raises(UserError, match=said) as error:
        helen.read(root, HELEN, job)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["helen", "celebamask-mini"])
def test_absent_faces_say_what_to_get_and_where_to_put_it(
    name: str, tmp_path: Path, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TENFOLD_MIRROR", str(tmp_path / "mirror"))
    with pytest.raises(UserError, match=rf"{name} is not here .*put it into data/raw/{name}/, or set TENFOLD_MIRROR"):
        prepare({"dataset": registry.cfg_of(name)}, job, dataset=tmp_path / "faces")


def test_a_dataset_whose_checksum_nobody_knows_goes_into_no_remote() -> None:
    """What comes back from a remote could not be checked."""
    real = {entry.name for entry in data_remote._real_datasets()}
    assert "celebamask-mini" in real
    assert "helen" not in real


def test_hard_labels_are_those_of_the_rule() -> None:
    soft = np.random.default_rng(0).integers(0, 256, (8, 5, 7), dtype=np.uint8)
    soft[:, 0] //= 5
    found = helen.hard_labels(soft, 50)
    for y in range(5):
        for x in range(7):
            column = soft[:, y, x].tolist()
            assert found[y, x] == (column.index(max(column)) if max(column) > 50 else BACKGROUND)
