import { Type } from 'typebox';
import { member as policyKind } from '../resources/kinds/policy/index.ts';
import { member as targetKind } from '../resources/kinds/target/index.ts';
import { ConfigError, parseConfig, parseDeclared } from './index.ts';

const empty = Type.Object({}, { additionalProperties: false });
const members = {
  storeEngines: { sqlite: empty },
  keystores: { disk: empty },
  nodeAttestors: { 'join-token': empty },
  workloadAttestors: { unix: empty },
  recordSinks: { file: empty },
  recordFilter: Type.Object({ kind: Type.Optional(Type.String()) }, { additionalProperties: false }),
};
const config = Type.Object({ host: Type.String() }, { additionalProperties: false });
const protocols = [{ id: 'postgres', config, checkConfig: () => [] }];
const kinds = [
  { name: 'Policy', beside: {}, specOf: () => policyKind.config },
  { name: 'Target', beside: {}, specOf: (spec: unknown) => targetKind.schemaOf?.(spec, { protocols }) ?? empty },
];

export const seeds: readonly Uint8Array[] = [
  'trustDomain: a.b\nserver: { listen: "127.0.0.1:1", store: { sqlite: {} } }\nlog: { level: debug }\n',
  'trustDomain: a.b\nagent:\n  server: 127.0.0.1:8081\n  joinToken: file:/x\ngateway: { durability: { reads: strict } }\n',
  'kind: Target\nname: a\nspec: { protocol: postgres, host: h }\n---\nkind: Entry\nname: b\nspec: { spiffeId: "spiffe://a/b", selectors: ["unix:uid:1"] }\n',
  'kind: Policy\nname: p\nspec:\n  cedar: |\n    permit(principal, action, resource);\n',
  'a: &x [1, 2]\nb: [*x, *x]\nserver: !!map {}\n? complex\n: key\n',
].map((text) => Buffer.from(text));

/** Whatever a file holds: it is read, or refused with a place in the file. */
export function fuzz(input: Uint8Array): void {
  const text = Buffer.from(input).toString('utf8');
  refuseOnly(() => parseConfig({ file: 'f.yaml', text, members, env: {} }));
  refuseOnly(() => parseDeclared({ file: 'f.yaml', text, kinds }));
}

function refuseOnly(parse: () => unknown): void {
  try {
    parse();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    if (!/^f\.yaml:\d+:\d+: /.test(error.message)) throw new Error(`no place in: ${error.message}`);
  }
}

/** Two YAML documents are read with their places. */
export const slow = true;
export const tokens = [
  ': ',
  '- ',
  '\n',
  '\n  ',
  '&a ',
  '*a',
  '<<: *a',
  '!!',
  '|\n',
  '>-\n',
  '---\n',
  '...\n',
  '? ',
  '{',
  '}',
  '[',
  ']',
  '#',
  '"\\x',
  "'",
  'kind: Entry',
  'spec:',
  '\t',
  '%YAML 1.1\n',
];
