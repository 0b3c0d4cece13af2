import { type Static, Type } from 'typebox';
import { type Endpoint, endpointsOf, type Principal, principalName } from '../endpoint/index.ts';
import { InvalidRevocation, isOneLine, parseRevocationSubject, revocationLimits } from '../model/index.ts';
import { sha256 } from '../std/index.ts';
import { RevocationError } from './errors.ts';
import type { RevocationEffect, Revocations, StandingRevocation, VerifierEffect } from './types.ts';

/** What the endpoints of revocations work with. */
export interface RevocationEndpointNeeds {
  readonly revocations: Revocations;
  readonly trustDomain: string;
}

const endpoint = endpointsOf<RevocationEndpointNeeds>();
const closed = { additionalProperties: false } as const;

const id = Type.String({ pattern: '^[0-9a-f]{32}$', description: 'Id of the revocation.' });
const subjectFields = {
  kind: Type.Enum(['identity', 'entry', 'node', 'instance', 'key', 'label', 'person']),
  spiffeId: Type.Optional(Type.String({ maxLength: 2048, description: 'Of an identity, and of an entry.' })),
  entryId: Type.Optional(Type.String({ maxLength: 255, description: 'Of an entry.' })),
  nodeId: Type.Optional(Type.String({ maxLength: 2048, description: 'SPIFFE ID, of a node and of an instance.' })),
  pid: Type.Optional(Type.Integer({ minimum: 0, maximum: 2 ** 31 - 1, description: 'Of an instance: one process.' })),
  startTime: Type.Optional(Type.String({ maxLength: 64, description: 'Of an instance, as its agent says it.' })),
  thumbprint: Type.Optional(
    Type.String({ maxLength: 64, description: 'Of a key: SHA-256 of its SubjectPublicKeyInfo, in hex.' }),
  ),
  name: Type.Optional(Type.String({ maxLength: 256, description: 'Of a label.' })),
  value: Type.Optional(Type.String({ maxLength: 256, description: 'Of a label.' })),
  issuer: Type.Optional(Type.String({ maxLength: 2048, description: 'Of a person: who says who it is.' })),
  subject: Type.Optional(Type.String({ maxLength: 512, description: 'Of a person: as the issuer names them.' })),
};
const subject = Type.Object(subjectFields, { ...closed, description: 'Whose credentials it is about.' });
const mode = Type.Enum(['revoked', 'quarantined'], {
  description:
    '`revoked`: nothing is signed, and every use is refused. `quarantined`: new sessions are refused, but for what `allow` names.',
});
const allow = Type.Array(Type.String({ maxLength: revocationLimits.action }), {
  maxItems: revocationLimits.actions,
  description: 'Actions of policies that go on; of a quarantine.',
});
const running = Type.Enum(['end', 'keep'], { description: 'What becomes of sessions that run.' });
const time = Type.String({ format: 'date-time' });
const standing = Type.Object(
  {
    ...{ id, subject, mode, allow, running },
    reason: Type.String(),
    by: Type.String({ description: 'Who did it.' }),
    sequence: Type.Integer(),
    at: time,
    identities: Type.Optional(
      Type.Integer({ description: 'Of a label: how many identities belong to it, those that had it once included.' }),
    ),
    liftableFrom: Type.Optional({
      ...time,
      description: 'When all that was issued before is over: what is revoked may be lifted from then on.',
    }),
  },
  closed,
);
const verifier = Type.Object(
  {
    kind: Type.Enum(['agent', 'gateway']),
    spiffeId: Type.String(),
    address: Type.Optional(Type.String({ description: 'Of a gateway.' })),
    instance: Type.Optional(Type.String({ description: 'One process of a gateway: digits that tell it from others.' })),
    state: Type.Enum(['in-effect', 'waiting', 'unreachable', 'refusing'], {
      description:
        '`in-effect`: it has said so. `waiting`: it is connected, and has not. `unreachable`: it is not connected, or does not follow revocations. `refusing`: it has heard nothing for so long that it refuses everything.',
    }),
    afterMs: Type.Optional(Type.Integer({ description: 'How long it took until it said so.' })),
    endsBy: Type.Optional({
      ...time,
      description: 'When it ends there by itself, at the latest; absent: it does not.',
    }),
  },
  closed,
);
const effect = Type.Object(
  {
    revocation: standing,
    replaced: Type.Optional({ ...id, description: 'The quarantine in whose place a stricter one came.' }),
    inEffect: Type.Integer({ description: 'At how many it is in effect, those that refuse everything included.' }),
    open: Type.Integer({ description: 'At how many it may not be.' }),
    verifiers: Type.Array(verifier, { description: 'Those where it may not be in effect first.' }),
    verifiersLeftOut: Type.Integer({ description: 'There are more than are told.' }),
  },
  closed,
);
const waitSeconds = Type.Optional(
  Type.Integer({ minimum: 0, maximum: 60, description: 'How long to wait for verifiers that are connected.' }),
);

