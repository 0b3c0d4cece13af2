import type { Catalog, Relation } from '../catalog/catalog.ts';
import { missingColumns } from '../masks/without-column.ts';
import { RefusedText } from '../refusal.ts';
import type { Place } from '../resources.ts';
import { noSessionFacts } from '../session/facts.ts';
import { lookupOf } from '../session/search-path.ts';
import { parseDefinition } from '../text/parse.ts';
import { fieldOf, isFields, listOf, nodeOf, stringOf } from '../text/tree.ts';
import type { Taint } from '../walk/analysis.ts';
import { createAnalysis } from '../walk/analyze.ts';
import { refuseOwnCode } from '../walk/code.ts';
import { type Masked, type Output, outermost } from '../walk/scope.ts';
import { type ColumnMasks, joinMasks, type Probes } from './probes.ts';

/**
 * Which columns of the database are masked for a principal: those that policy masks under any shape of question, the same columns of
 * partitions and inheriting tables, generated columns made of them, and what views show of them.
 */
export function createTaint({ place, catalog, probes }: { place: Place; catalog: Catalog; probes: Probes }): Taint {
  const direct = spreadToRelatives(catalog, probes.masked);
  const missing = missingColumns(catalog, probes.missing);
  const known = new Map<number, readonly (Masked | undefined)[] | 'opaque'>();
  const inProgress = new Set<number>();
  const taint: Taint = {
    isInForce: direct.size > 0 || !missing.isEmpty,
    masksNaming: probes.masksNaming,
    missingColumn: missing.reachedBy,
    masksOf(relation) {
      if (!taint.isInForce) return noMasks;
      const before = known.get(relation.oid);
      if (before !== undefined) return before;
      // A view that reaches itself can't exist; a snapshot torn by changes could show one.
      if (inProgress.has(relation.oid) || inProgress.size >= VIEW_DEPTH_MAX) return 'opaque';
      inProgress.add(relation.oid);
      const masks = masksOf(relation);
      inProgress.delete(relation.oid);
      known.set(relation.oid, masks);
      return masks;
    },
  };
  function masksOf(relation: Relation): readonly (Masked | undefined)[] | 'opaque' {
    const own = direct.get(relation.oid);
    if (relation.kind !== 'v' && relation.kind !== 'm') return withGenerated(relation, own ?? new Map());
    const output = analyzeView({ place, catalog, taint, relation });
    return output === 'opaque' ? 'opaque' : viewMasks(relation, output, own);
  }
  return taint;
}

const noMasks: readonly (Masked | undefined)[] = [];

/** A partition's rows are its parent's rows: a mask on one holds for all that share rows with it. */
function spreadToRelatives(
  catalog: Catalog,
  probed: ReadonlyMap<number, ColumnMasks>,
): { readonly size: number; get(oid: number): ColumnMasks | undefined } {
  const spread = new Map<number, ColumnMasks>();
  const get = (oid: number) => spread.get(oid) ?? probed.get(oid);
  const queue = Array.from(probed.keys());
  for (let oid = queue.pop(); oid !== undefined; oid = queue.pop()) {
    const masks = get(oid) ?? new Map();
    for (const relative of [...catalog.parents(oid), ...catalog.children(oid)]) {
      const theirs = new Map(get(relative.oid));
      let grew = false;
      for (const [column, mask] of masks) {
        if (!relative.columns.some(({ name }) => name === column)) continue;
        const before = theirs.get(column);
        const after = before === undefined ? mask : joinMasks(before, mask);
        grew ||= after.kind !== before?.kind || after.derived !== before?.derived;
        theirs.set(column, after);
      }
      if (!grew) continue;
      spread.set(relative.oid, theirs);
      queue.push(relative.oid);
    }
  }
  return { size: probed.size, get };
}

/** The masks by position; a generated column that reads a masked one is masked most strictly, whatever its type. */
function withGenerated(relation: Relation, masks: ColumnMasks): readonly (Masked | undefined)[] {
  if (masks.size === 0) return noMasks;
  const derived = Array.from(masks.values()).every((mask) => mask.derived === 'null') ? 'null' : undefined;
  return relation.columns.map(({ name, attributeNumber, generated }) => {
    const reads = generated !== undefined && readsAny(generated, masks);
    const mask = masks.get(name) ?? (reads ? { kind: 'null' as const, derived } : undefined);
    return mask && { attribute: `${relation.oid}:${attributeNumber}`, ...mask };
  });
}

/** True when an expression names one of the columns, or can't be read. */
function readsAny(expression: string, masks: ColumnMasks): boolean {
  const tree = parseDefinition(`select ${expression}`);
  if (tree === undefined) return true;
  const queue: unknown[] = [tree.fields];
  for (let value = queue.pop(); value !== undefined; value = queue.pop()) {
    if (Array.isArray(value)) queue.push(...value);
    if (!isFields(value)) continue;
    const node = nodeOf(value);
    if (node?.kind === 'ColumnRef' && masks.has(stringOf(listOf(node.fields, 'fields').at(-1)) ?? '')) return true;
    for (const name of Object.keys(value)) {
      const child = fieldOf(value, name);
      if (typeof child === 'object' && child !== null) queue.push(child);
    }
  }
  return false;
}

/** A view is a query with a name: the same rules decide what of it shows masked columns as they are. */
function analyzeView(facts: { place: Place; catalog: Catalog; taint: Taint; relation: Relation }): Output | 'opaque' {
  const { place, catalog, taint, relation } = facts;
  const query = relation.definition === undefined ? undefined : parseDefinition(relation.definition);
  if (query?.kind !== 'SelectStmt') return 'opaque';
  const analysis = createAnalysis({
    place,
    catalog,
    taint,
    searchPath: lookupOf(catalog, noSessionFacts).path,
    creationSchema: undefined,
    createdNames: noSessionFacts.createdNames,
    created: new Map(),
    moved: false,
    isOtherRole: false,
    mayDefine: () => false,
    customSettings: new Set(),
    bound: undefined,
    reads: undefined,
    trees: undefined,
  });
  try {
    const output = analysis.query(query.fields, outermost);
    refuseOwnCode(analysis);
    return output;
  } catch (error) {
    // What a client couldn't ask directly, the view does not make provable.
    if (error instanceof RefusedText) return 'opaque';
    throw error;
  }
}

function viewMasks(
  relation: Relation,
  output: Output,
  own: ColumnMasks | undefined,
): readonly (Masked | undefined)[] | 'opaque' {
  const { columns } = relation;
  const isKnown = output.isExact && output.columns.length === columns.length;
  if (!isKnown && output.columns.some(({ masked }) => masked !== undefined)) return 'opaque';
  return columns.map(({ name, attributeNumber }, index) => {
    const shown = isKnown ? output.columns[index]?.masked : undefined;
    const named = own?.get(name);
    const mask = shown !== undefined && named !== undefined ? joinMasks(shown, named) : (shown ?? named);
    return mask && { attribute: `${relation.oid}:${attributeNumber}`, kind: mask.kind, derived: mask.derived };
  });
}

/** Views on views; deeper ones count as unknown. */
const VIEW_DEPTH_MAX = 50;
