"""The nouns, pure: no clock, no disk, no network, no event loop.

Reading order: tool, step, rule, budget (what an author writes) · wiring, workflow (what is built
from it) · events, fold, decide (what happens to a run) · model, clock (what is handed in).
"""
