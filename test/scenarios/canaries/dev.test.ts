/** `countersign dev` keeps secrets as the three roles do: with a target, a masked row, a wrong password and a spare token, nothing of them lies about. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lookAtDumps, lookAtProcesses, lookBelow } from '../../support/canaries/places.ts';
import { addKeyFiles, canary } from '../../support/canaries/stack-canaries.ts';
import { createWatch } from '../../support/canaries/watch.ts';
import { eventually } from '../../support/eventually.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { createDaemon, type Daemon, run, spawnGuard } from '../../support/processes.ts';
import { mayLackPsql, psqlBinary } from '../../support/psql.ts';
import { EXECUTABLE } from '../../support/stack.ts';

describe.skipIf(mayLackPsql())('dev (a client with psql)', () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cs-dev-'));
  const home = path.join(folder, 'home');
  const pids = path.join(folder, 'pids');
  const watch = createWatch({ registry: process.env['CANARY_REGISTRY'], traces: true });
  const secrets = { password: canary(), wrong: canary(), row: canary() };
  const guard = spawnGuard(folder, pids);
  let postgres: TestPostgres;
  let dev: Daemon;

  beforeAll(async () => {
    fs.chmodSync(folder, 0o755);
    fs.mkdirSync(pids);
    postgres = await startPostgres({ users: { shop_app: secrets.password }, databases: ['shop'] });
    const seed = `create table customers (ssn text); insert into customers values ('${secrets.row}'); grant all on customers to shop_app`;
    await postgres.query(seed, [], 'shop');
    watch.add({ name: 'password', value: secrets.password, may: [] });
    watch.add({ name: 'wrong password', value: secrets.wrong, may: [] });
    watch.add({ name: 'masked row', value: secrets.row, may: [postgres.dataDir] });
    dev = createDaemon({
      ...{
        name: 'dev',
        file: process.execPath,
        args: [EXECUTABLE, 'dev', '--dir', home, '--json'],
        user: undefined,
        env: {},
      },
      ...{ logFile: path.join(folder, 'dev.log'), pidFile: path.join(pids, 'dev') },
    });
    dev.start();
    await eventually('dev runs', () => dev.logs().includes('"state":"running"'), { withinMs: 60_000 });
  });
  afterAll(async () => {
    await dev?.end('SIGKILL');
    await postgres?.stop();
    fs.rmSync(folder, { recursive: true, force: true });
    guard.kill('SIGKILL');
  });

  const env = { NODE_COMPILE_CACHE: path.join(folder, 'cache') };
  const cli = async (args: readonly string[], stdin = '') => {
    const all = [EXECUTABLE, '--config', path.join(home, 'countersign.yaml'), ...args];
    const finished = await run(process.execPath, all, { stdin, env });
    watch.look(`output of ${args.join(' ')}`, finished.stdout + finished.stderr);
    return finished;
  };
  const psql = async (sql: string) => {
    const env = { PGHOST: path.join(home, 'run/targets/shop'), PGUSER: 'you', PGSSLMODE: 'disable' };
    const finished = await run(psqlBinary() ?? 'psql', ['-X', '-A', '-t', '-v', 'VERBOSITY=verbose'], {
      stdin: sql,
      env,
    });
    watch.look(`psql: ${sql}`, finished.stdout + finished.stderr);
    return finished;
  };

  it('takes a target, serves a masked row, refuses a wrong password', async () => {
    fs.writeFileSync(path.join(folder, 'shop.yaml'), resources(postgres.port));
    fs.writeFileSync(path.join(folder, 'shop.cedar'), POLICY);
    expect(await cli(['target', 'secret', 'shop-password'], secrets.wrong)).toMatchObject({ code: 0 });
    for (const file of ['shop.yaml', 'shop.cedar'])
      expect(await cli(['apply', '-f', path.join(folder, file), '--yes', '--json'])).toMatchObject({ code: 0 });
    await eventually('the wrong password is refused', async () =>
      (await psql('select 1')).stderr.includes('could not log in'),
    );
    await cli(['target', 'secret', 'shop-password'], secrets.password);
    expect(
      await psql('select ssn from customers;\nselect ssn::int from customers;\ncopy customers to stdout;\n'),
    ).toMatchObject({
      stdout: '[redacted]\n',
      stderr: expect.stringContaining('42501'),
    });
  });

  it('says much about itself', async () => {
    const asked = ['--config', path.join(home, 'countersign.yaml'), 'node', 'token', '--json'];
    const { stdout } = await run(process.execPath, [EXECUTABLE, ...asked], { env });
    const { token } = JSON.parse(stdout) as { token: string }; // As `node token --json` prints it, to who asked.
    watch.add({ name: 'join token', value: token, may: [] });
    for (const args of [
      ['doctor'],
      ['target', 'show', 'shop'],
      ['node', 'list'],
      ['entry', 'list'],
      ['ledger', 'tail'],
      ['ledger', 'verify'],
    ])
      expect((await cli([...args, '--json'])).stdout).toMatch(/^[{[]/);
  });

  it('and leaves no secret anywhere, running or crashed', async () => {
    const lookAtAll = async () => {
      const data = (role: string) => path.join(home, 'data', role);
      addKeyFiles(watch, { server: data('server'), agent: data('agent'), gateway: data('gateway') });
      lookAtProcesses(watch, [dev.pid]);
      await postgres.query('checkpoint');
      for (const place of [folder, postgres.dataDir]) lookBelow(watch, place);
      lookAtDumps(watch, '/');
      return watch.report();
    };
    expect(await lookAtAll()).toMatchObject({ leaks: [] });
    dev.signal('SIGABRT');
    await dev.end('SIGKILL');
    const report = await lookAtAll();
    expect(report.leaks).toEqual([]);
    expect(report.values).toBeGreaterThanOrEqual(8);
    expect(report.places).toBeGreaterThan(1000);
  });
});

function resources(port: number): string {
  const selectors = JSON.stringify([
    `unix:uid:${process.getuid?.() ?? 0}`,
    `unix:path:${psqlBinary() ?? '/usr/bin/psql'}`,
  ]);
  return `kind: Target
name: shop
spec: { protocol: postgres, host: 127.0.0.1, port: ${port}, database: shop, user: shop_app, password: "keystore:shop-password" }
---
kind: Entry
name: you
spec: { spiffeId: "spiffe://example.org/you", selectors: ${selectors} }
`;
}

const POLICY = `@id("you-connect")
permit(principal == Identity::"spiffe://example.org/you", action == Action::"postgres:connect", resource in Target::"shop");
@id("you-see-masked")
@mask("ssn:redact")
permit(principal == Identity::"spiffe://example.org/you", action == Action::"postgres:select", resource == Postgres::Table::"shop/shop/public/customers");`;
