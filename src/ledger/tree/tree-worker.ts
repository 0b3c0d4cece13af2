import { parentPort, workerData } from 'node:worker_threads';
import { assert, codeOf, messageOf } from '../../std/index.ts';
import { errorTable } from '../errors.ts';
import { createDiskFiles } from '../files.ts';
import type { TreeAnswer, TreeCall } from './tree-thread.ts';
import { createTreeWriter } from './tree-writer.ts';

// The thread's own end of `tree-thread.ts`: runs the calls it is sent, one after another, over the folder it was started with.

assert(parentPort, 'this file runs as a worker thread');
const port = parentPort;
const writer = createTreeWriter({ files: createDiskFiles(), directory: String(workerData) });
let last: Promise<void> = Promise.resolve();

port.on('message', (call: TreeCall) => {
  last = last.then(async () => {
    const answer = await run(call).catch((error: unknown): TreeAnswer => {
      const code = codeOf(error) ?? '';
      return { id: call.id, failure: { code: codeToTell(code), message: messageOf(error) } };
    });
    port.postMessage(answer);
  });
});

async function run(call: TreeCall): Promise<TreeAnswer> {
  switch (call.method) {
    case 'open':
      return { id: call.id, head: await writer.open(call.kept && headOf(call.kept)) };
    case 'advance':
      return { id: call.id, head: await writer.advance(call.size) };
    case 'publish':
      await writer.publish(call.note);
      return { id: call.id };
    case 'close':
      await writer.close();
      return { id: call.id };
    default:
      return call satisfies never;
  }
}

function headOf({ size, root }: { readonly size: number; readonly root: Uint8Array }) {
  return { size, root: Buffer.from(root) };
}

function codeToTell(code: string): keyof typeof errorTable {
  if (code === 'ENOSPC' || code === 'EDQUOT') return 'ERR_LEDGER_FULL';
  return isCode(code) ? code : 'ERR_LEDGER_IO';
}

function isCode(code: string): code is keyof typeof errorTable {
  return Object.hasOwn(errorTable, code);
}
