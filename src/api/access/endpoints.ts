import { parseSpiffeId, type TrustDomain } from '@countersign/sdk/identity';
import { type Static, Type } from 'typebox';
import {
  type Endpoint,
  EndpointError,
  type EndpointResource,
  endpointsOf,
  notAsSeen,
  type Principal,
  principalName,
} from '../../endpoint/index.ts';
import { identityNamed } from '../../records/index.ts';
import type { Registration } from '../../registration/index.ts';
import { type Clock, sha256 } from '../../std/index.ts';
import { createIdentityPrincipal } from '../identity-principal.ts';
import type { AccessPlan, AccessPolicies, WantedAccess } from './access-policies.ts';
import { builtInPolicy } from './built-in-policy.ts';
import { defaultPolicy } from './default-policy.ts';
import { principalEntity } from './entities.ts';
import { type AccessReason, actionsOf, holdersOf } from './explain.ts';

/** What the endpoints of access work with. */
export interface AccessEndpointNeeds {
  readonly access: AccessPolicies;
  readonly registration: Pick<Registration, 'entriesOf'>;
  readonly clock: Pick<Clock, 'now'>;
  readonly trustDomain: TrustDomain;
}

const endpoint = endpointsOf<AccessEndpointNeeds>();
const closed = { additionalProperties: false } as const;

const name = Type.String({ pattern: '^[a-z][a-z0-9-]{0,62}$', description: 'Of the text: of the file it came from.' });
const policy = Type.Object(
  { name, cedar: Type.String({ maxLength: 131_072, description: 'Policies over `Countersign::`, in Cedar.' }) },
  closed,
);
const revision = Type.Integer({ minimum: 0, description: 'It grows with each change. Also in ETag.' });
const digest = Type.String({ description: 'SHA-256 over the texts and what they are held against.' });
const inForce = Type.Object(
  {
    revision,
    isDefault: Type.Boolean({ description: "Nobody has changed them: the policies of the server's version hold." }),
    policies: Type.Array(policy, { description: 'Those that can be changed.' }),
    builtIn: Type.String({ description: 'What holds whatever those say, in Cedar.' }),
    default: Type.String({ description: 'What would hold if nobody had changed them, in Cedar.' }),
    digest: Type.Optional({ ...digest, description: 'Absent where they can not be evaluated.' }),
    problems: Type.Array(Type.String(), {
      description: 'Why the server can not evaluate them; then they permit nothing, and what is built in holds alone.',
    }),
  },
  closed,
);
const wanted = {
  policies: Type.Optional(
    Type.Array(policy, { maxItems: 200, description: 'All of them as they are to be: others are taken away.' }),
  ),
  useDefault: Type.Optional(Type.Boolean({ description: "Instead of policies: those of the server's version." })),
};
const planned = {
  changes: Type.Array(
    Type.Object(
      {
        name: Type.String(),
        action: Type.Enum(['create', 'update', 'delete', 'unchanged']),
        differences: Type.Array(Type.String(), { description: 'The lines that differ.' }),
      },
      closed,
    ),
  ),
  warnings: Type.Array(Type.String(), { description: 'What is no error and may not be meant.' }),
  locksOut: Type.Boolean({ description: 'Nobody but the operator socket could change access again.' }),
  revision,
};
const wantedInput = Type.Object(wanted, closed);
/** As JSON a text may be some times as long. */
const BODY_BYTES_MAX = 1024 * 1024;
const tag = (output: { readonly revision: number }) => `r${output.revision}`;

const accessGet = endpoint({
  name: 'access.get',
  summary: 'Shows the policies that say who may do what with the server.',
  method: 'GET',
  path: '/v1/access',
  input: Type.Object({}, closed),
  output: inForce,
  tag,
  async handle(_input, _call, { access }) {
    const { revision: at, isDefault, policies, digest: of, problems } = access.current();
    return {
      ...{ revision: at, isDefault, policies: policies.map(({ name: own, text }) => ({ name: own, cedar: text })) },
      ...{ builtIn: builtInPolicy.text.trimStart(), default: defaultPolicy.text },
      ...(of === undefined ? {} : { digest: of }),
      problems,
    };
  },
});

const accessCheck = endpoint({
  name: 'access.check',
  summary: 'Shows what applying policies of access would do, and refuse; nothing is done.',
  method: 'POST',
  path: '/v1/access-check',
  bodyBytesMax: BODY_BYTES_MAX,
  input: wantedInput,
  output: Type.Object(
    {
      ...planned,
      problems: Type.Array(Type.Object({ path: Type.String(), message: Type.String() }, closed), {
        description: 'What is wrong; empty: they would be taken, a lock-out only if it is allowed.',
      }),
    },
    closed,
  ),
  tag,
  async handle(input, _call, { access }) {
    const { problems, ...plan } = access.plan(wantedOf(input));
    return { ...shown(plan), problems: problems.slice(0, PROBLEMS_TOLD_MAX).map((one) => ({ ...one })) };
  },
});

