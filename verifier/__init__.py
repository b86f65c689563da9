"""Tape to verdict: contract, history, invariants, verdict, exporters."""
