import { Bundle } from '@countersign/sdk/contract';
import { IdentityError, parseSpiffeId, type SpiffeId } from '@countersign/sdk/identity';
import { policySchema } from '../../../app/policy-schema.ts';
import {
  type CompiledPolicies,
  checkParsed,
  type Demands,
  type FormOf,
  PolicyError,
  type PolicySource,
  parseCaseTime,
} from '../../../policy/index.ts';
import type { RpcClient } from '../../../rpc/index.ts';
import { parseDurationMs } from '../../../std/index.ts';
import {
  argument,
  type CliCommand,
  type CliContext,
  type CliInput,
  exitCodes,
  flagOption,
  textOption,
  UsageError,
} from '../../command.ts';
import { withServer } from '../../connections/server-client.ts';
import { CALL_TIMEOUT_MS, serverOptions } from '../../connections/server-options.ts';
import { changeLines } from '../../declared/change-lines.ts';
import { policyErrorOf } from '../../declared/policy-files.ts';
import { warnOfNames } from '../../declared/warn-of-applied.ts';
import type { AskedPolicies } from '../../policy/declared-policies.ts';
import { type EditedPolicy, editPolicies, type PolicyEdit } from '../../policy/edit-policies.ts';
import { type GrantNotes, grantNotes } from '../../policy/grant-notes.ts';
import { checkName, parseGranted, writeGrant } from '../../policy/grants.ts';
import { commandToPaste } from '../../terminal/command-to-paste.ts';
import { formatTimeS, formatWords } from '../../terminal/table.ts';

export const command: CliCommand = {
  summary: 'Give an identity access for a while, as a policy of its own.',
  arguments: '<identity> <actions-and-resource...>',
  options: [
    ['--for <duration>', 'how long from now: 30m, 1h, 7d'],
    ['--until <time>', 'or until when, such as 2026-12-31T00:00:00Z'],
    ['--reason <text>', 'why, for whoever reads the policy or the log'],
    ['--dry-run', 'only show the policy and what comes of it'],
    ...serverOptions,
  ],
  verbatim: true,
  examples: [
    'countersign policy grant spiffe://example.org/web read shop/public.orders --for 1h --reason "ticket 4711"',
    'countersign policy grant spiffe://example.org/web connect select shop --for 30m --dry-run',
    'countersign policy grant spiffe://example.org/web delete shop/public.orders --until 2026-12-31T00:00:00Z',
  ],
  async run(context, input) {
    const identity = identityOf(argument(input, 0, 'the identity, a SPIFFE ID,'));
    const [resource, ...actions] = input.args.slice(1).toReversed();
    if (resource === undefined) throw new UsageError('the action, such as select, is missing');
    if (actions.length === 0) throw new UsageError('the resource, such as shop/public.orders, is missing');
    const words = { identity, actions: actions.toReversed(), resource };
    const about = { expiresMs: endOf(context, input), reason: reasonOf(input) };
    const dryRun = flagOption(input, 'dryRun');
    return withServer(context, input, async (client) => {
      const timeMs = context.clock.now();
      const made = await editPolicies(client, { context, dryRun }, (present) =>
        grantIn(present, { words, about, timeMs }),
      );
      const { edit, changes } = made;
      const names = await warningsOfNames(context, client, edit);
      if (!context.json) for (const warning of names) context.warn(`warning: ${warning}`);
      const change = changes.find(({ name }) => name === edit.id);
      const action = change?.action ?? 'unchanged';
      const { id, demands, notes } = edit;
      const [{ text = '' } = {}] = edit.put;
      const value = {
        id,
        action,
        applied: !dryRun && action !== 'unchanged',
        expires: formatTimeS(about.expiresMs / 1000),
      };
      context.emit({ ...value, policy: text, withDemandsOf: demands.policies, notes, warnings: names }, () =>
        formatGrant({ ...edit, text, expires: value.expires }, change, dryRun),
      );
      return exitCodes.ok;
    });
  },
};

interface Grant extends PolicyEdit, GrantNotes {
  readonly id: string;
  readonly demands: Demands;
  readonly after: CompiledPolicies;
}

interface About {
  readonly expiresMs: number;
  readonly reason: string | undefined;
}

/** What becomes of the policies that are there. @throws UsageError, PolicyError */
function grantIn(
  { compiled, sources, targets, specs, formOf }: AskedPolicies,
  asked: {
    readonly words: Parameters<typeof parseGranted>[0];
    readonly about: About;
    readonly timeMs: number;
  },
): Grant {
  const { words, about, timeMs } = asked;
  const granted = parseGranted(words, { targets, specs });
  checkName(compiled, granted);
  const { name } = writeGrant(granted, { ...about, demands: NO_DEMANDS });
  // What it demanded itself when it was made before is no reason to demand it again.
  const others = sources.filter((source) => source.name !== name);
  const before = compiledOf(others, formOf);
  const { actions, resource } = granted;
  const demands = before.demandsOn({ actions, resource, timeMs });
  const grant = writeGrant(granted, { ...about, demands });
  const after = compiledOf([...others, grant], formOf);
  return {
    id: name,
    put: [grant],
    remove: [],
    demands,
    after,
    ...grantNotes(granted, { before, after, targets, timeMs }),
  };
}

