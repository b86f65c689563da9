"""`goldentape replay`: the clients of a tape against a live server, through a recorder, onto a new tape."""

from __future__ import annotations

import asyncio
import json
import math
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from goldentape.commands.child import RecorderProcess
from goldentape.commands.opening import opened
from goldentape.commands.progress import Progress
from goldentape.commands.sizes import DURATION
from goldentape.commands.target import mapped_path, read_target
from goldentape.display import show
from goldentape.errors import EnvironmentFault, Exit, InputError, NothingVerified
from goldentape.event import Epoch
from goldentape.tape import Tape
from recorder.pseudonym import Pseudonyms, load_key
from verifier.correlate import learn
from verifier.mapping import parse_rules
from verifier.replay.credentials import Credentials, Minter, Wanted, hs256
from verifier.replay.drive import Replay, Settings
from verifier.replay.outcome import Difference, Kind, Outcome
from verifier.replay.polling import forget_sids
from verifier.script import UNREADABLE, Recording

SHOWN = 20
"""Differences that are told one by one."""


class Speed(click.ParamType):  # type: ignore[type-arg]  # generic only from click 8.3 on
    """A factor, or `max`."""

    name = "speed"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the factor; `max` is infinite."""
        if value == "max":
            return math.inf
        try:
            factor = float(str(value).removesuffix("x"))
        except ValueError:
            factor = 0.0
        if not 0 < factor < math.inf:
            self.fail(f"{value!r} is neither a factor such as 2 or 0.5, nor max", param, ctx)
        return factor


@click.command()
@click.argument("tape", type=click.Path(path_type=Path))
@click.option(
    "--target", metavar="URL", help="The live server: ws://HOST:PORT or wss://HOST:PORT, perhaps with a path."
)
@click.option("-o", "--out", type=click.Path(path_type=Path), metavar="TAPE", help="The new tape.")
@click.option(
    "--speed", type=Speed(), default="1", show_default=True, metavar="FACTOR|max",
    help="How fast: as recorded, so many times as fast, or as fast as the server answers.",
)  # fmt: skip
@click.option(
    "--patience", type=DURATION, default="10s", show_default=True,
    help="How much later than on the tape an answer may come.",
)  # fmt: skip
@click.option(
    "--map", "maps", multiple=True, metavar="CLIENT=SERVER",
    help="Where a value of the client's comes from: cancel:run_id=started:run.id, @query.token=env:TOKEN, "
    "join:room=value:lobby, request_id=fresh, color=keep.",
)  # fmt: skip
@click.option(
    "--token-command", metavar="COMMAND",
    help="Prints a fresh token; {user} is the user's name, {credential} is valid, expired, bad_signature or malformed.",
)  # fmt: skip
@click.option(
    "--jwt-key-file", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Test key that fresh tokens (HS256) are signed with.",
)  # fmt: skip
@click.option("--jwt-claim", multiple=True, metavar="NAME=VALUE", help="A further claim of those tokens.")
@click.option(
    "--i-own-this-host", "owned", multiple=True, metavar="HOST",
    help="The target's host is not this machine, and is mine to be driven: its name once more.",
)  # fmt: skip
@click.option("--strict", is_flag=True, help="Every difference is a divergence, also what may be chance.")
@click.option("--fault", multiple=True, metavar="NAME:KEY=VALUE,...", help="A fault on the way, as `record` has them.")
@click.option("--tag", multiple=True, metavar="NAME=VALUE", help="What contracts know the new tape by.")
@click.option(
    "--redaction-key-file", type=click.Path(dir_okay=False), help="The redaction key of both tapes, to compare secrets."
)
@click.option("--ca", type=click.Path(), help="PEM file of the authorities that a wss:// target is checked against.")
@click.option("--insecure", is_flag=True, help="Do not check the target's certificate.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
@click.option("--quiet", is_flag=True, help="Print errors only.")
def replay(
    tape: Path, target: str | None, out: Path | None, speed: float, patience: float, maps: tuple[str, ...],
    token_command: str | None, jwt_key_file: Path | None, jwt_claim: tuple[str, ...], owned: tuple[str, ...],
    strict: bool, as_json: bool, quiet: bool, **recorder: Any,
) -> int:  # fmt: skip
    """Play the clients recorded on TAPE against a live server, and record what it says onto a new tape."""
    if target is None:
        raise InputError("missing target", fix="say --target ws://HOST:PORT")
    if out is None:
        raise InputError("where does the new tape go?", fix="say -o NEW.tape")
    upstream, path, addresses = read_target(target, owned)
    rules = parse_rules(maps)
    minter = _minter(token_command, jwt_key_file, jwt_claim)
    with opened(tape) as source:
        if source.live:
            raise EnvironmentFault("is being recorded", where=tape, fix="stop the recorder first")
        digest = digest_of(source, recorder["redaction_key_file"])
        recording = learn(source.connections(), source.events(), rules, digest)
        arguments = _arguments(source, out, upstream, jwt_key_file, {**recorder, "connect_to": addresses})
        state = source.state
    if state != "sealed" and not quiet:
        print(f"{show(str(tape), 500)} is {state}: its end may be missing", file=sys.stderr)
    _check(recording, tape)
    forget_sids(recording)
    credentials = Credentials(recording, minter)
    credentials.check()
    paths = mapped_path(path, [connection.target for connection in recording.connections])
    outcome, last = asyncio.run(_run(recording, credentials, arguments, paths, speed, patience, quiet))
    _print(outcome, last, tape, target, out, strict=strict, as_json=as_json, quiet=quiet)
    if outcome.interrupted:
        return Exit.INTERRUPTED
    return Exit.OK if outcome.complete and not outcome.divergences(strict=strict) else Exit.VIOLATION


def _check(recording: Recording, tape: Path) -> None:
    steps = [step for script in recording.scripts for step in script.steps]
    if not steps:
        raise NothingVerified("has no client to replay", where=tape)
    for step in steps:
        if step.flags & UNREADABLE:
            why = ", ".join(flag.name.lower() for flag in UNREADABLE if flag & step.flags and flag.name)
            raise InputError(
                f"event #{step.seq} cannot be sent again: it is {why}", where=tape, fix="record it again, or cut it out"
            )


def _arguments(tape: Tape, out: Path, upstream: str, key: Path | None, options: dict[str, Any]) -> list[str]:
    """Return the command line of the recorder: what it knows users by is what the tape's did."""
    epoch: Epoch | None = tape.epochs[-1] if tape.epochs else None
    known = epoch.options if epoch is not None else {}
    found = [str(out), "--upstream", upstream, "--listen", "127.0.0.1:0", "--drain", "2s"]
    for name, option in (("identify", "--identify"), ("claims", "--claim")):
        for value in known.get(name) or ():
            found += [option, str(value)]
    if key is not None:
        found += ["--jwt-key-file", str(key)]
    for name, value in options.items():
        option = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            found += [option] if value else []
        elif value is not None:
            found += [word for one in (value if isinstance(value, tuple) else (value,)) for word in (option, str(one))]
    return found


