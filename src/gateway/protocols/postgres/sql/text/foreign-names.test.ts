// Goal: no name is forwarded that the server cuts, folds or turns into another than the planner took it for.
import { beforeAll, describe, expect, it } from 'vitest';
import { loadParser, noSessionFacts } from '../index.ts';
import { buildCatalog, catalogItems, maskingPolicies } from '../testing/catalog-rows.ts';
import { reasonOf } from '../testing/plans.ts';
import { createShop, type Shop } from '../testing/shop.ts';
import { parseDefinition } from './parse.ts';

beforeAll(loadParser);

function shopIn(encoding: string, bytesMax = 1, letters = 'C'): Shop {
  const items = catalogItems();
  const [row = []] = items.get('settings') ?? [];
  items.set('settings', [[...row.slice(0, -3), encoding, String(bytesMax), letters]]);
  return createShop(buildCatalog(items, 1), maskingPolicies, 1 << 20);
}

const read = (name: string) => `select 1 as ${name} from orders`;

describe('a name that the server may cut elsewhere', () => {
  it.each([
    ['in Latin 1', 'LATIN1', 1, 'é'.repeat(32)],
    ['in quotes', 'LATIN1', 1, `"${'é'.repeat(32)}"`],
    ['by its letters’ numbers', 'LATIN1', 1, `U&"${'\\00e9'.repeat(32)}"`],
    ['without an encoding', 'SQL_ASCII', 1, 'é'.repeat(32)],
    ['where letters have more bytes than in UTF8', 'EUC_JP', 3, 'é'.repeat(22)],
  ])('is refused %s', (_, encoding, bytesMax, name) => {
    const shop = shopIn(encoding, bytesMax);
    for (const mode of ['simple', 'parse'] as const)
      expect(reasonOf(shop.plan(read(name), { mode }))).toBe('uncertain-name');
    expect(reasonOf(shop.plan(`prepare p as ${read(name)}`))).toBe('uncertain-name');
    expect(reasonOf(shop.plan(`copy (${read(name)}) to stdout`))).toBe('uncertain-name');
    expect(reasonOf(shop.plan(`do $$ begin create table ${name} (x int); end $$`))).toBe('uncertain-name');
    expect(reasonOf(shopIn('UTF8', 4).plan(read(name)))).toBe('forward');
  });

  it('passes when all count it whole, and so does what is no name', () => {
    const shop = shopIn('LATIN1');
    for (const sql of [
      read('é'.repeat(31)),
      read('a'.repeat(80)),
      `select '${'é'.repeat(80)}' as x from orders -- ${'é'.repeat(80)}`,
      `select $$"${'é'.repeat(80)}$$ as x, "É" from (select 1 as "É") q`,
    ])
      expect(reasonOf(shop.plan(sql)), sql).toBe('forward');
  });

  it('of a definition leaves that unread', () => {
    expect(parseDefinition(`select 'é"' as x, 1 as "${'é'.repeat(31)}"`)).toBeDefined();
    expect(parseDefinition(`select 'é"' as x, 1 as "${'é'.repeat(32)}"`)).toBeUndefined();
  });
});

describe('a name that the server may fold', () => {
  it.each([
    ['a capital', 'LATIN1', 'fr_FR', 'NUMÉRO', 'uncertain-name'],
    ['a capital in quotes', 'LATIN1', 'fr_FR', '"NUMÉRO"', 'forward'],
    ['small letters', 'LATIN1', 'fr_FR', 'numéro', 'forward'],
    ['any letter where bytes are letters', 'SQL_ASCII', 'fr_FR', 'numéro', 'uncertain-name'],
    ['a capital where only ASCII has some', 'LATIN1', 'C', 'NUMÉRO', 'forward'],
    ['a capital of a database in UTF8', 'UTF8', 'fr_FR', 'NUMÉRO', 'forward'],
  ])('%s', (_, encoding, letters, name, expected) => {
    const shop = shopIn(encoding, encoding === 'UTF8' ? 4 : 1, letters);
    expect(reasonOf(shop.plan(read(name)))).toBe(expected);
  });

  it('is refused in a path, whether set by name, by a value or at start-up', () => {
    const shop = shopIn('LATIN1', 1, 'fr_FR');
    expect(reasonOf(shop.plan('set search_path to É'))).toBe('uncertain-name');
    expect(reasonOf(shop.plan("select set_config('search_path', 'É', false)"))).toBe('uncertain-name');
    expect(reasonOf(shop.plan('set search_path to "É"'))).toBe('forward');
    const session = { ...noSessionFacts, startPath: ['É', 'public'] };
    expect(reasonOf(shop.plan('select 1', { session }))).toBe('uncertain-name');
    expect(reasonOf(shop.plan('select 1', { session: { ...session, searchPath: ['public'] } }))).toBe('forward');
    // Another session's verdict, whose path is spelt alike and was in quotes.
    expect(reasonOf(shop.plan('select 2', { session: { ...noSessionFacts, searchPath: ['É', 'public'] } }))).toBe(
      'forward',
    );
    expect(reasonOf(shop.plan('select 2', { session }))).toBe('uncertain-name');
  });
});

it('a letter that EUC_JP has not is no part of a name, as it becomes another', () => {
  const shop = shopIn('EUC_JP', 3);
  expect(reasonOf(shop.plan(read('"¦"')))).toBe('uncertain-name');
  expect(reasonOf(shop.plan(read('U&"\\00a6"')))).toBe('uncertain-name');
  expect(reasonOf(shop.plan(read('"￤"')))).toBe('forward');
});
