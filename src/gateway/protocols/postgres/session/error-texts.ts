import type { ErrorFields } from '../../../../wire/postgres/index.ts';
import type { Withheld } from '../../../recording/withheld.ts';

/**
 * What a client sees of an error or notice that may hold masked values (decision 0018): its SQLSTATE, where in the server's code it comes from,
 * and where in the client's text; the message when it is a sentence without values, or one whose values are names of the catalog; then
 * those names as well. Detail, hint and context go.
 *
 * The routine is the C function that made the message. No code in the database can choose it: RAISE has its own.
 */
export function shownFields(fields: ErrorFields): Map<string, string> {
  if (isAboutText(fields)) return new Map(fields);
  const shown = new Map<string, string>();
  const keep = (letters: string) => {
    for (const letter of letters) {
      const value = fields.get(letter);
      if (value !== undefined) shown.set(letter, value);
    }
  };
  keep('SVC');
  const sentence = sentenceOf(fields);
  shown.set('M', sentence?.text ?? WITHHELD);
  if (sentence?.hasNames === true) keep('stcdn');
  if (SOURCE_NAME.test(fields.get('F') ?? '')) keep('F');
  for (const [letter, shape] of SHAPES) if (shape.test(fields.get(letter) ?? '')) keep(letter);
  return shown;
}

/** What of these a client does not see, by the field's name; undefined when it sees all. */
export function withheldParts(fields: ErrorFields): Withheld | undefined {
  const shown = shownFields(fields);
  const parts = Array.from(fields).filter(([letter, text]) => shown.get(letter) !== text);
  if (parts.length === 0) return undefined;
  return Object.fromEntries(parts.map(([letter, text]) => [FIELD_NAMES.get(letter) ?? letter, text]));
}

/**
 * The parser's own errors alone have a position in the client's text: it works with that text and the catalog. Of a text that code of the database
 * runs the position is another field, and the context says whose it is.
 */
function isAboutText(fields: ErrorFields): boolean {
  return fields.has('P') && !['p', 'q', 'W'].some((letter) => fields.has(letter));
}

function sentenceOf(fields: ErrorFields): { readonly text: string; readonly hasNames: boolean } | undefined {
  const message = fields.get('M') ?? '';
  if (FIXED.has(message)) return { text: message, hasNames: false };
  const known = SENTENCES.filter(([sqlstate, routine]) => sqlstate === fields.get('C') && routine === fields.get('R'));
  if (known.some(([, , sentence]) => shapeOf(sentence, fields).test(message))) return { text: message, hasNames: true };
  // In another language than English, or in words of another version: the same said in ours.
  for (const [, , sentence] of known) {
    const text = filled(sentence, fields);
    if (text !== undefined) return { text, hasNames: true };
  }
  return undefined;
}

function shapeOf(sentence: string, fields: ErrorFields): RegExp {
  const parts = sentence.split(HOLE).map((part, index) => {
    if (index % 2 === 0) return escaped(part);
    return ANY_HOLES.get(part) ?? escaped(fields.get(part) ?? '');
  });
  return new RegExp(`^${parts.join('')}$`, 'u');
}

function filled(sentence: string, fields: ErrorFields): string | undefined {
  const parts = sentence.split(HOLE).map((part, index) => (index % 2 === 0 ? part : fields.get(part)));
  return parts.includes(undefined) ? undefined : parts.join('');
}

function escaped(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}

