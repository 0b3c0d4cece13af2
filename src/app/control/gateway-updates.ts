import type { GatewayUpdate } from '@countersign/sdk/contract/gen/countersign/control/v1/control_pb.ts';
import { definitionOf, type Gateway } from '../../gateway/index.ts';
import type { ResolvedTarget } from '../../model/index.ts';
import { PolicyError, type PolicyLoader } from '../../policy/index.ts';
import type { Log } from '../../std/index.ts';
import { shortened } from '../declared-rules.ts';
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
 */
export function createGatewayUpdates(deps: {
  gateway: Pick<Gateway, 'applyPolicies' | 'applyTargets'>;
  policies: Pick<PolicyLoader, 'load'>;
  log: Log;
}): GatewayUpdates {
  const { gateway, log } = deps;
  /** What was last wanted of the gateway. */
  let targets: readonly ResolvedTarget[] = [];
  let informed = false;
  let problems: readonly UpdateProblem[] = [];

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
        await take(update);
      } catch (error) {
        // A bug, whose words nobody has chosen: they are for the log.
        problems = [UPDATE_FAILED];
        throw error;
      }
    },
  };
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

const UPDATE_FAILED: UpdateProblem = {
  what: 'targets and policies',
  found: 'the last change at the server could not be brought into force',
  remedy: 'See the log of the gateway.',
};
/** The message is read by people. */
const NAMES_TOLD_MAX = 10;
