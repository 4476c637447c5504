"""Trains the second reader: `python -m support_desk.second_reader_training`, in about a second.

Logistic regression over the letter groups of the committed examples, in plain Python. Run it after any
change of `second_reader_examples.json`; a test trains anew and compares.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections import Counter
from pathlib import Path
from typing import Any

from .second_reader import INTENTS, WEIGHTS, groups, softmax, vector, words

EXAMPLES = Path(__file__).parent / "second_reader_examples.json"
ROUNDS = 30
RATE = 4.0


def train() -> dict[str, Any]:
    """What the weights file holds: groups with rarity and votes, the vocabulary, the examples' digest."""
    source = EXAMPLES.read_bytes()
    examples = [(intent, text) for intent, texts in json.loads(source).items() for text in texts]
    found = [groups(text) for _, text in examples]
    counts = Counter(group for each in found for group in each)
    rarity = {
        group: round(math.log((1 + len(found)) / (1 + count)) + 1, 3)
        for group, count in sorted(counts.items())
        if count > 1
    }
    rows = [
        (INTENTS.index(intent), vector(each, rarity))
        for (intent, _), each in zip(examples, found, strict=True)
    ]
    votes = {group: [0.0] * len(INTENTS) for group in rarity}
    order = random.Random(1)
    for turn in range(ROUNDS):
        order.shuffle(rows)
        rate = RATE * (1 - turn / ROUNDS)
        for right, row in rows:
            _learn(right, row, votes, rate)
    return {
        "examples": hashlib.sha256(source).hexdigest(),
        "vocabulary": " ".join(sorted({word for _, text in examples for word in words(text)})),
        "groups": {group: [rarity[group], *(round(vote, 2) for vote in votes[group])] for group in rarity},
    }


def _learn(right: int, row: dict[str, float], votes: dict[str, list[float]], rate: float) -> None:
    scores = [sum(votes[group][k] * value for group, value in row.items()) for k in range(len(INTENTS))]
    for k, likelihood in enumerate(softmax(scores)):
        error = likelihood - (k == right)
        for group, value in row.items():
            votes[group][k] -= rate * error * value


def main() -> None:
    trained = train()
    lines = ",\n".join(f"{json.dumps(group)}: {json.dumps(row)}" for group, row in trained["groups"].items())
    head = json.dumps({key: trained[key] for key in ("examples", "vocabulary")}, ensure_ascii=False)
    WEIGHTS.write_text(f'{head[:-1]},\n"groups": {{\n{lines}\n}}}}\n', encoding="utf-8")
    print(f"{len(trained['groups'])} letter groups written to {WEIGHTS.name}")


if __name__ == "__main__":
    main()
