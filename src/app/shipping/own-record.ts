import { join } from 'node:path';
import { type SpiffeId, spiffeIdOf, type TrustDomain } from '@countersign/sdk/identity';
import type { ServerConfig } from '../../config/index.ts';
import { createLedger, createLedgerSource, type LedgerWriter } from '../../ledger/index.ts';
import { createRecords, createWitness } from '../../records/index.ts';
import { type Clock, type Log, parseDurationMs, type Random } from '../../std/index.ts';
import type { Store } from '../../store/index.ts';
import { formatVerifierKey, noteKeyOf } from '../../wire/tlog/index.ts';
import { sealRules } from '../record-sinks.ts';
import { openCheckpointKeeper, openLedgerSigner, openSealKey, openWitnessKey } from '../role-keys.ts';
import { createLedgerShipping } from './ship-ledger.ts';
import { openOwnLine } from './shipping-line.ts';

/** The server's own ledger, the record that all ledgers come into, and its way there: by the same door as everybody's. */
export function openServerRecord(deps: {
  readonly config: ServerConfig;
  readonly trustDomain: TrustDomain;
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}) {
  const { config, trustDomain, store, clock, random, log } = deps;
  const { dataDir, serverId } = config;
  const name = `${trustDomain}/server/${serverId}`;
  const keys = { dataDir, sealKey: openSealKey(dataDir, random), random };
  const witnessName = `${name}/witness`;
  const directory = join(dataDir, 'ledger');
  const signer = openLedgerSigner({ ...keys, name });
  const ledger = createLedger({
    ...{ clock, log, directory, origin: name, signer },
    keeper: openCheckpointKeeper(keys),
  });
  const records = createRecords({
    ...{ store, clock, random, log, write: (event) => writeSynced(ledger, event) },
    witness: createWitness(witnessName, openWitnessKey({ ...keys, name: witnessName })),
    seal: sealRules(config, trustDomain),
    silenceMs: parseDurationMs(config.silence) ?? 0,
  });
  const owner: SpiffeId = spiffeIdOf(trustDomain, '/spire/server');
  const verifierKey = formatVerifierKey(noteKeyOf(name, signer.publicKey));
  const shipping = createLedgerShipping({
    ...{ clock, random, log, source: createLedgerSource({ directory }) },
    connect: () => openOwnLine(records, { origin: name, verifierKey, owner: owner.uri }),
  });
  return { ledger, records, shipping };
}

function writeSynced(ledger: LedgerWriter, event: Parameters<LedgerWriter['append']>[0]): Promise<void> {
  return ledger.synced(ledger.append(event));
}
