/** Goal: what this verifies is what the ledger's own verifier takes, and one changed byte anywhere is found. */
import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { expect, it } from 'vitest';
import { formatProof } from '../../../../../src/ledger/index.ts';
import { createWitness } from '../../../../../src/records/index.ts';
import {
  evaluatePlan,
  formatCheckpoint,
  formatNote,
  formatVerifierKey,
  formatWitnessKey,
  leafHash,
  nodeHash,
  noteKeyOf,
  planInclusion,
  type TreeNode,
} from '../../../../../src/wire/tlog/index.ts';
import { verifyProof } from './verify-proof.ts';

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const ORIGIN = 'example.org/gateway/one';
const key = noteKeyOf(ORIGIN, createPublicKey(publicKey.export({ type: 'spki', format: 'pem' })));
const verifierKey = formatVerifierKey(key);
const witness = createWitness('example.org/server/witness', generateKeyPairSync('ed25519').privateKey);
const witnessKeys = [formatWitnessKey(witness.key)];

function proofOf(index: number, size: number) {
  const entries = Array.from({ length: size }, (_, seq) => Buffer.from(`{"seq":${seq},"text":"é"}`));
  const hashOf = ({ height, index: at }: TreeNode): Buffer =>
    height === 0
      ? leafHash(entries[at] ?? Buffer.alloc(0))
      : nodeHash(hashOf({ height: height - 1, index: 2 * at }), hashOf({ height: height - 1, index: 2 * at + 1 }));
  const rootOf = (from: number, to: number): Buffer => {
    if (to - from === 1) return leafHash(entries[from] ?? Buffer.alloc(0));
    let half = 1;
    while (half * 2 < to - from) half *= 2;
    return nodeHash(rootOf(from, from + half), rootOf(from + half, to));
  };
  const text = formatCheckpoint({ origin: ORIGIN, size, root: rootOf(0, size) });
  const note = formatNote(text, key, sign(null, Buffer.from(text), privateKey));
  const checkpoint = witness.cosign(note, key, 1_700_000_000_000);
  const hashes = evaluatePlan(planInclusion(index, size), hashOf);
  return formatProof({ entry: entries[index] ?? Buffer.alloc(0), index, hashes, checkpoint });
}

it.each([1, 2, 3, 7, 8, 13])('every entry of a tree of %i is verified', async (size) => {
  for (let index = 0; index < size; index++) {
    const verdict = await verifyProof(proofOf(index, size), { verifierKey, witnessKeys });
    expect(verdict).toMatchObject({ ok: true, index, size });
    expect(verdict.steps).toHaveLength(3);
  }
});

it('an entry with one character changed is none, wherever that is', async () => {
  const file = proofOf(5, 13);
  for (let at = 0; at < file.entry.length; at++) {
    const entry = `${file.entry.slice(0, at)}~${file.entry.slice(at + 1)}`;
    expect((await verifyProof({ ...file, entry }, { verifierKey, witnessKeys })).ok).toBe(false);
  }
});

it('a proof with one character changed proves less, wherever that is', async () => {
  const file = proofOf(5, 13);
  for (let at = 0; at < file.proof.length; at++) {
    const proof = `${file.proof.slice(0, at)}${file.proof[at] === 'B' ? 'C' : 'B'}${file.proof.slice(at + 1)}`;
    const { ok, steps } = await verifyProof({ ...file, proof }, { verifierKey, witnessKeys });
    // A signature under another name is nobody's: it is left aside, and nothing is said of it.
    expect({ at, isAll: ok && steps.length === 3 }).toEqual({ at, isAll: false });
  }
});

it('the key of another log, of a witness, or one that is damaged verifies nothing', async () => {
  const other = generateKeyPairSync('ed25519').publicKey;
  const keys = [
    formatVerifierKey(noteKeyOf(ORIGIN, other)),
    formatVerifierKey(noteKeyOf('example.org/gateway/two', publicKey)),
    witnessKeys[0] ?? '',
    verifierKey.slice(0, -2),
    '',
  ];
  for (const one of keys)
    expect({ one, ok: (await verifyProof(proofOf(2, 7), { verifierKey: one, witnessKeys })).ok }).toEqual({
      one,
      ok: false,
    });
});

it('a tree that nobody has countersigned is verified, and says no more than it may', async () => {
  const verdict = await verifyProof(proofOf(2, 7), { verifierKey, witnessKeys: [] });
  expect(verdict.ok).toBe(true);
  expect(verdict.steps.join(' ')).not.toContain('countersigned');
});
