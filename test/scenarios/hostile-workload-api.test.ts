/**
 * Local users that mean harm, against the real agent as a process of its own: crowds of streams and connections, callers killed at every
 * stage of their call, half-said and senseless bytes. Everybody else must be served all the time, and nothing of it may stay.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { own } from '../support/owned.ts';
import { run, type User } from '../support/processes.ts';
import { type Stack, startStack } from '../support/stack.ts';

const STREAMS = 10_000;
const USERS = 3;
const STREAMS_PER_CONNECTION = 100;
const THIRD_USER = 12_113;
const CONNECTIONS_PER_UID_MAX = 2_048;

let stack: Stack;
const children: ChildProcess[] = [];

beforeAll(async () => {
  stack = await startStack({ store: 'sqlite' });
  if (!stack.users.separate) return;
  const created = await stack.cli([
    ...[
      'entry',
      'create',
      '--spiffe-id',
      'spiffe://example.org/third',
      '--parent-id',
      'spiffe://example.org/node/first',
    ],
    ...['--selector', `unix:uid:${THIRD_USER}`],
  ]);
  expect(created).toMatchObject({ code: 0 });
  await eventually('the third user has an identity', async () => (await askOnce(THIRD_USER)) === 'served');
});
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await stack?.stop();
});

describe('10,000 open streams', () => {
  it('of three users are all served, cost little memory each, and leave nothing behind', async (context) => {
    if (!stack.users.separate) return context.skip('needs users of its own');
    const before = { fds: agentFds(), kilobytes: agentKilobytes() };
    const connections = Math.ceil(STREAMS / USERS / STREAMS_PER_CONNECTION);
    const crowds = [stack.users.web, stack.users.batch, THIRD_USER].map((user) =>
      startScript(user, 'crowd', connections, STREAMS_PER_CONNECTION),
    );
    for (const crowd of crowds) expect(await crowd.line).toBe(`open ${connections * STREAMS_PER_CONNECTION}`);
    const perStream = (1024 * (agentKilobytes() - before.kilobytes)) / (USERS * connections * STREAMS_PER_CONNECTION);
    expect(perStream).toBeLessThan(60_000);
    expect(await askOnce(stack.users.web)).toBe('served');
    for (const { child } of crowds) child.kill('SIGKILL');
    await eventually('all of it is given back', () => agentFds() <= before.fds);
    expect(agentPidfds()).toBeLessThanOrEqual(before.fds);
    expect(await askOnce(stack.users.batch)).toBe('served');
    return undefined;
  });
});

describe('a caller that is killed', () => {
  // The agent hides its descriptors even from its own user.
  it.runIf(process.getuid?.() === 0).each([
    ['as soon as it has connected', 0],
    ['after the preface', 1],
    ['in the middle of its headers', 2],
    ['before its request', 3],
    ['after its request, while it is attested', 4],
    ['in the middle of a frame that claims 16 MiB', 5],
  ])('%s leaves no descriptor and no process handle', async (_stage, stage) => {
    const before = { fds: agentFds(), pidfds: agentPidfds() };
    for (let round = 0; round < 3; round++) {
      const { child, line } = startScript(stack.users.web, 'half', 100, stage);
      expect(await line).toBe('sent');
      child.kill('SIGKILL');
    }
    await eventually('nothing is left', () => agentFds() <= before.fds && agentPidfds() <= before.pidfds);
    expect(await askOnce(stack.users.batch)).toBe('served');
  });
});

describe('one user', () => {
  it('who takes all connections that he may have, and lets them hang, stops nobody else', async (context) => {
    if (!stack.users.separate) return context.skip('needs users of its own');
    const before = { fds: agentFds(), log: agentLog().length };
    const { child, line } = startScript(stack.users.web, 'half', CONNECTIONS_PER_UID_MAX + 500, 1);
    expect(await line).toBe('sent');
    await eventually('the agent has refused some', () => agentLog().includes('"event":"rpc.connection.refused"'));
    expect(agentPidfds()).toBeLessThanOrEqual(CONNECTIONS_PER_UID_MAX + before.fds);
    expect(await askOnce(stack.users.batch)).toBe('served');
    const lines = agentLog()
      .slice(before.log)
      .split('\n')
      .filter((text) => text.includes('rpc.connection.refused'));
    expect(lines.length).toBeLessThan(50);
    child.kill('SIGKILL');
    await eventually('all of it is given back', () => agentFds() <= before.fds);
    expect(await askOnce(stack.users.web)).toBe('served');
    return undefined;
  });

  it('who floods with resets, pings, settings and noise is cut off each time, and the agent stays what it was', async () => {
    const before = agentKilobytes();
    const { line } = startScript(stack.users.web, 'flood', 20, 0);
    const asked: Promise<string>[] = [];
    for (let n = 0; n < 5; n++) asked.push(askOnce(stack.users.batch));
    expect(await Promise.all(asked)).toEqual(Array(5).fill('served'));
    expect(await line).toBe('all closed');
    expect(agentKilobytes() - before).toBeLessThan(256 * 1024);
    expect(stack.roles.agent.exitCode).toBeUndefined();
  });

  it('who reads nothing gets no more than a few answers held for him', async () => {
    const before = agentKilobytes();
    const { child, line } = startScript(stack.users.web, 'deaf', 20, 200);
    expect(await line).toBe('sent');
    await eventually('others are served', async () => (await askOnce(stack.users.batch)) === 'served');
    expect(agentKilobytes() - before).toBeLessThan(300 * 1024);
    child.kill('SIGKILL');
  });
});

it('ends with all of it in order', async () => {
  expect(agentLog()).not.toMatch(/"event":"(rpc\.call\.failed|rpc\.disconnect\.failed)"/);
  expect(await stack.roles.agent.end('SIGTERM')).toBe(0);
});

function agentLog(): string {
  return stack.roles.agent.logs();
}

function agentFds(): number {
  return fs.readdirSync(`/proc/${stack.roles.agent.pid}/fd`).length;
}

/** Handles on processes that the agent has open. */
function agentPidfds(): number {
  const folder = `/proc/${stack.roles.agent.pid}/fd`;
  const targets = fs.readdirSync(folder).map((fd) => {
    try {
      return fs.readlinkSync(`${folder}/${fd}`);
    } catch {
      return ''; // Closed since it was listed.
    }
  });
  return targets.filter((target) => target.includes('pidfd')).length;
}

