import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseEntry } from '../../ledger/index.ts';
import { testEntry } from '../testing/log-fixture.ts';
import { ocsfEvent } from './ocsf-event.ts';

// Goal: whatever an entry is, its event has what OCSF 1.2.0 requires of its class, says the same as the entry, and nothing that is sealed.

type Fields = Parameters<typeof testEntry>[1];
const place = { id: 'corp.example/1/7', origin: 'corp.example/gateway/one', position: 7, version: '1.2.3' };
const eventOf = (fields: Fields) => ocsfEvent(parseEntry(testEntry(7, fields)), place);

/** Of every event, and of each class: attributes that the schema requires, and those of which it requires one. */
const REQUIRED = {
  all: ['activity_id', 'category_uid', 'class_uid', 'metadata', 'severity_id', 'time', 'type_uid'],
  0: [],
  2004: ['finding_info'],
  3002: ['user'],
  6002: ['app'],
  6003: ['actor', 'api', 'src_endpoint'],
} as const;
/** What the schema requires of objects; of `one` any. */
const OBJECTS: Readonly<Record<string, { readonly all?: readonly string[]; readonly one?: readonly string[] }>> = {
  metadata: { all: ['product', 'version'] },
  'metadata.product': { all: ['vendor_name'], one: ['name', 'uid'] },
  app: { all: ['vendor_name'], one: ['name', 'uid'] },
  finding_info: { all: ['title', 'uid'] },
  user: { one: ['account', 'name', 'uid'] },
  actor: { one: ['process', 'user', 'invoked_by', 'session', 'app_name'] },
  'actor.user': { one: ['account', 'name', 'uid'] },
  api: { all: ['operation'] },
  'api.request': { all: ['uid'] },
  service: { one: ['name', 'uid'] },
  'api.service': { one: ['name', 'uid'] },
  src_endpoint: { one: ['ip', 'uid', 'name', 'hostname', 'svc_name', 'instance_uid'] },
};

function missingOf(event: ReturnType<typeof eventOf>): string[] {
  const at = (path: string) =>
    path.split('.').reduce<unknown>((value, name) => Object(value)[name], event) as Record<string, unknown> | undefined;
  const has = (value: unknown, name: string) => ![undefined, null, ''].includes(Object(value)[name]);
  const own = [...REQUIRED.all, ...REQUIRED[event.class_uid]].filter((name) => !has(event, name));
  const inner = Object.entries(OBJECTS).flatMap(([path, { all = [], one = [] }]) => {
    const value = at(path);
    if (value === undefined) return [];
    const lacks = all.filter((name) => !has(value, name)).map((name) => `${path}.${name}`);
    return one.length > 0 && !one.some((name) => has(value, name)) ? [...lacks, `${path}: one of ${one}`] : lacks;
  });
  const serves = event.class_uid !== 3002 || has(event, 'service') || has(event, 'dst_endpoint');
  return [...own, ...inner, ...(serves ? [] : ['service or dst_endpoint'])];
}

describe('an event', () => {
  it.each<[string, Fields, object]>([
    [
      'a session',
      { kind: 'session-open', detail: { door: 'agent', peer: '10.1.2.3:4711' } },
      { class_uid: 3002, activity_id: 1, type_uid: 300201, src_endpoint: { ip: '10.1.2.3', port: 4711 } },
    ],
    ['its end', { kind: 'session-close', detail: { status: 'done' } }, { class_uid: 3002, activity_id: 2 }],
    [
      'one that was not let in',
      { kind: 'denial', operation: '', detail: { door: 'direct', reason: 'expired' } },
      { class_uid: 3002, activity_id: 1, status: 'Failure', severity_id: 3, status_detail: 'expired' },
    ],
    [
      'a refused operation',
      { kind: 'denial', detail: { reason: 'policy-denied', code: '42501' } },
      { class_uid: 6003, status: 'Failure', severity_id: 3, status_code: '42501' },
    ],
    [
      'an operation',
      { kind: 'intent', action: 'postgres:select', detail: {} },
      { class_uid: 6003, activity_id: 2, type_uid: 600302, status: 'Unknown' },
    ],
    [
      'how it ended',
      { kind: 'outcome', action: 'postgres:delete', detail: { status: 'failed' } },
      { activity_id: 4, status: 'Failure' },
    ],
    [
      'what an operator did',
      { kind: 'admin', action: 'resource.apply', detail: { step: 'done' } },
      { class_uid: 6003, status: 'Success' },
    ],
    ['a start', { kind: 'ledger', action: 'start' }, { class_uid: 6002, activity_id: 3 }],
    [
      'a fork',
      { kind: 'ledger', action: 'record:fork' },
      { class_uid: 2004, activity_id: 1, severity_id: 5, is_alert: true },
    ],
    [
      'what ended it',
      { kind: 'ledger', action: 'record:accepted', detail: { alarm: 'fork' } },
      { class_uid: 2004, activity_id: 3, is_alert: false },
    ],
    ['what is of a newer writer', { kind: 'later', detail: {} }, { class_uid: 0, activity_id: 99 }],
  ])('of %s is of its class, with what that requires', (_, fields, expected) => {
    const event = eventOf(fields);
    expect(event).toMatchObject(expected);
    expect(missingOf(event)).toEqual([]);
  });

  it('has what is required whatever an entry says', () => {
    const kinds = ['session-open', 'session-close', 'denial', 'intent', 'outcome', 'admin', 'ledger', 'x'];
    const texts = fc.string({ unit: 'grapheme', maxLength: 12 });
    const entry = fc.record({
      ...{
        kind: fc.constantFrom(...kinds),
        actor: texts,
        action: texts,
        target: texts,
        session: texts,
        operation: texts,
      },
      detail: fc.dictionary(
        fc.constantFrom('peer', 'door', 'status', 'code', 'questions', 'alarm', 'step'),
        fc
          .jsonValue()
          .map((value) =>
            JSON.parse(JSON.stringify(value, (_k, v) => (typeof v === 'number' ? Math.trunc(v) % 1000 : v))),
          ),
      ),
    });
    fc.assert(
      fc.property(entry, (fields) => {
        const event = eventOf(fields as unknown as Fields);
        const text = JSON.stringify(event);
        expect(text).not.toContain('\n');
        // A name that is empty is no name of anything; all else is there.
        if (fields.target !== '' && fields.action !== '') expect(missingOf(event)).toEqual([]);
        expect(event.type_uid).toBe(event.class_uid * 100 + event.activity_id);
      }),
    );
  });

  it('has a time that a date can say, and a short code, whatever a writer says', () => {
    const event = eventOf({ kind: 'k'.repeat(5000), timeMs: Number.MAX_SAFE_INTEGER });
    expect(new Date(event.time).toISOString()).toBe('9999-12-31T23:59:59.999Z');
    expect(event.metadata.event_code).toHaveLength(64);
    expect(event.unmapped.countersign).toMatchObject({ timeMs: Number.MAX_SAFE_INTEGER });
  });

  it('has the whole entry in it, without what is sealed, and an id that leads back to it', () => {
    const event = eventOf({ kind: 'outcome', detail: { status: 'failed', withheld: 'c2VhbGVk', items: 3 } });
    expect(event.metadata).toMatchObject({ uid: place.id, log_name: place.origin, sequence: 7, event_code: 'outcome' });
    expect(event.unmapped.countersign).toMatchObject({
      seq: 7,
      kind: 'outcome',
      detail: { status: 'failed', items: 3 },
    });
    expect(JSON.stringify(event)).not.toContain('c2VhbGVk');
  });
});
