"""Trains the adapter: `python -m training.train_adapter --weights MODEL.gguf --out ADAPTER.gguf`.

Loss on the answer only. One thread by default; `--minutes` bounds the time (the learning rate falls with the
share of it that is used up). Needs what `requirements.txt` beside this file lists.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as f

from .examples import Example, digest, examples
from .llama import Base, Lora, Net, load, save

PROMPT = Path(__file__).parents[1] / "support_desk" / "prompts" / "triage.md"
WARM_UP = 20


def asked(subject: str, text: str) -> str:
    """What the model sees of a mail, as the runtime writes it, the chat format's own marks broken up."""
    mail = json.dumps({"subject": subject, "mail": text}, ensure_ascii=False, separators=(",", ":"))
    return mail.replace("<|", "< |")


def answer(one: Example) -> str:
    return json.dumps({"intent": one.intent, "order_number": one.number}, separators=(",", ":"))


class Texts:
    """Token ids of the shared beginning and of each mail with its answer."""

    def __init__(self, base: Base, prompt: str) -> None:
        self.tokenizer: Any = base.tokenizer()
        self.prefix = self.ids(f"<|im_start|>system\n{prompt}<|im_end|>\n<|im_start|>user\n")

        fixed = set(self.ids('{"intent":"","order_number":"SD-"}<|im_end|>')) | set(self.ids('":"'))
        self.decides = [token not in fixed for token in range(self.tokenizer.get_vocab_size())]

    def ids(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def pair(self, one: Example) -> tuple[list[int], list[int]]:
        mail = self.ids(f"{asked(one.subject, one.text)}<|im_end|>\n<|im_start|>assistant\n")
        return mail, self.ids(f"{answer(one)}<|im_end|>")


def batch_loss(net: Net, texts: Texts, rows: list[tuple[list[int], list[int]]]) -> tuple[Tensor, int]:
    """Mean loss over the answers' tokens, and how many mails have a wrong intent (by its first token)."""
    longest = max(len(mail) + len(said) for mail, said in rows)
    tokens = torch.full((len(rows), longest), 2)
    where: list[tuple[int, int]] = []
    labels: list[int] = []
    for row, (mail, said) in enumerate(rows):
        line = mail + said
        tokens[row, : len(line)] = torch.tensor(line)
        # The grammar writes the rest: what is learned is the intent's word and the number's digits.
        for at, token in enumerate(said):
            if texts.decides[token]:
                where.append((row, len(mail) + at - 1))
                labels.append(token)
    states = net.hidden(torch.tensor([texts.prefix]), tokens)
    rows_at, columns = zip(*where, strict=True)
    logits = net.logits(states[list(rows_at), list(columns)])
    goal = torch.tensor(labels)
    wrong = logits.argmax(-1) != goal
    missed = {row for (row, _), bad in zip(where, wrong.tolist(), strict=True) if bad}
    return f.cross_entropy(logits, goal), len(missed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--start", type=Path, help="an adapter to go on from")
    parser.add_argument("--count", type=int, default=12_000)
    parser.add_argument("--minutes", type=float, default=45.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(given.seed)
    base = Base(given.weights)
    texts = Texts(base, PROMPT.read_text(encoding="utf-8"))
    lora = Lora(base, given.rank, 2.0 * given.rank)
    if given.start:
        load(lora, given.start)
    net = Net(base, lora)
    rows = [texts.pair(one) for one in examples(given.count, given.seed)]
    checks = [texts.pair(one) for one in examples(128, given.seed + 1000, train=False)]
    batches = in_batches(rows, given.batch, given.seed)
    print(f"{len(rows)} mails, {len(batches)} batches, prefix {len(texts.prefix)} tokens", flush=True)
    optimizer = torch.optim.AdamW(lora.parameters(), lr=given.rate, betas=(0.9, 0.99), weight_decay=0.01)
    start, at, losses = time.monotonic(), 0, []
    for at, batch in enumerate(batches):
        used = max((time.monotonic() - start) / (60 * given.minutes), at / len(batches))
        if used >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = given.rate * min(1.0, (at + 1) / WARM_UP) * (0.5 + 0.5 * math.cos(math.pi * used))
        loss, _ = batch_loss(net, texts, batch)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(lora.parameters(), 1.0)
        optimizer.step()
        losses.append(float(loss.detach()))
        if at % 20 == 19:
            took = time.monotonic() - start
            print(f"{at + 1:5d} {took:6.0f} s loss {sum(losses[-20:]) / 20:.4f}", flush=True)
        if at % 150 == 149:
            told(net, texts, checks, at + 1)
            save(lora, given.out, {})
    told(net, texts, checks, at + 1)
    save(lora, given.out, {"general.name": "support desk triage", "surefoot.templates.sha256": digest()})
    print(f"{given.out}: {given.out.stat().st_size} bytes, {time.monotonic() - start:.0f} s")


def in_batches(rows: list[Any], size: int, seed: int) -> list[list[Any]]:
    """Mails of like length together, so that little is padded; the batches in any order."""
    chance = random.Random(seed)
    rows = rows[:]
    chance.shuffle(rows)
    found = []
    for start in range(0, len(rows), size * 50):
        part = sorted(rows[start : start + size * 50], key=lambda row: len(row[0]))
        some = [part[at : at + size] for at in range(0, len(part), size)]
        chance.shuffle(some)
        found += some
    return found


def told(net: Net, texts: Texts, checks: list[Any], at: int) -> None:
    with torch.no_grad():
        found = [batch_loss(net, texts, batch) for batch in in_batches(checks, 16, 0)]
    loss = sum(float(one) for one, _ in found) / len(found)
    print(
        f"  held out after {at}: loss {loss:.4f}, {sum(n for _, n in found)} of {len(checks)} wrong",
        flush=True,
    )


if __name__ == "__main__":
    main()