/** @throws PolicyError */
function compiledOf(sources: readonly PolicySource[], formOf: FormOf): CompiledPolicies {
  const { compiled, problems } = checkParsed(sources, policySchema, formOf);
  if (compiled !== undefined) return compiled;
  throw policyErrorOf(problems) ?? new PolicyError('ERR_POLICY_INVALID', 'policies could not be loaded');
}

function formatGrant(
  { id, text, expires, demands, notes, remedy }: Grant & { readonly text: string; readonly expires: string },
  change: Pick<EditedPolicy, 'action' | 'differences'> | undefined,
  dryRun: boolean,
): string {
  const { action, differences } = change ?? { action: 'unchanged', differences: [] };
  const verb = `${dryRun ? 'would be ' : ''}${action === 'update' ? 'changed' : 'made'}`;
  const changed = action === 'update' ? changeLines({ kind: 'Policy', action, differences }, '    ') : [];
  const { policies } = demands;
  return [
    formatWords(`Policy ${id} ${action === 'unchanged' ? 'is there already' : verb}, until ${expires}:`, ''),
    ...text
      .trimEnd()
      .split('\n')
      .map((line) => `    ${line}`),
    ...(changed.length === 0 ? [] : ['Changed:', ...changed]),
    ...(policies.length === 0
      ? []
      : [formatWords(`Its masks, limit and recording are those of ${policies.join(', ')}.`, '')]),
    ...notes.map((note) => formatWords(`note: ${note}`, '')),
    ...remedy,
    ...(dryRun ? [] : ['To take it back:', `    ${commandToPaste(['countersign', 'policy', 'delete', id], 4)}`]),
  ].join('\n');
}

/** Identities that no entry gives, trust domains that nobody knows. */
async function warningsOfNames(
  context: CliContext,
  client: RpcClient,
  { put, after }: Grant,
): Promise<readonly string[]> {
  const options = { signal: context.signal, timeoutMs: CALL_TIMEOUT_MS };
  const { trustDomain } = await client.unary(Bundle.method.getBundle, {}, options);
  const names = new Set(put.map(({ name }) => name));
  const declared = put.map(({ name, text }) => ({ kind: 'Policy' as const, name, spec: { cedar: text }, where: name }));
  const policies = { compiled: after, problems: [], fileOf: () => undefined };
  const found = await warnOfNames(client, { declared, policies }, { ...options, trustDomain, prune: false });
  return found
    .filter(({ position }) => names.has(position.source))
    .map(({ message, help }) => `${message}${help === undefined ? '' : ` (${help})`}`);
}

/** @throws UsageError */
function identityOf(text: string): SpiffeId {
  try {
    return parseSpiffeId(text);
  } catch (cause) {
    if (!(cause instanceof IdentityError)) throw cause;
    throw new UsageError(`${JSON.stringify(text)} is no identity: ${cause.message}`, { cause });
  }
}

/** Epoch milliseconds, in whole seconds, as policies see the time. @throws UsageError */
function endOf(context: CliContext, input: CliInput): number {
  const [during, until] = [textOption(input, 'for'), textOption(input, 'until')];
  if ((during === undefined) === (until === undefined))
    throw new UsageError(
      'say how long: --for 1h, or --until 2026-12-31T00:00:00Z; what is to stay is applied as a file',
    );
  const nowMs = context.clock.now();
  const endMs = until === undefined ? nowMs + durationOf(during ?? '') : timeOf(until);
  if (endMs <= nowMs) throw new UsageError(`the end, ${until ?? during}, is over already`);
  if (endMs > nowMs + GRANT_MS_MAX)
    throw new UsageError('a grant ends within 366 days; what is to stay is applied as a file');
  return Math.ceil(endMs / 1000) * 1000;
}

/** @throws UsageError */
function durationOf(text: string): number {
  const durationMs = parseDurationMs(text);
  if (durationMs !== undefined && durationMs > 0) return durationMs;
  throw new UsageError(`--for ${JSON.stringify(text)} is no duration; write 30m, 1h, 7d`);
}

/** @throws UsageError */
function timeOf(text: string): number {
  try {
    return parseCaseTime(text);
  } catch (cause) {
    if (!(cause instanceof PolicyError)) throw cause;
    throw new UsageError(`--until: ${cause.message}`, { cause });
  }
}

/** @throws UsageError */
function reasonOf(input: CliInput): string | undefined {
  const reason = textOption(input, 'reason');
  if (reason === undefined) return undefined;
  if (reason.trim() === '' || reason.length > REASON_CHARS_MAX)
    throw new UsageError(`--reason has 1 to ${REASON_CHARS_MAX} characters`);
  return reason.trim();
}

const NO_DEMANDS: Demands = {
  ...{ masks: [], derived: undefined, limits: [], record: 'digest', approval: undefined, policies: [] },
};
/** What nobody looks at for a year is no exception any more. */
const GRANT_MS_MAX = 366 * 86_400_000;
/** A sentence or two, and a link. */
const REASON_CHARS_MAX = 500;
