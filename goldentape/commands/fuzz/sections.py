"""The help of the fuzzer's commands in sections: there are too many options for one list."""

from __future__ import annotations

from collections.abc import Mapping

import click

SECTIONS: Mapping[str, tuple[str, ...]] = {
    "The app or the server": (
        "app_dir", "factory", "isolate", "target", "server_cmd", "start_timeout", "restart", "reset_url",
        "i_own_this_host", "ca", "insecure", "rate",
    ),
    "Who does what": (
        "users", "messages", "path", "message", "done", "script", "tape", "faults", "passports", "jwt_secret",
        "token_command", "token_place",
    ),
    "What must hold": ("contracts", "contract", "settings", "allow_code", "shared", "ordered", "consumer"),
    "The search": (
        "schedules", "interleavings", "tries", "times", "budget", "seconds", "failures", "most", "seed", "policy",
        "hypothesis", "explore", "window", "certify", "confirm", "patience", "hand_to_app", "allow_unsealed",
    ),
    "What is told": ("save", "trace", "excerpts", "as_json", "json", "quiet", "reports", "report"),
}  # fmt: skip
"""Title to the names of parameters; what is in none of them stands at the end."""


class Sectioned(click.Command):
    """A command whose help has its options in sections."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, section by section."""
        of = {name: title for title, names in SECTIONS.items() for name in names}
        told: dict[str, list[tuple[str, str]]] = {title: [] for title in (*SECTIONS, "Options")}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                told[of.get(parameter.name or "", "Options")].append(record)
        for title, records in told.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)
