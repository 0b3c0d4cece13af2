/** Definitions that change nothing of what names mean: how a table is stored, and what the session alone can name. */

import type { SessionEffect } from '../plan.ts';
import { type Fields, listOf, nodeOf, textOf } from '../text/tree.ts';
import type { Analysis } from '../walk/analysis.ts';
import { isOwnTable } from '../walk/own-tables.ts';
import { findRelation } from '../walk/relations.ts';
import { droppedRelations } from './dropped.ts';

/** What names mean from then on: nothing else after what only adds (CREATE, COMMENT, GRANT …). */
export function movingEffects(analysis: Analysis, kind: string, fields: Fields): readonly SessionEffect[] {
  const isMoving = /^(Alter|Drop|Rename)/.test(kind) && !isStorage(analysis, kind, fields);
  return isMoving && !dropsOwn(analysis, kind, fields) ? [{ kind: 'move' }] : [];
}

/**
 * ALTER TABLE that is about how rows are stored and indexes are chosen, and no more: names, columns, types and what rows lead to stay. Of indexes also which
 * one is whose partition. What an event trigger does besides nobody here knows.
 */
export function isStorage({ catalog }: Pick<Analysis, 'catalog'>, kind: string, fields: Fields): boolean {
  if (kind !== 'AlterTableStmt' || catalog.hasEventTriggers) return false;
  const isIndex = textOf(fields, 'objtype') === 'OBJECT_INDEX';
  return listOf(fields, 'cmds').every((cmd) => {
    const subtype = textOf(nodeOf(cmd)?.fields ?? {}, 'subtype') ?? '';
    return storageChanges.has(subtype) || (isIndex && subtype === 'AT_AttachPartition');
  });
}

/** The names that DROP makes free again: of what the session alone can name, with the schema in which it was found. */
export function droppingEffects(analysis: Analysis, fields: Fields): readonly SessionEffect[] {
  const relations = droppedRelations(fields).map((range) => {
    const name = textOf(range, 'relname') ?? '';
    const known = findRelation(analysis, range);
    return { schema: known?.kind === 'created' ? known.created.schema : textOf(range, 'schemaname'), name };
  });
  return relations.length === 0 ? [] : [{ kind: 'drop', relations }];
}

/** No snapshot ever showed them, and without CASCADE nothing goes with them: names mean what they meant before. */
function dropsOwn(analysis: Analysis, kind: string, fields: Fields): boolean {
  const ranges = kind === 'DropStmt' && textOf(fields, 'behavior') !== 'DROP_CASCADE' ? droppedRelations(fields) : [];
  return (
    ranges.length > 0 &&
    ranges.every((range) => {
      const known = findRelation(analysis, range);
      return known?.kind === 'created' && isOwnTable(analysis, known.created);
    })
  );
}

const storageChanges: ReadonlySet<string> = new Set([
  ...['AT_SetRelOptions', 'AT_ResetRelOptions', 'AT_SetStatistics', 'AT_SetOptions', 'AT_ResetOptions'],
  ...['AT_SetStorage', 'AT_SetCompression', 'AT_ClusterOn', 'AT_DropCluster', 'AT_SetLogged', 'AT_SetUnLogged'],
  ...['AT_SetTableSpace', 'AT_ReplicaIdentity'],
]);
