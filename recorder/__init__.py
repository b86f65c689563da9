"""Sockets to tape: proxy, handshake, identity, redaction, spool, fold."""
