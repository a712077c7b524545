"""A service behind the gateway that knows nothing but Clerk's session tokens, with Python's standard library alone.

    CLERK_FAPI_URL=https://clerk.example.com python3 upstream.py 8080

The port is 8080 unless it is given.

It verifies each token as Clerk describes (https://clerk.com/docs/guides/sessions/manual-jwt-verification): its signature
against the instance's key set, its issuer and its times. In earnest, take a library for JWTs.
"""

import base64
import hashlib
import json
import os
import sys
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ISSUER = os.environ.get("CLERK_FAPI_URL", "").rstrip("/")
if not ISSUER:
    sys.exit("CLERK_FAPI_URL: must be the address of the instance, such as http://127.0.0.1:4400")
# The prefix of a SHA-256 digest in a signature (RFC 8017, section 9.2, note 1).
SHA256 = bytes.fromhex("3031300d060960864801650304020105000420")
LEEWAY = 5


def decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def keys():
    with urllib.request.urlopen(ISSUER + "/.well-known/jwks.json", timeout=10) as answer:
        return {key["kid"]: key for key in json.load(answer)["keys"] if key["kty"] == "RSA"}


def verified(token, key_set):
    """Returns the claims, or raises an exception."""
    signed, _, signature = token.rpartition(".")
    header, payload = signed.split(".")
    header = json.loads(decoded(header))
    if header["alg"] != "RS256":
        raise ValueError("the algorithm isn't RS256")
    key = key_set[header["kid"]]
    modulus, exponent = (int.from_bytes(decoded(key[name]), "big") for name in ("n", "e"))
    length = (modulus.bit_length() + 7) // 8
    signature = decoded(signature)
    digest = SHA256 + hashlib.sha256(signed.encode()).digest()
    expected = b"\0\1" + b"\xff" * (length - len(digest) - 3) + b"\0" + digest
    if len(signature) != length or pow(int.from_bytes(signature, "big"), exponent, modulus) != int.from_bytes(expected, "big"):
        raise ValueError("the signature is wrong")
    claims = json.loads(decoded(payload))
    if claims["iss"] != ISSUER:
        raise ValueError("the issuer is another one")
    if not claims["nbf"] - LEEWAY <= time.time() <= claims["exp"] + LEEWAY:
        raise ValueError("the token is too old or too young")
    return claims


class Service(BaseHTTPRequestHandler):
    def do_GET(self):
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        try:
            if scheme != "Bearer":
                raise ValueError("no token")
            status, answer = 200, {"user": verified(token, keys())["sub"]}
        except (KeyError, TypeError, ValueError) as error:
            status, answer = 401, {"error": repr(error)}
        except OSError as error:
            status, answer = 503, {"error": f"no key set: {error}"}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if sys.argv[1:] else 8080), Service)
print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
