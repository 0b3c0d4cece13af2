import type { LedgerEntry, LedgerFilter } from '../../../ledger/index.ts';
import { type CliCommand, type CliInput, exitCodes, textOption } from '../../command.ts';
import { entryOptions, kindOf, linesOf } from '../../ledger/entry-options.ts';
import { asDamage, damageOfAny, ledgerLines, ledgerOptions } from '../../ledger/folder.ts';
import { entryValue, inOrderOfTime, type NamedEntry, openLedgers } from '../../ledger/ledgers.ts';
import { mentions, namesColumn } from '../../ledger/lines.ts';
import { spanOf } from '../../ledger/parse-time.ts';
import { contentOptions, saidContent } from '../../ledger/said-content.ts';
import { withOutcomes } from '../../ledger/with-outcomes.ts';

export const command: CliCommand = {
  summary: 'Find entries of the ledger by identity, object, column, policy, content, kind, reason or time.',
  options: [
    ['--identity <id>', 'whose: a SPIFFE ID, or its path from / on'],
    [
      '--object <text>',
      'what was reached: a part of its name, such as public.customers, shop/shop/public/customers or api/customer',
    ],
    ...entryOptions,
    ['--session <id>', 'of one session'],
    ['--since <time>', 'not before: a time such as 2026-12-01T08:00:00Z, or so long ago, such as 1d'],
    ['--until <time>', 'not after: as for --since'],
    ...contentOptions,
    ['-n, --lines <count>', 'only the newest so many'],
    ...ledgerOptions,
  ],
  lines: 'each entry',
  examples: [
    'countersign ledger search --kind denial --since 1d',
    'countersign ledger search --identity /shop/web --object customers -n 20',
    'countersign ledger search --object customers --column ssn --since 7d',
    'countersign ledger search --content statement.sql --values values.json',
    'countersign ledger search --of server --since 7d --json',
  ],
  async run(context, input) {
    const matches = matcherOf(input);
    const { kinds, ...filter } = filterOf(input, context.clock.now());
    // An outcome is found by its intent.
    const read = kinds?.[0] === 'outcome' && asksWhat(input) ? [...kinds, 'intent'] : kinds;
    const count = linesOf(input);
    const ledgers = openLedgers(context, input);
    const said = await saidContent(context, input);
    const { signal } = context;
    const damage = await damageOfAny(ledgers, signal);
    const lines = ledgerLines(context);
    const show = ({ entry, worker }: NamedEntry) =>
      context.emit(entryValue(entry, worker), () => lines.line(entry, worker));
    const newest: NamedEntry[] = [];
    const found = ledgers.map(({ reader, worker }) => ({
      worker,
      entries: reader.search({ ...filter, ...(read === undefined ? {} : { kinds: read }) }, signal),
    }));
    try {
      for await (const one of inOrderOfTime(found)) {
        if (!matches(one.entry) || said?.matches(one.entry) === false) continue;
        if (kinds !== undefined && !kinds.includes(one.entry.kind)) continue;
        if (count === undefined) show(one);
        else if (newest.push(one) > count) newest.shift();
      }
    } catch (error) {
      throw asDamage(error);
    }
    for (const one of newest) show(one);
    const passedOver = said?.passedOver();
    if (passedOver !== undefined) context.warn(passedOver);
    if (damage !== undefined) throw damage;
    return exitCodes.ok;
  },
};

/** @throws UsageError */
function filterOf(input: CliInput, nowMs: number): LedgerFilter {
  const kind = kindOf(input);
  return {
    ...(kind === undefined ? {} : { kinds: [kind] }),
    ...given(input, ['target', 'action', 'session']),
    ...spanOf(input, nowMs),
  };
}

function given<Name extends string>(input: CliInput, names: readonly Name[]): Partial<Record<Name, string>> {
  const found: Partial<Record<Name, string>> = {};
  for (const name of names) {
    const value = textOption(input, name);
    if (value !== undefined) found[name] = value;
  }
  return found;
}

function matcherOf(input: CliInput): (entry: LedgerEntry) => boolean {
  const { identity, object, column, policy, shape, reason } = given(input, [
    'identity',
    'object',
    'column',
    'policy',
    'shape',
    'reason',
  ]);
  const isAbout = (entry: LedgerEntry) =>
    (object === undefined || mentions(entry, object)) &&
    (column === undefined || namesColumn(entry, column)) &&
    (policy === undefined || isBy(entry, policy)) &&
    (shape === undefined || entry.detail['shape'] === shape);
  const isFound = asksWhat(input) ? withOutcomes(isAbout) : isAbout;
  return (entry) =>
    isFound(entry) &&
    (identity === undefined || isOf(entry, identity)) &&
    (reason === undefined || entry.detail['reason'] === reason);
}

/** By what only an intent says. */
function asksWhat(input: CliInput): boolean {
  return Object.keys(given(input, ['object', 'column', 'policy', 'shape'])).length > 0;
}

/** A path is that of an identity in any trust domain. */
function isOf({ actor }: LedgerEntry, identity: string): boolean {
  return actor === identity || (identity.startsWith('/') && /^spiffe:\/\/[^/]+(\/.*)$/.exec(actor)?.[1] === identity);
}

function isBy({ detail: { policies } }: LedgerEntry, policy: string): boolean {
  return Array.isArray(policies) && policies.includes(policy);
}
