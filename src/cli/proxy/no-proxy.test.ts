import { describe, expect, it } from 'vitest';
import { noProxyOf } from './no-proxy.ts';

const of = (written: string | undefined) => noProxyOf(written, ['api.example.org', '10.0.0.7'], ['localhost']);

describe('NO_PROXY of a command', () => {
  it.each([
    'api.example.org',
    'API.example.org:443',
    '.example.org',
    '*.example.org',
    'org',
    '*',
    '10.0.0.7',
  ])('loses %s, by which a client would go past a target', (entry) => {
    expect(of(`near.test, ${entry}`)).toEqual({ value: 'near.test,localhost', dropped: [entry] });
  });

  it.each(['xapi.example.org', 'api.example.org.test', 'example', '10.0.0.0/24'])('keeps %s', (entry) => {
    expect(of(entry)).toEqual({ value: `${entry},localhost`, dropped: [] });
  });

  it('has what is near once, whatever there was', () => {
    expect(of(undefined).value).toBe('localhost');
    expect(of('localhost,').value).toBe('localhost');
  });
});
