"""How long restoring provenance takes at Snakemake's start, and `dvc status`, for many recorded outputs.

python bench/bench_provenance.py [outputs]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tenfold.books import ledger, start
from tenfold.books.recorded import Job, Ledger, Provenance
from tenfold.files import sha256, write_json

PAPERS = 10
PLATFORM = {"python": "3.11", "system": "Linux", "machine": "x86_64", "cpu": {}}
CFG = {f"setting-{index}": index for index in range(40)}  # about as long as a real job's


def jobs(book: Ledger, outputs: int) -> list[Job]:
    """Jobs with two outputs each, a small file and one of 100 kB, and the files themselves."""
    made = []
    for index in range(outputs // 2):
        files = [book.runs / f"metrics/{index}.json", book.runs / f"weights/{index}.json"]
        write_json(files[0], {"value": index})
        files[1].parent.mkdir(parents=True, exist_ok=True)
        files[1].write_bytes(os.urandom(100_000))
        made.append(
            Job("train", "tenfold.papers.x.train", "train", CFG, "0" * 16, [0], {},
                {file.as_posix(): sha256(file) for file in files}, [], "python -m x --cfg {cfg}", "p")
        )  # fmt: skip
    return made


def seconds(name: str, *books: Ledger) -> None:
    """Times one restoring of all records."""
    began = time.perf_counter()
    for book in books:
        provenance = book.provenance()
        assert provenance is not None
        start.restore(book, provenance)
    print(f"{name:32} {time.perf_counter() - began:6.3f} s", flush=True)


def main(outputs: int) -> None:
    """Builds a repository of ten recorded papers in a temporary folder and times it."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path(".dvcignore").write_text("weights/\n")
        Path("config/papers").mkdir(parents=True)
        subprocess.run(["git", "init", "-q"], check=True)
        ledger.dvc("init", "-q")
        books = []
        for index in range(PAPERS):
            book = Ledger("small", f"paper-{index}")
            Path(f"config/papers/{book.slug}.yaml").write_text("defaults: {}\nsmall: {}\n")
            provenance = Provenance(jobs(book, outputs // PAPERS), {"train": "python"}, {"p": PLATFORM})
            provenance.write(book.provenance_file)
            ledger.write_ledger(book)
            books.append(book)
        ledger.dvc("commit", "--force", *(str(book.dvc_file) for book in books))
        print(f"{outputs} recorded outputs of {PAPERS} papers")
        seconds("restore, the first time", *books)
        seconds("restore, nothing has changed", *books)
        began = time.perf_counter()
        ledger.dvc("status", "--json")
        print(f"{'dvc status':32} {time.perf_counter() - began:6.3f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
