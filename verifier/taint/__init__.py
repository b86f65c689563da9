"""Whose values are found where: sources, sinks, and the judgement of what is in both."""
