"""What a live message stands for, and what is wrong with it: decided without a socket."""

from __future__ import annotations

import pytest
from tapes import tape

from goldentape.event import Opcode
from verifier.correlate import learn
from verifier.replay.outcome import Kind, Outcome
from verifier.replay.stage import Stage, Stopped, outcome_of, stages
from verifier.script import Step


class Play:
    """A recording at play: steps are done as they become due, the server says what a test has it say."""

    def __init__(self, *sentences: str) -> None:
        with tape(*sentences) as opened:
            recording = learn(opened.connections(), opened.events())
        self.outcome: Outcome = outcome_of(recording)
        [self.stage] = stages(recording, self.outcome)
        self.stage.accepted(0, 101, [])

    def says(self, *texts: str) -> Play:
        for text in texts:
            self.steps()
            self.stage.said(0, Opcode.TEXT, text.encode())
        self.steps()
        return self

    def steps(self) -> None:
        while isinstance(step := self.stage.next(), Step):
            if step.kind == "open":
                self.stage.accepted(step.connection, 101, [])
            self.stage.done(step)

    @property
    def found(self) -> list[tuple[Kind, str]]:
        return [(d.kind, d.what) for d in self.outcome.differences]

    @property
    def complete(self) -> bool:
        return self.stage.next() is None


def test_the_same_again_is_complete_and_without_a_difference():
    play = Play('a > {"type":"ask"}', 'a < {"type":"answer","id":"run-12345","text":"yes"}')

    play.says('{"type":"answer","id":"run-54321","text":"certainly"}')

    assert play.complete and [kind for kind, _ in play.found] in ([], [Kind.DETAIL])


def runs(*words: str) -> list[str]:
    return [f'{{"type":"{word.split()[0]}","run":"run-{word.split()[1]}"}}' for word in words]


def test_two_runs_may_come_in_any_order():
    play = Play(
        'a > {"type":"ask","n":1}', 'a > {"type":"ask","n":2}',
        *(f"a < {text}" for text in runs("begin aa111", "begin bb222", "end aa111", "end bb222")),
        'a > {"type":"rate","run":"run-bb222"}',
    )  # fmt: skip

    play.says(
        *(f'{{"type":"{t}","run":"run-{r}"}}' for t, r in [("begin", "x1111"), ("begin", "y2222"), ("end", "y2222")])
    )
    assert not play.complete
    play.says('{"type":"end","run":"run-x1111"}')

    assert play.complete and play.found == []


def test_ids_of_both_sides_of_json_rpc_may_be_equal():
    play = Play(
        'a > {"jsonrpc":"2.0","method":"pay","id":2}',
        'a < {"jsonrpc":"2.0","method":"confirm","id":3}',
        'a > {"jsonrpc":"2.0","result":{},"id":3}',
        'a < {"jsonrpc":"2.0","result":{"ok":true},"id":2}',
        'a > {"jsonrpc":"2.0","method":"state","id":3}',
        'a < {"jsonrpc":"2.0","result":{"state":"paid"},"id":3}',
    )

    play.says(
        '{"jsonrpc":"2.0","method":"confirm","id":9}',
        '{"jsonrpc":"2.0","result":{"ok":true},"id":2}',
        '{"jsonrpc":"2.0","result":{"state":"paid"},"id":3}',
    )

    assert play.complete and play.found == []


def test_a_message_about_something_else_stands_for_nothing():
    play = Play(
        *(f'a > {{"type":"sub","id":"{i}"}}' for i in ("sub-11111", "sub-22222")),
        'a < {"type":"next","id":"sub-11111"}', 'a < {"type":"next","id":"sub-22222"}',
    )  # fmt: skip

    play.says('{"type":"next","id":"sub-22222"}', '{"type":"next","id":"sub-22222"}')

    assert not play.complete and play.found == [(Kind.EXTRA, "one more next than the tape has")]
    assert play.says('{"type":"next","id":"sub-11111"}').complete


def test_a_piece_of_a_stream_may_be_missing_and_another_message_may_not():
    stream = [f'{{"type":"delta","n":{n}}}' for n in range(5)]
    play = Play('a > {"type":"ask"}', *(f"a < {text}" for text in stream), 'a < {"type":"done"}', 'a > {"type":"bye"}')

    play.says(*stream[:3], '{"type":"done"}')
    play.stage.finish()

    assert play.complete and play.found == [(Kind.FEWER, "2 delta fewer than the tape has")]

    play = Play('a > {"type":"ask"}', *(f"a < {text}" for text in stream), 'a < {"type":"done"}', 'a > {"type":"bye"}')
    play.says(*stream)
    with pytest.raises(Stopped):
        play.stage.late(play.stage.next(), 1.0)
    assert play.found == [(Kind.MISSING, "done did not come")]