function agentKilobytes(): number {
  const status = fs.readFileSync(`/proc/${stack.roles.agent.pid}/status`, 'latin1');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]);
}

/** One call by a process of that user: `served`, or how it failed. */
async function askOnce(user: User): Promise<string> {
  const finished = await run(process.execPath, ['-e', SCRIPT, stack.folder.workloadApi, 'once'], {
    user,
  });
  return finished.stdout.trim() || `exit ${finished.code}: ${finished.stderr}`;
}

/** Starts the script under that user; `line` is the first that it writes. It goes on until it is killed. */
function startScript(user: User, mode: string, ...numbers: number[]): { child: ChildProcess; line: Promise<string> } {
  const child = own(
    spawn(process.execPath, ['-e', SCRIPT, stack.folder.workloadApi, mode, ...numbers.map(String)], {
      ...(user !== undefined && { uid: user, gid: user }),
      cwd: '/',
      stdio: ['ignore', 'pipe', 'inherit'],
    }),
  );
  children.push(child);
  const line = new Promise<string>((resolve) => {
    child.stdout.setEncoding('utf8').once('data', (text: string) => resolve(text.trim()));
    child.once('exit', (code) => resolve(`exit ${code}`));
  });
  return { child, line };
}

/** The client in all its manners, in plain JavaScript: it must start fast, and run as users who may not read this repository. */
const SCRIPT = String.raw`
const http2 = require('node:http2');
const net = require('node:net');
const [socketPath, mode, first, second] = process.argv.slice(1);
const headers = {
  ':method': 'POST', ':path': '/SpiffeWorkloadAPI/FetchX509SVID', 'content-type': 'application/grpc', te: 'trailers',
  'workload.spiffe.io': 'true',
};
const request = Buffer.alloc(5);
const say = (text) => process.stdout.write(text + '\n');
const connect = (settings) => {
  const session = http2.connect('http://localhost', { createConnection: () => net.connect(socketPath), settings });
  session.on('error', () => {});
  return session;
};
const open = (session, answered, failed) => {
  const stream = session.request(headers);
  stream.on('error', failed);
  stream.on('trailers', (trailers) => failed(new Error('status ' + trailers['grpc-status'])));
  stream.once('data', () => { answered(); stream.resume(); });
  stream.end(request);
  return stream;
};
const frame = (type, flags, stream, payload) => {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type; head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
};
const text = (value) => Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);
const field = (name, value) => Buffer.concat([Buffer.from([0x10]), text(name), text(value)]);
const block = Buffer.concat([
  Buffer.from([0x83, 0x86, 0x04]), text(headers[':path']), Buffer.from([0x01]), text('localhost'),
  field('content-type', 'application/grpc'), field('te', 'trailers'), field('workload.spiffe.io', 'true'),
]);
const preface = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(4, 0, 0, Buffer.alloc(0))]);
const call = (id, flags) => frame(1, 4 | flags, id, block);
const whole = Buffer.concat([preface, call(1, 0), frame(0, 1, 1, request)]);
const modes = {
  once() {
    const failed = (error) => { say(String(error)); process.exit(1); };
    open(connect({}), () => { say('served'); process.exit(0); }, failed).on('close', () => failed(new Error('closed')));
  },
  crowd() {
    let answered = 0;
    const all = Number(first) * Number(second);
    const failed = (error) => { say(String(error)); process.exit(1); };
    for (let c = 0; c < Number(first); c++) {
      const session = connect({});
      for (let s = 0; s < Number(second); s++) open(session, () => { if (++answered === all) say('open ' + all); }, failed);
    }
  },
  half() {
    const stages = [
      Buffer.alloc(0), preface, Buffer.concat([preface, call(1, 0).subarray(0, 40)]), Buffer.concat([preface, call(1, 0)]), whole,
      Buffer.concat([preface, call(1, 0), Buffer.from([0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1, 0, 0xff, 0xff, 0xff, 0xff])]),
    ];
    let sent = 0;
    let begun = 0;
    const done = () => { if (++sent === Number(first)) say('sent'); };
    const begin = () => {
      const socket = net.connect(socketPath);
      socket.on('connect', () => socket.write(stages[Number(second)], () => { done(); next(); }));
      // The kernel refuses more than its queue for the socket holds.
      socket.on('error', (error) => { if (error.code === 'EAGAIN') setTimeout(begin, 5); });
      socket.on('data', () => {});
    };
    const next = () => { if (begun++ < Number(first)) begin(); };
    for (let n = 0; n < 100; n++) next();
  },
  deaf() {
    let sent = 0;
    const done = () => { if (++sent === Number(first)) say('sent'); };
    const bytes = [preface];
    for (let n = 0; n < Number(second); n++) bytes.push(call(1 + 2 * n, 0), frame(0, 1, 1 + 2 * n, request));
    for (let n = 0; n < Number(first); n++) {
      const socket = net.connect(socketPath, () => socket.write(Buffer.concat(bytes), done));
      socket.pause();
      socket.on('error', () => {});
    }
  },
  flood() {
    const repeat = (count, one) => Buffer.concat(Array.from({ length: count }, (_, n) => one(n)));
    const floods = [
      (round) => repeat(500, (n) => { const id = 3 + 2 * (500 * round + n); return Buffer.concat([call(id, 1), frame(3, 0, id, Buffer.from([0, 0, 0, 8]))]); }),
      () => repeat(5000, () => frame(6, 0, 0, Buffer.alloc(8))),
      () => repeat(5000, () => frame(4, 0, 0, Buffer.from([0, 3, 0, 0, 0, 100]))),
      () => require('node:crypto').randomBytes(100000),
    ];
    let closed = 0;
    for (let n = 0; n < Number(first); n++) {
      const socket = net.connect(socketPath);
      let round = 0;
      const more = () => { while (!socket.destroyed && socket.write(floods[n % floods.length](round++))); };
      socket.on('connect', () => { socket.write(preface); more(); });
      socket.on('drain', more);
      socket.on('data', () => {});
      socket.on('error', () => {});
      socket.on('close', () => { if (++closed === Number(first)) say('all closed'); });
    }
  },
};
modes[mode]();
setInterval(() => {}, 60000);
`;
