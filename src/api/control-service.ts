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
import type { EntryInput, Registration } from '../registration/index.ts';
import { anyOf, type GatewayView, type Resource, type ResourceKind, type Resources } from '../resources/index.ts';
import { implement, type RpcService } from '../rpc/index.ts';
import { type Clock, createSharedTimers, type Log, sha256, shortened } from '../std/index.ts';
import { type Applied, ApplyRefused, auditOfApply, createApplier } from './apply/apply-declared.ts';
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
  const applier = createApplier(deps);
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
      // Agents are told that it is there: it has to be.
      context.watchPeer();
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
      const declared = {
        resources: request.resources.map((one) => parseResource(one, resources)),
        entries: declaredEntries(request),
        options: planOptionsOf(request, resources),
      };
      const { signal } = context;
      try {
        if (request.dryRun) return applied(await applier.plan(declared, signal));
        const { detail, outcome } = auditOfApply(declared);
        const act = () => applier.apply(declared, signal);
        return applied(await audit.act(context, { target: 'resources', detail, outcome }, act));
      } catch (error) {
        if (error instanceof ApplyRefused) throw invalid(error.message);
        throw error;
      }
    },
    createEntry: (request, context) => createEntry(deps, request, context),
    listEntryAttributes: ({ entryIds }) => listEntryAttributes(registration, entryIds),
    listResources: (request) => listing(request, request.kind === '' ? undefined : parseKind(request.kind, resources)),
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

function applied({ changes, revision }: Applied) {
  const told = changes.map(({ differences, ...change }) => ({ ...change, differences: [...differences] }));
  return { changes: told, revision: BigInt(revision) } satisfies MessageInitShape<typeof ApplyResponseSchema>;
}

/** @throws RpcError INVALID_ARGUMENT */
function planOptionsOf({ prune, remove, ifRevision }: ApplyRequest, known: Pick<Resources, 'kinds'>) {
  return {
    prune,
    remove: remove.map(({ kind, name }) => ({ kind: parseKind(kind, known), name })),
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
function parseResource({ kind, name, specJson }: ResourceMessage, known: Pick<Resources, 'kinds'>): Resource {
  let spec: unknown;
  try {
    spec = JSON.parse(specJson);
  } catch {
    throw invalid(`the spec of ${kind}/${name} is no JSON`);
  }
  if (typeof spec !== 'object' || spec === null || Array.isArray(spec)) {
    throw invalid(`the spec of ${kind}/${name} is no JSON object`);
  }
  return { kind: parseKind(kind, known), name, spec };
}

/** @throws RpcError INVALID_ARGUMENT */
function parseKind(kind: string, { kinds }: Pick<Resources, 'kinds'>): ResourceKind {
  if (kinds.includes(kind)) return kind;
  throw invalid(`there is no resource kind ${shortened(kind)}; it must be ${anyOf(kinds)}`);
}

/** Who finds all of them gone is told of others within a second. */
const GATEWAYS_TOLD_MAX = 8;
/** Of the five seconds after which each stream is looked at again. */
const RECHECK_STEP_MS = 500;
