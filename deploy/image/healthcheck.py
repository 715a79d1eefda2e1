"""Tell whether the service of this container can do its work: exit code 0, or 1 with the reason.

The image's HEALTHCHECK, and the probe of Kubernetes where callers must show a certificate: it asks the
service that runs as process 1 for /ready, at the address that its flags or its environment name.
"""

import http.client
import os
import ssl
import sys
from pathlib import Path

# By the words of the command: the variable that names the address, and the port where nothing does.
SERVICES = {
    "source": ("HEALTH_PORT", "8088"),
    "processor": ("HEALTH_PORT", "8089"),
    "up": ("HEALTH_PORT", "8089"),
    "analytics": ("HEALTH_PORT", "8088"),
    "sink": ("METRICS_PORT", "9090"),
}
SECONDS = 4.0
EVERYWHERE = ("", "0.0.0.0", "[::]", "::")  # noqa: S104  names, not a listener


def main() -> int:
    words = Path("/proc/1/cmdline").read_bytes().decode(errors="replace").split("\0")
    service = next((word for word in words if word in SERVICES), None)
    if service is None:
        print("process 1 is no service of stellarrow, nothing to ask")
        return 0
    variable, port = SERVICES[service]
    host, _, port = given(words, variable, port).rpartition(":")
    host = "127.0.0.1" if host in EVERYWHERE else host.strip("[]")
    try:
        return ask(words, host, int(port))
    except (OSError, ValueError, http.client.HTTPException) as error:
        print(f"{service} does not answer at {host}:{port}: {error}")
        return 1


def given(words: list[str], variable: str, default: str) -> str:
    """Return a setting as the service has it: its flag, its variable, or the default."""
    flag = "--" + variable.lower().replace("_", "-")
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word == flag:
            return following
        if word.startswith(f"{flag}="):
            return word.partition("=")[2]
    return os.environ.get(variable) or default


def ask(words: list[str], host: str, port: int) -> int:
    certificate = given(words, "TLS_CERTIFICATE", "")
    if certificate:
        # The service of this very container: its name need not be localhost.
        context = ssl._create_unverified_context()  # noqa: S323, SLF001
        if given(words, "TLS_CLIENT_CA", ""):
            context.load_cert_chain(certificate, given(words, "TLS_KEY", "") or None)
        connection = http.client.HTTPSConnection(host, port, timeout=SECONDS, context=context)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=SECONDS)
    connection.request("GET", "/ready")
    answer = connection.getresponse()
    text = answer.read(4_096).decode(errors="replace")
    if answer.status != 200:
        print(f"/ready answers {answer.status}: {text}")
    return int(answer.status != 200)


if __name__ == "__main__":
    sys.exit(main())
