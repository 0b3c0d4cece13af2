import { notUnderstood } from '../refusal.ts';
import { type Fields, listOf, nodeOf, stringsOf, textOf } from '../text/tree.ts';

/** The relations that DROP names, as if they were RangeVars. */
export function droppedRelations(fields: Fields): Fields[] {
  const kinds = ['OBJECT_TABLE', 'OBJECT_VIEW', 'OBJECT_MATVIEW', 'OBJECT_FOREIGN_TABLE', 'OBJECT_SEQUENCE'];
  if (!kinds.includes(textOf(fields, 'removeType') ?? '')) return [];
  return listOf(fields, 'objects').map((object) => {
    const node = nodeOf(object);
    const names = node?.kind === 'List' ? stringsOf(listOf(node.fields, 'items')) : undefined;
    const relname = names?.at(-1);
    const schemaname = names?.at(-2);
    if (relname === undefined) throw notUnderstood('DROP');
    return schemaname === undefined ? { relname } : { relname, schemaname };
  });
}
