import type { MaskKind, PotentialMask } from '../../../../../policy/index.ts';

/** The mask of a permit on everything, on that column of every table. */
export function columnMask(column: string, kind: MaskKind): PotentialMask {
  const reading = { within: [], own: [column], key: JSON.stringify([column]), above: ['schema', 'name'] };
  return {
    ...{ policy: 'p', path: [column], hasWildcard: false, kind, scope: { op: 'any' } },
    on: new Map([['Postgres::Table', reading]]),
  };
}
