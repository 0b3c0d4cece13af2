/**
 * Row security while columns are masked. PostgreSQL runs a policy for each row of its table, also in a statement that was judged before the policy was
 * there and has waited for a lock: so it may do nothing but compute, on a table that leads to nothing masked.
 */

import { isMasked, reached } from '../masks/withholding.ts';
import { notUnderstood, RefusedText } from '../refusal.ts';
import { type Fields, fieldOf, fieldsOf, listOf, nodeOf, stringsOf, textOf } from '../text/tree.ts';
import type { Analysis } from '../walk/analysis.ts';
import { computesOnly } from '../walk/computing.ts';
import { findRelation } from '../walk/relations.ts';
import { createScope, outermost } from '../walk/scope.ts';
import { hasExposedCode } from './taken-names.ts';

/** True of a policy that computes from a row and the session alone, by PostgreSQL's own functions, operators and types. */
export function isPlainPolicy(analysis: Analysis, kind: string, fields: Fields): boolean {
  if (kind !== 'CreatePolicyStmt' && kind !== 'AlterPolicyStmt') return false;
  const expressions = [fieldOf(fields, 'qual'), fieldOf(fields, 'with_check')];
  // It would judge what such code writes to its table.
  if (hasExposedCode(analysis) || !computesOnly(analysis, expressions)) return false;
  const scope = createScope(outermost);
  const alias = textOf(fieldsOf(fields, 'table'), 'relname');
  const output = { columns: [], isExact: false };
  scope.items.push({ alias, schema: undefined, output, use: undefined, relation: undefined });
  analysis.expression(expressions, scope);
  return true;
}

/** Refuses whatever changes the row security of a table that is masked or leads to one. */
export function refuseRowSecurity(analysis: Analysis, kind: string, fields: Fields): void {
  const { taint, catalog } = analysis;
  const range = securedTable(kind, fields);
  if (!taint.isInForce || range === undefined) return;
  const known = findRelation(analysis, range);
  if (known?.kind !== 'table') return;
  for (const relation of reached(catalog, new Set([known.relation]), true))
    if (isMasked(taint, relation) || taint.missingColumn(relation) !== undefined)
      throw new RefusedText(
        'masked-ddl',
        `"${known.relation.schema}.${known.relation.name}" has or leads to columns masked for you, so its row security stays as it is`,
      );
}

/** The table of a policy, trigger or rule that DROP names, as if it were a RangeVar. */
export function tableOfDropped(fields: Fields): readonly Fields[] {
  if (!partsOfTables.has(textOf(fields, 'removeType') ?? '')) return [];
  const object = nodeOf(listOf(fields, 'objects')[0]);
  const [relname, schemaname] = (stringsOf(listOf(object?.fields ?? {}, 'items')) ?? []).slice(0, -1).reverse();
  if (relname === undefined) throw notUnderstood('DROP');
  return [schemaname === undefined ? { relname } : { relname, schemaname }];
}

const partsOfTables: ReadonlySet<string> = new Set(['OBJECT_POLICY', 'OBJECT_TRIGGER', 'OBJECT_RULE']);

function securedTable(kind: string, fields: Fields): Fields | undefined {
  switch (kind) {
    case 'CreatePolicyStmt':
    case 'AlterPolicyStmt':
      return fieldsOf(fields, 'table');
    case 'RenameStmt':
      return textOf(fields, 'renameType') === 'OBJECT_POLICY' ? fieldsOf(fields, 'relation') : undefined;
    case 'DropStmt':
      return textOf(fields, 'removeType') === 'OBJECT_POLICY' ? tableOfDropped(fields)[0] : undefined;
    case 'AlterTableStmt':
      return listOf(fields, 'cmds').some(changesSecurity) ? fieldsOf(fields, 'relation') : undefined;
    default:
      return undefined;
  }
}

function changesSecurity(command: unknown): boolean {
  return textOf(nodeOf(command)?.fields ?? {}, 'subtype')?.endsWith('RowSecurity') === true;
}
