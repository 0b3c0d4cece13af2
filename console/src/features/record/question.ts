import type { Input } from '../../api/index.ts';
import type { Filters } from '../../page/index.ts';

/** What is asked of the record; pages and events go by the same. */
export type RecordQuestion = Input<'record.follow'>;

const TEXTS = [
  ...(['identity', 'node', 'target', 'action', 'session', 'kind', 'object', 'column'] as const),
  ...(['policy', 'reason', 'status', 'shape', 'code'] as const),
] as const;
const COUNTS = ['rowsMin', 'rowsMax', 'bytesMin', 'bytesMax'] as const;

/** All filters of the page by their names in its address. */
export const FILTER_NAMES: readonly string[] = [...TEXTS, ...COUNTS, 'masked', 'since', 'until', 'log'];

/** What is asked by the filters of the page at that moment; `wrong`: what of them can't be read. */
export function questionOf(
  filters: Filters,
  nowMs: number,
): { readonly question: RecordQuestion; readonly wrong: readonly string[] } {
  const wrong: string[] = [];
  const number = (name: string, text: string | undefined, read: (text: string) => number | undefined) => {
    const value = text === undefined ? undefined : read(text);
    if (text !== undefined && value === undefined) wrong.push(`${name}: “${text}” can not be read`);
    return value;
  };
  const { since, until, log, masked } = filters;
  const given = {
    ...Object.fromEntries(TEXTS.map((name) => [name, filters[name]])),
    ...Object.fromEntries(COUNTS.map((name) => [name, number(name, filters[name], countOf)])),
    ...{ log: number('log', log, countOf), masked: masked === 'true' ? true : undefined },
    ...{
      sinceMs: number('since', since, (text) => timeOf(text, nowMs)),
      untilMs: number('until', until, (text) => timeOf(text, nowMs)),
    },
  };
  return { question: Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)), wrong };
}

/** The command that asks the same. */
export function commandOf({ sinceMs, untilMs, ...question }: RecordQuestion): string {
  const options = Object.entries(question).map(([name, value]) => {
    const option = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    return value === true ? option : `${option} ${quoted(String(value))}`;
  });
  const times = [
    ...(sinceMs === undefined ? [] : [`--since ${new Date(sinceMs).toISOString()}`]),
    ...(untilMs === undefined ? [] : [`--until ${new Date(untilMs).toISOString()}`]),
  ];
  return ['countersign record search', ...options, ...times].join(' ');
}

/** `15m`, `2h`, `7d`: so long ago; else a date, by the clock of this browser, or with its zone. Epoch milliseconds. */
export function timeOf(text: string, nowMs: number): number | undefined {
  const [, count, unit] = /^(\d{1,6})\s*([smhd])$/.exec(text.trim()) ?? [];
  if (count !== undefined && unit !== undefined)
    return nowMs - Number(count) * ({ s: 1, m: 60, h: 3600, d: 86_400 }[unit] ?? 0) * 1000;
  if (!/^\d{4}-\d{2}-\d{2}/.test(text.trim())) return undefined;
  const ms = Date.parse(
    text
      .trim()
      .replace(/^(\d{4}-\d{2}-\d{2})$/, '$1T00:00')
      .replace(' ', 'T'),
  );
  return Number.isNaN(ms) || ms < 0 ? undefined : ms;
}

function countOf(text: string): number | undefined {
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** For a shell: whatever it is, it stays one word. */
function quoted(text: string): string {
  return /^[\w./:@%+,=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
