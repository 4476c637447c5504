"""Real processes that really die: programs, the other side that they touch, and what is judged afterwards."""
