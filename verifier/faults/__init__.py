"""Faults: what a bad server makes of a good history, one file each; and which kinds of invariants must catch it."""

from __future__ import annotations

from collections.abc import Mapping

from verifier.faults import (
    alter_text,
    change_type,
    close_1011,
    cross_deliver,
    drop,
    duplicate,
    early_event,
    expired_accepted,
    extra_after_exit,
    flood,
    forbidden,
    forge_owner,
    late,
    leak_value,
    lose_completion,
    lose_field,
    lost_copy,
    lost_tail,
    mix_ids,
    no_recovery,
    omit,
    omit_everywhere,
    outlive_token,
    reject_valid,
    reorder_tools,
    repeat_id,
    retype_field,
    silence,
    slow_handshake,
    swap,
    truncate,
    vanish,
    wrong_number,
)
from verifier.faults.fault import Fault

FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for fault in map(
        Fault.of,
        (
            drop, omit, omit_everywhere, duplicate, swap, late, silence, lose_completion, early_event,
            extra_after_exit, flood, lost_copy, lost_tail, reorder_tools, mix_ids, repeat_id, cross_deliver,
            leak_value, forge_owner, change_type, truncate, retype_field, lose_field, alter_text, wrong_number,
            forbidden, close_1011, vanish, slow_handshake, expired_accepted, reject_valid, outlive_token, no_recovery,
        ),
    )
}  # fmt: skip
"""Name to fault."""
