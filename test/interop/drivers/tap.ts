/** A listener between a driver and its server that keeps every byte the server sends, and how two such recordings are compared. */
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as os from 'node:os';
import * as path from 'node:path';
import { Backend, Framer } from '../../../src/wire/postgres/index.ts';

export interface Tap extends AsyncDisposable {
  /** Folder of a socket named as libpq names it, for port 5432. */
  readonly socketDir: string;
  /** The same on 127.0.0.1, for who can't use the socket. */
  readonly port: number;
  /** What the server sent, by connection in the order they were opened. */
  readonly recorded: readonly Recording[];
}

export type Recording = readonly Buffer[];

/** Listens, and passes each connection on to the socket with that path. */
export async function startTap(serverPath: string): Promise<Tap> {
  const socketDir = fs.mkdtempSync(path.join(os.tmpdir(), 'cs-tap-'));
  fs.chmodSync(socketDir, 0o755);
  const recorded: Buffer[][] = [];
  const open = new Set<net.Socket>();
  const onConnection = (client: net.Socket) => {
    const chunks: Buffer[] = [];
    recorded.push(chunks);
    const server = net.connect(serverPath);
    server.on('data', (chunk: Buffer) => chunks.push(chunk));
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      open.add(one);
      one
        .on('error', () => {})
        .on('close', () => {
          open.delete(one);
          other.destroySoon();
        });
      one.pipe(other);
    }
  };
  const local = net.createServer(onConnection);
  const remote = net.createServer(onConnection);
  const file = path.join(socketDir, '.s.PGSQL.5432');
  await new Promise<void>((resolve) => local.listen(file, resolve));
  fs.chmodSync(file, 0o777);
  await new Promise<void>((resolve) => remote.listen(0, '127.0.0.1', resolve));
  const address = remote.address();
  return {
    socketDir,
    port: typeof address === 'object' && address !== null ? address.port : 0,
    recorded,
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      local.close();
      remote.close();
      fs.rmSync(socketDir, { recursive: true, force: true });
    },
  };
}

/** Where the second recording first differs from the first, in words; undefined when all messages are the same. */
export function firstDifference(direct: readonly Recording[], through: readonly Recording[]): string | undefined {
  if (direct.length !== through.length) return `${direct.length} connections directly, ${through.length} otherwise`;
  for (const [connection, recording] of direct.entries()) {
    const [wanted, found] = [comparable(recording), comparable(through[connection] ?? [])];
    const at = wanted.findIndex((message, index) => found[index] === undefined || !message.equals(found[index]));
    if (at >= 0 || found.length > wanted.length) {
      const index = at >= 0 ? at : wanted.length;
      const before = wanted.slice(Math.max(0, index - 3), index).map(shown);
      return `connection ${connection}, message ${index}: directly ${shown(wanted[index])}, otherwise ${shown(found[index])}; after ${before.join(', ')}`;
    }
  }
  return undefined;
}

/** Messages in all, of those that are compared. */
export function messageCount(recordings: readonly Recording[]): number {
  return recordings.reduce((sum, recording) => sum + comparable(recording).length, 0);
}

/** All messages but for those of the login, keys and process ids: they belong to the connection, not to an answer. */
function comparable(recording: Recording): Buffer[] {
  const framer = new Framer({ messageBytesMax: 1024 * 1024 });
  framer.push(Buffer.concat(recording));
  const messages: Buffer[] = [];
  while (framer.next()) {
    if (framer.type === Backend.authentication || framer.type === Backend.backendKeyData) continue;
    const message = Buffer.from(framer.buffer.subarray(framer.start, framer.end));
    if (framer.type === Backend.notification) message.fill(0, 5, 9);
    messages.push(message);
  }
  return messages;
}

function shown(message: Buffer | undefined): string {
  return message === undefined ? 'nothing more' : JSON.stringify(message.toString('latin1').slice(0, SHOWN_MAX));
}

const SHOWN_MAX = 300;
