"""A real SMTP server (Debian's aiosmtpd) that keeps what it takes, each mail as one line of JSON, read by Python's own parser.

    receiver.py PORT FILE [PASSWORD [CERTIFICATE KEY]]

What it answers is in the address, as with mail servers in the world: `refused…@` is refused for good, `later-N…@` is put off N times.
With a password, nobody is let in without it; with a certificate, nobody without TLS (STARTTLS). Port 0 takes a free one; the first line of the output says which.
"""

import asyncio
import email
import email.policy
import json
import re
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


class Keeper:
    def __init__(self, file):
        self.file = file
        self.put_off = {}

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("refused"):
            return f"550 5.1.1 <{address}>: nobody of this name"
        later = re.match(r"later-(\d+)", address)
        if later and self.put_off.get(address, 0) < int(later[1]):
            self.put_off[address] = self.put_off.get(address, 0) + 1
            return f"451 4.7.1 <{address}>: greylisted, come again"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        parts = {part.get_content_type(): part.get_content() for part in mail.walk() if not part.is_multipart()}
        kept = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "is_encrypted": session.ssl is not None,
            "headers": {name.lower(): str(value) for name, value in mail.items()},
            "text": parts.get("text/plain"),
            "html": parts.get("text/html"),
        }
        print(json.dumps(kept), file=self.file, flush=True)
        return "250 2.0.0 taken"


def authenticate(password):
    def check(server, session, envelope, mechanism, data):
        return AuthResult(success=data.password == password.encode(), handled=False)

    return check


async def main():
    port, path, *more = sys.argv[1:]
    keeper = Keeper(open(path, "a", encoding="utf-8"))
    options = {"hostname": "receiver.test", "enable_SMTPUTF8": True}
    if more:
        options |= {
            "auth_required": True,
            "auth_require_tls": False,
            "authenticator": authenticate(more[0]),
        }
    if more[1:]:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(*more[1:])
        options |= {"tls_context": tls, "require_starttls": True}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(keeper, **options), "127.0.0.1", int(port))
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
