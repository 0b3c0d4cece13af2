import { describe, expect, it } from 'vitest';
import { parseQuery } from './query.ts';

const nothing = { reads: [], credential: undefined };
const written = (query: string) => parseQuery(query, nothing);
const reading = (query: string) => parseQuery(query, { reads: ['expand', 'a.b'], credential: 'key' });

describe('a query', () => {
  it.each([
    ['keeps its pairs in their order', 'b=2&a=1&b=3', '?b=2&a=1&b=3'],
    ['has one spelling of each byte', 'a=%7e%c3%a9"&%61=x', '?a=~%C3%A9%22&a=x'],
    ['keeps bytes that are no UTF-8', 'a=%e9', '?a=%E9'],
    ['keeps + and %2B apart', 'a=1+2%2b3%203', '?a=1+2%2B3%203'],
    ['keeps ; and %3B apart', 'a=1;b=2%3b', '?a=1;b=2%3B'],
    ['keeps brackets, encoded', 'a[]=1&a[x]=2', '?a%5B%5D=1&a%5Bx%5D=2'],
    ['has one = of a pair that could be cut in two ways', 'a==b=', '?a=%3Db%3D'],
    ['keeps a name without value', 'a&b=', '?a&b='],
    ['loses empty pairs', '&a=1&&', '?a=1'],
    ['takes a percent sign that encodes nothing for itself', 'a=100%&b=%zz', '?a=100%25&b=%25zz'],
    ['may have no pair', '', ''],
    ['may begin with ?', '?a=1', '?%3Fa=1'],
  ])('%s', (_, query, canonical) => {
    const found = written(query);
    expect(found).toMatchObject({ written: canonical });
    expect(written(canonical.slice(1))).toEqual(found);
  });

  it.each(['_method=DELETE', '_METHOD=x', '%5fmethod=x', '.method=x', '_method[]=x'])('is refused for %s', (query) => {
    expect(written(query)).toMatchObject({ code: 'http-query', message: expect.stringContaining('_method') });
  });

  it.each(['a#b', 'a\u00e9', 'a b'])('is refused for bytes that no query has: %s', (query) => {
    expect(written(query)).toMatchObject({ status: 400, code: 'http-query' });
  });
});

describe('a parameter that policy reads', () => {
  it('is read, decoded', () => {
    expect(reading('x=%ff+1&%65xpand=a%20b%2Bc')).toEqual({
      ...{ written: '?x=%FF+1&expand=a%20b%2Bc', values: new Map([['expand', 'a b+c']]) },
    });
    expect(reading('expand')).toMatchObject({ values: new Map([['expand', '']]) });
    expect(reading('a.b=1')).toMatchObject({ values: new Map([['a.b', '1']]) });
  });

  it.each([
    ['twice', 'expand=1&expand=2', /twice/],
    ['twice, encoded', 'expand=1&%65xpand=2', /twice/],
    ['in brackets', 'expand[]=1', /another spelling of expand/],
    ['with a key', 'expand%5Bx%5D=1', /another spelling of expand/],
    ['in another case', 'Expand=1', /another spelling/],
    ['with a long s, which folds', 'expand=1&a_b=2', /another spelling of a.b/],
    ['with a blank for its dot', 'a%20b=1', /another spelling of a.b/],
    ['with a plus for its dot', 'a+b=1', /another spelling of a.b/],
    ['cut at NUL', 'expand%00x=1', /not UTF-8 or not encoded/],
    ['with a blank before', '%20expand=1', /another spelling/],
    ['of full width', '%EF%BD%85xpand=1', /another spelling/],
    ['encoded twice', '%2565xpand=1', /another spelling/],
    ['beside a name that is no UTF-8', '%c1%a5xpand=1', /not UTF-8/],
    ['beside a semicolon', 'x=1;expand=2', /semicolon/],
    ['with a plus in its value', 'expand=a+b', /two ways/],
    ['with a value that is no UTF-8', 'expand=%ff', /two ways/],
    ['with a percent sign that encodes nothing', 'expand=%zz', /two ways/],
    ['with a control character', 'expand=%0a', /two ways/],
    ['with characters that are not composed', 'expand=e%CC%81', /two ways/],
  ])('is refused %s', (_, query, message) => {
    expect(reading(query)).toMatchObject({ code: 'http-query', message: expect.stringMatching(message) });
  });

  it.each([
    'key=1',
    'KEY=1',
    'key[]=1',
    '%6bey=1',
    'x=1&key',
    '%E2%84%AAey=1',
  ])('is not that of the credential: %s', (query) => {
    expect(reading(query)).toMatchObject({ message: expect.stringContaining('holds the credential') });
  });

  it('is as it is in the query of somebody who reads nothing', () => {
    expect(written('key=1&expand=1&expand=2;x')).toMatchObject({ written: '?key=1&expand=1&expand=2;x' });
  });
});
