import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';
import { GatewayError } from '../../errors.ts';
import { isDroppedField } from './meaning/fields.ts';
import { routeProblems } from './meaning/routes.ts';
import { placesOf } from './upstream/place.ts';

/** Names as variables and keystores have them: a secret pasted behind the colon is mostly none, and is refused before it is stored and shown. */
const referencePattern = '^(env:[A-Za-z_][A-Za-z0-9_]{0,254}|file:.{1,1024}|keystore:[a-z0-9][a-z0-9._-]{0,63})$';
const fieldPattern = '^[A-Za-z0-9-]{1,64}$';

const reference = (description: string) => Type.String({ pattern: referencePattern, description });
const strict = { additionalProperties: false } as const;

const address = Type.String({
  pattern: '^https?://(?:\\[[0-9a-fA-F:.]+\\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?$',
  maxLength: 300,
});

const liberties = {
  encodedSlash: Type.Optional(
    Type.Boolean({ description: '`%2F` in a path segment, where the upstream takes it for a part of the segment.' }),
  ),
  emptySegments: Type.Optional(
    Type.Boolean({ description: '`//` in a path, where the upstream does not merge them.' }),
  ),
  matrixParameters: Type.Optional(
    Type.Boolean({
      description: '`;name=value` after a segment, where the upstream cuts it off before it looks for what it serves.',
    }),
  ),
};

const route = Type.Object(
  {
    name: Type.String({
      pattern: '^[a-z0-9][a-z0-9-]{0,62}$',
      description: 'Name of the route, which policies name: `Http::Route::"TARGET/NAME"`.',
    }),
    methods: Type.Optional(
      Type.Array(Type.String({ pattern: '^[A-Z][A-Z0-9-]{0,31}$' }), {
        minItems: 1,
        maxItems: 16,
        uniqueItems: true,
        description: 'Methods that it takes, in upper case; HEAD comes with GET. All of them when absent.',
      }),
    ),
    path: Type.String({
      minLength: 1,
      maxLength: 1024,
      description:
        'Its path: `/v1/customers/{id}`; `{rest*}` at the end takes all that follows. Its values are tags, `path.id`.',
    }),
    reads: Type.Optional(
      Type.Array(Type.String({ maxLength: 600 }), {
        maxItems: 16,
        description:
          'What policy may decide by besides: `query.expand`, `header.x-tenant`, `body.amount`. Tags of these names.',
      }),
    ),
    allow: Type.Optional(Type.Object(liberties, { ...strict, description: 'What paths of this route may have.' })),
  },
  strict,
);

const scopePattern = '^[a-z0-9][a-z0-9-]{0,62}$';
const sigv4 = Type.Object(
  {
    region: Type.String({ pattern: scopePattern, description: 'Region that requests are signed for: `eu-central-1`.' }),
    service: Type.String({
      pattern: scopePattern,
      description: 'Name of the service in signatures: `s3`, `dynamodb`, `execute-api`.',
    }),
    accessKeyId: reference('Reference to the access key’s ID.'),
    secretAccessKey: reference('Reference to the access key itself, which never leaves the gateway.'),
    sessionToken: Type.Optional(reference('Reference to the session token, where the key is of a session.')),
  },
  { ...strict, description: 'Signs each request as AWS has it, Signature Version 4.' },
);

