"""Authlib with Requests: a complete login, ID token verification, userinfo, refresh, revocation.

Environment: ISSUER, CLIENT_ID, CLIENT_SECRET (empty: a public client), REDIRECT_URI, EMAIL, PASSWORD. Prints one JSON
object with what it learned.
"""

import json
import os

from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
from authlib.jose import JsonWebKey, jwt
from authlib.oidc.core import CodeIDToken

from customer import sign_in

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # the gateway under test is on loopback
issuer = os.environ["ISSUER"]
client_id, client_secret = os.environ["CLIENT_ID"], os.environ.get("CLIENT_SECRET") or None

session = OAuth2Session(
    client_id,
    client_secret,
    scope="openid profile email offline_access",
    redirect_uri=os.environ["REDIRECT_URI"],
    code_challenge_method="S256",
    token_endpoint_auth_method="client_secret_basic" if client_secret else "none",
    revocation_endpoint_auth_method="client_secret_basic" if client_secret else "none",
)
session.trust_env = False


def get_json(url):
    answer = session.get(url, withhold_token=True)
    answer.raise_for_status()
    return answer.json()


metadata = get_json(issuer.rstrip("/") + "/.well-known/openid-configuration")
assert metadata["issuer"] == issuer, metadata["issuer"]
keys = JsonWebKey.import_key_set(get_json(metadata["jwks_uri"]))


def verified(token, nonce=None):
    claims = jwt.decode(
        token["id_token"],
        keys,
        claims_cls=CodeIDToken,
        claims_options={
            "iss": {"essential": True, "value": issuer},
            "aud": {"essential": True, "value": client_id},
            "sub": {"essential": True},
        },
        claims_params={"nonce": nonce, "client_id": client_id, "access_token": token["access_token"]},
    )
    claims.validate(leeway=5)
    return claims


verifier, nonce = generate_token(48), generate_token(20)
url, state = session.create_authorization_url(
    metadata["authorization_endpoint"], code_verifier=verifier, nonce=nonce, prompt="consent"
)
callback = sign_in(url, os.environ["REDIRECT_URI"], os.environ["EMAIL"], os.environ["PASSWORD"])
token = session.fetch_token(
    metadata["token_endpoint"], authorization_response=callback, state=state, code_verifier=verifier
)
claims = verified(token, nonce)

answer = session.get(metadata["userinfo_endpoint"])
answer.raise_for_status()
userinfo = answer.json()
assert userinfo["sub"] == claims["sub"]
assert userinfo["email"] == os.environ["EMAIL"]

first = token["refresh_token"]
refreshed = session.refresh_token(metadata["token_endpoint"], refresh_token=first)
assert refreshed["refresh_token"] != first
assert verified(refreshed)["sub"] == claims["sub"]

if "revocation_endpoint" in metadata:
    answer = session.revoke_token(metadata["revocation_endpoint"], token=refreshed["refresh_token"])
    answer.raise_for_status()

print(json.dumps({"claims": claims, "userinfo": userinfo, "access_token": token["access_token"]}))
