"""What is a secret: names of fields, headers and query parameters, and shapes of values.  Tables and pure functions."""

from __future__ import annotations

import re
from enum import IntEnum
from functools import lru_cache


class Name(IntEnum):
    """What the name of a field says about its value."""

    PLAIN = 0
    SOFT = 1
    """A secret where the value looks like one: `token` is also a piece of a model's answer, `session` an object."""
    SECRET = 2
    """Whatever the value is."""


# Words of a name; `api key` stands for apikey, api_key, api-key, apiKey, ...  A name matches when it ends so.
SECRET_ENDINGS = (
    "passcode", "pwd", "secret", "api key", "private key", "secret key", "access key", "signing key",
    "encryption key", "master key", "shared key", "auth key", "ssh key", "credential", "credentials", "cookie",
    "authorization", "csrf", "xsrf", "sess id", "connect sid", "card number", "credit card", "cc number", "cvv", "cvc",
)  # fmt: skip
"""Sentry's default list, spelt as endings, and what else is a credential by its name."""
SECRET_ANYWHERE = ("password", "passwd", "passphrase")
SECRET_NAMES = ("auth", "pass", "secrets", "cookies", "sessionid", "ssn", "aiohttp session", "user session")
SOFT_ENDINGS = ("token", "jwt")
SOFT_NAMES = ("session", "sid")
PLAIN_ENDINGS = ("page token", "continuation token", "sync token", "next token", "first token", "last token",
                 "per token", "eos token", "bos token", "pad token", "unk token", "stop token",
                 "max token")  # fmt: skip
"""Pagination and language models; counts such as `total_tokens` never match."""

_JOINTS = re.compile(r"(?<=[^-_. ])[-_. ](?=[^-_. ])")


def squeeze(name: str) -> str:
    """Return `name` in the form names are compared in: lower case, without the single separators inside."""
    return _JOINTS.sub("", name).lower()


_SECRET_ENDS = tuple(squeeze(n) for n in SECRET_ENDINGS)
_SECRET_IS = frozenset(squeeze(n) for n in SECRET_NAMES)
_SOFT_IS = frozenset(squeeze(n) for n in SOFT_NAMES)
_PLAIN_ENDS = tuple(squeeze(n) for n in PLAIN_ENDINGS)


@lru_cache(4096)
def judge_name(name: str) -> Name:
    """Judge the name of a field in a payload."""
    plain = squeeze(name)
    # Django's cookie is `sessionid`; `session_id` and `sessionId` name a conversation, and isolation is judged by it.
    if plain == "sessionid" and name not in ("sessionid", "SESSIONID"):
        return Name.PLAIN
    if plain in _SECRET_IS or plain.endswith(_SECRET_ENDS) or any(word in plain for word in SECRET_ANYWHERE):
        return Name.SECRET
    if plain in _SOFT_IS or (plain.endswith(SOFT_ENDINGS) and not plain.endswith(_PLAIN_ENDS)):
        return Name.SOFT
    return Name.PLAIN


SOFT_LENGTH = 8
"""A shorter value of a SOFT name is no credential; so the pieces of a streamed answer stay."""


def soft_secret(value: bytes) -> bool:
    """Whether the text of a SOFT name is one: long enough, and without the space that begins a word of an answer."""
    return len(value.strip()) >= SOFT_LENGTH and not value[:1].isspace()


# Shapes of values