def test_one_more_piece_of_a_stream_is_none_of_the_next_stream():
    stream = [f'{{"type":"delta","n":{n}}}' for n in range(4)]
    once = ['a > {"type":"ask"}', 'a < {"type":"begin"}', *(f"a < {text}" for text in stream), 'a < {"type":"end"}']
    play = Play(*once, *once)

    play.says('{"type":"begin"}', *stream, stream[0], '{"type":"end"}')
    play.says('{"type":"begin"}', *stream, '{"type":"end"}')

    assert play.complete and play.found == [(Kind.EXTRA, "one more delta than the tape has")]


def test_a_message_may_come_before_what_the_client_does_next():
    play = Play('a > {"type":"ask"}', 'a < {"type":"tick"}', 'a > {"type":"stop"}', 'a < {"type":"tick"}')
    play.steps()

    for _ in range(2):
        play.stage.said(0, Opcode.TEXT, b'{"type":"tick"}')
    play.steps()

    assert play.complete and play.found == []


def test_another_order_of_what_belongs_together_is_told():
    play = Play('a > {"type":"ask"}', 'a < {"type":"begin"}', 'a < {"type":"end"}')

    play.says('{"type":"end"}', '{"type":"begin"}')

    assert play.complete and play.found == [(Kind.ORDER, "end came before begin")]


@pytest.mark.parametrize(
    ("recorded", "live", "kind"),
    [
        ('{"type":"x","status":"queued"}', '{"type":"x","status":"lost"}', Kind.VALUE),
        ('{"type":"x","ok":true}', '{"type":"x","ok":false}', Kind.VALUE),
        ('{"type":"x","n":1}', '{"type":"x","n":"1"}', Kind.FIELD),
        ('{"type":"x","deep":{"n":1}}', '{"type":"x","deep":{}}', Kind.FIELD),
        ('{"type":"x","n":1}', '{"type":"x","n":2}', Kind.DETAIL),
        ('{"type":"x"}', '{"type":"x","more":1}', Kind.DETAIL),
        ('{"type":"x","n":null}', '{"type":"x","n":2}', Kind.DETAIL),
        ('{"type":"x","id":"run-11111","at":5,"text":"a b"}', '{"type":"x","id":"run-2","at":6,"text":"c"}', None),
        ('{"type":"x","items":[{"a":1}]}', '{"type":"x","items":[]}', Kind.DETAIL),
        ('{"type":"x","token":"[r:number:' + "0" * 32 + ']"}', '{"type":"x","token":12345}', None),
    ],
)  # fmt: skip
def test_what_cannot_be_chance_diverges(recorded, live, kind):
    play = Play(f"a < {recorded}").says(live)

    assert play.complete and [found for found, _ in play.found] == ([] if kind is None else [kind])


def test_heartbeats_are_not_waited_for_and_are_answered():
    play = Play(
        'a < {"type":"ping"}', 'a > {"type":"pong"}', 'a < {"type":"ping"}', 'a > {"type":"pong"}', "a > hi", "a < ho"
    )

    play.says("ho")

    assert play.complete and play.stage.said(0, Opcode.TEXT, b'{"type":"ping"}') is not None
    assert play.stage.replies[0].document.payload == b'{"type":"pong"}'


def test_users_who_heard_of_each_other_are_one_group():
    with tape(
        'a > {"text":"a long word of alice"}', 'b < {"text":"a long word of alice"}', 'c > {"text":"nobody hears this"}'
    ) as opened:
        recording = learn(opened.connections(), opened.events())
    found: list[Stage] = stages(recording, outcome_of(recording))

    assert sorted(sorted(script.actor for script in stage.scripts) for stage in found) == [["a", "b"], ["c"]]


RPC = (
    'a > {"jsonrpc":"2.0","id":1,"method":"add"}', 'a < {"jsonrpc":"2.0","id":1,"result":{"item":88941014,"count":1}}',
    'a > {"jsonrpc":"2.0","id":2,"method":"add"}', 'a < {"jsonrpc":"2.0","id":2,"result":{"item":70011422,"count":2}}',
    'a > {"jsonrpc":"2.0","id":3,"method":"remove","params":{"item":88941014}}',
    'a < {"jsonrpc":"2.0","id":3,"result":{"removed":88941014}}',
)  # fmt: skip


def test_what_is_gone_from_the_results_of_one_method_is_told_whatever_other_methods_answer():
    play = Play(*RPC)

    play.says('{"jsonrpc":"2.0","id":1,"result":{"item":31415926}}')

    assert play.found == [(Kind.FIELD, "result of add: result.count is gone")]


def test_ids_that_the_client_says_again_may_be_others_each_time_and_that_is_no_difference():
    play = Play(*RPC)

    play.says(
        '{"jsonrpc":"2.0","id":1,"result":{"item":31415926,"count":1}}',
        '{"jsonrpc":"2.0","id":2,"result":{"item":27182818,"count":2}}',
        '{"jsonrpc":"2.0","id":3,"result":{"removed":31415926}}',
    )

    assert play.complete
    assert play.found == [(Kind.DETAIL, "result of add: result.item is 27182818, and 70011422 on the tape")]
