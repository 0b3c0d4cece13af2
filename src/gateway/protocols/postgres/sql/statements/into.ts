import { type Fields, fieldsOf, hasField } from '../text/tree.ts';

/** Of a set operation, INTO stands in the first SELECT. */
export function intoOf(select: Fields): Fields | undefined {
  if (hasField(select, 'intoClause')) return fieldsOf(select, 'intoClause');
  return hasField(select, 'larg') ? intoOf(fieldsOf(select, 'larg')) : undefined;
}

/** The query alone. */
export function withoutInto({ intoClause: _, ...select }: Fields): Fields {
  return hasField(select, 'larg') ? { ...select, larg: withoutInto(fieldsOf(select, 'larg')) } : select;
}
