/** One session of a protocol's member between a client and a target of the member's own fixture, by a ledger and a policy that wait and turn as they are told to. */
import { connect as connectTcp, createServer, type Socket } from 'node:net';
import { parseSpiffeId } from '@countersign/sdk/identity';
import {
  type GatewaySession,
  type ProtocolPath,
  SessionEnd,
  type SessionPolicy,
  type Target,
  type TargetDeps,
} from '../../src/gateway/index.ts';
import { createTestGate } from '../../src/gateway/testing/test-gate.ts';
import { createTestLedger, type TestLedger } from '../../src/gateway/testing/test-ledger.ts';
import { type Decision, type Limits, noObligations } from '../../src/model/index.ts';
import {
  createCacheBudget,
  createManualClock,
  createSystemClock,
  createSystemRandom,
  type Log,
  Secret,
} from '../../src/std/index.ts';
import { eventually } from '../support/eventually.ts';

/**
 * What a protocol brings for its family's suite, as `conformance` in `testing/conformance.ts` of its folder. Where its clients may speak or prove who they
 * are in other ways as well, it brings one for each of these, by name, as `others`.
 */
export interface ProtocolFixture {
  /** The config of a target on that port; it names its password by `env:PW`. */
  config(port: number): unknown;
  /** What a client says first. */
  readonly hello: Buffer;
  /** A target that answers, with that password; `heard` is told of each operation that reaches it, by its name. */
  startTarget(heard: (name: string) => void, password: string): Promise<FixtureTarget>;
  /** One request of that kind. Names are letters, digits and `-`, and stand in its content. */
  request(kind: RequestKind, name: string): Buffer;
  /** Reads what a client gets, and says what it is told by each chunk. A member says `hello` once it takes requests. */
  createReader(): (chunk: Buffer) => readonly Told[];
  /** Where a request is not the same bytes each time: one client, which says more by `say`. It is asked in place of `request` and `createReader`. */
  createClient?(say: (bytes: Buffer) => void): FixtureClient;
  /** Where its clients are not known when they come: has them prove who they are, and the target serve them by one session. */
  admit?(target: Target, session: GatewaySession): Promise<void>;
  /** Promises of the suite that it can't be held to, by their id, and why. */
  readonly skipped?: Readonly<Record<string, string>>;
  /** The kind of the requests that ask this; of those that policy says nothing special to, anything else. */
  kindOf(action: string, resourceId: string): string | undefined;
  /** Ends what its targets share. */
  stop?(): Promise<void>;
}

/**
 * `many`: its answer has five items, of which policy allows two. `bulky`: its answer has 20 kB, of which policy allows half. `heavy`: it has twice the
 * bytes that policy allows. `slow`: it does not end by itself, and policy allows it a second. `rated`: policy allows two a minute. `flood`: its answer
 * has some 50 MB.
 */
export type RequestKind = 'read' | 'change' | 'denied' | 'many' | 'bulky' | 'heavy' | 'slow' | 'rated' | 'flood';

/** `item`: a part of an answer; `answer`: the end of one that went well; `refusal`: an ordinary error; `end`: the session is over, and why. */
export type Told = 'hello' | 'item' | 'answer' | 'refusal' | 'end';

/** What one client says and reads. */
export interface FixtureClient {
  request(kind: RequestKind, name: string): Buffer;
  read(chunk: Buffer): readonly Told[];
}

export interface FixtureTarget {
  readonly port: number;
  /** Answers wait until the returned function is called. */
  hold(): () => void;
  /** All its connections break. */
  lose(): void;
  close(): Promise<void>;
}

export interface Bed {
  readonly fixture: ProtocolFixture;
  readonly ledger: TestLedger;
  readonly target: FixtureTarget;
  readonly client: Socket;
  /** The gateway's side of it. */
  readonly inner: Socket;
  /** What has come to pass, in its order: `intent`, `outcome STATUS`, `denial`, `heard NAME`, `told WHAT`. */
  readonly story: readonly string[];
  /** All that the client has got. */
  received(): Buffer;
  /** All that was logged, as text. */
  readonly logged: string[];
  /** Bytes that the session says it holds; the most so far. */
  readonly heldBytesMax: number;
  send(kind: RequestKind, name: string): void;
  /** What it would say next. */
  request(kind: RequestKind, name: string): Buffer;
  /** Resolves when that is in the story, that often. */
  until(line: string, times?: number): Promise<void>;
  /** Lets time pass for the gate. */
  pass(ms: number): Promise<void>;
  /** Lets everything happen that can happen without anybody's doing. */
  settle(): Promise<void>;
  end(): void;
  drain(): void;
  /** Policy no longer allows anything. */
  forbid(): void;
  readonly served: Promise<void>;
  close(): Promise<void>;
}

export const CLIENT = 'spiffe://example.org/web';
export const PASSWORD = 'correct horse battery';

/** What a target is opened with; its secret is the password. */
export function targetDeps(log: Log): TargetDeps {
  return {
    name: 'target',
    clock: createSystemClock(),
    random: createSystemRandom(),
    log,
    secrets: { resolve: async () => Secret.fromText(PASSWORD) },
    policies: { names: () => undefined, onChange: () => () => {} },
    identity: { current: () => undefined },
    caches: createCacheBudget(1 << 20),
    maskKey: new Secret(Buffer.alloc(32)),
    attempted: () => {},
  };
}

