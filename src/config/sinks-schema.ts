import { Type } from 'typebox';
import { closed, type MemberSchemas, optional } from './member-schemas.ts';

/** Where the record goes on to: names, each with one member of the family. */
export function sinksSchema(members: Partial<MemberSchemas>) {
  const sink = closed(
    {
      to: Type.Object(optional(members.recordSinks), {
        additionalProperties: members.recordSinks === undefined,
        minProperties: 1,
        maxProperties: 1,
        description: `Where to. One of: ${Object.keys(members.recordSinks ?? {}).join(', ')}.`,
      }),
      filter: Type.Unsafe<Readonly<Record<string, unknown>>>(
        Type.Object(members.recordFilter?.properties ?? {}, {
          additionalProperties: members.recordFilter === undefined,
          description: 'Which entries, by the words of a search over REST; all that is set must hold.',
          default: {},
        }),
      ),
      from: Type.Enum(['beginning', 'now'], {
        description:
          'Where it begins the first time that there is a sink of that name: with all that the record has, or with what comes.',
        default: 'beginning',
      }),
      skip: Type.Array(Type.String({ pattern: '^\\d{1,9}/\\d{1,15}$' }), {
        description:
          'Entries (`LOG/POSITION`) that are not handed over, because the sink refuses them. That they are left out is told by an entry of the server.',
        default: [],
        maxItems: 1000,
      }),
    },
    // The default has what is left out of one filled in.
    { description: 'One of them. How far it is hangs on the name.', default: {} },
  );
  return Type.Record(Type.String(), sink, {
    propertyNames: Type.String({ pattern: '^[a-z0-9]([a-z0-9-]{0,62})$' }),
    description: 'Where what comes into the record goes on to, each under a name of its own; the same at all servers.',
  });
}
