"""`attributed`: whose something is, and who told so; every sequence of AG-UI's events is in `test_ag_ui.py`."""

import pytest
from agents import judge, shipped, talk, written

from verifier.contract import read_contract
from verifier.lint import demand
from verifier.load import ContractError

RUN = "bob < RUN_STARTED runId=r1"
START = "bob < TEXT_MESSAGE_START messageId=m1"


def owners(*sentences):
    talked = talk(*(written(sentence) for sentence in sentences))
    return judge(shipped("ag-ui"), talked.tape).outcome("owners"), talked


@pytest.mark.parametrize(
    "sentences, why",
    [
        ([RUN, f"* {START}", "* bob < TEXT_MESSAGE_END messageId=m1 subagentRunId=s1"],
         "is of the subagent s1, but message m1 is of the parent agent since #4"),
        ([RUN, f"* {START} subagentRunId=s1", "bob < TEXT_MESSAGE_END messageId=m1", f"* {START} subagentRunId=s2"],
         "is of the subagent s2, but message m1 is of the subagent s1 since #4"),
        ([RUN, f"{START} subagentRunId=s1", "* bob < TOOL_CALL_RESULT messageId=m1 toolCallId=c1",
          "* bob < TEXT_MESSAGE_CONTENT messageId=m1 subagentRunId=s1"], "message m1 is of the parent agent since #5"),
        ([RUN, f"* {START} subagentRunId=s1", "bob < TEXT_MESSAGE_START messageId=m2",
          "bob < TOOL_CALL_START toolCallId=c1 parentMessageId=m1", "bob < TOOL_CALL_END toolCallId=c1",
          "* bob < TOOL_CALL_START toolCallId=c1 parentMessageId=m2"],
         "is of the parent agent, but tool call c1 is of the subagent s1 since #4"),
        ([RUN, "* bob < TOOL_CALL_START toolCallId=c1 subagentRunId=s1",
          "* bob < REASONING_ENCRYPTED_VALUE entityId=c1 subtype=tool-call subagentRunId=s2"],
         "tool call c1 is of the subagent s1"),
    ],
)  # fmt: skip
def test_who_goes_on_in_anothers_name_is_told_with_who_began_it(sentences, why):
    outcome, talked = owners(*sentences)

    assert outcome.verdict == "fail"
    [violation] = [v for group in outcome.groups for v in group.first]
    assert why in violation.why
    assert talked.culprits <= set(violation.seqs)


def test_one_id_names_different_things_and_is_free_in_the_next_run():
    outcome, _ = owners(
        RUN, f"{START} subagentRunId=s1", "bob < TOOL_CALL_START toolCallId=m1 subagentRunId=s2",
        "bob < REASONING_START messageId=m1 subagentRunId=s3", "bob < RUN_ERROR message=no", RUN,
        f"{START} subagentRunId=s2",
    )  # fmt: skip

    assert outcome.verdict == "pass" and outcome.tally.activations == 4


def test_what_a_gap_may_have_told_anew_is_not_judged():
    outcome, _ = owners(RUN, START, "mark gap", "bob < TEXT_MESSAGE_END messageId=m1 subagentRunId=s1")

    assert outcome.verdict == "inconclusive"


CONTRACT = """\
goldentape: 1
contract: {id: x, version: "1.0.0"}
wire: {type: type}
events: {RUN_STARTED: {}, RUN_FINISHED: {}, note: {}}
spans: {run: {open: RUN_STARTED, per: connection, exits: {ok: RUN_FINISHED}}}
invariants: {a: INVARIANT}
"""


@pytest.mark.parametrize(
    "invariant, what",
    [
        ("{kind: attributed}", "`scope` is missing"),
        ("{kind: attributed, scope: run, events: [RUN_STARTED, note]}", "no event of AG-UI"),
        ("{kind: attributed, scope: run, events: [RUN_STATED]}", "did you mean RUN_STARTED"),
        ("{kind: attributed, scope: {before: note}}", "span of a run"),
    ],
)
def test_a_contract_that_cannot_be_meant_is_refused(invariant, what):
    with pytest.raises(ContractError) as error:
        demand(read_contract(CONTRACT.replace("INVARIANT", invariant).encode(), "x.yaml"))

    assert what in str(error.value)
