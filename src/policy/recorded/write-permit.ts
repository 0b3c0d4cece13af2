import type { EntityRef } from '../../model/index.ts';
import { writtenLimit } from '../obligations/limits.ts';
import { fieldText } from '../schema/fields.ts';
import type { Demands, ResourceScope } from '../types.ts';

/** A permit that nobody has written yet. */
export interface PermitToWrite {
  readonly id: string;
  readonly reason?: string | undefined;
  /** Epoch milliseconds, in whole seconds. */
  readonly expiresMs?: number | undefined;
  readonly demands: Omit<Demands, 'policies'>;
  readonly principal: EntityRef;
  readonly actions: readonly string[];
  readonly resource: ResourceScope;
  /** Conditions in Cedar's notation, all of which must hold. */
  readonly when?: readonly string[];
}

/** Its text, in the form of the guide, with a line break at its end. What names hold can't be taken for Cedar, nor for a terminal's control. */
export function writePermit({ principal, actions, resource, demands, when = [], ...about }: PermitToWrite): string {
  const { masks, derived, limits, record, approval } = demands;
  const listed = masks.map((mask) => `${fieldText(mask)}:${mask.kind}`).sort();
  const annotations: readonly (readonly [string, string | undefined])[] = [
    ['id', about.id],
    ['reason', about.reason],
    ['expires', about.expiresMs === undefined ? undefined : timeText(about.expiresMs)],
    ['mask', listed.length === 0 ? undefined : listed.join(', ')],
    ['derived', derived],
    ['limit', limits.length === 0 ? undefined : limits.map(writtenLimit).join(', ')],
    ['record', record === 'full' ? 'full' : undefined],
    ['approval', approval],
  ];
  const [action = '', ...others] = actions.map((one) => `Action::${quoted(one)}`);
  return [
    ...annotations.flatMap(([name, value]) => (value === undefined ? [] : [`@${name}(${quoted(value)})`])),
    'permit(',
    `  principal == ${entityLiteral(principal)},`,
    others.length === 0 ? `  action == ${action},` : `  action in [${[action, ...others].join(', ')}],`,
    `  ${scopeText(resource)}`,
    when.length === 0 ? ');' : ')',
    ...when.map((condition, at) => `when { ${condition} }${at === when.length - 1 ? ';' : ''}`),
    '',
  ].join('\n');
}

/** An entity as a policy writes it: `Identity::"spiffe://example.org/web"`. */
export function entityLiteral({ type, id }: { readonly type: string; readonly id: string }): string {
  return `${type}::${quoted(id)}`;
}

function scopeText(scope: ResourceScope): string {
  if (scope.op === 'any') return 'resource';
  if (scope.op === 'is') return `resource is ${scope.type}`;
  const uid = entityLiteral(scope);
  if (scope.op === 'equals') return `resource == ${uid}`;
  return scope.is === undefined ? `resource in ${uid}` : `resource is ${scope.is} in ${uid}`;
}

/** That a tag of the resource has one of these values, or is not there: in Cedar's notation. */
export function tagCondition(
  tag: string,
  { values, isAbsent }: { readonly values: readonly string[]; readonly isAbsent: boolean },
): string {
  const has = `resource.hasTag(${quoted(tag)})`;
  const [first, ...others] = values.map(quoted).sort();
  if (first === undefined) return `!${has}`;
  const value = `resource.getTag(${quoted(tag)})`;
  const isOne = others.length === 0 ? `${value} == ${first}` : `[${[first, ...others].join(', ')}].contains(${value})`;
  // The validator wants to see that it is there, again.
  return isAbsent ? `!${has} || (${has} && ${isOne})` : `${has} && ${isOne}`;
}

/** A string literal: what is not to be seen, or would turn the direction of what is, is written by its number. @see Cedar, `Str` of its grammar */
export function quoted(text: string): string {
  const escaped = text.toWellFormed().replace(SPECIAL, (found) => {
    if (found === '"' || found === '\\') return `\\${found}`;
    return `\\u{${(found.codePointAt(0) ?? 0).toString(16)}}`;
  });
  return `"${escaped}"`;
}

function timeText(epochMs: number): string {
  return new Date(epochMs).toISOString().replace(/\.\d{3}Z$/, 'Z');
}

const SPECIAL = /["\\\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;
