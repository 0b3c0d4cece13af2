import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  agreedAttributes,
  attributesDigest,
  disputedAttributes,
  InvalidAttributes,
  NO_ATTRIBUTES,
  parseIdentityAttributes,
} from './identity-attributes.ts';

// Goal: what policies decide by is one plain line each, bounded, and the same text for the same attributes.

describe('attributes of an identity', () => {
  it('are owner, environment and labels, in order of name', () => {
    const parsed = parseIdentityAttributes({
      owner: 'Équipe 7',
      environment: 'prod',
      labels: { tier: '', team: 'a=b' },
    });
    expect(JSON.stringify(parsed)).toBe('{"owner":"Équipe 7","environment":"prod","labels":{"team":"a=b","tier":""}}');
  });

  it('are the same nothing for all that have none', () => {
    expect(parseIdentityAttributes({ owner: '', labels: {} })).toBe(NO_ATTRIBUTES);
  });

  it.each<[string, Record<string, string>]>([
    ['the name of what every object has', { constructor: 'x', toString: 'y', hasOwnProperty: 'z', valueOf: '' }],
    ['63 characters of a name and 256 of a value', { [`a${'/'.repeat(61)}b`]: 'é'.repeat(256) }],
    ['32 of them', Object.fromEntries(Array.from({ length: 32 }, (_, n) => [`l${n}`, 'x']))],
  ])('may be labels with %s', (_, labels) => {
    expect(parseIdentityAttributes({ labels }).labels).toEqual(labels);
  });

  it.each<[string, Parameters<typeof parseIdentityAttributes>[0], RegExp]>([
    [
      '33 labels',
      { labels: Object.fromEntries(Array.from({ length: 33 }, (_, n) => [`l${n}`, 'x'])) },
      /33 labels .* 32/,
    ],
    ['a label called __proto__', { labels: JSON.parse('{"__proto__":"x"}') }, /"__proto__" is no name of a label/],
    ['a label without a name', { labels: { '': 'x' } }, /no name of a label/],
    ['a name of 64 characters', { labels: { ['a'.repeat(64)]: 'x' } }, /no name of a label/],
    ['a name that is not ASCII', { labels: { 'te\u0430m': 'x' } }, /no name of a label/],
    ['a value of 257 characters', { labels: { a: 'x'.repeat(257) } }, /label a has 257 characters/],
    [
      'more than 4 KiB',
      { labels: Object.fromEntries(Array.from({ length: 32 }, (_, n) => [`l${n}`, 'x'.repeat(200)])) },
      /bytes as JSON/,
    ],
    ['a line break', { owner: 'ops\nroot' }, /owner is one line/],
    ['an escape', { environment: '\u001b[2J' }, /environment is one line/],
    ['a C1 control', { labels: { a: '\u0085' } }, /label a is one line/],
    ['a NUL', { owner: '\0' }, /owner is one line/],
    ['a mark of direction', { owner: 'a\u202eb' }, /owner is one line/],
    ['half a character', { owner: '\ud83d' }, /lone surrogate/],
    ['white space around', { owner: ' ops' }, /white space/],
    ['what is no text', { owner: 5 as never }, /owner is no text/],
  ])('are not: %s', (_, written, message) => {
    expect(() => parseIdentityAttributes(written)).toThrow(InvalidAttributes);
    expect(() => parseIdentityAttributes(written)).toThrow(message);
  });

  it('have one digest, whatever order they were written in, and another one when they differ', () => {
    const of = (labels: Record<string, string>) => attributesDigest(parseIdentityAttributes({ labels }));
    expect(of({ a: '1', b: '2' })).toBe(of({ b: '2', a: '1' }));
    expect(new Set([of({ a: '1' }), of({ a: '2' }), of({ b: '1' }), of({})]).size).toBe(4);
  });
});

describe('of several entries', () => {
  const written = fc
    .record({
      owner: fc.constantFrom('', 'ops', 'dev'),
      environment: fc.constantFrom('', 'prod'),
      labels: fc.dictionary(fc.constantFrom('team', 'constructor'), fc.constantFrom('a', 'b')),
    })
    .map(parseIdentityAttributes);

  it('those count on which all agree, in any order, and the others are disputed', () => {
    fc.assert(
      fc.property(fc.array(written, { minLength: 1, maxLength: 4 }), (all) => {
        const agreed = agreedAttributes(all);
        for (const one of all) {
          if (agreed.owner !== '') expect(one.owner).toBe(agreed.owner);
          for (const [name, value] of Object.entries(agreed.labels)) {
            expect(Object.hasOwn(one.labels, name) && one.labels[name]).toBe(value);
          }
          const disputed = disputedAttributes(all);
          if (one.owner !== '' && agreed.owner === '') expect(disputed).toContain('owner');
          for (const name of Object.keys(one.labels)) {
            expect(disputed.includes(`labels.${name}`)).toBe(!Object.hasOwn(agreed.labels, name));
          }
        }
        expect(agreedAttributes(all.toReversed())).toEqual(agreed);
      }),
    );
  });

  it('none count where one says nothing', () => {
    expect(agreedAttributes([parseIdentityAttributes({ owner: 'ops' }), NO_ATTRIBUTES])).toBe(NO_ATTRIBUTES);
  });
});
