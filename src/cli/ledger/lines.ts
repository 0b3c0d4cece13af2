import { type LedgerEntry, objectIn } from '../../ledger/index.ts';
import { EVENT_VERSION } from '../../model/index.ts';
import { formatTime } from '../../std/index.ts';
import { inOneLine } from '../terminal/printable.ts';
import { wrap } from '../terminal/table.ts';

/** Says entries in lines for a person, one after another: it knows what came before, such as the intent of an outcome. */
export interface LedgerLines {
  /** The line of an entry, before it the day where that is another than the last one's. `worker`: whose it is, where there are several. */
  line(entry: LedgerEntry, worker?: number): string;
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
    // Columns stand with the intent.
    objects.set(operationOf(entry), objectsOf(entry, { columns: false }));
  };
  return {
    pass,
    line(entry, worker) {
      pass(entry);
      const [date = '', time = ''] = new Date(entry.timeMs).toISOString().split(/[T.]/);
      const number = worker === undefined ? String(entry.seq) : `${worker}/${entry.seq}`;
      const head = [number.padStart(SEQ_WIDTH), time, (WORDS[entry.kind] ?? entry.kind).padEnd(WORD_WIDTH)];
      const acted = actedOn(entry).map(named);
      const what = whatOf(
        { ...entry, target: acted.length === 0 ? named(entry.target) : listed(acted, OBJECTS_SHOWN) },
        (entry.kind === 'outcome' ? objects.get(operationOf(entry)) : undefined) ?? objectsOf(entry, { columns: true }),
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
  const { seq, timeMs, wallMs, kind, actor, target, action, session, operation, detail, v, ...newer } = entry;
  const { questions, ...rest } = detail;
  const objects = questionsOf(entry).map(objectText);
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
    ...fieldsIn(rest),
    ...(questions !== undefined && objects.length === 0 ? fieldsIn({ questions }) : []),
    ...fieldsIn(newer),
    ...(isNewer(entry) ? [['', `${NEWER}: event version ${v}`] as const] : []),
  ];
  return fields.filter(([, value]) => value !== '');
}

/** Whether what an entry is about has that text in its name; a table is found by `schema.table` as well. */
export function mentions(entry: LedgerEntry, text: string): boolean {
  const objects = questionsOf(entry).map(({ action, object }) => `${action} ${object}`);
  const dotted = text.replaceAll('.', '/');
  return [entry.target, ...actedOn(entry), ...objects].some(
    (object) => object.includes(text) || object.includes(dotted),
  );
}

/** Whether policy was asked about a column, or another item of a context, of that name; a mask names it as well. */
export function namesColumn(entry: LedgerEntry, name: string): boolean {
  const isNamed = ([of]: readonly [string, string]) => of === name || of.endsWith(`.${name}`);
  return questionsOf(entry).some(({ columns, masks }) => columns.includes(name) || masks.some(isNamed));
}

function operationOf({ session, operation }: LedgerEntry): string {
  return `${session} ${operation}`;
}

/** Action and object, as in `select shop/shop/public/items`; the first of them where an operation has many. */
function whatOf({ action, target, detail }: LedgerEntry, objects: string): string {
  const own = ownOf(action, detail);
  const { database, setting } = own;
  if (objects !== '') return objects;
  const verb = verbOf(action);
  const place = typeof database === 'string' ? `${target}/${database}` : target;
  const statement = typeof own['statement'] === 'string' && verb === 'statement' ? own['statement'] : verb;
  return [statement, typeof setting === 'string' ? setting : '', place].filter((part) => part !== '').join(' ');
}

/** Of a session only what it asks besides: that it connects is told already. */
function objectsOf(entry: LedgerEntry, show: { readonly columns: boolean }): string {
  if (entry.operation === '' || entry.operation === '0') return '';
  const questions = questionsOf(entry).filter(({ isAside }) => !isAside);
  const request = requestOf(entry);
  if (request !== undefined && questions.every(({ object }) => object === entry.target)) return request;
  if (questions.length === 0) return '';
  const shown = questions.slice(0, OBJECTS_SHOWN).map(({ action, object, columns }) => {
    return `${verbOf(action)} ${object}${show.columns && columns.length > 0 ? ` (${listed(columns, COLUMNS_SHOWN)})` : ''}`;
  });
  const more = questions.length - shown.length;
  return `${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** Of a request that no route takes: `get api /v1/things/{}`. A shape that is a digest tells nobody anything. */
function requestOf({ target, detail: { shape } }: LedgerEntry): string | undefined {
  const [, method = '', path] = typeof shape === 'string' ? (REQUEST_SHAPE.exec(shape) ?? []) : [];
  return path === undefined ? undefined : `${method.toLowerCase()} ${target} ${path}`;
}

function listed(names: readonly string[], most: number): string {
  const more = names.length - most;
  return `${names.slice(0, most).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** What an operator's act was about, where that is not its target alone: what it changed, or was to. */
function actedOn({ kind, detail }: LedgerEntry): readonly string[] {
  if (kind !== 'admin') return [];
  const { changes, names, spiffeIds, ids, trustDomains } = detail;
  const given = [changes, names, spiffeIds, ids, trustDomains].map(textsIn).find((texts) => texts.length > 0) ?? [];
  return given.filter((text) => text !== '' && !text.startsWith(UNCHANGED));
}

/** Texts of an array that has nothing else. */
function textsIn(value: unknown): readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string') ? value : [];
}

interface ShownQuestion {
  readonly action: string;
  readonly object: string;
  readonly columns: readonly string[];
  /** Field and kind. */
  readonly masks: readonly (readonly [string, string])[];
  /** Fields that are NULL inside of expressions. */
  readonly derived: readonly string[];
  readonly rest: string;
  /** Asked for its forbids alone: the client named something else. */
  readonly isAside: boolean;
}

/** What policy was asked, of entries that say so: a newer writer may say more. */
function questionsOf({ detail: { questions } }: LedgerEntry): readonly ShownQuestion[] {
  if (!Array.isArray(questions)) return [];
  return questions.flatMap((question): ShownQuestion[] => {
    const { action, resource, context, masks: masked, derived, forbidsOnly, ...rest } = objectIn(question);
    const { id, tags } = objectIn(resource);
    if (typeof action !== 'string' || typeof id !== 'string') return [];
    const { columns, ...conditions } = objectIn(context);
    const masks = Array.isArray(masked) ? masked.map((mask) => maskOf(mask, id)) : [];
    return [
      {
        ...{ action, object: id, isAside: forbidsOnly === true },
        columns: Array.isArray(columns) ? columns.map(textOf) : [],
        masks,
        derived: Array.isArray(derived) ? derived.flatMap((place) => masks[Number(place)]?.[0] ?? []) : [],
        rest: [...Object.entries(conditions), ...Object.entries(objectIn(tags)), ...Object.entries(rest)]
          .map(([name, value]) => `${name}: ${textOf(value)}`)
          .join('; '),
      },
    ];
  });
}

/** A field by its name in its object, so without the parts of its path that the object's id ends with. */
function maskOf(mask: unknown, object: string): readonly [string, string] {
  const { path, kind } = objectIn(mask);
  const parts = Array.isArray(path) ? path.map(textOf) : [];
  const above = parts
    .slice(0, -1)
    .map((part) => part.replaceAll('%', '%25').replaceAll('/', '%2F'))
    .join('/');
  const isOwn = above === '' || object === above || object.endsWith(`/${above}`);
  return [isOwn ? parts.slice(-1).join() : parts.join('.'), textOf(kind)];
}

/** All of one question. */
function objectText({ action, object, columns, masks, derived, rest, isAside }: ShownQuestion): string {
  const facts = [
    columns.length > 0 && `columns ${columns.join(', ')}`,
    masks.length > 0 && `masked ${masks.map((mask) => mask.join(':')).join(', ')}`,
    derived.length > 0 && `NULL inside of expressions: ${derived.join(', ')}`,
    isAside && 'for its forbids',
    rest,
  ].filter((fact) => typeof fact === 'string' && fact !== '');
  return `${action} ${object}${facts.length === 0 ? '' : ` (${facts.join('; ')})`}`;
}

/** What only the protocol says of it. */
function ownOf(action: string, detail: LedgerEntry['detail']): Readonly<Record<string, unknown>> {
  return objectIn(detail[action.slice(0, Math.max(0, action.indexOf(':')))]);
}

function fieldsIn(values: object): readonly (readonly [string, string])[] {
  return Object.entries(values).flatMap(([name, value]) => {
    const texts = textsIn(value);
    if (texts.length === 0) return [[name, spacedTextOf(value)] as const];
    return texts.map((text, index) => [index === 0 ? name : '', text] as const);
  });
}

function isNewer({ v = 0 }: LedgerEntry): boolean {
  return v > EVENT_VERSION;
}

function verbOf(action: string): string {
  return action.replace(/^[a-z]+:/, '');
}

function factsOf(entry: LedgerEntry): readonly string[] {
  const { kind, wallMs, detail } = entry;
  const { reason, policies, items, code, status, step, ended, count, client, peer } = detail;
  const masks = questionsOf(entry).flatMap((question) => question.masks.map((mask) => mask.join(':')));
  const { application } = objectIn(client);
  const { status: answered, upstream } = ownOf(entry.action, detail);
  const facts = [
    typeof detail['kind'] === 'string' && detail['kind'],
    step !== undefined && textOf(step),
    reason !== undefined && textOf(reason),
    Array.isArray(policies) && policies.length > 0 && `by ${policies.map(textOf).join(', ')}`,
    masks.length > 0 && `masked ${listed(Array.from(new Set(masks)), COLUMNS_SHOWN)}`,
    kind === 'outcome' && items !== undefined && `${textOf(items)} ${items === 1 ? 'item' : 'items'}`,
    answered !== undefined && `status ${textOf(answered)}`,
    kind === 'outcome' && upstream !== undefined && `by ${textOf(upstream)}`,
    code !== undefined && code !== String(answered) && `code ${textOf(code)}`,
    status !== undefined && textOf(status),
    ended !== undefined && `ended: ${textOf(ended)}`,
    peer !== undefined && `from ${textOf(peer)}`,
    application !== undefined && `application ${textOf(application)}`,
    count !== undefined && (count === 1 ? 'once' : `${textOf(count)} times`),
    isNewer(entry) && NEWER,
    wallMs !== undefined && `its clock said ${formatTime(wallMs)}`,
  ];
  return facts.flatMap((fact) => (typeof fact === 'string' && fact !== '' ? [fact] : []));
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** With blanks where a line may be broken. */
function spacedTextOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value, null, 1).replaceAll(/\n */g, ' ');
}

const REQUEST_SHAPE = /^([A-Z][A-Z0-9-]*) ([/*].*)$/s;
const WORDS: Readonly<Record<string, string>> = { 'session-open': 'open', 'session-close': 'close' };
/** So begins what a plan says of what was as it should be. */
const UNCHANGED = 'unchanged ';
const SEQ_WIDTH = 6;
const WORD_WIDTH = 7;
const GAP = '  ';
const OBJECTS_SHOWN = 3;
const COLUMNS_SHOWN = 8;
const NEWER = 'written by a newer version';
/** Operations under way at one time; those that are forgotten are shown without their objects. */
const OBJECTS_MAX = 10_000;
