/** Goal: whoever changes who may do what sees it before, and changes all that they saw or nothing. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { createDevApp, type DevRole } from '../../app/dev.ts';
import { apiSocketOf } from '../../config/index.ts';
import { createSilentLog, createSystemClock, createSystemRandom } from '../../std/index.ts';
import type { CliCommand, CliContext } from '../command.ts';
import { command as apply } from '../commands/access/apply.ts';
import { command as check } from '../commands/access/check.ts';
import { command as explain } from '../commands/access/explain.ts';
import { command as show } from '../commands/access/show.ts';

let folder: string;
let dev: DevRole;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'access-'));
  const deps = { clock: createSystemClock(), random: createSystemRandom(), log: createSilentLog(), env: {} };
  dev = createDevApp({ ...deps, directory: join(folder, 'dev'), trustDomain: 'example.org' });
  await dev.start(AbortSignal.timeout(20_000));
});
afterAll(async () => {
  await dev.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** As an operator calls it: what it said, in the order in which it did. */
async function call(command: CliCommand, options: object = {}) {
  const seen = { value: {} as Record<string, unknown>, said: [] as string[] };
  const context: CliContext = {
    ...{ json: false, env: {}, configPath: dev.paths.config, configNamed: true, commands: [], columns: 100 },
    say: (line) => void seen.said.push(line),
    warn: (line) => void seen.said.push(line),
    emit(value, human) {
      seen.value = value as Record<string, unknown>; // Each command's result is an object.
      seen.said.push(human());
    },
    ...{ signal: AbortSignal.timeout(20_000), clock: createSystemClock(), random: createSystemRandom() },
    stdin: async () => Buffer.alloc(0),
  };
  const input = { options: { apiSocket: apiSocketOf(dev.paths.serverSocket), ...options }, args: [] };
  const code = await command.run(context, input);
  return { code, value: seen.value, said: seen.said.join('\n') };
}

const files = (name: string, text: string): string[] => {
  const at = join(folder, 'policies');
  rmSync(at, { recursive: true, force: true });
  mkdirSync(at);
  writeFileSync(join(at, `${name}.cedar`), text);
  return [at];
};
const AUDITORS =
  '@id("auditors") permit(principal is Countersign::Person, action in Action::"countersign:look", resource) when { principal.groups.contains("auditors") };\n';
const PLATFORM =
  '@id("platform") permit(principal is Countersign::Person, action in Action::"countersign:operate", resource) when { principal.groups.contains("platform") };\n';

beforeEach(() => call(apply, { default: true, yes: true }));

it('shows what holds, what is built in, and what the default is', async () => {
  const shown = await call(show);
  expect(shown.said).toContain('// nobody has changed them: the default holds');
  expect(shown.said).toContain('@id("first-persons")');
  expect((await call(show, { builtIn: true })).said).toContain('@id("built-in:operators")');
  // What is printed may be a file.
  const again = await call(check, { file: files('default', (await call(show, { default: true })).said) });
  expect(again.code).toBe(0);
});

it('checks without changing, and names what is wrong by its place', async () => {
  const wrong = await call(check, {
    file: files('roles', 'permit(principal, action, resource) when { principal.grops };'),
  });
  expect(wrong.code).toBe(1);
  expect(wrong.said).toContain('Access/roles: roles:1:');
  expect((await call(check, { file: files('roles', PLATFORM) })).said).toContain('+ @id("platform")');
  expect((await call(show)).said).toContain('// nobody has changed them');
});

it('applies what was shown, by files that are all there is', async () => {
  const applied = await call(apply, { file: files('roles', PLATFORM + AUDITORS), yes: true });
  expect(applied.code).toBe(0);
  expect(applied.said).toMatch(/- {2}default +delete[\s\S]*\+ {2}roles +create[\s\S]*revision \d+ holds/);
  expect((await call(show)).said).not.toContain('first-persons');
});

it('asks first, and does nothing on a dry run', async () => {
  const dry = await call(apply, { file: files('roles', PLATFORM), dryRun: true });
  expect([dry.code, dry.value['applied']]).toEqual([0, false]);
  await expect(call(apply, { file: files('roles', PLATFORM) })).rejects.toThrow('give --yes to apply this');
  expect((await call(show)).said).toContain('the default holds');
});

it('says that it locks out, and does so only when told', async () => {
  const locks = { file: files('roles', AUDITORS), yes: true };
  expect((await call(check, locks)).code).toBe(1);
  await expect(call(apply, locks)).rejects.toMatchObject({ status: 422 });
  const told = await call(apply, { ...locks, allowLockOut: true });
  expect(told.said).toContain('Nobody but the operator socket could change access again');
  expect(told.code).toBe(0);
});

it('explains who may do something, and what somebody may', async () => {
  await call(apply, { file: files('roles', PLATFORM + AUDITORS), yes: true });
  const person = { issuer: 'https://login.example.org', group: ['auditors'] };
  expect((await call(explain, person)).said).toMatch(/record\.search +always +auditors/);
  const may = await call(explain, { ...person, action: 'record.search' });
  expect([may.code, may.said]).toEqual([0, expect.stringContaining('may by auditors')]);
  const mayNot = await call(explain, { ...person, action: 'session.end' });
  expect([mayNot.code, mayNot.said]).toEqual([1, expect.stringContaining('may not: no-permit')]);
  const who = await call(explain, { action: 'session.end' });
  expect(who.said).toContain('principal is Countersign::Person');
  await expect(call(explain, { group: ['auditors'] })).rejects.toThrow('--issuer is needed');
});
