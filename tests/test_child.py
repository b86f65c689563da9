"""The fold as the recorder keeps it: whatever keeps it from running, nothing is lost and nothing is claimed."""

import asyncio
import os
import resource
import signal
from contextlib import contextmanager
from pathlib import Path

import pytest
from peers import PATIENCE, recorder, rows, run, serving, switch, upgraded
from spools import frame

from goldentape.errors import EnvironmentFault
from recorder.child import FoldChild


async def listen(peer):
    await switch(peer)
    return await peer.to_end()


async def until(true):
    async with asyncio.timeout(PATIENCE):
        while not true():
            await asyncio.sleep(0.02)


@contextmanager
def no_more_files():
    """Within, this process can open nothing more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
    held = []
    try:
        while True:
            try:
                held.append(os.open(os.devnull, os.O_RDONLY))
            except OSError:
                break
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in held:
            os.close(descriptor)


def test_a_fold_that_cannot_be_started_for_want_of_files_is_started_later(tmp_path, caplog):
    async def main():
        async with serving(listen) as server, recorder(tmp_path / "a.tape", server) as r:
            client = await upgraded(r.port)
            with no_more_files():
                os.kill(r.fold.pid, signal.SIGKILL)
                await until(lambda: "cannot be started" in caplog.text)
                await client.send(frame(1, b"meanwhile", mask=True))
            await until(lambda: r.fold.pid is not None)
            client.close()
            await server.outcome()

    run(main())

    assert rows(tmp_path / "a.tape", "SELECT payload FROM event") == [("meanwhile",)]
    assert rows(tmp_path / "a.tape", "SELECT value FROM meta WHERE key = 'complete'") == [(1,)]


def test_the_spool_stays_where_the_tape_was_not_sealed(tmp_path, monkeypatch):
    async def gives_up(self):
        raise RuntimeError("a bug")

    async def main():
        async with serving(listen) as server:
            r = recorder(tmp_path / "a.tape", server)
            await r.start()
            client = await upgraded(r.port)
            await client.send(frame(1, b"hello", mask=True))
            monkeypatch.setattr(FoldChild, "_spawn_again", gives_up)
            os.kill(r.fold.pid, signal.SIGKILL)
            await until(lambda: r.fold.pid is None)
            client.close()
            await server.outcome()
            with pytest.raises(EnvironmentFault, match="cannot be kept running: a bug"):
                await r.stop()

    run(main())

    assert list((tmp_path / "a.tape.spool").glob("*.seg"))


def test_a_tape_whose_name_begins_like_an_option_is_recorded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    async def main():
        async with serving(listen) as server, recorder(Path("-x.tape"), server) as r:
            return r

    assert run(main()).head is not None
