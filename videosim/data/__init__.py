"""Recorded episodes: storing them, drawing training batches from them, and collecting them from an environment."""
