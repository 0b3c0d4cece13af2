/** Types that a session makes under the name of one of PostgreSQL's: a temporary one is found first by every statement of that session. */

import type { SessionEffect } from '../plan.ts';
import { type Fields, fieldsOf, listOf, stringsOf, textOf } from '../text/tree.ts';
import type { Analysis } from '../walk/analysis.ts';
import { ANY_TYPE, namesOfType } from '../walk/builtin-types.ts';

/** Of a definition: the names of PostgreSQL's types that something of the session's own may have from then on, until a snapshot tells. */
export function hidingEffects({ catalog }: Analysis, kind: string, fields: Fields): readonly SessionEffect[] {
  const { builtinTypes } = catalog.functions;
  return namesOfType(nameOf(kind, fields) ?? '')
    .filter((name) => builtinTypes.has(name))
    .map((name) => ({ kind: 'create-name', name: `type ${name}` }));
}

/** Of a block: any, unless it is one of definitions that are judged each by itself. */
export function hidingEffectsOfBlock({ taint }: Analysis): readonly SessionEffect[] {
  return taint.isInForce ? [] : [{ kind: 'create-name', name: ANY_TYPE }];
}

function nameOf(kind: string, fields: Fields): string | undefined {
  switch (kind) {
    case 'CreateDomainStmt':
      return lastOf(fields, 'domainname');
    case 'CreateEnumStmt':
    case 'CreateRangeStmt':
      return lastOf(fields, 'typeName');
    case 'CompositeTypeStmt':
      return textOf(fieldsOf(fields, 'typevar'), 'relname');
    case 'DefineStmt':
      return textOf(fields, 'kind') === 'OBJECT_TYPE' ? lastOf(fields, 'defnames') : undefined;
    // Of whatever: a relation's row has the name of the relation.
    case 'RenameStmt':
      return textOf(fields, 'newname');
    default:
      return undefined;
  }
}

function lastOf(fields: Fields, list: string): string | undefined {
  return stringsOf(listOf(fields, list))?.at(-1);
}
