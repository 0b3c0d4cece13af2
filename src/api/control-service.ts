import type { MessageInitShape } from '@bufbuild/protobuf';
import { Control } from '@countersign/sdk/contract';
import type {
  ApplyRequest,
  ApplyResponseSchema,
  Resource as ResourceMessage,
  TargetViewSchema,
} from '@countersign/sdk/contract/gen/countersign/control/v1/control_pb.ts';
import type { Authority } from '../authority/index.ts';
import type { Questions } from '../questions/index.ts';
import type { EntryInput, EntryResult, Registration } from '../registration/index.ts';
import type { ApplyOptions, GatewayView, Plan, Resource, ResourceKind, Resources } from '../resources/index.ts';
import { implement, type RpcService } from '../rpc/index.ts';
import { type Clock, createSharedTimers, type Log, sha256 } from '../std/index.ts';
import type { Audit } from './audit.ts';
import type { Authorizer } from './authorize.ts';
import { createEntry, listEntryAttributes } from './entry-attributes.ts';
import { gatewayOf } from './gateways/gateway-caller.ts';
import { createGatewayPresence } from './gateways/gateway-presence.ts';
import { gatewayStatus, parseReport, parseState } from './gateways/gateway-report.ts';
import { frameGatewayUpdates, gatewayStream, specOf } from './gateways/gateway-stream.ts';
import { pushUpdates } from './gateways/push-updates.ts';
import { createServingGateways } from './gateways/serving-gateways.ts';
import { createListing, type ParsePolicies } from './listed-resources.ts';
import { parseEntryAttributes } from './messages/attributes-message.ts';
import { parseEntry } from './messages/entry-message.ts';
import type { RefusalIntake } from './refusal-intake.ts';
import { invalid } from './status.ts';

type EntriesOfControl = Pick<
  Registration,
  'revision' | 'watchNode' | 'declare' | 'principals' | 'attributesOf' | 'batchCreate'
>;

