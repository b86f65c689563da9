"""Faults while recording: what a network or a peer may do, on purpose, announced in the tape."""
