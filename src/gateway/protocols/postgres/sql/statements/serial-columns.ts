import { type Fields, fieldsOf, hasField, isFields, listOf, nodeOf, stringsOf, textOf } from '../text/tree.ts';

/**
 * A definition without the types of its columns of `serial` and its kin, as PostgreSQL reads them before it looks for types: a number, with a sequence
 * behind it. In a column that a table is made with, or that is added to one, and nowhere else: there a type of that name may be the database's own.
 */
export function withoutSerial(kind: string, fields: Fields): Fields {
  if (kind === 'CreateStmt' && hasField(fields, 'tableElts'))
    return { ...fields, tableElts: listOf(fields, 'tableElts').map(withoutType) };
  if (kind !== 'AlterTableStmt' || textOf(fields, 'objtype') !== 'OBJECT_TABLE') return fields;
  const cmds = listOf(fields, 'cmds').map((cmd) => {
    const node = nodeOf(cmd);
    if (node === undefined || textOf(node.fields, 'subtype') !== 'AT_AddColumn') return cmd;
    return { [node.kind]: { ...node.fields, def: withoutType(node.fields['def']) } };
  });
  return { ...fields, cmds };
}

function withoutType(element: unknown): unknown {
  const node = nodeOf(element);
  if (node?.kind !== 'ColumnDef') return element;
  const { typeName, ...rest } = node.fields;
  const names = isFields(typeName) ? listOf(typeName, 'names') : [];
  const [name = '', ...more] = stringsOf(names) ?? [];
  const isSerial = more.length === 0 && SERIAL.test(name) && !hasField(fieldsOf(node.fields, 'typeName'), 'pct_type');
  return isSerial ? { ColumnDef: rest } : element;
}

const SERIAL = /^(small|big)?serial$|^serial[248]$/;
