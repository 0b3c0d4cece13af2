/** Plain counters, only growing; whoever exports metrics reads them. */
export interface Counters {
  syncs: number;
  syncFailures: number;
  svidsMinted: number;
  svidsRefused: number;
  jwtIssued: number;
  callersAttested: number;
  callersRefused: number;
  streamsOpened: number;
  updatesSent: number;
  targetSessions: number;
  targetRefusals: number;
}

export function createCounters(): Counters {
  return {
    syncs: 0,
    syncFailures: 0,
    svidsMinted: 0,
    svidsRefused: 0,
    jwtIssued: 0,
    callersAttested: 0,
    callersRefused: 0,
    streamsOpened: 0,
    updatesSent: 0,
    targetSessions: 0,
    targetRefusals: 0,
  };
}
