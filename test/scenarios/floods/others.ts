/** Who uses a door honestly while it is flooded: one that is known and stays, and newcomers one after the other. */
import { createPrivateKey } from 'node:crypto';
import * as path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Entry, Health } from '@countersign/sdk/contract';
import { stringify } from 'yaml';
import { type Connect, createRpcClient } from '../../../src/rpc/index.ts';
import { createSilentLog, createSystemClock } from '../../../src/std/index.ts';
import { encodePem } from '../../../src/wire/x509/index.ts';
import { createWorkloadIdentity, type OwnIdentity } from '../../../src/workload-identity/index.ts';
import { eventually } from '../../support/eventually.ts';
import { type Door, openRawSession, query } from '../../support/raw-session.ts';
import type { Stack } from '../../support/stack.ts';
import type { DoorName, Way } from './kinds.ts';
import { wayTo } from './ways.ts';

/** In milliseconds. */
export interface Latency {
  readonly median: number;
  readonly worst: number;
  readonly asked: number;
  readonly failed: number;
}

export interface Others {
  /** Measures both until `over`. */
  measure(over: () => boolean): Promise<{ readonly known: Latency; readonly newcomer: Latency }>;
  close(): Promise<void>;
}

interface Parts {
  known(): Promise<void>;
  newcomer(): Promise<void>;
  close(): Promise<void>;
}

/** Lets this process be an operator too, whom the server knows by its SVID. */
export async function declareOperator(stack: Stack): Promise<void> {
  const own = process.getuid?.() ?? 0;
  const selectors = [`unix:uid:${own}`, ...(stack.users.separate ? [] : [`unix:path:${process.execPath}`])];
  const spec = { spiffeId: 'spiffe://example.org/operator', parentId: 'spiffe://example.org/node/first', selectors };
  // Of entries of one second the first by name gives the default identity, and that is to stay the web service's.
  const entry = { kind: 'Entry', name: 'z-operator', spec: { ...spec, admin: true, hint: OPERATOR } };
  const { code, stdout, stderr } = await stack.apply({ 'operator.yaml': stringify(entry) });
  if (code !== 0) throw new Error(`the operator could not be declared: ${stdout}${stderr}`);
}

/** Connects whoever is there before. */
export async function openOthers(stack: Stack, door: DoorName): Promise<Others> {
  const parts = await open(stack, door);
  await parts.known();
  await parts.newcomer();
  return {
    async measure(over) {
      const [known, newcomer] = await Promise.all([
        measure(parts.known, { over, pauseMs: 5 }),
        measure(parts.newcomer, { over, pauseMs: 20 }),
      ]);
      return { known, newcomer };
    },
    close: () => parts.close(),
  };
}

async function open(stack: Stack, door: DoorName): Promise<Parts> {
  const way = wayTo(stack, door);
  switch (door) {
    case 'server':
      return openServer(way, await identityOf(stack, OPERATOR));
    case 'agent':
      return openAgent(way);
    case 'gateway':
    case 'target':
      return openTarget({ path: path.join(stack.socketDir, '.s.PGSQL.5432') });
    case 'direct':
      return openTarget(directDoor(way, await identityOf(stack)));
    default:
      return door satisfies never;
  }
}

/** Known: an operator's calls on one connection. Newcomers: strangers that ask for health, as whoever attests does. */
function openServer(way: Way, { chainDer, keyDer }: OwnIdentity): Parts {
  const key = createPrivateKey({ key: keyDer, format: 'der', type: 'pkcs8' });
  const known = client({ ...tcp(way), tls: { verifyPeer() {}, identity: () => ({ chainDer, key }) } });
  return {
    async known() {
      await known.unary(Entry.method.countEntries, {}, inTime());
    },
    newcomer: () => once({ ...tcp(way), tls: { verifyPeer() {} } }),
    close: () => known.close(),
  };
}

function openAgent(way: Way): Parts {
  if (!('unix' in way)) throw new Error('the Workload API is a unix socket');
  const known = client(way);
  return {
    async known() {
      await known.unary(Health.method.check, {}, inTime());
    },
    newcomer: () => once(way),
    close: () => known.close(),
  };
}

async function openTarget(door: Door): Promise<Parts> {
  // An agent that was just started offers its targets some time after it is ready.
  const session = await eventually('a session', () => openRawSession(door));
  const ask = async (one: typeof session) => {
    one.send(query('select 1'));
    const answer = await one.ready();
    if (!answer.at(-1)?.startsWith('Z')) throw new Error('the session has ended');
  };
  return {
    known: () => ask(session),
    async newcomer() {
      const one = await openRawSession(door);
      await ask(one).finally(() => one.close());
    },
    close: async () => session.close(),
  };
}

function directDoor(way: Way, { chainDer, keyDer }: OwnIdentity): Door {
  const cert = chainDer.map((der) => encodePem('CERTIFICATE', der)).join('');
  const key = encodePem('PRIVATE KEY', keyDer);
  return { port: tcp(way).port, negotiate: 'request', tls: { cert, key, rejectUnauthorized: false } };
}

/** What the Workload API says that this process is. */
async function identityOf({ folder }: Stack, hint?: string): Promise<OwnIdentity> {
  const identity = createWorkloadIdentity({
    ...{ clock: createSystemClock(), log: createSilentLog(), socket: folder.workloadApi },
    ...(hint === undefined ? {} : { hint }),
  });
  await identity.start(AbortSignal.timeout(PATIENCE_MS));
  try {
    return await eventually('an identity', () => identity.current());
  } finally {
    await identity.stop();
  }
}

async function once(connect: Connect): Promise<void> {
  const one = client(connect);
  await one.unary(Health.method.check, {}, inTime()).finally(() => one.close());
}

function client(connect: Connect) {
  return createRpcClient({ clock: createSystemClock(), log: createSilentLog(), connect });
}

function tcp(way: Way): { host: string; port: number } {
  if ('unix' in way) throw new Error('this door is not on TCP');
  return { host: way.host, port: way.port };
}

async function measure(ask: () => Promise<void>, until: { over(): boolean; pauseMs: number }): Promise<Latency> {
  const times: number[] = [];
  let failed = 0;
  while (!until.over()) {
    const began = performance.now();
    await ask().catch(() => {
      failed++;
    });
    times.push(performance.now() - began);
    await pause(until.pauseMs);
  }
  const sorted = times.toSorted((a, b) => a - b);
  const at = (part: number) => Math.round((sorted[Math.floor((sorted.length - 1) * part)] ?? 0) * 10) / 10;
  return { median: at(0.5), worst: at(1), asked: times.length, failed };
}

const inTime = () => ({ signal: AbortSignal.timeout(PATIENCE_MS), timeoutMs: PATIENCE_MS });
const OPERATOR = 'operator';
const PATIENCE_MS = 30_000;
