"""The apps of fixtures/races: where they are, and how their users say who they are."""

from __future__ import annotations

from pathlib import Path

from verifier.fuzz.passport import Passport

HOME = Path(__file__).parent.parent / "fixtures" / "races"
SECRET = "only-for-tests-of-the-fuzzer-0123456789abcdef"
ENV = "RACES_SECRET"
TOKEN = Passport.parse("jwt:query:token", SECRET)
ALL = sorted(path.stem for path in HOME.glob("*.py") if path.stem != "agent_kit")
CLEAN = [name for name in ALL if name.startswith("clean_")]
BUGS = [name for name in ALL if name not in CLEAN]
