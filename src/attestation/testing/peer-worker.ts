/**
 * `node peer-worker.ts SOCKET`: attests whoever connects to SOCKET, as an agent does, and writes what came out: a line of JSON, the selectors or why
 * there are none. Writes `ready` when it listens. To be run in namespaces of its own.
 */
import { chmodSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { formatSelector } from '../../model/index.ts';
import { messageOf } from '../../std/index.ts';
import { member } from '../attestors/unix/index.ts';
import { readPeer } from '../process/peer-process.ts';

const [path = ''] = process.argv.slice(2);
const attest = member.workload.open({});
const say = (value: unknown) => process.stdout.write(`${JSON.stringify(value)}\n`);

async function told(socket: Socket): Promise<unknown> {
  try {
    return { selectors: (await attest(readPeer(socket), AbortSignal.timeout(10_000))).map(formatSelector) };
  } catch (error) {
    return { refused: messageOf(error) };
  }
}

createServer(async (socket) => {
  say(await told(socket));
  socket.destroy();
}).listen(path, () => {
  chmodSync(path, 0o777);
  say('ready');
});
