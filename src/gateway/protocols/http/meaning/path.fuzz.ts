import { parse } from 'node:querystring';
import { isDeepStrictEqual } from 'node:util';
import { assert } from '../../../../std/index.ts';
import { parseConfig } from '../config.ts';
import { createMeaning, isRefusal, type Meaning, type Meanings } from './index.ts';

const ROUTES = [
  { name: 'customers', methods: ['GET', 'POST'], path: '/v1/customers', reads: ['query.expand'] },
  { name: 'customer', methods: ['GET'], path: '/v1/customers/{id}', reads: ['query.expand', 'query.a.b'] },
  { name: 'export', path: '/v1/customers/export' },
  { name: 'files', path: '/Files/{rest*}' },
];
const strict = createMeaning('api', parseConfig({ url: 'http://api.test', routes: ROUTES }));
const credential = { query: { name: 'key', value: 'env:KEY' } };
const allow = { encodedSlash: true, emptySegments: true, matrixParameters: true, otherCase: true };
const lax = createMeaning('api', parseConfig({ url: 'http://api.test', routes: ROUTES, credential, allow }));

/**
 * A method and a target, as they come. Whatever is not refused means the same when what goes to the upstream is read again; and what usual readers make
 * of that are the segments, the route and the values that policy saw.
 */
export function fuzz(input: Uint8Array): void {
  const text = Buffer.from(input).toString('latin1');
  const cut = text.indexOf(' ');
  const [method, target] = cut < 0 ? ['GET', text] : [text.slice(0, cut), text.slice(cut + 1)];
  const meaning = checkedMeaning(strict, method, target);
  checkedMeaning(lax, method, target);
  if (meaning === undefined || meaning.context.path === '*') return;
  checkPath(meaning);
  checkQuery(meaning);
}

function checkedMeaning(meanings: Meanings, method: string, target: string): Meaning | undefined {
  const head = { method, host: 'api.test', fields: [], upgrade: undefined };
  const meaning = meanings.of({ ...head, target });
  if (isRefusal(meaning)) {
    assert(meaning.status >= 400 && meaning.message !== '' && meaning.hint !== '', 'a refusal that does not say why');
    assert(/^[ -~…]*$/.test(meaning.message + meaning.hint), 'a refusal quotes what it was sent');
    return undefined;
  }
  assert(/^[!-~]+$/.test(meaning.target) && !meaning.target.includes('#'), 'a target that is none');
  const again = meanings.of({ ...head, target: meaning.target });
  assert(isDeepStrictEqual(again, meaning), 'what goes on means another thing');
  return meaning;
}

function checkPath({ target, context, route, method }: Meaning): void {
  const url = new URL(`http://api.test${target}`);
  const path = target.split('?')[0] ?? '';
  assert(url.pathname === path, 'a URL reader sees another path');
  const seen = context.path === '/' ? [] : context.path.slice(1).split('/').map(decodeURIComponent);
  const simple = decodeURIComponent(path).normalize('NFKC').replace(/\/$/, '').split('/').slice(1);
  assert(
    isDeepStrictEqual(
      simple,
      seen.map((one) => one.normalize('NFKC')),
    ),
    'who decodes before splitting sees other segments',
  );
  assert(!simple.some((one) => /^\.*$|[/\\;]|%[0-9a-f]{2}|\p{Cc}/iu.test(one)), 'a segment that is more than a name');
  // As a router that folds case would choose: whoever it is, policy was asked about that route.
  const chosen = ROUTES.filter(({ path: template, methods }) => {
    const isTaken = methods?.includes(method) ?? true;
    const isByGet = method === 'HEAD' && methods?.includes('GET') === true;
    return (isTaken || isByGet) && patternOf(template).test(`/${simple.join('/')}`);
  });
  const names = chosen.map(({ name }) => name);
  assert(route === undefined ? names.length === 0 : names.includes(route.name), 'another route is served');
  assert(!names.includes('export') || route?.name === 'export', 'a parameter beats a literal');
}

function checkQuery({ target, resource, route }: Meaning): void {
  const query = target.includes('?') ? target.slice(target.indexOf('?') + 1) : '';
  const params = new URLSearchParams(query);
  const legacy = parse(query, '&', '=', { maxKeys: 0 });
  for (const name of route?.reads.query ?? []) {
    const seen = resource.tags?.[`query.${name}`];
    assert(isDeepStrictEqual(params.getAll(name), seen === undefined ? [] : [seen]), 'another value is read');
    assert(legacy[name] === seen, 'another reader reads another value');
    const lower = [...params.keys()].filter(
      (key) => key.toLowerCase().replace(/[. ]/g, '_') === name.replace('.', '_'),
    );
    assert(lower.length === (seen === undefined ? 0 : 1), 'a name that some take for one that is read');
  }
}

function patternOf(template: string): RegExp {
  const source = template.replace(/\/\{\w+\*\}/g, '(?:/.*)?').replace(/\{\w+\}/g, '[^/]+');
  return new RegExp(`^${source}$`, 'iu');
}

export const seeds: readonly Uint8Array[] = [
  'GET /v1/customers/7?expand=x&y=1+2',
  'GET /v1/customers?expand=1&expand=2',
  'HEAD /v1/customers/export',
  'GET /V1/Customers/7',
  'DELETE /files/a/b;x=1/%e2%82%ac/c%2Fd//',
  'POST /v1/customers?Expand=1&expand[]=2&_method=DELETE',
  'GET /v1/%2e%2e/admin%252f%c0%af%EF%BC%8F',
  'OPTIONS *',
  'GET /?a=%zz;b=%00&&=&key=1',
  'GET /v1/customers/a+b%2B%20c?a.b=1&a_b=2',
].map((text) => Buffer.from(text));

export const tokens = [
  ...[
    '/',
    '//',
    '..',
    '%2e',
    '%2f',
    '%5c',
    '\\',
    ';x=1',
    '..;/',
    '%252f',
    '%c0%af',
    '%ef%bc%8f',
    '%e2%84%aa',
    '%c5%bf',
    '%00',
  ],
  ...[
    '%3f',
    '%23',
    '#',
    '%20',
    '.',
    '?',
    '&',
    '=',
    '+',
    '%2B',
    '%3B',
    '[',
    ']',
    'expand',
    'a.b',
    'key',
    '_method',
    'v1',
    'Files',
  ],
  ...['customers', 'export', 'GET ', 'HEAD ', 'POST ', 'PURGE ', 'get ', 'CONNECT ', '%cc%81', '%', '%u002f'],
];
