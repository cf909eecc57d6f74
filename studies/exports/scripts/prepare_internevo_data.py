"""Cuts a corpus with ``tokenizer.json`` of this folder into the files that InternEvo trains on.

    python prepare_internevo_data.py DOCUMENTS.jsonl data/train/en

reads JSON lines, each ``{"text": "one document"}``, and writes ``part.bin``, a line ``{"tokens": [...]}`` a document,
and ``part.bin.meta``, where each line begins and how many tokens it has. Needs ``tokenizers`` and ``numpy``.
"""

import json
import sys
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

END_OF_TEXT_ID = 0
"""Ends every document; InternEvo does not train the first token of one."""


def main(documents: Path, target: Path, tokenizer_file: Path) -> None:
    """Write ``part.bin`` and ``part.bin.meta`` into the folder ``target``."""
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    target.mkdir(parents=True, exist_ok=True)
    meta: list[tuple[int, int]] = []
    position = 0
    with documents.open(encoding="utf-8") as lines, (target / "part.bin").open("wb") as file:
        for line in lines:
            tokens = [*tokenizer.encode(json.loads(line)["text"]).ids, END_OF_TEXT_ID]
            written = json.dumps({"tokens": tokens}).encode() + b"\n"
            file.write(written)
            meta.append((position, len(tokens)))
            position += len(written)
    with (target / "part.bin.meta").open("wb") as file:
        np.save(file, np.array(meta, dtype=np.int64).reshape(-1, 2))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(__file__).with_name("tokenizer.json"))
