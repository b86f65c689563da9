"""One thin file a command: parse, one library call, print, exit."""
