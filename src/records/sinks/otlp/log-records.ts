import type { SinkItem } from '../../sink.ts';

/** A value of any type, as OTLP has it in JSON: 64-bit integers are text. */
type AnyValue =
  | { readonly stringValue: string }
  | { readonly boolValue: boolean }
  | { readonly intValue: string }
  | { readonly doubleValue: number }
  | { readonly arrayValue: { readonly values: readonly AnyValue[] } }
  | { readonly kvlistValue: { readonly values: readonly KeyValue[] } }
  | Readonly<Record<string, never>>;
interface KeyValue {
  readonly key: string;
  readonly value: AnyValue;
}

/** The body of a request to export logs. @see OTLP 1.5, ExportLogsServiceRequest */
export function logsRequest(items: readonly SinkItem[], nowMs: number) {
  const logRecords = items.map(({ id, event }) => {
    const [severityNumber, severityText] = SEVERITIES.get(event.severity_id) ?? [9, 'INFO'];
    return {
      ...{ timeUnixNano: nanoseconds(event.time), observedTimeUnixNano: nanoseconds(nowMs) },
      ...{ severityNumber, severityText, eventName: `countersign.${event.metadata.event_code}` },
      body: anyValue(event),
      // By which the other side knows what it has had before.
      attributes: [
        { key: 'log.record.uid', value: { stringValue: id } },
        { key: 'log.file.name', value: { stringValue: event.metadata.log_name } },
      ],
    };
  });
  const service = items[0]?.event.metadata.product;
  return {
    resourceLogs: [
      {
        resource: {
          attributes: [
            { key: 'service.name', value: { stringValue: 'countersign' } },
            { key: 'service.version', value: { stringValue: service?.version ?? '' } },
          ],
        },
        scopeLogs: [{ scope: { name: 'countersign.record' }, logRecords }],
      },
    ],
  };
}

function anyValue(value: unknown): AnyValue {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  if (typeof value === 'number') return Number.isSafeInteger(value) ? { intValue: `${value}` } : { doubleValue: value };
  if (Array.isArray(value)) return { arrayValue: { values: value.map(anyValue) } };
  if (typeof value !== 'object' || value === null) return {};
  const values = Object.entries(value).map(([key, inner]) => ({ key, value: anyValue(inner) }));
  return { kvlistValue: { values } };
}

function nanoseconds(ms: number): string {
  return `${BigInt(Math.floor(ms)) * 1_000_000n}`;
}

/** OCSF's to those of logs. */
const SEVERITIES: ReadonlyMap<number, readonly [number, string]> = new Map([
  [3, [13, 'WARN']],
  [5, [17, 'ERROR']],
] as const);
