"""SmolLM2 in plain PyTorch, read from the very GGUF file that the desk runs, with a LoRA on it.

Only what training needs: no cache, no sampling. The instructions, which are the same for every mail, are
computed once a batch and shared. Rows of q and k are left as GGUF has them (rotated in neighbouring pairs).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor, nn
from torch.nn import functional as f

TARGETS = ("attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
LOWEST = 10
"""The layers below stay as they are: they know words, and half the work of training would be theirs."""


class Base:
    """Frozen weights, and the tokenizer that lies in the same file."""

    def __init__(self, path: Path, kind: torch.dtype = torch.bfloat16) -> None:
        reader = gguf.GGUFReader(str(path))
        self.tensors: dict[str, Tensor] = {}
        for one in reader.tensors:
            plain = gguf.quants.dequantize(one.data, one.tensor_type)
            self.tensors[one.name.removesuffix(".weight")] = torch.from_numpy(np.array(plain)).to(kind)
        self.fields: dict[str, Any] = {name: field.contents() for name, field in reader.fields.items()}
        self.kind = kind
        self.layers = int(self.fields["llama.block_count"])
        self.width = int(self.fields["llama.embedding_length"])
        self.heads = int(self.fields["llama.attention.head_count"])
        self.groups = int(self.fields["llama.attention.head_count_kv"])
        self.size = self.width // self.heads
        self.epsilon = float(self.fields["llama.attention.layer_norm_rms_epsilon"])
        self.base = float(self.fields["llama.rope.freq_base"])

    def tokenizer(self) -> Any:
        tokens = self.fields["tokenizer.ggml.tokens"]
        merges = [tuple(line.split(" ")) for line in self.fields["tokenizer.ggml.merges"]]
        made = Tokenizer(models.BPE(vocab={token: at for at, token in enumerate(tokens)}, merges=merges))
        made.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
        made.decoder = decoders.ByteLevel()
        made.add_special_tokens(
            [AddedToken(mark, normalized=False) for mark in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")]
        )
        return made


class Lora(nn.Module):
    """What is trained: two thin matrices beside each of the chosen ones."""

    def __init__(self, base: Base, rank: int, alpha: float) -> None:
        super().__init__()
        self.rank, self.alpha = rank, alpha
        self.a, self.b = nn.ParameterDict(), nn.ParameterDict()
        for layer in range(LOWEST, base.layers):
            for target in TARGETS:
                name = f"blk.{layer}.{target}"
                out, into = base.tensors[name].shape
                key = name.replace(".", "-")
                self.a[key] = nn.Parameter(torch.randn(rank, into) / math.sqrt(into))
                self.b[key] = nn.Parameter(torch.zeros(out, rank))


class Net:
    def __init__(self, base: Base, lora: Lora | None) -> None:
        self.base, self.lora = base, lora

    def linear(self, name: str, x: Tensor) -> Tensor:
        out = f.linear(x, self.base.tensors[name])
        key = name.replace(".", "-")
        if self.lora is not None and key in self.lora.a:
            scale = self.lora.alpha / self.lora.rank
            low = f.linear(x, self.lora.a[key].to(x.dtype))
            out = out + f.linear(low, (self.lora.b[key] * scale).to(x.dtype))
        return out

    def norm(self, name: str, x: Tensor) -> Tensor:
        size = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
        small = torch.rsqrt(size * size / x.shape[-1] + self.base.epsilon)
        return x * small.to(x.dtype) * self.base.tensors[name]

    def hidden(self, prefix: Tensor, tokens: Tensor) -> Tensor:
        """Final states (batch, length, width) of `tokens` (batch, length), each row after `prefix` (1, n)."""
        base = self.base
        shared, own = prefix.shape[1], tokens.shape[1]
        embed = base.tensors["token_embd"]
        head, x = f.embedding(prefix, embed), f.embedding(tokens, embed)
        turn_head, turn = self._turns(0, shared), self._turns(shared, own)
        mask = torch.zeros(own, shared + own, dtype=base.kind)
        mask[:, shared:] = torch.full((own, own), -math.inf).triu(1)
        mask_head = torch.full((shared, shared), -math.inf).triu(1).to(base.kind)
        for layer in range(base.layers):
            at = f"blk.{layer}."
            q, k0, v0 = self._qkv(at, head, turn_head)
            head = self._rest(at, head, self._mixed(q, k0, v0, mask_head))
            q, k, v = self._qkv(at, x, turn)
            many = x.shape[0]
            k = torch.cat([k0.expand(many, -1, -1, -1), k], dim=2)
            v = torch.cat([v0.expand(many, -1, -1, -1), v], dim=2)
            x = self._rest(at, x, self._mixed(q, k, v, mask))
        return self.norm("output_norm", x)

    def logits(self, states: Tensor) -> Tensor:
        return f.linear(states, self.base.tensors["token_embd"]).float()

    # ── parts of a layer ──

    def _turns(self, start: int, count: int) -> tuple[Tensor, Tensor]:
        half = self.base.size // 2
        speed = self.base.base ** (-torch.arange(half) / half)
        angle = torch.arange(start, start + count)[:, None] * speed
        return angle.cos().to(self.base.kind), angle.sin().to(self.base.kind)

    def _rotate(self, x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        cos, sin = turn
        even, odd = x[..., 0::2], x[..., 1::2]
        return torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1).flatten(-2)

    def _qkv(self, at: str, x: Tensor, turn: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        base = self.base
        batch, length, _ = x.shape
        h = self.norm(at + "attn_norm", x)

        def split(name: str, heads: int) -> Tensor:
            return self.linear(at + name, h).view(batch, length, heads, base.size).transpose(1, 2)

        q, k, v = split("attn_q", base.heads), split("attn_k", base.groups), split("attn_v", base.groups)
        return self._rotate(q, turn), self._rotate(k, turn), v

    def _mixed(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        """Attention; the query heads of one group are rows of one product."""
        base, (batch, _, length, size) = self.base, q.shape
        rows = q.reshape(batch, base.groups, -1, size) * (size**-0.5)
        scores = (rows @ k.transpose(2, 3)).view(batch, base.heads, length, -1).add_(mask)
        share = scores.softmax(-1).view(batch, base.groups, -1, k.shape[2])
        return (share @ v).view(batch, base.heads, length, size)

    def _rest(self, at: str, x: Tensor, mixed: Tensor) -> Tensor:
        x = x + self.linear(at + "attn_output", mixed.transpose(1, 2).flatten(2))
        h = self.norm(at + "ffn_norm", x)
        gated = f.silu(self.linear(at + "ffn_gate", h)) * self.linear(at + "ffn_up", h)
        return x + self.linear(at + "ffn_down", gated)


def save(lora: Lora, path: Path, about: dict[str, str]) -> None:
    """The adapter as llama.cpp reads it, in half precision."""
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", lora.alpha)
    for key, value in about.items():
        writer.add_string(key, value)
    for key in lora.a:
        name = key.replace("-", ".")
        for part, matrix in (("lora_a", lora.a[key]), ("lora_b", lora.b[key])):
            writer.add_tensor(f"{name}.weight.{part}", matrix.detach().numpy().astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def load(lora: Lora, path: Path) -> None:
    """The matrices of an adapter that `save` wrote."""
    found = {one.name: one.data for one in gguf.GGUFReader(str(path)).tensors}
    with torch.no_grad():
        for key in lora.a:
            name = key.replace("-", ".")
            lora.a[key].copy_(torch.from_numpy(np.array(found[f"{name}.weight.lora_a"], dtype=np.float32)))
            lora.b[key].copy_(torch.from_numpy(np.array(found[f"{name}.weight.lora_b"], dtype=np.float32)))