const accessApply = endpoint({
  name: 'access.apply',
  summary: 'Replaces the policies that say who may do what with the server, all of them or none.',
  description:
    'With If-Match, as a look or a check gave its ETag, only if nobody has changed them since. Whoever does it must be permitted to by those that are replaced.',
  method: 'POST',
  path: '/v1/access',
  idempotent: 'by-key',
  conditional: true,
  bodyBytesMax: BODY_BYTES_MAX,
  input: Type.Object(
    {
      ...wanted,
      allowLockOut: Type.Optional(
        Type.Boolean({ description: 'Also where nobody but the operator socket could change access again.' }),
      ),
    },
    closed,
  ),
  output: Type.Object({ ...planned, digest }, closed),
  audit: {
    as: 'ApplyAccess',
    target: 'access',
    of: ({ policies = [], useDefault = false, allowLockOut = false }) => ({
      detail: {
        ...(useDefault ? { useDefault } : {}),
        ...(allowLockOut ? { allowLockOut } : {}),
        policies: policies.map((one) => ({ name: one.name, digest: digestOf(one.cedar) })),
      },
      outcome: ({ revision: at, digest: of, changes, locksOut }) => ({
        ...{ revision: at, digest: of, locksOut },
        changes: changes.filter(({ action }) => action !== 'unchanged').map((one) => `${one.action} ${one.name}`),
        differences: differencesOf(changes),
      }),
    }),
  },
  tag,
  async handle(input, { principal, ifMatch, signal }, { access }) {
    const { allowLockOut = false } = input;
    const by = { principal, allowsLockOut: allowLockOut, signal, ifRevision: revisionOf(ifMatch) };
    const { digest: of, ...plan } = await access.apply(wantedOf(input), by);
    return { ...shown(plan), digest: of };
  },
});

const text = (description: string) => Type.Optional(Type.String({ minLength: 1, maxLength: 512, description }));
const reasons = Type.Array(
  Type.Object(
    {
      policy: Type.String({ description: 'Id of the policy.' }),
      effect: Type.Enum(['permit', 'forbid']),
      when: Type.Array(Type.String(), { description: 'What has to hold besides, in Cedar; empty: it holds for all.' }),
    },
    closed,
  ),
);
const verdict = Type.Enum(['always', 'sometimes'], {
  description: 'Sometimes: it depends on what is asked about, on when, or on what is not known of who asks.',
});

const whoInput = Type.Object(
  {
    identity: text('A SPIFFE ID, or the path of one in the trust domain of the server.'),
    person: Type.Optional(
      Type.Object(
        {
          issuer: Type.String({ minLength: 1, maxLength: 512 }),
          subject: text('As the issuer says.'),
          email: text('As the issuer has verified it.'),
          groups: Type.Optional(Type.Array(Type.String({ maxLength: 256 }), { maxItems: 500 })),
          byLink: Type.Optional(Type.Boolean()),
        },
        closed,
      ),
    ),
  },
  { ...closed, description: 'One of both.' },
);
const explainInput = Type.Object(
  {
    who: Type.Optional(whoInput),
    action: Type.Optional(
      Type.String({ pattern: '^countersign:[a-z0-9.-]{1,100}$', description: 'As `countersign:session.list`.' }),
    ),
    target: text('Of which target it is asked.'),
    identity: text('Of which identity it is asked.'),
  },
  closed,
);

const accessExplain = endpoint({
  name: 'access.explain',
  summary: 'Says what somebody may do, or who may do something, and by which policies.',
  description:
    'Without who and action: what the caller may do. With an action alone: who may do it. With both: whether they may, of a target or an identity where those are named.',
  method: 'POST',
  path: '/v1/access-explain',
  input: explainInput,
  output: Type.Object(
    {
      revision,
      principal: Type.Optional(Type.String({ description: 'Who was asked about, as the ledger would name them.' })),
      actions: Type.Array(Type.Object({ action: Type.String(), verdict, policies: reasons }, closed), {
        description: 'All that they may do; what they may never is left out.',
      }),
      holders: Type.Array(
        Type.Object(
          {
            principal: Type.String({ description: 'In Cedar: `principal is Countersign::Person`.' }),
            verdict,
            policies: reasons,
          },
          closed,
        ),
        { description: 'Who may do it, by the scopes of permits.' },
      ),
      decision: Type.Optional(
        Type.Object(
          {
            allow: Type.Boolean(),
            reason: Type.Optional(Type.String()),
            policies: Type.Array(Type.String(), { description: 'Ids of those that decided.' }),
          },
          closed,
        ),
      ),
    },
    closed,
  ),
  async handle(input, { principal: caller }, needs) {
    const { access, clock } = needs;
    const { action } = input;
    if (action !== undefined && access.schema.actions.get(action)?.isGroup !== false)
      throw badInput('/action', `there is no action ${action}`);
    const sets = { ...access.compiled(), schema: access.schema, timeMs: clock.now() };
    const { revision: at } = access.current();
    if (input.who === undefined && action !== undefined)
      return { revision: at, actions: [], holders: holdersOf(sets, action).map(copied) };
    const principal = input.who === undefined ? caller : principalOf(input.who, needs);
    const all = actionsOf(sets, principalEntity(principal)).filter((one) => (action ?? one.action) === one.action);
    const told = { revision: at, principal: principalName(principal), actions: all.map(copied), holders: [] };
    if (action === undefined) return told;
    const { allow, policies, ...rest } = access.decide(principal, action, resourceOf(input, action, access));
    const reason = 'reason' in rest ? { reason: rest.reason } : {};
    return { ...told, decision: { allow, ...reason, policies: [...policies] } };
  },
});

