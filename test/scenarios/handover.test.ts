// Goal: an agent is restarted, upgraded, or fails to be, and nobody who uses it notices: no session ends, no connect is refused, and whoever watches
// his identity has it again at once. Real processes under load; three times here, with HANDOVERS=10 as often as that.
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as path from 'node:path';
import * as readline from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { SpiffeWorkloadAPI } from '@countersign/sdk/contract';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createRpcClient } from '../../src/rpc/index.ts';
import { createSilentLog, createSystemClock } from '../../src/std/index.ts';
import { encodeQuery } from '../../src/wire/postgres/index.ts';
import { eventually } from '../support/eventually.ts';
import { own } from '../support/owned.ts';
import { run } from '../support/processes.ts';
import { openRawSession, type RawSession } from '../support/raw-session.ts';
import { EXECUTABLE, type Stack, startStack } from '../support/stack.ts';

const HANDOVERS = Number(process.env['HANDOVERS'] ?? 3);
/** Between two acts of a client. */
const BETWEEN_MS = 20;
let stack: Stack;
let door: string;

beforeAll(async () => {
  stack = await startStack();
  door = path.join(stack.socketDir, '.s.PGSQL.5432');
});
afterAll(async () => {
  for (const pid of agents()) process.kill(pid, 'SIGKILL');
  await stack?.stop();
});
afterEach(async () => {
  expect(await servingPid()).toBeGreaterThan(0);
  await select();
});

/** The process IDs of all agents of this stack, whoever started them. */
function agents(): number[] {
  if (stack === undefined) return [];
  const line = `agent\0--config\0${stack.folder.config}\0`;
  return fs
    .readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && commandOf(name).includes(line))
    .map(Number);
}

function commandOf(pid: string): string {
  try {
    return fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return '';
  }
}

async function servingPid(): Promise<number> {
  return eventually('an agent serves, and says so', async () => {
    const pid = Number(fs.readFileSync(stack.folder.agentPid, 'latin1'));
    // However this process ends, the agent that nobody here has started ends too.
    fs.writeFileSync(path.join(stack.folder.pids, `agent-${pid}`), String(pid));
    return (await stack.roles.agent.readiness()).status === 200 && agents().includes(pid) && pid;
  });
}

/** What `systemctl reload` runs, with its output where the agents' is: theirs is the same. Resolves to its exit code, and what came since. */
async function replace(more: readonly string[] = ['--detach']): Promise<{ code: number | null; said: string }> {
  const log = fs.openSync(stack.folder.log('agent'), 'a');
  const at = fs.fstatSync(log).size;
  const user = stack.users.agent;
  const child = own(
    spawn(process.execPath, [EXECUTABLE, 'agent', '--config', stack.folder.config, '--replace', ...more], {
      ...(user === undefined ? {} : { uid: user, gid: user }),
      cwd: '/',
      stdio: ['ignore', log, log],
    }),
  );
  fs.closeSync(log);
  const code = await new Promise<number | null>((resolve) => child.once('exit', resolve));
  return { code, said: fs.readFileSync(stack.folder.log('agent')).subarray(at).toString('utf8') };
}

/** Where one asks the agent to hand over. */
function asked(): string {
  return path.join(stack.folder.data.agent, 'handover.sock');
}

/** Reads a socket's lines, each an object. */
function lines(socket: net.Socket): () => Promise<unknown> {
  const read = readline.createInterface(socket)[Symbol.asyncIterator]();
  socket.on('error', () => {});
  return async () => JSON.parse(String((await read.next()).value));
}

async function select(): Promise<void> {
  const session = await openRawSession({ path: door });
  await work(session);
  session.close();
}

async function work(session: RawSession): Promise<void> {
  for (const sql of ['begin', 'select 1', 'commit']) {
    session.send(encodeQuery(sql));
    const answer = await session.ready();
    if (!answer.at(-1)?.startsWith('Z') || answer.some((message) => message.startsWith('E'))) {
      throw new Error(`${sql} was answered by ${answer.join(' ')}`);
    }
  }
}

/** Clients of all kinds; `end` tells what they did, and what failed. */
function startLoad() {
  const failures: string[] = [];
  const counts = { transactions: 0, connects: 0, streams: 0 };
  let isOver = false;
  const again = async (act: () => Promise<void>) => {
    // Whoever failed is done: what is broken at once, again and again, would leave no time to anyone else.
    let isFailed = false;
    while (!isOver && !isFailed) {
      await act().catch((error: unknown) => {
        isFailed = true;
        failures.push(String(error));
      });
      await pause(BETWEEN_MS); // Clients that hammer would take the machine from what they wait for.
    }
  };
  const persistent = async () => {
    const session = await openRawSession({ path: door });
    await again(async () => {
      await work(session);
      counts.transactions++;
    });
    session.close();
  };
  const connecting = () =>
    again(async () => {
      await select();
      counts.connects++;
    });
  const watching = async () => {
    const client = createRpcClient({
      clock: createSystemClock(),
      log: createSilentLog(),
      connect: { unix: stack.folder.workloadApi },
    });
    const stop = new AbortController();
    const options = { signal: stop.signal, metadata: { 'workload.spiffe.io': 'true' } };
    const watch = again(async () => {
      let seen = 0;
      try {
        for await (const _ of client.serverStream(SpiffeWorkloadAPI.method.fetchX509SVID, {}, options)) {
          if (seen++ === 0) counts.streams++;
        }
      } catch (error) {
        // That it ends is how it learns of the next agent; a stream that brings nothing is a failure.
        if (seen === 0 && !stop.signal.aborted) throw error;
      }
    });
    return async () => {
      stop.abort();
      await watch;
      await client.close();
    };
  };
  const watched = watching();
  const running = [persistent(), persistent(), persistent(), persistent(), connecting(), connecting(), connecting()];
  return {
    counts,
    failures,
    async end() {
      isOver = true;
      await (await watched)();
      await Promise.all(running);
      return { ...counts, failures };
    },
  };
}

