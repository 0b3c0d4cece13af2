import { policySchema } from '../../app/policy-schema.ts';
import type { DecisionRequest } from '../../model/index.ts';
import {
  type CompiledPolicies,
  checkParsed,
  entityLiteral,
  type FormOf,
  fieldText,
  maskCovers,
  type PolicySource,
  type PotentialMask,
} from '../../policy/index.ts';
import { formatWords } from '../terminal/table.ts';
import { permitWith, type Suggestion } from './suggest-permit.ts';

/** How an identity may be let work with columns that masks keep it from. */
export interface Unmasking {
  readonly columns: readonly string[];
  /** Permits that mask them for it and others: each as it has to be, so that it leaves this identity's question to a permit of its own. */
  readonly replaced: readonly { readonly id: string; readonly cedar: string }[];
  readonly added: readonly Suggestion[];
}

/** A statement that is refused for its masks, though each of its questions is allowed. */
interface Masked {
  readonly compiled: CompiledPolicies;
  readonly sources: readonly PolicySource[];
  readonly formOf: FormOf;
  readonly requests: readonly (DecisionRequest & { readonly timeMs: number })[];
  /** True when it would not be refused under masks without these columns. */
  isAllowedWithout(columns: ReadonlySet<string>): boolean;
  /** True when it is not refused under other policies. */
  isAllowedUnder(policies: CompiledPolicies): boolean;
}

/** Finds it, the fewest columns; undefined where nothing of the kind helps. What it tells has been tried. */
export function unmaskingOf(masked: Masked): Unmasking | undefined {
  const columns = columnsInTheWay(masked);
  if (columns === undefined) return undefined;
  const replaced = new Map<string, string>();
  const added: Suggestion[] = [];
  for (const request of masked.requests) {
    const bearing = bearersOf(masked.compiled, request, columns);
    if (bearing.length === 0) continue;
    for (const { id, text } of bearing) replaced.set(id, without(replaced.get(id) ?? text, request));
    added.push(ownPermit(masked.compiled, { request, columns, taken: added.map(({ id }) => id) }));
  }
  const found = {
    columns: Array.from(columns).sort(),
    replaced: Array.from(replaced, ([id, cedar]) => ({ id, cedar })),
    added,
  };
  const { compiled } = checkParsed(sourcesWith(masked, found), policySchema, masked.formOf);
  return compiled !== undefined && masked.isAllowedUnder(compiled) ? found : undefined;
}

/** Lines for people. */
export function unmaskingLines({ columns, replaced, added }: Unmasking, kind: 'sql' | 'request'): readonly string[] {
  const indented = (text: string) =>
    text
      .trimEnd()
      .split('\n')
      .map((line) => `        ${line}`);
  return [
    formatWords(
      `To allow it, ${kind === 'sql' ? `leave ${columns.join(', ')} out of all but the output. Or let this identity alone see and work with its values` : `let this identity alone see ${columns.join(', ')}`}: in place of ${replaced.map(({ id }) => id).join(', ')} put`,
      '',
    ),
    ...replaced.flatMap(({ cedar }) => indented(cedar)),
    'and add',
    ...added.flatMap(({ cedar }) => indented(cedar)),
  ];
}

/** The fields that a mask is on, as a policy on their resource alone would write them. */
export function fieldsOf({ on, hasWildcard }: PotentialMask): readonly string[] {
  return Array.from(on.values(), ({ own }) => fieldText({ path: own, hasWildcard }));
}

function columnsInTheWay({ requests, compiled, isAllowedWithout }: Masked): ReadonlySet<string> | undefined {
  const [first] = requests;
  if (first === undefined) return undefined;
  const all = new Set(compiled.maskBearing(first.principal, first.timeMs).flatMap(fieldsOf));
  if (all.size > COLUMNS_MAX || !isAllowedWithout(all)) return undefined;
  for (const column of all) {
    const fewer = new Set(Array.from(all).filter((one) => one !== column));
    if (isAllowedWithout(fewer)) all.delete(column);
  }
  return all;
}

/** The permits whose masks of those columns reach that request. */
function bearersOf(
  { policies, ...compiled }: CompiledPolicies,
  { principal, resource, action, timeMs }: Masked['requests'][number],
  columns: ReadonlySet<string>,
) {
  const bearing = new Set(
    compiled
      .maskBearing(principal, timeMs)
      .filter((mask) => fieldsOf(mask).some((field) => columns.has(field)) && maskCovers(mask, resource))
      .map(({ policy }) => policy),
  );
  return policies.filter(({ id }) => bearing.has(id) && compiled.scopesOf(id)?.actions.includes(action));
}

/** The permit, but for that identity's question. A condition may follow any others. */
function without(text: string, { principal, action, resource }: DecisionRequest): string {
  const end = text.lastIndexOf(';');
  return `${text.slice(0, end)}\nunless {\n  principal == ${entityLiteral(principal)} &&\n  action == ${entityLiteral({ type: 'Action', id: action })} &&\n  resource == ${entityLiteral(resource)}\n};`;
}

function ownPermit(
  compiled: CompiledPolicies,
  {
    request,
    columns,
    taken,
  }: {
    readonly request: Masked['requests'][number];
    readonly columns: ReadonlySet<string>;
    readonly taken: readonly string[];
  },
): Suggestion {
  const { action, resource, timeMs } = request;
  const demands = compiled.demandsOn({ actions: [action], resource, timeMs });
  const masks = demands.masks.filter((mask) => !columns.has(fieldText(mask)));
  const derived = masks.length === 0 ? undefined : demands.derived;
  return permitWith(compiled, request, { demands: { ...demands, masks, derived }, taken });
}

function sourcesWith({ compiled, sources }: Masked, { replaced, added }: Pick<Unmasking, 'replaced' | 'added'>) {
  const texts = new Map(replaced.map(({ id, cedar }) => [id, cedar]));
  const changed = sources.map(({ name, text }) => {
    const own = compiled.policies.filter(({ id, position }) => position.source === name && texts.has(id));
    return {
      name,
      text: own.reduce((all, policy) => all.replace(policy.text, () => texts.get(policy.id) ?? ''), text),
    };
  });
  return [...changed, { name: 'suggested', text: added.map(({ cedar }) => cedar).join('\n') }];
}

/** Each is tried by itself. */
const COLUMNS_MAX = 50;
