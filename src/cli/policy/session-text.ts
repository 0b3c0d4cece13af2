import { type Access, approvalText, partsOfId, type ResourceScope, type SessionAccess } from '../../policy/index.ts';
import { commandToPaste } from '../terminal/command-to-paste.ts';
import { formatWords } from '../terminal/table.ts';
import { accessLines, accessValue, resourcesOf, rulesOf } from './access-text.ts';

/** What policies say of an action, with what they say of the session that it needs. */
export interface AccessInSession {
  readonly access: Access;
  readonly session: SessionAccess | undefined;
}

/** What comes of it: who can't open a session can do nothing, whatever else is permitted. */
export function effectOf({ access, session }: AccessInSession): Access['verdict'] {
  const verdicts = [access.verdict, session?.access.verdict ?? 'always'];
  if (verdicts.includes('never')) return 'never';
  return verdicts.includes('sometimes') ? 'sometimes' : 'always';
}

/** True of permits that would allow it, if only there could be a session. */
export function lacksSession({ access, session }: AccessInSession): boolean {
  return access.verdict !== 'never' && session?.access.verdict === 'never';
}

/** By which policies, and under what, with what is said of the session where that is not simply allowed. */
export function linesInSession({ access, session }: AccessInSession): readonly string[] {
  if (session?.access.verdict !== 'sometimes') return accessLines(access);
  const head = formatWords(`and ${session.action}, without which it has no effect, is`, '    ');
  return [...accessLines(access), head, ...accessLines(session.access).map((line) => line.replace(/^/gm, '  '))];
}

/** Why there can be no session. */
export function whyNoSession({ action, resource, access }: SessionAccess): string {
  const { permits, forbids } = access;
  const what = `${action} on ${resourcesOf(resource)}`;
  const stop = forbids.map(({ policy }) => policy).join(', ');
  if (permits.length > 0)
    return stop === ''
      ? `${what} ${approvalText(rulesOf(access))}, and sessions are not held for one`
      : `${what} is refused by ${stop}`;
  return `no permit for ${what}${stop === '' ? '' : `, and ${stop} forbids it as well`}`;
}

/** What would allow the session, as far as a permit can; `whom`: it, one of them. */
export function remedyOfSession(
  { action, resource, access }: SessionAccess,
  { whom, identity }: { readonly whom: string; readonly identity: string | undefined },
): readonly string[] {
  if (access.forbids.length > 0) return [`To let ${whom} connect, change what forbids it.`];
  if (rulesOf(access).length > 0) return [`To let ${whom} connect, change what wants an approval of it.`];
  if (identity === undefined)
    return [formatWords(`To let ${whom} connect, permit ${action} on ${resourcesOf(resource)}.`, '')];
  const name = nameOf(resource);
  return [
    `To let ${whom} connect, for an hour:`,
    `    ${commandToPaste(['countersign', 'policy', 'grant', identity, action, name, '--for', '1h'], 4)}`,
  ];
}

export function sessionValue({ action, resource, access }: SessionAccess) {
  return { action, resource: resourcesOf(resource), ...accessValue(access) };
}

/** As an operator names it: `shop`, `shop/shop`, `shop/shop/public.orders`. */
export function nameOf(resource: ResourceScope): string {
  if (resource.op === 'any' || resource.op === 'is') return '';
  const parts = partsOfId(resource.id).map((part) => (/["./]/.test(part) ? `"${part.replaceAll('"', '""')}"` : part));
  const [target = '', database, ...rest] = parts;
  return [target, ...(database === undefined ? [] : [database]), ...(rest.length > 0 ? [rest.join('.')] : [])].join(
    '/',
  );
}