/** Something new has come to pass with all of them since. */
async function untilAllMoved(load: ReturnType<typeof startLoad>): Promise<void> {
  const before = { ...load.counts };
  await eventually('all go on', () => {
    expect(load.failures).toEqual([]);
    const { transactions, connects, streams } = load.counts;
    return transactions > before.transactions + 20 && connects > before.connects + 10 && streams > 0;
  });
}

describe('an agent that is restarted under load', () => {
  it('cuts nobody: not by --replace --detach, nor by SIGHUP; and those before end by themselves', async () => {
    const first = await servingPid();
    const load = startLoad();
    await untilAllMoved(load);
    for (let round = 1; round <= HANDOVERS; round++) {
      const before = await servingPid();
      const { streams } = load.counts;
      if (round % 2 === 1)
        expect(await replace()).toMatchObject({ code: 0, said: expect.stringContaining('in the background') });
      else process.kill(before, 'SIGHUP');
      await eventually('another one serves', async () => (await servingPid()) !== before);
      await untilAllMoved(load);
      await eventually('who watches has come back', () => load.counts.streams > streams);
    }
    expect(agents()).toContain(first); // It carries those sessions still.
    expect((await load.end()).failures).toEqual([]);
    const last = await servingPid();
    await eventually('those before have ended', () => agents().join() === String(last));
    await eventually('the first one’s end is known here', () => stack.roles.agent.exitCode !== undefined);
    expect(stack.roles.agent.exitCode).toBe(0);
    const left = (folder: string) => fs.readdirSync(folder).toSorted();
    expect(left(path.dirname(stack.folder.workloadApi))).toEqual(
      ['agent.pid', 'agent.sock', 'data', 'join-token', 'targets'].toSorted(),
    );
    expect(left(stack.socketDir)).toEqual(['.s.PGSQL.5432']);
    const kept = ['cache.sealed', 'handover.sock', 'node.sealed', 'revocations.sealed', 'seal.key'];
    expect(left(stack.folder.data.agent)).toEqual(kept);
  });

  it('goes on when its successor can not start: who asked for it is told why, and its log too', async () => {
    const load = startLoad();
    const before = await servingPid();
    const config = fs.readFileSync(stack.folder.config, 'utf8');
    try {
      fs.writeFileSync(stack.folder.config, config.replace('trustDomain: example.org', 'trustDomain: other.org'));
      expect(await replace()).toMatchObject({
        code: 69,
        said: expect.stringContaining('is of trust domain example.org'),
      });
      fs.writeFileSync(stack.folder.config, `${config}\nnonsense: 1\n`);
      expect(await replace()).toMatchObject({ code: 78, said: expect.stringContaining('nonsense') });
      process.kill(before, 'SIGHUP');
      await eventually('it says so', () => stack.roles.agent.logs().includes('it ended with exit code 78'));
    } finally {
      fs.writeFileSync(stack.folder.config, config);
    }
    await untilAllMoved(load);
    expect(await servingPid()).toBe(before);
    expect((await load.end()).failures).toEqual([]);
  });

  it('goes on when its successor is gone at any step, with its port, its doors and its cache', async () => {
    const load = startLoad();
    const before = await servingPid();
    const want = { say: 'want', version: 1, pid: 4711, release: 'test', trustDomain: 'example.org' };
    for (const said of [[], [want], [want, { say: 'ready' }]]) {
      const successor = net.connect(asked());
      const heard = lines(successor);
      expect(await heard()).toMatchObject({ say: 'hello', pid: before });
      for (const message of said) {
        successor.write(`${JSON.stringify(message)}\n`);
        expect(await heard()).toMatchObject({ say: message === want ? 'paused' : 'go' });
      }
      successor.destroy();
      await untilAllMoved(load);
      expect(await servingPid()).toBe(before);
    }
    expect((await load.end()).failures).toEqual([]);
  });
});

