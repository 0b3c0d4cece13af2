import type { Socket } from 'node:net';
import { parseSpiffeId } from '@countersign/sdk/identity';
import { serialize } from 'pg-protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createSilentLog, createSystemClock, createSystemRandom, Secret } from '../../../../std/index.ts';
import { createTestGate } from '../../../testing/test-gate.ts';
import { createTestLedger } from '../../../testing/test-ledger.ts';
import { parseConfig } from '../config.ts';
import { openUpstream, type Upstream } from '../login/upstream.ts';
import { defaultLimits } from '../sql/index.ts';
import { type AppDatabase, startPeople } from '../testing/app-database.ts';
import { MemoryStream, turn } from '../testing/memory-streams.ts';
import { bind, describePortal, execute, parse, query, sync } from '../testing/messages.ts';
import { createStubPlanner, stubCatalog, stubPolicy } from '../testing/stub-sql.ts';
import { serve } from './serve.ts';

// Goal: where the network cuts the bytes means nothing. One rich session is recorded against a real server; then its bytes come cut in two
// at every offset, one by one, and all at once, in both directions: what the client and the target get is the same to the byte.

/** Start to goodbye in one: whatever has to wait for an answer waits in the gateway. */
const CLIENT = Buffer.concat([
  ...[query('listen news'), query("notify news, 'fresh'")],
  query('select id, name from people order by id; select 1'),
  query(''),
  query('/*mask*/ select name, ssn as x from people order by id'),
  ...[parse('/*mask*/ select ssn from people where id = $1', 's'), sync()],
  ...[bind('s', '', ['1']), describePortal(), execute(), sync()],
  ...[bind('s', 'p', ['3']), execute('p', 1), sync()],
  serialize.close({ type: 'S', name: 's' }),
  sync(),
  query('/*withhold*/ select name::int from people'),
  query('/*deny*/ delete from people'),
  ...[parse('select 1'), bind(), execute(), parse('/*deny*/ select 2'), bind(), execute(), sync()],
  ...[query('begin'), query('/*deny*/ select 3'), query('select 4'), query('rollback')],
  ...[query('copy notes from stdin'), serialize.copyData(Buffer.from('1\tone\n')), serialize.copyDone()],
  ...[parse('copy notes from stdin'), bind(), execute(), sync()],
  ...[serialize.copyData(Buffer.from('2\ttwo\n')), serialize.copyDone(), sync()],
  ...[query('copy notes from stdin'), serialize.copyData(Buffer.from('3\tthree\n')), serialize.copyFail('enough')],
  query('copy (select id, body from notes order by id) to stdout'),
  query('/*limit 2*/ select id from people order by id'),
  query('delete from notes'),
  serialize.end(),
]);

interface Recording {
  /** What the target sent, and how many bytes it had received until then. */
  readonly answers: readonly { readonly afterBytes: number; readonly bytes: Buffer }[];
  readonly toTarget: Buffer;
  readonly toClient: Buffer;
}

let server: AppDatabase;
let recording: Recording;
let upstream: Upstream;

beforeAll(async () => {
  server = await startPeople();
  upstream = await openUpstream(
    {
      config: parseConfig(server.target.config),
      clock: createSystemClock(),
      random: createSystemRandom(),
      secrets: { resolve: async () => Secret.fromText('secret') },
      attempted: () => {},
    },
    {
      parameters: [
        ['database', 'app'],
        ['client_encoding', 'UTF8'],
      ],
      minor: 0,
      signal: AbortSignal.timeout(10_000),
    },
  );
  recording = await record();
});
afterAll(() => server.stop());

/** Serves one session between two streams in memory. */
function session(client: MemoryStream, target: MemoryStream): Promise<void> {
  const ledger = createTestLedger();
  const clock = createSystemClock();
  return serve({
    session: {
      id: 's1',
      identity: parseSpiffeId('spiffe://example.org/web'),
      client,
      door: 'agent',
      isAside: false,
      policy: stubPolicy,
      gate: createTestGate(ledger.session, { clock }),
      signal: new AbortController().signal,
      drain: new AbortController().signal,
      memory: { hold() {} },
    },
    upstream: { ...upstream, socket: target as unknown as Socket }, // It has all that is used of a socket.
    start: {
      database: 'app',
      parameters: [],
      minor: 0,
      negotiate: undefined,
      searchPath: undefined,
      asked: [],
      encoding: 'UTF8',
    },
    key: { processId: 1, key: Buffer.alloc(4), close() {} },
    rest: Buffer.alloc(0),
    log: createSilentLog(),
    conversation: {
      clock,
      planner: createStubPlanner(),
      decider: stubPolicy,
      maskKey: Buffer.alloc(32),
      startPath: undefined,
      encodings: { client: 'UTF8', server: 'UTF8' },
      limits: defaultLimits,
      catalog: () => stubCatalog,
      isOutdated: () => false,
    },
    refreshCatalog: async () => {},
    cancelUpstream: async () => {},
    onCancel() {},
    endUpstream: async () => {},
  });
}

