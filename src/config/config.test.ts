import { Type } from 'typebox';
import { describe, expect, it } from 'vitest';
import { member as policyKind } from '../resources/kinds/policy/index.ts';
import { member as targetKind } from '../resources/kinds/target/index.ts';
import { parseAddress, parseConfig, parseDeclared } from './index.ts';

const empty = Type.Object({}, { additionalProperties: false });
const members = {
  storeEngines: { sqlite: empty, postgres: empty },
  keystores: { disk: empty },
  nodeAttestors: { 'join-token': empty },
  workloadAttestors: { unix: empty },
  recordSinks: { file: empty },
  recordFilter: Type.Object({ kind: Type.Optional(Type.String()) }, { additionalProperties: false }),
};

function parse(text: string, env: Record<string, string> = {}) {
  return parseConfig({ file: 'cs.yaml', text, members, env });
}

describe('sinks', () => {
  const sinks = (text: string) => parse(`trustDomain: corp.test\nserver:\n  sinks:\n    ${text}\n`).server?.sinks;

  it('have what is left out of each filled in', () => {
    expect(sinks('one: { to: { file: {} } }')).toEqual({
      one: { to: { file: {} }, filter: {}, from: 'beginning', skip: [] },
    });
  });

  it.each([
    ['Two Words: { to: { file: {} } }', 'Two Words'],
    ['one: { to: { file: {}, other: {} } }', 'other'],
    ['one: { to: {} }', 'to'],
    ['one: { filter: {} }', 'to is required'],
    ['one: { to: { file: {} }, filter: { kinds: denial } }', 'kinds'],
    ["one: { to: { file: {} }, skip: ['7'] }", '0 does not have the right form'],
  ])('are refused as %s', (text, named) => {
    expect(() => sinks(text)).toThrow(named);
  });
});

describe('parseConfig', () => {
  it('fills in every default', () => {
    const config = parse('trustDomain: corp.test\nserver: {}\n');
    expect(config).toMatchObject({
      trustDomain: 'corp.test',
      log: { level: 'info' },
      server: { listen: '127.0.0.1:8081', store: { sqlite: {} }, svid: { x509Ttl: '1h' } },
    });
  });

  it.each([
    '',
    'server: {}\n',
  ])('does not make up a trust domain for %j: it says where one belongs, and how it is written', (text) => {
    expect(() => parse(text)).toThrow('cs.yaml:1:1: trustDomain is required, as in trustDomain: corp.example');
    expect(parse(text, { COUNTERSIGN_TRUST_DOMAIN: 'corp.test' }).trustDomain).toBe('corp.test');
  });

  it.each([
    ['server:\n  listn: 127.0.0.1:1\n', 'cs.yaml:2:3: unknown key listn; did you mean listen?'],
    ['server:\n  ca:\n    keyType: dsa\n', 'cs.yaml:3:5: keyType must be one of ec-p256, ec-p384, rsa-2048, rsa-4096'],
    ['server:\n  store: { sqlite: {}, postgres: {} }\n', 'cs.yaml:2:3: store must name only one of its members'],
    ['server:\n  store: { oracle: {} }\n', 'cs.yaml:2:12: unknown key oracle; known here: sqlite, postgres'],
    ['gateway:\n  heldBytesMax: 16777215\n', 'cs.yaml:2:3: heldBytesMax must be >= 16777216'],
    ['gateway:\n  sessionsMax: 0\n', 'cs.yaml:2:3: sessionsMax must be >= 1'],
    ['agent:\n  socket: 5\n', 'cs.yaml:2:3: socket must be string'],
    ['server:\n  listen: nowhere\n', 'cs.yaml:2:3: listen must be host:port, as in 127.0.0.1:8081'],
    ['server:\n  listen: 127.0.0.1:65536\n', 'cs.yaml:2:3: listen must be host:port, as in 127.0.0.1:8081'],
    ['server:\n  listen: 8081\n', 'cs.yaml:2:3: listen must be host:port, as in 127.0.0.1:8081'],
    ['trustDomain: Corp\n', 'cs.yaml:1:1: trustDomain does not have the right form, ^[a-z0-9._-]{1,255}$'],
    ['a: b: c\n', 'cs.yaml:1:4'],
    ['server: {}\nserver: {}\n', 'cs.yaml:2:1'],
  ])('names the place of %j', (text, message) => {
    expect(() => parse(text)).toThrow(message);
  });

  it('reports every problem, each on its line', () => {
    expect(() => parse('x: 1\nserver:\n  y: 2\n')).toThrow(
      /cs\.yaml:1:1: unknown key x[\s\S]*cs\.yaml:3:3: unknown key y/,
    );
  });

  describe('without members', () => {
    const settings = (text: string, env: Record<string, string> = {}) =>
      parseConfig({ file: 'cs.yaml', text, members: undefined, env });

    it('takes whatever is said of them, in the file and in the environment, and all else as ever', () => {
      const text = 'trustDomain: corp.test\nserver: { store: { oracle: { url: x } }, socket: /s }\nagent: {}\n';
      const env = { COUNTERSIGN_SERVER_STORE_POSTGRES_URL: 'y', COUNTERSIGN_AGENT_SOCKET: '/a' };
      expect(settings(text, env)).toMatchObject({
        server: { socket: '/s', listen: '127.0.0.1:8081' },
        agent: { socket: '/a' },
      });
    });

    it('still refuses what is wrong beside them', () => {
      const good = 'trustDomain: corp.test\nserver: {}\n';
      expect(() => settings(`${good}gatewy: {}\n`)).toThrow('unknown key gatewy; did you mean gateway?');
      expect(() => settings(good, { COUNTERSIGN_SERVER_STOR_X: 'y' })).toThrow(
        'environment: COUNTERSIGN_SERVER_STOR_X is no key',
      );
    });
  });

  it('lets the environment win over the file', () => {
    const config = parse('trustDomain: corp.test\nserver: { dataDir: /a }\ngateway: {}\n', {
      COUNTERSIGN_SERVER_DATA_DIR: '/b',
      COUNTERSIGN_GATEWAY_SESSIONS_MAX: '7',
    });
    expect([config.server?.dataDir, config.gateway?.sessionsMax]).toEqual(['/b', 7]);
  });

  it('refuses a variable that stands for no key', () => {
    expect(() => parse('', { COUNTERSIGN_SERVER_HTPP: 'x' })).toThrow('COUNTERSIGN_SERVER_HTPP is no key');
    expect(parse('trustDomain: corp.test', { COUNTERSIGN_CONFIG: '/x' }).trustDomain).toBe('corp.test');
  });

  it('refuses a wrong value from the environment as it would from the file', () => {
    expect(() => parse('', { COUNTERSIGN_GATEWAY_SESSIONS_MAX: 'many' })).toThrow('sessionsMax');
  });
});

