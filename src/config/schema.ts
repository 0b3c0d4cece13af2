import { type Static, Type } from 'typebox';
import { anyOf, closed, type MemberSchemas, oneOf } from './member-schemas.ts';
import { recordSchema } from './record-schema.ts';
import { sinksSchema } from './sinks-schema.ts';
import { addressesSchema, addressSchema, durationSchema } from './values.ts';

/**
 * The whole file. Each role reads its own section; `dev` reads none of it. Without `members` any of them may be configured with anything:
 * for who asks for what stands beside them.
 */
export function configSchema(members: Partial<MemberSchemas>) {
  return closed(
    {
      trustDomain: Type.String({
        pattern: '^[a-z0-9._-]{1,255}$',
        description: 'Name of the trust domain: the first part of every SPIFFE ID. It can not be changed later.',
        examples: ['corp.example'],
      }),
      log: closed(
        {
          level: Type.Enum(['debug', 'info', 'warn', 'error'], {
            description: 'Lines below this level are dropped.',
            default: 'info',
          }),
        },
        { default: {} },
      ),
      server: Type.Optional(serverSchema(members)),
      agent: Type.Optional(agentSchema(members)),
      gateway: Type.Optional(gatewaySchema()),
    },
    {},
  );
}

function serverSchema(members: Partial<MemberSchemas>) {
  return closed(
    {
      listen: addressSchema({
        description: 'Where agents and gateways connect (gRPC, mTLS).',
        default: '127.0.0.1:8081',
      }),
      socket: Type.String({
        description: 'Unix socket for operators on this machine; whoever may open it is admin.',
        default: '/run/countersign/server/server.sock',
      }),
      dataDir: Type.String({
        description: "Folder of the server's own files; 0700.",
        default: '/var/lib/countersign/server',
      }),
      http: Type.Optional(addressSchema({ description: 'Where /live, /ready and /metrics answer; absent = nowhere.' })),
      api: Type.Optional(apiSchema()),
      serverId: Type.String({
        description: 'Name of this server among those that share a store; each has its own CA.',
        default: 'server-1',
        pattern: '^[a-z0-9-]{1,64}$',
      }),
      silence: durationSchema({
        description:
          'After how long a ledger of which nothing is heard any more is called silent, unless its writer stopped in good order. Shippers say every ten seconds that they are there.',
        default: '45s',
      }),
      record: recordSchema(members),
      sinks: Type.Optional(sinksSchema(members)),
      store: oneOf(members.storeEngines, 'Where the control plane keeps its records.', { sqlite: {} }),
      keystore: oneOf(members.keystores, 'Where signing keys are kept.', { disk: {} }),
      attestors: anyOf(members.nodeAttestors, 'How nodes may prove themselves.', { 'join-token': {} }),
      ca: closed(
        {
          keyType: Type.Enum(['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-4096'], {
            description: 'Key type of the X.509 CA.',
            default: 'ec-p256',
          }),
          jwtKeyType: Type.Enum(['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-4096'], {
            description: 'Key type that signs JWT-SVIDs.',
            default: 'ec-p256',
          }),
          ttl: durationSchema({ description: 'Life of a CA certificate and of a JWT key.', default: '24h' }),
        },
        { default: {} },
      ),
      svid: closed(
        {
          x509Ttl: durationSchema({ description: 'Life of an X.509-SVID whose entry names none.', default: '1h' }),
          agentTtl: durationSchema({
            description: 'Life of the SVIDs of agents: how long a node can be out of touch and still renew by itself.',
            default: '4h',
          }),
          jwtTtl: durationSchema({ description: 'Life of a JWT-SVID whose entry names none.', default: '5m' }),
        },
        { default: {} },
      ),
    },
    {},
  );
}

function apiSchema() {
  return closed(
    {
      listen: addressSchema({
        description:
          'Where REST is served over TLS, besides the socket `api.sock` beside that of operators; callers prove themselves by an SVID.',
        default: '127.0.0.1:8443',
      }),
      dnsName: Type.Optional(
        Type.String({
          description:
            'Name that clients call it by, for those that know nothing of SPIFFE: it stands in the SVID that is shown there.',
          pattern: '^[a-z0-9]([a-z0-9-]{0,62})(\\.[a-z0-9]([a-z0-9-]{0,62})){0,20}$',
          examples: ['countersign.corp.example'],
        }),
      ),
      certificate: Type.Optional(
        Type.String({
          description:
            'PEM file with a certificate that is shown instead, and those between it and its root; absent = an SVID of the server.',
        }),
      ),
      key: Type.Optional(
        Type.String({
          description: 'Reference to the private key of the certificate in PEM: `file:PATH` or `env:NAME`.',
          pattern: '^(file|env):.+$',
        }),
      ),
      url: Type.Optional(
        Type.String({
          description:
            "Where people's browsers reach it, without a path: what is in links, and where a provider leads back to. Absent = by `dnsName`, else by the address of `listen`.",
          pattern: '^https://[a-z0-9.:\\[\\]-]{1,260}$',
          examples: ['https://countersign.corp.example'],
        }),
      ),
      signIn: Type.Optional(signInSchema()),
    },
    {},
  );
}

