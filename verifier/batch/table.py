"""Which acceptor goes with which class of rules."""

from __future__ import annotations

from collections.abc import Mapping

from verifier.batch.accept import Acceptor
from verifier.batch.ids import ACCEPTS as IDS
from verifier.batch.isolation import ACCEPTS as ISOLATION
from verifier.batch.people import ACCEPTS as PEOPLE
from verifier.batch.records import ACCEPTS as RECORDS
from verifier.batch.runs import ACCEPTS as RUNS
from verifier.batch.shares import ACCEPTS as SHARES
from verifier.batch.stamps import ACCEPTS as STAMPS
from verifier.batch.texts import ACCEPTS as TEXTS
from verifier.batch.times import ACCEPTS as TIMES
from verifier.batch.values import ACCEPTS as VALUES

ACCEPTORS: Mapping[type, Acceptor] = {
    **RECORDS,
    **RUNS,
    **TIMES,
    **STAMPS,
    **TEXTS,
    **IDS,
    **PEOPLE,
    **VALUES,
    **SHARES,
    **ISOLATION,
}
