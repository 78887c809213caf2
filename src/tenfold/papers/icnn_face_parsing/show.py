"""Shows what both stages make of some test faces, for the figures that are drawn of it."""

from __future__ import annotations

import torch

from tenfold.launcher import Cfg, Input, Job, Output, main, stage
from tenfold.papers.icnn_face_parsing.evaluate import best_leaning
from tenfold.papers.icnn_face_parsing.faces import read_faces
from tenfold.papers.icnn_face_parsing.keep import read_parser
from tenfold.papers.icnn_face_parsing.pipeline import PARTS, or_usual, reduced
from tenfold.weights import save_weights


@stage
def show(cfg: Cfg, job: Job, *, data: Input, parser: Input, shown: Output) -> None:
    """Parses the first test faces with the nets that ``keep`` kept.

    Args:
        cfg: ``faces`` as ``train`` has them, ``show``: how many.
        job: what surrounds the run.
        data: the prepared faces.
        parser: what ``keep`` wrote.
        shown: ``images`` (n, H, H, 3) and true ``labels`` (n, H, H); ``reduced`` (n, S, S, 3) and what the first stage
            ``found`` there (n, S, S); ``one_stage`` and ``two_stages`` (n, H, H), all uint8; ``centres`` of the crops
            (n, 6, 2) in pixels; and of the ``crops`` the part and the side.
    """
    splits = read_faces(cfg["faces"], data)
    faces = splits.test[: cfg["show"]]
    nets, _, name = read_parser(parser)
    side = faces.images.shape[1]
    with torch.no_grad():
        probabilities = nets.first_stage(faces.images)
        centres = or_usual(nets.locate(probabilities, side), nets.usual * side)
        tensors = {
            "images": faces.images,
            "labels": faces.labels,
            "reduced": reduced(faces.images, nets.side),
            "found": probabilities.argmax(1).to(torch.uint8),
            "one_stage": nets.enlarged(probabilities, side, best_leaning(nets, splits.val)),
            "two_stages": nets.second_stage(faces.images, centres),
            "centres": centres.float(),
        }
    crops = [[part.name, nets.crops[part.net]] for part in PARTS]
    save_weights(shown, tensors, {"data": name, "crops": crops})
    job.say(f"{len(faces)} faces")


if __name__ == "__main__":
    main(show)