export async function openBed(path: ProtocolPath, fixture: ProtocolFixture): Promise<Bed> {
  const story: string[] = [];
  const logged: string[] = [];
  const ledger = createTestLedger(({ kind, detail }) => {
    story.push(kind === 'outcome' ? `outcome ${String(detail['status'])}` : kind);
  });
  const target = await fixture.startTarget((name) => void story.push(`heard ${name}`), PASSWORD);
  const note = (event: string, fields?: object) => void logged.push(`${event} ${textOf(fields)}`);
  const log: Log = { debug: note, info: note, warn: note, error: note, child: () => log };
  const opened = path.openTarget(fixture.config(target.port), targetDeps(log));
  const listeners = new Set<() => void>();
  let isForbidden = false;
  let version = 1;
  const policy: SessionPolicy = {
    get version() {
      return version;
    },
    policySet: POLICY_SET,
    principalKey: CLIENT,
    decide: (action, { id }) => (isForbidden ? DENIED : decide({ action, resourceId: id }, fixture)),
    potentialMasks: () => [],
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
  const end = new AbortController();
  const drain = new AbortController();
  const accepted = Promise.withResolvers<Socket>();
  const server = createServer({ noDelay: true, pauseOnConnect: true, allowHalfOpen: true }, (socket) =>
    accepted.resolve(socket),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const client = connectTcp(typeof address === 'object' && address !== null ? address.port : 0, '127.0.0.1');
  const chunks: Buffer[] = [];
  const speaker = fixture.createClient?.((bytes) => void client.write(bytes)) ?? plainClient(fixture);
  client.on('error', () => {});
  client.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    for (const one of speaker.read(chunk)) story.push(`told ${one}`);
  });
  const inner = await accepted.promise;
  let heldBytesMax = 0;
  const clock = createManualClock(0);
  const gate = createTestGate(ledger.session, { policy, log, end, clock });
  const hold = (bytes: number) => {
    heldBytesMax = Math.max(heldBytesMax, bytes);
  };
  const session: GatewaySession = {
    ...{ id: 's1', identity: parseSpiffeId(CLIENT), client: inner, door: 'agent', isAside: false, policy, gate },
    ...{ signal: end.signal, drain: drain.signal, memory: { hold } },
  };
  const served = (fixture.admit?.(opened, session) ?? opened.serve(session)).finally(() => gate.close());
  client.write(fixture.hello);
  const until = (line: string, times = 1) =>
    eventually(`${line} in ${story.join(', ')}`, () => story.filter((one) => one === line).length >= times, {
      everyMs: 1,
      withinMs: PATIENCE_MS,
    }).then(() => {});
  return {
    ...{ fixture, ledger, target, client, inner, story, logged, served, until, settle },
    received: () => Buffer.concat(chunks),
    pass: (ms) => clock.advance(ms),
    get heldBytesMax() {
      return heldBytesMax;
    },
    send: (kind, name) => void client.write(speaker.request(kind, name)),
    request: speaker.request,
    end: () => end.abort(new SessionEnd({ code: 'identity', what: 'the identity is no longer trusted' })),
    drain: () => drain.abort(new SessionEnd({ code: 'shutdown', what: 'the gateway stops' })),
    forbid() {
      isForbidden = true;
      version++;
      for (const listener of [...listeners]) listener();
    },
    async close() {
      client.destroy();
      inner.destroy();
      server.close();
      end.abort(new SessionEnd({ code: 'shutdown', what: 'the test is over' }));
      await target.close();
      await opened.close();
    },
  };
}

function plainClient({ request, createReader }: ProtocolFixture): FixtureClient {
  return { request, read: createReader() };
}

/** What the suite's policy answers. */
export function decide(question: { action: string; resourceId: string }, { kindOf }: ProtocolFixture): Decision {
  const kind = kindOf(question.action, question.resourceId);
  if (kind === 'denied') return DENIED;
  const limits = LIMITS.get(kind ?? '') ?? {};
  const quotas =
    limits.rate === undefined ? {} : { quotas: [{ policy: 'p1', unit: 'rate', most: limits.rate } as const] };
  return { allow: true, policies: ['p1'], obligations: { ...noObligations, limits, ...quotas } };
}

const LIMITS: ReadonlyMap<string, Limits> = new Map<RequestKind, Limits>([
  ['many', { items: 2 }],
  ['bulky', { bytesOut: 10_000 }],
  ['heavy', { bytesIn: 10_000 }],
  ['slow', { duration: 1_000 }],
  ['rated', { rate: 2 }],
]);

function textOf(fields: object | undefined): string {
  return Object.entries(fields ?? {})
    .map(([name, value]) => `${name}=${value instanceof Error ? (value.stack ?? '') : String(value)}`)
    .join(' ');
}

/** Both sides and the target are of this process: what one of them has written, another has read a few turns later. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** What each entry says that it was judged by. */
export const POLICY_SET = { digest: 'd'.repeat(64), revision: 3, timeMs: 1_800_000_000_000 };
const DENIED: Decision = { allow: false, reason: 'no-permit', policies: [] };
const TURNS = 100;
const PATIENCE_MS = 30_000;
