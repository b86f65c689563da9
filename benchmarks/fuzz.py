"""What a schedule costs: runs of the fuzzer beside bare runs of the same app and script on the stock event loop.

    python benchmarks/fuzz.py [--app-dir fixtures/races] [--seconds 0.5] [--rounds 3] [APP ...]

A bare run makes the app afresh in the same way, starts a stock loop, and lets the same clients (4 connections of 2
users, 5 messages, one drop, one reconnect) talk to it at once, with `asyncio.sleep` cut to one turn of the loop.  Both
kinds take turns in one process; times are of the processor, a ratio is of medians.  `oracle`: each run of the fuzzer is
also searched for canaries that leaked, its messages parsed.  `golden`: it is also judged as `fuzz app --contract
golden-path` judges it: canaries in every form, what each user sees alone, the whole contract but for what a user alone
breaks, too; what is known of one run is used for the next.  `per s` and `golden/s` are the runs of one processor
second, without and with all that.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import logging
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from goldentape.codec import decode_json
from goldentape.commands.finding import read_contracts
from verifier.contract import Contract
from verifier.fuzz.asgi import Connection, Lifespan
from verifier.fuzz.baselines import Baselines
from verifier.fuzz.canary import canary, carries
from verifier.fuzz.client import Client
from verifier.fuzz.crowd import MESSAGE, filled
from verifier.fuzz.failure import Kind
from verifier.fuzz.inprocess import InProcess
from verifier.fuzz.load import Target
from verifier.fuzz.passport import Passport
from verifier.fuzz.policy import policy
from verifier.fuzz.run import Runner
from verifier.fuzz.schedule import SERIAL
from verifier.fuzz.script import Close, Drop, Send, Wait
from verifier.fuzz.seen import Ended, Run, What
from verifier.fuzz.settings import Settings
from verifier.fuzz.workload import After, Session, User, Workload

SECRET = "only-for-tests-of-the-fuzzer-0123456789abcdef"


def workload(done: str, own: bool = True) -> Workload:
    """Two users, four connections, five messages, one drop, one reconnect; `own`: answers tell what they answer."""

    def says(user: str, *numbers: int) -> list[Any]:
        found: list[Any] = []
        for n in numbers:
            token = canary(user, n)
            found += [Send(filled(MESSAGE, user, n, token), token), Wait(token if own else "", done)]
        return found

    cut = says("bob", 1)[:1]
    sessions = (
        Session(name="alice", user="alice", script=(*says("alice", 1, 2), Close())),
        Session(name="alice-tab", user="alice", script=(*says("alice", 3), Close())),
        Session(name="bob", user="bob", script=(*cut, Drop())),
        Session(name="bob-2", user="bob", after=After("bob"), script=(*says("bob", 2), Close())),
    )
    return Workload((User("alice"), User("bob")), sessions, (Passport.parse("jwt:query:token", SECRET),))


class Bare:
    """One session on the stock loop: the same client, driven by a task."""

    def __init__(self, client: Client, over: dict[str, asyncio.Event]) -> None:
        self.client = client
        self.over = over
        self.moved = asyncio.Event()

    def accepted(self, subprotocol: str) -> None:
        self.client.accept()
        self.moved.set()

    def rejected(self, status: int) -> None:
        self.client.over = True
        self.moved.set()

    def sent(self, payload: str | bytes) -> None:
        if self.client.take(payload):
            self.moved.set()

    def closed(self, code: int, reason: str) -> None:
        self.rejected(code)

    def lost(self) -> None:
        self.rejected(1006)

    def misused(self, text: str) -> None: ...
    def failed(self, error: BaseException) -> None: ...

    async def talk(self, app: Any, scope: dict[str, Any]) -> None:
        client = self.client
        if client.session.after is not None:
            await self.over[client.session.after.session].wait()
        connection = Connection(asyncio.get_running_loop(), self)  # type: ignore[arg-type]
        serving = asyncio.ensure_future(connection.run(app, scope))
        while not client.over:
            if client.done:
                break
            if not client.accepted or client.waits:
                self.moved.clear()
                await self.moved.wait()
                continue
            action = client.session.script[client.place]
            client.place += 1
            if isinstance(action, Send):
                client.sent.append((action.canary, action.payload))
                connection.arrive({"type": "websocket.receive", "text": action.payload})
            else:
                client.over = True
                code = action.code if isinstance(action, Close) else 1006
                connection.arrive({"type": "websocket.disconnect", "code": code})
            client.settle()
        self.over[client.session.name].set()
        await serving


async def bare(app: Any, work: Workload, scopes: Callable[[Session, dict[str, Any]], dict[str, Any]]) -> None:
    lifespan = Lifespan(asyncio.get_running_loop(), app)  # type: ignore[arg-type]
    await lifespan.started
    over = {session.name: asyncio.Event() for session in work.sessions}
    await asyncio.gather(*(Bare(Client(s), over).talk(app, scopes(s, lifespan.state)) for s in work.sessions))
    lifespan.shut_down()
    await lifespan.stopped


def scope(work: Workload, session: Session, state: dict[str, Any]) -> dict[str, Any]:
    head = work.head(session)
    return {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "scheme": "ws",
        "path": head.path,
        "raw_path": head.path.encode(),
        "root_path": "",
        "query_string": head.query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in head.headers],
        "subprotocols": list(head.subprotocols),
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 50000),
        "state": dict(state),
        "extensions": {"websocket.http.response": {}},
    }


def run_bare(target: Target, work: Workload) -> None:
    """One bare run: stock loop, sleeps of one turn."""
    asleep = asyncio.sleep

    async def cut(delay: float, result: Any = None) -> Any:
        return await asleep(0, result)

    asyncio.sleep = cut  # type: ignore[assignment]
    loop = asyncio.new_event_loop()
    try:
        with target.fresh() as app:
            loop.run_until_complete(asyncio.wait_for(bare(app, work, partial(scope, work)), 1))
    finally:
        asyncio.sleep = asleep
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def leaked(run: Run, owners: dict[str, str], users: dict[str, str]) -> bool:
    """A small oracle: parse every message, look for canaries of others."""
    for moment in run.moments:
        if moment.dir == "s2c" and moment.what is What.MESSAGE and isinstance(moment.payload, str):
            decode_json(moment.payload)
            if any(user != users[moment.session] and carries(moment.payload, c) for c, user in owners.items()):
                return True
    return False


class Judged:
    """Runs that are judged as `fuzz app` judges them."""

    def __init__(self, app: str, app_dir: str, work: Workload, contracts: tuple[Contract, ...]) -> None:
        self._player = InProcess(Settings(app=app, app_dir=app_dir))
        self._baselines = Baselines(self._player, contracts)
        self._oracle = self._baselines.oracle(work)
        self._work = work
        self._runs = itertools.count()
        self._met: set[str] = set()

    def __call__(self, _n: int) -> None:
        for failure in self._oracle.judge(self._player.walk(self._work, "mix", 1, next(self._runs))[1]):
            if failure.kind is Kind.CONTRACT and failure.fingerprint not in self._met:
                self._met.add(failure.fingerprint)
                if self._baselines.alone_too(self._work, failure):
                    self._oracle.excuse(failure)


def rate(once: Callable[[int], Any], seconds: float) -> float:
    """Milliseconds of processor time a run."""
    begin, runs = time.process_time(), 0
    while True:
        once(runs)
        runs += 1
        spent = time.process_time() - begin
        if spent > seconds:
            return spent / runs * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("apps", nargs="*", metavar="APP", help="module:attribute; default: all of the directory")
    parser.add_argument("--app-dir", default="fixtures/races")
    parser.add_argument("--seconds", type=float, default=0.5, help="for each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--done", default="agent_completed", help="the event that ends an answer")
    asked = parser.parse_args()
    logging.disable(logging.CRITICAL)
    names = asked.apps or sorted(
        f"{path.stem}:app"
        for path in Path(asked.app_dir).glob("*.py")
        if "app" in path.read_text().split("_", 1)[-1]
        and ("def app(" in (text := path.read_text()) or "\napp = " in text)
    )
    print(
        f"{'app':28} {'bare ms':>8} {'fuzz ms':>8} {'ratio':>6} {'oracle':>7} {'golden':>7}"
        f" {'per s':>6} {'golden/s':>8} {'steps':>6} {'events':>6}"
    )
    ratios: list[float] = []
    with_oracle: list[float] = []
    with_contract: list[float] = []
    contracts = tuple(read_contracts(["golden-path"], {}))
    for name in names:
        runner = Runner(name, app_dir=asked.app_dir)
        work = workload(asked.done)
        if runner.run(work, SERIAL).ended is not Ended.DONE:
            work = workload(asked.done, own=False)
        owners, users = work.canaries(), {s.name: s.user for s in work.sessions}
        sample = runner.run(work, policy("mix", 1, 0))

        def fuzzed(n: int, runner: Runner = runner, work: Workload = work) -> Run:
            return runner.run(work, policy("mix", 1, n))

        def judged(
            n: int, runner: Runner = runner, work: Workload = work, owners: Any = owners, users: Any = users
        ) -> bool:
            return leaked(runner.run(work, policy("mix", 1, n)), owners, users)

        golden = Judged(name, asked.app_dir, work, contracts)

        def alone(n: int, runner: Runner = runner, work: Workload = work) -> None:
            run_bare(runner.target, work)

        times: dict[str, list[float]] = {"bare": [], "fuzz": [], "judged": [], "golden": []}
        try:
            run_bare(runner.target, work)
        except Exception as error:
            print(f"{name:28} no bare run: {type(error).__name__}", file=sys.stderr)
            continue
        for _ in range(asked.rounds):
            times["bare"].append(
                rate(lambda _n, runner=runner, work=work: run_bare(runner.target, work), asked.seconds)
            )
            times["fuzz"].append(rate(fuzzed, asked.seconds))
            times["judged"].append(rate(judged, asked.seconds))
            times["golden"].append(rate(golden, asked.seconds))
        if not all(times.values()):
            print(f"{name:28} no bare run that ends", file=sys.stderr)
            continue
        base, fuzz, judge, gold = (statistics.median(times[kind]) for kind in ("bare", "fuzz", "judged", "golden"))
        ratios.append(fuzz / base)
        with_oracle.append(judge / base)
        with_contract.append(gold / base)
        print(
            f"{name:28} {base:8.2f} {fuzz:8.2f} {ratios[-1]:6.2f} {with_oracle[-1]:7.2f} {with_contract[-1]:7.2f} "
            f"{1000 / fuzz:6.0f} {1000 / gold:8.0f} {len(sample.choices):6}"
            f" {sum(m.dir == 's2c' for m in sample.moments):6}"
        )
    if ratios:
        print(
            f"median ratio {statistics.median(ratios):.2f}, with oracle {statistics.median(with_oracle):.2f} (goal"
            f" 1.3), with golden-path {statistics.median(with_contract):.2f}"
        )


if __name__ == "__main__":
    main()
