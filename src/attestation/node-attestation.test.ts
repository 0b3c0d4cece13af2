import { generateKeyPairSync } from 'node:crypto';
import { parseTrustDomain, type SpiffeId } from '@countersign/sdk/identity';
import { describe, expect, it } from 'vitest';
import type { AttestedNode } from '../model/index.ts';
import { createManualClock, createSeededRandom, createSilentLog } from '../std/index.ts';
import { buildCertificateRequest } from '../wire/x509/index.ts';
import { member as joinToken } from './attestors/join-token/index.ts';
import { createNodeAttestation } from './index.ts';
import type { Nodes } from './nodes/nodes.ts';

const signal = new AbortController().signal;
const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const csrDer = buildCertificateRequest({ privateKey, publicKeyDer: publicKey.export({ type: 'spki', format: 'der' }) });
const challenge = () => Promise.reject(new Error('no challenge expected'));

async function house(options: { banned?: boolean; revoked?: boolean; alias?: SpiffeId } = {}) {
  const tokens = new Set(['good']);
  const recorded: AttestedNode[] = [];
  const aliases: string[] = [];
  const nodes = {
    consumeJoinToken: async (token: string) => (tokens.delete(token) ? { agentId: options.alias } : undefined),
    find: async (id: SpiffeId) => (options.banned ? { spiffeId: id, serial: '' } : undefined),
    recordAttestation: async (node: AttestedNode) => recorded.push(node) > 0,
  } as unknown as Nodes; // Only what attestation uses.
  const attestation = await createNodeAttestation({
    nodes,
    attestors: [{ member: joinToken, config: {} }],
    issuer: { issueX509Svid: async () => ({ chainDer: [Buffer.from('leaf')], serial: '77', expiresAtS: 99 }) },
    revocations: { checkSigned: async () => [options.revoked === true ? new Error('revoked') : undefined] },
    aliases: { createAlias: async (node, alias) => void aliases.push(`${node.path} ${alias.path}`) },
    clock: createManualClock(0),
    random: createSeededRandom('x'),
    log: createSilentLog(),
    trustDomain: parseTrustDomain('example.org'),
    readTrustedFile: () => undefined,
  });
  const attest = (over: object = {}) =>
    attestation.attest({ type: 'join_token', payload: Buffer.from('good'), csrDer, challenge, signal, ...over });
  return { attest, recorded, aliases, tokens };
}

describe('attesting a node', () => {
  it('issues, records with the selector that all nodes have, and answers', async () => {
    const { attest, recorded } = await house();
    const result = await attest();
    expect(result).toMatchObject({
      id: { path: '/spire/agent/join_token/good' },
      expiresAtS: 99,
      reattestable: false,
    });
    expect(recorded).toMatchObject([
      { serial: '77', notAfterS: 99, selectors: [{ type: 'countersign', value: 'node:attested' }] },
    ]);
  });

  it('hangs the alias that the token was made with', async () => {
    const alias = { trustDomain: parseTrustDomain('example.org'), path: '/rack/1', uri: 'spiffe://example.org/rack/1' };
    const { attest, aliases } = await house({ alias });
    await attest();
    expect(aliases).toEqual(['/spire/agent/join_token/good /rack/1']);
  });

  it('refuses a kind that is not accepted', async () => {
    const { attest } = await house();
    await expect(attest({ type: 'aws_iid' })).rejects.toMatchObject({ code: 'ERR_ATTEST_TYPE' });
  });

  it('does not use the token up when the request could not succeed', async () => {
    const { attest, tokens } = await house();
    await expect(attest({ csrDer: Buffer.from('nonsense') })).rejects.toThrow();
    expect(tokens.has('good')).toBe(true);
  });

  it('hands nothing out to a node that is revoked, and records nothing', async () => {
    const { attest, recorded } = await house({ revoked: true });
    await expect(attest()).rejects.toThrow('revoked');
    expect(recorded).toEqual([]);
  });

  it('refuses a banned node', async () => {
    const { attest } = await house({ banned: true });
    await expect(attest()).rejects.toMatchObject({ code: 'ERR_ATTEST_BANNED' });
  });
});
