import type { GatewayState as GatewayStateMessage } from '@countersign/sdk/contract/gen/countersign/control/v1/control_pb.ts';

/** How bad it is: `failed` = work can't be done; `degraded` = what can still be done is done; `warning` = somebody should look. */
export type FindingSeverity = 'warning' | 'degraded' | 'failed';

/** What a gateway finds wrong with the targets and policies that it was given. No secret is in it. */
export interface GatewayFinding {
  /** Which of the gateway's conditions: `masks`, `targets` and so on. */
  readonly condition: string;
  readonly severity: FindingSeverity;
  /** What it is wrong with, such as one target. */
  readonly what: string;
  /** One sentence. */
  readonly found: string;
  /** What to do. */
  readonly remedy: string;
}

/** How far a gateway is with its life: agents are told of those that serve. `leaving`: it is about to stop, and takes no new session. */
export type GatewayState = 'starting' | 'serving' | 'leaving';

/** The states as the contract numbers them. */
export const gatewayStateNumbers = { starting: 1, serving: 2, leaving: 3 } as const satisfies Readonly<
  Record<GatewayState, GatewayStateMessage>
>;

/** What a gateway says of itself, and of the updates of targets and policies that it gets. */
export interface GatewayReport {
  /** Of the update that it took last; what of it is not in force is among the findings. */
  readonly revision: number;
  /** Worst first. */
  readonly findings: readonly GatewayFinding[];
  readonly state: GatewayState;
}

/** How much one report may say, in findings and in characters of their texts: a screenful, which ten thousand gateways may all have to say. */
export const reportLimits = { findings: 20, condition: 32, what: 200, found: 1000, remedy: 500 } as const;
