import type { SpiffeId } from '@countersign/sdk/identity';
import { type CurrentPolicies, createSessionPolicy } from './current-policies.ts';
import type { ToldCaller } from './session.ts';
import type { SessionHandle } from './sessions.ts';

/** A running session, as operators are shown it. No value of what it does is in it. */
export interface LiveSession {
  readonly id: string;
  readonly identity: string;
  readonly target: string;
  readonly door: 'agent' | 'direct';
  readonly peer: string | undefined;
  readonly caller: ToldCaller | undefined;
  readonly client: SessionHandle['activity']['client'];
  readonly ageMs: number;
  readonly current: LiveOperation | undefined;
  readonly last: LiveOperation | undefined;
  readonly operations: number;
  readonly denials: number;
  readonly items: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** What may be masked in its answers, as policies are now: field and kind. */
  readonly masks: readonly string[];
}

export interface LiveOperation {
  readonly action: string;
  readonly shape: string;
  readonly durationMs: number;
}

/** Tells sessions as they are at this moment. What policy says of an identity is asked once for all of its sessions. */
export function liveSessions(
  handles: readonly SessionHandle[],
  deps: { readonly nowMs: number; readonly monotonicMs: number; readonly currentPolicies: CurrentPolicies },
): readonly LiveSession[] {
  const known = new Map<string, readonly string[]>();
  const masksOf = (identity: SpiffeId) => {
    const masks = known.get(identity.uri) ?? masksFor(identity, deps.currentPolicies);
    known.set(identity.uri, masks);
    return masks;
  };
  return handles.flatMap((handle) => (handle.isAside ? [] : [liveSession(handle, deps, masksOf(handle.identity))]));
}

function liveSession(
  handle: SessionHandle,
  { nowMs, monotonicMs }: { readonly nowMs: number; readonly monotonicMs: number },
  masks: readonly string[],
): LiveSession {
  const { id, identity, target, door, address, caller, startedMs, activity } = handle;
  const { operations, denials, items, bytesIn, bytesOut, client, lastAction, lastShape, lastMs } = activity;
  const [running] = activity.running;
  return {
    ...{ id, identity: identity.uri, target, door, peer: address, caller, client },
    ageMs: Math.max(0, nowMs - startedMs),
    current: running && {
      action: running.operation.action,
      shape: running.operation.shape ?? '',
      durationMs: Math.max(0, monotonicMs - running.startedMs),
    },
    last: lastAction === '' ? undefined : { action: lastAction, shape: lastShape, durationMs: lastMs },
    ...{ operations, denials, items, bytesIn, bytesOut, masks },
  };
}

function masksFor(identity: SpiffeId, currentPolicies: CurrentPolicies): readonly string[] {
  const masks = createSessionPolicy(currentPolicies, identity).potentialMasks();
  return Array.from(new Set(masks.map(({ path, kind }) => `${path.join('.')} ${kind}`))).toSorted();
}
