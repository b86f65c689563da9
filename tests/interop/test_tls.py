"""TLS on both sides: the messages and the ends of a conversation are the same direct and through the recorder."""

import datetime
import ipaddress
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from harness import messages
from servers import WebsocketsServer
from stage import TALK, need_node, stage

from goldentape.event import Ending

ENDS = {
    "a close": [["close", 4000, "done"], ["ended"]],
    "a close of the server": [["text", '!{"close": [4001, "enough"]}'], ["ended"]],
    "an end without a close frame": [["text", '!{"drop": 1}'], ["ended"]],
    "a reset of the server": [["text", '!{"reset": 1}'], ["ended"]],
    "a reset of the client": [["abort"], ["ended"]],
}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 that is its own authority; its file and its key's file."""
    place = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        ).sign(key, hashes.SHA256())
    )  # fmt: skip
    files = place / "cert.pem", place / "key.pem"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return tuple(map(str, files))


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("client", ["websockets", "ws"])
def test_tls_on_both_sides(tmp_path, certificate, client, end):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    trust = ssl.create_default_context(cafile=certificate[0])
    if client == "ws":
        need_node()
        if end == "a reset of the client":
            pytest.skip("Node.js resets plain sockets only")
        options = {"ca": Path(certificate[0]).read_text()}
    else:
        options = {"ssl": trust}
    server = WebsocketsServer(ssl=context)
    args = ("--tls-cert", certificate[0], "--tls-key", certificate[1], "--ca", certificate[0])
    with stage(server, tmp_path / "a.tape", *args, scheme="wss") as s:
        mine, theirs, connection, events = s.both(client, TALK + ENDS[end], **options)

    assert len(messages(events, 1)) == 4
    assert connection.ending is (Ending.EOF if "without" in end else Ending.RESET if "reset" in end else Ending.CLEAN)
    assert connection.close_code == {"a close": 4000, "a close of the server": 4001}.get(end)
    assert mine["got"][-1][1] == (connection.close_code or 1006)
    assert theirs["got"][-1][1] == mine["got"][-1][1]
