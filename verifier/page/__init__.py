"""The HTML report: a tape packed into one page, with what draws it."""
