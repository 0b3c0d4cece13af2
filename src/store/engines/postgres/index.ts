/**
 * The production store: a PostgreSQL database that any number of servers share.
 *
 * It promises serializable transactions over all of them, and notifications over LISTEN/NOTIFY that survive a lost connection. It must
 * not know what is kept in it.
 */
import { Type } from 'typebox';
import { parseEngineConfig } from '../../engine-config.ts';
import type { GivenFiles, StoreEngineMember } from '../../store.ts';

const config = Type.Object(
  {
    url: Type.String({
      // The configuration is no secret; a URL with its password must not stand in it, nor be found out only at the start.
      pattern: '^(file|env):.+$',
      description:
        'Reference to the connection URL: env:NAME or file:PATH. Without sslmode in it, TCP connections verify the server (verify-full).',
    }),
    connectionsMax: Type.Integer({
      minimum: 2,
      maximum: 200,
      default: 10,
      description: 'Most connections of this process, besides the one that listens for changes.',
    }),
    connectTimeoutMs: Type.Integer({
      minimum: 100,
      maximum: 60_000,
      default: 5000,
      description: 'How long a connection may take to open, in milliseconds.',
    }),
    statementTimeoutMs: Type.Integer({
      minimum: 100,
      maximum: 300_000,
      default: 30_000,
      description: 'How long one statement may run, in milliseconds.',
    }),
  },
  { additionalProperties: false },
);

export const member = {
  kind: 'store-engine',
  id: 'postgres',
  summary: 'Keeps everything in a PostgreSQL database (15 or later); for several server processes.',
  config,
  async open(input, { clock, log, files }) {
    const parsed = parseEngineConfig('postgres', config, input);
    const { createPostgresStore } = await import('./postgres-store.ts');
    // Who gives no way to read files gets none read: their modes would go unseen.
    const none: GivenFiles = { readSecretFile: () => undefined, readTrustedFile: () => undefined };
    return createPostgresStore({ clock, log, config: parsed, files: files ?? none });
  },
} as const satisfies StoreEngineMember;
