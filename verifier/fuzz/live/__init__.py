"""The same users and scripts against a running server, through the recorder, in chosen orders."""