/** As PostgreSQL's documentation calls them (protocol, error and notice fields). */
const FIELD_NAMES: ReadonlyMap<string, string> = new Map([
  ...([
    ['M', 'message'],
    ['D', 'detail'],
    ['H', 'hint'],
    ['p', 'internalPosition'],
    ['q', 'internalQuery'],
    ['W', 'where'],
    ['s', 'schema'],
    ['t', 'table'],
    ['c', 'column'],
    ['d', 'dataType'],
    ['n', 'constraint'],
  ] as const),
]);
const WITHHELD = 'the text of this message is withheld, since it may hold masked values';
const SOURCE_NAME = /^[\w./-]{1,100}$/;
/** Line, routine, position. */
const SHAPES: readonly (readonly [string, RegExp])[] = [
  ['L', /^\d{1,9}$/],
  ['R', /^\w{1,100}$/],
  ['P', /^\d{1,9}$/],
];
/** `{n}`: what the field of that letter says. Else a name of the catalog, a number, or words in capitals. */
const HOLE = /\{(.)\}/;
const ANY_HOLES: ReadonlyMap<string, string> = new Map([
  ['*', '[^\\n]{1,200}'],
  ['#', '\\d{1,10}'],
  ['A', '[A-Z ]{1,60}'],
]);

/** Sentences with nothing but names in them: SQLSTATE, routine, words. Those that can be filled from the fields come before those that can't. */
const SENTENCES: readonly (readonly [string, string, string])[] = [
  ['23505', '_bt_check_unique', 'duplicate key value violates unique constraint "{n}"'],
  ['23505', 'comparetup_index_btree', 'could not create unique index "{n}"'],
  ['23505', 'comparetup_index_btree_tiebreak', 'could not create unique index "{n}"'],
  ['23P01', 'check_exclusion_or_unique_constraint', 'conflicting key value violates exclusion constraint "{n}"'],
  ...both(
    '23502',
    ['ExecConstraints', 'ReportNotNullViolationError'],
    [
      'null value in column "{c}" of relation "{t}" violates not-null constraint',
      'null value in column "{c}" violates not-null constraint',
    ],
  ),
  ...both('23502', ['ATRewriteTable'], ['column "{c}" of relation "{t}" contains null values']),
  ['23514', 'ExecConstraints', 'new row for relation "{t}" violates check constraint "{n}"'],
  ['23514', 'ATRewriteTable', 'check constraint "{n}" of relation "{t}" is violated by some row'],
  ['23514', 'ExecPartitionCheckEmitError', 'new row for relation "{t}" violates partition constraint'],
  ['23514', 'ExecFindPartition', 'no partition of relation "{t}" found for row'],
  ['23503', 'ri_ReportViolation', 'insert or update on table "{t}" violates foreign key constraint "{n}"'],
  [
    '23503',
    'ri_ReportViolation',
    'update or delete on table "{*}" violates foreign key constraint "{n}" on table "{t}"',
  ],
  [
    ...(['23001', 'ri_ReportViolation'] as const),
    'update or delete on table "{*}" violates RESTRICT setting of foreign key constraint "{n}" on table "{t}"',
  ],
  ...both(
    '23514',
    ['ExecEvalConstraintCheck', 'domain_check_input'],
    ['value for domain {*} violates check constraint "{n}"'],
  ),
  ...both('23502', ['ExecEvalConstraintNotNull', 'domain_check_input'], ['domain {*} does not allow null values']),
  ['44000', 'ExecWithCheckOptions', 'new row violates check option for view "{*}"'],
  ...both(
    '42501',
    ['ExecWithCheckOptions'],
    [
      'new row violates row-level security policy for table "{*}"',
      'new row violates row-level security policy "{*}" for table "{*}"',
    ],
  ),
  ...both('22001', ['varchar', 'varchar_input'], ['value too long for type character varying({#})']),
  ...both('22001', ['bpchar', 'bpchar_input'], ['value too long for type character({#})']),
  ...both('42883', ['hash_record', 'hash_array'], ['could not identify a hash function for type {*}']),
  ...both(
    '42883',
    ['hash_record_extended', 'hash_array_extended'],
    ['could not identify an extended hash function for type {*}'],
  ),
  ...both('42883', ['record_cmp', 'array_cmp'], ['could not identify a comparison function for type {*}']),
  ...both('42883', ['record_eq', 'array_eq'], ['could not identify an equality operator for type {*}']),
  ['42501', 'check_enable_rls', 'query would be affected by row-level security policy for table "{*}"'],
  ['55P03', 'heap_lock_tuple', 'could not obtain lock on row in relation "{*}"'],
  ['55P03', 'RangeVarGetRelidExtended', 'could not obtain lock on relation "{*}"'],
  ['25006', 'PreventCommandIfReadOnly', 'cannot execute {A} in a read-only transaction'],
  ...both(
    '25001',
    ['PreventInTransactionBlock', 'PreventTransactionChain'],
    ['{A} cannot run inside a transaction block'],
  ),
  ['25P01', 'CheckTransactionBlock', '{A} can only be used in transaction blocks'],
  ['08P01', 'exec_bind_message', 'bind message supplies {#} parameters, but prepared statement "{*}" requires {#}'],
  ['22P03', 'exec_bind_message', 'incorrect binary data format in bind parameter {#}'],
  ...both('08P01', ['PortalSetResultFormat'], ['bind message has {#} result formats but query has {#} columns']),
  ...both(
    '22P04',
    ['NextCopyFrom', 'CopyFromTextLikeOneRow', 'CopyFromTextOneRow', 'CopyFromCSVOneRow'],
    ['missing data for column "{*}"'],
  ),
];

