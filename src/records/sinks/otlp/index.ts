/**
 * The `otlp` sink: log records of OpenTelemetry over HTTP, as JSON.
 *
 * It promises that each event is one log record with its id, and that records which the other side rejects are named. It must not know which collector
 * it speaks with.
 */
import { Type } from 'typebox';
import { authorizationField, urlField } from '../../outgoing/post.ts';
import { tlsFields } from '../../outgoing/tls.ts';
import type { SinkMember } from '../../sink.ts';
import { parseSinkConfig } from '../../sink-config.ts';

const config = Type.Object(
  {
    url: urlField('Where logs are taken, with the path; `http://` to this machine alone.', [
      'https://collector.corp.example:4318/v1/logs',
    ]),
    authorization: authorizationField,
    ...tlsFields,
  },
  { additionalProperties: false },
);

export const member: SinkMember = {
  kind: 'sink',
  id: 'otlp',
  summary: 'Sends events as OpenTelemetry logs, by OTLP over HTTP in JSON.',
  config,
  async open(given, deps) {
    const settings = parseSinkConfig('otlp', config, given);
    const { createOtlpSink } = await import('./otlp-sink.ts');
    return createOtlpSink(settings, deps);
  },
};