/** Config of an HTTP target. Secrets are references: `env:NAME`, `file:PATH`, `keystore:NAME`. */
export const configSchema = Type.Object(
  {
    url: Type.Union([address, Type.Array(address, { minItems: 1, maxItems: 16, uniqueItems: true })], {
      description:
        'Where the API is: scheme, host and port, without a path: `https://api.internal:8443`. Or a list of such, of one scheme, which serve the same.',
    }),
    hosts: Type.Optional(
      Type.Array(Type.String({ pattern: '^(?:\\[[0-9a-f:.]+\\]|[a-z0-9._-]+)$', maxLength: 255 }), {
        minItems: 1,
        maxItems: 100,
        description:
          'Names, in lower case and without port, that clients may ask for in Host. All when absent. Targets that list theirs may share a port.',
      }),
    ),
    roots: Type.Optional(
      reference(
        'Reference to PEM roots that verify the server, and then no others do. When absent: the public ones and those of the system.',
      ),
    ),
    serverName: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 255,
        description: 'Name that the server’s certificate must have, when it is not that of `url`.',
      }),
    ),
    credential: Type.Optional(
      Type.Union(
        [
          Type.Object({ bearer: reference('Reference to a bearer token.') }, strict),
          Type.Object(
            {
              basic: Type.Object(
                {
                  user: Type.String({ pattern: '^[ -9;-~]{1,255}$', description: 'User name; it has no colon.' }),
                  password: reference('Reference to the password.'),
                },
                strict,
              ),
            },
            strict,
          ),
          Type.Object(
            {
              header: Type.Object(
                {
                  name: Type.String({ pattern: fieldPattern, description: 'Name of the field.' }),
                  value: reference('Reference to its value.'),
                },
                strict,
              ),
            },
            strict,
          ),
          Type.Object(
            {
              query: Type.Object(
                {
                  name: Type.String({ pattern: '^[A-Za-z0-9_.~-]{1,64}$', description: 'Name of the parameter.' }),
                  value: reference('Reference to its value.'),
                },
                strict,
              ),
            },
            strict,
          ),
          Type.Object({ sigv4 }, strict),
        ],
        {
          description:
            'What the gateway proves itself with; clients never have it. One of `bearer`, `basic`, `header`, `query` and `sigv4`.',
        },
      ),
    ),
    certificate: Type.Optional(
      reference('Reference to a PEM client certificate, with `key`; its file may be readable by all.'),
    ),
    key: Type.Optional(reference('Reference to the PEM key of `certificate`.')),
    routes: Type.Array(route, {
      maxItems: 1000,
      default: [],
      description: 'What policies can tell apart by name. A literal segment beats a parameter.',
    }),
    unlisted: Type.Union([Type.Literal('ask'), Type.Literal('refuse')], {
      default: 'ask',
      description:
        'Requests that no route takes: policy is asked about the whole target, `Http::Origin`, or they are refused.',
    }),
    responseHeaders: Type.Optional(
      Type.Union(
        [
          Type.Object({ deny: Type.Array(Type.String({ pattern: fieldPattern }), { maxItems: 100 }) }, strict),
          Type.Object({ allow: Type.Array(Type.String({ pattern: fieldPattern }), { maxItems: 100 }) }, strict),
        ],
        { description: 'Fields of answers that clients don’t see (`deny`), or the only ones that they see (`allow`).' },
      ),
    ),
    passCookies: Type.Boolean({
      default: false,
      description:
        'Passes Cookie and Set-Cookie on. A cookie of the API can be a credential that outlives the session.',
    }),
    allowCompression: Type.Boolean({
      default: false,
      description:
        'Passes Accept-Encoding on though the gateway has a credential, which it then can’t find in compressed answers.',
    }),
    allowRanges: Type.Boolean({
      default: false,
      description:
        'Passes Range on though the gateway has a credential, of which a part of an answer may hold a piece that nothing finds. For APIs that repeat nothing of what they are asked.',
    }),
    http2: Type.Boolean({
      default: true,
      description:
        'Serves clients that speak HTTP/2: by ALPN at the target’s own door, with prior knowledge at the agent’s socket. Without it those are answered 505.',
    }),
    upstreamHttp2: Type.Boolean({
      default: false,
      description:
        'Speaks HTTP/2 to the API, as gRPC needs: agreed by ALPN where `url` is https, with prior knowledge where it is http.',
    }),
    identityHeader: Type.Boolean({
      default: false,
      description:
        'Tells the API who calls: `x-countersign-identity` is a JWT of one minute, `sub` the caller’s SPIFFE ID, `aud` the target’s name, signed by the gateway’s SVID (`x5c`).',
    }),
    allow: Type.Object(
      {
        ...liberties,
        otherCase: Type.Optional(
          Type.Boolean({
            description: 'Paths that differ from a route’s in letter case alone, where the upstream tells them apart.',
          }),
        ),
      },
      { ...strict, default: {}, description: 'What paths may have, of which servers differ in how they read it.' },
    ),
    limits: Type.Object(
      {
        bodyInspectedBytes: Type.Integer({
          minimum: 1 << 10,
          maximum: 1 << 26,
          default: 1 << 20,
          description:
            'Bytes of a request’s body that a route reads values from, or that is held to be signed; a larger one is refused, but for S3 over TLS.',
        }),
        answerSeconds: Type.Integer({
          ...{ minimum: 1, maximum: 86_400, default: 300 },
          description:
            'Seconds from the end of a request to the head of its answer; then the client is answered 504. Longer for APIs that hold a request until they have news.',
        }),
        pauseSeconds: Type.Optional(
          Type.Integer({
            ...{ minimum: 1, maximum: 86_400 },
            description:
              'Seconds in which nothing of an answer or of a WebSocket moves before it is cut. When absent it may pause for ever, as event streams do.',
          }),
        ),
      },
      { ...strict, default: {}, description: 'What a request may have.' },
    ),
    listen: Type.Optional(
      Type.Object(
        {
          host: Type.String({ default: '0.0.0.0', description: 'Address to listen on for clients without an agent.' }),
          port: Type.Integer({
            minimum: 0,
            maximum: 65535,
            description: 'Port to listen on; 0 lets the system choose.',
          }),
          certificate: Type.Optional(
            reference(
              'Reference to a PEM certificate, its chain behind it, that is shown to clients that ask TLS for a host of it; others are shown the gateway’s SVID. With `key`. Read anew by itself; its file may be readable by all.',
            ),
          ),
          key: Type.Optional(reference('Reference to the PEM key of `certificate`.')),
          tokens: Type.Boolean({
            default: false,
            description:
              'Takes clients without a certificate that send a JWT-SVID with each request: `authorization: Bearer …`.',
          }),
          audience: Type.Optional(
            Type.String({
              pattern: '^[!#-\\[\\]-~]{1,255}$',
              description:
                'What their tokens must be for, and for nothing else. `countersign:` and the target’s name when absent.',
            }),
          ),
        },
        { ...strict, description: 'Opens a door for clients that connect by TLS, with their SVID or with tokens.' },
      ),
    ),
  },
  strict,
);

