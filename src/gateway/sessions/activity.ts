import type { Denial, Operation } from '../../model/index.ts';

/** What one session does and has done, for operators who look while it runs. It is counted as it happens, and costs no more than that. */
export interface SessionActivity {
  /** As the client calls itself: anybody can say anything. */
  client: { readonly application?: string | undefined; readonly driver?: string | undefined };
  operations: number;
  denials: number;
  /** Of answers that are over. */
  items: number;
  bytesIn: number;
  bytesOut: number;
  /** Begun and not over, oldest first. */
  readonly running: Set<RunningActivity>;
  /** What waits for an approval, since when, by epoch milliseconds. `approval` undefined: no server knows of it yet. */
  held: { readonly approval: string | undefined; readonly sinceMs: number } | undefined;
  /** That ended last, or was refused; how long it ran in milliseconds. Its text and values are not kept. */
  lastAction: string;
  lastShape: string;
  lastMs: number;
}

/** What of an operation under way is shown. */
export interface RunningActivity {
  readonly operation: Pick<Operation, 'action' | 'shape'>;
  /** Monotonic milliseconds. */
  readonly startedMs: number;
}

export function createActivity(): SessionActivity {
  return {
    ...{ client: {}, operations: 0, denials: 0, items: 0, bytesIn: 0, bytesOut: 0, running: new Set() },
    held: undefined,
    ...{ lastAction: '', lastShape: '', lastMs: 0 },
  };
}

/** One of its operations is over. */
export function noteEnded(activity: SessionActivity, running: RunningActivity, nowMs: number): void {
  if (!activity.running.delete(running)) return;
  noteLast(activity, running.operation, Math.max(0, nowMs - running.startedMs));
}

export function noteDenied(activity: SessionActivity, denial: Pick<Denial, 'action' | 'shape'>): void {
  activity.denials++;
  noteLast(activity, denial, 0);
}

function noteLast(activity: SessionActivity, what: Pick<Denial, 'action' | 'shape'>, ms: number): void {
  activity.lastAction = what.action;
  activity.lastShape = what.shape ?? '';
  activity.lastMs = ms;
}