describe('an agent that takes over', () => {
  it('is told what to do when the one that runs hangs, which then goes on', async () => {
    const before = await servingPid();
    process.kill(before, 'SIGSTOP');
    try {
      expect(await replace()).toMatchObject({
        code: 69,
        said: expect.stringContaining('stop it, then start this one'),
      });
    } finally {
      process.kill(before, 'SIGCONT');
    }
    expect(await servingPid()).toBe(before);
  });

  it('finds out that it may no more when it was stopped as it was told to take the doors: exactly one serves, at any time', async () => {
    const before = await servingPid();
    const logs = () => stack.roles.agent.logs();
    const stopped = await stopAtGo();
    const replaced = replace([]);
    const pid = await stopped.pid;
    try {
      await eventually('the one before goes on', () => logs().includes(`"agent.handover.silent","successor":${pid}`));
      // The port of /ready is held by the one that is stopped; workloads have theirs.
      expect(Number(fs.readFileSync(stack.folder.agentPid, 'latin1'))).toBe(before);
      await select();
      expect(await replace()).toMatchObject({
        code: 69,
        said: expect.stringContaining(`process ${pid} was to take over from it and is silent: end that process`),
      });
    } finally {
      process.kill(pid, 'SIGCONT');
      stopped.close();
    }
    expect(await replaced).toMatchObject({ code: 69, said: expect.stringContaining('this agent goes on') });
    expect(await servingPid()).toBe(before);
    expect(await replace()).toMatchObject({ code: 0 });
    expect(await servingPid()).not.toBe(before);
  });

  /** Stands between the agent that runs and its successor, which it stops before it hears that it may take the doors. */
  async function stopAtGo() {
    const real = `${asked()}.real`;
    fs.renameSync(asked(), real);
    const pid = Promise.withResolvers<number>();
    const between = net.createServer((successor) => {
      const agent = net.connect(real);
      const [heard, said] = [lines(successor), lines(agent)];
      const pass = async (next: () => Promise<unknown>, to: net.Socket) => {
        for (;;) {
          const message = JSON.stringify(await next());
          if (message.includes('"go"')) process.kill(await pid.promise, 'SIGSTOP');
          if (message.includes('"want"')) pid.resolve(JSON.parse(message).pid);
          to.write(`${message}\n`);
        }
      };
      for (const [next, to] of [
        [heard, agent],
        [said, successor],
      ] as const)
        void pass(next, to).catch(() => to.end());
    });
    // Closing it takes the name away that it was made under.
    const made = `${asked()}.between`;
    await new Promise<void>((resolve) => between.listen(made, resolve));
    fs.chmodSync(made, 0o666);
    fs.renameSync(made, asked());
    const close = () => {
      between.close();
      fs.rmSync(real);
    };
    return { pid: pid.promise, close };
  }

  it.each([
    'successor',
    'predecessor',
    'successor',
    'predecessor',
  ])('or its predecessor: killed in between, the %s leaves the other to serve', async (which) => {
    let round = await killOne(which);
    while (which === 'successor' && round.isOver) {
      // It had taken over by then, so that nobody was left: another one starts where none is.
      expect(await replace()).toMatchObject({ code: 0 });
      round = await killOne(which);
    }
    const { before, successor, outcome } = round;
    expect(outcome).toMatchObject({
      code: which === 'successor' ? 137 : 0,
      said: expect.stringMatching(which === 'successor' ? '' : 'in the background'),
    });
    expect(await servingPid()).toBe(which === 'successor' ? before : successor);
  });

  /** Kills one of the two as soon as the successor has asked. `isOver`: the predecessor had let go by then. */
  async function killOne(which: string) {
    const before = await servingPid();
    const logs = () => stack.roles.agent.logs();
    const line = `"agent.handover.asked","successor":`;
    const told = logs().split(line).length;
    const replaced = replace();
    await eventually('it is asked', () => logs().split(line).length > told, { everyMs: 2 });
    const successor = Number(logs().split(line).at(-1)?.match(/^\d+/)?.[0]);
    process.kill(which === 'successor' ? successor : before, 'SIGKILL');
    const outcome = await replaced;
    const isSaid = (event: string) => logs().includes(`"agent.handover.${event}","successor":${successor},`);
    if (which === 'successor')
      await eventually('it says what came of it', () => isSaid('done') || isSaid('failed'), { everyMs: 2 });
    return { before, successor, outcome, isOver: isSaid('done') };
  }
});

describe('another user of the machine', () => {
  it('can neither ask an agent to hand over, nor put a socket in the place of its own', async ({ skip }) => {
    skip(!stack.users.separate, 'needs root, for a second user');
    const attempt = async (script: string) => {
      const { stdout } = await run(process.execPath, ['-e', script], { user: stack.users.stranger });
      return stdout.trim();
    };
    const connect = `require('net').connect(${JSON.stringify(asked())}).on('error', (e) => console.log(e.code)).on('connect', () => console.log('in'))`;
    const bind = `require('net').createServer().on('error', (e) => console.log(e.code)).listen(${JSON.stringify(`${asked()}2`)})`;
    const move = `try { require('fs').renameSync('/tmp', ${JSON.stringify(asked())}) } catch (e) { console.log(e.code) }`;
    expect(await Promise.all([connect, bind, move].map(attempt))).toEqual(['EACCES', 'EACCES', 'EACCES']);
  });
});
