"""METEOR 1.5 (Denkowski and Lavie, 2014) of captions, by the authors' program, where it and Java are on this machine.

The program is not among Tenfold's packages, since it needs Java and 68 MB: it is in the wheel of pycocoevalcap 1.2, or
the variable TENFOLD_METEOR has the path of ``meteor-1.5.jar``, beside which its folder ``data`` lies. Where it is not
here METEOR is not measured: that of nltk is another version, many points away.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tenfold.errors import UserError
from tenfold.files import sha256

JAR = "meteor-1.5.jar"
KNOWN = "1e57b4c72c0830ebe68558f1c799a624e96cbc1b6045c9f6330e26dcff6eafc2"  # its SHA-256
VARIABLE = "TENFOLD_METEOR"


def find_meteor() -> Path | None:
    """The program, if it is here, and Java too.

    Raises:
        UserError: the variable names something else.
    """
    if named := os.environ.get(VARIABLE):
        jar: Path | None = Path(named)
    else:
        package = importlib.util.find_spec("pycocoevalcap")
        folders = list(package.submodule_search_locations or []) if package else []
        jar = next((path for folder in folders if (path := Path(folder, "meteor", JAR)).is_file()), None)
    if jar is None or shutil.which("java") is None:
        return None
    if not jar.is_file() or sha256(jar) != KNOWN:
        raise UserError(f"{VARIABLE}: {jar} is not {JAR} (sha256 {KNOWN}), which is in pycocoevalcap 1.2")
    return jar


def meteor(jar: Path, captions: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]) -> float:
    """METEOR of a set of captions, in [0, 1]; words are taken as they are, lower case.

    Args:
        jar: from `find_meteor`.
        captions: one for each clip.
        references: for each clip its references.

    Raises:
        UserError: Java does not run the program.
    """
    command = ["java", "-Xmx2G", "-jar", str(jar), "-", "-", "-stdio", "-l", "en", "-norm"]
    try:
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        ) as java:
            assert java.stdin is not None
            assert java.stdout is not None

            def ask(*parts: str) -> str:
                print(*parts, sep=" ||| ", file=java.stdin, flush=True)
                return java.stdout.readline().strip()  # type: ignore[union-attr]

            counts = [
                ask("SCORE", *(" ".join(words) for words in of_clip), " ".join(caption))
                for caption, of_clip in zip(captions, references, strict=True)
            ]
            # The answer is a score for each caption, and then that of all.
            scores = [ask("EVAL", *counts), *(java.stdout.readline().strip() for _ in counts)]
            java.stdin.close()
        return float(scores[-1])
    except (BrokenPipeError, ValueError):
        raise UserError(f"METEOR: java did not run {jar} to its end") from None