def digest_of(tape: Tape, key_file: str | None) -> Callable[[bytes], str] | None:
    """Return what the tape's placeholders were made with, where its key is at hand."""
    path = Path(key_file) if key_file is not None else Path(f"{tape.path}.key")
    if key_file is None and not path.is_file():
        return None
    pseudonyms = Pseudonyms(load_key(path, create=False))
    if not any(epoch.redaction_key == pseudonyms.fingerprint for epoch in tape.epochs):
        return None
    return pseudonyms.digest


def _minter(command: str | None, key_file: Path | None, claims: Sequence[str]) -> Minter | None:
    if command is not None and key_file is not None:
        raise InputError("--token-command and --jwt-key-file exclude each other")
    if command is not None:
        words = shlex.split(command)
        if not words:
            raise InputError("--token-command is empty")
        return lambda wanted: _token(words, wanted)
    if key_file is None:
        return None
    named: dict[str, Any] = {}
    for claim in claims:
        name, equals, value = claim.partition("=")
        if not equals or not name:
            raise InputError("--jwt-claim is not a claim", found=claim, wanted="NAME=VALUE, such as role=admin")
        try:
            named[name] = json.loads(value)
        except ValueError:
            named[name] = value
    key = key_file.read_text(encoding="utf-8").strip()
    if not key:
        raise InputError("the key is empty", where=key_file)
    return hs256(key, named)


def _token(words: list[str], wanted: Wanted) -> str:
    filled = [word.replace("{user}", wanted.user).replace("{credential}", wanted.credential) for word in words]
    environment = {**os.environ, "GOLDENTAPE_USER": wanted.user, "GOLDENTAPE_CREDENTIAL": wanted.credential}
    try:
        done = subprocess.run(
            filled, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, ValueError) as error:
        raise EnvironmentFault(f"--token-command cannot be run: {error}", found=filled[0]) from None
    except subprocess.TimeoutExpired:
        raise EnvironmentFault("--token-command took more than a minute", found=filled[0]) from None
    token = done.stdout.strip()
    if done.returncode or not token or "\n" in token:
        why = done.stderr.strip().splitlines()
        raise EnvironmentFault(
            f"--token-command printed no token for {wanted.user} (exit code {done.returncode})",
            found=why[-1] if why else f"{len(token.splitlines())} lines" if token else "nothing",
            wanted="one line",
        )
    return token


