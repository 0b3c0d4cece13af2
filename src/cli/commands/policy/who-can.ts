import { IdentityError, parseSpiffeId } from '@countersign/sdk/identity';
import type { EntityRef } from '../../../model/index.ts';
import type { SessionAccess, WhoCan } from '../../../policy/index.ts';
import { argument, type CliCommand, exitCodes } from '../../command.ts';
import { accessLines, accessValue, identitiesOf } from '../../policy/access-text.ts';
import { askedAt, atOption } from '../../policy/asked-at.ts';
import type { AskedPolicies } from '../../policy/declared-policies.ts';
import { namedActions } from '../../policy/named-actions.ts';
import { type NamedResource, NotAboutError, namedResource, protocolOfNamed } from '../../policy/named-resource.ts';
import { askedOptions, askedPolicies, principalAsked } from '../../policy/policies-asked.ts';
import {
  type AccessInSession,
  effectOf,
  lacksSession,
  linesInSession,
  remedyOfSession,
  sessionValue,
  whyNoSession,
} from '../../policy/session-text.ts';
import { unnamedColumnNote, unnamedNote } from '../../policy/unnamed-note.ts';
import { formatWords } from '../../terminal/table.ts';

export const command: CliCommand = {
  summary: 'Say who can reach a table or another resource, by which policies, and under what.',
  arguments: '<action> <resource>',
  options: [atOption, ...askedOptions],
  examples: [
    'countersign policy who-can select shop/public.customers',
    'countersign policy who-can postgres:select shop/public.customers.ssn',
    'countersign policy who-can any shop/public.customers',
    'countersign policy who-can postgres:write shop -f ./countersign.d',
    'countersign policy who-can read api/customer',
  ],
  async run(context, input) {
    const word = argument(input, 0, 'the action, such as postgres:select,');
    const name = argument(input, 1, 'the resource, such as shop/public.customers,');
    const asked = await askedPolicies(context, input);
    const actions = namedActions(word, protocolOfNamed(name, asked));
    const timeMs = askedAt(context, input);
    const answers = answersTo(asked, { actions, name, timeMs });
    const isKnown = (id: string) => asked.identities?.has(id) === true;
    context.emit(
      answers.map((one) => answerValue(one, isKnown)),
      () => formatAnswers(answers, asked, isKnown),
    );
    const isAnybody = answers.some(({ found }) =>
      [...found.identities, ...found.others].some((one) => effectOf(one) !== 'never'),
    );
    return isAnybody ? exitCodes.ok : exitCodes.no;
  },
};

/** One for each action that can be about such a thing. @throws UsageError */
function answersTo(
  asked: AskedPolicies,
  question: { readonly actions: readonly string[]; readonly name: string; readonly timeMs: number },
): readonly Answer[] {
  const { actions, name, timeMs } = question;
  const { compiled, targets, specs } = asked;
  const identities = identitiesAsked(asked);
  let refusal: NotAboutError | undefined;
  const answers = actions.flatMap((action): Answer[] => {
    try {
      const resource = namedResource(name, { action, targets, specs, isOfGroup: actions.length > 1 });
      const { part, column } = resource;
      const found = compiled.whoCan({ action, resource: part, column, identities, timeMs });
      return [
        {
          action,
          resource,
          found,
          note: unnamedNote(asked, part) ?? unnamedColumnNote(compiled, part, column?.name),
        },
      ];
    } catch (error) {
      if (!(error instanceof NotAboutError)) throw error;
      refusal ??= error;
      return [];
    }
  });
  if (answers.length === 0 && refusal !== undefined) throw refusal;
  return answers;
}

interface Answer {
  readonly action: string;
  readonly resource: NamedResource;
  readonly found: WhoCan;
  /** What may be wrong with the question. */
  readonly note: string | undefined;
}

/** Those of entries, and those that policies name. */
function identitiesAsked(asked: AskedPolicies): readonly EntityRef[] {
  const { identities: known, compiled } = asked;
  const named = compiled.names().entities.flatMap(({ type, id }) => (type === 'Identity' ? [id] : []));
  const all = Array.from(new Set([...(known?.keys() ?? []), ...named])).sort();
  return all.flatMap((id) => entityOf(asked, id));
}

/** Nobody is what is no SPIFFE ID, whatever a policy calls so. */
function entityOf(asked: AskedPolicies, id: string): EntityRef[] {
  try {
    return [principalAsked(asked, parseSpiffeId(id))];
  } catch (error) {
    if (error instanceof IdentityError) return [];
    throw error;
  }
}

function answerValue({ action, resource, found, note }: Answer, isKnown: (id: string) => boolean) {
  const value = (one: AccessInSession) => ({
    ...accessValue(one.access),
    verdict: effectOf(one),
    ...(one.session === undefined ? {} : { session: sessionValue(one.session) }),
  });
  return {
    action,
    resource: resource.label,
    ...(note === undefined ? {} : { note }),
    identities: found.identities
      .filter(({ access }) => access.permits.length > 0 || access.forbids.length > 0)
      .map(({ identity, ...one }) => ({ identity: identity.id, hasEntry: isKnown(identity.id), ...value(one) })),
    others: found.others.map(({ scope, ...one }) => ({ identities: identitiesOf(scope), ...value(one) })),
  };
}

