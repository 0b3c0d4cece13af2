/** Proves a node by a token that an operator made for it: whoever shows it first becomes the node. */

import { IdentityError, spiffeIdOf } from '@countersign/sdk/identity';
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';
import { messageOf, type Secret } from '../../../std/index.ts';
import type { AttestorMember, NodeProverDeps, NodeVerifierDeps, ProvenNode, VerifyContext } from '../../attestor.ts';
import { AttestationError } from '../../errors.ts';

const config = Type.Object(
  {
    token: Type.Optional(
      Type.String({
        description: 'Agents only: reference to the token, `file:PATH` or `env:NAME`. agent.joinToken says the same.',
        pattern: '^(file|env):.+$',
      }),
    ),
  },
  { additionalProperties: false },
);

export const member = {
  kind: 'attestor',
  id: 'join-token',
  type: 'join_token',
  summary: 'A token, made by an operator, that the first agent to show it can use once.',
  config,
  node: {
    async prove(given, { readSecret }) {
      const token = await readToken(settings(given), readSecret);
      return {
        payload: Buffer.from(token, 'utf8'),
        answer: () =>
          Promise.reject(
            new AttestationError('ERR_ATTEST_PAYLOAD', 'the server asks a question, though a join token answers none'),
          ),
      };
    },
    async openVerifier(given, deps) {
      settings(given);
      return { verify: (payload, _challenge, context) => verify(payload, { ...deps, ...context }) };
    },
  },
} as const satisfies AttestorMember;

async function verify(payload: Buffer, deps: NodeVerifierDeps & VerifyContext): Promise<ProvenNode> {
  const token = payload.toString('utf8');
  if (payload.length === 0 || payload.length > TOKEN_BYTES_MAX)
    throw new AttestationError('ERR_ATTEST_PAYLOAD', `a join token has 1 to ${TOKEN_BYTES_MAX} bytes`);
  // The token becomes a part of the node's identity: it must be one path segment and nothing else.
  const spiffeId = nodeId(token, deps);
  if (!(await deps.consumeJoinToken(token)))
    throw new AttestationError('ERR_ATTEST_REFUSED', 'the join token is unknown, used or expired');
  return { spiffeId, selectors: [], reattestable: false };
}

function nodeId(token: string, deps: NodeVerifierDeps) {
  if (token.includes('/')) throw new AttestationError('ERR_ATTEST_PAYLOAD', 'a join token holds no slash');
  try {
    return spiffeIdOf(deps.trustDomain, `/spire/agent/join_token/${token}`);
  } catch (cause) {
    if (cause instanceof IdentityError)
      throw new AttestationError(
        'ERR_ATTEST_PAYLOAD',
        'a join token holds only letters, digits, dot, dash and underscore',
        { cause },
      );
    throw cause;
  }
}

function settings(given: unknown): Static<typeof config> {
  const value = given ?? {};
  if (!Value.Check(config, value))
    throw new AttestationError('ERR_ATTEST_CONFIG', 'the settings of the join-token attestor do not fit its schema');
  return value;
}

async function readToken({ token }: Static<typeof config>, readSecret: NodeProverDeps['readSecret']): Promise<string> {
  if (token === undefined)
    throw new AttestationError(
      'ERR_ATTEST_CONFIG',
      'this node has no join token yet: make one with `countersign node token` and name it as agent.joinToken',
    );
  let secret: Secret | undefined;
  try {
    secret = await readSecret(token);
  } catch (cause) {
    throw new AttestationError('ERR_ATTEST_CONFIG', `the join token can not be read: ${messageOf(cause)}`, { cause });
  }
  const trimmed = secret?.revealText().trim() ?? '';
  if (trimmed === '')
    throw new AttestationError(
      'ERR_ATTEST_CONFIG',
      `the join token ${token} is missing or empty: make one with \`countersign node token\` and put it there`,
    );
  return trimmed;
}

const TOKEN_BYTES_MAX = 255;