# All of them run on hostile text, so none may look at a character more than a bounded number of times.
JWT = re.compile(rb"eyJ[A-Za-z0-9_-]{7,}(?:\.[A-Za-z0-9_-]+){1,4}\.?")
"""Two parts already carry the claims; five are a JWE."""
JWT_START = re.compile(rb"eyJ[A-Za-z0-9_-]{7}")
JWT_INSIDE = re.compile(rb"(?<![A-Za-z0-9_-])(?=[A-Za-z0-9_-]++\.)[A-Za-z0-9_-]*?(" + JWT.pattern + rb")")
"""Group 1 is the JWT, also where something is glued to its front."""
PEM = re.compile(
    rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----[\s\S]*?(?=-----|\Z)"
    rb"(?:-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----)?"
)
CLOUD_KEY_START = re.compile(
    rb"(?:(?:AKIA|ASIA)[0-9A-Z]{16}"  # AWS
    rb"|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}"
    rb"|xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}"  # Slack
    rb"|AIza[0-9A-Za-z_-]{30,}|ya29\.[0-9A-Za-z_-]{16,}"  # Google
    rb"|[srp]k_(?:live|test)_[0-9A-Za-z]{10,}|whsec_[0-9A-Za-z+/=]{16,}"  # Stripe
    rb"|sk-[A-Za-z0-9_-]{20,}"  # OpenAI, Anthropic
    rb"|hf_[A-Za-z0-9]{20,}|npm_[A-Za-z0-9]{20,}|pypi-[A-Za-z0-9_-]{20,}|dop_v1_[0-9a-f]{32,}"
    rb"|shp(?:at|ss|ca|pa)_[0-9a-fA-F]{16,}|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,})"
)
CLOUD_KEY = re.compile(rb"(?<![A-Za-z0-9])" + CLOUD_KEY_START.pattern)
CLOUD_STARTS = (
    "AKIA", "ASIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xoxa-", "xoxb-", "xoxe-",
    "xoxo-", "xoxp-", "xoxr-", "xoxs-", "xapp-", "AIza", "ya29.", "sk_live_", "sk_test_", "rk_live_", "rk_test_",
    "pk_live_", "pk_test_", "whsec_", "sk-", "hf_", "npm_", "pypi-", "dop_v1_", "shpat_", "shpss_", "shpca_", "shppa_",
    "SG.",
)  # fmt: skip
BEARER = re.compile(rb"(?i:\bbearer|\bbasic)[ \t]+([A-Za-z0-9._~+/=-]{16,})")
USERINFO = re.compile(rb"://([^/\s\"'@\\<>:]{0,256}:[^/\s\"'@\\<>]{1,512})@")
"""user:password in a URL."""
SCHEME = re.compile(rb"(?i)(bearer|basic|token|digest|negotiate|apikey|jwt|aws4-hmac-sha256)[ \t]+(?=\S)")
"""The word before a credential; it stays."""

_FOUR = rb"(?:4[0-9]{3}|5[1-5][0-9]{2}|2[2-7][0-9]{2}|35[2-8][0-9]|6(?:011|4[4-9][0-9]|5[0-9]{2}))"
CARD_DIGITS = re.compile(
    rb"(?:4[0-9]{12}(?:[0-9]{3}){0,2}|" + _FOUR + rb"[0-9]{12}|3[47][0-9]{13}|3(?:0[0-5]|[68][0-9])[0-9]{11}|"
    + _FOUR + rb"([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}|3[47][0-9]{2}([ -])[0-9]{6}\2[0-9]{5})"
)  # fmt: skip
CARD = re.compile(
    rb"(?<![^-\"' \t\r\n:=,;(\[>/#|*\x00\x80-\xff])" + CARD_DIGITS.pattern + rb"(?![A-Za-z0-9])(?!\.[0-9])"
)
"""Known issuers in their lengths, plain or in their usual groups; Luhn is checked apart."""
ISSUERS = tuple(
    str(n)
    for first, last in ((400, 499), (510, 559), (222, 272), (340, 349), (370, 379), (601, 601), (644, 659),
                        (352, 358), (300, 305), (360, 369), (380, 389))
    for n in range(first, last + 1)
)  # fmt: skip
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def luhn(digits: bytes) -> bool:
    """Whether a row of digits ends in its check digit."""
    total = 0
    for place, char in enumerate(reversed(digits)):
        total += _DOUBLED[char - 48] if place % 2 else char - 48
    return total % 10 == 0


UNCARDED = re.compile(r"(?i)(?:id|ids|at|time|timestamp|ts|seq|sequence|nonce|version|count|offset|cursor)$")
"""Names whose digits are a number of another kind, Luhn or not."""

# Names in text that is not JSON: name=value, name: value

