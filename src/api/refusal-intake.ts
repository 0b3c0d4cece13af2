import type { MessageShape } from '@bufbuild/protobuf';
import type { ReportRefusalsRequestSchema } from '@countersign/sdk/contract/gen/countersign/control/v1/control_pb.ts';
import type { AttestedNode, LedgerEvent } from '../model/index.ts';
import { Code, RpcError } from '../rpc/index.ts';
import type { Clock } from '../std/index.ts';
import type { WriteAudit } from './audit.ts';
import { userOf } from './authorize.ts';
import { invalid } from './status.ts';

/** Takes what agents say of processes that they turned away, into the ledger (decision 0026). */
export interface RefusalIntake {
  /** @throws RpcError RESOURCE_EXHAUSTED from a node that reports too often, INVALID_ARGUMENT for what no agent says */
  take(node: AttestedNode, request: MessageShape<typeof ReportRefusalsRequestSchema>): Promise<void>;
}

/** Creates one. What a node says is its own word, and no node can fill the ledger. */
export function createRefusalIntake(deps: { readonly clock: Clock; readonly write: WriteAudit }): RefusalIntake {
  const { clock } = deps;
  const takenMs = new Map<string, number>();
  const admit = (node: string) => {
    const nowMs = clock.monotonicMs();
    if (nowMs - (takenMs.get(node) ?? Number.NEGATIVE_INFINITY) < REPORTS_APART_MS)
      throw new RpcError(Code.RESOURCE_EXHAUSTED, 'refusals are reported too often');
    if (takenMs.size >= NODES_MAX)
      for (const [id, atMs] of takenMs) if (nowMs - atMs >= REPORTS_APART_MS) takenMs.delete(id);
    takenMs.set(node, nowMs);
  };
  return {
    async take({ spiffeId }, { refusals, leftOut }) {
      if (refusals.length > REFUSALS_MAX) throw invalid(`at most ${REFUSALS_MAX} refusals are taken at a time`);
      for (const { target } of refusals) if (!TARGET.test(target)) throw invalid('the target of a refusal is no name');
      admit(spiffeId.uri);
      const about = {
        kind: 'denial',
        timeMs: clock.now(),
        session: '',
        operation: '',
        action: 'agent:identify',
      } as const;
      const node = spiffeId.uri;
      for (const { uid, pid, target, count, firstMs, lastMs } of refusals) {
        const numbers = { pid, count: whole(count), firstMs: whole(firstMs), lastMs: whole(lastMs) };
        const detail: LedgerEvent['detail'] = { decision: 'deny', reason: 'no-identity', node, ...numbers };
        await deps.write({ ...about, actor: userOf(uid), target: target === '' ? 'Workload API' : target, detail });
      }
      if (leftOut === 0n) return;
      const detail = { decision: 'deny', reason: 'no-identity', node, count: whole(leftOut), others: true };
      await deps.write({ ...about, actor: node, target: '', detail });
    },
  };
}

/** An agent's number as one that the ledger takes. */
function whole(value: bigint): number {
  if (value < 0n) return 0;
  return value > MAX ? Number.MAX_SAFE_INTEGER : Number(value);
}

const MAX = BigInt(Number.MAX_SAFE_INTEGER);
const TARGET = /^([a-z0-9][a-z0-9._-]{0,62})?$/;
/** Of one report: an agent leaves out what is more. */
export const REFUSALS_MAX = 20;
/** Half of what an agent waits. */
const REPORTS_APART_MS = 5_000;
/** Beyond so many, those that may report again are forgotten first. */
const NODES_MAX = 10_000;