/** What Countersign's agents, gateways and operators ask of the server beyond the SPIRE API. */
export function controlService(deps: {
  clock: Clock;
  log: Log;
  authority: Pick<Authority, 'bundle' | 'onBundle'>;
  registration: EntriesOfControl;
  resources: Resources;
  authorizer: Authorizer;
  audit: Audit;
  refusals: RefusalIntake;
  parsePolicies: ParsePolicies;
  questions: Pick<Questions, 'watch'>;
}): RpcService {
  const { authority, registration, resources, authorizer, audit, refusals, clock } = deps;
  const presence = createGatewayPresence(deps);
  const serving = createServingGateways({ resources, clock });
  const listing = createListing(deps);
  const gatewayUpdate = frameGatewayUpdates();
  const timers = createSharedTimers(clock, RECHECK_STEP_MS);
  return implement(Control, {
    async watchNode(_request, context, send) {
      const node = authorizer.agentOf(context);
      // Not the revision of all entries: what others may issue is no reason for this agent to sync.
      let entriesRevision = registration.revision();
      const subscribe = (changed: () => void) => [
        registration.watchNode({ id: node.spiffeId, selectors: node.selectors }, (revision) => {
          entriesRevision = revision;
          changed();
        }),
        authority.onBundle(changed),
        resources.onChange(changed),
        serving.onChange(changed),
      ];
      const push = () =>
        send({
          entriesRevision: BigInt(entriesRevision),
          bundleSequence: BigInt(authority.bundle().sequence),
          targets: targetViews(resources, gatewaysFor(node.spiffeId.uri, serving.now())),
        });
      await pushUpdates({ timers, context, authorizer, subscribe, push });
    },
    async reportRefusals(request, context) {
      await refusals.take(authorizer.agentOf(context), request);
      return {};
    },
    async watchGateway(request, context, send) {
      const gateway = { ...gatewayOf(authorizer.callerOf(context), request), state: parseState(request.state) };
      const principals = request.principals ? registration.principals : undefined;
      const watchQuestions = (changed: () => void) =>
        deps.questions.watch(gateway, { answers: request.questions, changed });
      const { subscribe, push } = gatewayStream({ resources, principals, gatewayUpdate, watchQuestions });
      await presence.during(gateway, context.draining, () =>
        pushUpdates({ timers, context, authorizer, subscribe, push: () => push(send) }),
      );
    },
    async reportGateway(request, context) {
      const gateway = gatewayOf(authorizer.callerOf(context), request);
      const report = parseReport(request);
      await resources.keepReport(gateway, report);
      // Where it does not serve itself, whoever serves at its address is another one.
      const isOwn = ({ spiffeId, address }: GatewayView) =>
        report.state === 'serving' && spiffeId === gateway.spiffeId && address === gateway.address;
      return { others: serving.now().filter((one) => !isOwn(one)).length };
    },
    async apply(request, context) {
      const { dryRun } = request;
      const declared = request.resources.map(parseResource);
      const options = planOptionsOf(request);
      const inputs = declaredEntries(request);
      const declaration = registration.declare(inputs);
      if (dryRun) {
        const plan = applied(await resources.plan(declared, options));
        if (inputs.length > 0) refuseBad(inputs, await declaration.rehearse({ signal: context.signal }));
        return plan;
      }
      const { prune, remove } = options;
      const named = [...declared, ...remove].map(({ kind, name }) => `${kind}/${name}`);
      const names = [...named, ...inputs.map(({ id }) => `Entry/${id}`)].slice(0, AUDITED_NAMES_MAX);
      const alongside: ApplyOptions['alongside'] = async (trx, effects) =>
        refuseBad(inputs, await declaration.write(trx, effects));
      const outcome = (answer: ReturnType<typeof applied>) => outcomeOf(answer, inputs);
      return audit.act(context, { target: 'resources', detail: { prune, names }, outcome }, async () => {
        const { signal } = context;
        const answer = applied(await resources.apply(declared, { ...options, signal, alongside }));
        await declaration.committed();
        return answer;
      });
    },
    createEntry: (request, context) => createEntry(deps, request, context),
    listEntryAttributes: ({ entryIds }) => listEntryAttributes(registration, entryIds),
    listResources: (request) => listing(request, request.kind === '' ? undefined : parseKind(request.kind)),
    listGateways: async () => ({ gateways: (await resources.reportedGateways()).map(gatewayStatus) }),
  });
}

/** Every target with these gateways: any gateway serves any target. */
function targetViews(
  resources: Resources,
  serving: readonly GatewayView[],
): MessageInitShape<typeof TargetViewSchema>[] {
  const gateways = serving.map(({ address, spiffeId }) => ({ address, spiffeId }));
  return resources.snapshot().targets.map((target) => {
    const { protocol, hosts } = specOf(target);
    // A list of names in the schema of each protocol that has it.
    return {
      name: target.name,
      protocol: `${protocol}`,
      gateways,
      hosts: Array.isArray(hosts) ? hosts.map(String) : [],
    };
  });
}

/** All of them, or of many some for each node, spread over all: told with each target, a hundred thousand addresses would fit no message. */
function gatewaysFor(node: string, serving: readonly GatewayView[]): readonly GatewayView[] {
  if (serving.length <= GATEWAYS_TOLD_MAX) return serving;
  const first = sha256(Buffer.from(node)).readUInt32BE() % serving.length;
  const step = Math.floor(serving.length / GATEWAYS_TOLD_MAX);
  return Array.from({ length: GATEWAYS_TOLD_MAX }, (_, n) => serving[(first + n * step) % serving.length]).filter(
    (gateway) => gateway !== undefined,
  );
}

function applied(plan: Plan) {
  if (!plan.ok) {
    const problems = plan.problems.slice(0, PROBLEMS_TOLD_MAX);
    throw invalid(problems.map(({ kind, name, message }) => `${kind}/${name}: ${message}`).join('\n'));
  }
  const changes = plan.changes.map(({ kind, name, action, differences }) => ({
    ...{ kind, name, action },
    differences: [...differences],
  }));
  return { changes, revision: BigInt(plan.revision) } satisfies MessageInitShape<typeof ApplyResponseSchema>;
}