async function record(): Promise<Recording> {
  const client = new MemoryStream();
  const target = new MemoryStream();
  const answers: { afterBytes: number; bytes: Buffer }[] = [];
  let sent = 0;
  target.hear(() => {
    for (const chunk of target.written.slice(sent)) upstream.socket.write(chunk);
    sent = target.written.length;
  });
  upstream.socket.on('data', (bytes: Buffer) => {
    answers.push({ afterBytes: target.writtenBytes, bytes });
    target.push(bytes);
  });
  upstream.socket.on('end', () => target.push(null)).resume();
  const served = session(client, target);
  client.push(CLIENT);
  await served;
  return { answers, toTarget: target.bytes(), toClient: client.bytes() };
}

/** The recorded session with each direction cut as told. */
async function replay(cuts: { client: (bytes: Buffer) => Buffer[]; target: (bytes: Buffer, at: number) => Buffer[] }) {
  const client = new MemoryStream();
  const target = new MemoryStream();
  let next = 0;
  let offset = 0;
  let answering: Promise<void> = Promise.resolve();
  const answer = async () => {
    for (;;) {
      const due = recording.answers[next];
      if (due === undefined || target.writtenBytes < due.afterBytes) return;
      next++;
      const pieces = cuts.target(due.bytes, offset);
      offset += due.bytes.length;
      for (const piece of pieces) {
        target.push(piece);
        if (pieces.length > 1) await turn();
      }
      if (next === recording.answers.length) target.push(null);
    }
  };
  target.hear(() => {
    answering = answering.then(answer);
  });
  const served = session(client, target);
  const pieces = cuts.client(CLIENT);
  for (const piece of pieces) {
    client.push(piece);
    if (pieces.length > 1) await turn();
  }
  let turns = 0;
  let over = false;
  const ended = served.then(() => {
    over = true;
  });
  while (!over && turns++ < TURNS_MAX) await turn();
  if (over) await ended;
  return { toTarget: target.bytes(), toClient: client.bytes() };
}

const whole = (bytes: Buffer) => [bytes];
const single = (bytes: Buffer) => Array.from(bytes, (_, i) => bytes.subarray(i, i + 1));
const cutAt = (bytes: Buffer, at: number) =>
  at <= 0 || at >= bytes.length ? [bytes] : [bytes.subarray(0, at), bytes.subarray(at)];

function expectSame(replayed: { toTarget: Buffer; toClient: Buffer }, how: string) {
  // Buffers of that size are slow to print and unreadable; where they part says more.
  for (const side of ['toTarget', 'toClient'] as const) {
    if (!replayed[side].equals(recording[side])) {
      const wanted = recording[side].toString('latin1');
      expect(replayed[side].toString('latin1'), `${side}, ${how}`).toBe(wanted);
    }
  }
}

describe('a session with everything in it', () => {
  test('was recorded as it should be', () => {
    const shown = recording.toClient.toString('latin1');
    expect(shown).not.toContain('123-45-6789');
    expect(recording.toTarget.toString('latin1')).not.toMatch(/delete from people|\/\*deny\*\//);
    for (const part of ['[redacted]', 'policy does not allow it', 'COPY 1', '1\tone', '57014', 'NOTIFY', 'DELETE 2'])
      expect(shown).toContain(part);
  });

  test('is the same when all comes at once', async () => {
    expectSame(await replay({ client: whole, target: whole }), 'at once');
  });

  test('is the same byte by byte, in each direction and in both', async () => {
    expectSame(await replay({ client: single, target: whole }), 'client byte by byte');
    expectSame(await replay({ client: whole, target: single }), 'target byte by byte');
    expectSame(await replay({ client: single, target: single }), 'both byte by byte');
  });

  test('is the same when the client’s bytes are cut in two, at every offset', async () => {
    for (let at = 1; at < CLIENT.length; at++)
      expectSame(await replay({ client: (bytes) => cutAt(bytes, at), target: whole }), `client cut at ${at}`);
  });

  test('is the same when the target’s bytes are cut in two, at every offset', async () => {
    const total = recording.answers.reduce((bytes, answer) => bytes + answer.bytes.length, 0);
    expect(total).toBeGreaterThan(1_000);
    for (let at = 1; at < total; at++)
      expectSame(
        await replay({ client: whole, target: (bytes, offset) => cutAt(bytes, at - offset) }),
        `target cut at ${at}`,
      );
  });
});

/** A session that does not end by then hangs. */
const TURNS_MAX = 20_000;
