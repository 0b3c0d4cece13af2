import type { LedgerWatch } from '../../ledger/index.ts';
import { codeOf, messageOf } from '../../std/index.ts';
import { conditionTable } from './condition-table.ts';
import type { HealthCheck, Severity } from './conditions.ts';

/**
 * What can be wrong with the ledger of a role; `refusing` says what it is to that role when nothing new is taken. A ledger that failed ends
 * its role, since what the disk holds can't be taken for granted before a start has read it again.
 */
export function createLedgerChecks(
  ledger: LedgerWatch,
  refusing: { readonly severity: Severity; readonly effect: string },
): { readonly ledger: HealthCheck; readonly checkpoints: HealthCheck } {
  return {
    ledger() {
      const state = ledger.state();
      if (state === undefined) return [];
      const { failure, refusal, room, roomFailure } = state;
      if (failure !== undefined)
        return [{ severity: 'failed', found: `${failure.message}; ${FAILED}`, remedy: FAILED_REMEDY }];
      const { severity, effect } = refusing;
      // Full is full, whichever of the two met it first: the next segment or the next checkpoint.
      const isFull = room === 'none' || refusal?.code === 'ERR_LEDGER_FULL';
      const why = reasonOf(roomFailure ?? refusal?.cause);
      if (isFull) return [{ severity, key: 'full', found: `the ledger is full${why}: ${effect} until there is room` }];
      if (refusal?.code === 'ERR_LEDGER_UNSHIPPED') {
        const { remedy } = conditionTable.shipping;
        return [{ severity, key: 'unshipped', found: `${refusal.message}; ${effect} until they are`, remedy }];
      }
      if (refusal !== undefined)
        return [{ severity, key: 'refusal', found: `${refusal.message}; ${effect} until one is`, ...UNSIGNED }];
      switch (room) {
        case 'enough':
          return [];
        case 'low':
          return [{ severity: 'degraded', key: 'low', found: `no further segment can be made${why}; ${STILL_ROOM}` }];
        default:
          return room satisfies never;
      }
    },
    checkpoints() {
      const { unsignedMs = 0, checkpointFailure } = ledger.state() ?? {};
      if (unsignedMs < UNSIGNED_MS_MAX) return [];
      const why = checkpointFailure === undefined ? 'signing does not come to an end' : messageOf(checkpointFailure);
      return [{ severity: 'degraded', key: 'unsigned', found: `entries wait for a checkpoint: ${why}` }];
    },
  };
}

function reasonOf(failure: unknown): string {
  if (failure === undefined) return '';
  const code = codeOf(failure);
  return ` (${code?.startsWith('ERR_') ? messageOf(failure) : (code ?? messageOf(failure))})`;
}

const UNSIGNED = { remedy: conditionTable.checkpoints.remedy };
const STILL_ROOM = 'those that are ready still take entries';
const FAILED = 'nothing is done that is not recorded, so this role ends; see to the disk and start it again';
const FAILED_REMEDY =
  'See to the disk, then start the role again (systemd: Restart=on-failure): the start repairs the log.';
/** Ten times the pause between two checkpoints, and half of the time after which the ledger takes nothing more: told before it hurts. */
const UNSIGNED_MS_MAX = 10_000;
