/**
 * The bulk client, a process of its own: it speaks just enough of the protocol to send a statement, counts the bytes of the answer
 * and looks at nothing but its end. The same for all subjects. Started by `fork`; a {@link DrainJob} is its first argument.
 *
 * It says `ready`, waits for any message, works, reports, and ends.
 */
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as tls from 'node:tls';
import type { Door } from './door.ts';

export type DrainJob =
  /** Runs `sql`, each time until the server is ready again; the first time is not counted. */
  | { readonly kind: 'query'; readonly door: Door; readonly sql: string; readonly times: number }
  /** Copies so many rows into `sink`. */
  | { readonly kind: 'copy-in'; readonly door: Door; readonly rows: number }
  /** Opens so many sessions and holds them. */
  | { readonly kind: 'hold'; readonly door: Door; readonly sessions: number };

export interface DrainReport {
  /** On the client's side of the protocol, without TLS. */
  readonly bytes: number;
  readonly ms: number;
  /** The command tag of the last statement, such as `SELECT 10000`. */
  readonly tag: string;
  /** The first bytes of the last answer, as text. */
  readonly head: string;
}

async function work(job: DrainJob): Promise<void> {
  const { door } = job;
  if (job.kind === 'hold') {
    const sessions: Session[] = [];
    while (sessions.length < job.sessions) {
      const count = Math.min(OPENED_TOGETHER, job.sessions - sessions.length);
      sessions.push(...(await Promise.all(Array.from({ length: count }, () => openSession(door)))));
    }
    await go();
    report({ bytes: 0, ms: 0, tag: '', head: '' });
    return process.disconnect();
  }
  const session = await openSession(door);
  if (job.kind === 'copy-in') {
    await go();
    report(await copyIn(session, job.rows));
  } else {
    let last = await session.ask(query(job.sql));
    await go();
    const began = performance.now();
    let bytes = 0;
    for (let i = 0; i < job.times; i++) {
      last = await session.ask(query(job.sql));
      bytes += last.bytes;
    }
    report({ ...last, bytes, ms: performance.now() - began });
  }
  session.close();
  process.disconnect();
}

function report(what: DrainReport): void {
  process.send?.(what);
}

/** Tells the parent that everything is prepared, and waits for its word. */
function go(): Promise<void> {
  return new Promise((resolve) => {
    process.once('message', () => resolve());
    process.send?.('ready');
  });
}

interface Answer {
  readonly bytes: number;
  readonly tag: string;
  readonly head: string;
}

interface Session {
  readonly socket: net.Socket;
  /** Sends, and reads to the next ReadyForQuery. */
  ask(bytes: Buffer): Promise<Answer>;
  /** Sends, and reads to the next bytes that end in `end`. */
  until(bytes: Buffer, end: (tail: Buffer) => boolean): Promise<Answer>;
  close(): void;
}

async function openSession(door: Door): Promise<Session> {
  const session = createSession(await openSocket(door));
  const parameters = Buffer.from(`user\0${door.user}\0database\0${door.database}\0\0`);
  await session.ask(message('', Buffer.concat([Buffer.from([0, 3, 0, 0]), parameters])));
  return session;
}

