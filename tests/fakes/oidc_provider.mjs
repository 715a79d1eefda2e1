// A real OIDC provider (oidc-provider): clients by secret, JWT access tokens for one resource, keys rotated
// by POST /test/rotate, which also counts how often the keys were asked for.
import { Provider } from 'oidc-provider';
import { createServer } from 'node:http';
import { generateKeyPairSync } from 'node:crypto';

const port = Number(process.argv[2]);
const audience = 'stellarrow';
const issuer = `http://127.0.0.1:${port}`;
let generation = 0;
let asked = 0;
let handle;

function key(kind, alg, kid) {
  const made = kind === 'rsa' ? generateKeyPairSync('rsa', { modulusLength: 2048 })
    : kind === 'ec' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519');
  return { ...made.privateKey.export({ format: 'jwk' }), kid, alg, use: 'sig' };
}

function start() {
  generation += 1;
  const keys = [key('rsa', 'RS256', `rs-${generation}`), key('ec', 'ES256', `es-${generation}`),
    key('ed25519', 'EdDSA', `ed-${generation}`)];
  const clients = ['RS256', 'ES256', 'EdDSA'].flatMap((alg) => ['admin', 'reader', 'processor', 'nobody'].map((role) => ({
    client_id: `${role}-${alg}`, client_secret: 'secret', grant_types: ['client_credentials'],
    redirect_uris: [], response_types: [], token_endpoint_auth_method: 'client_secret_basic',
    id_token_signed_response_alg: alg,
  })));
  const provider = new Provider(issuer, {
    clients, jwks: { keys },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => 'urn:stellarrow',
        getResourceServerInfo: (ctx, resource, client) => ({
          scope: '', audience: resource === 'urn:other' ? 'other' : audience, accessTokenFormat: 'jwt',
          accessTokenTTL: 600, jwt: { sign: { alg: client.clientId.split('-')[1] } },
        }),
        useGrantedResource: () => true,
      },
    },
    extraTokenClaims: (ctx, token) => ({ roles: [token.clientId.split('-')[0]], sub: token.clientId }),
  });
  handle = provider.callback();
}

start();
createServer((request, response) => {
  if (request.url === '/test/rotate') { start(); response.end('{}'); return; }
  if (request.url === '/test/asked') { response.end(JSON.stringify({ asked })); return; }
  if (request.url === '/jwks') asked += 1;
  handle(request, response);
}).listen(port, '127.0.0.1', () => console.log('ready'));
