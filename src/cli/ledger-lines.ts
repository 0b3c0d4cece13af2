import type { LedgerEntry } from '../ledger/index.ts';
import { inOneLine } from './printable.ts';
import { wrap } from './table.ts';

/** Says entries in lines for a person, one after another: it knows what came before, such as the intent of an outcome. */
export interface LedgerLines {
  /** The line of an entry, before it the day where that is another than the last one's. */
  line(entry: LedgerEntry): string;
  /** Takes note of an entry that is not shown, but that a later one may be about. */
  pass(entry: LedgerEntry): void;
}

/** Creates them. Identities of the trust domain, where there is one, are shown by their paths. Times are UTC. */
export function createLedgerLines(options: { columns: number; trustDomain: string | undefined }): LedgerLines {
  const own = options.trustDomain === undefined ? undefined : `spiffe://${options.trustDomain}/`;
  const named = (id: string) => (own !== undefined && id.startsWith(own) ? id.slice(own.length - 1) : id);
  const objects = new Map<string, string>();
  let day = '';
  const pass = (entry: LedgerEntry) => {
    if (entry.kind !== 'intent') return;
    if (objects.size >= OBJECTS_MAX) objects.clear();
    objects.set(operationOf(entry), objectsOf(entry));
  };
  return {
    pass,
    line(entry) {
      pass(entry);
      const [date = '', time = ''] = new Date(entry.timeMs).toISOString().split(/[T.]/);
      const head = [String(entry.seq).padStart(SEQ_WIDTH), time, (WORDS[entry.kind] ?? entry.kind).padEnd(WORD_WIDTH)];
      const what = whatOf(
        { ...entry, target: named(entry.target) },
        objects.get(operationOf(entry)) ?? objectsOf(entry),
      );
      const facts = factsOf(entry);
      const { operator } = entry.detail;
      const who = typeof operator === 'string' ? operator : named(entry.actor);
      const text = inOneLine(`${who}  ${what}${facts.length === 0 ? '' : ` (${facts.join('; ')})`}`);
      const indent = head.join(GAP).length + GAP.length;
      const line = `${head.join(GAP)}${GAP}${wrap(text, { columns: options.columns, indent })}`;
      if (date === day) return line;
      day = date;
      return `${date} UTC\n${line}`;
    },
  };
}

/** All of one entry: names and values, what it is about first. */
export function fieldsOf(entry: LedgerEntry): readonly (readonly [string, string])[] {
  const { seq, timeMs, wallMs, kind, actor, target, action, session, operation, detail } = entry;
  const { touches, ...rest } = detail;
  const objects = Array.isArray(touches) ? touches.map(textOf) : [];
  const fields: (readonly [string, string])[] = [
    ['entry', String(seq)],
    ['time', new Date(timeMs).toISOString()],
    ...(wallMs === undefined ? [] : [['clock said', new Date(wallMs).toISOString()] as const]),
    ['kind', kind],
    ['identity', actor],
    ['target', target],
    ['action', action],
    ...objects.map((object, index) => [index === 0 ? 'object' : '', object] as const),
    ['session', session],
    ['operation', operation],
    ...Object.entries(rest).map(([name, value]) => [name, textOf(value)] as const),
  ];
  return fields.filter(([, value]) => value !== '');
}

/** Whether what an entry is about has that text in its name; a table is found by `schema.table` as well. */
export function mentions({ target, detail }: LedgerEntry, text: string): boolean {
  const { touches } = detail;
  const objects = Array.isArray(touches) ? touches.map(textOf) : [];
  const dotted = text.replaceAll('.', '/');
  return [target, ...objects].some((object) => object.includes(text) || object.includes(dotted));
}

function operationOf({ session, operation }: LedgerEntry): string {
  return `${session} ${operation}`;
}

/** Action and object, as in `select shop/shop/public/items`; the first of them where an operation has many. */
function whatOf({ action, target, detail }: LedgerEntry, objects: string): string {
  const { database, setting } = detail;
  if (objects !== '') return objects;
  const verb = verbOf(action);
  const place = typeof database === 'string' ? `${target}/${database}` : target;
  const statement = typeof detail['statement'] === 'string' && verb === 'statement' ? detail['statement'] : verb;
  return [statement, typeof setting === 'string' ? setting : '', place].filter((part) => part !== '').join(' ');
}

function objectsOf({ detail: { touches } }: LedgerEntry): string {
  if (!Array.isArray(touches) || touches.length === 0) return '';
  const shown = touches.slice(0, TOUCHES_SHOWN).map((touch) => verbOf(textOf(touch)));
  const more = touches.length - shown.length;
  return `${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

function verbOf(action: string): string {
  return action.replace(/^[a-z]+:/, '');
}

function factsOf(entry: LedgerEntry): readonly string[] {
  const { kind, wallMs, detail } = entry;
  const { reason, policies, rows, sqlstate, status, step, masked, ended, count } = detail;
  const facts = [
    typeof detail['kind'] === 'string' && detail['kind'],
    step !== undefined && textOf(step),
    reason !== undefined && textOf(reason),
    Array.isArray(policies) && policies.length > 0 && `by ${policies.map(textOf).join(', ')}`,
    masked === true && 'masked',
    kind === 'outcome' && rows !== undefined && `${textOf(rows)} ${rows === 1 ? 'row' : 'rows'}`,
    sqlstate !== undefined && sqlstate !== null && sqlstate !== '' && `SQLSTATE ${textOf(sqlstate)}`,
    status !== undefined && textOf(status),
    ended !== undefined && `ended: ${textOf(ended)}`,
    count !== undefined && (count === 1 ? 'once' : `${textOf(count)} times`),
    wallMs !== undefined && `its clock said ${new Date(wallMs).toISOString().replace(/\.\d+Z$/, 'Z')}`,
  ];
  return facts.flatMap((fact) => (typeof fact === 'string' && fact !== '' ? [fact] : []));
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

const WORDS: Readonly<Record<string, string>> = { 'session-open': 'open', 'session-close': 'close' };
const SEQ_WIDTH = 6;
const WORD_WIDTH = 7;
const GAP = '  ';
const TOUCHES_SHOWN = 3;
/** Operations under way at one time; those that are forgotten are shown without their objects. */
const OBJECTS_MAX = 10_000;