/** Who may do what, asked and changed. */
export const endpoints: readonly Endpoint<AccessEndpointNeeds>[] = [accessGet, accessCheck, accessApply, accessExplain];

/** @throws EndpointError ERR_ENDPOINT_INPUT */
function wantedOf({ policies, useDefault = false }: Static<typeof wantedInput>): WantedAccess {
  if (useDefault === (policies !== undefined)) throw badInput('/policies', 'give either policies or useDefault');
  if (policies === undefined) return 'default';
  const seen = new Set<string>();
  for (const [index, { name: own }] of policies.entries()) {
    if (seen.has(own)) throw badInput(`/policies/${index}/name`, `two texts are named ${own}`);
    seen.add(own);
  }
  return policies.map(({ name: own, cedar }) => ({ name: own, text: cedar }));
}

/** @throws EndpointError ERR_ENDPOINT_INPUT */
function principalOf({ identity, person }: Static<typeof whoInput>, needs: AccessEndpointNeeds): Principal {
  if ((identity === undefined) === (person === undefined)) throw badInput('/who', 'name an identity or a person');
  if (identity !== undefined) {
    try {
      return createIdentityPrincipal(needs)(parseSpiffeId(identityNamed(identity, needs.trustDomain)));
    } catch (cause) {
      throw badInput('/who/identity', 'it is no SPIFFE ID', cause);
    }
  }
  const { issuer = '', subject = '', email, groups = [], byLink = false } = person ?? {};
  return { kind: 'person', issuer, subject, email, groups, byLink, signIn: '' };
}

/** What it is asked of: where the action is about one thing, the target is that. */
function resourceOf(
  { target, identity }: Static<typeof explainInput>,
  action: string,
  { schema }: AccessPolicies,
): EndpointResource | undefined {
  const [type] = Array.from(schema.actions.get(action)?.resources ?? [], (one) => one.replace('Countersign::', ''));
  switch (type) {
    case 'DeclaredTarget':
      return target === undefined ? undefined : { type, id: target };
    case 'Records':
    case 'Sessions':
    case 'Entries':
      return { type, id: '', narrowed: { target, identity } };
    default:
      return undefined;
  }
}

/** @throws EndpointError ERR_ENDPOINT_CHANGED for a tag that no revision has */
function revisionOf(tagged: string | undefined): number | undefined {
  if (tagged === undefined) return undefined;
  const match = /^r(0|[1-9]\d{0,15})$/.exec(tagged);
  if (match === null) throw notAsSeen('the policies of access are not as If-Match says; nothing was changed');
  return Number(match[1]);
}

function shown({ changes, warnings, locksOut, revision: at }: Omit<AccessPlan, 'problems'>) {
  return {
    changes: changes.map((one) => ({ ...one, differences: [...one.differences] })),
    ...{ warnings: [...warnings], locksOut, revision: at },
  };
}

function copied<T extends { readonly policies: readonly AccessReason[] }>(one: T) {
  return { ...one, policies: one.policies.map((reason) => ({ ...reason, when: [...reason.when] })) };
}

/** As far as an entry has room: what a policy was is kept nowhere else. */
function differencesOf(changes: readonly { readonly name: string; readonly differences: readonly string[] }[]) {
  const lines = changes.flatMap(({ name: own, differences }) => differences.map((line) => `${own}: ${line}`));
  let room = AUDITED_BYTES_MAX;
  const end = lines.findIndex((line) => {
    room -= Buffer.byteLength(line);
    return room < 0;
  });
  return end < 0 ? lines : [...lines.slice(0, end), `… and ${lines.length - end} more lines`];
}

function digestOf(cedar: string): string {
  return sha256(Buffer.from(cedar)).toString('hex');
}

function badInput(path: string, message: string, cause?: unknown): EndpointError {
  return new EndpointError('ERR_ENDPOINT_INPUT', `${path}: ${message}`, { cause, problems: [{ path, message }] });
}

/** A screenful; the rest shows once these are mended. */
const PROBLEMS_TOLD_MAX = 20;
/** A small part of what an entry of the ledger may hold. */
const AUDITED_BYTES_MAX = 16 * 1024;
