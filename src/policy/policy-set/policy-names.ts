import { type ExprJson, fields, type ScopeJson, type UidJson, uidOf } from '../expressions/cedar-json.ts';
import type { PolicyName, TagRead } from '../types.ts';
import type { CompiledPolicy } from './compile-policy.ts';

/**
 * Everything outside of itself that a policy names: entities of its scope and conditions (its actions are the schema's, and were
 * checked by it), and literals that an attribute of principal or resource is compared with, as the entity that they stand for. Each once,
 * in the order of the parts.
 */
export function namesOf({ summary, json, obligations }: CompiledPolicy): readonly PolicyName[] {
  const found = new Map<string, PolicyName>();
  const hides = json.effect === 'forbid' || obligations.masks.length > 0;
  const add = ({ type, id }: UidJson, written: PolicyName['written']) => {
    const key = `${type} ${id}`;
    if (type !== 'Action' && !found.has(key)) found.set(key, { policy: summary.id, hides, type, id, written });
  };
  for (const scope of [json.principal, json.resource]) {
    const entity = entityOf(scope);
    if (entity !== undefined) add(entity, 'entity');
  }
  for (const { body } of json.conditions) visit(body, add);
  return Array.from(found.values());
}

/** Tags of the resource that a policy's conditions read by name. Each once, in their order. */
export function tagReadsOf({ summary, json, resource }: CompiledPolicy): readonly TagRead[] {
  const found = new Set<string>();
  for (const { body } of json.conditions) visitTags(body, found);
  return Array.from(found, (tag) => ({ policy: summary.id, scope: resource, tag }));
}

function visitTags(node: unknown, found: Set<string>): void {
  if (typeof node !== 'object' || node === null) return;
  for (const [operator, operand] of Object.entries(node)) {
    if (TAG_READS.has(operator) && !Array.isArray(node)) {
      const { left, right } = fields(operand);
      const { Value: tag } = fields(right);
      if (fields(left)['Var'] === 'resource' && typeof tag === 'string') found.add(tag);
    }
    visitTags(operator === 'Record' ? Object.values(fields(operand)) : operand, found);
  }
}

function entityOf(scope: ScopeJson): UidJson | undefined {
  if (scope.op === 'All') return undefined;
  return scope.op === 'is' ? scope.in?.entity : scope.entity;
}

/** Every node, whatever its operator: entities stand as `Value` anywhere. Nesting was bounded when the text was split. */
function visit(node: unknown, add: (entity: UidJson, written: PolicyName['written']) => void): void {
  if (typeof node !== 'object' || node === null) return;
  if (Array.isArray(node)) {
    for (const one of node) visit(one, add);
  } else if ('__entity' in node) {
    add(uidOf(node.__entity), 'entity');
  } else {
    for (const [operator, operand] of Object.entries(node)) {
      if (COMPARING.has(operator)) for (const entity of comparedWith(fields(operand))) add(entity, 'attribute');
      // The keys of a record are its author's words, whatever operator they look like.
      visit(operator === 'Record' ? Object.values(fields(operand)) : operand, add);
    }
  }
}

/** `principal.trustDomain == "example.org"`, the other way round, or `["example.org"].contains(principal.trustDomain)`. */
function* comparedWith({ left, right }: ExprJson): Generator<UidJson> {
  const type = standsFor(left) ?? standsFor(right);
  if (type === undefined) return;
  for (const side of [left, right]) {
    const { Value: value, Set: set } = fields(side);
    for (const id of [value, ...(Array.isArray(set) ? set.map((one) => fields(one)['Value']) : [])])
      if (typeof id === 'string') yield { type, id };
  }
}

/** The type of entity whose id an attribute repeats. */
function standsFor(node: unknown): string | undefined {
  const access = fields(node)['.'];
  if (access === undefined) return undefined;
  const { left, attr } = fields(access);
  return ID_ATTRIBUTES.get(`${String(fields(left)['Var'])}.${String(attr)}`);
}

const TAG_READS = new Set(['hasTag', 'getTag']);
const COMPARING = new Set(['==', '!=', 'contains']);
const ID_ATTRIBUTES: ReadonlyMap<string, string> = new Map([
  ['principal.uri', 'Identity'],
  ['principal.trustDomain', 'TrustDomain'],
  ['resource.target', 'Target'],
]);
