import type { Batch, Running, Started } from './pipeline.ts';

/** A batch on its way. */
export class Flushed {
  readonly batch: Batch;
  readonly begun: readonly Running[];
  readonly denied: readonly Started[];
  isReady: boolean;
  /** Sent in place of the batch's own. */
  instead: readonly Buffer[] | undefined;

  constructor(batch: Batch, begun: readonly Running[], denied: readonly Started[]) {
    this.batch = batch;
    this.begun = begun;
    this.denied = denied;
    this.isReady = begun.length + denied.length === 0; // Nothing of it waits for the ledger.
  }
}
