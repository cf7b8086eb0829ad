"""Recorded episodes: storing them, and collecting them from an environment."""
