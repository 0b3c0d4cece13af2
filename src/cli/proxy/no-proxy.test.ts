import { describe, expect, it } from 'vitest';
import { javaNoProxyOf, noProxyOf } from './no-proxy.ts';

const of = (written: string | undefined) =>
  noProxyOf(written, ['api.example.org', '10.0.0.7', 'fd00::7'], ['localhost']);

describe('NO_PROXY of a command', () => {
  it.each([
    'api.example.org',
    'API.example.org:443',
    '.example.org',
    '*.example.org',
    'org',
    '*',
    '10.0.0.7',
    '10.0.0.0/24',
    '10.0.0.7/32',
    '0.0.0.0/0',
    '10.',
    '10.0.0.*',
    '[fd00::7]',
    '[FD00:0::7]:443',
    'fd00:0:0::7',
    'fd00::/64',
    '[fd00::]/64',
  ])('loses %s, by which a client would go past a target', (entry) => {
    expect(of(`near.test, ${entry}`)).toEqual({ value: 'near.test,localhost', dropped: [entry] });
  });

  it.each([
    'xapi.example.org',
    'api.example.org.test',
    'example',
    '10.0.1.0/24',
    '10.0.0.0/33',
    'fd01::/64',
    '1',
    '10.0.0.70',
    '10.1.',
    'x/8',
  ])('keeps %s', (entry) => {
    expect(of(entry)).toEqual({ value: `${entry},localhost`, dropped: [] });
  });

  it('has what is near once, whatever there was', () => {
    expect(of(undefined).value).toBe('localhost');
    expect(of('localhost,').value).toBe('localhost');
  });
});

describe('the same for Java', () => {
  it.each([
    ['', 'localhost|127.*|[::1]'],
    ['localhost,127.0.0.1,::1,169.254.169.254', 'localhost|127.*|[::1]|*.localhost|127.0.0.1|169.254.169.254'],
    ['near.test:443,.below.test', 'localhost|127.*|[::1]|near.test|*.near.test|below.test|*.below.test'],
    ['10.0.0.0/8,10.1.2.3/32,10.0.0.0/9,fd00::/8,fd00::7', 'localhost|127.*|[::1]|10.*|10.1.2.3|[fd00::7]'],
    ['a|b.test,x y', 'localhost|127.*|[::1]'],
  ])('is of %s', (value, wanted) => {
    expect(javaNoProxyOf(value)).toBe(wanted);
  });
});
