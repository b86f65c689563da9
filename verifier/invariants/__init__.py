"""One file an invariant kind; `INVARIANTS` names them all."""
