"""Trains the second reader: `python -m training.train_second_reader`, in about a minute, with numpy only.

Logistic regression over words, letter groups and pairs of words of the same examples that the model's adapter
is trained on. Only the features that say most are kept, as whole numbers, so that the file stays small.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter

import numpy as np

from support_desk.second_reader import INTENTS, WEIGHTS, features, words

from .examples import Example, digest, examples

KEPT = 9_000
"""Features in the file."""
LEAST = 6
"""Examples in which a feature must occur."""
ROUNDS = 25
RATE = 0.35
STRENGTH = 6.0
"""Of a theme beside a letter group: there are few of them, and they carry over to other wording."""
DECAY = 0.0


class Rows:
    """Which features stand in which example, one after the other; `starts[i]` is where the i-th begins."""

    def __init__(self, found: list[list[int]]) -> None:
        self.flat = np.array([one for row in found for one in row], dtype=np.int32)
        self.sizes = np.array([len(row) for row in found])
        self.starts = np.concatenate([[0], np.cumsum(self.sizes)])

    def some(self, which: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Features, the row that each belongs to, and its value there (rows have length one)."""
        parts = [self.flat[self.starts[at] : self.starts[at + 1]] for at in which]
        sizes = self.sizes[which]
        owner = np.repeat(np.arange(len(which)), sizes)
        return np.concatenate(parts), owner, np.repeat(1 / np.sqrt(np.maximum(sizes, 1)), sizes)


def fit(rows: Rows, right: np.ndarray, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """(votes, bias). Small batches, AdaGrad; the same numbers each time."""
    width = len(names)
    strength = np.array([STRENGTH if name.startswith("@") else 1.0 for name in names])
    votes, bias = np.zeros((width, len(INTENTS))), np.zeros(len(INTENTS))
    seen = np.full((width, 1), 1e-4)
    order = np.random.default_rng(1)
    goal = np.eye(len(INTENTS))
    for turn in range(ROUNDS):
        rate = RATE * (1 - turn / ROUNDS)
        for which in np.array_split(order.permutation(len(right)), max(1, len(right) // 32)):
            flat, owner, value = rows.some(which)
            value = value * strength[flat]
            scores = np.zeros((len(which), len(INTENTS)))
            np.add.at(scores, owner, votes[flat] * value[:, None])
            scores = np.exp(scores + bias - (scores + bias).max(1, keepdims=True))
            error = scores / scores.sum(1, keepdims=True) - goal[right[which]]
            slope = error[owner] * value[:, None]
            touched, place = np.unique(flat, return_inverse=True)
            total = np.zeros((len(touched), len(INTENTS)))
            np.add.at(total, place, slope)
            total += DECAY * votes[touched] * len(right)
            seen[touched] += (total**2).mean(1, keepdims=True)
            votes[touched] -= rate * total / np.sqrt(seen[touched])
            bias -= 0.02 * rate * error.sum(0)
    return votes * strength[:, None], bias


def train(given: list[Example]) -> dict[str, object]:
    """What the weights file holds."""
    texts = [f"{one.subject}.\n{one.text}" for one in given]
    found = [sorted(features(text)) for text in texts]
    counts = Counter(one for row in found for one in row)
    names = sorted(one for one, count in counts.items() if count >= LEAST)
    right = np.array([INTENTS.index(one.intent) for one in given])  # type: ignore[arg-type]
    votes, _ = fit(_rows(found, names), right, names)
    weight = np.abs(votes - votes.mean(1, keepdims=True)).max(1) * np.sqrt([counts[one] for one in names])
    names = sorted(names[at] for at in np.argsort(-weight, kind="stable")[:KEPT])
    votes, bias = fit(_rows(found, names), right, names)  # again, with what is left
    votes -= votes.mean(1, keepdims=True)
    scale = float(np.quantile(np.abs(votes), 0.9995) / 99)
    whole = np.clip(np.rint(votes / scale), -99, 99).astype(int)
    known = Counter(word for text in texts for word in set(words(text)))
    return {
        "templates": digest(),
        "examples": len(given),
        "intents": list(INTENTS),
        "scale": round(scale, 6),
        "bias": [round(float(one), 4) for one in bias],
        "vocabulary": " ".join(sorted(word for word, count in known.items() if count >= 3)),
        "votes": {name: " ".join(map(str, row)) for name, row in zip(names, whole, strict=True)},
    }


def _rows(found: list[list[str]], names: list[str]) -> Rows:
    places = {name: at for at, name in enumerate(names)}
    return Rows([[places[one] for one in row if one in places] for row in found])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=9_000)
    # A linear model cannot learn what two wishes are, or none: each pulls its way, and then it is not sure.
    trained = train(list(examples(parser.parse_args().count, seed=2, without=("two", "none"))))
    votes = trained.pop("votes")
    assert isinstance(votes, dict)
    lines = ",\n".join(
        f"{json.dumps(name, ensure_ascii=False)}:{json.dumps(row)}" for name, row in votes.items()
    )
    head = json.dumps(trained, ensure_ascii=False)
    WEIGHTS.write_text(f'{head[:-1]},\n"votes": {{\n{lines}\n}}}}\n', encoding="utf-8")
    print(f"{len(votes)} features, {WEIGHTS.stat().st_size} bytes written to {WEIGHTS.name}")


if __name__ == "__main__":
    main()
