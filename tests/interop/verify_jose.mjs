// jose: verifies a token by the gateway's JWKS, as a back end in Node does.
//
// Environment: TOKEN, JWKS_URI, ISSUER, AUDIENCE, TYP, ALGORITHM. Prints the claims; fails if anything is wrong.
import './webcrypto.mjs';
import { createRemoteJWKSet, jwtVerify } from 'jose';

const { TOKEN, JWKS_URI, ISSUER, AUDIENCE, TYP, ALGORITHM } = process.env;

const { payload } = await jwtVerify(TOKEN, createRemoteJWKSet(new URL(JWKS_URI)), {
  issuer: ISSUER,
  audience: AUDIENCE,
  typ: TYP,
  algorithms: [ALGORITHM],
  requiredClaims: ['sub', 'iat', 'exp'],
});
console.log(JSON.stringify(payload));
