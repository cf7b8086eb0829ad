"""Audits: what a world may be used for, measured. They see worlds through one small protocol and no training code."""