async function openSocket(door: Door): Promise<net.Socket> {
  const socket = door.socketDir
    ? net.connect(`${door.socketDir}/.s.PGSQL.${door.port}`)
    : net.connect({ port: door.port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  if (door.tls === undefined) return socket;
  socket.write(message('', Buffer.from([4, 210, 22, 47])));
  const answer = await once(socket, 'data');
  if (String(answer) !== 'S') throw new Error(`the request for TLS was answered with ${answer}`);
  const secured = tls.connect({
    socket,
    cert: fs.readFileSync(door.tls.cert),
    key: fs.readFileSync(door.tls.key),
    ca: fs.readFileSync(door.tls.roots),
    checkServerIdentity: () => undefined, // As libpq's verify-ca.
  });
  await once(secured, 'secureConnect');
  return secured;
}

function createSession(socket: net.Socket): Session {
  let bytes = 0;
  let head: Buffer = Buffer.alloc(0);
  let tail: Buffer = Buffer.alloc(0);
  let end: (tail: Buffer) => boolean = isReady;
  let done: (answer: Answer) => void = () => {};
  let failed: (error: Error) => void = () => {};
  socket.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (head.length < HEAD_BYTES) head = Buffer.concat([head, chunk.subarray(0, HEAD_BYTES - head.length)]);
    tail =
      chunk.length >= TAIL_BYTES ? chunk.subarray(-TAIL_BYTES) : Buffer.concat([tail, chunk]).subarray(-TAIL_BYTES);
    if (!end(tail)) return;
    done({ bytes, tag: tagIn(tail), head: head.toString('latin1') });
  });
  socket.on('error', (error) => failed(error));
  socket.on('close', () => failed(new Error(`the session ended: ${head.toString('latin1')}`)));
  const until: Session['until'] = (sent, isEnd) =>
    new Promise((resolve, reject) => {
      bytes = 0;
      head = Buffer.alloc(0);
      [end, done, failed] = [isEnd, resolve, reject];
      socket.write(sent);
    });
  return { socket, until, ask: (sent) => until(sent, isReady), close: () => socket.end(message('X', Buffer.alloc(0))) };
}

async function copyIn(session: Session, rows: number): Promise<DrainReport> {
  const text = `4711\t${ROW_TEXT.repeat(3)}${'c'.repeat(32)}\n`;
  const rowsInMessage = Math.floor(COPY_MESSAGE_BYTES / text.length);
  const full = message('d', Buffer.from(text.repeat(rowsInMessage)));
  const rest = message('d', Buffer.from(text.repeat(rows % rowsInMessage)));
  const { socket } = session;
  const began = performance.now();
  // CopyInResponse: G, length 16, text format, five columns of text format.
  await session.until(query('copy sink from stdin'), (tail) => tail.includes(COPY_IN_RESPONSE));
  const answer = session.until(rest, isReady);
  for (let i = 0; i < Math.floor(rows / rowsInMessage); i++) if (!socket.write(full)) await once(socket, 'drain');
  socket.write(message('c', Buffer.alloc(0)));
  const { tag, head } = await answer;
  return { bytes: rows * text.length, ms: performance.now() - began, tag, head };
}

function query(sql: string): Buffer {
  return message('Q', Buffer.from(`${sql}\0`));
}

function message(type: string, body: Buffer): Buffer {
  const made = Buffer.alloc(type.length + 4 + body.length);
  made.write(type, 'latin1');
  made.writeUInt32BE(body.length + 4, type.length);
  body.copy(made, type.length + 4);
  return made;
}

/** ReadyForQuery, idle. The tables hold no capital Z, so no row can look like it. */
function isReady(tail: Buffer): boolean {
  return tail.length >= READY.length && tail.subarray(-READY.length).equals(READY);
}

function tagIn(tail: Buffer): string {
  return tail.toString('latin1').match(/C\0\0\0[\s\S]([A-Z]+(?: \d+)*)\0Z\0\0\0\x05I$/)?.[1] ?? '';
}

function once(socket: net.Socket, event: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void) => {
      socket.off(event, onEvent).off('error', reject);
      act();
    };
    const onEvent = (value: unknown) => settle(() => resolve(value));
    socket.on(event, onEvent).once('error', reject);
  });
}

const READY = Buffer.from([0x5a, 0, 0, 0, 5, 0x49]);
const COPY_IN_RESPONSE = Buffer.from([0x47, 0, 0, 0, 17, 0, 0, 5]);
const ROW_TEXT = `${'a'.repeat(32)}\t`;
const COPY_MESSAGE_BYTES = 64 * 1024;
const OPENED_TOGETHER = 16;
const HEAD_BYTES = 4096;
const TAIL_BYTES = 64;

// At the end: the constants above must be there.
await work(JSON.parse(process.argv[2] ?? '') as DrainJob); // Written by drain-client.ts.
