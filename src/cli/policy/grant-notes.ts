import { policySchema } from '../../app/policy-schema.ts';
import { approvalText, type CompiledPolicies, identityEntity } from '../../policy/index.ts';
import { isEachHeld, resourcesOf, rulesOf } from './access-text.ts';
import type { AskedPolicies } from './declared-policies.ts';
import type { Granted } from './grants.ts';
import { lacksSession, remedyOfSession, whyNoSession } from './session-text.ts';
import { unnamedNote } from './unnamed-note.ts';

/** What whoever grants should know, and lines with what to do about it. */
export interface GrantNotes {
  readonly notes: readonly string[];
  readonly remedy: readonly string[];
}

/** What keeps the grant from having effect, and what is allowed without it. */
export function grantNotes(
  { identity, actions, resource }: Granted,
  {
    before,
    after,
    targets,
    timeMs,
  }: {
    readonly before: CompiledPolicies;
    readonly after: CompiledPolicies;
    readonly targets: AskedPolicies['targets'];
    readonly timeMs: number;
  },
): GrantNotes {
  const principal = identityEntity(identity);
  const key = JSON.stringify(resource);
  const rows = after
    .whatCan(principal, timeMs)
    .filter((row) => actions.includes(row.action) && JSON.stringify(row.resource) === key);
  const notes = rows.flatMap(({ action, access }) => {
    const stop = access.forbids.map(({ policy }) => policy).join(', ');
    const rules = rulesOf(access);
    if (access.verdict === 'never' && stop === '')
      return [`it has no effect: ${action} ${approvalText(rules)}, and sessions are not held for one`];
    if (access.verdict === 'never') return [`it has no effect for ${action}: forbid ${stop} refuses it`];
    if (rules.length > 0) return [`${isEachHeld(access) ? '' : 'some of '}${action} ${approvalText(rules)}`];
    return stop === '' ? [] : [`of ${action}, forbid ${stop} may refuse some`];
  });
  const known = actions.filter((action) => before.access({ principal, action, resource, timeMs }).verdict === 'always');
  if (known.length > 0)
    notes.push(`${known.join(', ')} on ${resourcesOf(resource)} is allowed without it; masks and limits of both count`);
  const unnamed = unnamedNote({ compiled: before, targets }, resource);
  const fields = 'type' in resource ? policySchema.entityTypes.get(resource.type)?.fields : undefined;
  const isTable = fields !== undefined && fields.within.length > 0; // Its fields have names of their own beside it.
  const views = isTable ? '. Of a view, masks on the tables that it reads do not go along' : '';
  if (unnamed !== undefined) notes.push(`${unnamed}${views}`);
  const session = rows.find(lacksSession)?.session;
  if (session === undefined) return { notes, remedy: [] };
  notes.push(`it has no effect until ${identity.uri} can connect: ${whyNoSession(session)}`);
  return { notes, remedy: remedyOfSession(session, { whom: 'it', identity: identity.uri }) };
}