function both(
  sqlstate: string,
  routines: readonly string[],
  sentences: readonly string[],
): readonly (readonly [string, string, string])[] {
  return routines.flatMap((routine) => sentences.map((sentence) => [sqlstate, routine, sentence] as const));
}

/** Sentences that are the same whatever the data: whoever says them says nothing else. */
const FIXED: ReadonlySet<string> = new Set([
  ...['division by zero', 'numeric field overflow', 'interval out of range', 'interval field value out of range'],
  ...['smallint out of range', 'integer out of range', 'bigint out of range', 'date out of range'],
  ...['timestamp out of range', 'time zone displacement out of range', 'value out of range: overflow'],
  ...['value out of range: underflow', 'value overflows numeric format', 'cannot take logarithm of zero'],
  ...['cannot take logarithm of a negative number', 'cannot take square root of a negative number'],
  ...['negative substring length not allowed', 'LIMIT must not be negative', 'OFFSET must not be negative'],
  ...['array subscript out of range', 'extra data after last expected column', 'unterminated CSV quoted field'],
  ...['more than one row returned by a subquery used as an expression', 'query string argument of EXECUTE is null'],
  ...['ON CONFLICT DO UPDATE command cannot affect row a second time'],
  ...['MERGE command cannot affect row a second time', 'cached plan must not change result type'],
  'current transaction is aborted, commands ignored until end of transaction block',
  ...['there is already a transaction in progress', 'there is no transaction in progress'],
  ...['deadlock detected', 'could not serialize access due to concurrent update'],
  ...[
    'could not serialize access due to concurrent delete',
    'tuple concurrently updated',
    'tuple concurrently deleted',
  ],
  'could not serialize access due to read/write dependencies among transactions',
  'tuple to be updated was already modified by an operation triggered by the current command',
  'tuple to be deleted was already modified by an operation triggered by the current command',
  ...['canceling statement due to user request', 'canceling statement due to statement timeout'],
  ...['canceling statement due to lock timeout', 'canceling statement due to conflict with recovery'],
  ...['canceling authentication due to timeout', 'terminating connection due to administrator command'],
  ...['terminating connection due to idle-in-transaction timeout', 'terminating connection due to transaction timeout'],
  ...['terminating connection due to idle-session timeout', 'terminating connection due to conflict with recovery'],
  ...['terminating connection because of crash of another server process', 'the database system is shutting down'],
  'terminating connection due to unexpected postmaster exit',
  ...['out of memory', 'out of shared memory', 'stack depth limit exceeded', 'insufficient data left in message'],
]);
