"""Computes the signatures of recorded requests again, with botocore.

Reads a JSON list of requests, as ../signature.go writes it. Fails with the first
request whose Authorization header botocore would not have written.
"""

import base64
import json
import sys

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

requests = json.load(sys.stdin)
for recorded in requests:
    headers = recorded["headers"]
    given = headers.pop("Authorization")
    signed = given.split("SignedHeaders=")[1].split(",")[0].split(";")
    request = AWSRequest(
        method=recorded["method"],
        url=recorded["url"],
        headers={name: value for name, value in headers.items() if name.lower() in signed},
        data=base64.b64decode(recorded["body"]),
    )
    request.context["timestamp"] = headers["X-Amz-Date"]
    credentials = Credentials(recorded["access_key"], recorded["secret_key"], recorded["token"] or None)
    signer = SigV4Auth(credentials, "execute-api", recorded["region"])
    canonical = signer.canonical_request(request)
    signature = signer.signature(signer.string_to_sign(request, canonical), request)
    expected = ", ".join(
        [
            f"AWS4-HMAC-SHA256 Credential={signer.scope(request)}",
            f"SignedHeaders={signer.signed_headers(signer.headers_to_sign(request))}",
            f"Signature={signature}",
        ]
    )
    if given != expected:
        sys.exit(f"{recorded['method']} {recorded['url']} has\n{given}\nbotocore computes\n{expected}\nfor\n{canonical}")
print(len(requests))
