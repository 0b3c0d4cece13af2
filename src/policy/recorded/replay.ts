import { passes } from '../../model/index.ts';
import { approvalText } from '../loading/approval.ts';
import { fieldText } from '../schema/fields.ts';
import type { CompiledPolicies } from '../types.ts';
import {
  joinOccurrences,
  type Occurrences,
  occurrenceOf,
  type RecordedAsked,
  type RecordedOperation,
} from './operation.ts';

/** What a set of policies would have answered otherwise than what stands in a ledger. */
export interface Replay {
  /** Operations that were judged again. */
  readonly judged: number;
  /** Refused then for another reason than policy, and so whatever policy says. */
  readonly notByPolicy: number;
  /** The most frequent first. */
  readonly differences: readonly ReplayDifference[];
}

/**
 * Operations of one identity and one shape that are answered differently in the same way. `denied`, `allowed`: they would be;
 * `obligations`: they are allowed as before, with other masks, limits or recording.
 */
export interface ReplayDifference extends Occurrences {
  readonly kind: 'denied' | 'allowed' | 'obligations';
  readonly identity: string;
  readonly action: string;
  readonly shape: string;
  /** What decides it: the question that is refused, or was; else the first one. */
  readonly question: { readonly action: string; readonly resource: string };
  /** Of the answers under the set in question. */
  readonly policies: readonly string[];
  /** Masks, limits and recording then and now, in words, where those differ. */
  readonly before: readonly string[];
  readonly after: readonly string[];
}

/** Asks again what stands in a ledger, operation by operation. Holds one count for each kind of difference, however many there are. */
export interface Replaying {
  judge(operation: RecordedOperation): void;
  result(): Replay;
}

export function createReplay(policies: Pick<CompiledPolicies, 'decide'>): Replaying {
  const found = new Map<string, { readonly about: About; readonly times: Occurrences }>();
  let judged = 0;
  let notByPolicy = 0;
  return {
    judge(operation) {
      if (!operation.isAllowed && operation.asked.every(passes)) {
        notByPolicy++;
        return;
      }
      judged++;
      const about = differenceOf(operation, policies);
      if (about === undefined) return;
      const key = JSON.stringify(about);
      found.set(key, { about, times: joinOccurrences(found.get(key)?.times, occurrenceOf(operation)) });
    },
    result() {
      const differences = Array.from(found.values(), ({ about, times }) => ({ ...about, ...times }));
      return { judged, notByPolicy, differences: differences.toSorted((a, b) => b.count - a.count) };
    },
  };
}

type About = Omit<ReplayDifference, keyof Occurrences>;

function differenceOf(
  { principal, timeMs, asked, isAllowed, action, shape }: RecordedOperation,
  policies: Pick<CompiledPolicies, 'decide'>,
): About | undefined {
  const again = asked.map((one): RecordedAsked => {
    return { ...one, decision: policies.decide({ principal, timeMs, ...one.question }) };
  });
  const refused = again.find((one) => !passes(one));
  const deciding = refused ?? again[asked.findIndex((one) => !passes(one))] ?? again[0];
  if (deciding === undefined) return undefined; // Nothing was asked, so nothing can be answered otherwise.
  const about = {
    ...{ identity: principal.id, action, shape, before: [], after: [] },
    question: { action: deciding.question.action, resource: deciding.question.resource.id },
    policies: idsOf(isAllowed && refused === undefined ? again : [deciding]),
  };
  if (refused !== undefined) return isAllowed ? { kind: 'denied', ...about } : undefined;
  if (!isAllowed) return { kind: 'allowed', ...about };
  const [then, now] = [asked.flatMap(wordsOf), again.flatMap(wordsOf)];
  const [before, after] = [without(then, now), without(now, then)];
  if (before.length === 0 && after.length === 0) return undefined;
  return { kind: 'obligations', ...about, before, after };
}

function idsOf(asked: readonly RecordedAsked[]): readonly string[] {
  return [...new Set(asked.flatMap(({ decision }) => decision.policies))].sort();
}

/** One line for each thing that is demanded of an operation on a resource. */
function wordsOf({ question: { resource }, decision, isDerivedUntold }: RecordedAsked): string[] {
  if (!decision.allow) return [];
  const { approvals = [], masks, limits, record } = decision.obligations;
  return [
    ...approvals.map((rule) => `${resource.id} ${approvalText([rule])}`),
    ...masks.map(({ path, kind, derived }) => {
      const mask = `${resource.id} masks ${fieldText({ path, hasWildcard: true })}:${kind}`;
      return derived === undefined || isDerivedUntold ? mask : `${mask}, NULL inside of expressions`;
    }),
    ...Object.entries(limits).map(([unit, most]) => `${resource.id} limits ${unit}=${most}`),
    ...(record === 'full' ? [`${resource.id} is recorded in full`] : []),
  ];
}

function without(lines: readonly string[], others: readonly string[]): readonly string[] {
  const known = new Set(others);
  return [...new Set(lines.filter((line) => !known.has(line)))].sort();
}
