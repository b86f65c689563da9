"""Certified minimality is held to its word: against every short schedule there is, tried one by one."""

import itertools
import random

import pytest
import races

from verifier.fuzz.baselines import Baselines
from verifier.fuzz.certify import certify
from verifier.fuzz.crowd import crowd
from verifier.fuzz.inprocess import InProcess
from verifier.fuzz.schedule import SERIAL, Schedule, Side, Slice
from verifier.fuzz.settings import Settings


@pytest.fixture(scope="module", params=["leak_contextvar", "close_1011"])
def small(request):
    player = InProcess(Settings(app=f"{request.param}:app", app_dir=str(races.HOME)))
    workload = crowd(2, 1, done="agent_completed", passports=(races.TOKEN,))
    oracle = Baselines(player).oracle(workload)
    return player, workload, lambda run: bool(oracle.judge(run))


def every(names, size, longest):
    sides = (Side.BOTH, Side.SERVER, Side.CLIENT)
    one = [Slice(name, steps, side) for name in names for side in sides for steps in range(longest)]
    return (Schedule(slices) for slices in itertools.product(one, repeat=size))


def test_a_certificate_says_of_short_schedules_what_trying_them_all_says(small):
    player, workload, fails = small
    names = [session.name for session in workload.sessions]
    one = [schedule for schedule in every(names, 1, 14) if fails(player.play(workload, schedule))]
    three = Schedule((Slice("alice", 1), Slice("bob", 1), Slice("alice", 1)))
    asked = certify(lambda s: player.survey(workload, s), fails, workload, three, player.play(workload, three), 60)

    assert not fails(player.play(workload, SERIAL))
    assert (len(asked.schedule) == 1) == bool(one)
    if len(asked.schedule) == 2:
        assert asked.minimal == "certified"
        assert fails(player.play(workload, asked.schedule))
        assert one == []


def test_every_run_of_one_slice_is_among_those_that_were_tried(small):
    player, workload, _ = small
    names = [session.name for session in workload.sessions]
    seen = set()

    def note(run):
        seen.add(run.choices)
        return False

    two = Schedule((Slice("alice", 1), Slice("bob", 1)))
    certificate = certify(lambda s: player.survey(workload, s), note, workload, two, player.play(workload, two), 60)

    assert certificate.complete == 1
    assert {player.play(workload, schedule).choices for schedule in every(names, 1, 14)} <= seen


def test_every_run_of_two_slices_is_among_those_that_were_tried(small):
    player, workload, _ = small
    names = [session.name for session in workload.sessions]
    seen = set()

    def note(run):
        seen.add(run.choices)
        return False

    three = Schedule((Slice("alice", 1), Slice("bob", 1), Slice("alice", 1)))
    certificate = certify(lambda s: player.survey(workload, s), note, workload, three, player.play(workload, three), 60)

    assert certificate.complete == 2
    assert certificate.tried == len(seen)
    some = random.Random(4).sample(list(every(names, 2, 14)), 150)
    assert {player.play(workload, schedule).choices for schedule in some} <= seen
