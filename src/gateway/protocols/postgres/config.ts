import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';
import { GatewayError } from '../../errors.ts';
import { defaultLimits } from './sql/default-limits.ts';

/** Names as variables and keystores have them: a secret pasted behind the colon is mostly none, and is refused before it is stored and shown. */
const referencePattern = '^(env:[A-Za-z_][A-Za-z0-9_]{0,254}|file:.{1,1024}|keystore:[a-z0-9][a-z0-9._-]{0,63})$';

/** Config of a PostgreSQL target. Secrets are references: `env:NAME`, `file:PATH`, `keystore:NAME`. */
export const configSchema = Type.Object(
  {
    host: Type.String({
      minLength: 1,
      maxLength: 255,
      description: 'Host name or address of the server, or the folder of its Unix socket (starts with /).',
    }),
    port: Type.Integer({ minimum: 1, maximum: 65535, default: 5432, description: 'Port of the server.' }),
    database: Type.String({
      minLength: 1,
      maxLength: 63,
      description: 'Database that clients get when they name none, or the target’s name.',
    }),
    databases: Type.Array(Type.String({ minLength: 1, maxLength: 63 }), {
      maxItems: 100,
      default: [],
      description: 'Further databases that clients may name.',
    }),
    user: Type.String({ minLength: 1, maxLength: 63, description: 'Role that the gateway logs in as.' }),
    password: Type.Optional(
      Type.String({ pattern: referencePattern, description: 'Reference to the role’s password.' }),
    ),
    certificate: Type.Optional(
      Type.String({
        pattern: referencePattern,
        description: 'Reference to a PEM client certificate, with `key`; its file may be readable by all.',
      }),
    ),
    key: Type.Optional(
      Type.String({ pattern: referencePattern, description: 'Reference to the PEM key of `certificate`.' }),
    ),
    sslMode: Type.Optional(
      Type.Union(
        [Type.Literal('disable'), Type.Literal('require'), Type.Literal('verify-ca'), Type.Literal('verify-full')],
        {
          description:
            'TLS to the server; `verify-full` unless the server is on a Unix socket or a loopback address, where it is `disable`.',
        },
      ),
    ),
    sslRoots: Type.Optional(
      Type.String({
        pattern: referencePattern,
        description:
          'Reference to PEM roots that verify the server, and then no others do. When absent: the public ones that Node brings and those of the system (such as /etc/ssl/certs), as they were when the gateway started to use them. A file of certificates may be readable by all (0644).',
      }),
    ),
    customSettings: Type.Array(Type.String({ pattern: '^[a-z_][a-z0-9_]*\\.[a-z_][a-z0-9_]*$', maxLength: 63 }), {
      maxItems: 100,
      default: [],
      description:
        'Settings with a dot in their name that clients may set; row security often trusts them, so none by default.',
    }),
    limits: Type.Object(
      {
        textBytes: Type.Integer({
          minimum: 1 << 16,
          maximum: 1 << 28,
          default: defaultLimits.textBytes,
          description: 'Bytes of a statement text; it is held whole until it is forwarded.',
        }),
        statements: Type.Integer({
          minimum: 1,
          maximum: 1_000_000,
          default: defaultLimits.statements,
          description:
            'Statements of one text, alike ones in a row counting as one. Their intents are one batch of the ledger, so more of them need larger segments.',
        }),
        words: Type.Integer({
          minimum: 1_000,
          maximum: 5_000_000,
          default: defaultLimits.words,
          description: 'Words, values and signs of one statement; parsing takes half a kilobyte of memory for each.',
        }),
      },
      {
        additionalProperties: false,
        default: {},
        description: 'What a statement text may have, far above what drivers and tools send.',
      },
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
        },
        { additionalProperties: false, description: 'Opens a door for clients that connect by TLS with their SVID.' },
      ),
    ),
  },
  { additionalProperties: false },
);

/** A checked config, defaults filled in. */
export type PostgresConfig = Static<typeof configSchema> & { readonly sslMode: SslMode };

export type SslMode = 'disable' | 'require' | 'verify-ca' | 'verify-full';

/** Problems of a config, each one sentence; none when it is fine. */
export function checkConfig(config: unknown): readonly string[] {
  const filled = Value.Default(configSchema, Value.Clone(config));
  if (!Value.Check(configSchema, filled)) {
    return [...Value.Errors(configSchema, filled)].map((error) => `${error.instancePath || '/'}: ${error.message}`);
  }
  const problems: string[] = [];
  if ((filled.certificate === undefined) !== (filled.key === undefined)) {
    problems.push('certificate and key belong together; only one of them is set');
  }
  if (filled.certificate !== undefined && sslModeOf(filled) === 'disable') {
    problems.push('a client certificate needs TLS; sslMode is disable');
  }
  return problems;
}

/** @throws GatewayError ERR_GATEWAY_TARGET_CONFIG */
export function parseConfig(config: unknown): PostgresConfig {
  const problems = checkConfig(config);
  if (problems.length > 0) throw new GatewayError('ERR_GATEWAY_TARGET_CONFIG', problems.join('; '));
  const filled = Value.Default(configSchema, Value.Clone(config)) as Static<typeof configSchema>; // Checked above.
  return { ...filled, sslMode: sslModeOf(filled) };
}

/** The databases that clients of such a target may name; undefined when it is no config. */
export function databasesOf(config: unknown): readonly string[] | undefined {
  const filled = Value.Default(configSchema, Value.Clone(config));
  return Value.Check(configSchema, filled) ? [filled.database, ...filled.databases] : undefined;
}

/** True for an address that no other machine can listen on. */
export function isLocal(host: string): boolean {
  return host.startsWith('/') || host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

function sslModeOf(config: Static<typeof configSchema>): SslMode {
  return config.sslMode ?? (isLocal(config.host) ? 'disable' : 'verify-full');
}