_WORDS = sorted(
    {n.replace(" ", "[-_. ]?") for n in (*SECRET_ENDINGS, *SECRET_ANYWHERE, *SECRET_NAMES, *SOFT_ENDINGS)},
    key=len,
    reverse=True,
)
_NAME = rb"(?P<name>[A-Za-z0-9_.$-]{0,64}(?:" + "|".join(_WORDS).encode() + rb")[A-Za-z0-9_-]{0,32})"
_QUOTED = rb"(?P<open>\\*[\"'])(?P<quoted>[\s\S]*?)(?=(?P=open)|\Z)"
_BARE = rb"(?P<bare>(?:(?:bearer|basic|token)[ \t]+)?[^\s\"'&,;<>\\{}\[\]]+)"
ASSIGNED = re.compile(
    rb"(?i)(?<![A-Za-z0-9_.$-])" + _NAME + rb"(?P<mark>\\*[\"']?[ \t]?[=:]\s*)(?:" + _QUOTED + rb"|" + _BARE + rb")"
)
HEADER_LINE = re.compile(
    rb"(?im)^(?:proxy-)?(?:authorization|cookie|set-cookie|x-api-key|x-[a-z-]{0,32}token|passcode)[ \t]?:"
    rb"[ \t]*(\S[^\r\n\x00]*)"
)
"""A head inside a text: STOMP frames, dumped requests."""

QUERY_NAMES = frozenset(
    ("token", "access_token", "id_token", "auth", "apikey", "api_key", "key", "sig", "signature", "code", "state",
     "session", "sid", "ticket", "jwt", "password")
)  # fmt: skip
IN_QUERY = re.compile(
    rb"(?i)[?&](?:" + "|".join(sorted(QUERY_NAMES, key=len, reverse=True)).encode() + rb")=([^&#\s\"'<>\\]+)"
)


def secret_query_name(name: str) -> bool:
    """Whether the value of a query parameter is taken for a secret."""
    return name.lower() in QUERY_NAMES or judge_name(name) is not Name.PLAIN


SECRET_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "x-auth-token", "x-csrf-token"}
)
_HEADER_WORDS = ("token", "secret", "key", "auth", "session", "passw")
KEPT_HEADERS = frozenset({"sec-websocket-key", "sec-websocket-accept", "sec-websocket-protocol"})
ADDRESS_HEADERS = frozenset(
    {"x-forwarded-for", "x-real-ip", "forwarded", "cf-connecting-ip", "true-client-ip", "x-client-ip",
     "x-cluster-client-ip", "fly-client-ip", "fastly-client-ip"}
)  # fmt: skip


def secret_header(name: str) -> bool:
    """Whether the value of a header is taken for a secret."""
    lower = name.lower()
    return lower not in KEPT_HEADERS and (lower in SECRET_HEADERS or any(word in lower for word in _HEADER_WORDS))


BENIGN_COOKIE = re.compile(
    r"(?i)(?:user_?(?:id|name)?|uid|login|email|name|lang(?:uage)?|locale|theme|tz|timezone|device_?id|client_?id"
    r"|visitor_?id|consent.*|_ga.*|_gid|_fbp|ajs_.*)$"
)
"""Cookies that are stored as digests like all others, but are no secret that would be wrong to see elsewhere."""

SUBPROTOCOLS = frozenset(
    ("graphql-ws", "graphql-transport-ws", "mqtt", "mqttv3.1", "stomp", "v10.stomp", "v11.stomp", "v12.stomp",
     "soap", "xmpp", "wamp", "wamp.2.json", "wamp.2.msgpack", "wamp.2.cbor", "ocpp1.2", "ocpp1.5", "ocpp1.6",
     "ocpp2.0", "ocpp2.0.1", "sip", "json", "msgpack", "cbor", "amqp", "nats", "chat", "superchat",
     "actioncable-v1-json", "actioncable-unsupported", "phoenix", "channel.k8s.io", "base64.channel.k8s.io",
     "v4.channel.k8s.io", "v5.channel.k8s.io", "base64.binary.k8s.io", "binary.k8s.io", "lws-mirror-protocol",
     "bearer", "token", "access_token", "authorization", "v1.kernel.websocket.jupyter.org", "realtime",
     "openai-beta.realtime-v1", "binary", "base64")
)  # fmt: skip
"""Names that everybody knows, so nobody's secret."""
KUBERNETES_BEARER = "base64url.bearer.authorization.k8s.io."


def label(value: bytes) -> str:
    """Return what `value` looks like: the label of its placeholder, the same wherever the value is."""
    if JWT.fullmatch(value):
        return "jwt"
    if PEM.match(value):
        return "pem"
    if CLOUD_KEY.fullmatch(value):
        return "key"
    return "secret"
