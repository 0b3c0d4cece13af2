import type { AttributeValue } from '../../model/index.ts';
import type { CedarTypeJson } from '../schema/schema.ts';
import { entityLiteral, quoted } from './write-permit.ts';

/** A value of that type as a policy writes it. @throws TypeError where it is of another type */
export function literalOf(value: AttributeValue, type: CedarTypeJson): string {
  switch (type.type) {
    case 'String':
      if (typeof value !== 'string') throw misfit(type);
      return quoted(value);
    case 'Long':
      if (typeof value !== 'number') throw misfit(type);
      return String(value);
    case 'Boolean':
      if (typeof value !== 'boolean') throw misfit(type);
      return String(value);
    case 'Set':
      return `[${elementsOf(value, type).join(', ')}]`;
    case 'Record':
      return `{${recordParts(value, type).join(', ')}}`;
    case 'Entity':
      return entityLiteral({ type: type.name, id: entityId(value, type) });
    case 'Extension':
      return `${FUNCTIONS[type.name]}(${quoted(extensionText(value, type))})`;
    default:
      return type satisfies never;
  }
}

/** Each element of a set, in a stable order. @throws TypeError where it is none */
export function elementsOf(value: AttributeValue, type: Extract<CedarTypeJson, { type: 'Set' }>): readonly string[] {
  if (!isList(value)) throw misfit(type);
  return [...new Set(value.map((each) => literalOf(each, type.element)))].sort();
}

function recordParts(value: AttributeValue, type: Extract<CedarTypeJson, { type: 'Record' }>): string[] {
  if (!isRecord(value)) throw misfit(type);
  return Object.entries(type.attributes).flatMap(([name, of]) => {
    const part = Object.hasOwn(value, name) ? value[name] : undefined;
    return part === undefined ? [] : [`${quoted(name)}: ${literalOf(part, of)}`];
  });
}

function entityId(value: AttributeValue, type: CedarTypeJson): string {
  const uid = isRecord(value) && Object.hasOwn(value, '__entity') ? value['__entity'] : undefined;
  if (uid !== undefined && isRecord(uid) && typeof uid['id'] === 'string') return uid['id'];
  throw misfit(type);
}

function extensionText(value: AttributeValue, type: CedarTypeJson): string {
  if (typeof value === 'string') return value;
  const call = isRecord(value) && Object.hasOwn(value, '__extn') ? value['__extn'] : undefined;
  if (call !== undefined && isRecord(call) && typeof call['arg'] === 'string') return call['arg'];
  throw misfit(type);
}

function isRecord(value: AttributeValue): value is { readonly [name: string]: AttributeValue } {
  return typeof value === 'object' && !isList(value);
}

function isList(value: AttributeValue): value is readonly AttributeValue[] {
  return Array.isArray(value);
}

function misfit({ type }: CedarTypeJson): TypeError {
  return new TypeError(`a value is no ${type}`);
}

const FUNCTIONS = { decimal: 'decimal', ipaddr: 'ip', datetime: 'datetime', duration: 'duration' } as const;
