import { Worker } from 'node:worker_threads';
import { messageOf } from '../../std/index.ts';
import { type errorTable, LedgerError } from '../errors.ts';
import type { TreeHead, TreeWriter } from './tree-writer.ts';

/** A call to the thread; it answers each with the same `id`. */
export type TreeCall =
  | { readonly id: number; readonly method: 'open'; readonly kept?: PlainHead }
  | { readonly id: number; readonly method: 'advance'; readonly size: number }
  | { readonly id: number; readonly method: 'publish'; readonly note: string }
  | { readonly id: number; readonly method: 'close' };

/** What the thread answers. Hashes cross as plain bytes. */
export interface TreeAnswer {
  readonly id: number;
  readonly head?: PlainHead;
  readonly failure?: { readonly code: keyof typeof errorTable; readonly message: string };
}

/** A tree head as it crosses between threads. */
interface PlainHead {
  readonly size: number;
  readonly root: Uint8Array;
}

/** A {@link TreeWriter} in a thread of its own, so that hashing takes nothing from the data path. It ends with `close`. */
export function createTreeThread(directory: string): TreeWriter {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const worker = new Worker(new URL(`./tree-worker.${extension}`, import.meta.url), { workerData: directory });
  // The ledger is what keeps its process alive, or not; a thread that waits for work should not.
  worker.unref();
  const waiting = new Map<number, { resolve: (answer: TreeAnswer) => void; reject: (error: Error) => void }>();
  let nextId = 0;
  let ended: LedgerError | undefined;

  const end = (cause: unknown) => {
    ended ??= new LedgerError('ERR_LEDGER_IO', `the hashing thread ended: ${messageOf(cause)}`, { cause });
    for (const { reject } of waiting.values()) reject(ended);
    waiting.clear();
  };
  worker.on('message', (answer: TreeAnswer) => {
    const call = waiting.get(answer.id);
    waiting.delete(answer.id);
    if (waiting.size === 0) worker.unref();
    if (answer.failure) call?.reject(new LedgerError(answer.failure.code, answer.failure.message));
    else call?.resolve(answer);
  });
  worker.on('error', end);
  worker.on('exit', (code) => end(`exit code ${code}`));

  const ask = (call: CallWithoutId): Promise<TreeAnswer> =>
    new Promise((resolve, reject) => {
      if (ended) return reject(ended);
      const id = nextId++;
      waiting.set(id, { resolve, reject });
      worker.ref();
      worker.postMessage({ ...call, id } satisfies TreeCall);
    });
  const askHead = async (call: CallWithoutId): Promise<TreeHead> => {
    const { head } = await ask(call);
    if (!head) throw new LedgerError('ERR_LEDGER_IO', 'the hashing thread gave no tree head');
    return { size: head.size, root: Buffer.from(head.root) };
  };
  return {
    open: (kept) => askHead({ method: 'open', ...(kept && { kept }) }),
    advance: (size) => askHead({ method: 'advance', size }),
    async publish(note) {
      await ask({ method: 'publish', note });
    },
    async close() {
      // A call that is still running was given up: it could take as long as the log is old.
      if (!ended && waiting.size === 0) await ask({ method: 'close' });
      await worker.terminate();
    },
  };
}

type CallWithoutId = TreeCall extends infer Call ? (Call extends TreeCall ? Omit<Call, 'id'> : never) : never;
