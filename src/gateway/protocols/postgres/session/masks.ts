import { createByteMask, type MaskKind } from '../../../../policy/index.ts';
import type { CellMask, RowField } from '../../../../wire/postgres/index.ts';
import { GatewayError } from '../../../errors.ts';
import { type MaskPlan, maskColumns } from '../sql/index.ts';

/**
 * What replaces the cells of each column, undefined = unchanged.
 * @throws GatewayError ERR_GATEWAY_TARGET_PROTOCOL when the target's columns are not those that the plan accounted for
 */
export function cellMasks(
  plan: MaskPlan,
  fields: readonly RowField[],
  hashKey: Uint8Array,
): readonly (CellMask | undefined)[] {
  const kinds = maskColumns(plan, fields);
  if (kinds === 'unproven') {
    throw new GatewayError(
      'ERR_GATEWAY_TARGET_PROTOCOL',
      'the target describes rows with columns that are neither masked nor known to be clean',
    );
  }
  return kinds.map((kind, index) =>
    kind === undefined ? undefined : cellMask(kind, fields[index]?.typeOid ?? 0, hashKey),
  );
}

/** Texts are masked as texts (their binary form is the same); a value of any other type has no text that stays one of its values, so it becomes NULL. */
function cellMask(kind: MaskKind, typeOid: number, hashKey: Uint8Array): CellMask {
  return createByteMask(TEXT_TYPES.has(typeOid) ? kind : 'null', hashKey);
}

/** name, text, bpchar, varchar. Domains are described by the type below them. */
const TEXT_TYPES: ReadonlySet<number> = new Set([19, 25, 1042, 1043]);