const add = endpoint({
  name: 'revocation.add',
  summary: 'Revokes or quarantines, and tells of every agent and gateway when it is in effect there.',
  description:
    'It stands from the moment that it is accepted, whatever becomes of the call. The answer comes when all that are connected have said that it is in effect: 10 seconds at most unless said otherwise.',
  method: 'POST',
  path: '/v1/revocations',
  input: Type.Object(
    {
      ...{ subject, mode, allow: Type.Optional(allow), running: Type.Optional(running), waitSeconds },
      reason: Type.Optional(Type.String({ maxLength: revocationLimits.reason, description: 'One line.' })),
    },
    closed,
  ),
  output: effect,
  idempotent: 'by-key',
  audit: {
    as: 'Revoke',
    target: 'revocations',
    of: ({ subject: of, mode: how, reason = '', running: those = 'end', allow: those2 = [] }) => ({
      detail: {
        ...{ mode: how, running: those, subject: detailOf(of) },
        ...(those2.length === 0 ? {} : { allow: those2.filter(isOneLine) }),
        ...(reason === '' || !isOneLine(reason) ? {} : { reason }),
      },
      outcome: ({ revocation, replaced, inEffect, open }) => ({
        ...{ revocation: revocation.id, inEffect, open },
        ...(replaced === undefined ? {} : { replaced }),
      }),
    }),
  },
  async handle(input, { principal, signal }, { revocations }) {
    const { mode: how, allow: passing = [], running: those = 'end', reason = '' } = input;
    const request = { subject: parseSubject(input.subject), mode: how, allow: passing, running: those, reason };
    const added = await revocations.add(request, nameOf(principal));
    const waitMs = (input.waitSeconds ?? WAIT_S) * 1000;
    const output = effectOutput(await revocations.effect(added.id, { waitMs, signal }));
    return added.replaced === undefined ? output : { ...output, replaced: added.replaced };
  },
});

const list = endpoint({
  name: 'revocation.list',
  summary: 'Lists what is revoked and quarantined, oldest first.',
  method: 'GET',
  path: '/v1/revocations',
  input: Type.Object({}, closed),
  output: Type.Object({ trustDomain: Type.String(), revocations: Type.Array(standing) }, closed),
  async handle(_input, _call, { revocations, trustDomain }) {
    return { trustDomain, revocations: (await revocations.list()).map(standingOutput) };
  },
});

const get = endpoint({
  name: 'revocation.get',
  summary: 'Shows one that stands, and at every agent and gateway whether it is in effect.',
  method: 'GET',
  path: '/v1/revocations/{id}',
  input: Type.Object({ id, waitSeconds }, closed),
  output: effect,
  async handle(input, { signal }, { revocations }) {
    const waitMs = (input.waitSeconds ?? 0) * 1000;
    return effectOutput(await revocations.effect(input.id, { waitMs, signal }));
  },
});

const lift = endpoint({
  name: 'revocation.lift',
  summary: 'Takes one back: a quarantine at once, a revocation when all that was issued before it is over.',
  method: 'DELETE',
  path: '/v1/revocations/{id}',
  input: Type.Object({ id }, closed),
  output: standing,
  audit: {
    as: 'LiftRevocation',
    target: 'revocations',
    of: (input) => ({
      detail: { revocation: input.id },
      outcome: ({ mode: how, subject: of }) => ({ mode: how, subject: detailOf(of) }),
    }),
  },
  async handle(input, _call, { revocations }) {
    return standingOutput(await revocations.lift(input.id));
  },
});

