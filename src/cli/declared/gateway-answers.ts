import { Control } from '@countersign/sdk/contract';
import type { GatewayStatus } from '@countersign/sdk/contract/gen/countersign/control/v1/control_pb.ts';
import type { GatewayFinding } from '../../model/index.ts';
import type { RpcClient } from '../../rpc/index.ts';
import { type Clock, sleep } from '../../std/index.ts';
import { inOneLine } from '../terminal/printable.ts';

/** A connected gateway, and what it says of what it was given. */
export interface GatewayAnswer {
  readonly spiffeId: string;
  readonly address: string;
  /** False when it has not said in time that it took the revision that was asked about; its findings are of an older one then. */
  readonly taken: boolean;
  readonly findings: readonly GatewayFinding[];
  /** It found more, which the server leaves out. */
  readonly findingsLeftOut: boolean;
}

/** Asks the server what the connected gateways say of a revision, until each has taken it, for {@link ANSWERS_MS_MAX} at most. @throws RpcError */
export async function askGateways(
  client: Pick<RpcClient, 'unary'>,
  options: {
    readonly revision: bigint;
    readonly clock: Clock;
    readonly signal: AbortSignal;
    readonly timeoutMs: number;
  },
): Promise<readonly GatewayAnswer[]> {
  const { revision, clock, signal } = options;
  const endMs = clock.monotonicMs() + ANSWERS_MS_MAX;
  for (let pauseMs = PAUSE_MS_MIN; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX)) {
    const { gateways } = await client.unary(Control.method.listGateways, {}, options);
    const answers = gateways.filter(({ connected }) => connected).map((gateway) => answerOf(gateway, revision));
    if (answers.every(({ taken }) => taken) || clock.monotonicMs() + pauseMs > endMs) return answers;
    await sleep(clock, pauseMs, signal);
  }
}

/** What the server has listed of one, held against the revision that it should have taken. */
export function answerOf(status: GatewayStatus, revision: bigint): GatewayAnswer {
  const { spiffeId, address, findings, findingsLeftOut } = status;
  return {
    ...{ spiffeId, address, findingsLeftOut, taken: status.revision >= revision },
    findings: findings.map(({ condition, severity, what, found, remedy }) => ({
      ...{ condition, what, found, remedy },
      severity: severity === 'failed' || severity === 'degraded' ? severity : 'warning',
    })),
  };
}

/** One line for each thing that is found and was not told before, with all gateways that say so, and one for those that have not taken it. */
export function warningsOf(
  answers: readonly GatewayAnswer[],
  isTold: (finding: GatewayFinding) => boolean = () => false,
): readonly string[] {
  const late = answers.filter(({ taken }) => !taken);
  const byFinding = new Map<string, GatewayAnswer[]>();
  for (const answer of answers.filter(({ taken }) => taken))
    for (const { what, found, remedy } of answer.findings.filter((finding) => !isTold(finding))) {
      const text = `${what}: ${found} (${remedy.replace(/\.$/, '')})`;
      byFinding.set(text, [...(byFinding.get(text) ?? []), answer]);
    }
  const untold = answers.filter(({ taken, findingsLeftOut }) => taken && findingsLeftOut);
  return [
    ...Array.from(byFinding, ([text, by]) => warning(by, text)),
    ...(untold.length === 0 ? [] : [warning(untold, 'more is wrong there; see `countersign doctor` on its machine')]),
    ...(late.length === 0 ? [] : [warning(late, 'has not taken it yet; see `countersign doctor` on its machine')]),
  ];
}

/** Gateways have said it, in words of their own. */
function warning(by: readonly GatewayAnswer[], text: string): string {
  const names = by.slice(0, GATEWAYS_NAMED_MAX).map(({ address }) => address);
  const more = by.length > names.length ? ` and ${by.length - names.length} more` : '';
  return inOneLine(`${by.length === 1 ? 'gateway' : 'gateways'} ${names.join(', ')}${more}: warning: ${text}`);
}

/** A gateway that is well takes an update in less than a second, and says so once it has looked at the targets, three seconds later at most. */
const ANSWERS_MS_MAX = 5_000;
const PAUSE_MS_MIN = 50;
const PAUSE_MS_MAX = 500;
const GATEWAYS_NAMED_MAX = 5;
