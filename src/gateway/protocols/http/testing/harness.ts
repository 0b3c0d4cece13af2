/** One HTTP session between a raw client and an upstream that answers as it is told to: what tests of the member's own behaviour stand on. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { parseSpiffeId } from '@countersign/sdk/identity';
import { targetDeps } from '../../../../../test/conformance/protocol-bed.ts';
import { eventually } from '../../../../../test/support/eventually.ts';
import { type Decision, type FieldMask, type Limits, noObligations } from '../../../../model/index.ts';
import { createManualClock, type Log, type ManualClock, Secret } from '../../../../std/index.ts';
import type { CurrentIdentity } from '../../../identity.ts';
import type { LoginProblem } from '../../../protocol.ts';
import { type RequestProofs, SessionEnd, type SessionPolicy } from '../../../sessions/session.ts';
import { createTestGate } from '../../../testing/test-gate.ts';
import { createTestLedger, type TestLedger } from '../../../testing/test-ledger.ts';
import { openTarget } from '../target.ts';

export const CREDENTIAL = 'correct-horse-battery-staple';

export interface Asked {
  readonly action: string;
  readonly resourceId: string;
  readonly tags: Readonly<Record<string, unknown>>;
  readonly context: Readonly<Record<string, unknown>>;
}

export interface HttpBed {
  readonly ledger: TestLedger;
  readonly clock: ManualClock;
  /** All that policy was asked, but whether there may be a session. */
  readonly asked: readonly Asked[];
  /** What reached the upstream, a connection each. */
  readonly upstream: readonly string[];
  readonly problems: readonly (LoginProblem | undefined)[];
  readonly logged: readonly string[];
  readonly client: Socket;
  send(text: string): void;
  received(): string;
  /** Resolves when the client has got that. */
  until(what: string | RegExp): Promise<void>;
  /** Resolves when that has reached the upstream. */
  heard(what: string | RegExp): Promise<void>;
  /** Says that to the session at the upstream's newest connection. */
  say(text: string | Buffer): void;
  /** The upstream's newest connection. */
  readonly socket: Socket;
  /** Resolves when the gateway has ended the upstream's newest connection. */
  upstreamClosed(): Promise<void>;
  /** The client's connection is over. */
  readonly closed: Promise<void>;
  readonly served: Promise<void>;
  end(): void;
  drain(): void;
  /** Policies have changed: `decide` answers by the new ones. */
  changePolicy(): void;
  close(): Promise<void>;
}

export interface HttpBedOptions {
  readonly config?: Readonly<Record<string, unknown>>;
  readonly decide?: (asked: Asked) => Decision | undefined;
  /** What the upstream answers to what it was sent last; undefined: nothing, yet. */
  readonly answer?: (text: string) => string | Buffer | undefined;
  readonly secret?: (reference: string) => string | Promise<string>;
  /** The gateway's. */
  readonly identity?: CurrentIdentity;
  /** What the session gets in place of its end of the client's connection. */
  readonly client?: Duplex;
  readonly proofs?: RequestProofs;
}

