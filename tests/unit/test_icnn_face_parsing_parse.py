"""Parsing a picture from the command line: what is written, and one line for what cannot be parsed."""

from __future__ import annotations

import io
import json
import re
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from tenfold.data.faces import BACKGROUND, NOSE
from tenfold.launcher import Job
from tenfold.papers.icnn_face_parsing import parse
from tenfold.papers.icnn_face_parsing.colours import COLOURS, coloured, overlaid
from tenfold.papers.icnn_face_parsing.keep import keep, read_parser
from tenfold.papers.icnn_face_parsing.pipeline import FOREGROUND
from tenfold.papers.icnn_face_parsing.report import draw_faces
from tenfold.papers.icnn_face_parsing.show import show
from tenfold.papers.icnn_face_parsing.train import net_of
from tenfold.weights import save_weights, under

torch.set_num_threads(1)

SIDE = 32
CFG: dict[str, Any] = {
    "seed": 3,
    "faces": {"side": SIDE, "train": None, "val": None, "test": None},
    "sides": {"face": 16, "brows": 8, "eyes": 8, "nose": 8, "mouth": 16},
    "widths": [2, 2, 2, 2],
    "form": {"kernel": 5, "linked": True, "calibrated": True},
    "centre": "mean",
    "show": 2,
}


def made_up_faces(path: Path) -> Path:
    generator = np.random.default_rng(0)
    labels = np.full((3, SIDE, SIDE), BACKGROUND, dtype=np.uint8)
    for part in range(BACKGROUND):
        labels[:, 3 * part : 3 * part + 3, 10:20] = part
    tensors = {}
    for split in ("train", "val", "test"):
        tensors[f"{split}_images"] = torch.from_numpy(generator.integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8))
        tensors[f"{split}_labels"] = torch.from_numpy(labels.copy())
    save_file(tensors, path, {"faces": json.dumps({"name": "made-up"})})
    return path


def kept(folder: Path, nose: float) -> Path:
    """A parser whose nets label every pixel alike: as the nose if that has a large bias, else as the background."""
    torch.manual_seed(0)
    weights = {}
    for name in FOREGROUND:
        net = net_of(CFG, name)
        torch.nn.init.zeros_(net.label.weight)
        net.label.bias.data[-1] = 5.0
        if name in ("face", "nose"):
            net.label.bias.data[NOSE if name == "face" else 0] = nose
        weights |= under(f"seed3/{name}", net.state_dict())
    save_weights(folder / "weights.safetensors", weights)
    made_up_faces(folder / "faces.safetensors")
    with redirect_stderr(io.StringIO()):
        files = {"data": folder / "faces.safetensors", "weights": [folder / "weights.safetensors"]}
        keep(CFG, Job(resume=folder / "resume"), **files, parser=folder / "parser.safetensors")
    return folder / "parser.safetensors"


def picture(folder: Path, width: int = 60, height: int = 45, name: str = "me.png") -> Path:
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / name)
    return folder / name


def run(*arguments: Any) -> int:
    return parse.main([str(argument) for argument in arguments])


def test_labels_and_overlay_have_the_size_of_the_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image, parser = picture(tmp_path), kept(tmp_path, nose=9.0)
    assert run(image, "--weights", parser, "--out", tmp_path / "made") == 0
    with Image.open(tmp_path / "made" / "me.labels.png") as written:
        labels = np.array(written)
        assert written.mode == "P"
        assert written.getpalette()[:27] == COLOURS.flatten().tolist()
    assert labels.shape == (45, 60)
    assert set(np.unique(labels)) == {NOSE, BACKGROUND}
    with Image.open(tmp_path / "made" / "me.overlay.png") as written, Image.open(image) as original:
        assert np.array_equal(np.array(written), overlaid(np.array(original), labels))
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"pixels, by weights trained on the dataset 'made-up': nose {(labels == NOSE).sum()}"
    assert said[1].startswith("not found, ") and said[1].endswith(": left brow, right brow, left eye, right eye, "
                                                                  "upper lip, inner mouth, lower lip")  # fmt: skip
    assert not list((tmp_path / "made").glob(".*"))