describe('parseDeclared', () => {
  const config = Type.Object({ address: Type.String() }, { additionalProperties: false });
  const protocols = [{ id: 'postgres', config, checkConfig: () => [] }];
  const kinds = [
    { name: 'Policy', beside: {}, specOf: () => policyKind.config },
    { name: 'Target', beside: {}, specOf: (spec: unknown) => targetKind.schemaOf?.(spec, { protocols }) ?? config },
  ];
  const declared = (text: string) => parseDeclared({ file: 'r.yaml', text, kinds });

  it('reads several resources from one file', () => {
    const text =
      'kind: Target\nname: orders\nspec: { protocol: postgres, address: "db:5432" }\n---\nkind: Entry\nname: web\nspec: { spiffeId: "spiffe://a/web", selectors: ["unix:uid:1"] }\n';
    expect(declared(text).map(({ kind, name, where }) => [kind, name, where])).toEqual([
      ['Target', 'orders', 'r.yaml:1:1'],
      ['Entry', 'web', 'r.yaml:5:1'],
    ]);
  });

  it.each([
    ['kind: Tarjet\nname: x\nspec: {}\n', 'kind must be one of Entry, Policy, Target'],
    ['kind: Target\nname: x\nspec: { protocol: oracle }\n', 'protocol must be one of postgres'],
    ['kind: Target\nname: x\nspec: { protocol: postgres, adress: y }\n', 'did you mean address?'],
    ['kind: Target\nname: ../x\nspec: { protocol: postgres, address: y }\n', 'name does not have the right form'],
    ['kind: Entry\nname: x\nspec: { spiffeId: y, selectors: [] }\n', 'selectors'],
  ])('refuses %j', (text, message) => {
    expect(() => declared(text)).toThrow(message);
  });
});

describe('parseAddress', () => {
  it.each([
    ['127.0.0.1:80', { host: '127.0.0.1', port: 80 }],
    ['[::1]:8080', { host: '::1', port: 8080 }],
  ])('splits %s', (text, address) => {
    expect(parseAddress(text)).toEqual(address);
  });
});
