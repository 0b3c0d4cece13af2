import { Type } from 'typebox';
import { type Endpoint, endpointsOf, notFound, type Principal, principalName } from '../endpoint/index.ts';
import type { Links } from './links.ts';
import type { SignIns } from './sign-ins.ts';
import type { SignIn } from './types.ts';

/** What the endpoints of people work with. */
export interface PersonEndpointNeeds {
  readonly signIns: Pick<SignIns, 'list' | 'end'>;
  readonly links: Pick<Links, 'make'>;
  /** Where people's browsers reach this server; undefined: nowhere. */
  readonly signInUrl: () => string | undefined;
}

const endpoint = endpointsOf<PersonEndpointNeeds>();
const closed = { additionalProperties: false } as const;

const who = {
  issuer: Type.String({ description: 'Who says who it is.' }),
  subject: Type.String(),
  email: Type.Optional(Type.String({ description: 'As the issuer has verified it.' })),
  groups: Type.Array(Type.String()),
};

const callerGet = endpoint({
  name: 'caller.get',
  summary: 'Shows whom the server takes the caller for.',
  method: 'GET',
  path: '/v1/caller',
  input: Type.Object({}, closed),
  output: Type.Object(
    {
      kind: Type.Enum(['node', 'identity', 'person', 'operator']),
      name: Type.String({ description: 'As the ledger has it.' }),
      person: Type.Optional(
        Type.Object({ ...who, signIn: Type.String({ description: 'Id of the sign-in.' }) }, closed),
      ),
    },
    closed,
  ),
  async handle(_input, { principal }) {
    return { kind: principal.kind, name: principalName(principal), ...personOf(principal) };
  },
});

const signInId = Type.String({ pattern: '^[0-9a-f]{16}$', description: 'Id of the sign-in.' });
const signInFields = {
  id: signInId,
  kind: Type.Enum(['browser', 'cli']),
  ...who,
  address: Type.String({ description: 'From where it was begun.' }),
  since: Type.String({ format: 'date-time' }),
  seen: Type.String({ format: 'date-time', description: 'When it was used last, to the minute.' }),
  ends: Type.String({ format: 'date-time', description: 'When it ends, used or not.' }),
};

const signInList = endpoint({
  name: 'sign-in.list',
  summary: 'Lists who has signed in, newest first.',
  method: 'GET',
  path: '/v1/sign-ins',
  input: Type.Object({}, closed),
  output: Type.Object({ signIns: Type.Array(Type.Object(signInFields, closed), { maxItems: 1000 }) }, closed),
  async handle(_input, _call, { signIns }) {
    return { signIns: (await signIns.list()).map(shown) };
  },
});

const signInEnd = endpoint({
  name: 'sign-in.end',
  summary: 'Ends a sign-in, at every server at once.',
  method: 'DELETE',
  path: '/v1/sign-ins/{id}',
  input: Type.Object({ id: signInId }, closed),
  output: Type.Object(signInFields, closed),
  audit: {
    as: 'EndSignIn',
    target: 'sign-ins',
    of: ({ id }) => ({ detail: { signIn: id }, outcome: ({ issuer, subject }) => ({ issuer, subject }) }),
  },
  async handle({ id }, _call, { signIns }) {
    const ended = await signIns.end(id);
    if (ended === undefined) throw notFound(`there is no sign-in ${id}`);
    return shown(ended);
  },
});

const linkCreate = endpoint({
  name: 'sign-in-link.create',
  summary: 'Makes a link that signs whoever opens it in, once, within a quarter of an hour.',
  description:
    'Only where no OpenID provider is configured. What is behind its # is the secret: no server ever logs it.',
  method: 'POST',
  path: '/v1/sign-in-links',
  idempotent: 'never',
  input: Type.Object({}, closed),
  output: Type.Object(
    {
      id: Type.String(),
      secret: Type.String({ description: 'To be shown to whoever may have it, and kept nowhere.' }),
      url: Type.Optional(
        Type.String({ description: 'The link; absent where the server has no address for browsers.' }),
      ),
      ends: Type.String({ format: 'date-time' }),
    },
    closed,
  ),
  audit: {
    as: 'CreateSignInLink',
    target: 'sign-ins',
    of: () => ({ detail: {}, outcome: ({ id }) => ({ link: id }) }),
  },
  async handle(_input, { principal }, { links, signInUrl }) {
    const { id, secret, endsMs } = await links.make(principalName(principal));
    const url = signInUrl();
    return { id, secret, ...(url === undefined ? {} : { url: `${url}/sign-in/link#${secret}` }), ends: timeOf(endsMs) };
  },
});

/** What people and machines may ask about people who sign in. */
export const endpoints: readonly Endpoint<PersonEndpointNeeds>[] = [callerGet, signInList, signInEnd, linkCreate];

function personOf(principal: Principal) {
  if (principal.kind !== 'person') return {};
  const { issuer, subject, email, groups, signIn } = principal;
  return { person: { issuer, subject, ...(email === undefined ? {} : { email }), groups: [...groups], signIn } };
}

function shown({ id, kind, person, address, sinceMs, seenMs, endsMs }: SignIn) {
  const { issuer, subject, email, groups } = person;
  return {
    ...{ id, kind, issuer, subject, groups, address },
    ...(email === undefined ? {} : { email }),
    ...{ since: timeOf(sinceMs), seen: timeOf(seenMs), ends: timeOf(endsMs) },
  };
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}
