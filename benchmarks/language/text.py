"""How fast text becomes tokens beside Hugging Face's tokenizers, and how large an index of copies is.

Trains byte pairs on classic English books, then encodes them, one core each, and checks that both give the same tokens;
then indexes the books for runs of 15 and of 31 words. RECURRA_DATA names the folder that holds text/books.jsonl.xz.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"

import tokenizers

from recurra.text.copies import CopyIndex
from recurra.text.documents import Document, Files
from recurra.text.tokenizer import Tokenizer

DATA = Path(os.environ.get("RECURRA_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--books", type=int, default=183, help="how many books (default: all)")
    made.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    options = made.parse_args()
    file = DATA / "text/books.jsonl.xz"
    if not file.exists():
        sys.exit(f"skipped: {file} is not there, RECURRA_DATA names another folder")
    documents = list(Files([file]))[: options.books]
    figures = {**tokens([document.text for document in documents]), **copies(documents)}
    for name, figure in figures.items():
        print(f"{name:<60} {figure:12,.3f}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def tokens(texts: list[str]) -> dict[str, float]:
    millions = sum(map(len, texts)) / 1e6
    began = time.perf_counter()
    tokenizer = Tokenizer.train(texts, "bpe", 8192)
    figures = {
        "millions of characters": millions,
        "seconds to learn 8192 byte pairs": time.perf_counter() - began,
    }
    ours, theirs = (
        Tokenizer.from_json(tokenizer.to_json()),
        tokenizers.Tokenizer.from_str(tokenizer.to_json()),
    )
    spent = {"recurra": 0.0, "tokenizers": 0.0}
    count = 0
    for text in texts:
        began = time.perf_counter()
        mine = ours.encode(text)
        middle = time.perf_counter()
        other = theirs.encode(text)
        spent["tokenizers"] += time.perf_counter() - middle
        spent["recurra"] += middle - began
        if mine.tolist() != other.ids:
            sys.exit("the two give other tokens")
        count += len(mine)
    figures |= {f"millions of characters encoded a second, {name}": millions / s for name, s in spent.items()}
    figures["characters in a token"] = 1e6 * millions / count
    return figures


def copies(documents: list[Document]) -> dict[str, float]:
    figures = {}
    characters = sum(len(document.text) for document in documents)
    text = documents[0].text[10_000:12_500]
    for run in (15, 31):
        began = time.perf_counter()
        index = CopyIndex.build(documents, run)
        built = time.perf_counter() - began
        began = time.perf_counter()
        found = index.find(text)
        figures[f"milliseconds to look 2,500 characters up, run {run}"] = 1e3 * (time.perf_counter() - began)
        figures[f"seconds to index, run {run}"] = built
        size = sum(array.nbytes for array in index.to_arrays().values())
        figures[f"bytes of the index for a character, run {run}"] = size / characters
        if not found or (found[0].document, found[0].stop - found[0].start) < (0, 2_300):
            sys.exit("a passage of the first book was not found")
    return figures


if __name__ == "__main__":
    main()
