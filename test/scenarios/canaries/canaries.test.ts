/**
 * No secret is anywhere but where it belongs, whatever was done with the product: keystore and agent under passphrases, wrong passwords and
 * tokens, secrets written where a reference belongs, masked rows asked for in every way, roles that crash, every command's JSON. Every
 * other stack of the tests is looked through in the same way when it ends; here the look itself is seen to find what is planted.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { canary } from '../../support/canaries/stack-canaries.ts';
import { eventually } from '../../support/eventually.ts';
import { createDaemon } from '../../support/processes.ts';
import { mayLackPsql } from '../../support/psql.ts';
import { ALLOW_ALL, type Stack, startStack } from '../../support/stack.ts';
import { ROLES } from '../../support/stack-folder.ts';
import { agentWay, directWay, startSvidFiles } from '../../support/ways.ts';

let stack: Stack;

beforeAll(async () => {
  stack = await startStack({ seed: SEED, policies: POLICIES, passphrases: true });
});
afterAll(async () => {
  await stack?.stop().catch(() => {}); // The last test sees it fail, as it must.
});

/** Registers a new secret that may be in that file alone, or nowhere. */
const secret = (name: string, may: readonly string[] = []): string => {
  const value = canary();
  stack.canaries.add({ name, value, may });
  return value;
};
const file = (name: string) => path.join(stack.folder.path, name);

describe('masked rows', () => {
  it('are asked for by node-postgres, in text and binary, in errors and notices', async () => {
    const svid = await startSvidFiles(stack);
    for (const way of [agentWay(stack), directWay(stack, svid.folder, 'direct')]) {
      const client = await way.connect();
      for (const text of ASKED) {
        for (const query of [{ text }, { text, values: [] }, { text, binary: true }]) {
          const rows = await client.query(query).then(
            (result) => (Array.isArray(result) ? result : [result]).flatMap((one) => one.rows),
            () => [],
          );
          stack.canaries.saw(`rows of ${text}`, JSON.stringify(rows));
        }
      }
      expect((await client.query('select ssn from customers')).rows).not.toEqual([]);
      await client.end();
    }
    await svid.daemon.end('SIGTERM');
  });

  it.skipIf(mayLackPsql())('are asked for by psql', async () => {
    const script = [...ASKED.map((text) => `${text};`), '\\d+ customers', '\\copy customers to stdout', 'select 1'];
    const finished = await stack.psql(script.join('\n'), {
      args: ['-v', 'ON_ERROR_STOP=0', '-v', 'VERBOSITY=verbose', '-e'],
    });
    expect(finished.stdout).toMatch(/1\n$/);
    expect(finished.stderr).toContain('42501');
  });

  it('are written by a client, in parameters and in the text of a statement', async () => {
    const { dataDir } = stack.postgres;
    const client = await agentWay(stack).connect();
    await client.query('insert into customers values (7, $1)', [secret('parameter of a client', [dataDir])]);
    await client.query(`insert into customers values (8, '${secret('literal of a client', [dataDir])}')`);
    await client.query(`update customers set ssn = '${secret('literal of an update', [dataDir])}' where id = 8`);
    await client
      .query(`select 1 from customers where ssn = '${secret('literal that is refused', [])}'`)
      .catch(() => {});
    await client.end();
  });
});

describe('wrong secrets', () => {
  it('of a target are refused without being said', async () => {
    await putSecret(secret('wrong password'));
    await expect(agentWay(stack).connect()).rejects.toMatchObject({ code: '28P01' });
    await putSecret(stack.secrets.target);
    await (await agentWay(stack).connect()).end();
  });

  it('of the keystore and of the agent let neither start', async () => {
    for (const role of ['server', 'agent'] as const) {
      const right = fs.readFileSync(stack.folder.passphrases[role]);
      await stack.roles[role].end('SIGTERM');
      const wrong = secret(`wrong passphrase of the ${role}`, [stack.folder.passphrases[role]]);
      fs.writeFileSync(stack.folder.passphrases[role], wrong);
      const finished = await stack.cli([role], { user: stack.users[role] });
      expect(finished.code).not.toBe(0);
      expect(finished.stderr).toMatch(/passphrase/);
      fs.writeFileSync(stack.folder.passphrases[role], right);
      stack.roles[role].start();
      await stack.roles[role].ready();
    }
  });

  it('of an agent that joins are refused without being said', async () => {
    const token = secret('wrong join token', [file('wrong-token')]);
    stack.folder.privateFile(file('wrong-token'), token, stack.users.agent);
    const home = stack.folder.privateFolder('second-agent', stack.users.agent);
    const agent = {
      ...{
        server: configured()['agent']?.['server'],
        trustBundle: stack.folder.trustBundle,
        dataDir: path.join(home, 'data'),
      },
      ...{
        joinToken: `file:${file('wrong-token')}`,
        socket: path.join(home, 'agent.sock'),
        targetsDir: path.join(home, 't'),
      },
    };
    fs.writeFileSync(file('second.yaml'), stringify({ trustDomain: 'example.org', agent }));
    const finished = await stack.cli(['agent', '--config', file('second.yaml')], {
      user: stack.users.agent,
      // It tries again for ever: once it has said why, there is nothing more to hear.
      started: (child) =>
        void child.stderr?.on('data', (text: string) => /join|attest/i.test(text) && child.kill('SIGKILL')),
    });
    expect(finished.code).not.toBe(0);
    expect(finished.stderr + finished.stdout).toMatch(/join|attest/i);
  });
});

