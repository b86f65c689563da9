"""Other orders of what was recorded: which rules depend on timing alone, and what the timing may have hidden."""