/** As the ledger has it. Entries are written as they are declared, whatever was there. */
function outcomeOf({ revision, changes }: ReturnType<typeof applied>, entries: readonly EntryInput[]) {
  const changed = changes.map(({ kind, name, action }) => `${action} ${kind}/${name}`);
  const written = entries.slice(0, AUDITED_NAMES_MAX).map(({ id }) => `write Entry/${id}`);
  return {
    revision: Number(revision),
    changes: [...changed, ...written],
    differences: differencesOfPolicies(changes),
  };
}

/** What became of policies, line by line, as far as an entry has room: what a policy was is kept nowhere else. */
function differencesOfPolicies(changes: ReturnType<typeof applied>['changes']): string[] {
  const lines = changes.flatMap(({ kind, name, differences }) =>
    kind === 'Policy' ? differences.map((line) => `${name}: ${line}`) : [],
  );
  let room = AUDITED_DIFFERENCES_BYTES_MAX;
  const shown = lines.findIndex((line) => {
    room -= Buffer.byteLength(line);
    return room < 0;
  });
  return shown < 0 ? lines : [...lines.slice(0, shown), `… and ${lines.length - shown} more lines`];
}

/** Refuses all when the server takes one of them not; thrown in a transaction, it undoes that. @throws RpcError INVALID_ARGUMENT */
function refuseBad(inputs: readonly EntryInput[], results: readonly EntryResult[]): void {
  const problems = results.flatMap((result, index) =>
    result.status === 'ok' ? [] : [`Entry/${inputs[index]?.id}: ${result.message}`],
  );
  if (problems.length > 0) throw invalid(`nothing was applied:\n${problems.slice(0, PROBLEMS_TOLD_MAX).join('\n')}`);
}

/** @throws RpcError INVALID_ARGUMENT */
function planOptionsOf({ prune, remove, ifRevision }: ApplyRequest) {
  return {
    prune,
    remove: remove.map(({ kind, name }) => ({ kind: parseKind(kind), name })),
    ...(ifRevision === undefined ? {} : { ifRevision: Number(ifRevision) }),
  };
}

/** @throws RpcError INVALID_ARGUMENT */
function declaredEntries({ entries, entryAttributes }: ApplyRequest): readonly EntryInput[] {
  const said = parseEntryAttributes(entryAttributes, new Set(entries.map(({ id }) => id)));
  return entries.map((message) => {
    if (message.id === '') throw invalid('a declared entry has an id');
    const attributes = said.get(message.id);
    return { ...parseEntry(message), ...(attributes === undefined ? {} : { attributes }) };
  });
}

/** @throws RpcError INVALID_ARGUMENT */
function parseResource({ kind, name, specJson }: ResourceMessage): Resource {
  let spec: unknown;
  try {
    spec = JSON.parse(specJson);
  } catch {
    throw invalid(`the spec of ${kind}/${name} is no JSON`);
  }
  if (typeof spec !== 'object' || spec === null || Array.isArray(spec)) {
    throw invalid(`the spec of ${kind}/${name} is no JSON object`);
  }
  return { kind: parseKind(kind), name, spec };
}

/** @throws RpcError INVALID_ARGUMENT */
function parseKind(kind: string): ResourceKind {
  if (kind === 'Target' || kind === 'Policy') return kind;
  throw invalid(`there is no resource kind ${kind}; it must be Target or Policy`);
}

/** More would not fit a ledger entry. */
const AUDITED_NAMES_MAX = 1000;
/** A long policy, and a small part of what an entry may hold. */
const AUDITED_DIFFERENCES_BYTES_MAX = 16 * 1024;
/** A screenful; the rest shows once these are mended. */
const PROBLEMS_TOLD_MAX = 20;
/** Who finds all of them gone is told of others within a second. */
const GATEWAYS_TOLD_MAX = 8;
/** Of the five seconds after which each stream is looked at again. */
const RECHECK_STEP_MS = 500;
