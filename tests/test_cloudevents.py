"""`wire.format: cloudevents`: what is an event, what is none, and a contract for some."""

import base64
import json

import pytest
from agents import failed, judge, talk, troubled
from hypothesis import given
from hypothesis import strategies as st

from goldentape.cloudevents import decode_cloudevents
from verifier.contract import read_contract

EVENT = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "order.placed"}
SHOP = """\
goldentape: 1
contract: {id: shop, version: "1.0.0"}
wire: {format: cloudevents, unwrap: array}
keys: {order: data.order, source: source}
events:
  placed: {type: order.placed, schema: {properties: {data: {required: [order]}}}}
  shipped: {type: order.shipped}
invariants:
  shipped-once: {kind: pair, key: order, open: placed, close: shipped}
  no-id-twice: {kind: unique, per: source, event: [placed, shipped], path: id}
  shapes: {kind: schema}
"""


def event(**fields):
    return {name: value for name, value in {**EVENT, **fields}.items() if value is not ...}


@pytest.mark.parametrize(
    "value, why",
    [
        (1, "no object"), ([1], "no object"), (event(specversion="0.3"), "specversion"),
        (event(specversion=...), "specversion"),
        (event(id=""), "`id`"), (event(source=...), "`source`"), (event(type=7), "`type`"),
        (event(data=1, data_base64="AA=="), "both"), (event(data_base64="*"), "base64"),
        (event(data_base64=1), "base64"),
        ([EVENT, {}], "specversion"),
    ],
)  # fmt: skip
def test_what_is_no_event_has_a_reason(value, why):
    found, problem = decode_cloudevents(json.dumps(value))

    assert found is None and problem.kind == "undecodable" and why in problem.why


@given(st.binary())
def test_bytes_are_read_as_other_formats_read_them(data):
    value, problem = decode_cloudevents(json.dumps(event(data_base64=base64.b64encode(data).decode())))

    assert problem is None and value == {**EVENT, "data": {"$bytes": data.hex()}}


def said(*values):
    contract = read_contract(SHOP.encode(), "shop.yaml")
    return judge(contract, talk(*(f"bob < {json.dumps(value)}" for value in values), "bob > (close 1000)").tape)


def test_events_are_judged_by_their_types_and_data():
    placed = event(data={"order": 7})
    shipped = event(id="2", type="order.shipped", data={"order": 7})

    good = said([placed, shipped], event(source="/other", data={"order": 8}))
    assert good.verdict == "pass", troubled(good)
    assert failed(said(placed, shipped, event(id="2", data={"order": 9}))) == {"no-id-twice"}
    assert failed(said(placed, shipped, event(id="3", type="order.shipped", data={"order": 7}))) == {"shipped-once"}
    assert failed(said(event(data={}))) >= {"shapes"}
    assert failed(said({**placed, "specversion": "2.0"})) == {"wire.undecodable"}
