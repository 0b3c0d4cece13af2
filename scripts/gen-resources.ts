/** The JSON Schema of files that declare resources: what an editor completes and checks while somebody writes one. */
import type { TObject, TSchema } from 'typebox';
import { documentSchema } from '../src/config/index.ts';
import { type KindMember, kindName } from '../src/resources/index.ts';

/** One document of such a file: of each kind, and where its spec goes by the protocol of each of those. */
export function resourcesSchema(kinds: readonly KindMember[], protocols: readonly Protocol[]): string {
  const documents = kinds.flatMap((member) => specsOf(member, protocols).map((spec) => documentOf(member, spec)));
  const schema = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'A resource of Countersign',
    anyOf: documents,
  };
  return `${JSON.stringify(schema, null, 1)}\n`;
}

type Protocol = Parameters<NonNullable<KindMember['schemaOf']>>[1]['protocols'][number];

function specsOf(member: KindMember, protocols: readonly Protocol[]): readonly TObject[] {
  if (member.schemaOf === undefined) return [member.config];
  return protocols.map(({ id }) => {
    const spec = member.schemaOf?.({ protocol: id }, { protocols }) ?? member.config;
    return { ...spec, properties: { ...spec.properties, protocol: { const: id } as TSchema } };
  });
}

function documentOf(member: KindMember, spec: TObject): TSchema {
  return documentSchema({ name: kindName(member), beside: member.beside ?? {}, specOf: () => spec }, undefined);
}