describe('secrets written where a reference to one belongs', () => {
  it.each([
    ['server', 'keystore', (value: string) => ({ disk: { passphrase: value } })],
    ['server', 'store', (value: string) => ({ postgres: { url: `postgres://u:${value}@127.0.0.1:1/x` } })],
    ['server', 'store', (value: string) => ({ postgres: { url: 'file:/nowhere', password: value } })],
    ['agent', 'joinToken', (value: string) => value],
    ['agent', 'sealPassphrase', (value: string) => value],
    ['agent', 'sealPassphrase', (value: string) => `pass:${value}`],
  ] as const)('in %s.%s are refused without being said (%#)', async (role, key, put) => {
    const config = file('inline.yaml');
    const value = secret(`secret written into ${role}.${key}`, [config]);
    const sections = configured();
    fs.writeFileSync(config, stringify({ ...sections, [role]: { ...sections[role], [key]: put(value) } }));
    const options = { user: stack.users[role] };
    expect(await stack.cli([role, '--config', config], options)).not.toMatchObject({ code: 0 });
    await stack.cli(['doctor', '--json', '--config', config], options);
  });

  it('in a target are refused without being said', async () => {
    const folder = file('inline');
    fs.mkdirSync(folder);
    const spec = { protocol: 'postgres', host: '127.0.0.1', port: 1, database: 'shop', user: 'shop_app' };
    for (const put of [
      (value: string) => value,
      (value: string) => `keystore:${value}/`,
      (value: string) => `plain:${value}`,
    ]) {
      const password = put(secret('password written into a target', [folder]));
      fs.writeFileSync(
        path.join(folder, 'target.yaml'),
        stringify({ kind: 'Target', name: 'inline', spec: { ...spec, password } }),
      );
      for (const json of [[], ['--json']])
        expect((await stack.cli(['apply', '-f', folder, '--yes', ...json])).code).not.toBe(0);
    }
  });
});

describe('roles that crash', () => {
  it.each(ROLES)('leave nothing: %s', async (role) => {
    const client = await eventually('a session', () => agentWay(stack).connect());
    await client.query('select ssn from customers');
    for (const signal of ['SIGABRT', 'SIGSEGV'] as const) {
      await stack.roles[role].ready();
      stack.roles[role].signal(signal);
      await stack.roles[role].end('SIGKILL');
      stack.roles[role].start();
    }
    await client.end().catch(() => {}); // It may have been cut.
    await stack.roles[role].ready();
  });
});

describe('every command', () => {
  it('prints no secret, as text or as JSON', async () => {
    const asGateway = { user: stack.users.gateway };
    const commands: readonly (readonly [readonly string[], object?])[] = [
      ...['node list', 'entry list', 'target list', 'target show shop', 'entry show web', 'bundle show'].map(
        (text) => [text.split(' ')] as const,
      ),
      ...['doctor', 'ledger tail -n 10000', 'ledger verify', 'ledger show 1'].map(
        (text) => [text.split(' '), asGateway] as const,
      ),
      ...['doctor', 'svid show'].map((text) => [text.split(' '), { user: stack.users.web }] as const),
    ];
    for (const [args, options] of commands) {
      for (const json of [[], ['--json']]) {
        const finished = await stack.cli([...args, ...json], options);
        expect((finished.stdout + finished.stderr).length, args.join(' ')).toBeGreaterThan(0);
      }
    }
  });
});

