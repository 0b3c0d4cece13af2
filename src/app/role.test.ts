import { describe, expect, it } from 'vitest';
import { LedgerError } from '../ledger/index.ts';
import { ledgerProblems } from './role.ts';

describe('a role whose ledger takes no entry any more', () => {
  it('is not ready, and says why and what to do', () => {
    const failure = new LedgerError('ERR_LEDGER_IO', 'the disk failed to sync the ledger: EIO');
    expect(ledgerProblems({ failure })).toEqual([expect.stringMatching(/^the disk failed .*EIO; .*start it again$/)]);
  });

  it('is ready as far as that goes when its ledger works', () => {
    expect(ledgerProblems({ failure: undefined })).toEqual([]);
  });
});
