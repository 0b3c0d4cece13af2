/** Floods one door of a role, asks as another client meanwhile, and says what it cost. */
import { type ChildProcess, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Health } from '@countersign/sdk/contract';
import { parse } from 'yaml';
import { createRpcClient } from '../../../src/rpc/index.ts';
import { createSilentLog, createSystemClock } from '../../../src/std/index.ts';
import { eventually } from '../../support/eventually.ts';
import { openRawSession, query } from '../../support/raw-session.ts';
import type { Stack } from '../../support/stack.ts';
import type { RoleName } from '../../support/stack-folder.ts';
import type { Door, FloodKind, FloodOrder } from './kinds.ts';

/** What one flood cost. Latencies in milliseconds, memory in MiB. */
export interface FloodReport {
  readonly role: RoleName;
  readonly kind: FloodKind;
  /** Connections that the flooding process made. */
  readonly made: number;
  readonly before: Latency;
  readonly during: Latency;
  readonly sockets: { readonly before: number; readonly peak: number; readonly after: number };
  readonly memory: { readonly before: number; readonly peak: number; readonly after: number };
}

export interface Latency {
  readonly median: number;
  readonly worst: number;
  readonly asked: number;
  readonly failed: number;
}

export interface FloodSize {
  readonly seconds: number;
  readonly atOnce: number;
  readonly connectionsMax: number;
  /** How long after the flood sockets and memory are looked at last; sooner when they are back. */
  readonly restSeconds: number;
}

/** One other client of a role. */
interface Other {
  ask(): Promise<void>;
  close(): Promise<void>;
}

/** Runs one flood. */
export async function runFlood(stack: Stack, role: RoleName, kind: FloodKind, size: FloodSize): Promise<FloodReport> {
  const { pid } = stack.roles[role];
  const other = await openOther(stack, role);
  try {
    const before = { latency: await measure(other, { over: () => false, withinMs: BEFORE_MS }), ...usage(pid) };
    const peak = { sockets: before.sockets, memory: before.memory };
    const note = () => {
      const now = usage(pid);
      peak.sockets = Math.max(peak.sockets, now.sockets);
      peak.memory = Math.max(peak.memory, now.memory);
    };
    const flood = startFlood({ kind, door: doorOf(stack, role), ...size });
    const during = await measure(other, { over: flood.over, withinMs: size.seconds * 1000 + 5000, each: note });
    const made = await flood.made;
    const rested = performance.now() + size.restSeconds * 1000;
    const isBack = () => usage(pid).sockets <= before.sockets;
    while (performance.now() < rested && !(isBack() && usage(pid).memory <= before.memory * 1.25)) await pause(250);
    const after = usage(pid);
    return {
      ...{ role, kind, made, before: before.latency, during },
      sockets: { before: before.sockets, peak: peak.sockets, after: after.sockets },
      memory: { before: before.memory, peak: peak.memory, after: after.memory },
    };
  } finally {
    await other.close();
  }
}

/** Ends the role with SIGTERM in the middle of a flood, and starts it again; how long that took, and the exit code. */
export async function stopDuring(
  stack: Stack,
  role: RoleName,
  kind: FloodKind,
  size: FloodSize,
): Promise<{ readonly code: number; readonly stopMs: number }> {
  const flood = startFlood({ kind, door: doorOf(stack, role), ...size });
  await pause((size.seconds * 1000) / 2);
  const began = performance.now();
  const code = await stack.roles[role].end('SIGTERM');
  const stopMs = Math.round(performance.now() - began);
  await flood.made;
  stack.roles[role].start();
  await stack.roles[role].ready(60_000);
  return { code, stopMs };
}

/** Starts the process that floods; it ends by itself. */
function startFlood(order: FloodOrder): { over(): boolean; made: Promise<number> } {
  const child: ChildProcess = spawn(process.execPath, [CLIENT, JSON.stringify(order)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: order.seconds * 1000 + 30_000,
    killSignal: 'SIGKILL',
  });
  let over = false;
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  const made = new Promise<number>((resolve) =>
    child.once('close', () => {
      over = true;
      resolve(Number(/"made":(\d+)/.exec(text)?.[1] ?? -1));
    }),
  );
  return { over: () => over, made };
}

async function measure(
  other: Other,
  until: { over(): boolean; withinMs: number; each?: () => void },
): Promise<Latency> {
  const times: number[] = [];
  let failed = 0;
  for (const end = performance.now() + until.withinMs; performance.now() < end && !until.over(); ) {
    const began = performance.now();
    await other.ask().catch(() => {
      failed++;
    });
    times.push(performance.now() - began);
    until.each?.();
    await pause(PAUSE_MS);
  }
  const sorted = times.toSorted((a, b) => a - b);
  const at = (part: number) => Math.round((sorted[Math.floor((sorted.length - 1) * part)] ?? 0) * 10) / 10;
  return { median: at(0.5), worst: at(1), asked: times.length, failed };
}

/** A client that was there before: a connection of its own, held open. */
async function openOther(stack: Stack, role: RoleName): Promise<Other> {
  if (role === 'gateway') {
    // An agent that was just started offers its targets some time after it is ready.
    const door = { path: path.join(stack.socketDir, '.s.PGSQL.5432') };
    const session = await eventually('a session', () => openRawSession(door));
    return {
      async ask() {
        session.send(query('select 1'));
        const answer = await session.ready();
        if (!answer.at(-1)?.startsWith('Z')) throw new Error('the session has ended');
      },
      close: async () => session.close(),
    };
  }
  const door = doorOf(stack, role);
  const connect = 'unix' in door ? door : { ...door, tls: { verifyPeer() {} } };
  const client = createRpcClient({ clock: createSystemClock(), log: createSilentLog(), connect });
  let asked = 0;
  const ask = async () => {
    // A stranger's connection is not for long; so what newcomers wait for is in it too.
    if (++asked % 50 === 0) client.reconnect();
    await client.unary(Health.method.check, {}, { signal: AbortSignal.timeout(30_000), timeoutMs: 30_000 });
  };
  await ask();
  return { ask, close: () => client.close() };
}

function doorOf({ folder }: Stack, role: RoleName): Door {
  if (role === 'agent') return { unix: folder.workloadApi };
  const config = parse(fs.readFileSync(folder.config, 'utf8')) as Record<RoleName, { listen: string }>; // The stack wrote it.
  const [host = '', port] = config[role].listen.split(':');
  return { host, port: Number(port) };
}

/** What a process holds: sockets, and resident memory in MiB. Files come and go with what it records. */
function usage(pid: number): { sockets: number; memory: number } {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
  return {
    sockets: fs.readdirSync(`/proc/${pid}/fd`).filter((fd) => isSocket(pid, fd)).length,
    memory: Math.round(Number(kilobytes) / 1024),
  };
}

function isSocket(pid: number, fd: string): boolean {
  try {
    return fs.readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith('socket:');
  } catch {
    return false; // Closed since it was listed.
  }
}

const CLIENT = path.join(import.meta.dirname, 'client.ts');
const BEFORE_MS = 1500;
const PAUSE_MS = 5;
