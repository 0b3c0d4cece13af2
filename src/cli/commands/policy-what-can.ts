import { IdentityError, parseSpiffeId } from '@countersign/sdk/identity';
import { didYouMean, identityEntity, type WhatCan } from '../../policy/index.ts';
import { accessLines, accessValue, resourcesOf } from '../access-text.ts';
import { askedAt, atOption } from '../asked-at.ts';
import { argument, type CliCommand, exitCodes, UsageError } from '../command.ts';
import { type AskedPolicies, askedOptions, askedPolicies } from '../policies-asked.ts';
import { formatWords } from '../table.ts';

export const command: CliCommand = {
  summary: 'Say what an identity may do, by which policies, and under what.',
  arguments: '<identity>',
  options: [atOption, ...askedOptions],
  examples: [
    'countersign policy what-can spiffe://example.org/shop/web',
    'countersign policy what-can spiffe://example.org/shop/web -f ./countersign.d',
  ],
  async run(context, input) {
    const identity = identityArgument(argument(input, 0, 'the identity, a SPIFFE ID,'));
    const asked = await askedPolicies(context, input);
    const all = asked.compiled.whatCan(identityEntity(identity), askedAt(context, input));
    const rows = all.filter(({ access }) => access.verdict !== 'never');
    const refused = all.filter(({ access }) => access.verdict === 'never');
    const hasEntry = asked.identities?.has(identity.uri);
    const value = (some: WhatCan) =>
      some.map(({ action, resource, access }) => ({ action, resource: resourcesOf(resource), ...accessValue(access) }));
    context.emit(
      {
        identity: identity.uri,
        ...(hasEntry === undefined ? {} : { hasEntry }),
        can: value(rows),
        refused: value(refused),
      },
      () => formatAnswer(identity.uri, { asked, rows, refused }),
    );
    return rows.length > 0 ? exitCodes.ok : exitCodes.no;
  },
};

/** @throws UsageError */
function identityArgument(text: string) {
  try {
    return parseSpiffeId(text);
  } catch (cause) {
    if (!(cause instanceof IdentityError)) throw cause;
    throw new UsageError(`${text} is no identity: ${cause.message}`, { cause });
  }
}

function formatAnswer(
  identity: string,
  { asked, rows, refused }: { readonly asked: AskedPolicies; readonly rows: WhatCan; readonly refused: WhatCan },
): string {
  const { where, identities } = asked;
  const near = identities === undefined || identities.has(identity) ? undefined : didYouMean(identity, identities);
  const unknown =
    identities === undefined || identities.has(identity)
      ? []
      : [`No entry gives it${near === undefined ? '.' : ` (${near})`}`];
  const nothing = rows.length === 0 ? ['It can do nothing.'] : [];
  return [
    `${identity}, by the policies ${where}:`,
    ...unknown,
    ...nothing,
    ...byResource(rows, ''),
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
    const [resource, lines] = [resourcesOf(row.resource), accessLines(row.access)];
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
