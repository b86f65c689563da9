"""Faults: what a bad server makes of a good history, one file each; and which kinds of invariants must catch it."""

from __future__ import annotations

from collections.abc import Mapping

from verifier.faults import (
    change_type,
    close_1011,
    cross_deliver,
    drop,
    duplicate,
    early_event,
    extra_after_exit,
    forge_owner,
    late,
    lose_completion,
    lose_field,
    mix_ids,
    omit,
    omit_everywhere,
    reorder_tools,
    retype_field,
    silence,
    slow_handshake,
    swap,
    truncate,
    vanish,
)
from verifier.faults.fault import Fault

FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for fault in map(
        Fault.of,
        (
            drop, omit, omit_everywhere, duplicate, swap, late, silence, lose_completion, early_event, extra_after_exit,
            reorder_tools, mix_ids, cross_deliver, forge_owner, change_type, truncate, retype_field, lose_field,
            close_1011, vanish, slow_handshake,
        ),
    )
}  # fmt: skip
"""Name to fault."""
