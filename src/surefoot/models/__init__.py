"""Models: the one road to a model (`ask`), its providers, and prices."""
