import { type FieldMask, type LedgerValue, type Limits, noObligations, type Obligations } from '../../model/index.ts';

type Recorded = { readonly [name: string]: LedgerValue };

/** What permits demand, as it stands in the ledger; nothing is said of what is not demanded. */
export function formatObligations({ masks, limits, record }: Obligations): Recorded {
  return {
    ...(Object.keys(limits).length === 0 ? {} : { limits: { ...limits } }),
    ...(masks.length === 0 ? {} : { masks: masks.map(({ kind, path }) => ({ kind, path: [...path] })) }),
    ...(record === 'digest' ? {} : { record }),
  };
}

/** Reads what {@link formatObligations} makes. */
export function parseObligations({ limits, masks, record }: Recorded): Obligations {
  return {
    masks: Array.isArray(masks) ? masks.flatMap(parseMask) : noObligations.masks,
    limits: isRecord(limits) ? parseLimits(limits) : noObligations.limits,
    record: record === 'full' ? 'full' : 'digest',
  };
}

/** A kind that a newer writer knows stays what it is. */
function parseMask(value: LedgerValue): FieldMask[] {
  if (!isRecord(value) || !Array.isArray(value['path']) || typeof value['kind'] !== 'string') return [];
  return [{ kind: value['kind'] as FieldMask['kind'], path: value['path'].map(String) }];
}

/** As is a unit. */
function parseLimits(limits: Recorded): Limits {
  return Object.fromEntries(Object.entries(limits).filter(([, most]) => typeof most === 'number'));
}

export function isRecord(value: LedgerValue | undefined): value is Recorded {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
