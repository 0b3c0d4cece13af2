/** Goal: whoever is let in by a browser acts from the command line as themselves, for as long as that lasts, with a token that nobody else on the machine reads. */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { lookupOf } from '@countersign/sdk/client';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createDevApp, type DevRole } from '../../app/dev.ts';
import { apiSocketOf } from '../../config/index.ts';
import { createSilentLog, createSystemClock, createSystemRandom } from '../../std/index.ts';
import { type CliCommand, type CliContext, exitCodes } from '../command.ts';
import { command as listEntries } from '../commands/entry/list.ts';
import { command as showEntry } from '../commands/entry/show.ts';
import { command as login } from '../commands/login.ts';
import { command as logout } from '../commands/logout.ts';
import { command as listNodes } from '../commands/node/list.ts';
import { command as searchRecord } from '../commands/record/search.ts';
import { command as showRecord } from '../commands/record/show.ts';
import { command as endSessions } from '../commands/session/end.ts';
import { command as listSessions } from '../commands/session/list.ts';
import { command as endSignIn } from '../commands/sign-in/end.ts';
import { command as link } from '../commands/sign-in/link.ts';
import { command as listSignIns } from '../commands/sign-in/list.ts';
import { command as listTargets } from '../commands/target/list.ts';
import { command as whoami } from '../commands/whoami.ts';

