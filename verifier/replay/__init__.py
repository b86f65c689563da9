"""Replay: the recorded side of a client or of a server, played again against the other side as it is now."""
