import { type MaskKind, stricterMask } from '../../../../../policy/index.ts';
import type { MaskPlan } from '../plan.ts';
import type { Analysis } from '../walk/analysis.ts';
import type { Output } from '../walk/scope.ts';

/**
 * How the answer's columns are checked and masked; undefined when no relation with masked columns is touched, or no rows are answered.
 * All masked columns of the touched relations are listed, also those that the statement should not show: should one arrive, the count
 * doesn't fit and nothing is let through.
 */
export function maskPlan(
  { taint, uses, found }: Analysis,
  { output, demanded }: { output: Output | undefined; demanded: ReadonlyMap<`${number}:${number}`, MaskKind> },
): MaskPlan | undefined {
  if (output === undefined || !found.touchesMasked) return undefined;
  const byAttribute = new Map<`${number}:${number}`, MaskKind>();
  const add = (attribute: `${number}:${number}`, kind: MaskKind) => {
    const asked = demanded.get(attribute);
    byAttribute.set(attribute, asked === undefined ? kind : stricterMask(asked, kind));
  };
  const relations = new Map<number, number>();
  for (const { relation } of uses.list()) {
    if (relation === undefined) continue;
    relations.set(relation.oid, relation.columns.at(-1)?.attributeNumber ?? 0);
    const masks = taint.masksOf(relation);
    if (masks !== 'opaque') for (const masked of masks) if (masked !== undefined) add(masked.attribute, masked.kind);
  }
  const shown = output.columns.filter(({ masked }) => masked !== undefined);
  return { byAttribute, relations, cleanRest: found.touchesCreated, columnsMasked: shown.length };
}