const restart = endpoint({
  name: 'revocation.restart',
  summary: 'Lets agents and gateways take what the store has, after it was put back from a backup.',
  description: 'What was revoked since the backup stands at verifiers until then; revoke it again first.',
  method: 'POST',
  path: '/v1/restart-revocations',
  input: Type.Object(
    { reason: Type.Optional(Type.String({ maxLength: revocationLimits.reason, description: 'One line.' })) },
    closed,
  ),
  output: Type.Object({ incarnation: Type.String(), sequence: Type.Integer() }, closed),
  audit: {
    as: 'RestartRevocations',
    target: 'revocations',
    of: ({ reason = '' }) => ({
      detail: reason === '' || !isOneLine(reason) ? {} : { reason },
      outcome: ({ incarnation }) => ({ incarnation }),
    }),
  },
  idempotent: 'by-key',
  async handle(_input, _call, { revocations }) {
    const { incarnation, sequence } = await revocations.restart();
    return { incarnation, sequence };
  },
});

/** What people and machines may ask of revocations. */
export const endpoints: readonly Endpoint<RevocationEndpointNeeds>[] = [add, list, get, lift, restart];

/** @throws RevocationError ERR_REVOCATION_REQUEST */
function parseSubject(given: Static<typeof subject>) {
  try {
    return parseRevocationSubject(given);
  } catch (cause) {
    if (!(cause instanceof InvalidRevocation)) throw cause;
    throw new RevocationError('ERR_REVOCATION_REQUEST', cause.message, { cause });
  }
}

/** For the ledger, before it has been looked at. */
function detailOf(given: Static<typeof subject>): Record<string, string | number> {
  const told = Object.entries(given).filter(([, value]) => typeof value === 'number' || isOneLine(value));
  return Object.fromEntries(told);
}

/** The person where the machine tells. */
function nameOf(principal: Principal): string {
  return principal.kind === 'operator' ? (principal.text ?? principalName(principal)) : principalName(principal);
}

function standingOutput(one: StandingRevocation): Static<typeof standing> {
  const { subject: of, mode: how, atMs, latestExpiryMs } = one;
  return {
    ...{ id: one.id, subject: { ...of }, mode: how, allow: [...one.allow], running: one.running },
    ...{ reason: one.reason, by: one.by, sequence: one.sequence, at: timeText(atMs) },
    ...(of.kind === 'label' ? { identities: one.members?.length ?? 0 } : {}),
    ...(how === 'revoked' ? { liftableFrom: timeText(latestExpiryMs) } : {}),
  };
}

function effectOutput({ revocation, verifiers }: RevocationEffect): Static<typeof effect> {
  const open = verifiers.filter(({ state }) => state === 'waiting' || state === 'unreachable').length;
  return {
    ...{ revocation: standingOutput(revocation), inEffect: verifiers.length - open, open },
    verifiers: verifiers.slice(0, VERIFIERS_MAX).map(verifierOutput),
    verifiersLeftOut: Math.max(0, verifiers.length - VERIFIERS_MAX),
  };
}

function verifierOutput(one: VerifierEffect): Static<typeof verifier> {
  const { kind, spiffeId, address, instance, state, afterMs, endsMs } = one;
  return {
    ...{ kind, spiffeId, state },
    ...(address === '' ? {} : { address }),
    ...(instance === '' ? {} : { instance: sha256(Buffer.from(instance)).toString('hex').slice(0, INSTANCE_DIGITS) }),
    ...(afterMs === undefined ? {} : { afterMs }),
    ...(endsMs === undefined ? {} : { endsBy: timeText(endsMs) }),
  };
}

function timeText(ms: number): string {
  return new Date(Math.min(ms, TIME_MS_MAX)).toISOString();
}

const WAIT_S = 10;
/** Of the digest of what a process is known by to servers, which is for nobody else to know. */
const INSTANCE_DIGITS = 16;
/** Of the largest some hundred kilobytes. */
const VERIFIERS_MAX = 2_000;
/** 9999-12-31: what lies behind has no such text. */
const TIME_MS_MAX = 253_402_300_799_000;
