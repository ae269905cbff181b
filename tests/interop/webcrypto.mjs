// Node 18, which Debian 12 has, keeps Web Crypto under another name; the libraries want it where browsers have it.
import { webcrypto } from 'node:crypto';

globalThis.crypto ??= webcrypto;
globalThis.CryptoKey ??= webcrypto.CryptoKey;
