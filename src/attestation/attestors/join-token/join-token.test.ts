import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseTrustDomain } from '@countersign/sdk/identity';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readGivenSecret } from '../../../private-files/index.ts';
import { createManualClock, createSeededRandom, createSilentLog } from '../../../std/index.ts';
import type { NodeAttestor } from '../../attestor.ts';
import { member } from './index.ts';

const attestor: NodeAttestor = member.node;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'token-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function verify(payload: string, known: readonly string[]) {
  const verifier = await attestor.openVerifier(
    {},
    {
      clock: createManualClock(0),
      random: createSeededRandom('x'),
      trustDomain: parseTrustDomain('example.org'),
      readTrustedFile: () => undefined,
      log: createSilentLog(),
    },
  );
  return verifier.verify(Buffer.from(payload), () => Promise.reject(new Error('no challenge expected')), {
    signal: new AbortController().signal,
    consumeJoinToken: async (token) => (known.includes(token) ? { agentId: undefined } : undefined),
  });
}

describe('the join-token attestor, server half', () => {
  it('makes a known token part of the identity, which can not attest again', async () => {
    const node = await verify('abc-123', ['abc-123']);
    expect(node).toMatchObject({
      spiffeId: { uri: 'spiffe://example.org/spire/agent/join_token/abc-123' },
      selectors: [],
      reattestable: false,
    });
  });

  it('refuses an unknown token', async () => {
    await expect(verify('abc', [])).rejects.toMatchObject({ code: 'ERR_ATTEST_REFUSED' });
  });

  it.each([
    '',
    'a/b',
    '..',
    'a b',
    'ü',
    'x'.repeat(256),
    'a\0b',
  ])('refuses %j before it asks the store', async (token) => {
    await expect(verify(token, [token])).rejects.toMatchObject({ code: 'ERR_ATTEST_PAYLOAD' });
  });
});

describe('the join-token attestor, agent half', () => {
  const deps = {
    random: createSeededRandom('x'),
    readSecret: (reference: string) => readGivenSecret(reference, { env: {}, bytesMax: 1000 }),
  };

  it('sends the bytes of the file without the line end', async () => {
    writeFileSync(join(folder, 'token'), 'abc-123\n', { mode: 0o600 });
    const proof = await attestor.prove({ token: `file:${join(folder, 'token')}` }, deps);
    expect(proof.payload.toString()).toBe('abc-123');
    await expect(proof.answer(Buffer.from('?'))).rejects.toMatchObject({ code: 'ERR_ATTEST_PAYLOAD' });
  });

  it('sends no token that others could have read', async () => {
    writeFileSync(join(folder, 'token'), 'abc-123\n', { mode: 0o600 });
    for (const mode of [0o604, 0o640]) {
      chmodSync(join(folder, 'token'), mode);
      await expect(attestor.prove({ token: `file:${join(folder, 'token')}` }, deps)).rejects.toMatchObject({
        code: 'ERR_ATTEST_CONFIG',
        message: expect.stringContaining(`${join(folder, 'token')} has mode 0${mode.toString(8)}`),
      });
    }
  });

  it.each([
    [{}, 'no join token yet'],
    [{ token: 'file:/nonexistent' }, 'file:/nonexistent is missing or empty'],
    [{ token: 'env:COUNTERSIGN_NO_SUCH_VARIABLE' }, 'is missing or empty'],
    [{ token: 'abc' }, 'do not fit'],
  ])('says what is missing in %j', async (config, message) => {
    await expect(attestor.prove(config, deps)).rejects.toThrow(message);
  });
});
