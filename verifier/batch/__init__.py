"""The quick way through a tape: a user's log as columns, judged in C where all is plain.

    rows -> `chunk.py` (decoded, named) -> `log.py` (columns, runs) -> `accept*.py` (one acceptor an invariant)

An acceptor may accept, and never reports: where anything is unclear (`Unclear`), the engine of `check.py` judges the
user's whole log event by event.  What an acceptor accepts, the engine would accept with the same counts; tests hold the
two equal.
"""
