import { execFileSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createManualClock } from '../../std/index.ts';
import { openUnixListener, type UnixListener } from './unix-listener.ts';

// Goal: whoever connects finds somebody, while one door takes the place of another; and nobody takes away what is another's. Real sockets.

let folder: string;
let path: string;
const doors: UnixListener[] = [];
const never = new AbortController().signal;
/** Opens nothing, but holds the file: Linux’s own number. */
const O_PATH = 0o10000000;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'door-'));
  path = join(folder, 'agent.sock');
});
afterEach(() => {
  for (const door of doors.splice(0)) door.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A door that says its name to whoever comes. */
async function open(name: string, at = path): Promise<UnixListener> {
  const createNamed = () => createServer((socket: Socket) => socket.on('error', () => {}).end(name));
  const door = await openUnixListener({ path: at, mode: 0o660, createServer: createNamed });
  doors.push(door);
  return door;
}

/** Who answers at that name; the code of what connecting fails with. */
function whoAnswers(at = path): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(at);
    let said = '';
    socket.on('data', (chunk) => (said += chunk.toString()));
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.on('close', () => resolve(said));
  });
}

describe('a door', () => {
  it('is found by nobody before it is placed, and then has its mode and leaves nothing beside', async () => {
    const door = await open('one');
    expect(readdirSync(folder)).toEqual([expect.stringMatching(/^\.~\w{6}$/)]);
    await door.place();
    expect(lstatSync(path).mode & 0o777).toBe(0o660);
    expect(readdirSync(folder)).toEqual(['agent.sock']);
    expect(await whoAnswers()).toBe('one');
    door.close();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('is not placed where somebody listens, nor where somebody else was quicker', async () => {
    const [first, second, third] = [await open('first'), await open('second'), await open('third')];
    const outcomes = await Promise.allSettled([first.place(), second.place()]);
    expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    await expect(third.place()).rejects.toMatchObject({ code: 'ERR_RPC_SOCKET_BUSY' });
    third.close();
    expect(await whoAnswers()).toMatch(/first|second/);
  });

  it('takes the place of another with whoever is on his way in: all are answered, by the one or the other', async () => {
    let last = await open('0');
    await last.place();
    const answers: Promise<string>[] = [];
    for (let round = 1; round <= 10; round++) {
      const next = await open(`${round}`);
      for (let many = 0; many < 20; many++) answers.push(whoAnswers());
      next.replace();
      for (let many = 0; many < 20; many++) answers.push(whoAnswers());
      const clock = createManualClock(0);
      const faded = last.fade(clock, never);
      await Promise.all(answers);
      await clock.advance(2000);
      await faded;
      last = next;
    }
    expect((await Promise.all(answers)).filter((who) => !/^\d+$/.test(who))).toEqual([]);
    expect(await whoAnswers()).toBe('10');
    expect(readdirSync(folder)).toEqual(['agent.sock']);
  });

  it('does not take away what another has put in its place, and takes its place back when it is told to', async () => {
    const old = await open('old');
    await old.place();
    const next = await open('next');
    next.replace();
    await old.retake();
    expect(await whoAnswers()).toBe('old');
    next.close();
    expect(await whoAnswers()).toBe('old');
    const again = await open('again');
    again.replace();
    old.close();
    expect(await whoAnswers()).toBe('again');
    await again.retake(); // It has it.
    expect(await whoAnswers()).toBe('again');
  });

  it('takes its place back from one that was killed there', async () => {
    const old = await open('old');
    await old.place();
    killedAt(path);
    expect(await whoAnswers()).toBe('ECONNREFUSED');
    await old.retake();
    expect(await whoAnswers()).toBe('old');
    old.close();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('fades only when nothing has come for a second, and at once when it is told to', async () => {
    const clock = createManualClock(0);
    const door = await open('old');
    await door.place();
    const early = connect(path);
    const heard = new Promise((resolve) => early.once('data', resolve));
    let faded = false;
    const fading = door.fade(clock, never).then(() => (faded = true));
    expect(existsSync(path)).toBe(false);
    await heard;
    await clock.advance(1000);
    expect(faded).toBe(false);
    await clock.advance(250);
    await fading;
    const other = await open('other');
    const stop = new AbortController();
    const stopped = other.fade(clock, stop.signal);
    stop.abort();
    await stopped;
    expect(readdirSync(folder)).toEqual([]);
  });

  it('fades within ten seconds though somebody keeps coming, who holds it without its name', async () => {
    const clock = createManualClock(0);
    const door = await open('old');
    await door.place();
    const held = openSync(path, O_PATH);
    let faded = false;
    const fading = door.fade(clock, never).then(() => (faded = true));
    for (let n = 0; n < 40; n++) {
      expect(faded).toBe(false);
      expect(await whoAnswers(`/proc/self/fd/${held}`)).toBe('old');
      await clock.advance(250);
    }
    await fading;
    closeSync(held);
  });

  it('replaces a socket, and no other file', async () => {
    const door = await open('one');
    writeFileSync(path, 'precious');
    expect(() => door.replace()).toThrow(expect.objectContaining({ code: 'ERR_RPC_SOCKET_UNSAFE' }));
    expect(lstatSync(path).size).toBe(8);
  });

  it('fits the system wherever its path does', async () => {
    for (const name of ['s'.repeat(40), 'spi.sock']) {
      const deep = join(folder, 'd'.repeat(107 - `${folder}//${name}`.length));
      execFileSync('mkdir', [deep]);
      const at = join(deep, name);
      expect(Buffer.byteLength(at)).toBe(107);
      const door = await open('fits', at);
      await door.place();
      expect(await whoAnswers(at)).toBe('fits');
      door.close();
      rmSync(deep, { recursive: true });
    }
    const deeper = join(folder, 'd'.repeat(99 - `${folder}/`.length));
    execFileSync('mkdir', [deeper]);
    const refused = { code: 'ERR_RPC_SOCKET_UNSAFE', message: expect.stringMatching(/needs 108 bytes, .* allows 107/) };
    await expect(open('short', join(deeper, 's'))).rejects.toMatchObject(refused);
  });

  it('clears away what one that was killed has left beside, and nothing else', async () => {
    killedAt(join(folder, '.~0a1B2c'));
    killedAt(join(folder, 'other.sock'));
    killedAt(join(folder, '.docker'));
    mkdirSync(join(folder, '.~0a1B2d'));
    const others = ['.txt', '.config', '.~full00', '.~link00', '.~file00', '.docker', 'other.sock'];
    writeFileSync(join(folder, '.txt'), 'mine');
    mkdirSync(join(folder, '.config'));
    mkdirSync(join(folder, '.~full00'));
    writeFileSync(join(folder, '.~full00', 'mine'), '');
    symlinkSync(join(folder, '.config'), join(folder, '.~link00'));
    writeFileSync(join(folder, '.~file00'), 'mine');
    const waiting = await open('waiting');
    const beside = readdirSync(folder).filter((name) => !others.includes(name));
    expect(beside).toHaveLength(1);
    const one = await open('one');
    expect(readdirSync(folder)).toEqual(expect.arrayContaining([...others, ...beside]));
    one.close();
    expect(readdirSync(folder)).toHaveLength(others.length + 1);
    await waiting.place();
    expect(await whoAnswers()).toBe('waiting');
  });
});

/** What a process leaves that listened there when it was killed. */
function killedAt(at: string): void {
  const script = `require('net').createServer().listen(${JSON.stringify(`${at}~`)}, () => {
    require('fs').renameSync(${JSON.stringify(`${at}~`)}, ${JSON.stringify(at)});
    process.kill(process.pid, 'SIGKILL');
  })`;
  try {
    execFileSync(process.execPath, ['-e', script]);
  } catch {
    // That is how it ends.
  }
}
