// An OpenID provider that nobody here wrote, on loopback: npm's `oidc-provider`, a certified implementation.
//
// It prints its address. Whoever asks for an authorization is signed in as the `login_hint` at once, with the `acr_values`
// as `acr` and `amr`. `POST /test/rotate` puts new keys in front of the old ones, `POST /test/retire` drops the old ones.
// It ends with its standard input, so that none is left behind by a test that was killed.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const ALGORITHMS = ['RS256', 'PS256', 'ES256'];

function keys() {
  return ALGORITHMS.map((alg) => {
    const { privateKey } = alg === 'ES256'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : generateKeyPairSync('rsa', { modulusLength: 2048 });
    return { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg, kid: randomUUID() };
  });
}

function client(id, alg) {
  return {
    client_id: id,
    client_secret: 'secret of a test',
    redirect_uris: ['https://app.example/callback'],
    id_token_signed_response_alg: alg,
    require_auth_time: true,
  };
}

const configuration = {
  clients: [
    ...ALGORITHMS.map((alg) => client(`app-${alg.toLowerCase()}`, alg)),
    client('second-app', 'RS256'),
    client('unrelated-app', 'RS256'),
  ],
  claims: { openid: ['sub', 'amr', 'acr'], email: ['email', 'email_verified'] },
  acrValues: ['pwd', 'mfa'],
  pkce: { required: () => false },
  features: { devInteractions: { enabled: false } },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: `${id}@example.com`, email_verified: true }),
  }),
};

const server = createServer((request, response) => answer(request, response).catch((error) => {
  console.error(error);
  response.writeHead(500).end();
}));
let jwks = keys();
let provider;
let callback;

function restart() {
  const { port } = server.address();
  provider = new Provider(`http://127.0.0.1:${port}`, { ...configuration, jwks: { keys: jwks } });
  callback = provider.callback();
}

async function answer(request, response) {
  if (request.method === 'POST' && request.url.startsWith('/test/')) {
    jwks = request.url === '/test/rotate' ? [...keys(), ...jwks] : jwks.slice(0, ALGORITHMS.length);
    restart();
    response.writeHead(204).end();
  } else if (request.url.startsWith('/interaction/')) {
    await interact(request, response);
  } else {
    callback(request, response);
  }
}

// What a person would do on the pages of the provider.
async function interact(request, response) {
  const { prompt, params, session, grantId } = await provider.interactionDetails(request, response);
  if (prompt.name === 'login') {
    const acr = params.acr_values ?? 'pwd';
    const amr = acr === 'mfa' ? ['pwd', 'otp', 'mfa'] : ['pwd'];
    const login = { accountId: params.login_hint, acr, amr };
    await provider.interactionFinished(request, response, { login });
    return;
  }
  const grant = grantId
    ? await provider.Grant.find(grantId)
    : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  grant.addOIDCScope('openid email');
  await provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } });
}

server.listen(0, '127.0.0.1', () => {
  restart();
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
process.stdin.on('end', () => process.exit(0)).resume();
