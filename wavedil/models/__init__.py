"""Whole models: settings without JAX, and the networks they describe."""
