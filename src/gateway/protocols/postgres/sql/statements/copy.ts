import { withoutMasks } from '../masks/derived.ts';
import { maskedUse, notUnderstood, RefusedText } from '../refusal.ts';
import { databaseResource } from '../resources.ts';
import { childOf, type Fields, fieldOf, fieldsOf, flagOf, hasField, listOf, stringsOf, textOf } from '../text/tree.ts';
import { askPastSight } from '../verdict/administration.ts';
import type { RelationUse } from '../verdict/uses.ts';
import type { Analysis } from '../walk/analysis.ts';
import { belongsToServer, outputOf, type ResolvedRelation, resolveRelation, usedRelation } from '../walk/relations.ts';
import { createScope, type FromItem, type Output, outermost } from '../walk/scope.ts';
import { intoOf, withoutInto } from './into.ts';

/** Walks COPY; answers its direction by the connection, undefined when it reads or writes a file or a program of the server. */
export function walkCopy(analysis: Analysis, fields: Fields): 'in' | 'out' | undefined {
  const isElsewhere = hasField(fields, 'filename') || flagOf(fields, 'is_program');
  if (isElsewhere)
    askPastSight(
      analysis,
      new RefusedText(
        'server-file',
        'COPY of files or programs of the server takes postgres:admin: others read and write the connection (FROM STDIN, TO STDOUT)',
      ),
    );
  const direction = flagOf(fields, 'is_from') ? 'in' : 'out';
  const query = childOf(fields, 'query');
  if (query !== undefined) walkCopyQuery(analysis, query.kind, query.fields);
  else walkCopyTable(analysis, fields, direction);
  return isElsewhere ? undefined : direction;
}

function walkCopyQuery(analysis: Analysis, kind: string, fields: Fields): void {
  // COPY data names no columns, so nothing in it can be masked.
  withoutMasks(
    analysis,
    kind === 'SelectStmt' ? walkCopied(analysis, fields) : analysis.modify(kind, fields, outermost),
  );
}

/** SELECT INTO is not copied by any server, which says so. */
function walkCopied(analysis: Analysis, fields: Fields): Output {
  if (intoOf(fields) !== undefined)
    analysis.questions.push({
      ...{ action: 'postgres:ddl', resource: databaseResource(analysis.place) },
      otherwise: notUnderstood('INTO inside of a query'),
    });
  return analysis.query(withoutInto(fields), outermost);
}

function walkCopyTable(analysis: Analysis, fields: Fields, direction: 'in' | 'out'): void {
  const range = fieldsOf(fields, 'relation');
  const resolved = resolveRelation(analysis, range);
  const columns = stringsOf(listOf(fields, 'attlist'));
  if (columns === undefined) throw notUnderstood('COPY');
  const item = copyItem(analysis, resolved, range);
  if (direction === 'in') {
    if (resolved.kind === 'system') askPastSight(analysis, belongsToServer(resolved));
    analysis.found.writes = true;
    noteColumns(analysis.uses.add(usedRelation(resolved), 'insert', { hasWhere: false }), columns);
    const scope = createScope(outermost);
    scope.items.push(item);
    analysis.expression(fieldOf(fields, 'whereClause'), scope);
    return;
  }
  for (const { name, masked } of item.output.columns)
    if (masked !== undefined && (columns.length === 0 || columns.includes(name ?? ''))) throw maskedUse(name);
  if (resolved.kind === 'system') return;
  const isOnly = !flagOf(range, 'inh');
  noteColumns(analysis.uses.add(usedRelation(resolved), 'select', { hasWhere: false, isOnly }), columns);
}

function copyItem(analysis: Analysis, resolved: ResolvedRelation, range: Fields): FromItem {
  const output = outputOf(analysis, resolved);
  const alias = textOf(range, 'relname');
  if (resolved.kind === 'system')
    return { alias, schema: resolved.schema, output, use: undefined, relation: undefined };
  const used = usedRelation(resolved);
  const use = analysis.uses.add(used, 'select', { hasWhere: false, isCertain: false });
  const relation = resolved.kind === 'open' ? undefined : used.relation;
  return { alias, schema: used.schema, output, use, relation };
}

function noteColumns(use: RelationUse, columns: readonly string[]): void {
  if (columns.length === 0) use.noteAll();
  for (const column of columns) use.noteColumn(column);
}
