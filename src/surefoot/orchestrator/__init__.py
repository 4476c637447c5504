"""The orchestrator: drives runs through their steps, and survives whatever happens meanwhile.

Reading order: runtime (what a program uses) · worker (claims, heartbeat) · drive (one run) · handle and
asking (what a step's body can do) · recorder (how an event gets into the journal).
"""
