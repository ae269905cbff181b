"""PyJWT: verifies a token by the gateway's JWKS, as a back end in Python does.

Environment: TOKEN, JWKS_URI, ISSUER, AUDIENCE, TYP, ALGORITHM. Prints the claims; fails if anything is wrong.
"""

import json
import os

import jwt

token = os.environ["TOKEN"]
key = jwt.PyJWKClient(os.environ["JWKS_URI"]).get_signing_key_from_jwt(token)
claims = jwt.decode(
    token,
    key.key,
    algorithms=[os.environ["ALGORITHM"]],
    issuer=os.environ["ISSUER"],
    audience=os.environ["AUDIENCE"],
    options={"require": ["iss", "aud", "sub", "iat", "exp"]},
)
# PyJWT leaves the type to its caller (RFC 8725 §3.11).
typ = jwt.get_unverified_header(token).get("typ", "")
assert typ.lower().removeprefix("application/") == os.environ["TYP"].lower(), typ
print(json.dumps(claims))
