import { Entry } from '@countersign/sdk/contract';
import { NEVER, type RealServer } from './real-server.ts';

/** Makes entries numbered from `from` to below `to` under a parent (a path); returns their ids in order. */
export async function createEntries(
  server: RealServer,
  options: { readonly parent: string; readonly from: number; readonly to: number },
): Promise<readonly string[]> {
  const ids: string[] = [];
  for (let start = options.from; start < options.to; start += BATCH) {
    const count = Math.min(BATCH, options.to - start);
    const entries = Array.from({ length: count }, (_, index) => ({
      spiffeId: { trustDomain: 'example.org', path: `/ns/team${start + index}/sa/web` },
      parentId: { trustDomain: 'example.org', path: options.parent },
      selectors: [{ type: 'unix', value: `uid:${start + index}` }],
    }));
    const answer = await server.operator.unary(
      Entry.method.batchCreateEntry,
      { entries },
      { signal: NEVER, timeoutMs: 60_000 },
    );
    for (const { entry, status } of answer.results) {
      if (!entry) throw new Error(`an entry was not made: ${status?.message}`);
      ids.push(entry.id);
    }
  }
  return ids;
}

const BATCH = 1000;
