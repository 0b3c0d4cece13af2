/**
 * The `nats` sink: events as messages of a stream of NATS JetStream.
 *
 * It promises that a message counts as taken once the stream has acknowledged it, and that each bears its id, by which the stream drops what it has had
 * before. It must not make, change or read streams.
 */
import { Type } from 'typebox';
import { tlsFields } from '../../outgoing/tls.ts';
import type { SinkMember } from '../../sink.ts';
import { parseSinkConfig } from '../../sink-config.ts';

const config = Type.Object(
  {
    servers: Type.Array(
      Type.String({ pattern: '^(tls://[^\\s/@?#]{1,260}|nats://(127\\.0\\.0\\.1|localhost|\\[::1\\])(:\\d{1,5})?)$' }),
      {
        minItems: 1,
        maxItems: 20,
        description: 'Servers of one cluster, `tls://HOST:PORT`; `nats://` to this machine alone.',
        examples: [['tls://nats.corp.example:4222']],
      },
    ),
    subject: Type.String({
      pattern: '^[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+){0,15}$',
      maxLength: 200,
      description: 'Subject of the messages; a stream that takes it must be there.',
      examples: ['audit.countersign'],
    }),
    credentials: Type.Optional(
      Type.String({
        pattern: '^(file|env):.+$',
        description: 'Reference to a credentials file of NATS (user JWT and key); absent = none.',
      }),
    ),
    token: Type.Optional(
      Type.String({ pattern: '^(file|env):.+$', description: 'Reference to a token, in place of credentials.' }),
    ),
    ...tlsFields,
  },
  { additionalProperties: false },
);

export const member: SinkMember = {
  kind: 'sink',
  id: 'nats',
  summary: 'Publishes events to a stream of NATS JetStream, which drops what it had before.',
  config,
  async open(given, deps) {
    const settings = parseSinkConfig('nats', config, given);
    const { createNatsSink } = await import('./nats-sink.ts');
    return createNatsSink(settings, deps);
  },
};
