"""Attacks on a workflow's rails: models that have been talked over by what they read."""
