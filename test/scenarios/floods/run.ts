/** Floods one door of a role, asks as others meanwhile, and says what it cost. */
import { spawn } from 'node:child_process';
import * as path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Stack } from '../../support/stack.ts';
import { type DoorName, type FloodKind, type FloodOrder, ROLE_OF } from './kinds.ts';
import { type Latency, openOthers } from './others.ts';
import { connectionsPutOff, heapOf, type Usage, usageOf } from './usage.ts';
import { wayTo } from './ways.ts';

/** What one flood cost. */
export interface FloodReport {
  readonly door: DoorName;
  readonly kind: FloodKind;
  /** Connections that the flooding process made. */
  readonly made: number;
  /** Of one that is known and stays, and of newcomers. */
  readonly known: { readonly before: Latency; readonly during: Latency };
  readonly newcomer: { readonly before: Latency; readonly during: Latency };
  readonly before: Usage;
  /** The most of each. */
  readonly peak: Usage;
  readonly after: Usage;
  /** After how many seconds sockets and memory were back; when they were not, how long that was looked at. */
  readonly backAfter: number;
  /** Connections that this machine's kernel put off during the flood, since those before them had not been taken up yet. */
  readonly putOff: number;
}

export interface FloodSize {
  readonly seconds: number;
  readonly atOnce: number;
  readonly connectionsMax: number;
  /** How long after the flood what the role holds is looked at last; sooner when it is back. */
  readonly restSeconds: number;
  /** What is to be back: sockets at least. */
  readonly awaits: 'sockets' | 'sockets and memory';
  /** The address that the flood comes from; the others are at 127.0.0.1. */
  readonly from: string;
}

/** Runs one flood. */
export async function runFlood(
  stack: Stack,
  { door, kind }: { door: DoorName; kind: FloodKind },
  size: FloodSize,
): Promise<FloodReport> {
  const role = ROLE_OF[door];
  const { pid } = stack.roles[role];
  const others = await openOthers(stack, door);
  const usage = async (): Promise<Usage> => ({
    ...usageOf(pid),
    heap: (await heapOf(stack.folder.http[role])) ?? 0,
  });
  try {
    const beforeEnds = performance.now() + BEFORE_MS;
    const first = await others.measure(() => performance.now() >= beforeEnds);
    const before = await usage();
    const putOffBefore = connectionsPutOff();
    const flood = startFlood(stack, { door, kind }, size);
    const peaks = watchPeak(usage, flood.isOver);
    const during = await others.measure(flood.isOver);
    const made = await flood.made;
    const putOff = connectionsPutOff() - putOffBefore;
    const peak = most(before, await peaks);
    const began = performance.now();
    const seconds = () => Math.round((performance.now() - began) / 100) / 10;
    let after = await usage();
    // A quarter more is what a heap has in young objects at one time and not at another.
    const isBack = () =>
      keptSockets({ before, after }) <= 0 &&
      (size.awaits === 'sockets' || (after.rss <= before.rss * 1.25 && after.heap <= before.heap * 1.25 + 5));
    while (!isBack() && seconds() < size.restSeconds) {
      await pause(500);
      after = await usage();
    }
    return {
      ...{ door, kind, made, before, peak, after, backAfter: seconds(), putOff },
      known: { before: first.known, during: during.known },
      newcomer: { before: first.newcomer, during: during.newcomer },
    };
  } finally {
    await others.close();
  }
}

/** How many sockets of a flood a role has kept; not counted are those that it has to other roles, which it may have to connect to anew at any time. */
export function keptSockets({ before, after }: Pick<FloodReport, 'before' | 'after'>): number {
  return after.sockets - before.sockets - OWN_SOCKETS;
}

/** Ends the role with SIGTERM in the middle of a flood, and starts it again; how long that took, and the exit code. */
export async function stopDuring(
  stack: Stack,
  { door, kind }: { door: DoorName; kind: FloodKind },
  size: FloodSize,
): Promise<{ readonly code: number; readonly stopMs: number }> {
  const role = stack.roles[ROLE_OF[door]];
  const flood = startFlood(stack, { door, kind }, size);
  await pause((size.seconds * 1000) / 2);
  const began = performance.now();
  const code = await role.end('SIGTERM');
  const stopMs = Math.round(performance.now() - began);
  await flood.made;
  role.start();
  await role.ready(60_000);
  return { code, stopMs };
}

/** Starts the process that floods; it ends by itself. */
function startFlood(stack: Stack, { door, kind }: { door: DoorName; kind: FloodKind }, size: FloodSize) {
  const { seconds, atOnce, connectionsMax, from } = size;
  const order: FloodOrder = { kind, way: wayTo(stack, door), from, seconds, atOnce, connectionsMax };
  // Another user than the others' where there are more: who connects to a unix socket is counted by that.
  const user = stack.users.stranger;
  const child = spawn(process.execPath, [CLIENT, JSON.stringify(order)], {
    ...(user === undefined ? {} : { uid: user, gid: user }),
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: seconds * 1000 + 30_000,
    killSignal: 'SIGKILL',
  });
  let over = false;
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  const made = new Promise<number>((resolve) =>
    child.once('close', () => {
      over = true;
      resolve(Number(/"made":(\d+)/.exec(text)?.[1] ?? -1));
    }),
  );
  return { isOver: () => over, made };
}

/** Looks now and then, seldom enough not to be a load itself. */
async function watchPeak(usage: () => Promise<Usage>, isOver: () => boolean): Promise<Usage> {
  let peak: Usage = { sockets: 0, rss: 0, heap: 0 };
  while (!isOver()) {
    peak = most(peak, await usage());
    await pause(500);
  }
  return peak;
}

function most(a: Usage, b: Usage): Usage {
  return {
    sockets: Math.max(a.sockets, b.sockets),
    rss: Math.max(a.rss, b.rss),
    heap: Math.max(a.heap, b.heap),
  };
}

const CLIENT = path.join(import.meta.dirname, 'client.ts');
const BEFORE_MS = 1500;
const OWN_SOCKETS = 2;
