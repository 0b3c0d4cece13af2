import { Type } from 'typebox';
import { describe, expect, it } from 'vitest';
import { endpointsOf } from './endpoint.ts';
import { cursorAfter, pageInput, pageOfAll, readPage } from './page.ts';
import { readInput } from './read-input.ts';

// Goal: what a handler is given is what its schema says, and whoever sends something else is told what, by its place and never by its value.

const endpoint = endpointsOf<unknown>();
const input = Type.Object(
  {
    name: Type.String({ pattern: '^[a-z]+$' }),
    ...pageInput,
    all: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
);
const words = {
  name: 'thing.list',
  summary: 'Lists things.',
  output: Type.Object({}, { additionalProperties: false }),
};
const list = endpoint({ ...words, method: 'GET', path: '/v1/things/{name}', input });
const make = endpoint({ ...words, method: 'POST', path: '/v1/things/{name}', input });
const parts = { path: { name: 'a' }, query: {}, body: undefined };

describe('the input of an endpoint', () => {
  it('is gathered from path and query, or path and body', () => {
    expect(readInput(list, { ...parts, query: { limit: '7', all: 'true' } })).toEqual({
      ...{ name: 'a', limit: 7, all: true },
    });
    expect(readInput(make, { ...parts, body: { limit: 7 } })).toEqual({ name: 'a', limit: 7 });
    expect(readInput(make, parts)).toEqual({ name: 'a' });
  });

  it.each([
    ['a number that is spelled otherwise', { limit: '07' }, '/limit must be integer'],
    ['a number with a plus', { limit: '+7' }, '/limit must be integer'],
    ['a number beyond the most', { limit: '1001' }, '/limit must be <= 1000'],
    ['another truth', { all: 'TRUE' }, '/all must be boolean'],
    ['a field twice', { limit: ['1', '2'] }, '/limit is given more than once'],
    ['a field that is not there', { lmit: '1' }, '/lmit is no field of the query'],
    ['a field of the path', { name: 'b' }, '/name is no field of the query'],
    ['the name of a prototype', JSON.parse('{"__proto__": "x"}'), '/__proto__ is no field of the query'],
  ])('refuses %s', (_, query, message) => {
    expect(() => readInput(list, { ...parts, query })).toThrow(message);
  });

  it.each([
    ['a list', [], 'the body must be a JSON object'],
    ['nothing in words', null, 'the body must be a JSON object'],
    ['a text for a number', { limit: '7' }, '/limit must be integer'],
    ['a prototype', JSON.parse('{"__proto__": {}}'), '/__proto__ is no field of the body'],
    ['a field of the path', { name: 'b' }, '/name is no field of the body'],
  ])('refuses a body of %s', (_, body, message) => {
    expect(() => readInput(make, { ...parts, body })).toThrow(message);
  });

  it('takes no body where it has no place, and shows no value', () => {
    expect(() => readInput(list, { ...parts, body: {} })).toThrow('this endpoint takes no body');
    const secret = { ...parts, path: { name: 'hunter2!' } };
    expect(() => readInput(list, secret)).toThrow('/name must match pattern');
    expect(() => readInput(list, secret)).not.toThrow('hunter2');
    const long = { ...parts, query: { ['x'.repeat(10_000)]: '1' } };
    expect(() => readInput(list, long)).toThrow(/^\/x{100}… is no field of the query$/);
  });
});

describe('a page', () => {
  const question = ['thing.list', 'red'];
  const all = ['a', 'b', 'c', 'd', 'é'].map((key) => ({ key }));
  const pages = (limit: number) => {
    const seen: string[] = [];
    for (let cursor: string | undefined, n = 0; n < 10; n++) {
      const page = pageOfAll(all, readPage({ limit, cursor }, question), { keyOf: ({ key }) => key, question });
      seen.push(page.items.map(({ key }) => key).join(''));
      cursor = page.next;
      if (cursor === undefined) break;
    }
    return seen;
  };

  it('goes on where the one before ended, each item once', () => {
    expect(pages(2)).toEqual(['ab', 'cd', 'é']);
    expect(pages(5)).toEqual(['abcdé']);
    expect(pages(1)).toEqual(['a', 'b', 'c', 'd', 'é']);
  });

  it('goes on behind an item that is gone meanwhile', () => {
    const asked = readPage({ limit: 2, cursor: cursorAfter('bb', question) }, question);
    expect(pageOfAll(all, asked, { keyOf: ({ key }) => key, question }).items).toEqual([{ key: 'c' }, { key: 'd' }]);
    const behind = readPage({ cursor: cursorAfter('ö', question) }, question);
    expect(pageOfAll(all, behind, { keyOf: ({ key }) => key, question })).toEqual({ items: [] });
  });

  it('takes no cursor of another question, none that was changed, and none in another spelling', () => {
    const cursor = cursorAfter('b', question);
    expect(() => readPage({ cursor }, ['thing.list', 'blue'])).toThrow(
      'the cursor is none that was handed out for this question',
    );
    for (const wrong of ['', 'x', `${cursor}=`, `${cursor}A`, cursor.slice(1), ` ${cursor}`, 'b']) {
      expect(() => readPage({ cursor: wrong }, question), wrong).toThrow(
        expect.objectContaining({ code: 'ERR_ENDPOINT_CURSOR' }),
      );
    }
  });
});
