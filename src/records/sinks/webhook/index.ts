/**
 * The `webhook` sink: batches of events by HTTPS POST, signed.
 *
 * It promises that the other side can tell that they are ours, when they were sent, and that it has had them before; that no redirect is followed; and
 * that the secret is read where the configuration says and stands nowhere else. It must not know what becomes of them there.
 */
import { Type } from 'typebox';
import { authorizationField, urlField } from '../../outgoing/post.ts';
import { tlsFields } from '../../outgoing/tls.ts';
import type { SinkMember } from '../../sink.ts';
import { parseSinkConfig } from '../../sink-config.ts';

const config = Type.Object(
  {
    url: urlField('Where to; `http://` to this machine alone.', ['https://siem.corp.example/countersign']),
    secret: Type.String({
      pattern: '^(file|env):.+$',
      description:
        'Reference to the secret that requests are signed with, `file:PATH` or `env:NAME`: `whsec_` and 24 to 64 bytes in Base64; several, on lines of their own, while one takes the place of another.',
    }),
    authorization: authorizationField,
    ...tlsFields,
  },
  { additionalProperties: false },
);

export const member: SinkMember = {
  kind: 'sink',
  id: 'webhook',
  summary: 'Posts batches of events over HTTPS, signed as Standard Webhooks are.',
  config,
  async open(given, deps) {
    const settings = parseSinkConfig('webhook', config, given);
    const { createWebhookSink } = await import('./webhook-sink.ts');
    return createWebhookSink(settings, deps);
  },
};
