import type { EntityRef, FieldMask, Obligations, Quota } from '../../model/index.ts';
import { EvaluationError } from '../expressions/evaluation-error.ts';
import { parseDatetime } from '../expressions/time.ts';
import { ANY, type FieldReading, isFieldOf, leadIn, type WrittenField } from '../schema/fields.ts';
import { AnnotationError } from './annotation-error.ts';
import { leastLimits, type PermitLimit, parseLimits, type WrittenLimit } from './limits.ts';
import { isMaskKind, type MaskKind, maskKinds, stricterMask } from './masks.ts';

/** What the annotations of one policy say, wherever it is. */
export interface WrittenObligations {
  readonly masks: readonly (WrittenField & { readonly kind: MaskKind })[];
  /** What a masked field is inside of an expression; undefined: it may not stand in one. */
  readonly derived: 'null' | undefined;
  readonly limits: readonly WrittenLimit[];
  readonly record: 'digest' | 'full';
  /** The rule by which somebody has to approve of each operation. */
  readonly approval: string | undefined;
  /** From then on the permit does not apply, epoch milliseconds. */
  readonly expiresMs: number | undefined;
}

/** What one permit demands. */
export interface PolicyObligations extends Omit<WrittenObligations, 'masks' | 'limits'> {
  readonly masks: readonly PermitMask[];
  readonly limits: readonly PermitLimit[];
}

/** A permit that applies. */
export interface ObligingPermit {
  readonly summary: { readonly id: string };
  readonly obligations: PolicyObligations;
}

/** A mask of a permit: as it is written, and by type of resource what that means. */
export interface PermitMask extends WrittenField {
  readonly kind: MaskKind;
  readonly on: ReadonlyMap<string, FieldReading>;
}

/** Reads `@mask`, `@derived`, `@limit`, `@record`, `@approval` and `@expires`; refuses every annotation that is none of ours. @throws AnnotationError */
export function parseObligations(
  annotations: Readonly<Record<string, string | null>>,
  effect: 'permit' | 'forbid',
): WrittenObligations {
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
  const { mask, derived, limit, record, approval, expires } = annotations;
  if (derived !== undefined && mask === undefined)
    throw new AnnotationError(
      '@derived says what masked columns are inside of expressions: it needs a @mask beside it',
    );
  return {
    masks: typeof mask === 'string' ? parseMasks(mask) : [],
    derived: typeof derived === 'string' ? parseDerived(derived) : undefined,
    limits: typeof limit === 'string' ? parseLimits(limit) : [],
    record: typeof record === 'string' ? parseRecord(record) : 'digest',
    approval: typeof approval === 'string' ? parseApproval(approval) : undefined,
    expiresMs: typeof expires === 'string' ? parseExpires(expires) : undefined,
  };
}

/** Everything that several permits demand of an operation on `resource`: the stricter wins. */
export function joinObligations(permits: readonly ObligingPermit[], resource: EntityRef): Obligations {
  const masks = new Map<string, FieldMask>();
  let lead: readonly string[] | undefined;
  for (const { obligations } of permits) {
    for (const { on, kind } of obligations.masks) {
      const reading = on.get(resource.type);
      if (reading === undefined || !isFieldOf(reading, resource)) continue;
      const before = masks.get(reading.key);
      if (before !== undefined) {
        const isDerived = before.derived === 'null' && obligations.derived === 'null';
        masks.set(reading.key, maskOf(before.path, stricterMask(before.kind, kind), isDerived));
        continue;
      }
      lead ??= leadIn(reading, resource);
      masks.set(reading.key, maskOf([...lead, ...reading.own], kind, obligations.derived === 'null'));
    }
  }
  const isFull = permits.length > 0 && permits.every(({ obligations }) => obligations.record === 'full');
  const limits = leastLimits(permits.map(({ obligations }) => obligations.limits));
  const joined: Obligations = { masks: Array.from(masks.values()), limits, record: isFull ? 'full' : 'digest' };
  const quotas = permits.flatMap(quotasOf);
  const approvals = rulesOf(permits);
  return {
    ...joined,
    ...(quotas.length === 0 ? {} : { quotas }),
    ...(approvals.length === 0 ? {} : { approvals }),
  };
}

/** Whatever else permits it. */
function rulesOf(permits: readonly ObligingPermit[]): readonly string[] {
  return Array.from(new Set(permits.flatMap(({ obligations }) => obligations.approval ?? []))).sort();
}

function maskOf(path: readonly string[], kind: MaskKind, isDerived: boolean): FieldMask {
  return isDerived ? { path, kind, derived: 'null' } : { path, kind };
}

/** Each counts by itself, whatever other permits apply. */
function quotasOf({ summary, obligations }: ObligingPermit): readonly Quota[] {
  return obligations.limits.flatMap(({ unit, most }) => {
    return unit === 'rate' || unit === 'sessions' ? [{ policy: summary.id, unit, most }] : [];
  });
}

function parseMasks(text: string): WrittenObligations['masks'] {
  const masks: WrittenObligations['masks'][number][] = [];
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
    masks.push({ kind, ...fieldOf(path) });
  }
  return masks;
}

/** A field as `@mask` names it. @throws AnnotationError */
export function parseField(text: string): WrittenField {
  if (!ONE_FIELD.test(text)) throw malformedMask(0);
  return fieldOf(text);
}

function fieldOf(text: string): WrittenField {
  const names: readonly string[] = text.match(new RegExp(FIELD_NAME, 'g')) ?? [];
  if (names.length > NAMES_MAX) throw new AnnotationError(`@mask names a field by at most ${NAMES_MAX} names`);
  return { path: names.map(unquote), hasWildcard: names.includes(ANY) };
}

function unquote(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
}

function malformedMask(at: number): AnnotationError {
  return new AnnotationError(
    `@mask is a list of field:kind, as in "ssn:redact, public.users.email:email" (capitals and blanks in double quotes); what starts at character ${at + 1} is none`,
  );
}

function parseDerived(text: string): 'null' {
  if (text === 'null') return text;
  throw new AnnotationError(`@derived is "null", not ${JSON.stringify(text)}`);
}

function parseRecord(text: string): 'digest' | 'full' {
  if (text === 'digest' || text === 'full') return text;
  throw new AnnotationError(`@record is "digest" or "full", not ${JSON.stringify(text)}`);
}

function parseApproval(text: string): string {
  if (RULE.test(text)) return text;
  throw new AnnotationError(
    `@approval names one rule, as in "dba-on-call" (letters, digits, - _ and .), not ${JSON.stringify(text)}`,
  );
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
const OBLIGING = new Set(['mask', 'derived', 'limit', 'record', 'approval', 'expires']);
/** Holds a mask for every column of a table as wide as PostgreSQL has them. */
const ANNOTATION_LENGTH_MAX = 1 << 17;
/** Capitals need quotes: unquoted SQL names are lower case, and `SSN` for `ssn` would mask nothing. */
const FIELD_NAME = String.raw`(?:[a-z_\u0080-\uffff][a-z0-9_$\u0080-\uffff]*|"(?:[^"]|"")+"|\*)`;
const FIELD = String.raw`${FIELD_NAME}(?:\.${FIELD_NAME})*`;
const ONE_FIELD = new RegExp(`^(?:${FIELD})$`);
/** A field, a kind, and a comma only where another entry follows. */
const MASK = String.raw`\s*(${FIELD})\s*:\s*([\w-]+)\s*(?:,(?=\s*\S)|$)`;
/** Deeper than what people name by hand. */
const NAMES_MAX = 32;
const RULE = /^[A-Za-z0-9][\w.-]{0,99}$/;
const EXPIRES = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/;
