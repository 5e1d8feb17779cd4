"""Makes tests/golden/g2p_en.json: the phonemes that g2p_en (Apache-2.0) gives words with its own NumPy network.

In an environment of its own:
    pip install numpy nltk inflect && pip install --no-deps g2p_en==2.1.0
    python tests/golden/make_g2p_en.py

The package's pronouncing dictionary is left empty, as it would be downloaded; `predict` never looks there.
"""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

import nltk

WORDS = """
a i we ox the cat hello world network recurrent neural forget memory activationist gated sequence pronunciation
knight knife gnome psalm phoneme rhythm queue onion colonel island yacht choir thorough through though tough bough
supercalifragilistic antidisestablishmentarianism hochreiter schmidhuber bengio elman jordan mozer cho chung
zyzzyva qwerty xylophone bzzt mmm don't rock'n'roll naïve café x1 hyphen-ated
"""


def main() -> None:
    nltk.data.find = lambda *_: None  # or the import would download a tagger and a dictionary
    from g2p_en import g2p

    g2p.cmudict.dict = dict
    network = g2p.G2p()
    about = {
        "package": "g2p_en",
        "version": metadata.version("g2p_en"),
        "license": "Apache-2.0",
        "numpy": metadata.version("numpy"),
        "maker": "tests/golden/make_g2p_en.py",
    }
    found = {word: " ".join(network.predict(word)) for word in WORDS.split()}
    content = {"about": about, "graphemes": network.graphemes, "phonemes": network.phonemes, "words": found}
    text = json.dumps(content, indent=1, ensure_ascii=False)
    Path(__file__).with_name("g2p_en.json").write_text(text + "\n", encoding="utf-8")
    print(len(found), "words")


if __name__ == "__main__":
    main()
