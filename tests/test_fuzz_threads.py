"""Which thread ids of an app the usual messages name: those that are made of who the user is."""

import sys

import pytest
from small_apps import KIT

from verifier.fuzz.api import job_of, prepare
from verifier.fuzz.script import Send

THREADS = """
numbers = itertools.count(1)

async def serve(client):
    await client.accept()
    thread = THREAD
    async for question in client.questions():
        run = uuid.uuid4().hex
        for name in FIVE:
            await client.say(name, run, thread_id=thread, timestamp=time.time(), agent_name="a", tool_name="t")
"""


@pytest.mark.parametrize(
    ("thread", "named"),
    [
        ('f"chat-{client.user}"', True),
        ("str(uuid.uuid5(uuid.NAMESPACE_URL, client.user))", True),
        ("str(uuid.uuid4())", False),
        ('f"chat-{next(numbers)}"', False),
        ('"chat"', False),
    ],
)
def test_the_usual_messages_name_the_threads_that_the_app_has_for_each_user(tmp_path, monkeypatch, thread, named):
    (tmp_path / "app_of_threads.py").write_text(KIT + THREADS.replace("THREAD", thread))
    options = {"app_dir": tmp_path, "passports": ["plain:query:user_id"], "path": "/ws", "users": 2}
    monkeypatch.delitem(sys.modules, "app_of_threads", raising=False)
    monkeypatch.syspath_prepend(tmp_path)

    search = prepare(job_of("app_of_threads:app", options, "a test"))

    sent = [a.payload for s in search.workload.sessions for a in s.script if isinstance(a, Send)]
    assert sent
    assert all(('-thread"' in text) is not named for text in sent)
