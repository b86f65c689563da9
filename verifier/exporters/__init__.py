"""Views of a verdict, one file each; those that `--report KIND=FILE` can write stand in `REPORTS`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module

from verifier.judgement import Judgement

Pieces = Callable[[Judgement], Iterator[str]]
"""Gives the text of a report, piece by piece."""


@dataclass(frozen=True, slots=True)
class Report:
    """A kind of report: the word for it, and the module whose `pieces` writes it, which is loaded when asked for."""

    kind: str
    module: str
    about: str

    def pieces(self, judgement: Judgement) -> Iterator[str]:
        """Yield the text."""
        make: Pieces = import_module(self.module).pieces
        return make(judgement)


REPORTS = (
    Report("junit", "verifier.exporters.junit", "JUnit XML: a test case for each tape and invariant"),
    Report("sarif", "verifier.exporters.sarif", "SARIF 2.1.0 for code scanning: results at lines of the contract"),
    Report("github", "verifier.exporters.github", "annotations of GitHub Actions, and its step summary"),
    Report("markdown", "verifier.exporters.markdown", "for a comment on a pull request"),
    Report("json", "verifier.exporters.json", "what --json prints, one object a line"),
    Report("html", "verifier.exporters.html", "one page to look at: users on a common time axis, violations marked"),
)
"""What `--report` can write, in the order of its help."""