def test_the_nose_lies_where_the_crop_was(tmp_path: Path) -> None:
    parser, side, data = read_parser(kept(tmp_path, nose=9.0))
    assert (side, data) == (SIDE, "made-up")
    image = np.zeros((SIDE, 2 * SIDE, 3), dtype=np.uint8)
    labels = parse.parsed(image, parser, side)
    rows, columns = np.nonzero(labels == NOSE)
    # All of the reduced face is nose, so its centre is the middle; the crop of 8 pixels is 16 in the picture.
    assert (rows.min(), rows.max()) == (8, 23)
    assert (columns.min(), columns.max()) == (24, 39)


def test_a_picture_without_a_face_is_one_line_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(picture(tmp_path), "--weights", kept(tmp_path, nose=0.0), "--out", tmp_path / "made") == 2
    said = capsys.readouterr().err
    assert "me.png: no part of a face was found; the face has to fill most of the picture" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "made").exists()


def text_file(folder: Path) -> Path:
    (folder / "me.png").write_text("<html>")
    return folder / "me.png"


def cut_file(folder: Path) -> Path:
    path = picture(folder)
    path.write_bytes(path.read_bytes()[:200])
    return path


def header_of_a_bomb(folder: Path) -> Path:
    (folder / "me.ppm").write_bytes(b"P6\n100000 100000\n255\n")
    return folder / "me.ppm"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: folder / "nobody.png", r"nobody\.png: no such file"),
        (lambda folder: folder, "no such file"),
        (text_file, r"me\.png: not a picture that can be read \(BMP, JPEG, PNG"),
        (cut_file, r"me\.png: not a picture that can be read"),
        (header_of_a_bomb, r"me\.ppm: too many pixels; a picture has 32 to 8192"),
        (lambda folder: picture(folder, 31, 100), r"31 x 100 pixels; a picture has 32 to 8192 along each side"),
        (lambda folder: picture(folder, 8193, 32), r"8193 x 32 pixels; a picture has 32 to 8192"),
        (lambda folder: picture(folder, 40, 121), r"40 x 121 pixels; no side of a picture may be longer than 3 times"),
    ],
)
def test_what_is_no_picture_of_a_face_is_one_line(
    make: Any, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(make(tmp_path), "--weights", kept(tmp_path, nose=9.0), "--out", tmp_path) == 2
    error = capsys.readouterr().err
    assert error.startswith("tenfold: ")
    assert error.count("\n") == 1
    assert re.search(said, error)


def test_other_weights_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image, parser = picture(tmp_path), kept(tmp_path, nose=9.0)
    with safe_open(parser, "pt") as file:
        facts, tensors = json.loads(file.metadata()["tenfold"]), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    broken = {
        "text": lambda path: path.write_text("{}"),
        "bare": lambda path: save_file(tensors, path),
        "lacking": lambda path: save_weights(path, {n: t for n, t in tensors.items() if n != "nose/label.bias"}, facts),
        "wider": lambda path: save_weights(path, tensors, facts | {"widths": [4, 4, 4, 4]}),
        "enormous": lambda path: save_weights(path, tensors, facts | {"side": 10**9}),
        "odd": lambda path: save_weights(path, tensors, facts | {"form": 3}),
    }
    for name, write in broken.items():
        write(tmp_path / name)
        assert run(image, "--weights", tmp_path / name) == 2
        said = capsys.readouterr().err
        assert f"{name}: these are not the weights of a face parser" in said
        assert said.count("\n") == 1
    assert run(image, "--weights", tmp_path / "nowhere") == 2
    assert "nowhere: no such file" in capsys.readouterr().err


def test_without_weights_those_on_record_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(parse.config, "ROOT", tmp_path)
    assert run(picture(tmp_path)) == 2
    said = capsys.readouterr().err
    assert "headline/parser.safetensors is not here: tenfold restore icnn-face-parsing --edition small brings" in said
    assert said.count("\n") == 1
    runs = tmp_path / "runs" / "small" / "icnn-face-parsing"
    for folder in ("headline", "weights"):  # what was restored; what was trained here comes first
        (runs / folder).mkdir(parents=True)
        (runs / folder / "parser.safetensors").write_text("")
        assert parse.recorded_weights() == runs / folder / "parser.safetensors"


def test_a_file_where_the_folder_should_be_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "made").write_text("")
    assert run(picture(tmp_path), "--weights", kept(tmp_path, nose=9.0), "--out", tmp_path / "made") == 2
    assert "made: not a folder" in capsys.readouterr().err


