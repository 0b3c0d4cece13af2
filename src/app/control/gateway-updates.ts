import type {
  GatewayUpdate,
  Principal,
  Principals,
} from '@countersign/sdk/contract/gen/countersign/control/v1/control_pb.ts';
import { definitionOf, type Gateway, type PrincipalsUpdate } from '../../gateway/index.ts';
import {
  type IdentityAttributes,
  InvalidAttributes,
  NO_ATTRIBUTES,
  parseIdentityAttributes,
  type ResolvedTarget,
} from '../../model/index.ts';
import { PolicyError, type PolicyLoader } from '../../policy/index.ts';
import { type Log, shortened } from '../../std/index.ts';
import type { Found } from '../health/conditions.ts';

/** What of an update is not in force; no secret is in it. */
type UpdateProblem = Required<Pick<Found, 'what' | 'found' | 'remedy'>>;

/** What the server tells a gateway, brought into force as far as that is safe. */
export interface GatewayUpdates {
  /** Brings one update into force. A throw, which only a bug can cause, is told by `problems` as well. */
  take(update: GatewayUpdate): Promise<void>;
  /** True once an update was taken as a whole. */
  informed(): boolean;
  /** What of the last update is not in force, and why. */
  problems(): readonly UpdateProblem[];
}

/**
 * Policies and targets of one update belong together: a target that is new or changed may have been declared with the very forbid or
 * mask that it needs. So while policies can't be used, those in force stay, and of targets only what takes access away is done: what
 * is no longer declared closes, what is declared as it was is served on, and the rest waits, a changed one as it was.
 *
 * What identities are to policies comes apart, whole and then by difference. Policies wait until it has come once: by its absence nothing is decided.
 */
export function createGatewayUpdates(deps: {
  gateway: Pick<Gateway, 'applyPolicies' | 'applyPrincipals' | 'applyTargets'>;
  policies: Pick<PolicyLoader, 'load'>;
  log: Log;
}): GatewayUpdates {
  const { gateway, log } = deps;
  /** What was last wanted of the gateway. */
  let targets: readonly ResolvedTarget[] = [];
  let informed = false;
  let problems: readonly UpdateProblem[] = [];
  let knowsPrincipals = false;
  /** Came before principals did. */
  let waiting: GatewayUpdate | undefined;
  const principals = createPrincipalsReader(log);

  const applyTargets = (next: readonly ResolvedTarget[]) => {
    targets = next;
    return gateway.applyTargets(next);
  };

  async function take(update: GatewayUpdate): Promise<void> {
    const wanted = update.targets.map(
      ({ name, protocol, specJson }): ResolvedTarget => ({ name, protocol, config: JSON.parse(specJson) }),
    );
    const fields = { revision: Number(update.revision), targets: wanted.length, policies: update.policies.length };
    const isWanted = new Set(wanted.map(({ name }) => name));
    const closeOthers = () => applyTargets(targets.filter(({ name }) => isWanted.has(name)));
    try {
      const policies = deps.policies.load(update.policies.map(({ name, text }) => ({ name, text })));
      // What is no longer declared closes before its forbids go, and a target opens only under the policies that it was declared with.
      await closeOthers();
      gateway.applyPolicies(policies, fields.revision);
    } catch (error) {
      if (!(error instanceof PolicyError)) throw error;
      const served = new Map(targets.map((target) => [target.name, target]));
      const waiting = wanted.filter((target) => !isSame(target, served.get(target.name)));
      problems = [policiesRefused(error, waiting)];
      log.error('app.gateway.policies_refused', { ...fields, waiting: waiting.length, error });
      return closeOthers();
    }
    await applyTargets(wanted);
    informed = true;
    problems = [];
    log.info('app.gateway.updated', fields);
  }

  return {
    informed: () => informed,
    problems: () => problems,
    async take(update) {
      try {
        if (update.principals === undefined) {
          if (knowsPrincipals) return await take(update);
          waiting = update;
          problems = [PRINCIPALS_AWAITED];
          return;
        }
        const complete = principals.read(update.principals);
        if (complete === undefined) return;
        gateway.applyPrincipals(complete);
        knowsPrincipals = true;
        const held = waiting;
        waiting = undefined;
        if (held !== undefined) await take(held);
      } catch (error) {
        // A bug, whose words nobody has chosen: they are for the log.
        problems = [UPDATE_FAILED];
        throw error;
      }
    },
  };
}

/** Puts together what comes in several messages. */
function createPrincipalsReader(log: Log) {
  let parts = new Map<string, IdentityAttributes>();
  /** What they are parts of. */
  let of = '';
  return {
    /** Undefined while more is to come. */
    read({ whole, more, principals, revision }: Principals): PrincipalsUpdate | undefined {
      // What has come of a stream that ended in between belongs to nothing else.
      if (of !== `${whole} ${revision}`) parts = new Map();
      of = `${whole} ${revision}`;
      for (const principal of principals) parts.set(principal.spiffeId, attributesOf(principal, log));
      if (more) return undefined;
      const changes = parts;
      parts = new Map();
      log.info('app.gateway.principals', { revision: Number(revision), whole, changes: changes.size });
      return { whole, changes };
    },
  };
}

/** One that this version does not take has none: policies that need it do not apply, as where entries differ. */
function attributesOf({ spiffeId, attributes }: Principal, log: Log): IdentityAttributes {
  if (attributes === undefined) return NO_ATTRIBUTES;
  const { owner, environment, labels } = attributes;
  try {
    const named = Object.fromEntries(labels.map(({ name, value }) => [name, value]));
    return parseIdentityAttributes({ owner, environment, labels: named });
  } catch (error) {
    if (!(error instanceof InvalidAttributes)) throw error;
    log.error('app.gateway.principal_refused', { identity: spiffeId, error });
    return NO_ATTRIBUTES;
  }
}

function policiesRefused(error: PolicyError, waiting: readonly ResolvedTarget[]): UpdateProblem {
  const names = waiting.slice(0, NAMES_TOLD_MAX).map(({ name }) => name);
  const more = waiting.length > names.length ? ` and ${waiting.length - names.length} more` : '';
  const targets = waiting.length === 0 ? '' : `; new and changed targets wait for them: ${names.join(', ')}${more}`;
  return {
    what: 'policies',
    found: `those at the server can't be used, the ones before stay in force: ${shortened(error.message)}${targets}`,
    remedy:
      error.code === 'ERR_POLICY_PARSER'
        ? error.entry.remedy
        : 'Correct the policies that the message names and apply them together; if the server takes them as they are, bring this gateway to its version.',
  };
}

function isSame(one: ResolvedTarget, other: ResolvedTarget | undefined): boolean {
  return other !== undefined && definitionOf(one) === definitionOf(other);
}

const PRINCIPALS_AWAITED: UpdateProblem = {
  what: 'policies',
  found: 'the server has told targets and policies, and not yet what identities are to policies',
  remedy: 'Nothing, if it lasts a moment; else bring the server to the version of this gateway.',
};
const UPDATE_FAILED: UpdateProblem = {
  what: 'targets and policies',
  found: 'the last change at the server could not be brought into force',
  remedy: 'See the log of the gateway.',
};
/** The message is read by people. */
const NAMES_TOLD_MAX = 10;
