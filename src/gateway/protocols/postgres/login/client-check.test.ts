import { expect, test } from 'vitest';
import { createSystemClock, createSystemRandom, Secret } from '../../../../std/index.ts';
import { encodeError } from '../../../../wire/postgres/index.ts';
import { parseConfig } from '../config.ts';
import { LOGIN, startFakeTarget } from '../testing/fake-target.ts';
import { openChecked } from './client-check.ts';

/** A server that refuses each login with such a setting. */
async function startServerWithout(settings: ReadonlySet<string>, sqlstate: string) {
  const fake = await startFakeTarget({
    login(socket) {
      const asked = Array.from(fake.sessions.at(-1)?.parameters.keys() ?? []);
      if (!asked.some((name) => settings.has(name))) return void socket.write(LOGIN);
      socket.end(encodeError({ severity: 'FATAL', sqlstate, message: 'unrecognized' }));
    },
  });
  const check = { isRefused: false };
  const told: unknown[] = [];
  const deps = {
    config: parseConfig({ host: '127.0.0.1', port: fake.port, database: 'app', user: 'gate' }),
    clock: createSystemClock(),
    random: createSystemRandom(),
    secrets: { resolve: async () => Secret.fromText('') },
    attempted: (_: string, problem: unknown) => void told.push(problem),
  };
  const open = async (more: readonly (readonly [string, string])[] = []) => {
    const parameters = [['database', 'app'], ...more] as const;
    const signal = AbortSignal.timeout(10_000);
    const upstream = await openChecked(deps, { parameters, minor: 0, forClient: true, signal }, check);
    upstream.socket.destroy();
  };
  return { fake, check, told, open };
}

const CHECK = 'client_connection_check_interval';

test.each([
  '42704',
  '22023',
  '08P01',
])('a server that refuses the setting (%s) is served without it, and asked once', async (sqlstate) => {
  const { fake, told, open } = await startServerWithout(new Set([CHECK]), sqlstate);
  await open();
  expect(fake.sessions.map(({ parameters }) => parameters.has(CHECK))).toEqual([true, false]);
  await open();
  expect(fake.sessions.map(({ parameters }) => parameters.has(CHECK))).toEqual([true, false, false]);
  expect(told).toEqual([undefined, undefined]); // Nobody is told of a login that has failed.
  await fake.close();
});

test('a client’s own setting that is refused is no sign of it', async () => {
  const { fake, check, open } = await startServerWithout(new Set(['timezone']), '22023');
  await expect(open([['timezone', 'nowhere']])).rejects.toMatchObject({ code: 'ERR_GATEWAY_TARGET_AWAY' });
  expect(check.isRefused).toBe(false);
  await open();
  expect(fake.sessions.at(-1)?.parameters.get(CHECK)).toBe('5s');
  await fake.close();
});

test('what says nothing about settings is not tried again', async () => {
  const { fake, open } = await startServerWithout(new Set([CHECK]), '53300');
  await expect(open()).rejects.toMatchObject({ code: 'ERR_GATEWAY_TARGET_AWAY' });
  expect(fake.sessions).toHaveLength(1);
  await fake.close();
});
