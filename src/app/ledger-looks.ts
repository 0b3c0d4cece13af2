import type { LedgerWatch } from '../ledger/index.ts';
import { codeOf, messageOf } from '../std/index.ts';
import { conditionTable } from './condition-table.ts';
import type { Look, Severity } from './conditions.ts';

/**
 * What can be wrong with the ledger of a role; `full` says what it is to that role to have no room. A ledger that failed ends its role, since
 * what the disk holds can't be taken for granted before a start has read it again.
 */
export function createLedgerLooks(
  ledger: LedgerWatch,
  full: { readonly severity: Severity; readonly effect: string },
): { readonly ledger: Look; readonly checkpoints: Look } {
  return {
    ledger() {
      const state = ledger.state();
      if (state === undefined) return [];
      const { failure, refusal, room, roomFailure } = state;
      if (failure !== undefined)
        return [{ severity: 'failed', found: `${failure.message}; ${FAILED}`, remedy: FAILED_REMEDY }];
      if (refusal !== undefined)
        return [{ severity: full.severity, key: 'refusal', found: `${refusal.message}; ${full.effect}`, ...UNSIGNED }];
      const why = roomFailure === undefined ? '' : ` (${codeOf(roomFailure) ?? messageOf(roomFailure)})`;
      switch (room) {
        case 'enough':
          return [];
        case 'low':
          return [{ severity: 'degraded', key: 'low', found: `no further segment can be made${why}; ${STILL_ROOM}` }];
        case 'none':
          return [{ severity: full.severity, key: 'full', found: `the ledger is full${why}: ${full.effect}` }];
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

/** It is accepted again once one could be signed. */
const UNSIGNED = { remedy: conditionTable.checkpoints.remedy };
const STILL_ROOM = 'those that are ready still take entries';
const FAILED = 'nothing is done that is not recorded, so this role ends; see to the disk and start it again';
const FAILED_REMEDY =
  'See to the disk, then start the role again (systemd: Restart=on-failure): the start repairs the log.';
/** Thirty times the pause between two checkpoints: more than a disk that is only slow ever takes. */
const UNSIGNED_MS_MAX = 30_000;
