import type { LedgerValue, Obligations } from '../model/index.ts';

type Recorded = { readonly [name: string]: LedgerValue };

/** What permits demand, as it stands in the ledger; nothing is said of what is not demanded. */
export function formatObligations({ masks, rowsMax, record }: Obligations): Recorded {
  return {
    ...(rowsMax === undefined ? {} : { limits: { items: rowsMax } }),
    ...(masks.size === 0 ? {} : { masks: Object.fromEntries(masks) }),
    ...(record === 'digest' ? {} : { record }),
  };
}

/** Reads what {@link formatObligations} makes. */
export function parseObligations({ limits, masks, record }: Recorded): Obligations {
  const items = isRecord(limits) ? limits['items'] : undefined;
  return {
    // A kind that a newer writer knows stays what it is.
    masks: new Map(isRecord(masks) ? Object.entries(masks) : []) as Obligations['masks'],
    rowsMax: typeof items === 'number' ? items : undefined,
    record: record === 'full' ? 'full' : 'digest',
  };
}

export function isRecord(value: LedgerValue | undefined): value is Recorded {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