async def _run(
    recording: Recording, credentials: Credentials, arguments: list[str], path: Any, speed: float, patience: float,
    quiet: bool,
) -> tuple[Outcome, str]:  # fmt: skip
    recorder = await RecorderProcess.start(arguments)
    progress = Progress("replaying", sum(len(s.steps) + len(s.answers) for s in recording.scripts), "events")
    settings = Settings(host=recorder.host, port=recorder.port, path=path, speed=speed, patience=patience)
    play = Replay(recording, credentials, settings, (lambda: None) if quiet else (lambda: progress.add(1)))
    loop = asyncio.get_running_loop()
    running = loop.create_task(play.run())
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, running.cancel)
    died = loop.create_task(recorder.ended())
    try:
        await asyncio.wait({running, died}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            running.cancel()
            await asyncio.wait({running})
            await recorder.stop()
            raise EnvironmentFault("the recorder ended before the replay did")
        outcome = running.result()
    finally:
        progress.end()
        died.cancel()
        if recorder.alive and (not running.done() or running.cancelled() or running.exception() is not None):
            await recorder.kill()
    return outcome, await recorder.stop()


def _print(
    outcome: Outcome, last: str, tape: Path, target: str, out: Path, *, strict: bool, as_json: bool, quiet: bool
) -> None:
    if as_json:
        print(json.dumps(_as_json(outcome, out, strict), indent=1))
        return
    first = outcome.divergences(strict=strict)
    if quiet and not first:
        return
    names = f"{show(str(tape), 500)} against {show(target)} onto {show(str(out), 500)}"
    print(f"replayed {names}")
    counts = f"  {outcome.done:,} of {outcome.steps:,} steps of {_plural(outcome.actors, 'user')} on "
    counts += f"{_plural(outcome.connections, 'connection')}, {outcome.answered:,} of {outcome.expected:,} answers: "
    ended = "interrupted" if outcome.interrupted else "complete" if outcome.complete else "not complete"
    print(counts + ended)
    if outcome.stopped:
        names = ", ".join(show(actor, 40) for actor in sorted(outcome.stopped)[:8])
        print(f"  stopped: {names}" + (f" and {len(outcome.stopped) - 8} more" if len(outcome.stopped) > 8 else ""))
    if first:
        print("\nfirst divergence: " + "\n".join(first[0].lines()))
    rest: dict[tuple[str, str], list[Difference]] = {}
    for difference in outcome.differences:
        # Of what may be chance the values are of no interest: one example of a field is enough.
        what = difference.what.partition(" is ")[0] if difference.kind is Kind.DETAIL else difference.what
        rest.setdefault((difference.kind, what), []).append(difference)
    if first:
        alike = next(found for found in rest.values() if first[0] in found)
        alike.remove(first[0])
        if alike:
            print(f"    the same    {_plural(len(alike), 'time')} more: {_people(alike)}")
            alike.clear()
    others = [found for found in rest.values() if found]
    if others:
        print("\nother differences:" if first else "\ndifferences that may be chance:")
        for found in others[:SHOWN]:
            print("  " + "\n  ".join(found[0].lines()))
            if len(found) > 1:
                same = "likewise" if found[0].kind is Kind.DETAIL else "the same"
                print(f"      {same}    {_plural(len(found) - 1, 'time')} more: {_people(found[1:])}")
        if len(others) > SHOWN or outcome.unkept:
            print(f"  and {len(others) - SHOWN + outcome.unkept:,} more; --json has them all")
    if last.startswith("sealed"):
        print(("\n" if first or others else "  ") + show(last, 500))


def _people(differences: Sequence[Difference]) -> str:
    names = sorted({show(difference.actor, 40) for difference in differences})
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def _plural(count: int, what: str) -> str:
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def _as_json(outcome: Outcome, out: Path, strict: bool) -> dict[str, Any]:
    first = outcome.divergences(strict=strict)
    return {
        "complete": outcome.complete, "interrupted": outcome.interrupted, "tape": str(out),
        "users": outcome.actors, "connections": outcome.connections,
        "steps": {"done": outcome.done, "of": outcome.steps},
        "answers": {"came": outcome.answered, "of": outcome.expected},
        "stopped": sorted(outcome.stopped),
        "first_divergence": first[0].to_json() if first else None,
        "differences": [difference.to_json() for difference in outcome.differences],
    }  # fmt: skip
