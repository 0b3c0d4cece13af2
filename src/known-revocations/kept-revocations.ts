import { InvalidRevocation, parseRevocation, type RevocationState } from '../model/index.ts';
import { readPrivateFile, writePrivateFile } from '../private-files/index.ts';
import { messageOf, type Random } from '../std/index.ts';
import { SealError, type Sealer } from '../wire/seal/index.ts';
import { KnownRevocationsError } from './errors.ts';

/** Where the last state lies over a restart, so that whoever was refused stays so, and an older state is known to be older. */
export interface KeptRevocations {
  /** Undefined: there is none. @throws KnownRevocationsError ERR_REVOCATIONS_KEPT, PrivateFileError */
  read(): Promise<RevocationState | undefined>;
  /** Whole on disk, or as it was. @throws KnownRevocationsError ERR_REVOCATIONS_KEPT, PrivateFileError */
  write(state: RevocationState): Promise<void>;
}

/** Keeps it in that file; `sealer` is of the role that keeps it. */
export function createKeptRevocations(deps: {
  readonly path: string;
  readonly sealer: Pick<Sealer, 'seal' | 'open'>;
  readonly random: Random;
}): KeptRevocations {
  const { path, sealer, random } = deps;
  return {
    async read() {
      const bytes = await readPrivateFile(path, { bytesMax: FILE_BYTES_MAX });
      if (bytes === undefined) return undefined;
      try {
        return stateIn(JSON.parse(sealer.open(bytes, CONTEXT).toString('utf8')));
      } catch (cause) {
        if (!(cause instanceof SealError || cause instanceof InvalidRevocation || cause instanceof SyntaxError))
          throw cause;
        throw new KnownRevocationsError('ERR_REVOCATIONS_KEPT', `${path} can not be read: ${messageOf(cause)}`, {
          cause,
        });
      }
    },
    write: (state) => writePrivateFile(path, sealer.seal(Buffer.from(JSON.stringify(state), 'utf8'), CONTEXT), random),
  };
}

/** It opened, so it was written by this role; perhaps by another version, whose revocations are others. */
function stateIn(value: unknown): RevocationState {
  const { revocations, ...rest } = value as RevocationState;
  return { ...rest, revocations: revocations.map(parseRevocation) };
}

const CONTEXT = 'known-revocations/state';
/** As much as may stand, as JSON, and what sealing adds. */
const FILE_BYTES_MAX = 8 * 1024 * 1024;