function signInSchema() {
  return closed(
    {
      lifetime: durationSchema({
        description: 'After how long somebody signs in anew, however much they do.',
        default: '12h',
      }),
      idle: durationSchema({
        description: 'After how long without any use a sign-in is over; a stream that stays open is none.',
        default: '1h',
      }),
      from: Type.Enum(['address', 'network', 'anywhere'], {
        description:
          'From where a sign-in is good: the very address that it was begun from, its network (IPv4 /24, IPv6 /64), or anywhere. From elsewhere one signs in anew.',
        default: 'address',
      }),
      oidc: Type.Optional(oidcSchema()),
    },
    { description: 'How people sign in.', default: {} },
  );
}

function oidcSchema() {
  return closed(
    {
      issuer: Type.String({
        description: 'Issuer of the OpenID provider; `http://` on this machine alone.',
        pattern:
          '^(https://[^\\s?#]{1,500}|http://(127\\.0\\.0\\.1|localhost|\\[::1\\])(:\\d{1,5})?(/[^\\s?#]{0,500})?)$',
        examples: ['https://login.corp.example'],
      }),
      clientId: Type.String({
        description: 'What this server is called there. Its redirect URI is `server.api.url` and `/sign-in/callback`.',
        minLength: 1,
        maxLength: 500,
      }),
      clientSecret: Type.Optional(
        Type.String({
          description: 'Reference to its secret there, `file:PATH` or `env:NAME`; absent = a public client.',
          pattern: '^(file|env):.+$',
        }),
      ),
      groupsClaim: Type.String({
        description: "Claim with a person's groups, by which access policies know them.",
        default: 'groups',
        minLength: 1,
        maxLength: 200,
      }),
      scopes: Type.String({
        description: 'What the provider is asked for.',
        default: 'openid email profile',
        pattern: '^openid( [!#-\\[\\]-~]+)*$',
      }),
    },
    {
      description:
        'By which OpenID provider people sign in. With it one-time links are taken no more, nor whoever came by one.',
    },
  );
}

function agentSchema(members: Partial<MemberSchemas>) {
  return closed(
    {
      server: addressesSchema({
        description: 'Address of the server, or addresses of several on one database.',
        default: '127.0.0.1:8081',
      }),
      trustBundle: Type.Optional(
        Type.String({
          description:
            "PEM file with the server's CA certificates, to know the server at the first contact; only root and the agent's user may be able to write it.",
        }),
      ),
      insecureBootstrap: Type.Boolean({
        description: 'Trust whichever server answers first, and pin it.',
        default: false,
      }),
      socket: Type.String({
        description: 'Unix socket of the Workload API.',
        default: '/run/countersign/agent/agent.sock',
      }),
      targetsDir: Type.String({
        description: 'Folder in which each target gets a socket.',
        default: '/run/countersign/agent/targets',
      }),
      dataDir: Type.String({
        description: "Folder of the agent's own files; 0700.",
        default: '/var/lib/countersign/agent',
      }),
      http: Type.Optional(addressSchema({ description: 'Where /live, /ready and /metrics answer; absent = nowhere.' })),
      linger: durationSchema({
        description:
          'How long sessions may go on in an agent that has handed over to its successor; those that are left then end as at a stop.',
        default: '1h',
      }),
      pidFile: Type.Optional(
        Type.String({
          description:
            'File in which the agent that serves writes its process ID, for systemd (PIDFile=); absent = none.',
        }),
      ),
      joinToken: Type.Optional(
        Type.String({
          description: 'Reference to the join token: `file:PATH` or `env:NAME`. Used once.',
          pattern: '^(file|env):.+$',
        }),
      ),
      sealPassphrase: Type.Optional(
        Type.String({
          description:
            'Reference to a passphrase, `env:NAME` or `file:PATH`, that the kept state is sealed with; without it a key file lies beside the state.',
          pattern: '^(file|env):.+$',
        }),
      ),
      attestor: oneOf(members.nodeAttestors, 'How this node proves itself.', { 'join-token': {} }),
      workloadAttestors: anyOf(members.workloadAttestors, 'How processes are told apart.', { unix: {} }),
    },
    {},
  );
}

