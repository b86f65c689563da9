"""A certificate authority of one test."""

from __future__ import annotations

import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


class Authority:
    """A certificate authority of one test, and the files it makes."""

    def __init__(self, directory) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test authority")])
        self.file = directory / "ca.pem"
        own = self._build(self._name, self._key, DAY, x509.BasicConstraints(ca=True, path_length=None))
        self.file.write_bytes(own.public_bytes(serialization.Encoding.PEM))

    def _build(self, name, key, lasts, *extensions):
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - 2 * DAY)
            .not_valid_after(NOW + lasts)
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def issue(self, host="127.0.0.1", lasts=DAY):
        """Make a certificate for an address or a name, and a key; return their files."""
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            name = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            name = x509.DNSName(host)
        names = x509.SubjectAlternativeName([name])
        cert = self._build(x509.Name([]), key, lasts, names)
        files = self._directory / f"{host}.pem", self._directory / f"{host}.key"
        files[0].write_bytes(cert.public_bytes(serialization.Encoding.PEM))
        files[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return tuple(map(str, files))
