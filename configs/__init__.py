"""Hydra configuration groups; a package so that `pkg://` and importlib.resources find them."""
