"""Hooks of schemathesis: requests that get further than those made from the schema.

Half of the channels are in a category that exists. Commands of the API of 2013 are
also made from JSON and encoded, and every body is signed for the project demo.
"""

import base64
import hashlib
import hmac
import json

import schemathesis
from hypothesis import strategies as st

PATH = "/rpc/{project}"
PROJECT = "demo"
SECRET = "demo-secret"

TEXT = st.text(max_size=300)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)
CATEGORY = st.sampled_from(["news", "chat", "secret", "room", "nowhere", ""]) | TEXT
PARAMS = st.fixed_dictionaries(
    {},
    optional={
        "category": CATEGORY | VALUE,
        "channel": TEXT | VALUE,
        "data": VALUE,
        "user": TEXT | VALUE,
        "from": st.dictionaries(CATEGORY, st.lists(TEXT, max_size=4) | VALUE, max_size=4) | VALUE,
    },
)
COMMAND = st.fixed_dictionaries(
    {"method": st.sampled_from(["broadcast", "unsubscribe", "presence"]) | TEXT, "params": PARAMS | VALUE},
    optional={"id": TEXT | VALUE},
)


def encode(command):
    return base64.b64encode(json.dumps(command).encode()).decode()


def place(value, category):
    """Puts the channels of a body into a category."""
    if not isinstance(value, dict):
        return value
    moved = dict(value)
    if isinstance(moved.get("channel"), str):
        moved["channel"] = f"{category}:{moved['channel'].partition(':')[2]}"
    if isinstance(moved.get("channels"), list):
        moved["channels"] = [
            f"{category}:{name.partition(':')[2]}" if isinstance(name, str) else name for name in moved["channels"]
        ]
    return moved


@schemathesis.hook
def before_generate_body(context, strategy):
    if context.operation.path != PATH:
        return st.one_of(strategy, st.builds(place, strategy, st.sampled_from(["chat", "news", "room"])))
    return st.one_of(COMMAND.map(encode), VALUE.map(encode), strategy)


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.operation.path != PATH or not isinstance(case.body, str):
        return
    if case.path_parameters.get("project") != PROJECT:
        return
    message = PROJECT.encode() + case.body.encode("utf-8", "replace")
    case.headers["X-Centrifuge-Auth"] = "sign=" + hmac.new(SECRET.encode(), message, hashlib.sha256).hexdigest()
