import { type GatewayFinding, type GatewayReport, type GatewayState, reportLimits } from '../../model/index.ts';
import { type Clock, followAbort, type Log, messageOf, type Service, sleep, timeoutSignal } from '../../std/index.ts';
import type { ConditionName } from '../health/condition-table.ts';
import type { Conditions, Finding } from '../health/conditions.ts';

/**
 * Tells the server how far the gateway is with its life, so that agents come and go; what it has taken of the server's updates, and what it
 * finds wrong with that, for whoever applied them.
 */
export interface GatewayReports extends Service {
  /** An update was taken, with or without problems; each stream begins with one, so each server that it comes to is told. */
  taken(revision: number): void;
  state(): GatewayState;
  /** True once it serves and has said so, whether or not the server heard it: whoever restarts one gateway after the other may go on. */
  announced(): boolean;
  /** The gateway is about to stop. Resolves to how many others serve as soon as the server was told; undefined when that fails. */
  leave(): Promise<number | undefined>;
}

/**
 * Creates them. Of each update it is told once the targets were looked at, or that took too long; and again whenever something else is found.
 * A report that fails is sent again, until there is another one. The gateway serves from the first look on that follows an update taken as a whole.
 */
export function createGatewayReports(deps: {
  clock: Clock;
  log: Log;
  conditions: Pick<Conditions, 'findings'>;
  /** True once an update was taken as a whole. */
  informed: () => boolean;
  look: (signal: AbortSignal) => Promise<void>;
  /** Resolves to how many other gateways serve. */
  send: (report: GatewayReport, signal: AbortSignal) => Promise<number>;
}): GatewayReports {
  const { clock, log, conditions } = deps;
  const stopping = new AbortController();
  /** What is to be told of it can not wait. */
  const leaving = followAbort(stopping.signal);
  const left = Promise.withResolvers<number | undefined>();
  let state: GatewayState = 'starting';
  let announced = false;
  let revision: number | undefined;
  let isNew = false;
  /** What the server was told last, in the form that it was told. */
  let told = '';
  let failures = 0;
  let wake = () => {};
  let running: Promise<void> = Promise.resolve();

  const pause = (pauseMs: number) =>
    new Promise<void>((resolve) => {
      const timer = clock.after(pauseMs, resolve);
      wake = () => {
        timer.cancel();
        resolve();
      };
    });
  const tell = async (of: number) => {
    const report = { revision: of, findings: reportedOf(conditions.findings()), state };
    const text = JSON.stringify(report);
    if (text === told) return;
    let others: number | undefined;
    try {
      others = await deps.send(report, stopping.signal);
      told = text;
      failures = 0;
    } catch (error) {
      if (failures === 0 && !stopping.signal.aborted) log.warn('app.report.failed', { problem: messageOf(error) });
      failures++;
    }
    if (report.state === 'serving') announced = true;
    if (report.state === 'leaving') left.resolve(others);
  };
  const run = async () => {
    while (!stopping.signal.aborted) {
      if (!isNew) await pause(failures === 0 ? LOOK_EVERY_MS : Math.min(LOOK_EVERY_MS * 2 ** failures, RETRY_MS_MAX));
      if (revision === undefined || stopping.signal.aborted) continue;
      const of = revision;
      if (isNew) told = '';
      isNew = false;
      // Every time: a target that was away when the policies came may be back.
      if (!leaving.signal.aborted) await lookInTime(deps, leaving.signal);
      if (stopping.signal.aborted) return;
      if (state === 'starting' && deps.informed()) state = 'serving';
      await tell(of);
      const isUrgent = leaving.signal.aborted && isNew;
      const end = leaving.signal.aborted ? stopping.signal : leaving.signal;
      if (!isUrgent) await sleep(clock, GAP_MS, end).catch(() => {}); // Then there is more to say at once, or nothing any more.
    }
  };
  return {
    taken(next) {
      revision = next;
      isNew = true;
      wake();
    },
    ...{ state: () => state, announced: () => announced },
    leave() {
      state = 'leaving';
      leaving.abort();
      // Before it has taken an update nobody was told to come.
      if (revision === undefined || stopping.signal.aborted) left.resolve(undefined);
      else isNew = true;
      wake();
      return left.promise;
    },
    async start() {
      running = run();
    },
    async stop() {
      stopping.abort();
      left.resolve(undefined);
      wake();
      await running;
    },
  };
}

async function lookInTime(
  { clock, log, look }: { clock: Clock; log: Log; look: (signal: AbortSignal) => Promise<void> },
  end: AbortSignal,
): Promise<void> {
  const timeout = timeoutSignal(clock, LOOK_MS_MAX, end);
  try {
    await look(timeout.signal);
  } catch (error) {
    // A look that throws has a bug; what is known without it is told all the same.
    log.error('app.report.look_failed', { error });
  } finally {
    timeout.cancel();
  }
}

/** What of all findings is about what the gateway was given, as much of it as a report takes. */
function reportedOf(findings: readonly Finding[]): readonly GatewayFinding[] {
  const about = findings.filter(({ condition }) => ABOUT_UPDATES.has(condition));
  const left = about.slice(about.length > reportLimits.findings ? reportLimits.findings - 1 : about.length);
  const [first] = left;
  const told = about.slice(0, about.length - left.length).map(
    ({ condition, severity, what, found, remedy }): GatewayFinding => ({
      ...{ condition, severity },
      what: inOneLine(what, reportLimits.what),
      found: inOneLine(found, reportLimits.found),
      remedy: inOneLine(remedy, reportLimits.remedy),
    }),
  );
  if (first === undefined) return told;
  const { condition, severity } = first;
  const remedy = 'Run `countersign doctor` on the machine of the gateway: it shows all of them.';
  return [...told, { condition, severity, what: 'and more', found: `${left.length} more things are wrong`, remedy }];
}

/** As the server takes it. */
function inOneLine(text: string, charsMax: number): string {
  const line = text.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ');
  return line.length > charsMax ? `${line.slice(0, charsMax - 1)}…` : line;
}

const ABOUT_UPDATES: ReadonlySet<ConditionName> = new Set<ConditionName<'gateway'>>([
  'policies',
  'targets',
  'masks',
  'names',
]);
/** Whoever applies waits for five seconds. */
const LOOK_MS_MAX = 3_000;
/** So soon is the server told of what comes later: as often as conditions are looked at. */
const LOOK_EVERY_MS = 1_000;
/** Between two reports, however fast updates come: each is a write to the server's store. */
const GAP_MS = 300;
/** A server that knows no reports is asked seldom. */
const RETRY_MS_MAX = 60_000;
