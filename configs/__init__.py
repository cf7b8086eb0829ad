"""Hydra configuration groups, read through ``importlib.resources`` (hence a package)."""
