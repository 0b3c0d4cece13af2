import { IdentityError, parseSpiffeId } from '@countersign/sdk/identity';
import type { EntityRef } from '../../model/index.ts';
import { identityEntity, type WhoCan } from '../../policy/index.ts';
import { accessLines, accessValue, identitiesOf } from '../access-text.ts';
import { askedAt, atOption } from '../asked-at.ts';
import { argument, type CliCommand, exitCodes } from '../command.ts';
import { namedActions } from '../named-actions.ts';
import { type NamedResource, namedResource } from '../named-resource.ts';
import { type AskedPolicies, askedOptions, askedPolicies } from '../policies-asked.ts';
import { formatWords } from '../table.ts';

export const command: CliCommand = {
  summary: 'Say who may do an action to a resource, by which policies, and under what.',
  arguments: '<action> <resource>',
  options: [atOption, ...askedOptions],
  examples: [
    'countersign policy who-can select shop/public.customers',
    'countersign policy who-can postgres:select shop/public.customers.ssn',
    'countersign policy who-can postgres:write shop -f ./countersign.d',
  ],
  async run(context, input) {
    const actions = namedActions(argument(input, 0, 'the action, such as postgres:select,'));
    const name = argument(input, 1, 'the resource, such as shop/public.customers,');
    const asked = await askedPolicies(context, input);
    const { known, identities } = identitiesAsked(asked);
    const timeMs = askedAt(context, input);
    const answers = actions.map((action) => {
      const resource = namedResource(name, { action, targets: asked.targets });
      const { part, column } = resource;
      return { action, resource, found: asked.compiled.whoCan({ action, resource: part, column, identities, timeMs }) };
    });
    const isKnown = (id: string) => known?.has(id) === true;
    context.emit(
      answers.map((one) => answerValue(one, isKnown)),
      () => answers.map((one) => formatAnswer(one, asked, isKnown)).join('\n\n'),
    );
    const isAnybody = answers.some(({ found }) =>
      [...found.identities, ...found.others].some(({ access }) => access.verdict !== 'never'),
    );
    return isAnybody ? exitCodes.ok : exitCodes.no;
  },
};

interface Answer {
  readonly action: string;
  readonly resource: NamedResource;
  readonly found: WhoCan;
}

/** Those of entries, and those that policies name. */
function identitiesAsked({ identities: known, compiled }: AskedPolicies) {
  const named = compiled.names().entities.flatMap(({ type, id }) => (type === 'Identity' ? [id] : []));
  const all = Array.from(new Set([...(known ?? []), ...named])).sort();
  return { known, identities: all.flatMap(entityOf) };
}

/** Nobody is what is no SPIFFE ID, whatever a policy calls so. */
function entityOf(id: string): EntityRef[] {
  try {
    return [identityEntity(parseSpiffeId(id))];
  } catch (error) {
    if (error instanceof IdentityError) return [];
    throw error;
  }
}

function answerValue({ action, resource, found }: Answer, isKnown: (id: string) => boolean) {
  return {
    action,
    resource: resource.label,
    identities: found.identities
      .filter(({ access }) => access.verdict !== 'never' || access.forbids.length > 0)
      .map(({ identity, access }) => ({
        identity: identity.id,
        hasEntry: isKnown(identity.id),
        ...accessValue(access),
      })),
    others: found.others.map(({ scope, access }) => ({ identities: identitiesOf(scope), ...accessValue(access) })),
  };
}

function formatAnswer(
  { action, resource, found }: Answer,
  { where, identities }: AskedPolicies,
  isKnown: (id: string) => boolean,
): string {
  const can = found.identities.filter(({ access }) => access.verdict !== 'never');
  const refused = found.identities.filter(({ access }) => access.verdict === 'never' && access.permits.length > 0);
  const name = (id: string) => (identities === undefined || isKnown(id) ? id : `${id} (no entry gives it)`);
  const groups = [
    ...can.map(({ identity, access }) => ({ who: name(identity.id), lines: accessLines(access) })),
    ...found.others.map(({ scope, access }) => ({ who: identitiesOf(scope), lines: accessLines(access) })),
    ...refused.map(({ identity, access }) => ({ who: `not ${name(identity.id)}`, lines: accessLines(access) })),
  ];
  const nobody = can.length + found.others.length === 0 ? [nobodyCan(found, where, refused.length > 0)] : [];
  const many = identities === undefined ? ['Entries were too many to be asked about one by one.'] : [];
  return [
    formatWords(`${action} on ${resource.label}, by the policies ${where}:`, ''),
    ...nobody,
    ...grouped(groups),
    ...many,
  ].join('\n');
}

function nobodyCan({ identities }: WhoCan, where: string, isRefused: boolean): string {
  if (isRefused) return 'Nobody can: forbids refuse what permits allow.';
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
