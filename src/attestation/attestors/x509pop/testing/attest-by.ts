import { parseTrustDomain } from '@countersign/sdk/identity';
import { readGivenSecret, readTrustedFile } from '../../../../private-files/index.ts';
import { createManualClock, createSeededRandom, type Log, type LogFields, messageOf } from '../../../../std/index.ts';
import type { NodeAttestor, NodeVerifier } from '../../../attestor.ts';
import { member } from '../index.ts';
import type { MadeCertificate } from './openssl-ca.ts';

const attestor: NodeAttestor = member.node;

export interface LoggedLine {
  readonly event: string;
  readonly problem: string;
}

/** A verifier as the server opens it, and what it logs. */
export async function openPop(
  config: object,
  nowMs = Date.now(),
): Promise<{ verifier: NodeVerifier; log: LoggedLine[]; clock: ReturnType<typeof createManualClock> }> {
  const log: LoggedLine[] = [];
  const write = (event: string, fields?: LogFields) => void log.push({ event, problem: String(fields?.['problem']) });
  const sink: Log = { debug: write, info: write, warn: write, error: write, child: () => sink };
  const clock = createManualClock(nowMs);
  const verifier = await attestor.openVerifier(config, {
    ...{ clock, random: createSeededRandom('server'), log: sink, trustDomain: parseTrustDomain('example.org') },
    readTrustedFile: (path) => readTrustedFile(path, { bytesMax: 4_000_000 }),
  });
  return { verifier, log, clock };
}

/** What the verifier answers a node that shows that certificate and has its key: 'attests', or the words of its refusal. */
export async function showTo(verifier: NodeVerifier, shown: MadeCertificate): Promise<string> {
  const proof = await attestor.prove(
    { certificate: shown.pem, key: shown.key },
    {
      random: createSeededRandom('agent'),
      readSecret: (reference) => readGivenSecret(reference, { env: {}, bytesMax: 10_000 }),
    },
  );
  const context = { signal: new AbortController().signal, consumeJoinToken: async () => undefined };
  try {
    await verifier.verify(proof.payload, (challenge) => proof.answer(challenge), context);
    return 'attests';
  } catch (error) {
    return messageOf(error);
  }
}

export async function attestBy({
  config,
  shown,
  nowMs,
}: {
  readonly config: object;
  readonly shown: MadeCertificate;
  readonly nowMs?: number;
}): Promise<{ outcome: string; log: readonly LoggedLine[] }> {
  const { verifier, log } = await openPop(config, nowMs);
  return { outcome: await showTo(verifier, shown), log };
}
