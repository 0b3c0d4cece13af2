import type { EntityRef, Obligations } from '../model/index.ts';
import { EvaluationError } from './evaluation-error.ts';
import { isMaskKind, type MaskKind, maskKinds, stricterMask } from './masks.ts';
import { parseDatetime } from './time.ts';
import type { MaskedColumn } from './types.ts';

/** What one permit demands. */
export interface PolicyObligations {
  readonly masks: readonly { readonly column: MaskedColumn; readonly kind: MaskKind }[];
  /** What a masked column is inside of an expression; undefined: it may not stand in one. */
  readonly derived: 'null' | undefined;
  readonly rowsMax: number | undefined;
  readonly record: 'digest' | 'full';
  /** From then on the permit does not apply, epoch milliseconds. */
  readonly expiresMs: number | undefined;
}

/** An annotation that means nothing; the loader adds policy and place. */
export class AnnotationError extends Error {}

/** Reads `@mask`, `@derived`, `@limit`, `@record` and `@expires`; refuses every annotation that is none of ours. @throws AnnotationError */
export function parseObligations(
  annotations: Readonly<Record<string, string | null>>,
  effect: 'permit' | 'forbid',
): PolicyObligations {
  for (const [name, text] of Object.entries(annotations)) {
    if (!DESCRIBING.has(name) && !OBLIGING.has(name))
      throw new AnnotationError(
        `@${name} is unknown; there are ${[...DESCRIBING, ...OBLIGING].map((one) => `@${one}`).join(', ')}`,
      );
    if (name === 'expires' && effect === 'forbid')
      throw new AnnotationError(
        '@expires on a forbid would open what it keeps shut; if it is to, write when { context.time < datetime("…") }',
      );
    if (OBLIGING.has(name) && effect === 'forbid')
      throw new AnnotationError(`@${name} on a forbid means nothing: obligations belong to permits`);
    if (text === null || text === '') throw new AnnotationError(`@${name} needs a value: @${name}("…")`);
    if (text.length > ANNOTATION_LENGTH_MAX)
      throw new AnnotationError(`@${name} has at most ${ANNOTATION_LENGTH_MAX} characters`);
  }
  const { mask, derived, limit, record, expires } = annotations;
  if (derived !== undefined && mask === undefined)
    throw new AnnotationError(
      '@derived says what masked columns are inside of expressions: it needs a @mask beside it',
    );
  return {
    masks: typeof mask === 'string' ? parseMasks(mask) : [],
    derived: typeof derived === 'string' ? parseDerived(derived) : undefined,
    rowsMax: typeof limit === 'string' ? parseLimit(limit) : undefined,
    record: typeof record === 'string' ? parseRecord(record) : 'digest',
    expiresMs: typeof expires === 'string' ? parseExpires(expires) : undefined,
  };
}

/** Everything that several permits demand of an operation on `resource`: the stricter wins. */
export function joinObligations(permits: readonly PolicyObligations[], resource: EntityRef): Obligations {
  const masks = new Map<string, MaskKind>();
  let rowsMax: number | undefined;
  for (const permit of permits) {
    for (const { column, kind } of permit.masks) {
      if (!columnCovers(column, resource)) continue;
      const before = masks.get(column.name);
      masks.set(column.name, before === undefined ? kind : stricterMask(before, kind));
    }
    if (permit.rowsMax !== undefined) rowsMax = Math.min(permit.rowsMax, rowsMax ?? permit.rowsMax);
  }
  const isFull = permits.length > 0 && permits.every((permit) => permit.record === 'full');
  return { masks, rowsMax, record: isFull ? 'full' : 'digest' };
}

/**
 * Whether a qualified column can be one of `resource`: its table part is held against the attribute `name`, its schema part against
 * `schema`. A resource without such an attribute is no table, so nothing can be ruled out.
 */
export function columnCovers(column: MaskedColumn, resource: EntityRef): boolean {
  const { name, schema } = resource.attributes;
  if (column.table !== undefined && typeof name === 'string' && name !== column.table) return false;
  return !(column.schema !== undefined && typeof schema === 'string' && schema !== column.schema);
}

function parseMasks(text: string): PolicyObligations['masks'] {
  const masks: { column: MaskedColumn; kind: MaskKind }[] = [];
  const entries = new RegExp(MASK, 'y');
  while (entries.lastIndex < text.length || masks.length === 0) {
    const at = entries.lastIndex;
    const entry = entries.exec(text);
    if (entry === null) throw malformedMask(at);
    const [, path = '', kind = ''] = entry;
    if (!isMaskKind(kind))
      throw new AnnotationError(
        `@mask knows the kinds ${Object.keys(maskKinds).join(', ')}, not ${JSON.stringify(kind)}`,
      );
    const names = path.match(new RegExp(COLUMN_NAME, 'g'))?.map(unquote) ?? [];
    const [name = '', table, schema] = names.toReversed();
    masks.push({
      kind,
      column: { name, ...(table === undefined ? {} : { table }), ...(schema === undefined ? {} : { schema }) },
    });
  }
  return masks;
}

function unquote(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
}

function malformedMask(at: number): AnnotationError {
  return new AnnotationError(
    `@mask is a list of column:kind, as in "ssn:redact, public.users.email:email" (capitals and blanks in double quotes); what starts at character ${at + 1} is none`,
  );
}

function parseDerived(text: string): 'null' {
  if (text === 'null') return text;
  throw new AnnotationError(`@derived is "null", not ${JSON.stringify(text)}`);
}

function parseLimit(text: string): number {
  const rows = LIMIT.exec(text)?.[1];
  const count = Number(rows);
  if (rows === undefined || count > ROWS_MAX)
    throw new AnnotationError(`@limit is "rows=N" with N from 1 to ${ROWS_MAX}, not ${JSON.stringify(text)}`);
  return count;
}

function parseRecord(text: string): 'digest' | 'full' {
  if (text === 'digest' || text === 'full') return text;
  throw new AnnotationError(`@record is "digest" or "full", not ${JSON.stringify(text)}`);
}

/** Whole seconds, as policies see the time. */
function parseExpires(text: string): number {
  try {
    if (EXPIRES.test(text)) return Number(parseDatetime(text));
  } catch (error) {
    if (!(error instanceof EvaluationError)) throw error;
    throw new AnnotationError(`@expires: ${error.message}`);
  }
  throw new AnnotationError(`@expires is a time in UTC, as in "2026-12-31T00:00:00Z", not ${JSON.stringify(text)}`);
}

const DESCRIBING = new Set(['id', 'description', 'reason']);
const OBLIGING = new Set(['mask', 'derived', 'limit', 'record', 'expires']);
/** Holds a mask for every column of a table as wide as PostgreSQL has them. */
const ANNOTATION_LENGTH_MAX = 1 << 17;
/** Capitals need quotes: unquoted SQL names are lower case, and `SSN` for `ssn` would mask nothing. */
const COLUMN_NAME = String.raw`(?:[a-z_\u0080-\uffff][a-z0-9_$\u0080-\uffff]*|"(?:[^"]|"")+")`;
/** One to three names, a kind, and a comma only where another entry follows. */
const MASK = String.raw`\s*(${COLUMN_NAME}(?:\.${COLUMN_NAME}){0,2})\s*:\s*([\w-]+)\s*(?:,(?=\s*\S)|$)`;
const EXPIRES = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/;
const LIMIT = /^rows=([1-9]\d*)$/;
/** More rows than this is no limit. */
const ROWS_MAX = 1_000_000_000;