/** Actions of which the same is said of the same thing stand together. */
function formatAnswers(answers: readonly Answer[], asked: AskedPolicies, isKnown: (id: string) => boolean): string {
  const sections = new Map<string, { readonly actions: string[]; readonly label: string; readonly body: string }>();
  for (const answer of answers) {
    const { label } = answer.resource;
    const body = formatAnswer(answer, asked, isKnown).join('\n');
    const key = `${label}\n${body}`;
    const section = sections.get(key);
    if (section === undefined) sections.set(key, { actions: [answer.action], label, body });
    else section.actions.push(answer.action);
  }
  const notes = new Set(answers.flatMap(({ note }) => (note === undefined ? [] : [note])));
  return [
    Array.from(sections.values())
      .map(({ actions, label, body }) =>
        [formatWords(`${actions.join(', ')} on ${label}, by the policies ${asked.where}:`, ''), body].join('\n'),
      )
      .join('\n\n'),
    ...Array.from(notes, (note) => formatWords(`note: ${note}`, '')),
  ].join('\n');
}

interface Named extends AccessInSession {
  readonly who: string;
  /** Undefined for all of a scope. */
  readonly identity: string | undefined;
}

function formatAnswer(
  { found }: Answer,
  { where, identities }: AskedPolicies,
  isKnown: (id: string) => boolean,
): readonly string[] {
  const name = (id: string) => (identities === undefined || isKnown(id) ? id : `${id} (no entry gives it)`);
  const all: readonly Named[] = [
    ...found.identities.map((one) => ({ ...one, who: name(one.identity.id), identity: one.identity.id })),
    ...found.others.map((one) => ({ ...one, who: identitiesOf(one.scope), identity: undefined })),
  ];
  const can = all.filter((one) => effectOf(one) !== 'never');
  const apart = all.filter(lacksSession);
  const refused = all.filter(({ access }) => access.verdict === 'never' && access.permits.length > 0);
  return [
    ...(can.length === 0
      ? [nobodyCan(found, where, { isRefused: refused.length > 0, isApart: apart.length > 0 })]
      : []),
    ...grouped(can.map((one) => ({ who: one.who, lines: linesInSession(one) }))),
    ...grouped(refused.map(({ who, access }) => ({ who: `not ${who}`, lines: accessLines(access) }))),
    ...formatApart(apart),
    ...(identities === undefined ? ['Entries were too many to be asked about one by one.'] : []),
  ];
}

/** Those whose permits have no effect, by what keeps them from a session, and what would change it. */
function formatApart(apart: readonly Named[]): readonly string[] {
  const reasons = new Map<string, { readonly session: SessionAccess; readonly those: Named[] }>();
  for (const one of apart) {
    if (one.session === undefined) continue;
    const why = whyNoSession(one.session);
    const reason = reasons.get(why) ?? { session: one.session, those: [] };
    reason.those.push(one);
    reasons.set(why, reason);
  }
  return Array.from(reasons).flatMap(([why, { session, those }]) => [
    formatWords(`These hold a permit without effect, since they can not connect: ${why}.`, ''),
    ...grouped(those.map(({ who, access }) => ({ who: `  ${who}`, lines: accessLines(access) }))),
    ...remedyOfSession(session, {
      whom: those.length === 1 ? 'it' : 'one of them',
      identity: those.find(({ identity }) => identity !== undefined)?.identity,
    }),
  ]);
}

function nobodyCan(
  { identities }: WhoCan,
  where: string,
  { isRefused, isApart }: { readonly isRefused: boolean; readonly isApart: boolean },
): string {
  if (isRefused && identities.every(({ access }) => access.forbids.length === 0))
    return 'Nobody can: what permits allow needs an approval, and sessions are not held for one.';
  if (isRefused) return 'Nobody can: forbids refuse what permits allow.';
  if (isApart) return 'Nobody can: those who hold a permit can not connect.';
  const forbids = new Set(identities.flatMap(({ access }) => access.forbids.map(({ policy }) => policy)));
  const forbidden = forbids.size === 0 ? '' : `; ${Array.from(forbids).join(', ')} forbids it as well`;
  return formatWords(`Nobody can: no permit ${where} is about it${forbidden}.`, '');
}

/** Those of whom the same is said stand together. */
function grouped(all: readonly { readonly who: string; readonly lines: readonly string[] }[]): readonly string[] {
  const groups = new Map<string, { readonly who: string[]; readonly lines: readonly string[] }>();
  for (const { who, lines } of all) {
    const key = lines.join('\n');
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { who: [who], lines });
    else group.who.push(who);
  }
  return Array.from(groups.values()).flatMap(({ who, lines }) => [...who, ...lines]);
}