/** A checked config, defaults filled in. */
export type HttpConfig = Static<typeof configSchema>;

/** Problems of a config, each one sentence; none when it is fine. */
export function checkConfig(config: unknown): readonly string[] {
  const filled = Value.Default(configSchema, Value.Clone(config));
  if (!Value.Check(configSchema, filled))
    return [...Value.Errors(configSchema, filled)].map((error) => `${error.instancePath || '/'}: ${error.message}`);
  return [
    ...placeProblems(filled),
    ...signingProblems(filled),
    ...listenProblems(filled),
    ...routeProblems(filled.routes),
    ...readsProblems(filled),
  ];
}

/** @throws GatewayError ERR_GATEWAY_TARGET_CONFIG */
export function parseConfig(config: unknown): HttpConfig {
  const problems = checkConfig(config);
  if (problems.length > 0) throw new GatewayError('ERR_GATEWAY_TARGET_CONFIG', problems.join('; '));
  return Value.Default(configSchema, Value.Clone(config)) as HttpConfig; // Checked above.
}

/** What tokens of its clients must be for: a name that no service has that is none of this gateway's targets. */
export function audienceOf(name: string, { listen }: Pick<HttpConfig, 'listen'>): string {
  return listen?.audience ?? `countersign:${name}`;
}

/** The routes that policies may name; undefined when it is no config. */
export function routesOf(config: unknown): readonly string[] | undefined {
  const filled = Value.Default(configSchema, Value.Clone(config));
  return Value.Check(configSchema, filled) ? filled.routes.map(({ name }) => name) : undefined;
}

function placeProblems({ url, certificate, key, roots, serverName, credential }: HttpConfig): readonly string[] {
  const problems: string[] = [];
  const places = placesOf({ url });
  if (places.some(({ port }) => port < 1 || port > 65_535)) problems.push('url has a port that is none');
  if (new Set(places.map(({ authority }) => authority)).size < places.length) problems.push('url has one place twice');
  if (places.some(({ isSecure }) => isSecure !== places[0]?.isSecure))
    problems.push('url has http:// and https://: all places of a target need the same');
  if ((certificate === undefined) !== (key === undefined))
    problems.push('certificate and key belong together; only one of them is set');
  if (places[0]?.isSecure === false)
    for (const [name, value] of Object.entries({ certificate, roots, serverName }))
      if (value !== undefined) problems.push(`${name} needs TLS; url begins with http://`);
  const field = credential !== undefined && 'header' in credential ? credential.header.name.toLowerCase() : undefined;
  if (field !== undefined && FRAMING.has(field)) problems.push(`a credential can’t be the field ${field}`);
  return problems;
}

/** What the signature can't be made for. */
function signingProblems({ credential, upstreamHttp2 }: HttpConfig): readonly string[] {
  if (credential === undefined || !('sigv4' in credential)) return [];
  const { service } = credential.sigv4;
  return [
    ...(upstreamHttp2 ? ['sigv4 signs a body before it is sent, which calls over HTTP/2 can’t wait for'] : []),
    ...(/^s3.+/.test(service) ? [`sigv4 does not sign for ${service}: of the services of S3 for s3 alone`] : []),
  ];
}

function listenProblems({ listen }: HttpConfig): readonly string[] {
  const problems: string[] = [];
  if (listen?.audience !== undefined && !listen.tokens)
    problems.push('listen.audience is for tokens, and listen.tokens is not true');
  if ((listen?.certificate === undefined) !== (listen?.key === undefined))
    problems.push('listen.certificate and listen.key belong together; only one of them is set');
  return problems;
}

/** What never reaches the upstream, or that clients say of themselves without proof, decides nothing. */
function readsProblems(config: HttpConfig): readonly string[] {
  const { routes, credential } = config;
  const query = credential !== undefined && 'query' in credential ? credential.query.name : undefined;
  return routes.flatMap(({ name, reads = [] }) =>
    reads.flatMap((read) => {
      const field = read.startsWith('header.') ? read.slice('header.'.length) : undefined;
      if (field === 'user-agent')
        return [`route ${name} reads header.user-agent, by which nothing can be decided: clients choose it`];
      if (field !== undefined && isDroppedField(field, config))
        return [`route ${name} reads header.${field}, which is not passed on: nothing can be decided by it`];
      if (query !== undefined && read === `query.${query}`)
        return [`route ${name} reads query.${query}, which holds the credential`];
      return [];
    }),
  );
}

const FRAMING = new Set([
  'host',
  'connection',
  'content-length',
  'transfer-encoding',
  'upgrade',
  'te',
  'trailer',
  'expect',
  ...['keep-alive', 'http2-settings', 'proxy-connection', 'proxy-authenticate', 'proxy-authorization'],
]);
