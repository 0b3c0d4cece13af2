import { type Decision, type Judged, judgedBy } from '../../../../model/index.ts';
import type { SessionPolicy } from '../../../sessions/session.ts';
import type { Meaning } from '../meaning/index.ts';

/**
 * What policy answers to requests, kept for those that come again: an answer is one object then, and so is what is recorded of it, whose text is
 * the dearest part of an entry. One for all sessions of a target, since its answers are for an identity, a question and a version of the policies.
 */
export interface Verdicts {
  /** By the newest policies: as it were asked now. */
  judge(policy: AskedPolicy, meaning: Meaning): Verdict;
}

export interface Verdict {
  readonly decision: Decision;
  readonly judged: Judged;
}

type AskedPolicy = Pick<SessionPolicy, 'decide' | 'policySet' | 'principalKey' | 'version'>;

export function createVerdicts(): Verdicts {
  /** The ones used last stand last. */
  const kept = new Map<string, Kept>();
  return {
    judge(policy, meaning) {
      const key = keyOf(policy, meaning);
      const { version } = policy;
      const known = kept.get(key);
      if (known?.version === version) {
        kept.delete(key);
        kept.set(key, known);
        return known;
      }
      const verdict = { version, ...ask(policy, meaning) };
      if (key.length > KEY_LENGTH_MAX) return verdict;
      kept.delete(key);
      const oldest = kept.size < KEPT_MAX ? undefined : kept.keys().next().value;
      if (oldest !== undefined) kept.delete(oldest);
      kept.set(key, verdict);
      return verdict;
    },
  };
}

function ask(policy: AskedPolicy, { action, resource, context }: Meaning): Verdict {
  const decision = policy.decide(action, resource, context);
  return { decision, judged: judgedBy(policy.policySet, [{ question: { action, resource, context }, decision }]) };
}

/**
 * All that is asked about: no part of it but the last can hold a line end, so two questions never have one key. The resource's attributes and
 * parents are the same for its id, within one target.
 */
function keyOf({ principalKey }: AskedPolicy, { action, resource, context }: Meaning): string {
  const { method, host, path } = context;
  const tags = resource.tags === undefined ? '' : JSON.stringify(resource.tags);
  return `${principalKey}\n${action}\n${resource.type}\n${resource.id}\n${method}\n${host}\n${path}\n${tags}`;
}

interface Kept extends Verdict {
  readonly version: number;
}

/** With what is recorded of each: some megabytes of a target. */
const KEPT_MAX = 1024;
/** What is asked with a long body hardly comes again. */
const KEY_LENGTH_MAX = 1024;
