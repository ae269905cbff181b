// oidc-provider, certified by the OpenID Foundation, as a provider customers have accounts at: its own pages for login
// and consent, in-memory data, dynamic registration of the one client.
//
// Environment: ALGORITHM (RS256 or ES256), CLIENT_ID, CLIENT_SECRET. Prints one line of JSON with its issuer, then
// serves until its standard input ends.
import './webcrypto.mjs';
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { once } from 'node:events';
import Provider from 'oidc-provider';

const { ALGORITHM, CLIENT_ID, CLIENT_SECRET } = process.env;
const pair = ALGORITHM === 'ES256'
  ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
  : generateKeyPairSync('rsa', { modulusLength: 2048 });
const key = { ...pair.privateKey.export({ format: 'jwk' }), alg: ALGORITHM, use: 'sig' };

const server = createServer();
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  jwks: { keys: [key] },
  cookies: { keys: ['only for tests'] },
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  features: {
    devInteractions: { enabled: true },
    registration: { enabled: true, idFactory: () => CLIENT_ID, secretFactory: () => CLIENT_SECRET },
  },
  // Whoever logs in is who they say they are.
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: `${id}@club.example`, email_verified: true, name: `The ${id}` }),
  }),
  // So short that a token is renewed whenever it is asked for.
  ttl: { AccessToken: 30, AuthorizationCode: 60, Grant: 3600, IdToken: 300, Interaction: 600, Session: 3600 },
});
server.on('request', provider.callback());
console.log(JSON.stringify({ issuer }));
process.stdin.resume().on('end', () => process.exit(0));
