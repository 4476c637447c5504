"""The eval harness: scenarios, checks, and a gate, on the engine that serves."""
