// Goal: where the server cuts or folds names by another encoding than the parser's, no name brings a masked or forbidden row to whom it is kept from.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Step, startAttacks } from '../testing/attacks.ts';

/** Cut to 63 bytes as UTF-8, both are one name; where the server counts fewer bytes, they are two. */
const SHORT = 'é'.repeat(31);
const LONG = 'é'.repeat(40);
const inC = (encoding: string) => `encoding '${encoding}' locale 'C' template template0`;
const quiet: Step = ['a', 'set client_min_messages = warning'];

const LOCALES = [
  ['fr_FR.iso88591', 'fr_FR', 'ISO-8859-1'],
  ['tr_TR.iso88599', 'tr_TR', 'ISO-8859-9'],
] as const;
const locales = mkdtempSync(join(tmpdir(), 'cs-locales-'));
/** Where nothing makes locales there are none to test with. */
const canMakeLocales = spawnSync('localedef', ['--version']).status === 0;
let attacks: Awaited<ReturnType<typeof startAttacks>>;
beforeAll(async () => {
  // The server may be run by another user.
  chmodSync(locales, 0o755);
  for (const [name, input, charset] of canMakeLocales ? LOCALES : []) {
    const { status, stderr } = spawnSync('localedef', ['-i', input, '-f', charset, join(locales, name)]);
    expect(status, String(stderr)).toBe(0);
  }
  vi.stubEnv('LOCPATH', locales);
  attacks = await startAttacks();
});
afterAll(async () => {
  await attacks?.stop();
  vi.unstubAllEnvs();
  rmSync(locales, { recursive: true });
});

it.each<[string, string, string]>([
  ['an alias in Latin 1', 'LATIN1', `select ${LONG}.ssn || '' as x from notes ${SHORT}, people ${LONG}`],
  [
    'an alias in EUC',
    'EUC_JP',
    `select ${'あ'.repeat(30)}.ssn || '' as x from notes ${'あ'.repeat(21)}, people ${'あ'.repeat(30)}`,
  ],
  ['an alias in no encoding', 'SQL_ASCII', `select ${SHORT}é.ssn || '' as x from notes ${SHORT}, people ${SHORT}é`],
  [
    'a query of WITH',
    'LATIN1',
    `with ${LONG} as (select ssn as x from people) select q.x || '' as y from (with ${SHORT} as (select 'a' as x) select x from ${LONG}) q`,
  ],
])('%s, cut at another letter, shows no masked value', async (_, encoding, sql) => {
  const attack = { database: inC(encoding), steps: [quiet, ['a', sql]] as const };
  expect(await attacks.seenWithout(attack)).toMatch(/CANARY-\d/);
  const seen = await attacks.seenBy(attack);
  expect(seen).not.toMatch(/CANARY-\d/);
  expect(seen).toContain('countersign: uncertain-name');
});

it('a table that policy forbids is not read by a name that is cut at another letter', async () => {
  const attack = {
    database: inC('LATIN1'),
    policies: `@id("all") permit (principal, action, resource);
      @id("not") forbid (principal, action, resource) when { resource == Postgres::Table::"db/app/public/${LONG}" };`,
    steps: [
      ['owner', `create table ${SHORT} (x text); create table ${LONG} as select ssn as x from people`],
      quiet,
      ['a', `select x from ${LONG}`],
    ],
  } as const;
  expect(await attacks.seenWithout(attack)).toMatch(/CANARY-\d/);
  expect(await attacks.seenBy(attack)).not.toMatch(/CANARY-\d/);
});

describe.skipIf(!canMakeLocales)('where the server has capitals beyond ASCII', () => {
  const french = "encoding 'LATIN1' locale 'fr_FR.iso88591' template template0";
  const turkish = "encoding 'LATIN5' locale 'tr_TR.iso88599' template template0";
  const masking = (column: string) => `@id("all") permit (principal, action, resource);
    @id("mask") @mask("people.${column}:redact") permit (principal, action == Action::"postgres:select", resource);`;

  it.each<[string, string, string, string]>([
    ['a column in Latin 1', french, 'numéro', "select NUMÉRO || '' as x from people, pg_class limit 1"],
    ['a column in Turkish', turkish, 'iban', "select İban || '' as x from people, pg_class limit 1"],
    [
      'a query of WITH',
      french,
      'ssn',
      `with "é" as (select 'a' as x) select q.x || '' as y from (with É as (select ssn as x from people) select x from "é") q`,
    ],
  ])('%s in capitals shows no masked value', async (_, database, column, sql) => {
    const owner: readonly Step[] = column === 'ssn' ? [] : [['owner', `alter table people rename ssn to ${column}`]];
    const attack = { database, policies: masking(column), steps: [...owner, ['a', sql]] as const };
    expect(await attacks.seenWithout(attack)).toMatch(/CANARY-\d/);
    const seen = await attacks.seenBy(attack);
    expect(seen).not.toMatch(/CANARY-\d/);
    expect(seen).toContain('countersign: uncertain-name');
  });

  it.each<[string, string]>([
    ['a table in capitals', 'select x from PRIVÉ'],
    ['a schema of a path that is set by a value', "select set_config('search_path', 'PRIVÉ', false); select x from t"],
  ])('%s is not read against a forbid', async (_, sql) => {
    const attack = {
      database: french,
      policies: `@id("all") permit (principal, action, resource);
        @id("not") forbid (principal, action, resource) when { resource == Postgres::Table::"db/app/public/privé" };
        @id("nor") forbid (principal, action, resource) when { resource == Postgres::Table::"db/app/privé/t" };`,
      steps: [
        [
          'owner',
          'create table privé as select ssn as x from people; create schema privé; create table privé.t as select ssn as x from people; create table t (x text)',
        ],
        ...sql.split('; ').map((one) => ['a', one] as const),
      ] as const,
    };
    expect(await attacks.seenWithout(attack)).toMatch(/CANARY-\d/);
    expect(await attacks.seenBy(attack)).not.toMatch(/CANARY-\d/);
  });

  it('names in quotes or in small letters are read as ever', async () => {
    const steps: readonly Step[] = [
      ['owner', 'create table "Privé" as select 7 as numéro'],
      ['a', 'select numéro from "Privé"'],
    ];
    expect(await attacks.seenBy({ database: french, steps })).toContain('"numéro":7');
  });
});
