"""The interleaving fuzzer: which order of what concurrent users do makes a server break its contract."""
