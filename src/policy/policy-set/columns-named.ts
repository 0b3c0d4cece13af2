import type { EntityRef } from '../../model/index.ts';
import { fields } from '../expressions/cedar-json.ts';
import { scopeReaches } from '../obligations/mask-covers.ts';
import { isFieldOf } from '../schema/fields.ts';
import type { CompiledPolicy } from './compile-policy.ts';

/** Columns of a resource that policies speak of: those that they mask, and those that conditions look for in `context.columns`. In order. */
export function columnsNamed(policies: readonly CompiledPolicy[], resource: EntityRef): readonly string[] {
  const found = new Set<string>();
  for (const { resource: scope, obligations, json } of policies) {
    if (!scopeReaches(scope, resource)) continue;
    for (const { on } of obligations.masks) {
      const reading = on.get(resource.type);
      // A column has one name; paths of more are no columns.
      const [name, ...more] = reading !== undefined && isFieldOf(reading, resource) ? reading.own : [];
      if (name !== undefined && more.length === 0) found.add(name);
    }
    for (const { body } of json.conditions) visit(body, found);
  }
  return Array.from(found).sort();
}

/** Nesting was bounded when the text was split. */
function visit(node: unknown, found: Set<string>): void {
  if (typeof node !== 'object' || node === null) return;
  for (const operand of Object.values(node)) {
    const [left, right] = [within(operand, 'left'), within(operand, 'right')];
    for (const [side, other] of [
      [left, right],
      [right, left],
    ])
      if (isColumns(side)) for (const name of literalsIn(other)) found.add(name);
    visit(operand, found);
  }
}

function isColumns(node: unknown): boolean {
  const access = within(node, '.');
  return within(access, 'attr') === 'columns' && within(within(access, 'left'), 'Var') === 'context';
}

function* literalsIn(node: unknown): Generator<string> {
  const set = within(node, 'Set');
  for (const one of [node, ...(Array.isArray(set) ? set : [])]) {
    const value = within(one, 'Value');
    if (typeof value === 'string') yield value;
  }
}

function within(node: unknown, name: string): unknown {
  return typeof node === 'object' && node !== null && !Array.isArray(node) ? fields(node)[name] : undefined;
}
