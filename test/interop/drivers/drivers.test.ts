/**
 * Drivers that nobody here wrote, as their registries have them: each does all steps of `steps.ts` through the agent's socket and by TLS
 * with the files of its SVID. Where policy takes nothing away, the bytes of every answer must be those of the database itself.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { eventually } from '../../support/eventually.ts';
import type { Daemon } from '../../support/processes.ts';
import { expectReplays, type RecordedEntry } from '../../support/replay-day.ts';
import { ALLOW_ALL, GATEWAY_NAME, type Stack, startStack } from '../../support/stack.ts';
import { startSvidFiles } from '../../support/ways.ts';
import { startLineProcess } from '../line-process.ts';
import { mayLack } from '../toolchain.ts';
import { CLIENTS, type DriverClient } from './clients.ts';
import { isComparable, SEED, STEPS, type StepName } from './steps.ts';
import { firstDifference, messageCount, startTap, type Tap } from './tap.ts';

let stack: Stack;
let svid: { folder: string; daemon: Daemon };

beforeAll(async () => {
  stack = await startStack({ store: 'sqlite', seed: SEED, policies: POLICIES });
  svid = await startSvidFiles(stack);
});
afterAll(async () => {
  await svid?.daemon.end('SIGKILL');
  await stack?.stop();
});

describe.each(CLIENTS.filter(({ tool }) => !mayLack(tool)))('$name', (client) => {
  let command: readonly [string, ...string[]];
  let reference: Results;
  let direct: Tap;

  beforeAll(async () => {
    command = await client.build();
    await enrol(client, command);
    direct = await startTap(path.join(stack.postgres.socketDir, `.s.PGSQL.${stack.postgres.port}`));
    const login = { DB_USER: 'shop_app', DB_PASSWORD: stack.secrets.target };
    reference = await runSteps(command, { ...behindTap(client, direct), ...login }, comparableSteps(client));
  });
  afterAll(() => direct?.[Symbol.asyncDispose]());

  it('gets the answers of the database to the byte', async () => {
    await using tap = await startTap(path.join(stack.socketDir, '.s.PGSQL.5432'));
    expect(await runSteps(command, behindTap(client, tap), comparableSteps(client))).toEqual(reference);
    expect(firstDifference(direct.recorded, tap.recorded)).toBeUndefined();
    expect(messageCount(tap.recorded)).toBeGreaterThan(100);
    expectAsDeclared(client, reference, reference);
  });

  it.skipIf(!client.sockets)("does every step through the agent's socket", async () => {
    const place = { DB_HOST: stack.socketDir, DB_PORT: '5432' };
    const results = await runSteps(command, place, stepsOf(client));
    expectAsDeclared(client, results, reference);
  });

  it('does every step by TLS with the files of its SVID', async () => {
    const results = await runSteps(command, byTls('postgres'), stepsOf(client, 'tls'));
    expectAsDeclared(client, results, reference);
  });

  it.skipIf(!client.directTls)('begins with TLS at once', async () => {
    const steps = stepsOf(client, 'tls').filter((step) => step !== 'million');
    expectAsDeclared(client, await runSteps(command, byTls('direct'), steps), reference);
  });
});

it('all that they did is answered alike by the same policies, and by others otherwise where they differ alone', async () => {
  const items = 'shop/shop/public/items';
  const forbid = `@id("planted") forbid(principal, action == Action::"postgres:select", resource == Postgres::Table::"${items}");`;
  const mask = `@id("planted") @mask("name:redact") permit(principal, action == Action::"postgres:select", resource == Postgres::Table::"${items}");`;
  const asksItems = ({ questions }: RecordedEntry) =>
    questions.some(({ action, resource }) => action === 'postgres:select' && resource.id === items);
  const { judged, cut } = await expectReplays(stack, Object.values(POLICIES), {
    forbidden: {
      policies: [...Object.values(POLICIES), forbid],
      kind: 'denied',
      isMeant: (one) => !one.isDenied && asksItems(one),
    },
    masked: {
      policies: [...Object.values(POLICIES), mask],
      kind: 'obligations',
      isMeant: (one) => !one.isDenied && asksItems(one),
    },
    opened: {
      policies: [ALLOW_ALL],
      kind: 'allowed',
      isMeant: ({ isDenied, questions }) => isDenied && questions.some(({ decision }) => decision === 'forbidden'),
    },
  });
  expect(cut).toBe(0);
  expect(judged).toBeGreaterThan(50);
});

type Results = Readonly<Partial<Record<StepName, readonly string[]>>>;

/** Runs the client as `web`; fails with its own words when a step fails. */
async function runSteps(
  command: readonly [string, ...string[]],
  place: Readonly<Record<string, string>>,
  steps: readonly StepName[],
): Promise<Results> {
  const [file, ...args] = command;
  const env = { DB_USER: 'workload', DB_NAME: 'shop', DB_NEGOTIATION: 'postgres', ...place, STEPS: steps.join() };
  await using client = startLineProcess(file, args, { user: stack.users.web, env });
  const results: Partial<Record<StepName, readonly string[]>> = {};
  for (const step of steps) {
    const next = () =>
      client.next(STEP_MS_MAX).catch((cause: unknown) => {
        throw new Error(`${step}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
      });
    let line = await next();
    if (line['waiting'] === true) {
      await eventually('the statement to be cancelled runs', async () => (await stack.dba(SLEEPING)).length > 0);
      client.send({});
      line = await next();
    }
    if (line['step'] !== step || line['ok'] !== true) throw new Error(`${step}: ${JSON.stringify(line)}`);
    results[step] = Array.isArray(line['result']) ? line['result'].map(String) : [];
  }
  const { code, stderr } = await client.rest();
  if (code !== 0) throw new Error(`the client ended with ${code}: ${stderr}`);
  return results;
}

function expectAsDeclared(client: DriverClient, results: Results, reference: Results) {
  for (const [step, lines] of Object.entries(results) as [StepName, readonly string[]][]) {
    // Entries of a record have its keys.
    expect({ step, lines }).toEqual({ step, lines: client.instead[step] ?? STEPS[step] ?? reference[step] });
  }
}

function stepsOf(client: DriverClient, way: 'socket' | 'tls' = 'socket'): StepName[] {
  const left = { ...client.without, ...(way === 'tls' ? client.withoutByTls : {}) };
  // Keys of a constant object.
  return (Object.keys(STEPS) as StepName[]).filter((step) => left[step] === undefined);
}

function comparableSteps(client: DriverClient): StepName[] {
  return stepsOf(client).filter(isComparable);
}

function behindTap(client: DriverClient, tap: Tap): Record<string, string> {
  return client.sockets
    ? { DB_HOST: tap.socketDir, DB_PORT: '5432' }
    : { DB_HOST: '127.0.0.1', DB_PORT: String(tap.port) };
}

function byTls(negotiation: 'postgres' | 'direct'): Record<string, string> {
  const file = (name: string) => path.join(svid.folder, name);
  return {
    DB_HOST: GATEWAY_NAME,
    DB_ADDRESS: '127.0.0.1',
    DB_PORT: String(stack.folder.directPort),
    DB_NEGOTIATION: negotiation,
    DB_CERTIFICATE: file('svid.pem'),
    DB_KEY: file('key.pem'),
    DB_KEY_PK8: file('key.pk8'),
    DB_ROOTS: file('bundle.pem'),
  };
}

/** Where all processes run as one user, the client is told from the gateway by its program. */
async function enrol({ name }: DriverClient, [file]: readonly [string, ...string[]]) {
  if (stack.users.separate || file === process.execPath) return;
  const selectors = [`unix:uid:${process.getuid?.()}`, `unix:path:${fs.realpathSync(file)}`];
  const spec = { spiffeId: 'spiffe://example.org/web', selectors };
  await stack.apply({ 'entry.yaml': stringify({ kind: 'Entry', name: `driver-${name}`, spec }) });
}

/** Shorter than the sleep that a client has cancelled, so an answer in time is that of the cancellation. */
const STEP_MS_MAX = 45_000;
const SLEEPING = `select 1 from pg_stat_activity where wait_event = 'PgSleep'`;
const POLICIES = {
  'web-all': ALLOW_ALL,
  rules: `
    @id("no-private")
    forbid(principal, action, resource == Postgres::Table::"shop/shop/public/private");
  `,
};
