import type { SinkItem } from '../../sink.ts';

/** One message: header, structured data by which collectors tell events apart without reading them, and the event as JSON in UTF-8. @see RFC 5424 §6 */
export function formatMessage(
  { id, event, json }: SinkItem,
  { facility, enterprise }: { readonly facility: number; readonly enterprise: number },
): Buffer {
  const severity = SEVERITIES.get(event.severity_id) ?? 6;
  const { log_name: origin, event_code: code } = event.metadata;
  const time = new Date(event.time).toISOString();
  const header = `<${facility * 8 + severity}>1 ${time} ${printable(origin, 255)} countersign - ${printable(code, 32)}`;
  const data = Object.entries({ id, class: event.class_uid, activity: event.activity_id, status: event.status }).map(
    ([name, value]) => ` ${name}="${escaped(`${value}`)}"`,
  );
  return Buffer.from(`${header} [countersign@${enterprise}${data.join('')}] ${BOM}${json}`);
}

/** A field of the header: printable ASCII without spaces, and something. */
function printable(text: string, lengthMax: number): string {
  const shown = text.replace(/[^\x21-\x7e]/g, '_').slice(0, lengthMax);
  return shown === '' ? '-' : shown;
}

/** @see RFC 5424 §6.3.3 */
function escaped(text: string): string {
  return text.replace(/[\\"\]]/g, (sign) => `\\${sign}`);
}

const BOM = '\ufeff';
/** OCSF's to those of syslog. */
const SEVERITIES: ReadonlyMap<number, number> = new Map([
  [1, 6],
  [3, 4],
  [5, 2],
]);
