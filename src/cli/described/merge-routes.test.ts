import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { ImportedRoute } from '../../api-documents/index.ts';
import { addRoutes, writeRoutes } from './merge-routes.ts';

// Goal: what people wrote by hand is never lost, and what is new stands where it belongs.

const pet: ImportedRoute = { name: 'pet', methods: ['GET'], path: '/pets/{id}', reads: ['query.a'] };
const sync: ImportedRoute = { name: 'sync', methods: ['POST'], path: '/a.B/Sync', remark: 'server streaming' };

it('routes are printed as a target has them', () => {
  expect(writeRoutes([pet, sync])).toBe(
    `routes:\n  - { name: pet, methods: [GET], path: "/pets/{id}", reads: [query.a] }\n  # server streaming\n  - { name: sync, methods: [POST], path: /a.B/Sync }\n`,
  );
  expect(writeRoutes([])).toBe('routes: []\n');
  const odd = ['null', 'true', '1', '1e3', 'no', 'y'].map(
    (name): ImportedRoute => ({ name, methods: ['GET'], path: '/x: #"\\é' }),
  );
  expect(parse(writeRoutes(odd)).routes).toEqual(odd);
});

/** Whether one text is the other with something between. */
function isAmong(whole: string, part: string): boolean {
  let at = 0;
  for (const sign of whole) if (sign === part[at]) at++;
  return at === part.length;
}

describe('routes are put into a file', () => {
  const before = `# ours
kind: Target   # a target
name: api
spec:
    protocol: http
    url:   "http://x"   # where it is
    routes:
        # by hand
        - { name: "mine",   path: /mine }   # keep

        - name: block
          methods:
              - GET
          path: /block
    unlisted: refuse # strict
---
kind: Target
name: other
spec: { protocol: http, url: http://y }
`;

  it('behind the last of a list with a line for each, and all else stays byte for byte', () => {
    const after = addRoutes(before, 0, [pet, sync]) ?? '';
    const added = `        - { name: pet, methods: [GET], path: "/pets/{id}", reads: [query.a] }
        # server streaming
        - { name: sync, methods: [POST], path: /a.B/Sync }
`;
    expect(after).toBe(before.replace('          path: /block\n', `          path: /block\n${added}`));
    expect(addRoutes(before, 0, [])).toBe(before);
  });

  it.each([
    ['without a list', 'kind: Target\nname: a\nspec:\n  protocol: http # p\n  url: http://x\n', []],
    ['with an empty list', 'kind: Target\nname: a\nspec:\n  routes: [] # none\n', []],
    ['with a list in one line', 'spec: { routes: [{ name: x, path: /x }] } # c\n', [{ name: 'x', path: '/x' }]],
    ['without a line break at its end', 'spec:\n  routes:\n  - { name: x, path: /x } # c', [{ name: 'x', path: '/x' }]],
    [
      'with a line break of Windows',
      'spec:\r\n  routes:\r\n  - { name: x, path: /x } # c\r\n',
      [{ name: 'x', path: '/x' }],
    ],
    ['with a mark of its bytes', '\uFEFFspec:\n  url: x # c\n', []],
    ['with line breaks of Windows, and no list', 'spec:\r\n  url: x # c\r\n\r\n# end\r\n', []],
    [
      'with blanks and quotes as nobody else has them',
      'spec:\n      url:    "x"     # c\n      listen:   {host: h,port:  1}\n\n\n# end',
      [],
    ],
    [
      'with a list in several lines',
      'spec:\n  routes: [\n    {name: x, path: /x}, # c\n  ]\n',
      [{ name: 'x', path: '/x' }],
    ],
    ['with an empty list in one line', 'spec: {routes: [ ], url: x} # c\n', []],
    ['all in one line, without a list', 'spec: {url: x,} # c\n', []],
    ['with an anchor', 'spec: &s\n  url: &u x\n  listen: { host: *u } # c\n', []],
    ['with a key without a value at its end', 'spec:\n  url: x\n  credential: # c\n', []],
    ['with a text of several lines at its end', 'spec:\n  url: x # c\n  note: |\n    one\n\n    two\n\n', []],
    [
      'with a text below',
      'spec:\n  routes:\n    - name: x\n      path: >-\n        /x\n\n# end\n',
      [{ name: 'x', path: '/x' }],
    ],
  ])('%s', (_, text, present) => {
    const after = addRoutes(text, 0, [pet]) ?? '';
    expect(parse(after).spec.routes).toEqual([...present, pet]);
    for (const comment of text.match(/#[^\r\n]*/g) ?? []) expect(after).toContain(comment);
    expect(isAmong(after, text.replace(/ ?\[\]/, ''))).toBe(true);
    if (text.includes('\r\n')) expect(after).not.toMatch(/[^\r]\n/);
  });

  it('and the second of two documents alone is changed', () => {
    const after = addRoutes(before, 1, [pet]) ?? '';
    expect(after.startsWith(before.slice(0, before.indexOf('---')))).toBe(true);
    expect(parse(after.slice(after.indexOf('---') + 4)).spec).toEqual({
      protocol: 'http',
      url: 'http://y',
      routes: [pet],
    });
  });

  it('and nothing is where something else would change', () => {
    expect(addRoutes('spec: hello\n', 0, [pet])).toBeUndefined();
    expect(addRoutes('spec:\n  routes: none\n', 0, [pet])).toBeUndefined();
    expect(addRoutes('x: 1\n', 1, [pet])).toBeUndefined();
    expect(addRoutes('a: &r []\nspec:\n  routes: *r\n', 0, [pet])).toBeUndefined();
  });

  it('whatever stands there: every value and comment is there after', () => {
    const comment = fc.constantFrom('', ' # one', ' # two');
    const item = fc.tuple(
      fc.constantFrom('- { name: a, path: /a }', '- name: b\n      path: /b', '- {name: "c",path: /c}'),
      comment,
    );
    fc.assert(
      fc.property(fc.array(item, { minLength: 1, maxLength: 4 }), comment, fc.boolean(), (items, last, isLast) => {
        const list = items.map(([text, behind]) => `    ${text}${behind}\n`).join('');
        const text = `spec:\n  url: x${last}\n  routes:\n${list}${isLast ? '' : `  unlisted: ask${last}\n`}`;
        const after = addRoutes(text, 0, [pet]) ?? '';
        expect(parse(after)).toEqual({ spec: { ...parse(text).spec, routes: [...parse(text).spec.routes, pet] } });
        for (const line of text.split('\n')) expect(after).toContain(line);
      }),
    );
  });
});
