import { parentPort } from 'node:worker_threads';
import { hasSqlDetails, loadModule, parseSync } from 'libpg-query';
import { assert, messageOf } from '../../../../../std/index.ts';
import type { ParseAnswer, ParseCall } from './parse-thread.ts';
import { reducedJson } from './reduce.ts';

// The thread's own end of `parse-thread.ts`: parses the texts it is sent, one after another, on a stack of its own.

assert(parentPort, 'this file runs as a worker thread');
const port = parentPort;
await loadModule();

port.on('message', ({ id, sql }: ParseCall) => {
  port.postMessage(parse(id, sql));
});

function parse(id: number, sql: string): ParseAnswer {
  try {
    return { id, json: reducedJson(parseSync(sql)) };
  } catch (error) {
    if (!hasSqlDetails(error)) return { id, failure: error instanceof RangeError ? 'deep' : 'broken' };
    const position = error.sqlDetails?.cursorPosition;
    return { id, syntax: { message: messageOf(error), position: position === undefined ? undefined : position + 1 } };
  }
}
