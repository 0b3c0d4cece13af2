import type { TrustDomain } from '@countersign/sdk/identity';
import type { EntityRef } from '../../model/index.ts';
import {
  type CompiledPolicies,
  checkParsed,
  type FormOf,
  formatProblem,
  type PolicySchema,
  type PolicySource,
} from '../../policy/index.ts';
import { shortened } from '../../std/index.ts';
import { BUILT_IN } from './built-in-policy.ts';

/** What becomes of policies of access that somebody wants to have in force. */
export interface CheckedAccess {
  /** Each thing that is wrong, by the name of the policy's text; then it is not taken. */
  readonly problems: readonly { readonly path: string; readonly message: string }[];
  /** What is no error and may not be meant. */
  readonly warnings: readonly string[];
  readonly compiled: CompiledPolicies | undefined;
  /** Nobody but whoever has the operator's socket could change them again. */
  readonly locksOut: boolean;
}

/** Looks at a whole set. `takesLinks`: whether whoever came by a one-time link is anybody. */
export function checkAccess(
  sources: readonly PolicySource[],
  options: {
    readonly schema: PolicySchema;
    readonly trustDomain: TrustDomain;
    readonly takesLinks: boolean;
    readonly formOf?: FormOf;
  },
): CheckedAccess {
  const { schema, formOf = () => undefined } = options;
  const formal = formProblems(sources);
  if (formal.length > 0) return { problems: formal, warnings: [], compiled: undefined, locksOut: false };
  const { problems: found, compiled } = checkParsed(sources, schema, formOf);
  const problems = found
    .filter(({ severity }) => severity === 'error')
    .map((problem) => ({ path: `Access/${problem.position.source}`, message: shortened(formatProblem(problem)) }));
  const own = compiled === undefined ? [] : idProblems(compiled);
  if (compiled === undefined || own.length > 0)
    return { problems: [...problems, ...own], warnings: [], compiled: undefined, locksOut: false };
  const warnings = [
    ...found.filter(({ severity }) => severity === 'warning').map((problem) => shortened(formatProblem(problem))),
    ...withoutEffect(compiled),
  ];
  return { problems: [], warnings, compiled, locksOut: !canAnybodyChange(compiled, options) };
}

/** What can be seen without Cedar. */
function formProblems(sources: readonly PolicySource[]): CheckedAccess['problems'] {
  const bytes = sources.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
  if (bytes > ACCESS_BYTES_MAX)
    return [{ path: 'policies', message: `they have ${bytes} bytes together, allowed are ${ACCESS_BYTES_MAX}` }];
  return sources.flatMap(({ name, text }) => {
    const place = text.search(INVISIBLE);
    if (place < 0 && text.isWellFormed()) return [];
    const line = text.slice(0, Math.max(place, 0)).split('\n').length;
    const message = `line ${line} holds a character that nobody sees: what a policy says must be what it looks like`;
    return [{ path: `Access/${name}`, message }];
  });
}

/** Ids stand in refusals and in the ledger. */
function idProblems(compiled: CompiledPolicies): CheckedAccess['problems'] {
  return compiled.policies.flatMap(({ id, position }) => {
    const path = `Access/${position.source}`;
    if (id.startsWith(BUILT_IN))
      return [{ path, message: `line ${position.line}: ids that begin with ${BUILT_IN} are the server's own` }];
    if (id.length > ID_CHARS_MAX || id === '')
      return [{ path, message: `line ${position.line}: an id has 1 to ${ID_CHARS_MAX} characters` }];
    return [];
  });
}

/** What the built-in policy permits no other one refuses, and what agents and gateways do it alone decides. */
function withoutEffect(compiled: CompiledPolicies): string[] {
  return compiled.policies.flatMap(({ id, effect, position }) => {
    const principal = compiled.scopesOf(id)?.principal;
    const type = principal?.op === 'any' || principal === undefined ? undefined : principal.type;
    if (type !== 'Countersign::Operator' && type !== 'Countersign::Stranger') return [];
    return [
      `${position.source}:${position.line}: ${JSON.stringify(id)} has no effect: what a ${type.slice('Countersign::'.length).toLowerCase()} may is built in${effect === 'forbid' ? ', and nothing refuses it' : ''}`,
    ];
  });
}

/** Whether a person or an identity may be permitted to change access. Permits that end are left out: they would leave nobody. */
function canAnybodyChange(
  compiled: CompiledPolicies,
  { trustDomain, takesLinks }: { readonly trustDomain: TrustDomain; readonly takesLinks: boolean },
): boolean {
  const resource: EntityRef = { type: 'Countersign::System', id: trustDomain, attributes: {}, parents: [] };
  const question = { action: APPLY, resource, timeMs: undefined } as const;
  const of = (principal: Parameters<CompiledPolicies['access']>[0]['principal']) =>
    compiled.access({ ...question, principal });
  if (of({ op: 'is', type: 'Identity' }).verdict !== 'never') return true;
  const persons = of({ op: 'is', type: 'Countersign::Person' });
  if (persons.verdict === 'never') return false;
  if (takesLinks) return true;
  // Who came by a link is nobody there.
  const byProvider = of(BY_PROVIDER);
  return byProvider.verdict !== 'never' || persons.permits.some(({ within }) => within.length > 0);
}

export const APPLY = 'countersign:access.apply';
const BY_PROVIDER: EntityRef = {
  ...{ type: 'Countersign::Person', id: '', attributes: { byLink: false }, parents: [] },
  open: ['issuer', 'subject', 'email', 'groups'],
};
/** A few hundred policies: they are parsed between two calls, and looked at in each. */
const ACCESS_BYTES_MAX = 128 * 1024;
const ID_CHARS_MAX = 128;
/** Controls but tab and line ends, what has no width, and marks of direction. */
const INVISIBLE = /[^\P{Cc}\t\n\r]|[\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}]/u;
