"""Policies: stable-baselines3 trained in imagination or in physics, and the comparison of the two."""

if __name__ != "videosim.agents":  # one module, one name: two imports of one file would make two classes
    raise ImportError(f"import this package as 'videosim.agents', not {__name__!r}")
