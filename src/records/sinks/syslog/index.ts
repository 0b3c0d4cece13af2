/**
 * The `syslog` sink: RFC 5424 messages over TLS.
 *
 * It promises that a batch counts as taken only once the other side has read to its end, which syslog itself never says. It must not know what becomes
 * of the messages there.
 */
import { Type } from 'typebox';
import { tlsFields } from '../../outgoing/tls.ts';
import type { SinkMember } from '../../sink.ts';
import { parseSinkConfig } from '../../sink-config.ts';

const config = Type.Object(
  {
    address: Type.String({
      pattern: '^(\\[[0-9a-fA-F:.]+\\]|[^:\\[\\]\\s]+):\\d{1,5}$',
      description: 'Host and port of the collector, whose certificate must name that host.',
      examples: ['logs.corp.example:6514'],
    }),
    facility: Type.Integer({
      minimum: 0,
      maximum: 23,
      default: 13,
      description: 'Facility of the messages; 13 = log audit, 10 = security/authorization.',
    }),
    enterprise: Type.Integer({
      minimum: 1,
      maximum: 4_294_967_295,
      default: 32_473,
      description:
        'Private enterprise number in the name of the structured data, `countersign@NUMBER`; 32473 is that of examples.',
    }),
    ...tlsFields,
  },
  { additionalProperties: false },
);

export const member: SinkMember = {
  kind: 'sink',
  id: 'syslog',
  summary: 'Sends events as RFC 5424 messages over TLS (RFC 5425).',
  config,
  async open(given, deps) {
    const settings = parseSinkConfig('syslog', config, given);
    const { createSyslogSink } = await import('./syslog-sink.ts');
    return createSyslogSink(settings, deps);
  },
};
