"""What the recorder and the verifier share: event, chain, tape, errors, the command line."""
