"""Diff: what differs between the tapes of two releases, beyond what differs anyway.

tapes -> `hear` (conversations) -> `learn` (names, ids, kinds of runs) -> `runs` -> `tally` (a table per tape)
      -> `renames` -> `events`, `fields`, `times`, `endings`, `violations` (findings) -> `rank` -> `pairs` (examples)
"""
