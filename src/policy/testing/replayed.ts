import type { RecordedOperation } from '../recorded/operation.ts';
import { createReplay, type Replay } from '../recorded/replay.ts';
import type { CompiledPolicies } from '../types.ts';

/** Those operations, judged again. */
export function replayed(operations: readonly RecordedOperation[], policies: CompiledPolicies): Replay {
  const replaying = createReplay(policies);
  for (const one of operations) replaying.judge(one);
  return replaying.result();
}