def test_a_turned_photograph_is_seen_upright(tmp_path: Path) -> None:
    pixels = np.zeros((40, 60, 3), dtype=np.uint8)
    pixels[:, :30] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.fromarray(pixels).save(tmp_path / "me.png", exif=exif)
    upright = parse.read_picture(tmp_path / "me.png")
    assert upright.shape == (60, 40, 3)
    assert upright[:30].min() == 255
    assert upright[30:].max() == 0


def test_colours_tell_parts_apart_also_in_grey() -> None:
    assert len({tuple(colour) for colour in COLOURS.tolist()}) == 9
    grey = COLOURS @ np.array([0.299, 0.587, 0.114])
    assert abs(grey[0] - grey[1]) > 40
    assert abs(grey[2] - grey[3]) > 40
    labels = np.array([[NOSE, BACKGROUND]], dtype=np.uint8)
    assert coloured(labels).tolist() == [[[0, 158, 115], [0, 0, 0]]]
    assert overlaid(np.full((1, 2, 3), 101, dtype=np.uint8), labels).tolist() == [[[51, 130, 108], [101, 101, 101]]]


def test_pictures_with_few_colours_leave_room_for_those_of_labels() -> None:
    generator = np.random.default_rng(0)
    pictures = [generator.integers(0, 256, (side, side, 3), dtype=np.uint8) for side in (32, 16)]
    reduced = draw_faces.with_few_colours(pictures)
    assert [picture.shape for picture in reduced] == [(32, 32, 3), (16, 16, 3)]
    colours = np.concatenate([picture.reshape(-1, 3) for picture in reduced])
    assert len(np.unique(colours, axis=0)) <= draw_faces.FEW_COLOURS
    assert np.abs(reduced[0].astype(int) - pictures[0]).mean() < 32  # each near its own
    plain = [np.full((4, 4, 3), 7, dtype=np.uint8), np.full((2, 2, 3), 200, dtype=np.uint8)]
    assert all(np.array_equal(*pair) for pair in zip(draw_faces.with_few_colours(plain), plain, strict=True))


def test_figures_are_drawn_of_what_was_shown(tmp_path: Path) -> None:
    parser, job = kept(tmp_path, nose=9.0), Job(resume=tmp_path / "resume")
    show(CFG, job, data=tmp_path / "faces.safetensors", parser=parser, shown=tmp_path / "shown.safetensors")
    made = {name: [tmp_path / f"figure-{name}.{form}" for form in ("png", "csv")] for name in ("stages", "faces")}
    cfg = {"edition": "small", "shown": {"name": "faces", "stands_in_for": "Helen", "paper": None}}
    draw_faces.draw_faces(cfg, job, shown=tmp_path / "shown.safetensors", **made)
    rows = made["faces"][1].read_text().splitlines()
    assert rows[0] == "face,map,part,pixels"
    assert f"0,truth,nose,{3 * 10}" in rows
    assert f"1,one stage,nose,{SIDE * SIDE}" in rows
    assert f"1,two stages,nose,{8 * 8}" in rows
    assert f"0,stage 1,nose,{16 * 16}" in made["stages"][1].read_text().splitlines()
