// openid-client, certified by the OpenID Foundation: a complete login, userinfo, refresh, introspection, logout.
//
// Environment: ISSUER, CLIENT_ID, CLIENT_SECRET (empty: a public client), REDIRECT_URI, EMAIL, PASSWORD,
// POST_LOGOUT_REDIRECT_URI (optional). Prints one JSON object with what it learned.
import './webcrypto.mjs';
import assert from 'node:assert/strict';
import * as client from 'openid-client';
import { signIn } from './customer.mjs';

const { ISSUER, CLIENT_ID, CLIENT_SECRET, REDIRECT_URI, EMAIL, PASSWORD, POST_LOGOUT_REDIRECT_URI } = process.env;

const authentication = CLIENT_SECRET ? client.ClientSecretBasic(CLIENT_SECRET) : client.None();
const config = await client.discovery(new URL(ISSUER), CLIENT_ID, undefined, authentication, {
  execute: [client.allowInsecureRequests], // the gateway under test is on loopback
});
// Without this it believes ID tokens from the token endpoint for the connection's sake.
client.enableNonRepudiationChecks(config);

const pkceCodeVerifier = client.randomPKCECodeVerifier();
const expectedState = client.randomState();
const expectedNonce = client.randomNonce();
const authorizationUrl = client.buildAuthorizationUrl(config, {
  redirect_uri: REDIRECT_URI,
  scope: 'openid profile email offline_access',
  code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
  code_challenge_method: 'S256',
  state: expectedState,
  nonce: expectedNonce,
  prompt: 'consent', // OpenID Connect Core §11 wants it with offline_access
});

const callback = await signIn(authorizationUrl, REDIRECT_URI, { email: EMAIL, password: PASSWORD });
const tokens = await client.authorizationCodeGrant(config, callback, {
  pkceCodeVerifier,
  expectedState,
  expectedNonce,
  idTokenExpected: true,
});
const claims = tokens.claims();
const userinfo = await client.fetchUserInfo(config, tokens.access_token, claims.sub);
assert.equal(userinfo.email, EMAIL);

const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token);
assert.notEqual(refreshed.refresh_token, tokens.refresh_token);
assert.equal(refreshed.claims().sub, claims.sub);
await client.fetchUserInfo(config, refreshed.access_token, claims.sub);

const metadata = config.serverMetadata();
let active;
if (metadata.introspection_endpoint && CLIENT_SECRET) {
  active = (await client.tokenIntrospection(config, refreshed.access_token)).active;
  assert.equal(active, true);
}
if (metadata.revocation_endpoint) {
  await client.tokenRevocation(config, refreshed.refresh_token);
  await assert.rejects(client.refreshTokenGrant(config, refreshed.refresh_token), { error: 'invalid_grant' });
}

const endSession = client.buildEndSessionUrl(config, {
  id_token_hint: refreshed.id_token,
  ...(POST_LOGOUT_REDIRECT_URI && { post_logout_redirect_uri: POST_LOGOUT_REDIRECT_URI, state: 'bye' }),
});

console.log(JSON.stringify({
  claims,
  userinfo,
  active,
  end_session: endSession.href,
  access_token: tokens.access_token,
  id_token: tokens.id_token,
}));