function gatewaySchema() {
  return closed(
    {
      server: addressesSchema({
        description: 'Address of the server, or addresses of several on one database.',
        default: '127.0.0.1:8081',
      }),
      workloadApi: Type.String({
        description: 'Unix socket of the Workload API that gives the gateway its own identity.',
        default: '/run/countersign/agent/agent.sock',
      }),
      name: Type.String({
        description: 'Name of this gateway among others; its ledger is known by it, so it never changes.',
        default: 'gateway-1',
        pattern: '^[a-z0-9-]{1,64}$',
      }),
      workers: Type.Integer({
        description:
          'How many processes serve, each a core’s worth: one gateway behind one address, with a ledger each. Limits are those of all together.',
        default: 1,
        minimum: 1,
        maximum: 64,
      }),
      listen: addressSchema({ description: 'Where agents connect (mTLS).', default: '127.0.0.1:7443' }),
      advertise: Type.Optional(
        addressSchema({ description: 'The address that agents are told; `listen` when absent.' }),
      ),
      dataDir: Type.String({
        description: "Folder of the gateway's own files (ledger, sealed secrets); 0700.",
        default: '/var/lib/countersign/gateway',
      }),
      http: Type.Optional(addressSchema({ description: 'Where /live, /ready and /metrics answer; absent = nowhere.' })),
      durability: closed(
        {
          reads: durability('process', 'How long a reading operation waits for its ledger entry.'),
          writes: durability('release', 'How long a changing operation, or a denial, waits for its ledger entry.'),
        },
        { default: {} },
      ),
      unshippedMax: durationSchema({
        description:
          'How long the oldest entry of its ledger may wait to be shipped to the record, since the start of the gateway. After that nothing is executed until it is shipped; what was begun ends.',
        default: '24h',
      }),
      revocations: revocationsSchema(),
      sessionsMax: Type.Integer({
        description: 'Most sessions at once; the next one is refused.',
        default: 5000,
        minimum: 1,
        maximum: 100_000,
      }),
      sessionsPerIdentityMax: Type.Integer({
        description: 'Most sessions of one identity at once; its next one is refused.',
        default: 1000,
        minimum: 1,
        maximum: 100_000,
      }),
      heldBytesMax: Type.Integer({
        description:
          'Bytes that all sessions together may hold in memory for others; beyond it the session that holds most is ended.',
        default: 536_870_912,
        minimum: 16_777_216,
        maximum: 1_099_511_627_776,
      }),
      cacheBytesMax: Type.Integer({
        description:
          'Bytes of memory for what could be worked out again, such as verdicts: what was used longest ago goes first.',
        default: 67_108_864,
        minimum: 1_048_576,
        maximum: 1_099_511_627_776,
      }),
      drainDelay: durationSchema({
        description:
          'How long sessions go on as before once a stop was asked for, while other gateways take the new ones; no time where there is no other. It stops as soon as none is left.',
        default: '15s',
      }),
      drain: durationSchema({
        description:
          'How long busy sessions may go on after that, and those of a target that has changed or is gone; idle ones are ended at once.',
        default: '10s',
      }),
    },
    {},
  );
}

function revocationsSchema() {
  return closed(
    {
      maxAge: durationSchema({
        description:
          'After how long without a word of the server what the gateway knows of revocations counts as old. The server says every three seconds that it is all.',
        default: '1m',
      }),
      whenStale: Type.Enum(['serve', 'deny'], {
        description:
          'What happens then. serve: all goes on, and whoever was known to be revoked stays refused; deny: only what `allow` names.',
        default: 'serve',
      }),
      allow: Type.Array(Type.String({ pattern: '^[A-Za-z][A-Za-z0-9_-]*(:[A-Za-z0-9_-]+)+$', maxLength: 128 }), {
        description:
          'Actions of policies that go on under `deny`, as far as policies permit them. Without that of connecting sessions end, and none begins.',
        default: [],
        maxItems: 64,
      }),
    },
    { default: {} },
  );
}

function durability(value: string, description: string) {
  return Type.Enum(['process', 'release', 'strict'], {
    description: `${description} process: written; release: the answer waits for the disk; strict: the operation waits for the disk.`,
    default: value,
  });
}

export type Config = Static<ReturnType<typeof configSchema>>;
export type ServerConfig = Static<ReturnType<typeof serverSchema>>;
export type AgentConfig = Static<ReturnType<typeof agentSchema>>;
export type GatewayConfig = Static<ReturnType<typeof gatewaySchema>>;