describe('the look', () => {
  it('reaches everything of the stack and finds nothing', async () => {
    const report = await stack.canaries.lookAtAll();
    expect(report.leaks).toEqual([]);
    expect(report.unreached).toEqual([]);
    expect(report.values).toBeGreaterThan(25);
    expect(report.places).toBeGreaterThan(1000);
  });

  it('finds what is planted in each kind of place, and makes the end of the stack fail', async () => {
    const { target, keystorePassphrase, agentPassphrase, masked, store, joinToken } = stack.secrets;
    const base64 = (value: string) => Buffer.from(value).toString('base64');
    fs.appendFileSync(stack.folder.log('server'), `${base64(keystorePassphrase)}\n`);
    fs.writeFileSync(path.join(stack.folder.data.gateway, 'ledger', 'note'), Buffer.from(masked, 'utf16le'));
    fs.writeFileSync(path.join(stack.folder.data.agent, `${agentPassphrase}.tmp`), '');
    fs.copyFileSync(path.join(stack.folder.data.gateway, 'seal.key'), file('copy-of-key'));
    await stack.postgres.query(
      `create table notes as select '${Buffer.from(target).toString('hex')}' as note`,
      [],
      'control',
    );
    await stack.cli(['node', 'list'], { env: { NOTE: encodeURIComponent(store) } });
    await stack.cli(['node', 'show', joinToken]);
    const planted = createDaemon({
      ...{
        name: 'planted',
        file: '/bin/bash',
        args: ['-c', 'exec -a "$0" sleep 60', `sleep ${store}`],
        user: undefined,
        env: {},
      },
      ...{ logFile: file('planted.log'), pidFile: path.join(stack.folder.pids, 'planted') },
    });
    planted.start();
    const failure: unknown = await stack.stop().catch((error) => error);
    await planted.end('SIGKILL');
    const message = failure instanceof Error ? failure.message : '';
    for (const found of [
      /^passphrase of the keystore \(base64\) in .*\/logs\/server\.log at \d+$/m,
      /^masked row \(UTF-16\) in .*\/ledger\/note at 0$/m,
      /^passphrase of the agent \(plain\) in the name of .*\/agent\/data\/…/m,
      /^gateway's seal\.key \(plain\) in .*\/copy-of-key at 0$/m,
      /^password of the target \(hex\) in table public\.notes of the store at/m,
      /^password of the store \(plain\) in environment of /m,
      /^join token \(plain\) in arguments of /m,
    ])
      expect(message).toMatch(found);
    expect(message).not.toMatch(/canary-/);
    expect(fs.existsSync(stack.folder.path)).toBe(false);
  });
});

async function putSecret(value: string): Promise<void> {
  const options = { user: stack.users.gateway, stdin: `${value}\n` };
  expect(await stack.cli(['target', 'secret', 'shop-password', '--json'], options)).toMatchObject({ code: 0 });
}

/** The stack's configuration, by section. */
function configured(): Record<string, Record<string, unknown>> {
  const parsed: unknown = parse(fs.readFileSync(stack.folder.config, 'utf8'));
  return parsed as Record<string, Record<string, unknown>>; // As the stack wrote it.
}

/** What brings a masked value to a client where a gateway looks away. */
const ASKED = [
  'select * from customers',
  'select ssn as x, upper(ssn) from customers',
  'select ssn::int from customers',
  'select row_to_json(c) from customers c',
  'copy customers to stdout',
  'copy (select ssn from customers) to stdout (format csv)',
  "do $$ begin raise notice '%', (select max(ssn) from customers); end $$",
  'insert into customers select id, ssn from customers',
  'explain analyze select * from customers order by ssn',
  'declare c cursor for select ssn from customers',
  'select leak(id) from customers',
  'select 1/0 from customers where leak(id) is null',
];
const SEED = `
  create table customers (id int primary key, ssn text);
  insert into customers select n, '%MASKED%' from generate_series(1, 3) n;
  create function leak(int) returns text language plpgsql as
    'begin raise notice ''%'', (select ssn from public.customers where id = $1); return null; end';
  grant all on customers to shop_app;
`;
const POLICIES = {
  'web-all': ALLOW_ALL,
  rules: `
    @id("web-sees-masked")
    @mask("ssn:redact")
    permit(principal == Identity::"spiffe://example.org/web", action == Action::"postgres:select", resource == Postgres::Table::"shop/shop/public/customers");
  `,
};
