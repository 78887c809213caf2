"""The vocabulary and the tags: of the training clips alone, or, as in the official data, of all clips."""

from __future__ import annotations

from tenfold.data.captions import SPLITS
from tenfold.files import write_json
from tenfold.launcher import Cfg, Input, Job, Output, main, stage
from tenfold.papers.video_captioning.clips import END_WORD, UNKNOWN, count, read_clips


@stage
def words(cfg: Cfg, job: Job, *, data: Input, words: Output) -> None:
    """Counts words.

    The official vocabulary has the words of validation and test captions too; here that is a variant by itself, the
    *leaky* one. The official tags were picked by hand among the most frequent words, without function words.

    Args:
        cfg: ``proxy``; ``splits``, whose captions are counted; ``least`` (a word that occurs less often is unknown);
            ``tags``: ``count``, the most frequent words but those of ``without``.
        job: what surrounds the run.
        data: the prepared dataset.
        words: JSON: ``words``, the most frequent first, behind the end and what is unknown; ``tags``.
    """
    clips = read_clips(data, cfg["proxy"])
    splits = [split for split in SPLITS if split in cfg["splits"]]
    written, told = (
        sorted(count([getattr(clips[split], of) for split in splits]).items(), key=lambda item: (-item[1], item[0]))
        for of in ("written", "told")
    )
    known = [word for word, times in written if times >= cfg["least"]]
    tags = [word for word, _ in told if word not in cfg["tags"]["without"]][: cfg["tags"]["count"]]
    write_json(words, {"words": [END_WORD, UNKNOWN, *known], "tags": tags})
    job.say(f"{len(known)} words, {len(tags)} tags of {' and '.join(splits)}")


if __name__ == "__main__":
    main(words)
