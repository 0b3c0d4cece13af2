import { IdentityError, parseSpiffeId } from '@countersign/sdk/identity';
import { policySchema } from '../../../app/policy-schema.ts';
import type { EntityRef } from '../../../model/index.ts';
import { didYouMean, type SessionAccess, type WhatCan } from '../../../policy/index.ts';
import { argument, type CliCommand, exitCodes, UsageError } from '../../command.ts';
import { accessValue, resourcesOf } from '../../policy/access-text.ts';
import { askedAt, atOption } from '../../policy/asked-at.ts';
import { type AskedPolicies, protocolOfTarget } from '../../policy/declared-policies.ts';
import { askedOptions, askedPolicies, principalAsked } from '../../policy/policies-asked.ts';
import { effectOf, lacksSession, linesInSession, sessionValue, whyNoSession } from '../../policy/session-text.ts';
import { formatWords } from '../../terminal/table.ts';

export const command: CliCommand = {
  summary: 'Say what a service may do and where it can connect, by which policies, and under what.',
  arguments: '<identity>',
  options: [atOption, ...askedOptions],
  examples: [
    'countersign policy what-can spiffe://example.org/shop/web',
    'countersign policy what-can spiffe://example.org/shop/web -f ./countersign.d',
  ],
  async run(context, input) {
    const identity = identityArgument(argument(input, 0, 'the identity, a SPIFFE ID,'));
    const asked = await askedPolicies(context, input);
    const timeMs = askedAt(context, input);
    const principal = principalAsked(asked, identity);
    const all = asked.compiled.whatCan(principal, timeMs);
    const answer = {
      asked,
      targets: sessionsOf(asked, principal, timeMs),
      rows: all.filter((one) => effectOf(one) !== 'never'),
      apart: all.filter(lacksSession),
      refused: all.filter(({ access }) => access.verdict === 'never'),
    };
    const hasEntry = asked.identities?.has(identity.uri);
    const value = (some: WhatCan) =>
      some.map(({ action, resource, access }) => ({ action, resource: resourcesOf(resource), ...accessValue(access) }));
    context.emit(
      {
        identity: identity.uri,
        ...(hasEntry === undefined ? {} : { hasEntry }),
        targets: answer.targets.map(({ target, session }) => ({ target, session: sessionValue(session) })),
        can: value(answer.rows),
        withoutEffect: value(answer.apart),
        refused: value(answer.refused),
      },
      () => formatAnswer(identity.uri, answer),
    );
    return answer.rows.length > 0 ? exitCodes.ok : exitCodes.no;
  },
};

interface TargetSession {
  readonly target: string;
  readonly session: SessionAccess;
}

interface Answer {
  readonly asked: AskedPolicies;
  readonly targets: readonly TargetSession[];
  readonly rows: WhatCan;
  /** Permits without effect, for want of a session. */
  readonly apart: WhatCan;
  readonly refused: WhatCan;
}

/** Whether it can connect, target by target, as far as these are known. */
function sessionsOf(
  { compiled, specs }: AskedPolicies,
  principal: EntityRef,
  timeMs: number,
): readonly TargetSession[] {
  return Array.from(specs.keys()).flatMap((target) => {
    const protocol = protocolOfTarget(specs, target) ?? '';
    const [opening] = Array.from(policySchema.actions).flatMap(([id, { session }]) =>
      id.startsWith(`${protocol}:`) && session !== undefined ? [session] : [],
    );
    if (opening === undefined) return [];
    const resource = { op: 'in', type: 'Target', id: target } as const;
    const access = compiled.access({ principal, action: opening, resource, timeMs });
    return [{ target, session: { action: opening, resource, access } }];
  });
}

/** @throws UsageError */
function identityArgument(text: string) {
  try {
    return parseSpiffeId(text);
  } catch (cause) {
    if (!(cause instanceof IdentityError)) throw cause;
    throw new UsageError(`${text} is no identity: ${cause.message}`, { cause });
  }
}

function formatAnswer(identity: string, { asked, targets, rows, apart, refused }: Answer): string {
  const { where, identities } = asked;
  const near =
    identities === undefined || identities.has(identity) ? undefined : didYouMean(identity, identities.keys());
  const unknown =
    identities === undefined || identities.has(identity)
      ? []
      : [`No entry gives it${near === undefined ? '.' : ` (${near})`}`];
  const nothing = rows.length === 0 ? ['It can do nothing.'] : [];
  return [
    `${identity}, by the policies ${where}:`,
    ...unknown,
    ...formatTargets(targets),
    ...nothing,
    ...byResource(rows, ''),
    ...(apart.length > 0 ? [formatWords(WITHOUT_EFFECT, '')] : []),
    ...byResource(apart, '  '),
    ...byResource(refused, 'not '),
  ].join('\n');
}

/** Actions on one resource of which the same is said stand together. */
function byResource(rows: WhatCan, sign: string): readonly string[] {
  const groups = new Map<
    string,
    { readonly actions: string[]; readonly resource: string; readonly lines: readonly string[] }
  >();
  for (const row of rows) {
    const [resource, lines] = [resourcesOf(row.resource), linesInSession(row)];
    const key = [resource, ...lines].join('\n');
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { actions: [row.action], resource, lines });
    else group.actions.push(row.action);
  }
  return Array.from(groups.values()).flatMap(({ actions, resource, lines }) => [
    formatWords(`${sign}${actions.join(', ')} on ${resource}`, ''),
    ...lines,
  ]);
}

/** Those that it can connect to and some of the others, which may be a great many. */
function formatTargets(targets: readonly TargetSession[]): readonly string[] {
  const can = targets.filter(({ session }) => session.access.verdict !== 'never');
  const others = targets.filter(({ session }) => session.access.verdict === 'never');
  const by = ({ access }: SessionAccess) => access.permits.map(({ policy }) => policy).join(', ');
  const more = others.length - OTHERS_MAX;
  return [
    ...can.map(({ target, session }) => formatWords(`target ${target}: it can connect, by ${by(session)}`, '')),
    ...others
      .slice(0, OTHERS_MAX)
      .map(({ target, session }) => formatWords(`target ${target}: it can not connect: ${whyNoSession(session)}`, '')),
    ...(more > 0 ? [`… nor to ${more} more targets`] : []),
  ];
}

const WITHOUT_EFFECT = 'Permitted without effect, since it can not connect there:';
const OTHERS_MAX = 5;
