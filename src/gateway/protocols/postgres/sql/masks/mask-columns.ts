import type { MaskKind } from '../../../../../policy/index.ts';
import { firstUserOid } from '../catalog/queries.ts';
import type { MaskPlan } from '../plan.ts';

/** One column of a RowDescription: where its value comes from; OID 0 when it is no plain table column. */
export interface AnswerColumn {
  readonly tableOid: number;
  readonly attributeNumber: number;
}

/**
 * What to do with each column of a RowDescription: a mask, or undefined for "as it is". The answer `'unproven'` means that the server
 * described something that the plan didn't foresee: no row of it may reach the client.
 */
export function maskColumns(
  masks: MaskPlan,
  columns: readonly AnswerColumn[],
): readonly (MaskKind | undefined)[] | 'unproven' {
  let masked = 0;
  const kinds: (MaskKind | undefined)[] = [];
  for (const { tableOid, attributeNumber } of columns) {
    const kind = masks.byAttribute.get(`${tableOid}:${attributeNumber}`);
    if (kind !== undefined) masked += 1;
    else if (!isClean(masks, { tableOid, attributeNumber })) return 'unproven';
    kinds.push(kind);
  }
  return masked === masks.columnsMasked ? kinds : 'unproven';
}

function isClean(
  { relations, cleanRest, byAttribute }: MaskPlan,
  { tableOid, attributeNumber }: AnswerColumn,
): boolean {
  // 0: no table column. The server's own tables hold no rows of users.
  if (tableOid < firstUserOid) return true;
  // Attribute 0 is the whole row, with its masked columns in it.
  if (attributeNumber === 0 && Array.from(byAttribute.keys()).some((key) => key.startsWith(`${tableOid}:`)))
    return false;
  const newest = relations.get(tableOid);
  return newest === undefined ? cleanRest : attributeNumber <= newest;
}