export async function openHttp(options: HttpBedOptions = {}): Promise<HttpBed> {
  const { upstream, sockets, server } = await startUpstream(options);
  const clock = createManualClock(0);
  const logged: string[] = [];
  const note = (event: string, fields?: object) => void logged.push(`${event} ${JSON.stringify(fields, stackOf)}`);
  const log: Log = { debug: note, info: note, warn: note, error: note, child: () => log };
  const problems: (LoginProblem | undefined)[] = [];
  const target = openTarget(
    { url: `http://127.0.0.1:${portOf(server)}`, http2: true, ...options.config },
    {
      ...targetDeps(log),
      clock,
      identity: { current: () => options.identity },
      secrets: { resolve: async (reference) => Secret.fromText((await options.secret?.(reference)) ?? CREDENTIAL) },
      attempted: (_, problem) => void problems.push(problem),
    },
  );
  const { asked, policy, changePolicy } = askedPolicy(options);
  const ledger = createTestLedger();
  const [end, drain] = [new AbortController(), new AbortController()];
  const accepted = Promise.withResolvers<Socket>();
  const door = await listen((socket) => accepted.resolve(socket));
  const client = connect({ port: portOf(door), host: '127.0.0.1', allowHalfOpen: true });
  let received = '';
  client
    .on('error', () => {})
    .on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1');
    });
  const closed = new Promise<void>((resolve) => client.once('end', resolve).once('close', () => resolve()));
  const gate = createTestGate(ledger.session, { policy, log, end, clock });
  const served = target
    .serve({
      ...{
        id: 's1',
        identity: parseSpiffeId('spiffe://example.org/web'),
        client: options.client ?? (await accepted.promise),
      },
      ...{
        door: 'agent',
        isAside: false,
        policy,
        gate,
        signal: end.signal,
        drain: drain.signal,
        ...{ memory: { hold() {} }, proofs: options.proofs },
      },
    })
    .finally(() => gate.close());
  const look = (what: string | RegExp, text: () => string) =>
    eventually(`${what} in ${JSON.stringify(text().slice(-2_000))}`, () => found(text(), what), {
      everyMs: 1,
      withinMs: 10_000,
    }).then(() => {});
  return {
    ...{ ledger, clock, asked, upstream, problems, logged, client, closed, served, changePolicy },
    send: (text) => void client.write(text, 'latin1'),
    received: () => received,
    until: (what) => look(what, () => received),
    heard: (what) => look(what, () => upstream.join('\n===\n')),
    say: (text) => void sockets.at(-1)?.write(text),
    get socket() {
      const socket = sockets.at(-1);
      if (socket === undefined) throw new Error('nothing has connected to the upstream');
      return socket;
    },
    upstreamClosed: () =>
      eventually('the end of the connection to the upstream', () => {
        const socket = sockets.at(-1);
        return socket !== undefined && (socket.destroyed || socket.readableEnded);
      }).then(() => {}),
    end: () => end.abort(new SessionEnd({ code: 'identity', what: 'the identity is no longer trusted' })),
    drain: () => drain.abort(new SessionEnd({ code: 'shutdown', what: 'the gateway stops' })),
    async close() {
      client.destroy();
      end.abort(new SessionEnd({ code: 'shutdown', what: 'the test is over' }));
      for (const socket of sockets) socket.destroy();
      server.close();
      door.close();
      await target.close();
    },
  };
}

async function startUpstream({ answer: answerTo }: HttpBedOptions) {
  const upstream: string[] = [];
  const sockets: Socket[] = [];
  const server = await listen((socket) => {
    const index = upstream.push('') - 1;
    sockets.push(socket);
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      upstream[index] += chunk.toString('latin1');
      const answer = answerTo?.(upstream[index] ?? '');
      if (answer === undefined) return;
      upstream[index] += '\n---\n';
      socket.write(answer);
    });
  });
  return { upstream, sockets, server };
}

/** A policy that notes what it was asked. */
function askedPolicy({ decide }: HttpBedOptions) {
  const asked: Asked[] = [];
  const listeners = new Set<() => void>();
  let version = 0;
  const policy: SessionPolicy = {
    // A test decides as it likes, each time anew.
    get version() {
      return ++version;
    },
    policySet: { digest: 'd'.repeat(64), revision: 1, timeMs: 0 },
    principalKey: 'spiffe://example.org/web',
    decide(action, resource, context) {
      if (action === 'http:connect') return allowed();
      const one = { action, resourceId: resource.id, tags: resource.tags ?? {}, context };
      asked.push(one);
      return decide?.(one) ?? allowed();
    },
    potentialMasks: () => [],
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
  const changePolicy = () => {
    for (const listener of [...listeners]) listener();
  };
  return { asked, policy, changePolicy };
}

/** An answer of policy. */
export function allowed(
  obligations: { masks?: readonly FieldMask[]; limits?: Limits; record?: 'full' } = {},
): Decision {
  return { allow: true, policies: ['p1'], obligations: { ...noObligations, ...obligations } };
}

export const denied: Decision = { allow: false, reason: 'no-permit', policies: [] };

/** A whole answer. */
export function answerOf(body: string, fields: Readonly<Record<string, string>> = {}, status = '200 OK'): string {
  const lines = Object.entries({ 'content-type': 'application/json', ...fields }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  return `HTTP/1.1 ${status}\r\n${lines.join('')}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

/** Lets everything that has been sent arrive: for what must not happen, of which nothing tells. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
}

function found(text: string, what: string | RegExp): boolean {
  return typeof what === 'string' ? text.includes(what) : what.test(text);
}

function stackOf(_: string, value: unknown): unknown {
  return value instanceof Error ? value.stack : value;
}

async function listen(accept: (socket: Socket) => void): Promise<Server> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, accept);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}
