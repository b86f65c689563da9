"""Mining: from good recordings to a contract that somebody can read, correct and promote.

recordings -> `listen` (messages) -> `vocabulary` (events, fields) -> `model` (keys, a span, slices)
           -> `templates/` (candidates) -> `trial` (the real verifier judges them) -> `prune` -> `write`
"""
