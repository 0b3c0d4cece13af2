import type { FindingSeverity } from '../../model/index.ts';
import { type Clock, type Log, type LogFields, messageOf, type Service, type Timer } from '../../std/index.ts';
import { type ConditionName, conditionsOf, conditionTable, type RoleName } from './condition-table.ts';

/**
 * How bad it is: `failed` = the role can't do its work, so it is not ready; `degraded` = something is broken and what can still be done is
 * done; `warning` = somebody should look, and nobody is kept out.
 */
export type Severity = FindingSeverity;

/** One thing that is wrong. No secret is in it. */
export interface Found {
  readonly severity: Severity;
  /** One sentence. */
  readonly found: string;
  /** What it is wrong with, such as one target; the condition itself where absent. */
  readonly what?: string;
  /** What to do, where it is not what the table says. */
  readonly remedy?: string;
  /** Tells it from others of its condition, where `found` has figures that move. */
  readonly key?: string;
  /** Epoch milliseconds; when it was first seen, where its part does not know better. */
  readonly sinceMs?: number;
}

/** One thing that is wrong, as everybody is told of it. */
export interface Finding {
  readonly condition: ConditionName;
  readonly severity: Severity;
  readonly what: string;
  readonly found: string;
  readonly remedy: string;
  readonly sinceMs: number;
}

/** Tells what is wrong with one part now, without waiting for anything; called every second, and for whoever asks. */
export type HealthCheck = () => readonly Found[];

/** A check for each condition of a role: a new row of the table without one does not compile. */
export type HealthChecks<Role extends RoleName> = { readonly [Name in ConditionName<Role>]: HealthCheck };

/** What is wrong with one role. While it runs, each change is a line of the log. */
export interface Conditions extends Service {
  readonly names: readonly ConditionName[];
  /** What is wrong now, worst first. */
  findings(): readonly Finding[];
}

/** Creates those of a role. */
export function createConditions<Role extends RoleName>(
  role: Role,
  deps: { readonly clock: Clock; readonly log: Log; readonly checks: HealthChecks<Role> },
): Conditions {
  const { clock, log, checks } = deps;
  const names = conditionsOf(role);
  const isPastStart = createStartGrace(clock);
  let standing: ReadonlyMap<string, Finding> = new Map();
  let told: ReadonlyMap<string, Finding> = new Map();
  let timer: Timer | undefined;

  const check = (): ReadonlyMap<string, Finding> => {
    const now = new Map<string, Finding>();
    for (const name of names) {
      for (const found of runCheck(checks[name])) {
        const key = JSON.stringify([name, found.what, found.key ?? found.found]);
        now.set(key, findingOf(name, found, standing.get(key)?.sinceMs ?? clock.now()));
      }
    }
    standing = now;
    return now;
  };
  const lookRegularly = () => {
    const now = check();
    if (isPastStart(now.values())) {
      for (const [key, finding] of told) if (!now.has(key)) tell(log, finding, 'ok');
      for (const [key, finding] of now)
        if (told.get(key)?.severity !== finding.severity) tell(log, finding, finding.severity);
      told = now;
    }
    timer = clock.after(LOOK_EVERY_MS, lookRegularly);
  };
  return {
    names,
    findings: () => [...check().values()].toSorted((a, b) => BADNESS[b.severity] - BADNESS[a.severity]),
    async start() {
      timer = clock.after(LOOK_EVERY_MS, lookRegularly);
    },
    async stop() {
      timer?.cancel();
    },
  };
}

/** Why the role is not ready, in words. */
export function reasonsOf(findings: readonly Finding[]): readonly string[] {
  return findings.filter(({ severity }) => severity === 'failed').map(({ found }) => found);
}

/** What every start passes through is worth no line: so nothing is told until the role was ready once, or should have been. */
function createStartGrace(clock: Clock): (findings: Iterable<Finding>) => boolean {
  const begunMs = clock.monotonicMs();
  let past = false;
  return (findings) => {
    past ||= clock.monotonicMs() - begunMs >= START_MS_MAX || reasonsOf([...findings]).length === 0;
    return past;
  };
}

/** What a check says, within bounds. One that throws has a bug: nobody knows how its part is, which is not the same as well. */
function runCheck(check: HealthCheck): readonly Found[] {
  try {
    const all = check();
    if (all.length <= FINDINGS_MAX) return all;
    const severity = all.some((one) => one.severity === 'failed') ? 'failed' : 'degraded';
    const more: Found = { severity, key: 'more', found: `${all.length - FINDINGS_MAX} more are wrong in the same way` };
    return [...all.slice(0, FINDINGS_MAX), more];
  } catch (error) {
    return [{ severity: 'degraded', found: `it could not be looked at: ${messageOf(error)}`, remedy: REPORT }];
  }
}

function findingOf(condition: ConditionName, found: Found, sinceMs: number): Finding {
  return {
    condition,
    severity: found.severity,
    what: found.what ?? condition,
    found: found.found,
    remedy: found.remedy ?? conditionTable[condition].remedy,
    sinceMs: found.sinceMs ?? sinceMs,
  };
}

function tell(log: Log, { condition, what, found, remedy, sinceMs }: Finding, state: Severity | 'ok'): void {
  const fields: LogFields = { condition, state, what, found, since: new Date(sinceMs).toISOString() };
  if (state === 'ok' || 'isWanted' in conditionTable[condition]) log.info('app.condition.changed', fields);
  else log[state === 'failed' ? 'error' : 'warn']('app.condition.changed', { ...fields, remedy });
}

const BADNESS: Readonly<Record<Severity, number>> = { warning: 0, degraded: 1, failed: 2 };
const REPORT = 'Report it: the look at this condition is at fault.';
/** So soon is a change in the log; a check reads what is in memory, and little else. */
const LOOK_EVERY_MS = 1000;
/** Longer than any role takes to start beside the others on a slow machine. */
const START_MS_MAX = 30_000;
/** Of one condition: what is read by people, and by a scraper each time. */
const FINDINGS_MAX = 100;