let folder: string;
let dev: DevRole;
let home: string;
let url: URL;
let ca: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'login-'));
  const deps = { clock: createSystemClock(), random: createSystemRandom(), log: createSilentLog(), env: {} };
  dev = createDevApp({ ...deps, directory: join(folder, 'dev'), trustDomain: 'example.org' });
  await dev.start(AbortSignal.timeout(20_000));
  ca = join(folder, 'dev/bundle.pem');
});
afterAll(async () => {
  await dev.stop();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => {
  home = mkdtempSync(join(folder, 'home-'));
});

const operator = () => ({ apiSocket: apiSocketOf(dev.paths.serverSocket) });

/** A command as a person calls it; `warned` tells of each line that it warns of. */
function call(
  command: CliCommand,
  options: object = {},
  more: { args?: string[]; warned?: (line: string) => void } = {},
) {
  const seen: { value?: unknown; values: unknown[]; warned: string[] } = { values: [], warned: [] };
  const context: CliContext = {
    ...{
      say: () => {},
      json: true,
      env: { HOME: home },
      configPath: dev.paths.config,
      configNamed: true,
      commands: [],
    },
    emit(value) {
      seen.value = value;
      seen.values.push(value);
    },
    warn(line) {
      seen.warned.push(line);
      more.warned?.(line);
    },
    ...{ columns: 80, signal: AbortSignal.timeout(20_000), clock: createSystemClock(), random: createSystemRandom() },
    stdin: async () => Buffer.alloc(0),
  };
  const input = { options: { ...options }, args: more.args ?? [] };
  return command.run(context, input).then((code) => ({ code, ...seen }));
}

/** A browser's request, with what it keeps. */
function browse(method: string, path: string, { cookie = '', form }: { cookie?: string; form?: object } = {}) {
  const body = form === undefined ? undefined : `${new URLSearchParams({ ...form })}`;
  const headers = {
    ...{ cookie, origin: url.origin, 'sec-fetch-site': 'same-origin' },
    ...(body === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
  };
  return new Promise<{ status: number; location: string; cookie: string; text: string }>((resolve, reject) => {
    const sent = request(
      new URL(path, url),
      { method, headers, agent: false, ca: readFileSync(ca), lookup: lookupOf(url.hostname) },
      async (answer) => {
        let text = '';
        for await (const chunk of answer) text += chunk;
        const [set = ''] = answer.headers['set-cookie'] ?? [];
        resolve({
          status: answer.statusCode ?? 0,
          location: answer.headers.location ?? '',
          cookie: set.split(';')[0] ?? '',
          text,
        });
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

/** Somebody at a browser, signed in by a link that an operator made. */
async function signIn(): Promise<string> {
  const { value } = await call(link, operator());
  url = new URL(String((value as { url: string }).url)); // As the endpoint's schema says.
  const { status, cookie } = await browse('POST', '/sign-in/link', { form: { secret: url.hash.slice(1) } });
  expect(status).toBe(200);
  return cookie;
}

const place = () => ({ server: url.host, ca });

/** Logs in by the browser of this computer. */
async function logIn(cookie: string) {
  return call(login, place(), {
    async warned(line) {
      const asked = new URL(line.split('\n')[1] ?? '');
      const page = await browse('GET', `${asked.pathname}${asked.search}`, { cookie });
      expect(page.text).toContain('Let the command line in?');
      const back = await browse('POST', '/sign-in/cli', { cookie, form: Object.fromEntries(asked.searchParams) });
      expect(new URL(back.location).hostname).toBe('127.0.0.1');
      // Somebody else's page knows the port, and not the state.
      expect((await fetch(`${new URL(back.location).origin}/?code=x&state=y`)).status).toBe(404);
      await fetch(back.location);
    },
  });
}

it('a browser keeps what it has of a server of one machine from whatever else listens there', async () => {
  await signIn();
  expect(url.hostname).toBe('countersign.localhost');
});

describe('login', () => {
  it('by the browser of this computer: whoami is the person, until logout', async () => {
    const logged = await logIn(await signIn());
    expect(logged.code).toBe(0);
    const { value } = await call(whoami);
    expect(value).toMatchObject({ kind: 'person', name: expect.stringContaining('#link-') });
    expect((await call(logout)).value).toMatchObject({ loggedOut: true });
    expect((await call(whoami)).value).toMatchObject({ kind: 'operator' });
  });

  it('by a code that somebody types elsewhere', async () => {
    const cookie = await signIn();
    const logged = await call(
      login,
      { ...place(), device: true },
      {
        async warned(line) {
          const code = /[B-Z]{4}-[B-Z]{4}/.exec(line)?.[0] ?? '';
          const page = await browse('POST', '/sign-in/device', { cookie, form: { code } });
          expect(page.text).toContain('127.0.0.1');
          await browse('POST', '/sign-in/device', { cookie, form: { code, answer: 'allow' } });
        },
      },
    );
    expect(logged.code).toBe(0);
    expect((await call(whoami)).value).toMatchObject({ kind: 'person' });
  });

  it('that is refused in the browser is none', async () => {
    const cookie = await signIn();
    const logged = call(
      login,
      { ...place(), device: true },
      {
        async warned(line) {
          const code = /[B-Z]{4}-[B-Z]{4}/.exec(line)?.[0] ?? '';
          await browse('POST', '/sign-in/device', { cookie, form: { code, answer: 'deny' } });
        },
      },
    );
    await expect(logged).rejects.toThrow('it was refused in the browser');
    expect((await call(whoami)).value).toMatchObject({ kind: 'operator' });
  });

  it('keeps its token in a file that nobody else reads, and takes none that others could', async () => {
    const { value } = await logIn(await signIn());
    const { path } = value as { path: string }; // As the command says.
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(JSON.stringify(value)).not.toContain('countersign_login_');
    chmodSync(path, 0o644);
    await expect(call(whoami)).rejects.toMatchObject({ code: 'ERR_PRIVATE_FILE_UNSAFE' });
  });

  it.each([
    '',
    'no json',
    '{}',
    '{"server":"x:1","token":"t","name":"n","endsMs":"soon"}',
  ])('that is kept and is none (%j) is said so: nobody acts as the operator instead', async (text) => {
    const path = join(home, '.config/countersign/login.json');
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeFileSync(path, text, { mode: 0o600 });
    await expect(call(whoami)).rejects.toThrow(/is no login.*countersign logout/);
    expect((await call(whoami, operator())).value).toMatchObject({ kind: 'operator' });
    const { code, value } = await call(logout);
    expect([code, value]).toEqual([exitCodes.unavailable, { loggedOut: true }]);
    expect((await call(whoami)).value).toMatchObject({ kind: 'operator' });
  });

  it('ends when an operator ends it: the next command says how to log in again', async () => {
    await logIn(await signIn());
    const { value } = await call(listSignIns, operator());
    const own = (value as { id: string; kind: string }[]).find(({ kind }) => kind === 'cli'); // As the endpoint's schema says.
    await call(endSignIn, operator(), { args: [own?.id ?? ''] });
    await expect(call(whoami)).rejects.toMatchObject({
      status: 401,
      remedy: expect.stringContaining('countersign login'),
    });
  });

  it('goes to no server whose certificate is not verified', async () => {
    await signIn();
    await expect(call(login, { server: url.host, device: true })).rejects.toThrow(/certificate/);
  });
});

describe('other commands', () => {
  /** Asked as whoever is logged in, and by the socket: `left` are fields that are never the same. */
  async function bothWays(command: CliCommand, args: string[] = [], options: object = {}) {
    const bySocket = await call(command, { ...options, socket: dev.paths.serverSocket }, { args });
    const byLogin = await call(command, options, { args });
    return [byLogin, bySocket].map(({ code, values }) => ({ code, values }));
  }

  it('go by the login, and answer what the socket answers', async () => {
    await logIn(await signIn());
    const [record] = (await call(searchRecord, { kind: 'admin', lines: '1' })).values as { log: number; seq: number }[];
    for (const [command, args, options] of [
      [listEntries],
      [listTargets],
      [listSessions],
      [searchRecord, [], { kind: 'admin', lines: '2' }],
      [showRecord, [`${record?.log}/${record?.seq}`]],
    ] as const) {
      const [byLogin, bySocket] = await bothWays(command, [...(args ?? [])], options ?? {});
      expect(byLogin).toEqual(bySocket);
    }
    const [entry] = (await call(listEntries)).value as { id: string }[];
    const [one, other] = await bothWays(showEntry, [entry?.id ?? '']);
    expect(one).toEqual(other);
    expect((await call(endSessions, { target: 'none', yes: true })).value).toMatchObject({ ended: [] });
  });

  it('are those of the person in the ledger, or say that they need the socket', async () => {
    await logIn(await signIn());
    await expect(call(listNodes)).rejects.toThrow(/needs the operator socket.*ListAgents/);
    expect((await call(listNodes, { socket: dev.paths.serverSocket })).code).toBe(0);
    await expect(call(listSessions, { who: '/shop/web' })).rejects.toThrow('give whole SPIFFE IDs');
  });
});
