import { type FieldMask, type LedgerValue, type Limits, noObligations, type Obligations } from '../../model/index.ts';

type Recorded = { readonly [name: string]: LedgerValue };

/** What permits demand, as it stands in the ledger; nothing is said of what is not demanded. */
export function formatObligations({ approvals, masks, limits, record }: Obligations): Recorded {
  return {
    ...(approvals === undefined ? {} : { approvals: [...approvals] }),
    ...(Object.keys(limits).length === 0 ? {} : { limits: { ...limits } }),
    ...(masks.length === 0 ? {} : { derived: derivedIn(masks) }),
    ...(masks.length === 0 ? {} : { masks: masks.map(({ kind, path }) => ({ kind, path: [...path] })) }),
    ...(record === 'digest' ? {} : { record }),
  };
}

/** Reads what {@link formatObligations} makes. */
export function parseObligations({ approvals, derived, limits, masks, record }: Recorded): Obligations {
  const places = new Set(Array.isArray(derived) ? derived : []);
  return {
    masks: Array.isArray(masks) ? masks.flatMap((mask, at) => parseMask(mask, places.has(at))) : noObligations.masks,
    limits: isRecord(limits) ? parseLimits(limits) : noObligations.limits,
    record: record === 'full' ? 'full' : 'digest',
    ...(Array.isArray(approvals) ? { approvals: approvals.map(String) } : {}),
  };
}

/** Whether an answer says which of its masks are NULL inside of expressions; one with masks that does not is of before that was recorded. */
export function tellsDerived({ derived, masks }: Recorded): boolean {
  return masks === undefined || derived !== undefined;
}

/** Their places, none as well, so that it is told from what nobody has said. */
function derivedIn(masks: readonly FieldMask[]): readonly number[] {
  return masks.flatMap(({ derived }, at) => (derived === 'null' ? [at] : []));
}

/** A kind that a newer writer knows stays what it is. */
function parseMask(value: LedgerValue, isDerived: boolean): FieldMask[] {
  if (!isRecord(value) || !Array.isArray(value['path']) || typeof value['kind'] !== 'string') return [];
  const mask = { kind: value['kind'] as FieldMask['kind'], path: value['path'].map(String) };
  return [isDerived ? { ...mask, derived: 'null' } : mask];
}

/** As is a unit. */
function parseLimits(limits: Recorded): Limits {
  return Object.fromEntries(Object.entries(limits).filter(([, most]) => typeof most === 'number'));
}

export function isRecord(value: LedgerValue | undefined): value is Recorded {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
