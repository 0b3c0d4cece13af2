import { Type } from 'typebox';
import { closed, type MemberSchemas } from './member-schemas.ts';
import { durationSchema } from './values.ts';

/** How long the record keeps what, and what of it lies sealed in the store. */
export function recordSchema(members: Partial<MemberSchemas>) {
  const name = Type.String({
    description: 'What it is called where it is told why an entry is gone.',
    pattern: '^[a-z0-9]([a-z0-9-]{0,62})$',
  });
  const filter = Type.Unsafe<Readonly<Record<string, unknown>>>(
    Type.Object(members.recordFilter?.properties ?? {}, {
      additionalProperties: members.recordFilter === undefined,
      description: 'Which entries, by the words of a search over REST; all that is set must hold.',
      default: {},
    }),
  );
  const rule = closed(
    {
      ...{ name, filter },
      keep: Type.Optional(
        durationSchema({ description: 'How long, from when a server took the entry; absent = for ever.' }),
      ),
    },
    { description: 'One class of entries.', default: {} },
  );
  const seal = closed(
    {
      ...{ name, filter },
      by: Type.Enum(['session', 'day'], {
        description: 'What has one key: each session, or each day on which entries came.',
        default: 'session',
      }),
    },
    { description: 'One class of entries.', default: {} },
  );
  return closed(
    {
      retention: Type.Array(rule, {
        description:
          'How long entries keep their content, by the first rule that an entry is of; what is of none stays. The same at all servers.',
        default: [],
        maxItems: 100,
      }),
      retentionWait: durationSchema({
        description: 'How long past its time an entry waits for sinks that lack it, and for exports, at the most.',
        default: '7d',
      }),
      seal: Type.Array(seal, {
        description:
          'Which entries lie encrypted in the store from now on, under keys beside them, by the first rule that an entry is of. The same at all servers.',
        default: [],
        maxItems: 100,
      }),
    },
    { description: 'What the record keeps, and how.', default: {} },
  );
}
