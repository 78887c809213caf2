"""Parses a picture of one face: writes its label map and the picture with its parts in colour.

The face should fill most of the picture, as in what the nets were trained on. The weights on record are of drawn faces;
where the photographs of celebamask-mini are (config/datasets.yaml), others for --weights come in about ten minutes of
snakemake runs/real/icnn-face-parsing/weights/parser.safetensors.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from tenfold import config
from tenfold.data.faces import BACKGROUND, PARTS
from tenfold.errors import UserError, limit_of_machine
from tenfold.files import written_whole
from tenfold.papers.icnn_face_parsing.colours import COLOURS, Pixels, overlaid
from tenfold.papers.icnn_face_parsing.keep import read_parser
from tenfold.papers.icnn_face_parsing.pipeline import Parser

SLUG = "icnn-face-parsing"
SMALLEST, LARGEST = 32, 8192  # pixels along a side of a picture
LONGEST = 3  # times as long as wide; of a longer one too few pixels are left in the square that is parsed
FORMATS = ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; a user's mistake is one line and exit code 2."""
    given = _parser().parse_args(arguments)
    try:
        try:
            for line in run(given.image, given.weights or recorded_weights(), given.out):
                print(line)
        except OSError as error:
            raise limit_of_machine(error) from error
    except UserError as error:
        print(f"tenfold: {error}", file=sys.stderr)
        return 2
    return 0


def run(picture: Path, weights: Path, out: Path) -> list[str]:
    """Parses a picture and writes ``<its name>.labels.png`` and ``<its name>.overlay.png``; gives what to tell.

    Raises:
        UserError: the picture or the weights cannot be used, or no part of a face was found.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: not a folder; --out names the folder that is written to")
    image = read_picture(picture)
    parser, side, data = read_parser(weights)
    labels = parsed(image, parser, side)
    if (labels == BACKGROUND).all():
        raise UserError(
            f"{picture}: no part of a face was found; the face has to fill most of the picture and to look like those "
            f"of the dataset '{data}', on which these weights were trained"
        )
    stem = out / picture.stem
    written = [stem.with_name(f"{stem.name}.{kind}.png") for kind in ("labels", "overlay")]
    shown = Image.fromarray(labels)
    shown.putpalette(COLOURS.flatten().tolist())
    for path, made in zip(written, (shown, Image.fromarray(overlaid(image, labels))), strict=True):
        with written_whole(path) as partial:
            made.save(partial, "PNG")
    sizes = {name: int((labels == part).sum()) for part, name in enumerate(PARTS[:BACKGROUND])}
    found = ", ".join(f"{name} {pixels}" for name, pixels in sizes.items() if pixels)
    missing = ", ".join(name for name, pixels in sizes.items() if not pixels)
    told = [f"pixels, by weights trained on the dataset '{data}': {found}"]
    if missing:
        told.append(f"not found, so there may be no face as the weights know them: {missing}")
    return [*told, f"written: {written[0]}, {written[1]}"]


def read_picture(path: Path) -> Pixels:
    """The pixels of a picture, upright: uint8 (H, W, 3).

    Raises:
        UserError: it is not there, no picture, or too small, too large or too long for one of a face.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of oddities within a file that can be read all the same
            with Image.open(path, formats=FORMATS) as image:
                width, height = image.size
                if not (SMALLEST <= min(width, height) and max(width, height) <= LARGEST):
                    raise UserError(
                        f"{path}: {width} x {height} pixels; a picture has {SMALLEST} to {LARGEST} along each side"
                    )
                if max(width, height) > LONGEST * min(width, height):
                    raise UserError(
                        f"{path}: {width} x {height} pixels; no side of a picture may be longer than {LONGEST} times "
                        f"the other"
                    )
                return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except Image.DecompressionBombError:
        raise UserError(f"{path}: too many pixels; a picture has {SMALLEST} to {LARGEST} along each side") from None
    except (OSError, SyntaxError, ValueError):
        raise UserError(f"{path}: not a picture that can be read ({', '.join(FORMATS)})") from None


def parsed(image: Pixels, parser: Parser, side: int) -> Pixels:
    """The labels of a picture of any size: (H, W, 3) -> (H, W).

    It is reduced or enlarged into a black square of the size that nets were trained on; labels take the way back.
    """
    height, width = image.shape[:2]
    within = [max(1, round(length * side / max(height, width))) for length in (height, width)]
    top, left = ((side - length) // 2 for length in within)
    place = slice(top, top + within[0]), slice(left, left + within[1])
    square = np.zeros((side, side, 3), dtype=np.uint8)
    square[place] = np.asarray(Image.fromarray(image).resize((within[1], within[0]), Image.Resampling.BICUBIC))
    found = parser.parse(torch.from_numpy(square)[None])[0].numpy()[place]
    return np.asarray(Image.fromarray(found).resize((width, height), Image.Resampling.NEAREST))


def recorded_weights() -> Path:
    """Where the weights on record lie.

    Raises:
        UserError: they are not here.
    """
    edition, path = next(iter(config.paper(SLUG).about["headline"].items()))
    weights = config.ROOT / "runs" / edition / SLUG / path
    kept = config.ROOT / "runs" / edition / SLUG / "headline" / path.removeprefix("weights/")
    for there in (weights, kept):
        if there.is_file():
            return there
    raise UserError(
        f"{kept} is not here: tenfold restore {SLUG} --edition {edition} brings the weights on record, snakemake "
        f"{edition}/{SLUG} trains them; or give your own with --weights"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tenfold.papers.icnn_face_parsing.parse", description=__doc__)
    parser.add_argument("image", type=Path, help="a picture of one face")
    parser.add_argument("--weights", type=Path, help="a trained parser; that on record without it")
    parser.add_argument("--out", type=Path, default=Path(), help="the folder that is written to; this one without it")
    return parser


if __name__ == "__main__":
    sys.exit(main())
